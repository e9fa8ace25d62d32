#!/bin/sh
# Compares the interface of a built libkarakp2p.so (with debug information) with the last released
# one, abi/v1.abi: no function, type or constant of the interface may change or go.
#
#     tests/abi/abidiff.sh BUILD            a build folder, or the .so itself
#     tests/abi/abidiff.sh BUILD --update   writes abi/v1.abi anew (after additions, never to hide a
#                                           change)
#
# Exit 0: unchanged. 1: additions only: update the file with the commit that made them. 2: changed.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
headers=$root/abi/include
baseline=$root/abi/v1.abi
so=${1:?usage: abidiff.sh BUILD [--update]}
[ -d "$so" ] && so=$so/libkarakp2p.so
so=$(readlink -f "$so")
if ! command -v abidw >/dev/null; then
	echo "abidiff.sh: abidw (package abigail-tools) is missing" >&2
	exit 3
fi
# What only the header shows, and nothing of this machine: no paths, locations or private types.
dump() {
	abidw --exported-interfaces-only --no-show-locs --no-corpus-path --no-comp-dir-path \
		--no-elf-needed --headers-dir "$headers" --drop-private-types "$so" |
		sed -e "s#path='[^']*/abi/#path='abi/#"
}
if [ "${2:-}" = --update ]; then
	dump >"$baseline"
	exit 0
fi
now=$(mktemp)
trap 'rm -f "$now"' EXIT
dump >"$now"
if ! grep -q "class-decl name='kp2p_bytes' size" "$now"; then
	echo "abidiff.sh: $so has no debug information" >&2
	exit 3
fi
code=0
abidiff "$baseline" "$now" || code=$?
# abidiff's bits: 1, 2 = it failed; 4 = changed; 8 = changed incompatibly
if [ "$code" -eq 0 ]; then
	exit 0
fi
if [ $((code & 11)) -eq 0 ] && abidiff --no-added-syms "$baseline" "$now" >/dev/null; then
	echo "abidiff.sh: additions only; if they are meant: $0 $1 --update" >&2
	exit 1
fi
echo "abidiff.sh: the interface has changed (abidiff $code)" >&2
exit 2
