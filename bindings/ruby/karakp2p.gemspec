Gem::Specification.new do |s|
  s.name = "karakp2p"
  s.version = "0.1.0"
  s.summary = "GossipSub publish-subscribe and a Kademlia DHT over libp2p"
  s.description = "Decentralized messaging on libkarakp2p: talks to every stock libp2p node."
  s.authors = ["The KarakP2P authors"]
  s.licenses = ["MIT", "Apache-2.0"]
  s.required_ruby_version = ">= 3.1"
  s.files = Dir["lib/**/*.rb", "ext/karakp2p/*", "ext/karakp2p/swig/*", "README.md"]
  s.extensions = ["ext/karakp2p/extconf.rb"]
end
