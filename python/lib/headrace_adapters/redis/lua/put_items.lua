-- Adds or replaces items of an OPEN dataset, after their bytes are in the store; or removes some.
-- Arguments: epoch; id; items {path → JSON (size_bytes, sha256, key), or '': remove}; most (how many
-- items the dataset may have once one is added; absent: any number); quotas (those that bound its
-- owner, absent: none: who; limit, in bytes; owners, whose bytes count).
-- Writes: hr:items:<id>, hr:dataset:<id> (changes, which a seal compares; bytes), hr:stored,
--   hr:commits.
-- Reply: {'OK', how many changed}. Refuses NOT_FOUND, CONFLICT (not OPEN), TOO_LARGE (over `most`),
--   OVER_QUOTA (who, used, limit, and how many bytes were to come).
-- Invariant: a SEALED dataset never changes; of one call all items change, or none; calls side by
-- side never add an item above `most`, nor a byte above a quota.
need(args, {id = 'text', items = 'texts', most = '?number', quotas = '?list'})
for _, quota in ipairs(args.quotas or {}) do
  need(quota, {who = 'text', limit = 'number', owners = 'list'})
end
local key, items = 'hr:dataset:' .. args.id, 'hr:items:' .. args.id
expect(key, 'hash')
expect(items, 'hash')
expect('hr:stored', 'hash')
if problem then return problem end
local at = redis.call('HMGET', key, 'state', 'changes', 'owner')
if not at[1] or at[1] == 'DELETED' or at[1] == 'TOMBSTONED' then
  return refuse('NOT_FOUND', 'there is no dataset ' .. args.id)
end
if at[1] ~= 'OPEN' then return refuse('CONFLICT', 'the dataset is ' .. at[1] .. ', not OPEN') end
local changes, changed = text(tonumber(at[2] or '0') + 1), 0
local set, gone, added, grows = {}, {}, 0, 0
for path, item in pairs(args.items) do
  local known = redis.call('HGET', items, path) or ''
  if known ~= item then
    changed = changed + 1
    grows = grows + item_bytes(item) - item_bytes(known)
    if known == '' then added = added + 1 end
    if item == '' then gone[#gone + 1] = path else set[#set + 1] = path end
  end
end
if changed == 0 then return {'OK', 0} end
if args.most and added > 0 and redis.call('HLEN', items) + added - #gone > args.most then
  return refuse('TOO_LARGE', 'the dataset would have more than ' .. text(args.most) .. ' items')
end
if grows > 0 then
  for _, quota in ipairs(args.quotas or {}) do
    local used = 0
    for _, owner in ipairs(quota.owners) do
      used = used + tonumber(redis.call('HGET', 'hr:stored', owner) or '0')
    end
    if used + grows > quota.limit then
      return refuse('OVER_QUOTA', quota.who .. ' ' .. text(used) .. ' ' .. text(quota.limit) .. ' '
        .. text(grows))
    end
  end
end
-- A doc may be large, and there are many calls: it is read for a dataset of an older version alone.
local owner = at[3] or holding(redis.call('HGET', key, 'doc')).owner
local bytes = bytes_of(args.id) + grows
for _, path in ipairs(set) do redis.call('HSET', items, path, args.items[path]) end
for _, path in ipairs(gone) do redis.call('HDEL', items, path) end
redis.call('HSET', key, 'changes', changes)
count_bytes(args.id, owner, bytes)
commit()
return {'OK', changed}
