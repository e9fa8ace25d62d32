#!/bin/sh
# Builds the stock peers into a cache outside the checkout and prints "name path" for each. Safe to run twice and at once.
# usage: build.sh [name ...]     without names: all of them
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${KP2P_INTEROP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/karakp2p/interop}
all="rust056 rust057 go js py"

die() { echo "build.sh: $*" >&2; exit 1; }

# Toolchains are often installed in places that a test runner's PATH lacks.
PATH=$PATH:$HOME/.cargo/bin:/usr/local/go/bin:/usr/lib/go/bin
export PATH

need() { command -v "$1" >/dev/null 2>&1 || die "$1 is missing: $2"; }

# The files a peer is made of, in a fixed order: they name its cache folder, so a change builds anew and nothing else does.
sources() {
	case $1 in
	rust*) echo "$1/Cargo.toml $1/Cargo.lock rust_common/main.rs" ;;
	go) echo "go/go.mod go/go.sum go/main.go go/siphash.go" ;;
	js) echo "js/package.json js/package-lock.json js/main.js js/siphash.js" ;;
	py) echo "py/requirements.txt py/main.py py/siphash.py" ;;
	*) die "unknown peer '$1'; there are: $all" ;;
	esac
}

# Builds in $2, a private folder that becomes the cache entry when everything has worked.
build_rust() {
	need cargo "install rustup; Debian 12's own cargo is too old for these crates"
	need cc "Debian package build-essential"
	# The target folder is kept between versions of our source, so that only the peer itself is compiled again.
	CARGO_TARGET_DIR=$cache/target-$1 cargo build --quiet --release --locked -j2 --manifest-path "$here/$1/Cargo.toml"
	cp "$cache/target-$1/release/peer" "$2/peer"
}

build_go() {
	need go "Go 1.21 or newer (it fetches the version that go.mod names); Debian 12: golang-1.2x from bookworm-backports"
	(cd "$here/go" && CGO_ENABLED=0 go build -p 2 -mod=readonly -trimpath -ldflags=-s -o "$2/peer" .)
}

node_major() { "$1" -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0; }

build_js() {
	need npm "Debian package npm"
	for f in $(sources js); do cp "$here/$f" "$2/"; done
	# No install script is needed, so none is run.
	(cd "$2" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
	# js-libp2p 3 needs Node 22: the system's if it is new enough, otherwise the one among the packages.
	node=
	for n in "$2"/node_modules/node-linux-*/bin/node $(command -v node || true); do
		if [ -x "$n" ] && [ "$(node_major "$n")" -ge 22 ]; then node=$n; break; fi
	done
	[ -n "$node" ] || die "Node 22 or newer is missing, and there is no npm package of it for $(uname -m)"
	case $node in "$2"/*) node=\$here${node#"$2"} ;; esac
	cat >"$2/peer" <<-END
		#!/bin/sh
		here=\$(dirname "\$(readlink -f "\$0")")
		exec "$node" "\$here/main.js" "\$@"
	END
	chmod +x "$2/peer"
}

build_py() {
	need python3 "Debian package python3"
	python3 -c 'import venv, ensurepip' 2>/dev/null || die "python3 cannot make a venv: Debian package python3-venv"
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "python3 is older than 3.11, which Debian 12 has"
	# A venv holds absolute paths and cannot be moved, so it is made in the final place. An entry counts as built once
	# it has its "peer", which is written last.
	rm -rf "$3"
	mkdir "$3"
	for f in $(sources py); do cp "$here/$f" "$3/"; done
	python3 -m venv "$3/venv"
	"$3/venv/bin/pip" install --quiet --disable-pip-version-check -r "$3/requirements.txt" >&2
	cat >"$3/peer.new" <<-END
		#!/bin/sh
		# siphash.py says what the seed is for.
		PYTHONHASHSEED=0 exec "$3/venv/bin/python" "$3/main.py" "\$@"
	END
	chmod +x "$3/peer.new"
	mv "$3/peer.new" "$3/peer"
}

build() {
	files=$(sources "$1")
	hash=$(cd "$here" && cat build.sh $files | sha256sum | cut -c1-16)
	out=$cache/$1-$hash
	# One builder per peer; whoever waited finds the result and returns at once.
	exec 9>"$cache/$1.lock"
	flock 9
	if [ ! -x "$out/peer" ]; then
		new=$cache/$1.new
		rm -rf "$new"
		mkdir "$new"
		case $1 in rust*) build_rust "$1" "$new" ;; *) "build_$1" "$1" "$new" "$out" ;; esac >&2
		if [ "$1" != py ]; then
			rm -rf "$out"
			mv "$new" "$out"
		fi
		rm -rf "$new"
	fi
	exec 9>&-
	echo "$1 $out/peer"
}

need flock "Debian package util-linux"
need sha256sum "Debian package coreutils"
mkdir -p "$cache"
[ $# -gt 0 ] || set -- $all
for name in "$@"; do sources "$name" >/dev/null; done
for name in "$@"; do build "$name"; done
