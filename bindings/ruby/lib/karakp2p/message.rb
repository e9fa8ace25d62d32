# frozen_string_literal: true

module Karakp2p
  # A message, or another event (see Node.new on_event). What does not belong to its kind is nil.
  #
  #   topic, data     what was published where; data is binary
  #   source, via     author, and the peer that forwarded it
  #   id, seq         message id (binary), and the author's sequence number
  #   protocol        of a direct message
  #   time            when it arrived
  class Message
    HEAD = "L<S<S<S<S<l<q<q<q<q<L<10"
    FIELDS = %i[topic data source via id protocol addr key value text].freeze
    MISSING = 0xffffffff
    attr_reader(*FIELDS, :type, :inbox, :code, :token, :count)

    # @private All events of a packed batch (kp2p_node_poll_packed).
    def self.unpack(packed, core)
      events = []
      at = 0
      while at < packed.bytesize
        head = packed.unpack(HEAD, offset: at)
        events << new(packed, at, head, core)
        at += head[0]
      end
      events
    end

    def initialize(packed, at, head, core)
      _, skip, @type, @flags, @inbox, @code, @token, @seq, @time_ns, @count, *lens = head
      @core = core
      at += skip
      @topic, @data, @source, @via, @id, @protocol, @addr, @key, @value, @text = lens.map do |len|
        next if len == MISSING
        at += len
        packed.byteslice(at - len, len)
      end
      [@topic, @source, @via, @protocol, @addr, @text].each { |t| t&.force_encoding(Encoding::UTF_8) }
    end

    def seq = @flags & Core::FLAG_NO_SEQ == 0 ? @seq & 0xffffffffffffffff : nil

    def time = Time.at(0, @time_ns, :nanosecond)

    def more? = @flags & Core::FLAG_MORE != 0

    # Verdicts on a message of a validated topic: forward it; do not, and count it against the
    # sender; do not. False when it needs none, or it is too late.
    def accept = verdict(Core::VERDICT_ACCEPT)
    def reject = verdict(Core::VERDICT_REJECT)
    def ignore = verdict(Core::VERDICT_IGNORE)

    def to_s = data || text || ""

    def inspect = "#<Karakp2p::Message topic=#{topic.inspect} source=#{source} #{data&.bytesize} bytes>"

    private

    def verdict(verdict)
      return false unless type == Core::EV_VALIDATE
      @core.verdict(token, verdict)
      true
    rescue NotFound, Closed
      false
    end
  end
end
