--- KarakP2P for Lua 5.4: publish-subscribe and a DHT over libp2p.
--
--     local karakp2p = require "karakp2p"
--     local node <close> = karakp2p.open { topic = "news", listen = "/ip4/0.0.0.0/tcp/0" }
--     node:publish("news", "hello")
--     for message in node:messages() do
--       print(message.source, message.data)
--     end
--
-- Times are seconds (nil: no limit). What fails raises an error object {code, name, message}; as text
-- it is its message. Ctrl-C ends a wait. A node belongs to one Lua state.
local core = require "karakp2p_core"

local karakp2p = { core = core }

local INBOX = 1 -- of topics without a subscription of their own; 0 is for answers and reports
local DIRECT_MAX = 65536 -- direct messages that may wait, as inbox.max_messages by default
local HEAD = "<I4I2I2I2I2i4i8i8i8i8I4I4I4I4I4I4I4I4I4I4"
local MISSING = 0xffffffff
local NO_SEQ, MORE = core.FLAG_NO_SEQ, core.FLAG_MORE -- a look into core is a call of C

-- --- errors ---------------------------------------------------------------------------------------

local NAMES = {} -- code to name
for _, name in ipairs { "EINTERNAL", "EINVAL", "ENOMEM", "EAGAIN", "ETIMEDOUT", "EINTR", "ECLOSED",
  "ECANCELED", "EFORKED", "ESTATE", "ENOTFOUND", "ETOOBIG", "EDUPLICATE", "ENOPEERS", "EEXPIRED",
  "EUNREACHABLE", "EPROTO", "EADDRINUSE", "EACCES", "ELIMIT", "ENOTSUP", "EPEERID" } do
  NAMES[core[name]] = name
end
karakp2p.NAMES = NAMES

-- The wrapper's errors have this metatable too: it is one table, made when the module was loaded.
local Error = core.error_metatable()
Error.__tostring = function(e) return e.message end
Error.__index = function(e, field)
  if field == "name" then
    return NAMES[rawget(e, "code")] or ("E%d"):format(-rawget(e, "code"))
  end
end
Error.__name = "karakp2p.Error"

local function raise(code, text)
  error(setmetatable({ code = code, message = text }, Error), 0)
end

--- Whether it is an error of this library, and one of that code if given (as "ECLOSED").
function karakp2p.is_error(e, name)
  return getmetatable(e) == Error and (name == nil or e.name == name)
end

--- Runs f; nil when it ends with that error.
local function except(name, f, ...)
  local result = table.pack(pcall(f, ...))
  if result[1] then
    return table.unpack(result, 2, result.n)
  end
  if not karakp2p.is_error(result[2], name) then
    error(result[2], 0)
  end
end

-- --- arguments ------------------------------------------------------------------------------------

local function text(value, name)
  if type(value) ~= "string" then
    raise(core.EINVAL, ("%s: a string, not %s"):format(name, type(value)))
  end
  if not utf8.len(value) then
    raise(core.EINVAL, name .. ": no text in UTF-8")
  end
  return value
end

local function bytes(value, name)
  if type(value) ~= "string" then
    raise(core.EINVAL, ("%s: a string, not %s"):format(name, type(value)))
  end
  return value
end

--- Milliseconds for the C library: rounded up, -1 for no limit.
local function ms(seconds)
  if seconds == nil then
    return -1
  end
  if type(seconds) ~= "number" or not (seconds >= 0) then
    raise(core.EINVAL, "timeout: seconds, 0 or more, or nil for no limit")
  end
  return math.ceil(math.min(seconds, 2000000) * 1000)
end

--- A function that tells the milliseconds left: -1 for no limit, 0 when it has passed.
local function deadline(seconds)
  local limit = ms(seconds)
  if limit < 0 then
    return function() return -1 end
  end
  local at = core.now_ms() + limit
  return function() return math.max(0, at - core.now_ms()) end
end

-- --- messages -------------------------------------------------------------------------------------

local Message = {}
Message.__index = Message
Message.__name = "karakp2p.Message"

--- The field of that length, and where the next one begins.
local function field(packed, from, len)
  if len == MISSING then
    return nil, from
  end
  return packed:sub(from, from + len - 1), from + len
end

--- One event of a packed batch, and its size. Written out, because it is what every message costs.
local function unpack_event(packed, at, owner)
  local size, head, type, flags, inbox, code, token, seq, time_ns, count, topic, data, source, via, id,
    protocol, addr, key, value, text = string.unpack(HEAD, packed, at)
  local from = at + head
  topic, from = field(packed, from, topic)
  data, from = field(packed, from, data)
  source, from = field(packed, from, source)
  via, from = field(packed, from, via)
  id, from = field(packed, from, id)
  protocol, from = field(packed, from, protocol)
  addr, from = field(packed, from, addr)
  key, from = field(packed, from, key)
  value, from = field(packed, from, value)
  text = field(packed, from, text)
  return setmetatable({ node = owner, type = type, inbox = inbox, code = code, token = token,
    seq = flags & NO_SEQ == 0 and seq or nil, time_ns = time_ns, count = count,
    more = flags & MORE ~= 0, topic = topic, data = data, source = source, via = via, id = id,
    protocol = protocol, addr = addr, key = key, value = value, text = text }, Message), size
end

--- All events of a packed batch (kp2p_node_poll_packed).
local function unpack_events(packed, owner)
  local events, at, size = {}, 1, nil
  while at <= #packed do
    events[#events + 1], size = unpack_event(packed, at, owner)
    at = at + size
  end
  return events
end

local function verdict(message, which)
  if message.type ~= core.EV_VALIDATE then
    return false
  end
  local ok, e = pcall(message.node.core.verdict, message.node.core, message.token, which)
  if not ok and not (karakp2p.is_error(e, "ENOTFOUND") or karakp2p.is_error(e, "ECLOSED")) then
    error(e, 0)
  end
  return ok
end

--- Verdicts on a message of a validated topic: forward it; do not, and count it against the sender;
-- do not. False when it needs none, or it is too late.
function Message:accept() return verdict(self, core.VERDICT_ACCEPT) end
function Message:reject() return verdict(self, core.VERDICT_REJECT) end
function Message:ignore() return verdict(self, core.VERDICT_IGNORE) end

-- --- a queue of one batch -------------------------------------------------------------------------

local function queue()
  return { first = 1, last = 0 }
end

local function push(q, value)
  q.last = q.last + 1
  q[q.last] = value
end

local function shift(q)
  if q.first > q.last then
    q.first, q.last = 1, 0
    return nil
  end
  local value = q[q.first]
  q[q.first] = nil
  q.first = q.first + 1
  return value
end

-- --- reading --------------------------------------------------------------------------------------

local Reader = {} -- what a node and a subscription share

local function report(node, event)
  if node.on_event then
    local ok, e = pcall(node.on_event, event)
    if not ok then
      io.stderr:write("karakp2p: on_event raised ", tostring(e), "\n")
    end
  end
end

local function dispatch(node, event)
  if event.data then
    push(node.batch, event)
    if node.batch.last - node.batch.first >= DIRECT_MAX then
      shift(node.batch)
      node.dropped = node.dropped + 1
    end
    return
  end
  local call = node.calls[event.token]
  if call and (event.type == core.EV_COMPLETE or event.type == core.EV_PUBLISHED) then
    call[#call + 1] = event
    call.done = not event.more
    return
  end
  report(node, event)
end

--- Takes answers, direct messages and reports out of inbox 0.
local function settle(node)
  local packed = not node.over and node.started and except("ECLOSED", function()
    return node.core:take(0, 0) or ""
  end)
  if packed == nil then
    node.over = true
  elseif packed and packed ~= "" then
    for _, event in ipairs(unpack_events(packed, node)) do
      dispatch(node, event)
    end
  end
end

--- Keeps one batch at most. Nothing there: nil.
local function pop(reader)
  local message = shift(reader.batch)
  if message or reader.finished then
    return message
  end
  settle(reader.node)
  local packed = except("ECLOSED", function() return reader.node.core:take(reader.inbox, 0) or "" end)
  if packed == nil then
    reader.finished = true
    packed = ""
  end
  for _, event in ipairs(unpack_events(packed, reader.node)) do
    if event.data then
      push(reader.batch, event)
    else
      if event.type == core.EV_DROPPED then
        reader.dropped = reader.dropped + event.count
      end
      report(reader.node, event)
    end
  end
  return shift(reader.batch)
end

local function need_start(node, what)
  if not node.started then
    raise(core.ESTATE, what .. ": the node has not been started")
  end
end

local function await(reader, left)
  while true do
    local message = pop(reader)
    if message or reader.finished then
      return message
    end
    local wait = left()
    if wait == 0 then
      return nil
    end
    need_start(reader.node, "recv")
    reader.node.core:wait(reader.inbox, wait)
  end
end

--- The next message. Waits at most `timeout` seconds, then ETIMEDOUT. ECLOSED when the node was closed,
-- or the topic unsubscribed, and all is read.
function Reader:recv(timeout)
  local message = await(self, deadline(timeout))
  if message then
    return message
  end
  if self.finished then
    raise(core.ECLOSED, "the node is closed, or the subscription has ended")
  end
  raise(core.ETIMEDOUT, ("recv: no message within %g s"):format(timeout))
end

--- Up to n messages; waits as recv for the first only. Empty when none came in time.
function Reader:recv_batch(n, timeout)
  n = n or 256
  if math.type(n) ~= "integer" or n < 1 then
    raise(core.EINVAL, "n: an integer, at least 1")
  end
  local batch = { await(self, deadline(timeout)) }
  if #batch == 0 and self.finished then
    raise(core.ECLOSED, "the node is closed, or the subscription has ended")
  end
  while #batch > 0 and #batch < n do
    local message = pop(self)
    if not message then
      break
    end
    batch[#batch + 1] = message
  end
  return batch
end

--- for message in node:messages() do … end; ends when the node is closed or the topic unsubscribed.
function Reader:messages()
  return function()
    return await(self, deadline(nil))
  end
end

--- A descriptor that is readable while there is something, for event loops. Only watch it.
function Reader:fd()
  return self.node.core:inbox_fd(self.inbox)
end

-- --- subscriptions --------------------------------------------------------------------------------

local Subscription = setmetatable({}, { __index = Reader })
Subscription.__index = Subscription
Subscription.__name = "karakp2p.Subscription"

--- Leaves the topic. What was not read yet is gone, iteration ends.
function Subscription:unsubscribe()
  if not self.finished then
    self.node:unsubscribe(self.topic)
  end
end

Subscription.__close = function(self)
  except("ECLOSED", self.unsubscribe, self)
end

function Subscription:publish(data, timeout) return self.node:publish(self.topic, data, timeout) end

-- --- senders --------------------------------------------------------------------------------------

local Sender = {}
Sender.__index = Sender
Sender.__name = "karakp2p.Sender"

--- Queues a message for everyone who subscribes to the topic. Waits for room in the bounded send queue
-- at most `timeout` seconds, then ETIMEDOUT (0: EAGAIN).
function Sender:publish(topic, data, timeout)
  self.core:publish(text(topic, "topic"), bytes(data, "data"), 0, ms(timeout))
end

--- publish without waiting; false when the queue is full.
function Sender:try_publish(topic, data)
  return except("EAGAIN", function()
    self:publish(topic, data, 0)
    return true
  end) or false
end

--- Another handle of the same queue.
function Sender:clone()
  return setmetatable({ core = self.core:clone() }, Sender)
end

-- --- nodes ----------------------------------------------------------------------------------------

local Node = setmetatable({}, { __index = Reader })
Node.__index = Node
Node.__name = "karakp2p.Node"

local function each(value)
  return type(value) == "table" and value or { value }
end

local function config_of(keys)
  local config = core.Config()
  for key, values in pairs(keys) do
    text(key, "key")
    for _, value in ipairs(each(values)) do
      if type(value) ~= "string" and type(value) ~= "number" and type(value) ~= "boolean" then
        raise(core.EINVAL, ("%s: a string, number, boolean or several, not %s"):format(key, type(value)))
      end
      config:set(key, text(tostring(value), key))
    end
  end
  return config
end

--- Starts something that is given a token and waits for its final event; all its events.
local function call(node, left, start)
  node.token = node.token + 1
  local token, result = node.token, {}
  node.calls[token] = result
  local ok, e = pcall(function()
    start(token)
    while true do
      settle(node)
      if result.done then
        return
      end
      if node.over then
        raise(core.ECLOSED, "the node is closed")
      end
      local wait = left()
      if wait == 0 then
        raise(core.ETIMEDOUT, "not finished in time")
      end
      node.core:wait(0, wait)
    end
  end)
  node.calls[token] = nil
  if not ok then
    pcall(node.core.cancel, node.core, token)
    error(e, 0)
  end
  local last = result[#result]
  if last.code ~= 0 then
    raise(last.code, last.text or core.strerror(last.code))
  end
  return result
end

--- The library keeps the time limit itself. Before start, requests are queued.
local function request(node, operation, arg, options, timeout)
  local limit = timeout and math.max(1, ms(timeout)) or 0
  if not node.started then
    node.core:request(operation, arg, options or "", limit, 0)
    return {}
  end
  return call(node, deadline(nil), function(token)
    node.core:request(operation, arg, options or "", limit, token)
  end)
end

local function operate(node, what, operation, arg, timeout)
  need_start(node, what)
  return request(node, operation, text(arg, what), "", timeout)
end

--- A node that is not started. Keys are those of the C library; `topic`, `listen`, `bootstrap` and so on
-- take one value or a list. on_event is called with events that are no message (dropped, peer_up …).
function karakp2p.node(keys)
  if type(keys) ~= "table" then
    raise(core.EINVAL, "node: a table of keys, not " .. type(keys))
  end
  local given, topics, on_event = {}, keys.topic or {}, keys.on_event
  for key, value in pairs(keys) do
    if key ~= "topic" and key ~= "on_event" then
      given[key] = value
    end
  end
  if on_event ~= nil and type(on_event) ~= "function" then
    raise(core.EINVAL, "on_event: a function")
  end
  local node = setmetatable({ core = core.Node(config_of(given)), inbox = INBOX, batch = queue(),
    dropped = 0, calls = {}, token = 0, subscriptions = {}, on_event = on_event }, Node)
  node.node = node
  node.own = setmetatable({ core = core.Sender(node.core) }, Sender)
  for _, topic in ipairs(each(topics)) do
    request(node, core.OP_SUBSCRIBE, text(topic, "topic"), "inbox=" .. INBOX)
  end
  return node
end

--- A started node.
function karakp2p.open(keys)
  return karakp2p.node(keys):start()
end

--- Binds all listeners, then starts the node's threads; returns the node.
function Node:start()
  self.core:start()
  self.started = true
  return self
end

--- Says goodbye, sends what is queued, ends the node; `timeout` seconds (2) is the budget for all of
-- it. Any number of times.
function Node:close(timeout)
  local drain = ms(timeout or 2)
  while self.core:close(drain, -1) == core.EINTR do
    drain = 0 -- a signal: at once
  end
  settle(self)
end

Node.__close = function(self) self:close() end

--- Joins a topic with an inbox of its own. options: validate (messages are forwarded only after
-- accept), own_messages (this node's own arrive too). Again: new options, the same subscription.
function Node:subscribe(topic, options)
  topic, options = text(topic, "topic"), options or {}
  local subscription = self.subscriptions[topic]
  if not subscription then
    local used, inbox = {}, INBOX + 1
    for _, other in pairs(self.subscriptions) do
      used[other.inbox] = true
    end
    while used[inbox] do
      inbox = inbox + 1
    end
    subscription = setmetatable({ node = self, inbox = inbox, topic = topic, batch = queue(),
      dropped = 0 }, Subscription)
  end
  request(self, core.OP_SUBSCRIBE, topic, ("validate=%d self=%d inbox=%d"):format(
    options.validate and 1 or 0, options.own_messages and 1 or 0, subscription.inbox))
  self.subscriptions[topic] = subscription
  return subscription
end

--- Leaves a topic, however it was joined.
function Node:unsubscribe(topic)
  request(self, core.OP_UNSUBSCRIBE, text(topic, "topic"))
  local subscription = self.subscriptions[topic]
  if subscription then
    subscription.finished, subscription.batch = true, queue()
    self.subscriptions[topic] = nil
    repeat -- so that the number can be used again
      local packed = except("ECLOSED", self.core.take, self.core, subscription.inbox, 0)
    until not packed
  end
end

function Node:publish(topic, data, timeout) return self.own:publish(topic, data, timeout) end

function Node:try_publish(topic, data) return self.own:try_publish(topic, data) end

--- publish that waits until the message is on its way: {id, peers}, or EDUPLICATE, ENOPEERS, EEXPIRED.
function Node:publish_confirm(topic, data, timeout)
  need_start(self, "publish")
  text(topic, "topic")
  bytes(data, "data")
  local left = deadline(timeout)
  local events = call(self, left, function(token) self.own.core:publish(topic, data, token, left()) end)
  local last = events[#events]
  return { id = last.id, peers = last.count }
end

--- A handle on the send queue.
function Node:sender() return self.own:clone() end

--- Sends a direct message to a connected peer that did add_protocol; waits until it is written.
function Node:send(peer, protocol, data, timeout)
  need_start(self, "send")
  text(peer, "peer")
  text(protocol, "protocol")
  bytes(data, "data")
  local left = deadline(timeout)
  call(self, left, function(token) self.own.core:send(peer, protocol, data, token, left()) end)
end

--- Accepts direct messages of a protocol: they come out of recv, with `protocol` set.
function Node:add_protocol(protocol)
  request(self, core.OP_ADD_PROTOCOL, text(protocol, "protocol"))
end

--- Round trip in seconds.
function Node:ping(peer, timeout)
  local events = operate(self, "ping", core.OP_PING, peer, timeout)
  return events[#events].count / 1e6
end

--- Connects to a multiaddress or peer id; the peer id.
function Node:connect(addr, timeout)
  local events = operate(self, "connect", core.OP_CONNECT, addr, timeout)
  return events[#events].source
end

function Node:disconnect(peer) operate(self, "disconnect", core.OP_DISCONNECT, peer) end

--- Addresses of a peer, looked up in the DHT.
function Node:find_peer(peer, timeout)
  local addrs = {}
  for _, event in ipairs(operate(self, "find_peer", core.OP_DHT_FIND_PEER, peer, timeout)) do
    addrs[#addrs + 1] = event.addr
  end
  return addrs
end

function Node:peer_id() return self.core:info("peer_id") end

--- What others give as bootstrap: where they can reach this node.
function Node:addresses()
  local list = {}
  for addr in self.core:info("addresses"):gmatch('"([^"]*)"') do
    list[#list + 1] = addr
  end
  return list
end

--- The connected peers and the subscribed topics, as JSON text (Lua has no parser of its own).
function Node:peers() return self.core:info("peers") end
function Node:topics() return self.core:info("topics") end

--- All counters and gauges by name.
function Node:stats()
  local stats = {}
  for name, value in self.core:info("stats"):gmatch('"([^"]+)":%s*(-?%d+)') do
    stats[name] = math.tointeger(value)
  end
  return stats
end

-- --- keys -----------------------------------------------------------------------------------------

--- A new Ed25519 key, the text that key `identity` takes; the peer id of such a text; a peer id in
-- base58, given in base58 or as a CIDv1; the version of the C library.
function karakp2p.generate_key() return core.key_generate(core.KEY_ED25519) end
function karakp2p.key_peer_id(key) return core.key_peer_id(text(key, "key")) end
function karakp2p.peer_id(id) return core.peer_id_parse(text(id, "peer id")) end
function karakp2p.version() return core.version() end

return karakp2p
