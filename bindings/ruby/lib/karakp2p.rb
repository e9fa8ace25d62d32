# frozen_string_literal: true

# KarakP2P for Ruby: publish-subscribe and a DHT over libp2p.
#
#     Karakp2p::Node.open(topic: "news", listen: "/ip4/0.0.0.0/tcp/0") do |node|
#       node.publish("news", "hello")
#       node.each { |message| puts "#{message.source}: #{message.data}" }
#     end
#
# Times are seconds (nil: no limit). Methods may be called by any thread; no wait holds the
# interpreter's lock, so other threads and Ctrl-C go on.
require "io/wait"
require "json"
require "monitor"
require "karakp2p_core"
require "karakp2p/error"
require "karakp2p/message"
require "karakp2p/reader"
require "karakp2p/hub"
require "karakp2p/node"

module Karakp2p
  Core = Karakp2p_core
  Published = Struct.new(:id, :peers)

  # The version of the C library and of what it runs on.
  def self.version = Core.version

  # A new Ed25519 key: the text that Node.new(identity: …) takes. Keep it to keep the peer id.
  def self.generate_key = Core.key_generate(Core::KEY_ED25519)

  # The peer id of such a text.
  def self.key_peer_id(key) = Core.key_peer_id(text(key, "key"))

  # A peer id in base58, given in base58 or as a CIDv1.
  def self.peer_id(id) = Core.peer_id_parse(text(id, "peer id"))

  # @private A text for the C library.
  def self.text(value, name)
    raise TypeError, "#{name}: a String, not #{value.class}" unless value.is_a?(String)
    value.encoding == Encoding::UTF_8 ? value : value.encode(Encoding::UTF_8)
  rescue EncodingError
    raise Error.of(Core::EINVAL, "#{name}: no text in UTF-8")
  end

  # @private Bytes for the C library.
  def self.bytes(value, name)
    raise TypeError, "#{name}: a String, not #{value.class}" unless value.is_a?(String)
    value
  end

  # @private Milliseconds for the C library: rounded up, -1 for no limit.
  def self.ms(seconds)
    return -1 if seconds.nil?
    raise TypeError, "timeout: seconds or nil, not #{seconds.class}" unless seconds.is_a?(Numeric) && seconds.real?
    raise Error.of(Core::EINVAL, "timeout: seconds, 0 or more, or nil for no limit") unless seconds >= 0
    [seconds, 2_000_000].min.*(1000).ceil
  end

  # @private When a wait is over.
  class Deadline
    def initialize(seconds)
      @at = Karakp2p.ms(seconds) < 0 ? nil : now + seconds
    end

    # Seconds, 0 when it has passed, nil for no limit.
    def left = @at && [@at - now, 0].max

    def passed? = !@at.nil? && now >= @at

    private

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
