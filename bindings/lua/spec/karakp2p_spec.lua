-- Run by bindings/run_tests.sh, which sets KARAKP2P_REPOSITORY and KARAKP2P_COMMAND.
local json = require "dkjson"
local karakp2p = require "karakp2p"
local core = karakp2p.core

local REPOSITORY = assert(os.getenv "KARAKP2P_REPOSITORY")
local COMMAND = assert(os.getenv "KARAKP2P_COMMAND")
local LUA = os.getenv "LUA" or "lua5.4"

local function quick(keys)
  keys = keys or {}
  keys.listen, keys["kad.mode"], keys.workers = "/ip4/127.0.0.1/tcp/0", "off", 1
  return keys
end

local function read(path)
  local file = assert(io.open(REPOSITORY .. "/" .. path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

--- What a text, {"hex"} or {"repeat"} of the tables stands for.
local function bytes_of(value)
  local function unhex(hex)
    return (hex:gsub("%x%x", function(two) return string.char(tonumber(two, 16)) end))
  end
  if type(value) ~= "table" then
    return value or ""
  end
  return value.hex and unhex(value.hex) or unhex(value["repeat"][1]):rep(value["repeat"][2])
end

local function fill(text, taken)
  return (text:gsub("{taken}", (taken:gsub("%%", "%%%%"))))
end

local function until_true(what, condition)
  local deadline = core.now_ms() + 15000
  while not condition() do
    assert(core.now_ms() < deadline, "never came true: " .. what)
  end
end

local function knows(node, topic)
  return node:peers():find(json.encode(topic), 1, true) ~= nil
end

--- Two started nodes; the second is subscribed to the topics, and the first knows.
local function pair(topics, keys)
  local one = karakp2p.open(quick(keys and keys()))
  local more = quick(keys and keys())
  more.topic, more.bootstrap = topics, one:addresses()
  local two = karakp2p.open(more)
  until_true("the two know each other", function()
    local peer = (json.decode(one:peers()))[1]
    return peer and #peer.topics == #topics
  end)
  return one, two
end

local function fails(name, f, ...)
  local ok, e = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(karakp2p.is_error(e), tostring(e))
  assert.are.equal(name, e.name, tostring(e))
  return e
end

--- Runs a Lua program in a process of its own, interrupted once it has said "ready" if asked; status and
-- output.
local function child(code, interrupt)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(code)
  file:close()
  local pipe = assert(io.popen(("echo $$; exec timeout --foreground 20 %s %s 2>&1"):format(LUA, path)))
  local pid = pipe:read "l" -- of timeout, which passes a signal on
  if interrupt then
    assert(pipe:read "l" == "ready")
    os.execute("sleep 0.1; kill -INT " .. pid)
  end
  local text = pipe:read "a"
  local _, _, status = pipe:close()
  os.remove(path)
  return status, text
end

describe("the shared tables", function()
  local function node_of(keys, taken)
    local config = core.Config()
    for _, pair_of in ipairs(keys) do
      config:set(pair_of[1], fill(pair_of[2], taken))
    end
    return core.Node(config)
  end

  --- The calls of the C interface, as the wrapper has them.
  local calls = {
    kp2p_config_set = function(s, a) core.Config():set(s.text(a.key), s.text(a.value)) end,
    kp2p_node_new = function(s, a) node_of(a.keys, s.taken) end,
    kp2p_key_generate = function(_, a) core.key_generate(a.type) end,
    kp2p_key_peer_id = function(s, a) core.key_peer_id(s.text(a.key)) end,
    kp2p_peer_id_parse = function(s, a) core.peer_id_parse(s.text(a.text)) end,
    kp2p_node_start = function(s) s.node:start() end,
    kp2p_sender_publish = function(s, a)
      s.sender:publish(s.text(a.topic), bytes_of(a.data), a.token or 0, a.timeout_ms or 0)
    end,
    kp2p_sender_send = function(s, a)
      s.sender:send(s.text(a.peer), s.text(a.protocol), bytes_of(a.data), a.token or 0, a.timeout_ms or 0)
    end,
    kp2p_node_request = function(s, a)
      s.node:request(a.op, s.text(a.arg), bytes_of(a.data), a.timeout_ms, a.token)
    end,
    kp2p_node_poll = function(s, a) s.node:take(a.inbox, a.timeout_ms) end,
    kp2p_node_poll_batch = function(s, a) s.node:take(a.inbox, a.timeout_ms) end,
    kp2p_node_listen = function(s, a) s.node:take(a.inbox, -1) end,
    kp2p_node_inbox_fd = function(s, a) s.node:inbox_fd(a.inbox) end,
    kp2p_node_verdict = function(s, a) s.node:verdict(a.token, a.verdict) end,
    kp2p_node_cancel = function(s, a) s.node:cancel(a.token) end,
    kp2p_node_info = function(s, a) s.node:info(s.text(a.what)) end,
  }

  local function stage(case, keys, taken)
    local s = { taken = taken, text = function(value) return fill(bytes_of(value), taken) end }
    if case.state ~= "none" then
      s.node = node_of(case.keys or keys, taken)
      s.sender = core.Sender(s.node)
      if case.state ~= "new" then
        s.node:start()
      end
      if case.state == "closed" then
        s.node:close(0, -1)
      end
    end
    return s
  end

  it("misuse", function()
    local cases = json.decode(read "tests/misuse.json")
    local other <close> = karakp2p.open(quick())
    local taken = other:addresses()[1]:match "^(.*)/p2p/"
    local played = 0
    for _, case in ipairs(cases.cases) do
      if calls[case.call] and case.args.max ~= 0 then
        local s = stage(case, cases.keys, taken)
        for _, step in ipairs(case.before or {}) do
          calls[step.call](s, step.args)
        end
        local e = fails(case.code, function() calls[case.call](s, case.args) end)
        for _, word in ipairs(case.call == "kp2p_node_listen" and {} or case.words) do
          assert.is_truthy(e.message:find(fill(word, taken), 1, true), case.name .. ": " .. e.message)
        end
        played = played + 1
      else -- several publishes in one call; a batch of no events
        assert.is_true(case.call == "kp2p_sender_publish_batch" or case.args.max == 0, case.call)
      end
    end
    assert.is_true(played > 90)
  end)

  it("payloads", function()
    local cases = json.decode(read "tests/payloads.json")
    local topics, seen = {}, {}
    for _, case in ipairs(cases.cases) do
      local topic = bytes_of(case.topic)
      if case.result == "ok" and not seen[topic] then
        seen[topic], topics[#topics + 1] = true, topic
      end
    end
    local one, two = pair(topics)
    for _, case in ipairs(cases.cases) do
      local topic, payload = bytes_of(case.topic), bytes_of(case.payload)
      if case.result == "ok" then
        one:publish(topic, payload)
        local message = two:recv(10)
        assert.is_true(message.topic == topic and message.data == payload, case.name)
        assert.are.equal(one:peer_id(), message.source)
      else
        local e = fails(case.result, one.publish, one, topic, payload)
        for _, word in ipairs(case.words) do
          assert.is_truthy(e.message:find(word, 1, true), e.message)
        end
      end
    end
    one:close()
    two:close()
  end)

  it("codes", function()
    local count = 0
    for name, code in read("abi/include/karakp2p.h"):gmatch "#define KP2P_(E%u+)%s+%((%-%d+)%)" do
      assert.are.equal(name, karakp2p.NAMES[tonumber(code)])
      count = count + 1
    end
    assert.is_true(count >= 22)
  end)
end)

describe("the network", function()
  it("carries messages both ways with a C node", function()
    local fifo = os.tmpname()
    os.remove(fifo)
    assert(os.execute("mkfifo " .. fifo))
    local out = assert(io.popen(("%s node --json --listen /ip4/127.0.0.1/tcp/0 --topic news < %s"):format(COMMAND, fifo)))
    local input = assert(io.open(fifo, "w"))
    input:setvbuf "line"
    local function event(kind)
      for line in out:lines() do
        local e = json.decode(line)
        if e.event == kind then
          return e
        end
      end
    end
    local other = event "listening"
    local keys = quick()
    keys.topic, keys.bootstrap = "news", other.addrs[1]
    local node <close> = karakp2p.open(keys)
    assert.are.equal(1, node:publish_confirm("news", "from lua \0\xff", 10).peers)
    local heard = event "message"
    assert.are.equal("ZnJvbSBsdWEgAP8=", heard.data)
    assert.are.equal(node:peer_id(), heard.from)
    input:write "from c\n"
    local message = node:recv(10)
    assert.are.same({ "from c", "news", other.peer, other.peer },
      { message.data, message.topic, message.source, message.via })
    assert.are.equal("integer", math.type(message.seq))
    assert.is_true(math.abs(message.time_ns / 1e9 - os.time()) < 60)
    node:close()
    input:write "/quit\n"
    assert.is_true(out:close())
    input:close()
    os.remove(fifo)
  end)

  it("gives subscriptions inboxes of their own", function()
    local one, two = pair { "a" }
    local sport = two:subscribe "sport"
    assert.are.equal(sport, two:subscribe "sport")
    until_true("subscribed", function() return knows(one, "sport") end)
    one:publish("a", "to the node")
    one:publish("sport", "to the subscription")
    assert.are.equal("to the subscription", sport:recv(10).data)
    assert.are.equal("to the node", two:recv(10).data)
    one:publish("sport", "batch 1")
    one:publish("sport", "batch 2")
    local got = {}
    while #got < 2 do
      for _, message in ipairs(sport:recv_batch(8, 10)) do
        got[#got + 1] = message.data
      end
    end
    assert.are.same({ "batch 1", "batch 2" }, got)
    assert.are.same({}, sport:recv_batch(8, 0.01))
    fails("ETIMEDOUT", sport.recv, sport, 0.01)
    assert.are.equal("integer", math.type(sport:fd()))
    sport:unsubscribe()
    for _ in sport:messages() do
      error "nothing comes any more"
    end
    fails("ECLOSED", sport.recv, sport)
    do
      local brief <close> = two:subscribe "brief"
      assert.is_truthy(two:topics():find "brief")
    end
    assert.is_nil(two:topics():find "brief")
    one:close()
    two:close()
  end)

  it("validates", function()
    local one, two = pair {}
    local checked = two:subscribe("checked", { validate = true })
    until_true("subscribed", function() return knows(one, "checked") end)
    for _, text in ipairs { "good", "bad", "whatever" } do
      one:publish("checked", text)
    end
    local good, bad, whatever = checked:recv(10), checked:recv(10), checked:recv(10)
    assert.is_true(good:accept() and bad:reject() and whatever:ignore())
    assert.is_false(good:accept())
    one:close()
    two:close()
  end)

  it("has direct messages and requests", function()
    local one, two = pair {}
    assert.is_false(pcall(one.send, one, two:peer_id(), "/chat/1", "x", 10))
    two:add_protocol "/chat/1"
    one:send(two:peer_id(), "/chat/1", "direct \0", 10)
    local message = two:recv(10)
    assert.are.same({ "direct \0", "/chat/1", one:peer_id() }, { message.data, message.protocol, message.source })
    assert.is_nil(message.topic)
    assert.is_true(one:ping(two:peer_id(), 10) < 10)
    local nobody = karakp2p.key_peer_id(karakp2p.generate_key())
    fails("ENOTFOUND", one.ping, one, nobody)
    two:disconnect(one:peer_id())
    until_true("disconnected", function() return one:peers() == "[]" end)
    assert.are.equal(one:peer_id(), two:connect(one:addresses()[1], 10))
    assert.is_false(pcall(one.find_peer, one, nobody, 0.5))
    one:close()
    two:close()
  end)

  it("tells fates; has senders, own messages and keys", function()
    local told = {}
    local keys = quick()
    keys["publish.hold"], keys.on_event = 0, function(e) told[#told + 1] = e end
    local node = karakp2p.open(keys)
    fails("ENOPEERS", node.publish_confirm, node, "own", "x", 10)
    local sender = node:sender():clone()
    assert.is_true(sender:try_publish("own", "y"))
    until_true("told", function()
      pcall(node.recv, node, 0)
      return told[#told] and told[#told].topic == "own" and told[#told].code == core.ENOPEERS
    end)
    node:close()
    fails("ECLOSED", sender.publish, sender, "own", "late")
    local small = quick()
    small["outbox.max_messages"] = 1
    local full = karakp2p.node(small)
    full:publish("full", "first")
    assert.is_false(full:try_publish("full", "no room"))
    fails("EAGAIN", full.publish, full, "full", "no room", 0)
    local key = karakp2p.generate_key()
    assert.are.equal(karakp2p.key_peer_id(key), karakp2p.node { identity = key }:peer_id())
    local one, two = pair { "own" }
    local own = one:subscribe("own", { own_messages = true })
    one:publish("own", "mine")
    assert.are.equal("mine", own:recv(10).data)
    assert.are.equal("integer", math.type(one:stats().app_received))
    one:close()
    two:close()
  end)
end)

describe("life", function()
  it("refuses use before start and after close", function()
    local node = karakp2p.node(quick())
    fails("ESTATE", node.recv, node)
    fails("ESTATE", node.ping, node, "x")
    fails("ESTATE", node.publish_confirm, node, "a", "b")
    local sub = node:subscribe "early"
    node:start()
    local peer = node:peer_id()
    node:close()
    node:close()
    fails("ECLOSED", node.recv, node)
    fails("ECLOSED", sub.recv, sub)
    fails("ECLOSED", node.publish, node, "a", "b")
    fails("ECLOSED", node.subscribe, node, "x")
    fails("ECLOSED", node.ping, node, peer)
    fails("ECLOSED", node.send, node, peer, "/x", "y")
    fails("ECLOSED", node.unsubscribe, node, "early")
    assert.are.equal(peer, node:peer_id())
    for _ in node:messages() do
      error "nothing comes any more"
    end
  end)

  it("ends a wait at Ctrl-C", function()
    for _, wait in ipairs { "node:recv()", "node:messages()()", "node:recv(60)", "node:publish_confirm('x', 'y')" } do
      local status, text = child([[
        local node = require "karakp2p".open { listen = "/ip4/127.0.0.1/tcp/0" }
        print "ready"
        io.stdout:flush()
        local ok, e = pcall(function() ]] .. wait .. [[ end)
        io.write(tostring(ok), " ", (tostring(e):match "interrupted!"))
        node:close()]], true)
      assert.are.same({ 0, "false interrupted!" }, { status, text })
    end
  end)

  it("may be left without close", function()
    local start = [[node = require "karakp2p".open { topic = "x", listen = "/ip4/127.0.0.1/tcp/0" } ]]
    assert.are.same({ 0, "" }, { child(start) })
    assert.are.same({ 7, "" }, { child(start .. "os.exit(7)") })
    assert.are.same({ 7, "" }, { child(start .. "os.exit(7, true)") })
    assert.are.equal(1, (child(start .. "error 'boo'")))
  end)

  it("collects garbage in any order", function()
    local ids = {}
    for i = 1, 5 do
      local node = karakp2p.open(quick())
      local sub, sender = node:subscribe "y", node:sender():clone()
      ids[i] = node.core:stop_id()
      node, sub, sender = nil, nil, nil -- luacheck: ignore
      collectgarbage()
    end
    until_true("all stopped", function()
      local running = 0
      for _, id in ipairs(ids) do
        running = running + (core.stop(id) >= 0 and 1 or 0)
      end
      collectgarbage()
      return running == 0
    end)
    local one, two = pair { "gc" }
    collectgarbage "generational"
    local kept = {}
    for i = 1, 50 do
      one:publish("gc", ("message %d "):format(i) .. ("x"):rep(i * 37))
      kept[i] = two:recv(10)
      core.Node(core.Config()):take(0, 0)
      local event = two.core:poll(1, 0)
      assert.is_nil(event)
      collectgarbage()
    end
    collectgarbage "incremental"
    one:close()
    two:close()
    two, one = nil, nil -- luacheck: ignore
    collectgarbage()
    for i, message in ipairs(kept) do
      assert.are.equal(("message %d "):format(i) .. ("x"):rep(i * 37), message.data)
    end
  end)
end)

describe("wrong types", function()
  -- no nil: Lua's own way to say "as long as it takes"
  local odd = { true, false, 1, -1, 2 ^ 70, 1.5, 0 / 0, -math.huge, "", "x", "a\0b", "\xff", {}, { {} }, print,
    coroutine.create(print), io.stdout, ("x"):rep(100000), math.mininteger }

  --- A timeout that is no wait.
  local function brief(value)
    return type(value) == "number" and math.min(value, 0) or value or 0
  end

  it("never reach the library, and the process lives", function()
    local keys = quick()
    keys["requests.max"] = 8
    local node = karakp2p.open(keys)
    local raw, config = core.Sender(node.core), core.Config()
    local calls = {
      core.key_generate, core.key_peer_id, core.peer_id_parse, core.strerror, core.stop, core.Node, core.Sender,
      karakp2p.node, karakp2p.peer_id, karakp2p.key_peer_id, raw.publish, node.core.take,
      function(...) config:set(...) end,
      function(...) raw:publish(...) end,
      function(...) raw:send(...) end,
      function(a) node.core:take(a, 0) end,
      function(a) node.core:poll(a, 0) end,
      function(a) karakp2p.node { listen = a } end,
      function(a, b) karakp2p.node { [a == a and a or 1] = b } end,
      function(a) karakp2p.node { on_event = a } end,
      function(a) karakp2p.node { topic = a } end,
      function(a, b) node:recv_batch(a, brief(b)) end,
      function(a) node:recv(brief(a)) end,
      function(a, b, c) node:send(a, b, c, 0) end,
    }
    for _, method in ipairs { "inbox_fd", "verdict", "request", "cancel", "info" } do
      calls[#calls + 1] = function(...) node.core[method](node.core, ...) end
    end
    for _, method in ipairs { "publish", "try_publish", "subscribe", "unsubscribe", "add_protocol", "ping", "connect",
      "disconnect", "find_peer" } do
      calls[#calls + 1] = function(...) node[method](node, ...) end
    end
    math.randomseed(1)
    local failed, deadline = 0, core.now_ms() + 1500
    while core.now_ms() < deadline or failed <= 100 do
      local args = {}
      for i = 1, math.random(0, 6) do
        args[i] = odd[math.random(#odd)]
      end
      failed = failed + (pcall(calls[math.random(#calls)], table.unpack(args)) and 0 or 1)
    end
    fails("EINVAL", node.publish, node, 1, "x")
    fails("EINVAL", node.publish, node, "x", 1)
    fails("EINVAL", node.publish, node, "a\0b", "x")
    fails("EINVAL", node.publish, node, "\xff", "x")
    fails("EINVAL", node.recv, node, "soon")
    fails("EINVAL", node.recv, node, -1)
    node:close()
  end)
end)
