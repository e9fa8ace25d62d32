#!/usr/bin/env bash
# Fails when a C or C++ file is not as clang-format would write it; --fix rewrites it instead.
set -euo pipefail
cd "$(dirname "$0")/../.."
mode=(--dry-run -Werror)
[ "${1:-}" != --fix ] || mode=(-i)
dirs=()
for dir in core abi cli tests bench bindings node/src; do
	[ ! -d "$dir" ] || dirs+=("$dir")
done
find "${dirs[@]}" \
	\( -name node_modules -o -name build -o -name 'build-*' -o -name target \) -prune -o \
	-type f \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) -print0 |
	sort -z | xargs -0 clang-format "${mode[@]}"
