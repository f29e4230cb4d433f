-- A node's agent wishes for the service of a worker.
-- Arguments: epoch; node; name of the service; doc (the wish).
-- Writes: hr:services:<node>, hr:events, hr:commits.
-- Reply: {'OK', 1} wished now, {'OK', 0} a wish of that name stood already, and stands.
-- Invariant: a wish never changes.
need(args, {node = 'text', name = 'text', doc = 'text'})
local key = 'hr:services:' .. args.node
expect(key, 'hash')
if problem then return problem end
if redis.call('HSETNX', key, args.name, args.doc) == 0 then return {'OK', 0} end
hint('kind', 'service', 'node', args.node)
commit()
return {'OK', 1}
