#!/bin/sh
# determinism.sh: the same bits from every compiler and optimization level.
#
# tests/c/test_golden.c trains small networks with every instruction set of this CPU and several numbers of threads, and
# compares the hashes of their weights with those committed (status 1: they differ).  Here it is built in every way that
# must not matter, and in some that must: a control that changes nothing would mean that the test sees nothing.
set -eu
cd "$(dirname "$0")/.."
passed=0
failed=0

golden() { # golden BUILD VARIABLE=VALUE...: prints its last line; returns its status
    build=$1
    shift
    make --silent -f scripts/core.mk -j"$(getconf _NPROCESSORS_ONLN)" BUILD="$build" "$@" "$build/test_golden" || exit 2
    status=0
    $run "$build/test_golden" >"$build/test_golden.log" 2>&1 || status=$?
    tail -n 1 "$build/test_golden.log"
    return $status
}

same() { # same NAME BUILD VARIABLE=VALUE...
    name=$1
    shift
    if last=$(golden "$@"); then
        echo "ok    $name: $last"
        passed=$((passed + 1))
    else
        echo "FAIL  $name: $last"
        failed=$((failed + 1))
    fi
}

differs() { # differs NAME BUILD VARIABLE=VALUE...
    name=$1
    shift
    status=0
    last=$(golden "$@") || status=$?
    if [ $status -eq 1 ]; then
        echo "ok    $name changes the bits, as it should"
        passed=$((passed + 1))
    else
        echo "FAIL  $name should change the bits (status $status: $last)"
        failed=$((failed + 1))
    fi
}

run=
for cc in gcc clang; do
    command -v $cc >/dev/null || { echo "skipped: $cc is not here"; continue; }
    for opt in -O1 -O2 -O3; do
        same "$cc $opt" "build/ctest/$cc$opt" CC=$cc OPT=$opt
    done
done

# Another processor, emulated.
if command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null; then
    run=qemu-aarch64
    same 'aarch64 (emulated)' build/ctest/aarch64-O2 CC=aarch64-linux-gnu-gcc OPT=-O2 LDFLAGS=-static EXTRA=-DMNC_TEST_SHORT
    run=
else
    echo 'skipped: aarch64, which needs aarch64-linux-gnu-gcc and qemu-aarch64'
fi

for control in -ffp-contract=fast -DMNC_CONTROL_LIBM_EXP -DMNC_CONTROL_UNORDERED_SUM; do
    macro=${control#-D}
    [ "$macro" = "$control" ] || grep -rq "$macro" csrc || continue
    differs "$control" "build/ctest/control$(echo "$control" | tr -cd a-zA-Z_-)" OPT=-O2 EXTRA="-DMNC_TEST_SHORT $control"
done

echo "determinism: $passed passed, $failed failed"
[ $failed -eq 0 ]
