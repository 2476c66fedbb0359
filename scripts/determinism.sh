#!/bin/sh
# determinism.sh: the same bits from every compiler and optimization level, and from CPUs that are not here.
#
# tests/c/test_golden.c trains small networks with every instruction set of this CPU on 1, 2, 3, 4 and 8 threads, and
# compares the hashes of their weights with those committed (status 1: they differ).  Here it is built in every way that
# must not matter, and in some that must: a control that changes nothing would mean that the test sees nothing.
set -eu
cd "$(dirname "$0")/.."
passed=0
failed=0
jobs=$(getconf _NPROCESSORS_ONLN)

ok() { echo "ok    $1"; passed=$((passed + 1)); }
fail() { echo "FAIL  $1"; failed=$((failed + 1)); }
have() { for tool in "$@"; do command -v "$tool" >/dev/null || return 1; done; }

build() { # build FOLDER BUILD VARIABLE=VALUE...: test_golden from the sources in FOLDER
    folder=$1 build=$2
    shift 2
    make --silent --no-print-directory -C "$folder" -f scripts/core.mk -j"$jobs" BUILD="$build" "$@" "$build/test_golden"
}

golden() { # golden LOG COMMAND...: sets status and last, the last line printed
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
    if [ $status -eq 0 ]; then ok "$name: $last"; else fail "$name (status $status): $last"; fi
}

for cc in gcc clang; do
    have $cc || { echo "skipped: $cc is not here"; continue; }
    for opt in -O1 -O2 -O3; do
        build . "build/ctest/$cc$opt" CC=$cc OPT=$opt
        same "$cc $opt" "build/ctest/$cc$opt/test_golden.log" "build/ctest/$cc$opt/test_golden"
    done
done

# Other processors, emulated: one without AVX, where fma is computed without hardware for it, and one of another make.
plain=$(ls -d build/ctest/gcc-O2/test_golden build/ctest/clang-O2/test_golden 2>/dev/null | head -n 1)
if have qemu-x86_64 && [ "$(uname -m)" = x86_64 ] && [ -n "$plain" ]; then
    same 'x86-64 without AVX (emulated)' build/ctest/nehalem.log qemu-x86_64 -cpu Nehalem "$plain" --short
else
    echo 'skipped: x86-64 without AVX, which needs qemu-x86_64'
fi
if have aarch64-linux-gnu-gcc qemu-aarch64; then
    build . build/ctest/aarch64-O2 CC=aarch64-linux-gnu-gcc OPT=-O2 LDFLAGS=-static
    same 'aarch64 (emulated)' build/ctest/aarch64.log qemu-aarch64 build/ctest/aarch64-O2/test_golden --short
else
    echo 'skipped: aarch64, which needs aarch64-linux-gnu-gcc and qemu-aarch64'
fi

# The controls: a copy of the sources with one thing changed, which must change a hash (and nothing else).
differs() { # differs NAME FILE SCRIPT VARIABLE=VALUE...: SCRIPT is sed's, for FILE; both empty: only variables
    name=$1 file=$2 script=$3
    shift 3
    copy=build/control
    rm -rf $copy
    mkdir -p $copy/tests $copy/scripts
    cp -R csrc $copy/
    cp -R tests/c $copy/tests/
    cp scripts/core.mk $copy/scripts/
    if [ -n "$file" ]; then
        sed "$script" "$file" >"$copy/$file"
        if cmp -s "$file" "$copy/$file"; then
            fail "control $name: its patch no longer fits $file"
            return
        fi
    fi
    if ! build $copy build/golden OPT=-O1 WARN= "$@" >$copy/log 2>&1; then
        fail "control $name does not compile: $(grep -m 1 error $copy/log)"
        return
    fi
    golden $copy/log $copy/build/golden/test_golden --short
    if [ $status -eq 1 ]; then
        ok "control $name changes hashes, as it should: $(grep -c expected $copy/log) of them"
    else
        fail "control $name should change hashes (status $status): $last"
    fi
}

differs "libm's exp" csrc/kernels/math.inc.h \
    's/^MNC_INLINE vf v_exp(vf x) {$/& float e[16]; vf_store(e, x); for (int i = 0; i < 16; i++) e[i] = __builtin_expf(e[i]); return vf_load(e);/'
# The inputs of each product in another order: the even ones, then the odd ones.
differs 'an unordered sum' csrc/kernels/product.inc.h \
    's/^    for (size_t k = 0; k < count; k++, a += a_step, b += b_step) {$/    const MNC_REAL *const a0 = a, *const b0 = b; const size_t half = (count + 1) \/ 2; for (size_t i = 0; i < count; i++) { const size_t k = i < half ? 2 * i : 2 * (i - half) + 1; a = a0 + k * a_step; b = b0 + k * b_step;/'
# gcc contracts from -O2 on.
differs 'contraction of a * b + c' '' '' OPT=-O2 EXTRA=-ffp-contract=fast

echo "determinism: $passed passed, $failed failed"
[ $failed -eq 0 ]
