#!/usr/bin/env bash
# Builds every libFuzzer target and runs each for SECONDS (default 10), beginning with its seeds
# (make_corpus.py), two at a time. A crash leaves its input in build/fuzz/artifacts and fails the run;
# its bytes belong into seeds/TARGET.hex, together with the fix.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds="${1:-10}"
build=build/fuzz
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DKP2P_FUZZ=ON -DKP2P_CLI=OFF \
	-DKP2P_SANITIZE=address,undefined -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ >/dev/null
cmake --build "$build" -j "$(nproc)" >/dev/null
mkdir -p "$build/artifacts"
python3 tests/fuzz/make_corpus.py "$build/corpus"

one() {
	local name corpus work
	name="$(basename "$1")"
	corpus="build/fuzz/corpus/${name#fuzz_}"
	work="$(mktemp -d)"
	if "$1" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -max_len=70000 -print_final_stats=1 \
		-artifact_prefix="build/fuzz/artifacts/$name-" "$work" "$corpus" \
		>"$work.log" 2>&1; then
		echo "ok $name $(grep -oE 'stat::number_of_executed_units: *[0-9]+' "$work.log" | grep -oE '[0-9]+$') runs"
	else
		echo "FAILED $name"
		tail -n 60 "$work.log"
		rm -rf "$work" "$work.log"
		return 1
	fi
	rm -rf "$work" "$work.log"
}
export -f one
find "$build/tests" -maxdepth 1 -name 'fuzz_*' -type f -executable | sort |
	xargs -P 2 -I{} bash -c 'one {} '"$seconds"
