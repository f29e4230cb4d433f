-- Gives a name's datasets another name: all versions at once.
-- Arguments: epoch; name; to; datasets (of each version: id; version; old, the doc it was decided
--   from; doc, the new one).
-- Writes: hr:dataset:<id>, hr:names, hr:versions (the new name goes on with the numbers of the old
--   one, which stay taken), hr:unmarked (of SEALED ones: their markers say the old), hr:events,
--   hr:commits.
-- Reply: {'OK', 1}, also for a repeat, which changes nothing.
--   Refuses CONFLICT: the new name is, or was, another dataset's; STALE: a version changed, came or
--   went since.
-- Invariant: versions of a name stay together; a number never comes back with other contents.
need(args, {name = 'text', to = 'text', datasets = 'list'})
need_each(args.datasets, {id = 'text', version = 'number', old = 'text', doc = 'text'})
if #args.datasets == 0 then error('there is no dataset to rename') end
expect('hr:names', 'hash')
expect('hr:versions', 'hash')
expect('hr:unmarked', 'zset')
for _, each in ipairs(args.datasets) do expect('hr:dataset:' .. each.id, 'hash') end
if problem then return problem end
local stale = refuse('STALE', 'the datasets of this name changed meanwhile')
local highest = tonumber(redis.call('HGET', 'hr:versions', args.name) or '1')
local renamed, states, expected = 0, {}, {}
for i, each in ipairs(args.datasets) do
  local at = redis.call('HMGET', 'hr:dataset:' .. each.id, 'state', 'doc')
  if not at[1] or at[1] == 'DELETED' or at[1] == 'TOMBSTONED' then return stale end
  if redis.call('HGET', 'hr:names', args.to .. '@' .. text(each.version)) == each.id
    and at[2] == each.doc then
    renamed = renamed + 1
  elseif at[2] ~= each.old then
    return stale
  end
  states[i] = at[1]
  expected[each.version] = each.id
end
if renamed == #args.datasets then return {'OK', 1} end
if redis.call('HEXISTS', 'hr:names', args.to) == 1 or redis.call('HEXISTS', 'hr:versions', args.to) == 1 then
  return refuse('CONFLICT', 'the name ' .. args.to .. ' is taken, or was: take another one')
end
for version = 1, highest do
  local there = redis.call('HGET', 'hr:names', args.name .. '@' .. text(version))
  if (there or nil) ~= expected[version] then return stale end
end
local newest = redis.call('HGET', 'hr:names', args.name)
redis.call('HSET', 'hr:names', args.to, newest)
redis.call('HSET', 'hr:versions', args.to, text(highest), args.name, text(highest))
redis.call('HDEL', 'hr:names', args.name)
for i, each in ipairs(args.datasets) do
  local version = text(each.version)
  redis.call('HSET', 'hr:names', args.to .. '@' .. version, each.id)
  redis.call('HDEL', 'hr:names', args.name .. '@' .. version)
  redis.call('HSET', 'hr:dataset:' .. each.id, 'name', args.to, 'doc', each.doc)
  if states[i] == 'SEALED' then redis.call('ZADD', 'hr:unmarked', now, each.id) end
  hint('kind', 'dataset', 'dataset', each.id, 'state', states[i])
end
commit()
return {'OK', 1}
