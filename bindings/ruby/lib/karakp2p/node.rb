# frozen_string_literal: true

module Karakp2p
  # A way to publish that can be given to other threads: it holds the send queue, not the node. What
  # it has queued still goes out when it is dropped. Closed once the node is.
  class Sender
    # @private
    def initialize(core)
      @core = core
    end

    # Queues a message for everyone who subscribes to the topic. Waits for room in the bounded send
    # queue at most timeout seconds, then Timeout (0: QueueFull).
    def publish(topic, data, timeout: nil)
      queue(timeout) { @core.publish(Karakp2p.text(topic, "topic"), Karakp2p.bytes(data, "data"), 0, 0) }
      nil
    end

    # publish without waiting; false when the queue is full.
    def try_publish(topic, data)
      publish(topic, data, timeout: 0)
      true
    rescue QueueFull
      false
    end

    # Another handle of the same queue.
    def clone = Sender.new(@core.clone)
    alias dup clone

    # Readable while a publish would be accepted. Only watch it.
    def to_io = @io ||= IO.for_fd(@core.fd, autoclose: false)

    # @private Until the block, which publishes, finds room.
    def queue(timeout)
      deadline = Deadline.new(timeout)
      begin
        yield @core
      rescue QueueFull
        raise if timeout == 0
        raise Error.of(Core::ETIMEDOUT, "publish: the queue is full") if deadline.passed?
        to_io.wait_readable(deadline.left)
        retry
      end
    end
  end

  # A topic with an inbox of its own. Ends when the node is closed or the topic unsubscribed.
  class Subscription
    include Reader

    attr_reader :topic

    # @private
    def initialize(core, hub, inbox, topic, node)
      read_from(core, inbox)
      @hub = hub
      @topic = topic
      @node = node
    end

    # Leaves the topic. What was not read yet is gone, iteration ends.
    def unsubscribe
      @node.unsubscribe(topic) unless @over
    end

    def publish(data, **how) = @node.publish(topic, data, **how)

    # @private Nothing is routed here any more.
    def finish
      @lock.synchronize do
        @over = true
        @batch.clear
        nil while @core.take(@inbox, 0) # so that its number can be used again
      rescue Closed
        nil
      end
      @waker.close
    end

    private

    def ended = Error.of(Core::ECLOSED, "the subscription to #{topic.inspect} has ended, or the node is closed")
  end

  # One peer of the network. Its own messages (each, recv) are those of Node.new(topic: …) and the
  # direct ones; subscribe gives a topic an inbox of its own.
  class Node
    include Reader

    INBOX = 1 # of topics without a subscription of their own; 0 is for answers and reports
    private_constant :INBOX

    # topic:, listen:, bootstrap: take one or several; identity: a key (Karakp2p.generate_key);
    # on_event: is called with events that are no message (dropped, peer_up …, as key events says),
    # on a thread of the node. Any other key of the library goes by its own name, as a symbol or,
    # with a dot, a string: Node.new(idle_timeout: 60, "inbox.max_messages" => 1000).
    def initialize(topic: [], on_event: nil, **config)
      raise TypeError, "on_event: must respond to call" unless on_event.nil? || on_event.respond_to?(:call)
      read_from(Core::Node.new(config_of(config)), INBOX)
      @sender = Sender.new(Core::Sender.new(@core))
      @hub = Hub.new(@core, on_event)
      @subscriptions = {}
      @inboxes = Monitor.new
      Array(topic).each { |t| request(Core::OP_SUBSCRIBE, Karakp2p.text(t, "topic"), "inbox=#{INBOX}") }
    end

    # @private Stops a node that was dropped; must not hold it.
    def self.stopper(stop_id) = proc { Core.stop(stop_id) }

    # A started node; closed when the block ends.
    def self.open(**config)
      node = new(**config).start
      return node unless block_given?
      begin
        yield node
      ensure
        node.close
      end
    end

    # Binds all listeners, then starts the node's threads. AddressInUse, AccessDenied, StateError.
    def start
      @core.start
      @hub.start(@waker)
      ObjectSpace.define_finalizer(self, Node.stopper(@core.stop_id))
      self
    end

    # Says goodbye, sends what is queued, ends the node; waits until that is done, timeout seconds at
    # most (nil: as long as it takes). Any thread, any number of times.
    def close(timeout: 2)
      drain = Karakp2p.ms(timeout)
      @core.close(drain, 0)
      @hub.join unless @core.stop_id == 0 # a forked child has no thread to wait for
      @core.close(drain, -1)
      nil
    end

    # Joins a topic with an inbox of its own. validate: messages are forwarded only after accept;
    # own_messages: this node's own arrive too. Again: new options and the same subscription.
    def subscribe(topic, validate: false, own_messages: false)
      topic = Karakp2p.text(topic, "topic")
      subscription = @inboxes.synchronize { @subscriptions[topic] || new_subscription(topic) }
      options = "validate=#{validate ? 1 : 0} self=#{own_messages ? 1 : 0} inbox=#{subscription.inbox}"
      begin
        request(Core::OP_SUBSCRIBE, topic, options)
      rescue Error
        @inboxes.synchronize { @subscriptions.delete(topic) }
        raise
      end
      subscription
    end

    # Leaves a topic, however it was joined.
    def unsubscribe(topic)
      request(Core::OP_UNSUBSCRIBE, Karakp2p.text(topic, "topic"))
      @inboxes.synchronize { @subscriptions.delete(topic) }&.finish
      nil
    end

    # As Sender#publish. With confirm: waits until the message is on its way and returns
    # Published(id, peers), or raises Duplicate, NoPeers, Expired.
    def publish(topic, data, timeout: nil, confirm: false)
      return @sender.publish(topic, data, timeout: timeout) unless confirm
      need_start("publish")
      topic = Karakp2p.text(topic, "topic")
      data = Karakp2p.bytes(data, "data")
      last = @hub.call(timeout) do |token|
        @sender.queue(timeout) { |core| core.publish(topic, data, token, 0) }
      end.last
      Published.new(last.id, last.count)
    end

    def try_publish(topic, data) = @sender.try_publish(topic, data)

    # A handle on the send queue for other threads.
    def sender = @sender.clone

    # Sends a direct message to a connected peer that did add_protocol; waits until it is written.
    def send(peer, protocol, data, timeout: nil)
      need_start("send")
      peer = Karakp2p.text(peer, "peer")
      protocol = Karakp2p.text(protocol, "protocol")
      data = Karakp2p.bytes(data, "data")
      @hub.call(timeout) do |token|
        @sender.queue(timeout) { |core| core.send(peer, protocol, data, token, 0) }
      end
      nil
    end

    # Accepts direct messages of a protocol: they come out of each and recv, with protocol set.
    def add_protocol(protocol)
      request(Core::OP_ADD_PROTOCOL, Karakp2p.text(protocol, "protocol"))
      nil
    end

    # Round trip in seconds.
    def ping(peer, timeout: nil) = operate("ping", Core::OP_PING, peer, timeout).last.count / 1e6

    # Connects to a multiaddress or peer id; the peer id.
    def connect(addr, timeout: nil) = operate("connect", Core::OP_CONNECT, addr, timeout).last.source

    def disconnect(peer)
      operate("disconnect", Core::OP_DISCONNECT, peer, nil)
      nil
    end

    # Addresses of a peer, looked up in the DHT.
    def find_peer(peer, timeout: nil)
      operate("find_peer", Core::OP_DHT_FIND_PEER, peer, timeout).filter_map(&:addr)
    end

    def peer_id = @core.info("peer_id")

    # What others give as bootstrap: where they can reach this node.
    def addresses = JSON.parse(@core.info("addresses"))

    def peers = JSON.parse(@core.info("peers"))
    def topics = JSON.parse(@core.info("topics"))
    def stats = JSON.parse(@core.info("stats"))

    def inspect = "#<Karakp2p::Node #{peer_id}>"

    private

    def pop
      message = super
      return message if message
      @wake.read_nonblock(4096, exception: false)
      @hub.direct
    end

    def ended = Error.of(Core::ECLOSED, "the node is closed")

    def config_of(given)
      config = Core::Config.new
      given.each do |key, values|
        next if values.nil?
        Array(values).each do |value|
          unless [String, Integer, Float, true, false].any? { |kind| kind === value }
            raise TypeError, "#{key}: a String, number, true, false or several of them, not #{value.class}"
          end
          config.set(key.to_s, Karakp2p.text(value.to_s, key.to_s))
        end
      end
      config
    end

    def new_subscription(topic)
      used = @subscriptions.each_value.map(&:inbox)
      inbox = (INBOX + 1...Core::INBOXES).find { |n| !used.include?(n) }
      raise Error.of(Core::ELIMIT, "subscribe: all inboxes are in use") unless inbox
      @subscriptions[topic] = Subscription.new(@core, @hub, inbox, topic, self)
    end

    def need_start(what)
      raise Error.of(Core::ESTATE, "#{what}: the node has not been started") unless @hub.started?
    end

    def operate(what, operation, arg, timeout)
      need_start(what)
      request(operation, Karakp2p.text(arg, what), "", timeout)
    end

    # The library keeps the time limit itself. Before start, requests are queued.
    def request(operation, arg, options = "", timeout = nil)
      ms = timeout.nil? ? 0 : [Karakp2p.ms(timeout), 1].max
      return @core.request(operation, arg, options, ms, 0) unless @hub.started?
      @hub.call { |token| @core.request(operation, arg, options, ms, token) }
    end
  end
end
