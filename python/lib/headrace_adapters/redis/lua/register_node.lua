-- An agent takes up service for its node.
-- Arguments: epoch; node; incarnation (unique to one run of the agent); millicpus; memory_bytes;
--   backends "process container"; has_state_lock (bool: it holds the machine's state-folder lock);
--   seen_counter (absent at the first try); living ["<job>.<attempt>"] (workers of these live);
--   generic "gpus=2" (what the node offers by the piece);
--   swarm_node (the engine's id in its swarm, or empty), state_source (its state folder as the engine calls it).
-- Writes: hr:node:<node>, hr:nodes, hr:free:<node>, hr:events, hr:commits.
-- Reply: {'OK', 'REGISTERED'}, or {'OK', 'WAIT', counter} while another agent's counter must be
--   seen to stand still: call again after the lease time with seen_counter = counter.
--   Refuses CONFLICT when that counter moved, STALE (with the attempt) when a living one is over.
-- Invariant: one incarnation serves a node; its ledger line is capacity less what attempts hold,
--   and no worker of another attempt lives beside them.
need(args, {node = 'text', incarnation = 'text', millicpus = 'number', memory_bytes = 'number',
  backends = 'text', has_state_lock = 'flag', seen_counter = '?text', living = 'texts',
  generic = 'text', swarm_node = 'text', state_source = 'text'})
local counted = pieces(args.generic)
if not counted then error('what a node offers by the piece is not ' .. args.generic) end
local key = 'hr:node:' .. args.node
expect(key, 'hash')
expect('hr:nodes', 'set')
expect('hr:free:' .. args.node, 'hash')
expect('hr:held:' .. args.node, 'hash')
expect('hr:work:' .. args.node, 'hash')
if problem then return problem end
local known = redis.call('HMGET', key, 'incarnation', 'counter', 'state', 'drained', 'full')
if known[1] and known[1] ~= args.incarnation and not args.has_state_lock then
  if not args.seen_counter then return {'OK', 'WAIT', known[2]} end
  if args.seen_counter ~= known[2] then
    return refuse('CONFLICT', 'another agent serves node ' .. args.node)
  end
end
for _, run in ipairs(args.living) do
  local record = redis.call('HGET', 'hr:work:' .. args.node, run)
  if not record or cjson.decode(record).verb == 'stop' then
    return refuse('STALE', 'attempt ' .. run .. ' is over')
  end
end
local line = rebuilt_line(args.node, args.millicpus, args.memory_bytes, counted)
if problem then return problem end
local state = served_state(known[4], known[5])
begin_at_maxmemory(key)
redis.call('HDEL', key, 'confirmed', 'left')
redis.call('HSET', key, 'incarnation', args.incarnation, 'counter',
  text(tonumber(known[2] or '0') + 1), 'state', state, 'millicpus', text(args.millicpus),
  'memory_bytes', text(args.memory_bytes), 'backends', args.backends, 'generic', args.generic, 'registered_ms', text(now),
  'swarm_node', args.swarm_node, 'state_source', args.state_source)
redis.call('SADD', 'hr:nodes', args.node)
offer(args.node, state, line)
hint('kind', 'node', 'node', args.node, 'state', state)
commit()
return {'OK', 'REGISTERED'}
