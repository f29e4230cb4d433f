-- The data service refuses what an agent reported as good: the fact gets a cause.
-- Arguments: epoch; role; term (absent where nobody leads); node; field; doc; job; attempt; kind.
-- Writes: hr:facts:<node>, hr:events, hr:commits.
-- Reply: {'OK', 1}; {'OK', 0} the attempt is not the job's current one any more. Refuses TERM, EPOCH.
-- Invariant: as for report_fact.
need(args, {role = 'text', node = 'text', field = 'text', doc = 'text', job = 'text', attempt = 'number',
  kind = 'text'})
local facts_key, job_key = 'hr:facts:' .. args.node, 'hr:job:' .. args.job
check_term(args.role, args.term)
expect(facts_key, 'hash')
expect(job_key, 'hash')
if problem then return problem end
local at = redis.call('HMGET', job_key, 'attempt', 'status')
if at[1] ~= text(args.attempt) or string.find(at[2], '^CLOSED:') then return {'OK', 0} end
begin_at_maxmemory(facts_key)
redis.call('HSET', facts_key, args.field, args.doc)
hint('kind', 'fact', 'node', args.node, 'job', args.job, 'attempt', text(args.attempt),
  'fact', args.kind)
commit()
return {'OK', 1}
