#!/usr/bin/env bash
# Which lines and branches of core/wire and core/conn the unit tests and the seeds of the fuzz targets
# reach: a table, then every branch that nothing takes. It fails when there is one; what cannot happen is
# an assertion, and those do not count.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/coverage
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DKP2P_TESTS=ON -DKP2P_CLI=OFF \
	-DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
	-DCMAKE_C_FLAGS="-fprofile-instr-generate -fcoverage-mapping" \
	-DCMAKE_EXE_LINKER_FLAGS=-fprofile-instr-generate \
	-DCMAKE_SHARED_LINKER_FLAGS=-fprofile-instr-generate >/dev/null
targets=(tests/unit/*/ tests/fuzz/fuzz_*.c)
targets=("${targets[@]/#tests\/unit\//unit_}")
targets=("${targets[@]/#tests\/fuzz\/fuzz_/replay_}")
targets=("${targets[@]%.c}")
cmake --build "$build" -j "$(nproc)" --target "${targets[@]%/}" >/dev/null
rm -rf "$build/profiles"
LLVM_PROFILE_FILE="$PWD/$build/profiles/%p.profraw" \
	ctest --test-dir "$build" --output-on-failure -L unit -j "$(nproc)" >/dev/null
llvm-profdata merge -sparse -o "$build/all.profdata" "$build"/profiles/*.profraw
programs=("$build"/tests/unit_{conn,crypto,engine,gossipsub,kad,svc} "$build"/tests/replay_*)
programs=("${programs[@]/#/-object=}")
# the tests' own functions of one name in several programs are the data that does not match
llvm-cov export -instr-profile "$build/all.profdata" "$build/tests/unit_wire" "${programs[@]}" \
	core/wire core/conn 2> >(grep -v 'functions have mismatched data' >&2) |
	python3 tests/fuzz/coverage.py | tee "$build/report.txt"
