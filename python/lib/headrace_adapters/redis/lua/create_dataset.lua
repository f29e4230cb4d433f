-- Makes an OPEN dataset, or a new version of a name.
-- Arguments: epoch; id; name; new_version (bool: the name may be taken); newest (the id that the
--   name stood for when the doc was decided, '' for none); doc (JSON; its version and time of
--   creation don't count, the hash has them).
-- Writes: hr:dataset:<id>, hr:names, hr:versions (name → highest version ever, so that a number
--   never comes back with other contents), hr:open (index of OPEN datasets), hr:events, hr:commits.
-- Reply: {'OK', 1 made or 0 there already}; a repeat of the same id makes nothing.
--   Refuses CONFLICT: the name is taken, or an OPEN dataset has it, or the id is another name's;
--   STALE: the name stands for another dataset by now.
-- Invariant: at most one OPEN version a name; versions rise; a version belongs to the owner of the
--   one before it.
need(args, {id = 'text', name = 'text', new_version = 'flag', newest = 'text', doc = 'text'})
local key = 'hr:dataset:' .. args.id
expect(key, 'hash')
expect('hr:names', 'hash')
expect('hr:versions', 'hash')
expect('hr:open', 'zset')
local newest = nil
if not problem then newest = redis.call('HGET', 'hr:names', args.name) end
if newest then expect('hr:dataset:' .. newest, 'hash') end
if problem then return problem end
local there = redis.call('HGET', key, 'name')
if there == args.name then return {'OK', 0} end
if there then return refuse('CONFLICT', 'the id ' .. args.id .. ' is of dataset ' .. there) end
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
redis.call('HSET', key, 'state', 'OPEN', 'version', text(version), 'name', args.name,
  'doc', args.doc, 'created_ms', text(now), 'changes', '0')
redis.call('HSET', 'hr:names', args.name, args.id, args.name .. '@' .. text(version), args.id)
redis.call('HSET', 'hr:versions', args.name, text(version))
redis.call('ZADD', 'hr:open', now, args.id)
hint('kind', 'dataset', 'dataset', args.id, 'state', 'OPEN')
commit()
return {'OK', 1}
