-- Rates across the boundary of the Lua binding; see bench/swig.py.
local karakp2p = require "karakp2p"

local n, pad = tonumber(arg[1]), ("x"):rep(194)
local function quick(more)
  more.listen, more["kad.mode"] = "/ip4/127.0.0.1/tcp/0", "off"
  return more
end
local one = karakp2p.open(quick {})
local two = karakp2p.open(quick { topic = "bench", bootstrap = one:addresses() })
repeat until one:peers():find '"bench"'

local function rate(count, work)
  local start = karakp2p.core.now_ms()
  work()
  return math.floor(count / math.max(1, karakp2p.core.now_ms() - start) * 1000)
end

local publish = rate(n, function()
  for i = 1, n do
    one:publish("bench", ("%d"):format(i) .. pad)
  end
end)
repeat until two:stats().inbox_messages >= n
local single = rate(n // 2, function()
  for _ = 1, n // 2 do
    two:recv()
  end
end)
local got = n // 2
local batch = rate(n // 2, function()
  while got < n do
    got = got + #two:recv_batch(256)
  end
end)
print(('{"publish":%d,"recv":%d,"batch":%d}'):format(publish, single, batch))
