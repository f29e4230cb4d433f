-- Makes an OPEN dataset, or a new version of a name.
-- Arguments: epoch; id; name; version (0: the next); doc (JSON without a version); txn.
-- Writes: hr:dataset:<id>, hr:names, hr:open (index of OPEN datasets), hr:events, hr:commits.
-- Reply: {'OK', id, version}; a repeat of the same id gets the same answer.
--   Refuses CONFLICT: an OPEN dataset has that name already.
-- Invariant: at most one OPEN version a name; versions rise by one.
local key = 'hr:dataset:' .. args.id
expect(key, 'hash')
expect('hr:names', 'hash')
expect('hr:open', 'zset')
local newest = nil
if not problem then newest = redis.call('HGET', 'hr:names', args.name) end
if newest then expect('hr:dataset:' .. newest, 'hash') end
if problem then return problem end
local there = redis.call('HGET', key, 'version')
if there then return {'OK', args.id, there} end
local version = 1
if newest then
  local old = redis.call('HMGET', 'hr:dataset:' .. newest, 'state', 'version')
  if old[1] == 'OPEN' then
    return refuse('CONFLICT', 'dataset ' .. args.name .. ' is being written (version '
      .. old[2] .. '): seal or delete that version first')
  end
  version = tonumber(old[2] or '0') + 1
end
redis.call('HSET', key, 'state', 'OPEN', 'version', text(version), 'name', args.name,
  'doc', args.doc, 'created_ms', text(now))
redis.call('HSET', 'hr:names', args.name, args.id, args.name .. '@' .. text(version), args.id)
redis.call('ZADD', 'hr:open', now, args.id)
hint('kind', 'dataset', 'dataset', args.id, 'state', 'OPEN')
commit()
return {'OK', args.id, text(version)}
