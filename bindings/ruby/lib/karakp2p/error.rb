# frozen_string_literal: true

module Karakp2p
  # A call failed: code is the number that the C library gives, name its name there ("ECLOSED"), and
  # the message says which key, address, peer or argument it is about.
  class Error < StandardError
    attr_reader :code

    def initialize(code, text)
      super(text)
      @code = code
    end

    def name = NAMES.fetch(code) { "E#{-code}" }

    # The error of a code, also of one that only a newer library knows.
    def self.of(code, text) = CLASSES.fetch(code, Error).new(code, text)
  end

  CODES = {
    -1 => %w[EINTERNAL Internal], -2 => %w[EINVAL Invalid], -3 => %w[ENOMEM NoMemory],
    -4 => %w[EAGAIN QueueFull], -5 => %w[ETIMEDOUT Timeout], -6 => %w[EINTR Interrupted],
    -7 => %w[ECLOSED Closed], -8 => %w[ECANCELED Canceled], -9 => %w[EFORKED ForkedError],
    -10 => %w[ESTATE StateError], -11 => %w[ENOTFOUND NotFound], -12 => %w[ETOOBIG TooBig],
    -13 => %w[EDUPLICATE Duplicate], -14 => %w[ENOPEERS NoPeers], -15 => %w[EEXPIRED Expired],
    -16 => %w[EUNREACHABLE Unreachable], -17 => %w[EPROTO ProtocolError],
    -18 => %w[EADDRINUSE AddressInUse], -19 => %w[EACCES AccessDenied],
    -20 => %w[ELIMIT LimitReached], -21 => %w[ENOTSUP NotSupported],
    -22 => %w[EPEERID PeerIdMismatch]
  }.freeze
  private_constant :CODES

  Error::NAMES = CODES.transform_values(&:first).freeze
  Error::CLASSES = CODES.transform_values { |_, name| const_set(name, Class.new(Error)) }.freeze

  # @private What the C wrapper raises.
  def self.error(code, text) = Error.of(code, text)
end
