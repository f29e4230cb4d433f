-- The leading data service has compared a restored Redis with the store: jobs may start again.
-- Arguments: epoch; role; term.
-- Writes: hr:restored, hr:events, hr:commits.
-- Reply: {'OK', 1}; {'OK', 0} it was so already. Refuses TERM, WRONG_TYPE.
-- Invariant: no job whose outputs the store had is started again.
need(args, {role = 'text', term = 'number'})
check_term(args.role, args.term)
expect('hr:restored', 'string')
if problem then return problem end
if redis.call('DEL', 'hr:restored') == 0 then return {'OK', 0} end
hint('kind', 'restore', 'state', 'DONE')
commit()
return {'OK', 1}
