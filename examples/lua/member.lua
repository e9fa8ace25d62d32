#!/usr/bin/env lua5.4
-- A member of a network: prints what it hears as JSON lines and publishes what it is told, one line a
-- message. `/peers`, `/stats` and `/quit` are commands (the line protocol of `karakp2p node --json`).
--
--     member.lua --topic news --listen /ip4/127.0.0.1/tcp/0 --bootstrap /ip4/…/tcp/…/p2p/…
local karakp2p = require "karakp2p"

local config, topic = { listen = {}, bootstrap = {}, topic = {} }, nil
for i = 1, #arg do
  local list = config[arg[i]:match "^%-%-(%a+)$"]
  if list then
    list[#list + 1] = arg[i + 1]
  end
end
topic = config.topic[1]

-- Lua has no JSON and no base64 of its own
local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

local function list(items)
  local quoted = {}
  for i, item in ipairs(items) do
    quoted[i] = quote(item)
  end
  return "[" .. table.concat(quoted, ",") .. "]"
end

local function base64(bytes)
  local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  return (bytes:gsub("..?.?", function(three)
    local a, b, c = three:byte(1, 3)
    local n = a << 16 | (b or 0) << 8 | (c or 0)
    local text = ""
    for shift = 18, 0, -6 do
      local digit = (n >> shift & 63) + 1
      text = text .. digits:sub(digit, digit)
    end
    return text:sub(1, #three + 1) .. ("="):rep(3 - #three)
  end))
end

local function say(event, members)
  print(('{"event":%s%s}'):format(quote(event), members and "," .. members or ""))
  io.stdout:flush()
end

local node <close> = karakp2p.open(config)
local quit = false

local function peers()
  local connected, mesh, subscribers = {}, {}, {}
  for peer, topics, meshes in node:peers():gmatch '"peer":"([^"]+)".-"topics":%[(.-)%],"mesh":%[(.-)%]' do
    connected[#connected + 1] = peer
    mesh[#mesh + 1] = meshes:find(quote(topic), 1, true) and peer
    subscribers[#subscribers + 1] = topics:find(quote(topic), 1, true) and peer
  end
  say("peers", ('"connected":%s,"mesh":%s,"subscribers":%s'):format(list(connected), list(mesh), list(subscribers)))
end

local function stats()
  local parts = {}
  for name, value in pairs(node:stats()) do
    parts[#parts + 1] = quote(name) .. ":" .. value
  end
  say("stats", table.concat(parts, ","))
end

local function obey(line)
  if line == nil or line == "/quit" then
    quit = line ~= nil
  elseif line == "/peers" then
    peers()
  elseif line == "/stats" then
    stats()
  else
    local fate = node:publish_confirm(topic, (line:gsub("^/", "")))
    say("published", '"id":' .. quote(fate.id))
  end
end

say("listening", ('"peer":%s,"addrs":%s'):format(quote(node:peer_id()), list(node:addresses())))
io.stdin:setvbuf "no" -- so that what is left in it can be seen from outside
while not quit do
  local ready = karakp2p.core.readable(0, node:fd(), -1) -- a signal ends it too: Lua sees to that
  if ready & 1 ~= 0 then
    local line = io.read "l"
    local ok, e = pcall(obey, line)
    if not ok then
      say("error", ('"what":%s,"why":%s'):format(quote(line or ""), quote(tostring(e))))
    end
  end
  for _, m in ipairs(ready & 2 ~= 0 and node:recv_batch(256, 0) or {}) do
    say("message", ('"topic":%s,"from":%s,"via":%s,"id":%s,"seqno":"%d","size":%d,"data":"%s"'):format(
      quote(m.topic), quote(m.source), quote(m.via), quote(m.id), m.seq or 0, #m.data, base64(m.data)))
  end
end
node:close()
say "closed"
