-- Tells what all nodes offer, in one answer: the scheduler asks before each plan.
-- Arguments: epoch.
-- Reply: {'OK', then for each node its id, millicpus, memory_bytes, generic, state, backends, labels
--   and the room that is free}, with an empty text for what is not there.
-- Invariant: nothing is written.
expect('hr:nodes', 'set')
if problem then return problem end
local ids = redis.call('SMEMBERS', 'hr:nodes')
table.sort(ids)
local found = {'OK'}
for _, id in ipairs(ids) do
  if not expect('hr:node:' .. id, 'hash') or not expect('hr:free:' .. id, 'hash') then
    return problem
  end
  found[#found + 1] = id
  local fields = redis.call('HMGET', 'hr:node:' .. id, 'millicpus', 'memory_bytes', 'generic',
    'state', 'backends', 'labels')
  for place = 1, 6 do found[#found + 1] = fields[place] or '' end
  found[#found + 1] = redis.call('HGET', 'hr:free:' .. id, 'room') or ''
end
return found
