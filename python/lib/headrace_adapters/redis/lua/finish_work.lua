-- An agent has cleaned what an attempt left on its node: record and facts go.
-- Arguments: epoch; node; incarnation; run "<job>.<attempt>"; record (as the agent read it);
--   facts [fields].
-- Writes: hr:work:<node>, hr:facts:<node>, hr:commits.
-- Reply: {'OK', 1 or 0}; 0: the record is another by now, so nothing was removed.
-- Invariant: a record that was replaced meanwhile is never lost.
need(args, {node = 'text', incarnation = 'text', run = 'text', record = 'text', facts = 'texts'})
if #args.facts == 0 then error('finish_work needs the fields of facts') end
check_incarnation(args.node, args.incarnation)
expect('hr:work:' .. args.node, 'hash')
expect('hr:facts:' .. args.node, 'hash')
if problem then return problem end
if redis.call('HGET', 'hr:work:' .. args.node, args.run) ~= args.record then return {'OK', 0} end
redis.call('HDEL', 'hr:work:' .. args.node, args.run)
redis.call('HDEL', 'hr:facts:' .. args.node, unpack(args.facts))
commit()
return {'OK', 1}
