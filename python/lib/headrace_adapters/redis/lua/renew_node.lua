-- An agent says that it lives: its counter rises.
-- Arguments: epoch; node; incarnation.
-- Writes: hr:node:<node>.
-- Reply: {'OK', counter, state}; state LOST tells the agent to compare its attempts and register anew.
-- Refuses INCARNATION, EPOCH.
-- Invariant: only the registered incarnation raises the counter.
need(args, {node = 'text', incarnation = 'text'})
check_incarnation(args.node, args.incarnation)
if problem then return problem end
local key = 'hr:node:' .. args.node
begin_at_maxmemory(key)
local counter = redis.call('HINCRBY', key, 'counter', 1)
return {'OK', text(counter), redis.call('HGET', key, 'state')}
