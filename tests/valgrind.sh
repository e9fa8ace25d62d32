#!/usr/bin/env bash
# The unit tests under valgrind, two executables at a time: reads of what nobody wrote, which no
# sanitizer of ours sees, and whatever else it finds. valgrind.sh [BUILD] [NAME…] (build/release, all)
set -euo pipefail
cd "$(dirname "$0")/.."
build="${1:-build/release}"
[ $# -eq 0 ] || shift

one() {
	local log
	log="$(mktemp)"
	if valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,possible \
		"$1" --gtest_brief=1 >"$log" 2>&1; then
		echo "ok $(basename "$1") $(grep -oE "[0-9]+ tests" "$log" | head -1)"
	else
		echo "FAILED $(basename "$1")"
		tail -n 60 "$log"
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}
export -f one
if [ $# -gt 0 ]; then
	printf "$build/tests/unit_%s\n" "$@"
else
	find "$build/tests" -maxdepth 1 -name 'unit_*' -type f -executable | sort
fi | xargs -P 2 -I{} bash -c 'one {}'
