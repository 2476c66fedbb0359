#!/bin/sh
# preflight.sh PYTHON: is everything here that a build needs?  One line for each thing that is missing, with its cure.
set -u
python=${1:-python3}
missing=0

need() { # need WHAT APT DNF BREW
    echo "missing: $1  ->  apt install $2  |  dnf install $3  |  $4" >&2
    missing=1
}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    have=$("$python" -c 'import platform; print(platform.python_version())' 2>/dev/null) || have='not there'
    need "Python 3.10 or newer ('$python' is $have; another one is named by: make PYTHON=python3.12)" \
        python3 python3.12 'brew install python'
    exit 1
fi

"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    need "the venv module of $python" \
        "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" python3-pip 'brew install python'

include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
[ -f "$include/Python.h" ] ||
    need "Python.h, the C headers of $python" \
        "$("$python" -c 'import sys; print("python%d.%d-dev" % sys.version_info[:2])')" python3-devel 'brew install python'

# The compiler that setuptools will call: $CC, else the one that Python itself was built with.
cc=${CC:-$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("CC") or "cc")')}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
printf '#include <math.h>\n#include <pthread.h>\n#include <stdio.h>\nint main(void) { return 0; }\n' >"$tmp/try.c"
# $cc may hold flags, so it is split on purpose.
$cc -std=c11 -pthread "$tmp/try.c" -o "$tmp/try" >/dev/null 2>&1 ||
    need "a working C compiler ('$cc'; another one is named by: make CC=clang)" build-essential gcc 'brew install gcc'

exit $missing
