-- An admin gives a node labels, and takes others away.
-- Arguments: epoch; node; set {name = value}; remove [name]; most (labels that a node may have).
-- Writes: hr:node:<node>, hr:events, hr:commits.
-- Reply: {'OK', 1} changed now, {'OK', 0} it was so already.
--   Refuses NOT_FOUND, TOO_LARGE above `most`, WRONG_TYPE.
-- Invariant: labels are the admins' alone; they outlive the node's loss and its agent.
need(args, {node = 'text', set = 'texts', remove = 'list', most = 'number'})
for _, name in ipairs(args.remove) do
  if not is.text(name) then error('a label to remove is no text') end
end
local key = 'hr:node:' .. args.node
expect(key, 'hash')
if problem then return problem end
local known = redis.call('HMGET', key, 'state', 'labels')
if not known[1] then return refuse('NOT_FOUND', 'there is no node ' .. args.node) end
local labels, changed, count = cjson.decode(known[2] or '{}'), 0, 0
for name, value in pairs(args.set) do
  if labels[name] ~= value then changed = 1 end
  labels[name] = value
end
for _, name in ipairs(args.remove) do
  if labels[name] then changed = 1 end
  labels[name] = nil
end
for _ in pairs(labels) do count = count + 1 end
if changed == 0 then return {'OK', 0} end
if count > args.most then
  return refuse('TOO_LARGE', 'node ' .. args.node .. ' would have ' .. text(count) .. ' labels; '
    .. text(args.most) .. ' are allowed')
end
redis.call('HSET', key, 'labels', cjson.encode(labels))
hint('kind', 'node', 'node', args.node, 'state', known[1])
commit()
return {'OK', 1}
