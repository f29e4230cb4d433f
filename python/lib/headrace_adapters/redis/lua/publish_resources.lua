-- The leading scheduler tells what resources.yaml says, as it applies it.
-- Arguments: epoch; role; term; text (of the file; empty: there is none).
-- Writes: hr:resources, hr:commits.
-- Reply: {'OK', 1} changed now, {'OK', 0} it was so already.
-- Invariant: what is there was told by the leader whose plans it bounds, or by the one before it.
need(args, {role = 'text', term = 'number', text = 'text'})
local key = 'hr:resources'
check_term(args.role, args.term)
expect(key, 'hash')
if problem then return problem end
if redis.call('HGET', key, 'text') == args.text then return {'OK', 0} end
begin_at_maxmemory(key)
redis.call('HSET', key, 'text', args.text)
commit()
return {'OK', 1}
