-- The cluster agent can't meet a wish.
-- Arguments: epoch; role; term; node; name of the service; doc (why).
-- Writes: hr:refusals:<node>, hr:events, hr:commits.
-- Reply: {'OK', 1} refused now, {'OK', 0} nobody wishes for it, or it was refused already.
--   Refuses TERM.
-- Invariant: what is refused is wished for; the first refusal counts.
need(args, {role = 'text', term = 'number', node = 'text', name = 'text', doc = 'text'})
check_term(args.role, args.term)
expect('hr:services:' .. args.node, 'hash')
expect('hr:refusals:' .. args.node, 'hash')
if problem then return problem end
if redis.call('HEXISTS', 'hr:services:' .. args.node, args.name) == 0
  or redis.call('HSETNX', 'hr:refusals:' .. args.node, args.name, args.doc) == 0 then
  return {'OK', 0}
end
hint('kind', 'refusal', 'node', args.node)
commit()
return {'OK', 1}
