# frozen_string_literal: true

module Karakp2p
  # What a node and a subscription share: taking messages out of one inbox. Several readers of one
  # compete: each message goes to one of them.
  module Reader
    include Enumerable

    attr_reader :dropped # messages lost because nobody took them in time
    attr_reader :inbox # its number in the C library

    # The next message. Waits at most timeout seconds, then Timeout. Closed when the node was closed,
    # or the topic unsubscribed, and all is read.
    def recv(timeout: nil)
      deadline = Deadline.new(timeout)
      loop do
        message = pop
        return message if message
        raise ended if @over
        raise Error.of(Core::ETIMEDOUT, "recv: no message within #{timeout} s") if deadline.passed?
        wait(deadline)
      end
    end

    # Up to n messages; waits as recv for the first only. Empty when none came in time.
    def recv_batch(n = 256, timeout: nil)
      raise TypeError, "n: an Integer" unless n.is_a?(Integer)
      raise Error.of(Core::EINVAL, "n #{n}: at least 1") if n < 1
      batch = [recv(timeout: timeout)]
      while batch.size < n && (message = pop)
        batch << message
      end
      batch
    rescue Timeout
      []
    end

    # Each message, until the node is closed or the topic unsubscribed.
    def each
      return enum_for(:each) unless block_given?
      loop do
        message = begin
          recv
        rescue Closed
          return self
        end
        yield message
      end
    end

    # For IO.select and event loops: readable while there is something. Only watch it.
    def to_io = @io ||= IO.for_fd(@core.inbox_fd(@inbox), autoclose: false)

    private

    def read_from(core, inbox)
      @core = core
      @inbox = inbox
      @batch = []
      @dropped = 0
      @over = false
      @lock = Mutex.new
      @wake, @waker = IO.pipe # ends a wait: direct messages, or the end of a subscription
    end

    def pop
      @lock.synchronize do
        fill if @batch.empty? && !@over
        @batch.shift
      end
    end

    # Keeps one batch at most; an event that is no message is told to the node's on_event.
    def fill
      packed = @core.take(@inbox, 0) or return
      Message.unpack(packed, @core).each do |event|
        if event.data
          @batch << event
        else
          @dropped += event.count if event.type == Core::EV_DROPPED
          @hub.report(event)
        end
      end
    rescue Closed
      @over = true
    end

    def wait(deadline)
      raise Error.of(Core::ESTATE, "the node has not been started") unless @hub.started?
      IO.select([to_io, @wake], nil, nil, deadline.left)
    end
  end
end
