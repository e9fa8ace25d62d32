#!/usr/bin/env bash
# Everything that judges the Go package: vet, generated files, the tests plain, with the race detector
# and with the strict check of what is given to C; fuzzing; the package vendored, copied elsewhere, without
# libsodium, without cgo, and against an installed libkarakp2p (of ../build/release); the first program of
# the README, the example service, the benchmark.
#
# KP2P_QUICK=1 leaves out the long close race and fuzzes for a moment only.
set -euo pipefail
cd "$(dirname "$0")"
export GOCACHE="${GOCACHE:-${KP2P_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/karakp2p}/go-build}"
export GOFLAGS="${GOFLAGS:-} -mod=mod" GOTOOLCHAIN=local
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
short=() fuzz=20s
[ -z "${KP2P_QUICK:-}" ] || short=(-short) fuzz=3s
test=(go test -count=1 -timeout 30m)
tree=()
[ ! -d ../tests ] || tree=(tree)

step() { echo "--- $*"; }

step vet
unformatted="$(gofmt -d .)"
[ -z "$unformatted" ] || {
	echo "$unformatted"
	exit 1
}
go vet ./...
[ ${#tree[@]} -eq 0 ] || {
	go run ./internal/genconfig -check ../docs/config.md config_keys.go
	cmp LICENSE ../LICENSE
	cmp LICENSE-APACHE ../LICENSE-APACHE
}
[ ${#tree[@]} -gt 0 ] || export KP2P_ALONE=1

step tests
"${test[@]}" "${short[@]}" ./...

step race detector
"${test[@]}" "${short[@]}" -race ./...

step cgocheck
GOEXPERIMENT=cgocheck2 "${test[@]}" -short ./...

step fuzz
"${test[@]}" -run '^$' -fuzz FuzzArguments -fuzztime "$fuzz" -fuzzminimizetime 1s .

step without libsodium
"${test[@]}" -short -tags kp2p_nosodium -run 'TestVersion|TestPublishAndReceive' .

step without cgo
if said="$(CGO_ENABLED=0 go build . 2>&1)"; then
	echo "it builds without cgo" >&2
	exit 1
fi
[ "$(grep -vc '^#' <<<"$said")" = 1 ] && grep -q CGO_ENABLED <<<"$said" || {
	echo "$said" >&2
	exit 1
}

step vendored
mkdir "$work/app"
# the first program of the README
sed -n '/^```go$/,/^```$/{/^```/d;p}' README.md >"$work/app/main.go"
here="$PWD"
(
	cd "$work/app"
	go mod init example.org/app
	go mod edit -require github.com/karakp2p/karakp2p/go@v0.0.0 \
		-replace "github.com/karakp2p/karakp2p/go=$here"
	go mod tidy
	go mod vendor
	GOFLAGS= go vet -mod=vendor . && GOFLAGS= go build -mod=vendor -o app .
	mkfifo one two
	./app >one & first=$!
	exec 3<one
	read -r _ _ address <&3
	./app "$address" >two & second=$!
	exec 4<two
	read -r _ <&4
	for fd in 3 4; do # each hears the other
		read -r said <&"$fd"
		[[ "$said" == *" says hello from 12D3KooW"* ]]
	done
	kill -INT $first $second
	wait $first
	wait $second
)

if [ ${#tree[@]} -gt 0 ]; then
	step example and benchmark
	(cd ../examples/go && [ -z "$(gofmt -l .)" ] && go vet . && "${test[@]}" .)
	(cd ../bench/go && [ -z "$(gofmt -l .)" ] && go vet . && go build -o "$work/bench_peer" .)
	"$work/bench_peer" boundary 2000
	"$work/bench_peer" endtoend 500

	step alone
	cp -R . "$work/alone"
	(cd "$work/alone" && KP2P_ALONE=1 "${test[@]}" -short ./...)

	step installed library
	[ -d ../build/release ] || {
		echo "../build/release is missing: scripts/test release" >&2
		exit 1
	}
	# go keeps what pkg-config once said in its cache: the place is always the same, and part of the key
	prefix="$(cd ../build/release && pwd)/go-prefix"
	rm -rf "$prefix"
	cmake --install ../build/release --prefix "$prefix" >/dev/null
	libdir="$(dirname "$(find "$prefix" -name libkarakp2p.so)")"
	sed -i "s|^prefix=.*|prefix=$prefix|" "$libdir/pkgconfig/karakp2p.pc"
	export PKG_CONFIG_PATH="$libdir/pkgconfig" LD_LIBRARY_PATH="$libdir" CGO_LDFLAGS="-O2 -g -L$libdir"
	"${test[@]}" -short -tags kp2p_dynamic .
	go test -c -tags kp2p_dynamic -o "$work/dynamic" .
	readelf -d "$work/dynamic" | grep -q 'libkarakp2p.so.1'
fi
echo "the Go package is fine"
