-- Applies one decided move of one job, whole or not at all.
-- Arguments: epoch, role, term (absent for roles without a lease), txn, job, version, attempt,
--   status (decided from), to, entry (history), set {job fields}, opens (bool: attempt + 1),
--   takes [{node, millicpus, memory_bytes, generic "gpus=1"}], returns [nodes], lost [nodes], confirmed [nodes], work [{node, record}],
--   forgets [nodes], consumes [{node, field}], links [dataset ids], final (bool),
--   children [{key, new}], seals [{id, doc, index, name, versioned}],
--   attempt_set {fields}, grows (bool), learns {keys, run, kept, most}.
-- Writes: hr:job, hr:history, hr:status (both), hr:queue, hr:free:<node>, hr:held:<node>,
--   hr:attempt, hr:work, hr:facts, hr:array, hr:links, hr:dependents, hr:dataset, hr:datasets, hr:names, hr:unmarked, hr:stored, hr:untidy,
--   hr:used:<day>, hr:derivation, hr:estimates, hr:estimates:age, hr:events, hr:commits.
-- Reply: {'OK', version}; for a repeat of txn the first answer.
--   Refuses NOT_FOUND, STALE, TERM, EPOCH, NO_ROOM (with the node), TOMBSTONED, WRONG_TYPE.
-- Invariants: one status index holds the job; a share is in the ledger or held, never both; a
--   share comes back once, and with it the node's open ranges of an array, and it counts for its
--   owner (millicpus * ms in hr:used) in the same instant; links last until the job is final; a final job whose attempts may have put files into the store that no seal took
--   is in hr:untidy.

-- The day (UTC) of a time in ms, as YYYY-MM-DD, by the proleptic Gregorian calendar; its years are
-- counted from March on, so that a leap day is the last of one.
local function day_of(ms)
  local days = math.floor(ms / 86400000) + 719468 -- since 0000-03-01
  local era = math.floor(days / 146097)
  local day = days - era * 146097
  local year = math.floor((day - math.floor(day / 1460) + math.floor(day / 36524)
    - math.floor(day / 146096)) / 365)
  day = day - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * day + 2) / 153)
  day = day - math.floor((153 * month + 2) / 5) + 1
  year = year + era * 400
  if month >= 10 then month, year = month - 9, year + 1 else month = month + 3 end
  return string.format('%04d-%02d-%02d', year, month, day)
end

need(args, {role = 'text', term = '?number', txn = 'text', job = 'text', version = 'number',
  attempt = 'number', status = 'text', to = 'text', set = 'texts', opens = 'flag', takes = 'list',
  returns = 'texts', lost = 'texts', confirmed = 'texts', work = 'list', forgets = 'texts', consumes = 'list', links = 'texts',
  final = 'flag', children = 'list', seals = 'list', attempt_set = '?texts', grows = 'flag'})
need(args.entry, {})
need_each(args.takes, {node = 'text', millicpus = 'number', memory_bytes = 'number', generic = '?text'})
need_each(args.work, {node = 'text', record = 'text'})
need_each(args.consumes, {node = 'text', field = 'text'})
need_each(args.children, {key = 'text'})
need_each(args.seals, {id = 'text', doc = 'text', index = 'text', name = 'text', versioned = 'text'})
for _, seal in ipairs(args.seals) do seal.held = holding(seal.doc) end
local id = args.job
local key, history = 'hr:job:' .. id, 'hr:history:' .. id
local run = id .. '.' .. text(args.attempt)
local attempt_key = 'hr:attempt:' .. run
check_term(args.role, args.term)
expect(key, 'hash')
expect(history, 'list')
expect(attempt_key, 'hash')
expect('hr:status:' .. args.status, 'zset')
expect('hr:status:' .. args.to, 'zset')
expect('hr:queue', 'zset')
expect('hr:untidy', 'zset')
local learns = args.learns
if learns then
  need(learns, {keys = 'texts', run = 'text', kept = 'number', most = 'number'})
  expect('hr:estimates', 'hash')
  expect('hr:estimates:age', 'zset')
end
if problem then return problem end

local seen = redis.call('LRANGE', history, -50, -1)
for i = #seen, 1, -1 do
  if string.find(seen[i], '"' .. args.txn .. '"', 1, true) then
    return {'OK', text(cjson.decode(seen[i]).version)}
  end
end
local now_at = redis.call('HMGET', key, 'status', 'version', 'attempt', 'created_ms', 'fulfilments',
  'children', 'needs', 'after', 'priority', 'owner', 'taken_ms', 'desired', 'ask', 'eligible_ms',
  'held_ms')
if not now_at[1] then return refuse('NOT_FOUND', 'there is no job ' .. id) end
if now_at[1] ~= args.status or now_at[2] ~= text(args.version)
  or now_at[3] ~= text(args.attempt) then
  return refuse('STALE', 'job ' .. id .. ' is in ' .. now_at[1] .. ' (version ' .. now_at[2]
    .. ', attempt ' .. now_at[3] .. ')')
end
local created_ms, priority = tonumber(now_at[4]), tonumber(now_at[9])
if not created_ms or not priority then
  return refuse('WRONG_TYPE', key .. ' has no time or no priority')
end
-- Its age counts from when it could start: what it waited for before does not count, nor does the
-- time that it is held. A retry keeps its place. Jobs of the version before have no such time.
local queued = args.to == 'MODEL_EXEC:AWAITING_ALLOCATION'
local eligible_ms = tonumber(now_at[14] or '') or created_ms
if queued and args.status ~= args.to and args.status ~= 'MODEL_EXEC:STOPPING' then
  eligible_ms = eligible_now(args.set.ask or now_at[13] or '')
elseif now_at[12] == 'HOLD' and args.set.desired == 'RUN' then
  local held_ms = math.max(tonumber(now_at[15] or '') or now, eligible_ms)
  eligible_ms = eligible_ms + math.max(now - held_ms, 0)
end

-- Takes this job from a child's parents. Without any, the child is cancelled: at once where no
-- attempt holds anything, else by the monitor, which sees its `desired`.
local waiting = {PREREQUISITES = 1, DATA_CHECK = 1, DERIVATION = 1, ALLOCATION = 1}
local function leave(child)
  local child_key, to = 'hr:job:' .. child.id, child.status
  redis.call('HSET', child_key, 'parents', child.parents)
  if child.parents ~= '' then return end
  if waiting[string.match(child.status, '^MODEL_EXEC:AWAITING_(%u+_?%u*)$') or ''] then
    to = 'CLOSED:CANCELED'
    redis.call('ZREM', 'hr:status:' .. child.status, child.id)
    redis.call('ZREM', 'hr:queue', child.id)
    redis.call('ZADD', 'hr:status:' .. to, now, child.id)
    redis.call('HSET', child_key, 'entered_ms', text(now))
    if child.attempt ~= '1' then redis.call('ZADD', 'hr:untidy', now, child.id) end
    for _, dataset in ipairs(child.links) do redis.call('SREM', 'hr:links:' .. dataset, child.id) end
  end
  redis.call('HSET', child_key, 'desired', 'CANCEL', 'status', to, 'version', text(child.version))
  history_entry(child.id, {txn = args.txn, by = args.role, event = 'CANCEL', from = child.status,
    to = to, attempt = tonumber(child.attempt), cause = 'CANCELED',
    detail = 'the last job that waited for it has left'}, child.version)
  hint('kind', 'job', 'job', child.id, 'from', child.status, 'to', to,
    'version', text(child.version), 'attempt', child.attempt)
end

local free, taken = {}, {}
local function line(node)
  if not free[node] and expect('hr:held:' .. node, 'hash') and expect('hr:free:' .. node, 'hash') then
    local cpus, memory, counted = amount(redis.call('HGET', 'hr:free:' .. node, 'room'))
    if cpus then free[node] = {cpus, memory, counted} end
  end
  return free[node]
end
-- Of what a node offers by the piece no more is given than is free; the rest is the admin's word.
local function lacks_pieces(node, room, wanted)
  if not next(wanted) or not expect('hr:node:' .. node, 'hash') then return false end
  local offered = pieces(redis.call('HGET', 'hr:node:' .. node, 'generic') or '') or {}
  for name, count in pairs(wanted) do
    if offered[name] and (room[name] or 0) < count then return true end
  end
  return false
end
for _, share in ipairs(args.takes) do
  share.counted = pieces(share.generic or '') or error('pieces of a share: ' .. share.generic)
  if taken[share.node] then error('an attempt takes one share of node ' .. share.node) end
  taken[share.node] = true
  local room = line(share.node)
  if not room then
    object('NO_ROOM', share.node)
  elseif room[1] < share.millicpus or room[2] < share.memory_bytes
    or lacks_pieces(share.node, room[3], share.counted) then
    object('NO_ROOM', share.node)
  else
    room[1], room[2] = room[1] - share.millicpus, room[2] - share.memory_bytes
    add_pieces(room[3], share.counted, -1)
  end
end
local given_back, back, millicpus = {}, {}, 0
for _, node in ipairs(args.returns) do
  local room = line(node)
  local cpus, memory, counted = nil, nil, nil
  if not back[node] and expect('hr:held:' .. node, 'hash') then
    cpus, memory, counted = amount(redis.call('HGET', 'hr:held:' .. node, run))
  end
  if cpus then
    given_back[#given_back + 1] = node
    back[node] = true
    millicpus = millicpus + cpus
    if room then
      room[1], room[2] = room[1] + cpus, room[2] + memory
      add_pieces(room[3], counted, 1)
    end
  end
end
-- What the shares were used for counts for the owner on the day they come back.
local used_key, used, owner = 'hr:used:' .. day_of(now), 0, now_at[10] or ''
if millicpus > 0 and tonumber(now_at[11] or '') and expect(used_key, 'hash') then
  local before = tonumber(redis.call('HGET', used_key, owner) or '0')
  if not before then object('WRONG_TYPE', used_key .. ' holds no number for ' .. owner) end
  used = millicpus * math.max(now - tonumber(now_at[11]), 0)
  used = before and used > 0 and math.min(before + used, 2 ^ 53) or 0
end
-- What a node holds of an array comes back with its share.
local array = #given_back > 0 and read_array(id) or nil
if array and not problem then
  local open, before = #array.leases, array.waiting
  for _, node in ipairs(given_back) do give_back(array, node, args.attempt) end
  array.moved = #array.leases < open
  array.more = array.waiting > before
end
-- A node that has come back answers for its attempts itself, and must not be given up unheard.
for _, node in ipairs(args.lost) do
  if expect('hr:node:' .. node, 'hash')
    and redis.call('HGET', 'hr:node:' .. node, 'state') ~= 'LOST' then
    object('STALE', 'node ' .. node .. ' is not lost any more')
  end
end
for _, node in ipairs(args.confirmed) do
  if expect('hr:node:' .. node, 'hash')
    and redis.call('HGET', 'hr:node:' .. node, 'confirmed') ~= '1' then
    object('STALE', 'node ' .. node .. ' is not confirmed to be lost any more')
  end
end
local agents = {}
for _, item in ipairs(args.work) do
  expect('hr:work:' .. item.node, 'hash')
  agents[#agents + 1] = item.node
end
for _, node in ipairs(args.forgets) do
  expect('hr:work:' .. node, 'hash')
  agents[#agents + 1] = node
end
for _, item in ipairs(args.consumes) do expect('hr:facts:' .. item.node, 'hash') end
local function linked(fulfilments)
  local found = {}
  if not fulfilments or fulfilments == '' then return found end
  for _, fulfilment in ipairs(cjson.decode(fulfilments).fulfilments) do
    for _, dataset in ipairs(fulfilment.datasets) do
      expect('hr:links:' .. dataset, 'set')
      found[#found + 1] = dataset
    end
  end
  return found
end
local old_links = args.final and linked(now_at[5]) or {}
local awaited = {}
if args.final then
  for other in string.gmatch(now_at[8] or '', '%S+') do
    expect('hr:dependents:' .. other, 'set')
    awaited[#awaited + 1] = other
  end
end
for _, dataset in ipairs(args.links) do
  expect('hr:links:' .. dataset, 'set')
  if expect('hr:dataset:' .. dataset, 'hash')
    and redis.call('HGET', 'hr:dataset:' .. dataset, 'state') ~= 'SEALED' then
    object('TOMBSTONED', dataset)
  end
end
local born, joined, children = {}, {}, {}
for _, child in ipairs(args.children) do
  local new, known = child.new, nil
  check_new_job(new)
  if expect('hr:derivation:' .. child.key, 'string') then
    known = redis.call('GET', 'hr:derivation:' .. child.key)
  end
  local there = {}
  if known and expect('hr:job:' .. known, 'hash') then
    there = redis.call('HMGET', 'hr:job:' .. known, 'status', 'parents')
  end
  if there[1] and not string.find(there[1], '^CLOSED:') then
    joined[#joined + 1] = {id = known, parents = there[2] .. ' ' .. id}
    children[#children + 1] = known
  else
    born[#born + 1] = child
    children[#children + 1] = new.id
  end
end
-- Leaving AWAITING_DERIVATION: each child loses this parent, and the last one out cancels it.
local left = {}
if args.status == 'MODEL_EXEC:AWAITING_DERIVATION' and args.to ~= args.status then
  for child in string.gmatch(now_at[6] or '', '%S+') do
    local there = {}
    if expect('hr:job:' .. child, 'hash') and expect('hr:history:' .. child, 'list') then
      there = redis.call('HMGET', 'hr:job:' .. child, 'status', 'parents', 'version', 'attempt',
        'fulfilments')
    end
    if there[1] and not string.find(there[1], '^CLOSED:') then
      local parents = {}
      for parent in string.gmatch(there[2], '%S+') do
        if parent ~= id then parents[#parents + 1] = parent end
      end
      expect('hr:status:' .. there[1], 'zset')
      expect('hr:status:CLOSED:CANCELED', 'zset')
      left[#left + 1] = {id = child, parents = table.concat(parents, ' '), status = there[1],
        version = tonumber(there[3]) + 1, attempt = there[4], links = linked(there[5])}
    end
  end
end
for _, seal in ipairs(args.seals) do
  expect('hr:dataset:' .. seal.id, 'hash')
  expect(seal.index, 'set')
  expect('hr:names', 'hash')
  expect('hr:unmarked', 'zset')
  expect('hr:stored', 'hash')
end
-- An attempt collects in AWAITING_COLLECTION; what it put into the store there is sealed, or it
-- leaves by STOPPING.
-- A checkpoint is shipped while the attempt runs, too.
local untidy = args.final and (string.find(now_at[7] or '', 'checkpoint', 1, true)
  or (string.find(now_at[7] or '', 'collection', 1, true)
    and (args.attempt > 1 or args.status == 'MODEL_EXEC:STOPPING' or args.status == 'CLOSED:STOPPED')))
if problem then return problem end

-- Writes. At maxmemory a script that begins with ZREM may finish, one that begins with HSET may not.
local version = args.version + 1
if args.grows then
  redis.call('HSET', key, 'version', text(version))
  redis.call('ZREM', 'hr:status:' .. args.status, id)
else
  redis.call('ZREM', 'hr:status:' .. args.status, id)
  redis.call('HSET', key, 'version', text(version))
end
redis.call('ZREM', 'hr:queue', id)
local fields = {'status', args.to}
local function put(name, value)
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end
if args.to ~= args.status then put('entered_ms', text(now)) end
if queued or args.set.desired == 'RUN' then put('eligible_ms', text(eligible_ms)) end
if args.set.desired == 'HOLD' then put('held_ms', text(now)) end
for name, value in pairs(args.set) do put(name, value) end
local attempt = args.attempt
if #args.takes > 0 then put('taken_ms', text(now)) end
if args.opens then
  attempt = attempt + 1
  put('attempt', text(attempt))
end
redis.call('HSET', key, unpack(fields))
local entered = redis.call('HGET', key, 'entered_ms')
redis.call('ZADD', 'hr:status:' .. args.to, entered, id)
if queued then redis.call('ZADD', 'hr:queue', text(rank_of(eligible_ms, priority)), id) end
for _, share in ipairs(args.takes) do
  redis.call('HSET', 'hr:held:' .. share.node, run,
    written(share.millicpus, share.memory_bytes, share.counted))
end
for _, node in ipairs(given_back) do redis.call('HDEL', 'hr:held:' .. node, run) end
if used > 0 then
  redis.call('HSET', used_key, owner, text(used))
  redis.call('EXPIRE', used_key, 100 * 86400)
end
if array and array.moved then write_array(array) end
if array and array.more then array_hint(array, id) end
for node, room in pairs(free) do
  redis.call('HSET', 'hr:free:' .. node, 'room', written(room[1], room[2], room[3]))
end
if args.attempt_set and next(args.attempt_set) then
  local record = {}
  for name, value in pairs(args.attempt_set) do
    record[#record + 1] = name
    record[#record + 1] = value
  end
  redis.call('HSET', attempt_key, unpack(record))
end
for _, item in ipairs(args.work) do redis.call('HSET', 'hr:work:' .. item.node, run, item.record) end
for _, node in ipairs(args.forgets) do redis.call('HDEL', 'hr:work:' .. node, run) end
for _, item in ipairs(args.consumes) do redis.call('HDEL', 'hr:facts:' .. item.node, item.field) end
if untidy then redis.call('ZADD', 'hr:untidy', now, id) end
for _, dataset in ipairs(old_links) do redis.call('SREM', 'hr:links:' .. dataset, id) end
for _, other in ipairs(awaited) do redis.call('SREM', 'hr:dependents:' .. other, id) end
for _, dataset in ipairs(args.links) do redis.call('SADD', 'hr:links:' .. dataset, id) end
for _, child in ipairs(born) do
  add_job(child.new)
  redis.call('HSET', 'hr:job:' .. child.new.id, 'derivation', child.key)
  redis.call('SET', 'hr:derivation:' .. child.key, child.new.id)
end
for _, child in ipairs(joined) do
  redis.call('HSET', 'hr:job:' .. child.id, 'parents', child.parents)
end
if #children > 0 then redis.call('HSET', key, 'children', table.concat(children, ' ')) end
for _, child in ipairs(left) do leave(child) end
for _, seal in ipairs(args.seals) do
  redis.call('HSET', 'hr:dataset:' .. seal.id, 'state', 'SEALED', 'doc', seal.doc)
  redis.call('SADD', seal.index, seal.id)
  redis.call('HSET', 'hr:names', seal.name, seal.id, seal.versioned, seal.id)
  redis.call('ZADD', 'hr:unmarked', now, seal.id)
  count_bytes(seal.id, seal.held.owner, seal.held.bytes)
  hint('kind', 'dataset', 'dataset', seal.id, 'state', 'SEALED')
end
-- What the run tells of others: the newest `kept` under each key, and the newest `most` keys.
if learns then
  for _, like in ipairs(learns.keys) do
    local runs = {}
    for run_text in string.gmatch(redis.call('HGET', 'hr:estimates', like) or '', '%S+') do
      runs[#runs + 1] = run_text
    end
    runs[#runs + 1] = learns.run
    redis.call('HSET', 'hr:estimates', like,
      table.concat(runs, ' ', math.max(1, #runs - learns.kept + 1)))
    redis.call('ZADD', 'hr:estimates:age', now, like)
  end
  local over = redis.call('ZCARD', 'hr:estimates:age') - learns.most
  if over > 0 then
    local old = redis.call('ZPOPMIN', 'hr:estimates:age', over)
    for i = 1, #old, 2 do redis.call('HDEL', 'hr:estimates', old[i]) end
  end
end
history_entry(id, args.entry, version)
hint('kind', 'job', 'job', id, 'from', args.status, 'to', args.to, 'version', text(version),
  'attempt', text(attempt), 'agents', table.concat(agents, ' '))
commit()
return {'OK', text(version)}
