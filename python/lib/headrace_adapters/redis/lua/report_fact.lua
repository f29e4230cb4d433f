-- Keeps what an agent saw until the transition that it causes deletes it.
-- Arguments: epoch; node; incarnation; facts [{field, doc, job, attempt, kind}].
-- Writes: hr:facts:<node>, hr:events, hr:commits.
-- Reply: {'OK', number kept}. A fact of an attempt that is no longer the job's is passed over.
-- Refuses INCARNATION, EPOCH.
-- Invariant: a kept fact belongs to the current attempt of a living job.
need(args, {node = 'text', incarnation = 'text', facts = 'list'})
need_each(args.facts,
  {field = 'text', doc = 'text', job = 'text', attempt = 'number', kind = 'text'})
local facts_key = 'hr:facts:' .. args.node
check_incarnation(args.node, args.incarnation)
expect(facts_key, 'hash')
for _, fact in ipairs(args.facts) do expect('hr:job:' .. fact.job, 'hash') end
if problem then return problem end
local kept = 0
begin_at_maxmemory(facts_key)
for _, fact in ipairs(args.facts) do
  local at = redis.call('HMGET', 'hr:job:' .. fact.job, 'attempt', 'status')
  if at[1] == text(fact.attempt) and not string.find(at[2], '^CLOSED:') then
    redis.call('HSET', facts_key, fact.field, fact.doc)
    hint('kind', 'fact', 'node', args.node, 'job', fact.job, 'attempt', text(fact.attempt),
      'fact', fact.kind)
    kept = kept + 1
  end
end
commit()
return {'OK', kept}
