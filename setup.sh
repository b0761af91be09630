#!/bin/sh
# Makes .venv with Plait and all it needs, from constraints.txt. 'make' runs this; it needs Python >= 3.12 alone.
# An argument names a further extra: 'make bench' installs the libraries that are compared.
#
# The interpreter: $PYTHON if set; else python3.12 and newer on the PATH, then pyenv's versions (a pyenv shim on the PATH
# may refuse to run), then what uv finds or fetches. 3.12 is preferred because continuous integration runs it.
set -eu
cd "$(dirname "$0")"

fail() {
    echo "setup: $*" >&2
    exit 1
}

# new_enough COMMAND [MINOR]: does it really run, and is it CPython 3.MINOR (12) or newer, with the wheels' ABI?
new_enough() {
    "$1" -c "
import sys
wheels_fit = sys.implementation.name == 'cpython' and 't' not in sys.abiflags
sys.exit(not wheels_fit or sys.version_info < (3, ${2:-12}))" >/dev/null 2>&1
}

# find_python MINOR: print the first interpreter that is new enough.
find_python() {
    pyenv=${PYENV_ROOT:-${HOME:-}/.pyenv}/versions
    for candidate in python3.12 python3.13 python3.14 python3 python \
        "$pyenv"/3.12*/bin/python "$pyenv"/3.1[3-9]*/bin/python "$pyenv"/3.*/bin/python; do
        if new_enough "$candidate" "$1"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# find_uv: print a uv that really runs: the one on the PATH, or this repository's own in .uv.
find_uv() {
    for candidate in uv .uv/bin/uv; do
        if "$candidate" --version >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# install_uv PYTHON: into .uv, by an isolated environment, or where Debian left venv out, by pip into a folder.
install_uv() {
    echo "setup: installing uv into .uv" >&2
    rm -rf .uv
    { "$1" -m venv .uv && .uv/bin/python -m pip install --quiet uv; } >.uv.log 2>&1 ||
        { rm -rf .uv && "$1" -m pip install --quiet --target .uv uv; } >>.uv.log 2>&1 ||
        fail "uv could not be installed with $1 (see .uv.log): install python3-venv, or uv itself, and run make again."
    rm -f .uv.log
}

if [ -n "${PYTHON:-}" ]; then
    new_enough "$PYTHON" || fail "\$PYTHON is '$PYTHON', which does not run as CPython 3.12 or newer: set it to one that does."
    python=$PYTHON
else
    python=$(find_python 12) || python=
fi

if ! uv=$(find_uv); then
    any=${python:-$(find_python 8)} ||
        fail "no Python that runs was found: install Python 3.12 or newer, or set \$PYTHON to one, and run make again."
    install_uv "$any"
    uv=.uv/bin/uv
fi

if ! new_enough .venv/bin/python; then
    rm -rf .venv
    "$uv" venv --quiet --no-project --python "${python:->=3.12}" .venv ||
        fail "no Python 3.12 or newer was found or could be fetched: install one, or set \$PYTHON to it, and run make again."
fi
echo "setup: installing Plait into .venv with $(.venv/bin/python --version)" >&2
quiet=--quiet
if [ -t 2 ]; then quiet=; fi # on a terminal uv shows its progress
compile=
# Where Python may not keep its bytecode, as in most containers, keep it now: imports are three times as fast.
if [ -n "${PYTHONDONTWRITEBYTECODE:-}" ]; then compile=--compile-bytecode; fi
"$uv" pip install $quiet $compile --python .venv/bin/python --constraint constraints.txt --editable ".[all,dev${1:+,$1}]"

# Two libraries that are compared pin others than ours: only their own files, beside the environment.
if [ "${1:-}" = bench ]; then
    "$uv" pip install $quiet --python .venv/bin/python --no-deps --target .peers terratorch==1.2.13 geoai-py==0.43.1
fi
