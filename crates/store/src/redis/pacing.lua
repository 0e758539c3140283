-- What several gateways want of one upstream account: the rule of `mainstay-core`,
-- `rules/lease/parts.rs`, word for word. Numbers are whole and below 2^53.
--
-- KEYS[1]: what they told. ARGV: this node, for how many microseconds its word holds, then its seven numbers.
-- Answer: how many others there are, the calls of those before this node, the time in seconds, the sums of
-- the others' seven numbers, and of the fifth and sixth how many are not 0. Version 1 knew six of them and the
-- same key: what it tells lacks the last, and it leaves the last of others out.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local NUMBERS, KNOWN_FROM, KNOWN, NODES_MAX = 7, 4, 2, 4096
local key, node, life = KEYS[1], ARGV[1], tonumber(ARGV[2])

local nodes, before, sums, known = 0, 0, {}, {}
for i = 1, NUMBERS do sums[i] = 0 end
for i = 1, KNOWN do known[i] = 0 end

local all, there, mine = redis.call('HGETALL', key), 0, false
for i = 1, #all, 2 do
  local numbers = {}
  for number in string.gmatch(all[i + 1], '%d+') do numbers[#numbers + 1] = tonumber(number) end
  local till = numbers[1]
  if till <= now or till > now + life then
    redis.call('HDEL', key, all[i])
  else
    there = there + 1
    if all[i] == node then
      mine = true
    else
      nodes = nodes + 1
      if all[i] < node then before = before + numbers[4] end
      for j = 1, NUMBERS do sums[j] = sums[j] + (numbers[j + 1] or 0) end
      for j = 1, KNOWN do
        if numbers[KNOWN_FROM + j + 1] > 0 then known[j] = known[j] + 1 end
      end
    end
  end
end

if tonumber(ARGV[3]) == 0 and tonumber(ARGV[4]) == 0 and tonumber(ARGV[5]) == 0 then
  redis.call('HDEL', key, node)
elseif mine or there < NODES_MAX then
  local told = {string.format('%.0f', now + life)}
  for i = 1, NUMBERS do told[i + 1] = ARGV[i + 2] end
  redis.call('HSET', key, node, table.concat(told, ' '))
  redis.call('PEXPIRE', key, 2 * math.ceil(life / 1000))
end

local out = {nodes, before, math.floor(now / 1000000)}
for i = 1, NUMBERS do out[#out + 1] = sums[i] end
for i = 1, KNOWN do out[#out + 1] = known[i] end
return out
