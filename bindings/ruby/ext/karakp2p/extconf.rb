# Builds karakp2p_core: swig wraps the installed header (pkg-config finds it).
require "mkmf"

# in a gem the interface lies beside this file, in a checkout two folders up
interface = [__dir__, File.expand_path("../../..", __dir__)].find { |d| File.exist?("#{d}/karakp2p.i") }
pkg_config("karakp2p") or abort "karakp2p: the C library is not installed (pkg-config karakp2p)"
include_dir, lib_dir = %w[includedir libdir].map { |v| `pkg-config --variable=#{v} karakp2p`.chomp }
swig = find_executable("swig") or abort "karakp2p: swig is missing"
system(swig, "-ruby", "-Wall", "-I#{interface}", "-I#{include_dir}", "-o", "karakp2p_wrap.c",
       "#{interface}/karakp2p.i") or abort "karakp2p: swig failed"
$srcs = ["karakp2p_wrap.c"]
$objs = ["karakp2p_wrap.o"]
$warnflags = ""
$LDFLAGS << " -Wl,-rpath,#{lib_dir}"
create_makefile("karakp2p_core")
