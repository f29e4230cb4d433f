-- An agent says that it lives: its counter rises. And whether its disk has room for new attempts.
-- Arguments: epoch; node; incarnation; full (bool); leaving (bool: it ends in good order, and is to be back soon).
-- Writes: hr:node:<node>; when `full` or `leaving` changes hr:free:<node>, hr:events, hr:commits.
-- Reply: {'OK', counter, state}; state LOST tells the agent to compare its attempts and register anew.
-- Refuses INCARNATION, EPOCH, WRONG_TYPE.
-- Invariant: only the registered incarnation raises the counter; a full node has no ledger line, nor
--   has one that was left: nobody would start what is placed there.
need(args, {node = 'text', incarnation = 'text', full = 'flag', leaving = 'flag'})
local key = 'hr:node:' .. args.node
check_incarnation(args.node, args.incarnation)
expect('hr:free:' .. args.node, 'hash')
expect('hr:held:' .. args.node, 'hash')
if problem then return problem end
local known = redis.call('HMGET', key, 'state', 'drained', 'full', 'millicpus', 'memory_bytes',
  'generic', 'left')
local state, full, line = known[1], args.full and '1' or '0', nil
local turned = full ~= (known[3] or '0') or args.leaving ~= (known[7] == '1')
if turned and state ~= 'LOST' then
  state = served_state(known[2], full)
  line = rebuilt_line(args.node, tonumber(known[4]), tonumber(known[5]),
    pieces(known[6]) or {})
  if problem then return problem end
end
begin_at_maxmemory(key)
local counter = redis.call('HINCRBY', key, 'counter', 1)
if args.leaving then redis.call('HSET', key, 'left', '1') else redis.call('HDEL', key, 'left') end
if turned then
  redis.call('HSET', key, 'full', full, 'state', state)
  offer(args.node, state, not args.leaving and line)
  hint('kind', 'node', 'node', args.node, 'state', state)
  commit()
end
return {'OK', text(counter), state}
