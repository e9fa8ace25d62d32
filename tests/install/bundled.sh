#!/usr/bin/env bash
# The bundled build: one shared library that needs nothing but the C library, exports kp2p_* alone, and
# works.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$here/../.."
build="$root/build/bundled"
prefix="$("$root/scripts/bundle-deps")"
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DKP2P_BUNDLED=ON \
	-DKP2P_DEPS_PREFIX="$prefix" -DKP2P_CLI=OFF >/dev/null
cmake --build "$build" --target karakp2p >/dev/null
library="$build/libkarakp2p.so.1"

needed="$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')"
echo "needs:" $needed
if echo "$needed" | grep -Ev '^(libc\.so|libpthread|libdl|libm\.so|ld-linux)'; then
	echo "a bundled library must not need the above" >&2
	exit 1
fi
if nm -D --defined-only "$library" | awk '{print $3}' | sed 's/@.*//' | grep -Ev '^(kp2p_|KP2P_)'; then
	echo "a bundled library must not export the above" >&2
	exit 1
fi
cc -I"$root/abi/include" "$here/consumer/main.c" -o "$build/consumer" -L"$build" -lkarakp2p \
	-Wl,-rpath,"$build"
"$build/consumer" | tee /dev/stderr | grep -q 'bundled'
