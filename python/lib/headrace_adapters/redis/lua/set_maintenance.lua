-- An admin keeps new work away, or lets it come again.
-- Arguments: epoch; on (bool); and, where on: since, by, why, sentence (what refusals say).
-- Writes: hr:maintenance, hr:events, hr:commits.
-- Reply: {'OK', 1} changed now, {'OK', 0} it was so already, for the same reason. Refuses WRONG_TYPE.
-- Invariant: after it was set no job and no dataset of a user is made, until it is taken away.
need(args, {on = 'flag'})
if args.on then need(args, {since = 'text', by = 'text', why = 'text', sentence = 'text'}) end
local key = 'hr:maintenance'
expect(key, 'hash')
if problem then return problem end
local before = redis.call('HGET', key, 'why')
if args.on and before == args.why or not args.on and not before then return {'OK', 0} end
begin_at_maxmemory(key)
if args.on then
  redis.call('HSET', key, 'since', args.since, 'by', args.by, 'why', args.why,
    'sentence', args.sentence)
else
  redis.call('DEL', key)
end
hint('kind', 'maintenance', 'state', args.on and 'ON' or 'OFF')
commit()
return {'OK', 1}
