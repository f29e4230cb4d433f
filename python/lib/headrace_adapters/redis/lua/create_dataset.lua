-- Makes an OPEN dataset, or a new version of a name.
-- Arguments: epoch; id; name; new_version (bool: the name may be taken); newest (the id that the
--   name stood for when the doc was decided, '' for none); doc (JSON; its version and time of
--   creation don't count, the hash has them); once (names the request, absent: nothing does).
-- Writes: hr:dataset:<id>, hr:names, hr:versions (name → highest version ever, so that a number
--   never comes back with other contents), hr:open (index of OPEN datasets), hr:stored (names the
--   owner), hr:made:<once> (the id and name, for a day), hr:events, hr:commits.
-- Reply: {'OK', id, 1 made or 0 there already}; a repeat of the same id, or request, makes nothing,
--   also where that dataset was deleted since.
--   Refuses CONFLICT: the name is taken, or an OPEN dataset has it, or the id or the request is
--   another name's;
--   STALE: the name stands for another dataset by now; MAINTENANCE: nothing new is taken.
-- Invariant: at most one OPEN version a name; versions rise; a version belongs to the owner of the
--   one before it; an id that was deleted never comes back.
need(args, {id = 'text', name = 'text', new_version = 'flag', newest = 'text', doc = 'text',
  once = '?text'})
local held = holding(args.doc)
local key = 'hr:dataset:' .. args.id
expect(key, 'hash')
expect('hr:names', 'hash')
expect('hr:versions', 'hash')
expect('hr:open', 'zset')
expect('hr:stored', 'hash')
if args.once then expect('hr:made:' .. args.once, 'string') end
local newest = nil
if not problem then newest = redis.call('HGET', 'hr:names', args.name) end
if newest then expect('hr:dataset:' .. newest, 'hash') end
if problem then return problem end
local there = redis.call('HGET', key, 'name')
if there == args.name then return {'OK', args.id, 0} end
if there then return refuse('CONFLICT', 'the id ' .. args.id .. ' is of dataset ' .. there) end
local seen = args.once and redis.call('GET', 'hr:made:' .. args.once)
if seen then
  local id, name = string.match(seen, '^(%S+) (%S+)$')
  if name == args.name then return {'OK', id, 0} end
  return refuse('CONFLICT', 'this Idempotency-Key was used for another dataset: ' .. name)
end
if (newest or '') ~= args.newest then
  return refuse('STALE', 'the name ' .. args.name .. ' stands for another dataset by now')
end
local version = tonumber(redis.call('HGET', 'hr:versions', args.name) or '0') + 1
if newest then
  if redis.call('HGET', 'hr:dataset:' .. newest, 'state') == 'OPEN' then
    return refuse('CONFLICT', 'dataset ' .. args.name .. ' has a version that is being written: '
      .. 'seal or delete it first')
  end
  if not args.new_version then
    return refuse('CONFLICT', 'there is a dataset ' .. args.name .. ' already: say '
      .. '"version: new" to add a version to it, or take another name')
  end
  -- A name that a job's output took has no line in hr:versions: its version is 1.
  version = math.max(version, 2)
end
local closed = closed_for_new_work()
if closed then return closed end
redis.call('HSET', key, 'state', 'OPEN', 'version', text(version), 'name', args.name,
  'doc', args.doc, 'created_ms', text(now), 'changes', '0', 'owner', held.owner)
redis.call('HSET', 'hr:names', args.name, args.id, args.name .. '@' .. text(version), args.id)
redis.call('HSET', 'hr:versions', args.name, text(version))
redis.call('ZADD', 'hr:open', now, args.id)
count_bytes(args.id, held.owner, 0)
if args.once then
  redis.call('SET', 'hr:made:' .. args.once, args.id .. ' ' .. args.name, 'PX', '86400000')
end
hint('kind', 'dataset', 'dataset', args.id, 'state', 'OPEN')
commit()
return {'OK', args.id, 1}
