-- What counts as used of the limits of one organization, for all gateways: the rule of
-- `mainstay-core`, `rules/lease/book.rs`, word for word. Numbers are whole and below 2^53.
--
-- KEYS[1]: the last message of this node. KEYS[2] and on: one for each ask.
-- ARGV: the message's number, how many nodes there are, the node; then each ask:
--   'r', limit, room, back, age, spent, need, want, count, floor   (microseconds of the rate)
--   'p', limit, in_use, need, want, life                      (calls at once)
-- Answer: the time, then three numbers for each ask; or -1 and the number of the last message.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local DEBT_MAX = 1125899906842624
local KEPT_MS = 172800000 -- 48 h: what is forgotten is a full bucket
local SEEN_MS = 600000
local SLOTS, SLOT = 8, 125000 -- the least that counted as used, of each eighth of a second

local number, nodes, node = tonumber(ARGV[1]), math.max(1, tonumber(ARGV[2])), ARGV[3]
local seen = tonumber(redis.call('GET', KEYS[1]) or '0')
if number <= seen then
  return {-1, seen}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', SEEN_MS)

-- What counted as used before anything was granted, of the slots that are kept: the present one first.
local function note(lows, slot, debt)
  local present = math.max(slot, math.floor(now / SLOT))
  local passed = math.min(present - slot, SLOTS)
  for i = SLOTS, 1, -1 do
    lows[i] = i > passed and lows[i - passed] or DEBT_MAX
  end
  lows[1] = math.min(lows[1], debt)
  return present
end

-- What was given back so long ago counts as far as there was as much all the time since.
local function worth(lows, back, age)
  local slots = math.floor(age / SLOT) + 2
  for i = 1, math.min(slots, SLOTS) do
    back = math.min(back, lows[i])
  end
  if slots > SLOTS then
    back = 0
  end
  for i = 1, SLOTS do
    lows[i] = math.max(0, lows[i] - back)
  end
  return back
end

local function rate(key, limit, room, back, age, spent, need, want, count, floor)
  local at, debt, old, n, slot, lows = 0, 0, 0, 0, 0, {0, 0, 0, 0, 0, 0, 0, 0}
  local kept = redis.call('GET', key)
  if kept then
    local all = {}
    for word in string.gmatch(kept, '%d+') do
      all[#all + 1] = tonumber(word)
    end
    at, debt, old, n, slot = all[1], all[2], all[3], all[4], all[5]
    for i = 1, SLOTS do
      lows[i] = all[5 + i]
    end
  end
  debt = math.max(0, debt - math.max(0, now - at))
  slot = note(lows, slot, debt)
  if old ~= limit and old ~= 0 and debt > 0 then
    debt = math.floor(math.min(debt * old / math.max(1, limit), DEBT_MAX)) + 1
    debt = math.min(debt, DEBT_MAX)
    lows[1] = 0
  end
  if n < count then
    debt = math.max(debt, floor)
    n = count
  end
  n = n + 1
  debt = math.max(0, debt - worth(lows, back, age)) + spent
  local fits, granted = math.max(0, room - need), 0
  if debt <= fits then
    local more = math.max(0, want - need)
    granted = need + math.min(more, math.floor((fits - debt) / nodes))
  end
  debt = math.min(debt + granted, DEBT_MAX)
  local all = {now, debt, limit, n, slot, unpack(lows)}
  redis.call('SET', key, string.format(string.rep('%.0f ', 5 + SLOTS), unpack(all)), 'PX', KEPT_MS)
  return granted, debt, n
end

local function places(key, limit, in_use, need, want, life)
  local others = 0
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local held, till = string.match(all[i + 1], '^(%d+) (%d+)$')
    local kept = math.min(tonumber(till), now + life)
    if kept <= now then
      redis.call('HDEL', key, all[i])
    else
      if kept ~= tonumber(till) then
        redis.call('HSET', key, all[i], string.format('%s %.0f', held, kept))
      end
      if all[i] ~= node then
        others = others + tonumber(held)
      end
    end
  end
  local room, held = math.max(0, limit - others), in_use
  if need <= room then
    held = need + math.min(math.max(0, want - need), math.floor((room - need) / nodes))
  end
  if held == 0 then
    redis.call('HDEL', key, node)
  else
    redis.call('HSET', key, node, string.format('%.0f %.0f', held, now + life))
    redis.call('PEXPIRE', key, KEPT_MS)
  end
  return held, others, 0
end

local function numbers(from, count)
  local found = {}
  for i = 1, count do
    found[i] = tonumber(ARGV[from + i])
  end
  return unpack(found)
end

local out, at = {now}, 4
for i = 2, #KEYS do
  local a, b, c
  if ARGV[at] == 'r' then
    a, b, c = rate(KEYS[i], numbers(at, 9))
    at = at + 10
  else
    a, b, c = places(KEYS[i], numbers(at, 5))
    at = at + 6
  end
  out[#out + 1], out[#out + 2], out[#out + 3] = a, b, c
end
return out
