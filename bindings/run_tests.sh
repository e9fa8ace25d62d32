#!/usr/bin/env bash
# Builds and tests the bindings that SWIG makes, each in its language's own runner, against an installed
# library:
#
#     bindings/run_tests.sh [--build] [java csharp ruby lua perl tcl]
#
# --build only builds, for bindings/member and bench/swig.py.
# Debian packages that are missing are installed. A language is left out only when its runtime cannot be
# had, and that is said. Everything is built in build/bindings; what Maven fetches is kept under
# KP2P_CACHE (~/.cache/karakp2p). KP2P_BUILD: the build that is installed (build/release, made if missing).
set -uo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
out=$PWD/build/bindings
prefix=$out/prefix
build=${KP2P_BUILD:-build/release}
cache=${KP2P_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/karakp2p}
failed=() left_out=() passed=()

# --- what the machine lacks -----------------------------------------------------------------------

missing() { # missing PACKAGE…: those that are not installed
	local package
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || echo "$package"
	done
}

need() { # need PACKAGE…
	local wanted root=()
	command -v dpkg-query >/dev/null || return 0 # then it is there, or the build says what is not
	wanted=$(missing "$@")
	[ -n "$wanted" ] || return 0
	echo "installing: $wanted" | tr '\n' ' ' && echo
	[ "$(id -u)" = 0 ] || root=(sudo)
	# shellcheck disable=SC2086
	"${root[@]}" apt-get update -qq && DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get \
		-o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $wanted >/dev/null
}

runtime_java() { { command -v javac && command -v mvn; } >/dev/null || need default-jdk-headless maven; }
runtime_csharp() {
	need mono-mcs mono-runtime nunit-console libnunit-cil-dev libmono-system-json4.0-cil \
		libmono-posix4.0-cil pkg-config
}
runtime_ruby() { need ruby ruby-dev ruby-minitest; }
runtime_lua() { need lua5.4 liblua5.4-dev lua-busted lua-dkjson; }
runtime_perl() { need perl libperl-dev; }
runtime_tcl() { need tcl tcl-dev tcllib; }

# --- one language each ----------------------------------------------------------------------------

known=$cache/m2/complete-$(cksum <bindings/java/pom.xml | cut -d' ' -f1) # all that it needs is there
maven() {
	local offline=()
	[ ! -e "$known" ] || offline=(-o)
	mvn -q -B -ntp "${offline[@]}" -f bindings/java/pom.xml -Dmaven.repo.local="$cache/m2" -Dout="$out/java" \
		-Drepository="$repository" -Dcommand="$prefix/bin/karakp2p" "$@"
}

build_java() {
	make -s -C bindings/java OUT="$out/java" && maven compile && mkdir -p "$out/java/examples" &&
		javac -cp "$out/java/classes" -d "$out/java/examples" examples/java/*.java
}
check_java() { maven package && touch "$known"; }

build_csharp() {
	make -s -C bindings/csharp OUT="$out/csharp" && cd "$out/csharp" &&
		mcs -nologo -debug -r:KarakP2P.dll -r:Mono.Posix "$repository/examples/csharp/Member.cs" -out:Member.exe
}
check_csharp() {
	local tests=$repository/bindings/csharp/test
	cd "$out/csharp" &&
		mcs -nologo -debug -r:KarakP2P.dll -r:Mono.Posix "$tests/ChildProgram.cs" -out:ChildProgram.exe &&
		mcs -nologo -debug -target:library -r:KarakP2P.dll -r:System.Json -pkg:nunit "$tests/Tests.cs" \
			-out:Tests.dll &&
		LD_LIBRARY_PATH=$out/csharp${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} nunit-console -nologo -nodots -noresult Tests.dll
}

build_ruby() { cd "$out/ruby" && ruby "$repository/bindings/ruby/ext/karakp2p/extconf.rb" && make -s; }
check_ruby() {
	make -s -C bindings/ruby OUT="$out/ruby" &&
		gem install --quiet --local --no-document --force -i "$out/ruby/gems" "$out/ruby/karakp2p-0.1.0.gem" &&
		GEM_PATH=$out/ruby/gems ruby -e 'require "karakp2p"; puts Karakp2p.version' &&
		ruby -w -I "$out/ruby" -I bindings/ruby/lib bindings/ruby/test/test_karakp2p.rb
}

build_lua() { make -s -C bindings/lua OUT="$out/lua"; }
check_lua() {
	cd bindings/lua &&
		LUA_CPATH="$out/lua/?.so;;" LUA_PATH="$PWD/?.lua;;" busted --lua=lua5.4 -o TAP spec
}

# MakeMaker builds where its sources are: in a copy, as a distribution would be
build_perl() {
	cp -ru bindings/perl/. bindings/karakp2p.i bindings/swig "$out/perl/" && cd "$out/perl" &&
		perl Makefile.PL && make -s
}
check_perl() { cd "$out/perl" && prove -b t/*.t; }

build_tcl() { make -s -C bindings/tcl OUT="$out/tcl"; }
check_tcl() { TCLLIBPATH="$out/tcl $repository/bindings/tcl" tclsh bindings/tcl/test.tcl; }

# --- all of them ----------------------------------------------------------------------------------

install_library() {
	if [ ! -f "$build/libkarakp2p.so" ]; then
		cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo &&
			cmake --build "$build" -j "$(nproc)" || return 1
	fi
	cmake --install "$build" --prefix "$prefix" >/dev/null || return 1
	pc=$(find "$prefix" -name karakp2p.pc)
	export PKG_CONFIG_PATH=${pc%/*}${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
}

only_build=
[ "${1:-}" != --build ] || { only_build=1 && shift; }
languages=("$@")
[ $# -gt 0 ] || languages=(java csharp ruby lua perl tcl)
need swig pkg-config make gcc
install_library || exit 1
export KARAKP2P_REPOSITORY=$repository KARAKP2P_COMMAND=$prefix/bin/karakp2p
for language in "${languages[@]}"; do
	start=$SECONDS
	if ! "runtime_$language"; then
		left_out+=("$language")
		echo "$language: left out, its runtime cannot be had"
		continue
	fi
	echo "--- $language"
	mkdir -p "$out/$language"
	if ("build_$language") && { [ -n "$only_build" ] || ("check_$language"); }; then
		passed+=("$language")
		echo "$language: ok ($((SECONDS - start)) s)"
	else
		failed+=("$language")
		echo "$language: FAILED ($((SECONDS - start)) s)"
	fi
done
if [ -z "$only_build" ] && [ ${#passed[@]} -gt 0 ]; then
	python3 bindings/network_test.py "${passed[@]}" || failed+=(network)
fi
echo "bindings: passed ${passed[*]:-none}; failed ${failed[*]:-none}; left out ${left_out[*]:-none}"
[ ${#failed[@]} -eq 0 ]
