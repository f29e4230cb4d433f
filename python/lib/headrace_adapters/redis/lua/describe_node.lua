-- An agent tells what its machine has beside the CPUs and memory that it offers.
-- Arguments: epoch; node; incarnation; inventory (a record, of which Redis reads nothing);
--   held {dataset = bytes}, those that the node's cache has all of.
-- Writes: hr:inventory:<node>, hr:commits.
-- Reply: {'OK'}. Refuses INCARNATION, EPOCH.
-- Invariant: it lies apart from hr:node:<node>, which each plan reads; no hint tells of it. What is
--   held is told anew each time: a field `held:<dataset>` of one that is gone is removed.
need(args, {node = 'text', incarnation = 'text', inventory = 'text', held = 'texts'})
local key = 'hr:inventory:' .. args.node
check_incarnation(args.node, args.incarnation)
expect(key, 'hash')
if problem then return problem end
for _, field in ipairs(redis.call('HKEYS', key)) do
  if not args.held[field:match('^held:(.*)$') or field] then redis.call('HDEL', key, field) end
end
redis.call('HSET', key, 'record', args.inventory)
for dataset, size_bytes in pairs(args.held) do
  redis.call('HSET', key, 'held:' .. dataset, size_bytes)
end
commit()
return {'OK'}
