rockspec_format = "3.0"
package = "karakp2p"
version = "0.1.0-1"
source = { url = "git+file://." }
description = {
  summary = "GossipSub publish-subscribe and a Kademlia DHT over libp2p",
  detailed = "Needs libkarakp2p and SWIG on the machine.",
  license = "MIT OR Apache-2.0",
}
dependencies = { "lua >= 5.4" }
build = {
  type = "make",
  build_variables = { LUA_CFLAGS = "-I$(LUA_INCDIR)" },
  install_variables = { INST_LIBDIR = "$(LIBDIR)", INST_LUADIR = "$(LUADIR)" },
}
