-- An agent tells which attempts it keeps that Redis does not know, and hears which of them may go.
-- Arguments: epoch; node; incarnation; runs ["<job>.<attempt>"].
-- Writes: hr:quarantine:<node> {run: KEPT, or END where an admin said so}.
-- Reply: {'OK', run…} those that may go. Refuses INCARNATION, WRONG_TYPE.
-- Invariant: the hash holds what the agent keeps; only an admin's word lets a run of it go.
need(args, {node = 'text', incarnation = 'text', runs = 'texts'})
local key = 'hr:quarantine:' .. args.node
check_incarnation(args.node, args.incarnation)
expect(key, 'hash')
if problem then return problem end
local kept, answer = {}, {'OK'}
for _, run in ipairs(args.runs) do kept[run] = true end
begin_at_maxmemory(key)
local known = redis.call('HGETALL', key)
for i = 1, #known, 2 do
  if not kept[known[i]] then
    redis.call('HDEL', key, known[i])
  elseif known[i + 1] == 'END' then
    answer[#answer + 1] = known[i]
  end
  kept[known[i]] = nil
end
for run in pairs(kept) do redis.call('HSET', key, run, 'KEPT') end
return answer
