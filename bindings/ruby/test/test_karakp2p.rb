# frozen_string_literal: true

# Run by bindings/run_tests.sh, which sets KARAKP2P_REPOSITORY and KARAKP2P_COMMAND.
require "base64"
require "json"
require "karakp2p"
require "minitest/autorun"
require "open3"
require "rbconfig"
require "timeout"

REPOSITORY = ENV.fetch("KARAKP2P_REPOSITORY")
COMMAND = ENV.fetch("KARAKP2P_COMMAND")
CORE = Karakp2p::Core
QUICK = { listen: "/ip4/127.0.0.1/tcp/0", "kad.mode" => "off", workers: 1 }.freeze

# The karakp2p command as a node of its own.
class CNode
  attr_reader :address, :peer

  def initialize(topic, *options)
    @in, @out, @wait = Open3.popen2(COMMAND, "node", "--json", "--listen", "/ip4/127.0.0.1/tcp/0",
                                    "--topic", topic, *options)
    started = wait { |e| e["event"] == "listening" }
    @peer = started["peer"]
    @address = started["addrs"][0]
  end

  def say(text) = @in.puts(text)

  def wait
    Timeout.timeout(15) do
      loop do
        event = JSON.parse(@out.gets)
        return event if yield event
      end
    end
  end

  def quit
    say("/quit")
    @wait.value.exitstatus
  end
end

module Kit
  def table(name) = JSON.parse(File.read("#{REPOSITORY}/tests/#{name}"))

  # What a text, {"hex"} or {"repeat"} of the tables stands for.
  def bytes(value)
    case value
    when String then value.b
    when nil then "".b
    else value["hex"] ? [value["hex"]].pack("H*") : [value["repeat"][0]].pack("H*") * value["repeat"][1]
    end
  end

  # Two started nodes that know each other's topics.
  def pair(*topics, **keys)
    a = Karakp2p::Node.open(**QUICK, **keys)
    b = Karakp2p::Node.open(**QUICK, topic: topics, bootstrap: a.addresses, **keys)
    until_true { a.peers.any? { |p| (topics - p["topics"]).empty? } }
    yield a, b
  ensure
    [a, b].compact.each(&:close)
  end

  def until_true
    Timeout.timeout(15) { sleep 0.01 until yield }
  end

  # Runs a Ruby program in a process of its own; its status and what it says.
  def child(code)
    program = [RbConfig.ruby, *$LOAD_PATH.map { |d| "-I#{d}" }, "-rkarakp2p", "-e", code]
    Open3.popen2e(*program) do |_, out, wait|
      Timeout.timeout(20) { yield wait.pid, out if block_given? }
      text = out.read
      return [Timeout.timeout(20) { wait.value }, text]
    end
  end
end

class TestTables < Minitest::Test
  include Kit

  NOT_HERE = %w[kp2p_sender_publish_batch].freeze # several publishes in one call

  # The calls of the C interface, as the wrapper has them.
  def play(step, state, taken)
    args = step["args"]
    text = ->(name) { bytes(args[name]).force_encoding("UTF-8").gsub("{taken}", taken) }
    node, sender = state
    case step["call"]
    when "kp2p_config_set" then CORE::Config.new.set(text["key"], text["value"])
    when "kp2p_node_new" then node_of(args["keys"], taken)
    when "kp2p_key_generate" then CORE.key_generate(args["type"])
    when "kp2p_key_peer_id" then CORE.key_peer_id(text["key"])
    when "kp2p_peer_id_parse" then CORE.peer_id_parse(text["text"])
    when "kp2p_node_start" then node.start
    when "kp2p_sender_publish"
      sender.publish(text["topic"], bytes(args["data"]), args["token"] || 0, args["timeout_ms"] || 0)
    when "kp2p_sender_send"
      sender.send(text["peer"], text["protocol"], bytes(args["data"]), args["token"] || 0, args["timeout_ms"] || 0)
    when "kp2p_node_request"
      node.request(args["op"], text["arg"], bytes(args["data"]), args["timeout_ms"], args["token"])
    when "kp2p_node_poll", "kp2p_node_poll_batch" then node.take(args["inbox"], args["timeout_ms"])
    when "kp2p_node_listen" then node.take(args["inbox"], -1)
    when "kp2p_node_inbox_fd" then node.inbox_fd(args["inbox"])
    when "kp2p_node_verdict" then node.verdict(args["token"], args["verdict"])
    when "kp2p_node_cancel" then node.cancel(args["token"])
    when "kp2p_node_info" then node.info(text["what"])
    else flunk "unknown call #{step['call']}"
    end
  end

  def node_of(keys, taken)
    config = CORE::Config.new
    keys.each { |k, v| config.set(k, v.gsub("{taken}", taken)) }
    CORE::Node.new(config)
  end

  def stage(item, keys, taken)
    return [] if item["state"] == "none"
    node = node_of(item["keys"] || keys, taken)
    state = [node, CORE::Sender.new(node)]
    node.start if %w[running closed].include?(item["state"])
    node.close(0, -1) if item["state"] == "closed"
    state
  end

  def test_misuse
    tables = table("misuse.json")
    other = Karakp2p::Node.open(**QUICK)
    taken = other.addresses[0].split("/p2p/")[0]
    played = tables["cases"].count do |item|
      next if item["bytes"] || NOT_HERE.include?(item["call"]) || item.dig("args", "max") == 0
      state = stage(item, tables["keys"], taken)
      (item["before"] || []).each { |step| play(step, state, taken) }
      error = assert_raises(Karakp2p::Error, item["name"]) { play(item, state, taken) }
      assert_equal item["code"], error.name, item["name"]
      refute_empty error.message
      next true if item["call"] == "kp2p_node_listen" # polled here, which has no text
      item["words"].each { |w| assert_includes error.message, w.gsub("{taken}", taken), item["name"] }
    end
    assert_operator played, :>, 90
    other.close
  end

  def test_payloads
    tables = table("payloads.json")
    good = tables["cases"].select { |c| c["result"] == "ok" }
    topics = good.map { |c| bytes(c["topic"]).force_encoding("UTF-8") }.uniq
    pair(*topics, **tables["keys"].to_h.reject { |k, _| k == "listen" }) do |a, b|
      tables["cases"].each do |item|
        topic = bytes(item["topic"]).force_encoding("UTF-8")
        payload = bytes(item["payload"])
        if item["result"] == "ok"
          a.publish(topic, payload)
          message = b.recv(timeout: 10)
          assert_equal [topic, payload, a.peer_id], [message.topic, message.data, message.source], item["name"]
        else
          error = assert_raises(Karakp2p::Error, item["name"]) { a.publish(topic, payload) }
          assert_equal item["result"], error.name
          item["words"].each { |w| assert_includes error.message, w }
        end
      end
    end
  end

  def test_codes_are_those_of_the_header
    header = File.read("#{REPOSITORY}/abi/include/karakp2p.h")
    want = header.scan(/#define KP2P_(E[A-Z]+)\s+\((-\d+)\)/).to_h { |name, code| [code.to_i, name] }
    assert_equal want, Karakp2p::Error::NAMES
    want.each_key { |code| assert_kind_of Karakp2p::Error::CLASSES[code], Karakp2p.error(code, "x") }
  end
end

class TestNetwork < Minitest::Test
  include Kit

  def test_both_ways_with_a_c_node
    other = CNode.new("news")
    node = Karakp2p::Node.open(**QUICK, topic: "news", bootstrap: other.address)
    assert_equal 1, node.publish("news", "from ruby \0\xff".b, confirm: true, timeout: 10).peers
    heard = other.wait { |e| e["event"] == "message" }
    assert_equal ["from ruby \0\xff".b, node.peer_id], [Base64.decode64(heard["data"]), heard["from"]]
    other.say("from c")
    message = node.recv(timeout: 10)
    assert_equal ["from c", "news", other.peer, other.peer], [message.data, message.topic, message.source, message.via]
    assert_in_delta Time.now.to_f, message.time.to_f, 60
    assert_kind_of Integer, message.seq
    node.close
    assert_equal 0, other.quit
  end

  def test_subscriptions_have_inboxes_of_their_own
    pair("a") do |one, two|
      sport = two.subscribe("sport")
      assert_same sport, two.subscribe("sport")
      until_true { one.peers[0]["topics"].include?("sport") }
      one.publish("a", "to the node")
      one.publish("sport", "to the subscription")
      assert_equal "to the subscription", sport.recv(timeout: 10).data
      assert_equal "to the node", two.recv(timeout: 10).data
      one.publish("sport", "batch 1")
      one.publish("sport", "batch 2")
      got = []
      got += sport.recv_batch(8, timeout: 10) while got.size < 2
      assert_equal ["batch 1", "batch 2"], got.map(&:data)
      assert_equal [], sport.recv_batch(8, timeout: 0.01)
      waiting = Thread.new { sport.to_a }
      until_true { waiting.status == "sleep" }
      sport.unsubscribe
      assert_equal [], waiting.value
      assert_raises(Karakp2p::Closed) { sport.recv }
      assert_equal ["a"], two.topics.map { |t| t["topic"] }
    end
  end

  def test_validation
    pair do |one, two|
      checked = two.subscribe("checked", validate: true)
      until_true { one.peers[0]["topics"].include?("checked") }
      %w[good bad whatever].each { |text| one.publish("checked", text) }
      verdicts = 3.times.map { checked.recv(timeout: 10) }
      assert_equal [true, true, true], [verdicts[0].accept, verdicts[1].reject, verdicts[2].ignore]
      refute verdicts[0].accept, "only once"
      assert_operator two.stats.values.sum, :>, 0
    end
  end

  def test_direct_messages_and_requests
    pair do |one, two|
      assert_raises(Karakp2p::Error) { one.send(two.peer_id, "/chat/1", "x", timeout: 10) }
      two.add_protocol("/chat/1")
      one.send(two.peer_id, "/chat/1", "direct \0".b, timeout: 10)
      message = two.recv(timeout: 10)
      assert_equal ["direct \0".b, "/chat/1", one.peer_id, nil],
                   [message.data, message.protocol, message.source, message.topic]
      assert_operator one.ping(two.peer_id, timeout: 10), :<, 10
      assert_raises(Karakp2p::NotFound) { one.ping(Karakp2p.key_peer_id(Karakp2p.generate_key)) }
      two.disconnect(one.peer_id)
      until_true { one.peers.empty? }
      assert_equal one.peer_id, two.connect(one.addresses[0], timeout: 10)
      assert_raises(Karakp2p::Error) { one.find_peer(Karakp2p.key_peer_id(Karakp2p.generate_key), timeout: 0.5) }
    end
  end

  def test_own_messages
    pair("own") do |one, _|
      own = one.subscribe("own", own_messages: true)
      assert one.sender.clone.try_publish("own", "mine")
      assert_equal "mine", own.recv(timeout: 10).data
    end
  end

  def test_the_fate_of_a_message
    events = Queue.new
    node = Karakp2p::Node.open(**QUICK, "publish.hold" => 0, on_event: events.method(:push))
    sender = node.sender
    assert_raises(Karakp2p::NoPeers) { node.publish("own", "nobody", confirm: true, timeout: 10) }
    sender.publish("own", "nobody again")
    told = Timeout.timeout(10) { events.pop } until told&.type == CORE::EV_PUBLISHED
    assert_equal [CORE::ENOPEERS, "own"], [told.code, told.topic]
    node.close
    assert_raises(Karakp2p::Closed) { sender.publish("own", "late") }
  end

  def test_publish_waits_for_room
    node = Karakp2p::Node.new(**QUICK, "outbox.max_messages" => 2)
    2.times { |i| node.publish("full", "message #{i}") }
    refute node.try_publish("full", "no room")
    assert_raises(Karakp2p::QueueFull) { node.publish("full", "no room", timeout: 0) }
    waiting = Thread.new { node.publish("full", "then", timeout: 10) }
    until_true { waiting.status == "sleep" }
    node.start
    assert_nil waiting.value
    node.close
  end

  def test_keys
    key = Karakp2p.generate_key
    node = Karakp2p::Node.new(identity: key)
    assert_equal Karakp2p.key_peer_id(key), node.peer_id
    assert_equal node.peer_id, Karakp2p.peer_id(node.peer_id)
    assert_match(/libuv/, Karakp2p.version)
  end
end

class TestLife < Minitest::Test
  include Kit

  def test_close_from_another_thread_ends_every_wait
    20.times do
      node = Karakp2p::Node.open(**QUICK, topic: "news")
      other = node.subscribe("other")
      waits = [-> { node.recv }, -> { other.recv }, -> { node.each { flunk } && raise(Karakp2p::Closed.new(-7, "")) }]
      threads = waits.map { |w| Thread.new { assert_raises(Karakp2p::Closed) { w.call } } }
      until_true { threads.all? { |t| t.status == "sleep" } }
      node.close
      threads.each { |t| Timeout.timeout(5) { t.join } }
    end
  end

  def test_other_threads_run_while_one_waits
    node = Karakp2p::Node.open(**QUICK)
    waiting = Thread.new { node.recv }
    count = 0
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 0.2
    count += 1 while Process.clock_gettime(Process::CLOCK_MONOTONIC) < deadline
    assert_operator count, :>, 10_000
    waiting.report_on_exception = false
    node.close
    assert_raises(Karakp2p::Closed) { waiting.value }
  end

  def test_use_after_close
    node = Karakp2p::Node.open(**QUICK, topic: "news")
    sub = node.subscribe("sub")
    peer = node.peer_id
    2.times { node.close }
    [-> { node.recv }, -> { sub.recv }, -> { node.publish("a", "b") }, -> { node.subscribe("x") },
     -> { node.ping(peer) }, -> { node.sender.publish("a", "b") }, -> { node.unsubscribe("news") },
     -> { node.send(peer, "/x", "y") }].each { |call| assert_raises(Karakp2p::Closed) { call.call } }
    assert_equal [peer, [], []], [node.peer_id, node.to_a, node.peers]
    assert_raises(Karakp2p::Error) { node.start }
  end

  def test_before_start
    node = Karakp2p::Node.new(**QUICK)
    [-> { node.recv }, -> { node.ping("x") }, -> { node.publish("a", "b", confirm: true) }].each do |call|
      assert_raises(Karakp2p::StateError) { call.call }
    end
    node.subscribe("early")
    node.start
    assert_equal ["early"], node.topics.map { |t| t["topic"] }
    node.close
  end

  def test_ctrl_c_ends_a_wait
    %w[node.recv node.each{} node.publish("x","y",confirm:true) node.recv(timeout:60)].each do |wait|
      status, text = child(<<~RUBY) { |pid, out| out.gets && sleep(0.1) && Process.kill(:INT, pid) }
        $stdout.sync = true
        node = Karakp2p::Node.open(listen: "/ip4/127.0.0.1/tcp/0")
        puts "ready"
        begin
          #{wait}
        rescue Interrupt
          node.close
          puts "interrupted"
        end
      RUBY
      assert_equal [0, "interrupted\n"], [status.exitstatus, text], wait
    end
  end

  def test_leaving_without_close
    started = "node = Karakp2p::Node.open(topic: 'x', listen: '/ip4/127.0.0.1/tcp/0');"
    assert_equal [0, ""], child(started).then { |s, text| [s.exitstatus, text] }
    assert_equal [7, ""], child("#{started} Thread.new { node.recv }; exit 7").then { |s, t| [s.exitstatus, t] }
    assert_equal 1, child("#{started} raise 'boo'")[0].exitstatus
  end

  def test_fork
    node = Karakp2p::Node.open(**QUICK)
    pid = fork do
      code = begin
        node.publish("x", "y")
        1
      rescue Karakp2p::ForkedError
        0
      end
      exit! code
    end
    assert_equal 0, Process.wait2(pid)[1].exitstatus
    node.close
  end

  def test_a_dropped_node_stops
    stop_ids = 5.times.map { Karakp2p::Node.open(**QUICK).then { |n| n.instance_variable_get(:@core).stop_id } }
    until_true do
      GC.start
      stop_ids.count { |id| CORE.stop(id) < 0 } >= 4 # one may be on the stack
    end
  end

  def test_garbage_collection_torture
    GC.stress = false
    pair("gc") do |a, b|
      kept = []
      50.times do |i|
        a.publish("gc", "message #{i} " + "x" * (i * 37))
        kept << b.recv(timeout: 10)
        a.sender.clone
        CORE::Node.new(CORE::Config.new).take(0, 0)
        event = b.instance_variable_get(:@core).poll(1, 0)
        assert_nil event
        GC.start
      end
      GC.stress = true
      a.publish("gc", "under stress")
      kept << b.recv(timeout: 20)
      GC.stress = false
      kept.each_with_index { |m, i| assert m.data.start_with?(i == 50 ? "under stress" : "message #{i} ") }
    end
  ensure
    GC.stress = false
  end
end

class TestWrongTypes < Minitest::Test
  ODD = [nil, true, 1, -1, 2**70, 1.5, Float::NAN, -Float::INFINITY, :symbol, "", "x", "a\0b", "\xff".b, [], [nil], {},
         Object.new, Class, "x" * 100_000, "ü".encode("UTF-16LE")].freeze
  CALM = [Karakp2p::Error, TypeError, ArgumentError, RangeError, NoMethodError, NameError, FloatDomainError,
          RuntimeError].freeze # the last is SWIG's, of an object with nothing inside

  # Every public method with odd values in every place; the process must live, and say no by exceptions.
  def fuzz(object, methods, seconds: 0.7)
    random = Random.new(1)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
    while Process.clock_gettime(Process::CLOCK_MONOTONIC) < deadline
      name = methods.sample(random: random)
      args = Array.new(random.rand(0..6)) { ODD.sample(random: random) }
      begin
        object.public_send(name, *args)
      rescue *CALM
        nil
      end
    end
  end

  def test_wrapper
    node = CORE::Node.new(CORE::Config.new)
    node.start
    sender = CORE::Sender.new(node)
    fuzz(node, %i[poll take inbox_fd verdict request cancel info].push(:wake))
    fuzz(sender, %i[publish send])
    fuzz(CORE::Config.new, %i[set])
    fuzz(CORE, %i[key_generate key_peer_id peer_id_parse strerror stop], seconds: 0.5)
    fuzz(CORE::Node.allocate, %i[poll take start close info inbox_fd], seconds: 0.2) # no node inside
    node.close(0, -1)
  end

  def test_layer
    node = Karakp2p::Node.open(**QUICK, "requests.max" => 8)
    fuzz(node, %i[publish try_publish unsubscribe add_protocol ping connect disconnect find_peer])
    ODD.each do |odd|
      [-> { node.recv(timeout: odd || 0) }, -> { node.recv_batch(odd, timeout: 0) }, -> { node.subscribe(odd) },
       -> { node.send(odd, odd, odd, timeout: 0) }, -> { Karakp2p::Node.new(listen: odd) },
       -> { Karakp2p::Node.new(odd.to_s => odd) }, -> { Karakp2p::Node.new(on_event: odd) },
       -> { Karakp2p::Node.new(topic: odd) }, -> { node.close(timeout: odd) if odd.is_a?(String) },
       -> { Karakp2p.key_peer_id(odd) }, -> { Karakp2p.peer_id(odd) }].each do |call|
        call.call
      rescue *CALM
        nil
      end
    end
    assert_raises(TypeError) { node.publish(1, "x") }
    assert_raises(TypeError) { node.publish("x", 1) }
    assert_raises(Karakp2p::Invalid) { node.recv(timeout: -1) }
    assert_raises(ArgumentError) { node.publish("a\0b", "x") }
    node.close
  end
end
