-- Keeps, replaces or removes one secret of a user; its value was encrypted before.
-- Arguments: epoch; user; name; most (how many one user may keep); box (absent: remove).
-- Writes: hr:secrets:<user> (name → JSON with changed_ms and box), hr:commits.
-- Reply: {'OK', time of the change in ms, '' where there is none any more}; a repeat changes
--   nothing. Refuses CONFLICT (so many are kept already).
-- Invariant: no event, log or other key ever holds a value, encrypted or not.
need(args, {user = 'text', name = 'text', most = 'number', box = '?text'})
local key = 'hr:secrets:' .. args.user
if not expect(key, 'hash') then return problem end
if problem then return problem end
local old = redis.call('HGET', key, args.name)
if not args.box then
  if old then
    redis.call('HDEL', key, args.name)
    commit()
  end
  return {'OK', ''}
end
if old then
  local good, kept = pcall(cjson.decode, old)
  if good and type(kept) == 'table' and kept.box == args.box and is.number(kept.changed_ms) then
    return {'OK', text(kept.changed_ms)}
  end
elseif redis.call('HLEN', key) >= args.most then
  return refuse('CONFLICT', 'there are ' .. text(args.most) .. ' secrets already')
end
redis.call('HSET', key, args.name, cjson.encode({changed_ms = now, box = args.box}))
commit()
return {'OK', text(now)}
