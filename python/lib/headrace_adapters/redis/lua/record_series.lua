-- The monitor keeps what the cluster is like, in rings of a fixed size.
-- Arguments: epoch; role; term; points [{ring, slot, text}].
-- Writes: hr:series:<ring>, hr:commits.
-- Reply: {'OK'}. Refuses TERM, EPOCH.
-- Invariant: a slot holds the newest point that was written into it; no ring grows past its slots.
need(args, {role = 'text', term = 'number', points = 'list'})
need_each(args.points, {ring = 'text', slot = 'number', text = 'text'})
check_term(args.role, args.term)
for _, point in ipairs(args.points) do expect('hr:series:' .. point.ring, 'hash') end
if problem then return problem end
for _, point in ipairs(args.points) do
  redis.call('HSET', 'hr:series:' .. point.ring, text(point.slot), point.text)
end
commit()
return {'OK'}
