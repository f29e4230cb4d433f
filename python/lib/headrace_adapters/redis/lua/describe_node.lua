-- An agent tells what its machine has beside the CPUs and memory that it offers.
-- Arguments: epoch; node; incarnation; inventory (a record, of which Redis reads nothing).
-- Writes: hr:inventory:<node>, hr:commits.
-- Reply: {'OK'}. Refuses INCARNATION, EPOCH.
-- Invariant: it lies apart from hr:node:<node>, which each plan reads; no hint tells of it.
need(args, {node = 'text', incarnation = 'text', inventory = 'text'})
local key = 'hr:inventory:' .. args.node
check_incarnation(args.node, args.incarnation)
expect(key, 'hash')
if problem then return problem end
redis.call('HSET', key, 'record', args.inventory)
commit()
return {'OK'}
