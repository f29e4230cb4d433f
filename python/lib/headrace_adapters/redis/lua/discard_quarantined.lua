-- An admin lets attempts go that an agent keeps though Redis does not know them.
-- Arguments: epoch; node; runs ["<job>.<attempt>"], none: all of them.
-- Writes: hr:quarantine:<node>, hr:events, hr:commits.
-- Reply: {'OK', how many were not let go before}. Refuses NOT_FOUND (with the run), WRONG_TYPE.
-- Invariant: only what the node's agent told of is let go.
need(args, {node = 'text', runs = 'texts'})
local key = 'hr:quarantine:' .. args.node
expect('hr:node:' .. args.node, 'hash')
expect(key, 'hash')
if problem then return problem end
if redis.call('EXISTS', 'hr:node:' .. args.node) == 0 then
  return refuse('NOT_FOUND', 'there is no node ' .. args.node)
end
local runs = #args.runs > 0 and args.runs or redis.call('HKEYS', key)
local new = {}
for _, run in ipairs(runs) do
  local state = redis.call('HGET', key, run)
  if not state then
    return refuse('NOT_FOUND', 'node ' .. args.node .. ' keeps no attempt ' .. run)
  end
  if state ~= 'END' then new[#new + 1] = run end
end
if #new == 0 then return {'OK', 0} end
begin_at_maxmemory(key)
for _, run in ipairs(new) do redis.call('HSET', key, run, 'END') end
hint('kind', 'quarantine', 'node', args.node, 'agents', args.node)
commit()
return {'OK', #new}
