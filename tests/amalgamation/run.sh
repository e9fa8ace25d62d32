#!/usr/bin/env bash
# The pair karakp2p.c and karakp2p.h that is committed under go/ is what scripts/amalgamate makes of
# the tree, compiles alone with gcc and clang, with and without libsodium, without a warning, exports
# the public functions alone, keeps the rounding of doubles, and makes a program that starts and closes a node.
set -euo pipefail
cd "$(dirname "$0")/../.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
scripts/amalgamate "$work"

# The machine may have another uthash than the one that made the committed pair.
own() { sed '/^\/\* ======== uthash\.h /,/^\/\* ======== end of uthash\.h /d' "$1"; }
cmp "$work/karakp2p.h" go/karakp2p.h
diff <(own go/karakp2p.c) <(own "$work/karakp2p.c") >"$work/diff" || {
	head -40 "$work/diff"
	echo "go/karakp2p.c is not what the tree makes: run scripts/amalgamate" >&2
	exit 1
}
grep -q '^/\* ======== end of uthash\.h ' go/karakp2p.c
grep -q 'Redistribution and use in source and binary forms' go/karakp2p.c

cp go/karakp2p.c go/karakp2p.h tests/install/consumer/main.c "$work"
cd "$work"
warnings=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Werror)
for cc in gcc clang; do
	for sodium in '' libsodium; do
		libs=(libuv libcares libcrypto $sodium)
		read -ra flags <<<"$(pkg-config --cflags "${libs[@]}") ${sodium:+-DKP2P_SODIUM}"
		read -ra link <<<"$(pkg-config --libs "${libs[@]}")"
		"$cc" -std=gnu11 -O2 -fPIC -fvisibility=hidden "${warnings[@]}" "${flags[@]}" -c karakp2p.c
		"$cc" -shared -Wl,-z,defs karakp2p.o "${link[@]}" -pthread -o libpair.so
		diff <(nm -D --defined-only libpair.so | awk '{ print $NF }' | sort) \
			<(python3 "$OLDPWD/abi/gen_map.py" --list | sort)
		"$cc" -I. main.c karakp2p.o "${link[@]}" -pthread -o consumer
		said="$(./consumer)"
		echo "$cc: $said"
		case "$said" in
		*sodium/*) [ -n "$sodium" ] ;;
		*) [ -z "$sodium" ] ;;
		esac
	done
	# x86-64 contracts a * b + c only where the processor is known to have it
	if [ "$(uname -m)" = x86_64 ]; then
		{
			sed '/^\/\* ======== /,$d' karakp2p.c
			echo 'double rounding(double a, double b, double c);'
			echo 'double rounding(double a, double b, double c) { return a * b + c; }'
		} >rounding.c
		"$cc" -std=gnu11 -O2 -mfma -S rounding.c -o rounding.s
		if grep -q fmadd rounding.s; then
			echo "$cc contracts multiplications with additions" >&2
			exit 1
		fi
	fi
done
