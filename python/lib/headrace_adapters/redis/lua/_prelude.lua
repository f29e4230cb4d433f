-- Shared by every script: it is put before each file when the scripts are loaded.
--
-- A Lua error leaves earlier writes in place, so a script first reads and checks everything
-- (epoch, key types, numbers) and answers {'REFUSED', code, message} without having written;
-- only then it writes, and nothing after the first write can fail.

local args = cjson.decode(ARGV[1])

-- What an argument can be. A number must be whole and exact as a double.
local is = {}
function is.text(value) return type(value) == 'string' end
function is.flag(value) return type(value) == 'boolean' end
function is.number(value)
  return type(value) == 'number' and value % 1 == 0 and math.abs(value) <= 2 ^ 53
end
function is.list(value)
  return type(value) == 'table' and (next(value) == nil or value[1] ~= nil)
end
function is.texts(value)
  if type(value) ~= 'table' then return false end
  for name, inner in pairs(value) do
    if not is.text(inner) then return false end
  end
  return true
end

-- A wrong argument is a mistake in the program that calls: an error, raised before the first
-- write. `kinds`: name of the argument → what it is, with a '?' before it where it may be absent.
local function need(values, kinds)
  if type(values) ~= 'table' then error('an argument is a ' .. type(values)) end
  for name, kind in pairs(kinds) do
    local must = string.gsub(kind, '^%?', '')
    if not (values[name] == nil and must ~= kind) and not is[must](values[name]) then
      error('argument ' .. name .. ' is no ' .. must)
    end
  end
end

local function need_each(list, kinds)
  for _, values in ipairs(list) do need(values, kinds) end
end

local function refuse(code, message)
  return {'REFUSED', code, message}
end

-- First refusal wins; scripts return it before their first write.
local problem = nil
local function object(code, message)
  if not problem then problem = refuse(code, message) end
end

local function expect(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then
    object('WRONG_TYPE', key .. ' is a ' .. found .. ', not a ' .. kind)
    return false
  end
  return true
end

-- Keys that every script reads or writes.
need(args, {epoch = 'text'})
if expect('hr:epoch', 'string') and expect('hr:commits', 'string') then
  if redis.call('GET', 'hr:epoch') ~= args.epoch then
    object('EPOCH', 'this Redis was restored or rebuilt; read hr:epoch again')
  end
  -- INCR takes whole numbers below 2^63 only.
  local count = redis.call('GET', 'hr:commits') or '0'
  if not string.find(count, '^%d+$') or #count > 18 then
    object('WRONG_TYPE', 'hr:commits holds no count')
  end
end
expect('hr:events', 'stream')

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function text(number)
  return string.format('%.0f', number)
end

local function hint(...)
  redis.call('XADD', 'hr:events', 'MINID', '~', text(now - 3600000), '*', ...)
end

-- At maxmemory Redis refuses a script whose first write may need memory, and lets it go on once
-- it has written. What keeps leaders and nodes alive, or finishes work, begins with this write,
-- which removes nothing: no hash has a field without a name.
local function begin_at_maxmemory(hash)
  redis.call('HDEL', hash, '')
end

local function commit()
  return redis.call('INCR', 'hr:commits')
end

-- The refusal of new work while an admin keeps it away, or nil.
local function closed_for_new_work()
  if not expect('hr:maintenance', 'hash') then return problem end
  local sentence = redis.call('HGET', 'hr:maintenance', 'sentence')
  return sentence and refuse('MAINTENANCE', sentence)
end

-- A leader's term; roles without a lease pass none.
local function check_term(role, term)
  if not term then return end
  if expect('hr:lease:' .. role, 'hash') then
    if redis.call('HGET', 'hr:lease:' .. role, 'term') ~= text(term) then
      object('TERM', 'another ' .. role .. ' leads now')
    end
  end
end

local function check_incarnation(node, incarnation)
  if expect('hr:node:' .. node, 'hash') then
    if redis.call('HGET', 'hr:node:' .. node, 'incarnation') ~= incarnation then
      object('INCARNATION', 'another agent serves node ' .. node .. ' now')
    end
  end
end

-- "gpus=2 licence_x=1" as a table of numbers by name, or nil.
local function pieces(value)
  local found = {}
  for word in string.gmatch(value or '', '%S+') do
    local name, count = string.match(word, '^([%w._-]+)=(-?%d+)$')
    if not name then return nil end
    found[name] = tonumber(count)
  end
  return found
end

-- "millicpus memory_bytes", and pieces where there are some, as two numbers and a table; or nil.
local function amount(value)
  if not value then return nil end
  local cpus, memory, rest = string.match(value, '^(-?%d+) (-?%d+)(.*)$')
  local counted = cpus and pieces(rest)
  if not counted then return nil end
  return tonumber(cpus), tonumber(memory), counted
end

local function add_pieces(counted, others, sign)
  for name, count in pairs(others) do counted[name] = (counted[name] or 0) + sign * count end
end

local function written(cpus, memory, counted)
  local names, line = {}, text(cpus) .. ' ' .. text(memory)
  for name, count in pairs(counted) do
    if count ~= 0 then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do line = line .. ' ' .. name .. '=' .. text(counted[name]) end
  return line
end

-- The free ledger line of a node, rebuilt from its capacity and what attempts hold there;
-- nil, with an objection, where a share is damaged. What attempts hold by the piece and the node
-- does not offer (an admin said that it is there) is below nothing.
local function rebuilt_line(node, cpus, memory, counted)
  for _, share in ipairs(redis.call('HVALS', 'hr:held:' .. node)) do
    local c, m, g = amount(share)
    if not c then return object('WRONG_TYPE', 'hr:held:' .. node .. ' holds no share: ' .. share) end
    cpus, memory = cpus - c, memory - m
    add_pieces(counted, g, -1)
  end
  return written(cpus, memory, counted)
end

-- The state of a node that is served, by two flags of its hash: '1' or not.
local function served_state(drained, full)
  if drained == '1' then return 'DRAINED' end
  return full == '1' and 'FULL' or 'UP'
end

-- Write or remove the ledger line of a node by its state: only one that is UP offers room, and no
-- `line` at all: one that its agent has left offers none.
local function offer(node, state, line)
  if state == 'UP' and line then
    redis.call('HSET', 'hr:free:' .. node, 'room', line)
  else
    redis.call('HDEL', 'hr:free:' .. node, 'room')
  end
end

local function history_entry(id, entry, version)
  entry.at, entry.version = now, version
  redis.call('RPUSH', 'hr:history:' .. id, cjson.encode(entry))
end

-- The place of a job in hr:queue: when it could have started first, an hour earlier for each point
-- of priority (headrace_model/priority.py).
local function rank_of(eligible_ms, priority)
  return eligible_ms - priority * 3600000
end

-- When a job that joins hr:queue now could start first: at start_not_before, where that is later.
-- Inside a text of `ask` quotes are escaped, so that no name is taken for the field.
local function eligible_now(ask)
  return math.max(now, tonumber(string.match(ask, '"not_before_ms":(%d+)') or '0'))
end

-- Checks for add_job; `new` = {id, fields, entries, status, tasks (of an array)}.
local function check_new_job(new)
  need(new, {id = 'text', status = 'text', fields = 'texts', entries = 'list', tasks = '?number'})
  if new.tasks then
    if new.tasks < 1 then error('an array has a task at least') end
    expect('hr:array:' .. new.id, 'hash')
  end
  if not string.find(new.fields.priority or '', '^%d%d?%d?$') then
    error('the priority of job ' .. new.id .. ' is no number')
  end
  if not new.fields.ask then error('job ' .. new.id .. ' asks for nothing') end
  for _, entry in ipairs(new.entries) do
    if type(entry) ~= 'table' then error('an entry of the history is a ' .. type(entry)) end
  end
  expect('hr:job:' .. new.id, 'hash')
  expect('hr:history:' .. new.id, 'list')
  expect('hr:status:' .. new.status, 'zset')
  if new.status == 'MODEL_EXEC:AWAITING_ALLOCATION' then expect('hr:queue', 'zset') end
end

-- Writes a job whose keys were checked; begins with HSET, which a full Redis refuses.
local function add_job(new)
  local fields = {'created_ms', text(now), 'entered_ms', text(now)}
  for name, value in pairs(new.fields) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  local queued = new.status == 'MODEL_EXEC:AWAITING_ALLOCATION'
  local eligible_ms = queued and eligible_now(new.fields.ask)
  if queued then
    fields[#fields + 1] = 'eligible_ms'
    fields[#fields + 1] = text(eligible_ms)
  end
  redis.call('HSET', 'hr:job:' .. new.id, unpack(fields))
  for _, entry in ipairs(new.entries) do history_entry(new.id, entry, 1) end
  if new.tasks then
    redis.call('HSET', 'hr:array:' .. new.id, 'total', text(new.tasks), 'waiting', text(new.tasks),
      'running', '0', 'done', '0', 'failed', '0', 'low', '0', 'lease', '0', 'part', '0')
  end
  redis.call('ZADD', 'hr:status:' .. new.status, now, new.id)
  if queued then
    redis.call('ZADD', 'hr:queue', text(rank_of(eligible_ms, tonumber(new.fields.priority))), new.id)
  end
  hint('kind', 'job', 'job', new.id, 'from', '', 'to', new.status, 'version', '1', 'attempt', '1')
end
