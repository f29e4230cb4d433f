-- The tasks of an array; put behind the prelude, for the scripts that touch `hr:array:<job>`.
--
-- Fields: total, waiting, running, done, failed (counts); low (no task below it waits); lease and
-- part (the highest numbers given); leases, one open lease a line "<number> <node> <attempt> <lo>
-- <hi>" with the newest last; c<k>, the states of 768 tasks, 2 bits each, three in a letter of
-- base 64 (a chunk that is not there waits); f<i> "<tries> <cause> <exit code or -> <detail>";
-- p<n> "<digest> <lo>-<hi>,…". `hi` is not included.
-- A running task belongs to the newest open lease that covers it (headrace_model/array.py).
local WAITING, RUNNING, DONE, FAILED = 0, 1, 2, 3
local COUNTED = {[0] = 'waiting', 'running', 'done', 'failed'}
local CHUNK, LETTERS = 768, 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
local ARRAY_NUMBERS = {'total', 'waiting', 'running', 'done', 'failed', 'low', 'lease', 'part'}

-- Reads the record of a job; nil where it has none, or with an objection where it is damaged.
local function read_array(job)
  local key = 'hr:array:' .. job
  if not expect(key, 'hash') then return nil end
  local found = redis.call('HMGET', key, 'leases', unpack(ARRAY_NUMBERS))
  if not found[2] then return nil end
  local array = {key = key, leases = {}, chunks = {}, changed = {}, set = {}}
  for place, name in ipairs(ARRAY_NUMBERS) do
    array[name] = tonumber(found[place + 1])
    if not array[name] then return object('WRONG_TYPE', key .. ' holds no number ' .. name) end
  end
  for line in string.gmatch(found[1] or '', '[^\n]+') do
    local number, node, attempt, lo, hi = string.match(line, '^(%d+) (%S+) (%d+) (%d+) (%d+)$')
    if not number then return object('WRONG_TYPE', key .. ' holds no lease: ' .. line) end
    array.leases[#array.leases + 1] = {number = tonumber(number), node = node,
      attempt = tonumber(attempt), lo = tonumber(lo), hi = tonumber(hi)}
  end
  return array
end

local function array_chunk(array, number)
  local chunk = array.chunks[number]
  if chunk then return chunk end
  chunk = {}
  local letters = redis.call('HGET', array.key, 'c' .. text(number))
  for place = 1, CHUNK / 3 do
    local value = letters and string.find(LETTERS, string.sub(letters, place, place), 1, true) or 1
    value = value - 1
    chunk[#chunk + 1] = value % 4
    chunk[#chunk + 1] = math.floor(value / 4) % 4
    chunk[#chunk + 1] = math.floor(value / 16)
  end
  array.chunks[number] = chunk
  return chunk
end

local function task_state(array, index)
  return array_chunk(array, math.floor(index / CHUNK))[index % CHUNK + 1]
end

local function set_task(array, index, state)
  local number = math.floor(index / CHUNK)
  local chunk = array_chunk(array, number)
  local before = COUNTED[chunk[index % CHUNK + 1]]
  array[before] = array[before] - 1
  array[COUNTED[state]] = array[COUNTED[state]] + 1
  chunk[index % CHUNK + 1] = state
  array.changed[number] = true
  if state == WAITING and index < array.low then array.low = index end
end

-- Tells whether a task runs under a lease: it is in no newer open one.
local function runs_under(array, index, lease)
  if index < lease.lo or index >= lease.hi or task_state(array, index) ~= RUNNING then
    return false
  end
  for place = #array.leases, 1, -1 do
    local other = array.leases[place]
    if other.number <= lease.number then return true end
    if index >= other.lo and index < other.hi then return false end
  end
  return true
end

-- The tasks that run under a lease, as a flat list of lo, hi, lo, hi, …
local function left_of(array, lease)
  local left = {}
  for index = lease.lo, lease.hi - 1 do
    if runs_under(array, index, lease) then
      if left[#left] == index then left[#left] = index + 1
      else left[#left + 1], left[#left + 2] = index, index + 1 end
    end
  end
  return left
end

-- A node gives back what it holds of an attempt: its unfinished tasks wait again.
local function give_back(array, node, attempt)
  for place = #array.leases, 1, -1 do
    local lease = array.leases[place]
    if lease.node == node and lease.attempt == attempt then
      for index = lease.lo, lease.hi - 1 do
        if runs_under(array, index, lease) then set_task(array, index, WAITING) end
      end
      table.remove(array.leases, place)
    end
  end
end

-- Writes what has changed; nothing in here can fail.
local function write_array(array)
  local lines, fields = {}, {}
  for _, lease in ipairs(array.leases) do
    lines[#lines + 1] = table.concat({text(lease.number), lease.node, text(lease.attempt),
      text(lease.lo), text(lease.hi)}, ' ')
  end
  for _, name in ipairs(ARRAY_NUMBERS) do array.set[name] = text(array[name]) end
  array.set.leases = table.concat(lines, '\n')
  for number in pairs(array.changed) do
    local chunk, letters = array.chunks[number], {}
    for place = 1, CHUNK, 3 do
      local value = chunk[place] + 4 * chunk[place + 1] + 16 * chunk[place + 2] + 1
      letters[#letters + 1] = string.sub(LETTERS, value, value)
    end
    array.set['c' .. text(number)] = table.concat(letters)
  end
  for name, value in pairs(array.set) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
    if #fields >= 1000 then
      redis.call('HSET', array.key, unpack(fields))
      fields = {}
    end
  end
  if #fields > 0 then redis.call('HSET', array.key, unpack(fields)) end
end

local function array_counts(array)
  return {array.total, array.waiting, array.running, array.done, array.failed}
end

local function array_hint(array, job)
  hint('kind', 'array', 'job', job, 'waiting', text(array.waiting),
    'running', text(array.running))
end
