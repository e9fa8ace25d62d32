# frozen_string_literal: true

module Karakp2p
  # @private What takes answers, direct messages and reports out of inbox 0: one thread a node. It
  # does not hold the Node, so that a Node that is dropped can be collected, which stops it.
  class Hub
    DIRECT_MAX = 65_536 # direct messages that may wait, as inbox.max_messages by default
    Call = Struct.new(:events, :done)

    def initialize(core, on_event)
      @core = core
      @on_event = on_event
      @lock = Monitor.new
      @changed = @lock.new_cond
      @calls = {}
      @token = 0
      @direct = []
      @over = false
    end

    attr_reader :dropped

    def started? = !@thread.nil?

    def start(waker)
      @waker = waker
      @thread = Thread.new { run }
    end

    def join = @thread&.join

    # Starts something that is given a token and waits for its final event; all its events.
    def call(seconds = nil)
      deadline = Deadline.new(seconds)
      token, call = @lock.synchronize { [@token += 1, @calls[@token] = Call.new([], false)] }
      begin
        yield token
        await(call, deadline, seconds)
      ensure
        cancel(token) if @lock.synchronize { @calls.delete(token) }
      end
      last = call.events.last
      raise Error.of(last.code, last.text || Core.strerror(last.code)) if last.code != 0
      call.events
    end

    # The next direct message, and whether there are more.
    def direct = @lock.synchronize { @direct.shift }

    # Events that are no message, to on_event. What it raises is shown, and the node goes on.
    def report(event)
      @on_event&.call(event)
    rescue StandardError => e
      warn "karakp2p: on_event raised #{e.full_message(highlight: false)}"
    end

    private

    def await(call, deadline, seconds)
      @lock.synchronize do
        until call.done
          raise Error.of(Core::ECLOSED, "the node is closed") if @over
          raise Error.of(Core::ETIMEDOUT, "not finished within #{seconds} s") if deadline.passed?
          @changed.wait(deadline.left)
        end
      end
    end

    def cancel(token)
      @core.cancel(token)
    rescue Error
      nil # it ended meanwhile, or the node did
    end

    def run
      io = IO.for_fd(@core.inbox_fd(0), autoclose: false)
      loop do
        io.wait_readable
        packed = @core.take(0, 0) or next
        Message.unpack(packed, @core).each { |event| dispatch(event) }
      end
    rescue Closed
      nil
    ensure
      @lock.synchronize do
        @over = true
        @changed.broadcast
      end
    end

    def dispatch(event)
      if event.data
        put_direct(event)
      elsif event.token != 0 && [Core::EV_COMPLETE, Core::EV_PUBLISHED].include?(event.type)
        complete(event)
      else
        report(event)
      end
    end

    def complete(event)
      @lock.synchronize do
        call = @calls[event.token] or return
        call.events << event
        return if event.more?
        call.done = true
        @calls.delete(event.token)
        @changed.broadcast
      end
    end

    def put_direct(event)
      @lock.synchronize do
        @direct << event
        @direct.shift if @direct.size > DIRECT_MAX
      end
      @waker.write_nonblock("x", exception: false)
    end
  end
end
