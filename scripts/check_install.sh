#!/bin/sh
# check_install.sh PYTHON [PYTHON...]: install into fresh environments and import; any warning is a failure.  With the
# first Python: the sdist with gcc, a clone with clang, and with both a build with all warnings on; with the others: the
# sdist with whichever of the two is here (clang compiles faster).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
export PYTHONDONTWRITEBYTECODE= # where it is set, not compiling is one more warning

run() { # show what a command says only if it fails
    "$@" >"$work/log" 2>&1 || { cat "$work/log"; echo "failed: $*"; exit 1; }
}

install() { # install CC FROM
    CC=$1 run "$work/venv/bin/python" -m pip install --verbose --no-build-isolation --no-deps --force-reinstall "$2"
    # Not: pip's word about running as root, and flags such as -Wno-unused.
    if grep -i 'warning' "$work/log" | grep -v 'WARNING: Running pip as\|-W[a-z]'; then
        echo "failed: warnings while installing $2 with $1"
        exit 1
    fi
    (cd / && run "$work/venv/bin/python" -W error -c 'import mnist_c')
    passed=$((passed + 1))
    echo "ok    $("$work/venv/bin/python" --version), $1, $(basename "$2")"
}

# What git knows is what a clone has.
mkdir "$work/clone"
git ls-files -z --cached --others --exclude-standard | xargs -0 tar -c | tar -x -C "$work/clone"

fast=gcc
if command -v clang >/dev/null; then fast=clang; fi
for python in "$@"; do
    rm -rf "$work/venv"
    run "$python" -m venv "$work/venv"
    run "$work/venv/bin/python" -m pip install --upgrade 'pip>=25.1' 'setuptools>=77.0.3' 'numpy>=2.0'
    if [ -e "$work/sdist" ]; then
        install "$fast" "$work"/sdist/*.tar.gz
        continue
    fi
    (cd "$work/clone" && run "$work/venv/bin/python" -W ignore -c \
        'import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])' "$work/sdist")
    install gcc "$work"/sdist/*.tar.gz
    install "$fast" "$work/clone"
    for cc in gcc clang; do
        command -v $cc >/dev/null || { echo "skipped: $cc is not here"; continue; }
        (cd "$work/clone" && CC=$cc MNIST_C_OPT=-O1 MNIST_C_WERROR=1 \
            run "$work/venv/bin/python" setup.py --quiet build_ext)
        passed=$((passed + 1))
        echo "ok    -Werror, $cc"
    done
done
echo "installs: $passed passed, 0 failed"
