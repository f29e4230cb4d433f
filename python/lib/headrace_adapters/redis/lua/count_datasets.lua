-- Has datasets count for their owners that were made before their bytes were counted.
-- Arguments: epoch; datasets [ids]; last (flag: with these all count).
-- Writes: hr:dataset:<id> (bytes), hr:stored, hr:counted (there once all count), hr:commits.
-- Reply: {'OK', how many were counted}; what counts already is left alone.
-- Invariant: hr:stored holds the sum of `bytes` over the datasets of an owner.
need(args, {datasets = 'list', last = 'flag'})
expect('hr:stored', 'hash')
expect('hr:counted', 'string')
for _, id in ipairs(args.datasets) do
  if not is.text(id) then error('an id is no text') end
  expect('hr:dataset:' .. id, 'hash')
  expect('hr:items:' .. id, 'hash')
end
if problem then return problem end
local done = 0
for _, id in ipairs(args.datasets) do
  local at = redis.call('HMGET', 'hr:dataset:' .. id, 'bytes', 'doc')
  if at[2] and not at[1] then
    count_bytes(id, cjson.decode(at[2]).owner, bytes_of(id))
    done = done + 1
  end
end
if args.last then redis.call('SET', 'hr:counted', '1') end
commit()
return {'OK', done}
