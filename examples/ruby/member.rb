#!/usr/bin/env ruby
# frozen_string_literal: true

# A member of a network: prints what it hears as JSON lines and publishes what it is told, one line a
# message. `/peers`, `/stats` and `/quit` are commands (the line protocol of `karakp2p node --json`).
#
#     member.rb --topic news --listen /ip4/127.0.0.1/tcp/0 --bootstrap /ip4/…/tcp/…/p2p/…
require "json"
require "karakp2p"
require "optparse"

config = { listen: [], bootstrap: [], topic: [] }
OptionParser.new do |options|
  config.each_key { |key| options.on("--#{key} VALUE") { |value| config[key] << value } }
  options.on("--json") {}
end.parse!
$stdout.sync = true

def say(event, **members) = puts(JSON.generate({ event: event, **members }))

def peers(node, topic)
  all = node.peers
  named = ->(list) { all.select { |p| p[list].include?(topic) }.map { |p| p["peer"] } }
  { connected: all.map { |p| p["peer"] }, mesh: named["mesh"], subscribers: named["topics"] }
end

def obey(node, topic, line)
  case line
  when "/quit" then node.close
  when "/peers" then say("peers", **peers(node, topic))
  when "/stats" then say("stats", **node.stats)
  else say("published", id: node.publish(topic, line.delete_prefix("/"), confirm: true).id)
  end
rescue Karakp2p::Error => e
  say("error", what: line, why: e.message)
end

node = Karakp2p::Node.open(**config)
stop = Thread::Queue.new # a handler may not wait, a thread may
%w[INT TERM].each { |signal| trap(signal) { stop << signal } }
Thread.new { stop.pop && node.close }
Thread.new { $stdin.each_line(chomp: true) { |line| obey(node, config[:topic][0], line) } }

say("listening", peer: node.peer_id, addrs: node.addresses)
node.each do |message|
  say("message", topic: message.topic, from: message.source, via: message.via, id: message.id,
      seqno: message.seq.to_s, size: message.data.bytesize, data: [message.data].pack("m0"))
end
node.close
say("closed")
