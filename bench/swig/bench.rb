# Rates across the boundary of the Ruby binding; see bench/swig.py.
require "karakp2p"

n = ARGV[0].to_i
quick = { listen: "/ip4/127.0.0.1/tcp/0", "kad.mode" => "off" }
one = Karakp2p::Node.open(**quick)
two = Karakp2p::Node.open(**quick, topic: "bench", bootstrap: one.addresses)
sleep 0.01 until one.peers.any? { |p| p["topics"].include?("bench") }

def rate(count)
  start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  yield
  (count / (Process.clock_gettime(Process::CLOCK_MONOTONIC) - start)).round
end

publish = rate(n) { n.times { |i| one.publish("bench", i.to_s.ljust(200, "x")) } }
sleep 0.01 until two.stats["inbox_messages"] >= n
single = rate(n / 2) { (n / 2).times { two.recv } }
got = n / 2
batch = rate(n / 2) { got += two.recv_batch(256).size while got < n }
puts JSON.generate(publish: publish, recv: single, batch: batch)
