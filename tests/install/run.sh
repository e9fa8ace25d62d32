#!/usr/bin/env bash
# Installs BUILD-DIR into an empty prefix and builds and runs an outside project against it: by the
# CMake package, by pkg-config against the shared library, and by pkg-config against the static one.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
build="$(cd "${1:?build directory}" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/prefix" >/dev/null
libdir="$(dirname "$(find "$work/prefix" -name 'libkarakp2p.so')")"

echo "CMake package"
cmake -S "$here/consumer" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/cmake" >/dev/null
"$work/cmake/consumer"

export PKG_CONFIG_PATH="$libdir/pkgconfig"
pc() { pkg-config "$@" karakp2p; }

echo "pkg-config, shared"
cc $(pc --cflags) "$here/consumer/main.c" -o "$work/shared" $(pc --libs) -Wl,-rpath,"$libdir"
"$work/shared"
readelf -d "$work/shared" | grep -q 'libkarakp2p.so.1'

echo "pkg-config, static"
mkdir "$work/static-only"
cp "$libdir/libkarakp2p.a" "$work/static-only/"
cc $(pc --cflags) "$here/consumer/main.c" -o "$work/static" -L"$work/static-only" \
	$(pc --libs-only-l --libs-only-other --static)
"$work/static"
if readelf -d "$work/static" | grep -q 'libkarakp2p'; then
	echo "the static consumer links the shared library" >&2
	exit 1
fi

echo "the installed command"
"$work/prefix/bin/karakp2p" --version
