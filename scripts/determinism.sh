#!/bin/sh
# determinism.sh: the same bits from every compiler and optimization level, and from CPUs that are not here.
#
# tests/c/test_golden.c trains small networks with every instruction set of this CPU, among the C tests on 1, 2, 3, 4 and 8
# threads, here on one number of them, and compares the hashes of their weights with those committed (status 1: they
# differ).  Here it is built in every way that must not matter, and in some that must: a control that changes nothing would
# mean that the test sees nothing.
set -eu
cd "$(dirname "$0")/.."
jobs=$(getconf _NPROCESSORS_ONLN)
have() { for tool in "$@"; do command -v "$tool" >/dev/null || return 1; done; }

build() { # build FOLDER BUILD VARIABLE=VALUE...: test_golden from the sources in FOLDER, with a log
    folder=$1 build=$2
    shift 2
    mkdir -p "$folder/$build"
    make --silent --no-print-directory -C "$folder" -f scripts/core.mk -j"$jobs" BUILD="$build" "$@" \
        "$build/test_golden" >"$folder/$build/build.log" 2>&1
}

first_error() { grep -m 1 -i -e 'error' -e 'killed' "$1" || tail -n 1 "$1"; }

golden() { # golden LOG COMMAND...: sets status, and last to the last line printed
    log=$1
    shift
    status=0
    "$@" >"$log" 2>&1 || status=$?
    last=$(tail -n 1 "$log")
}

same() { # same NAME LOG COMMAND...
    name=$1
    shift
    golden "$@"
    if [ $status -eq 0 ]; then echo "ok    $name: $last"; else echo "FAIL  $name (status $status): $last"; fi
}

matrix() { # matrix COMPILER
    have "$1" || { echo "skipped: $1 is not here"; return 0; }
    for opt in -O1 -O2 -O3; do
        to=build/ctest/$1$opt
        if build . "$to" CC="$1" OPT=$opt; then
            same "$1 $opt" "$to/test_golden.log" "$to/test_golden" --short
        else
            echo "FAIL  $1 $opt does not compile: $(first_error "$to/build.log")"
        fi
    done
}

# Other processors, emulated: one without AVX, where fma is computed without hardware for it, and one of another make.
emulated() {
    plain=$(ls -d build/ctest/clang-O2/test_golden build/ctest/gcc-O2/test_golden 2>/dev/null | head -n 1)
    if have qemu-x86_64 && [ "$(uname -m)" = x86_64 ] && [ -n "$plain" ]; then
        same 'x86-64 without AVX (emulated)' build/ctest/nehalem.log qemu-x86_64 -cpu Nehalem "$plain" --short 3
    else
        echo 'skipped: x86-64 without AVX, which needs qemu-x86_64'
    fi
    to=build/ctest/aarch64-O2
    if ! have aarch64-linux-gnu-gcc qemu-aarch64; then
        echo 'skipped: aarch64, which needs aarch64-linux-gnu-gcc and qemu-aarch64'
    elif build . $to CC=aarch64-linux-gnu-gcc OPT=-O2 LDFLAGS=-static; then
        same 'aarch64 (emulated)' $to/test_golden.log qemu-aarch64 $to/test_golden --short
    else
        echo "FAIL  aarch64 does not compile: $(first_error $to/build.log)"
    fi
}

# A copy of the sources with one thing changed, which must change hashes and do nothing else.
differs() { # differs NAME FILE SCRIPT VARIABLE=VALUE...: SCRIPT is sed's, for FILE; both empty: only variables
    name=$1 file=$2 script=$3 copy=build/control
    shift 3
    rm -rf $copy
    mkdir -p $copy/tests $copy/scripts
    cp -R csrc $copy/
    cp -R tests/c $copy/tests/
    cp scripts/core.mk $copy/scripts/
    if [ -n "$file" ]; then
        sed "$script" "$file" >"$copy/$file"
        if cmp -s "$file" "$copy/$file"; then
            echo "FAIL  control $name: its patch no longer fits $file"
            return
        fi
    fi
    if ! build $copy build WARN= WERROR= "$@"; then # a patch need not be clean
        echo "FAIL  control $name does not compile: $(first_error $copy/build/build.log)"
        return
    fi
    golden $copy/log $copy/build/test_golden --short
    if [ $status -eq 1 ]; then
        echo "ok    control $name changes hashes, as it should: $(grep -c expected $copy/log) of ${last%% *}"
    else
        echo "FAIL  control $name should change hashes (status $status): $last"
    fi
}

controls() {
    differs "libm's exp" csrc/kernels/math.inc.h \
        's/^MNC_MATH vf v_exp(vf x) {$/& float e[16]; vf_store(e, x); for (int i = 0; i < 16; i++) e[i] = __builtin_expf(e[i]); return vf_load(e);/' \
        OPT=-O1
    # The terms of each product in another order: the even ones, then the odd ones.
    differs 'an unordered sum' csrc/kernels/product.inc.h \
        's/^    for (size_t k = 0; k < count; k++, a += a_step, b += b_step) {$/    const MNC_REAL *const a0 = a, *const b0 = b; const size_t half = (count + 1) \/ 2; for (size_t i = 0; i < count; i++) { const size_t k = i < half ? 2 * i : 2 * (i - half) + 1; a = a0 + k * a_step; b = b0 + k * b_step;/' \
        OPT=-O1
    # gcc contracts a * b + c from -O2 on, and only where the instruction set has fma.
    differs 'contraction' '' '' OPT=-O2 EXTRA=-ffp-contract=fast
}

# Two at a time; what one of them prints is also counted.
mkdir -p build
log=build/determinism.log
: >$log
{ matrix gcc & matrix clang & wait; } 2>&1 | tee -a $log
{ emulated & controls & wait; } 2>&1 | tee -a $log

passed=$(grep -c '^ok' $log) || true
failed=$(grep -vc -e '^ok' -e '^skipped' $log) || true
echo "determinism: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
