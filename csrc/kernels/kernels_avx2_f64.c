/* Every kernel for AVX2 and FMA, double: plain C, vectorised by the compiler. */
#include <string.h>

#include "base/rng.h"
#include "cpu/cpu.h"
#include "kernels/tables.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define MNC_REAL double
#define MNC_REAL_IS_F64 1
#define MNC_MR 4
#define MNC_NP 1
#define MNC_ISA avx2_f64
#define MNC_ISA_NAME "avx2"
#define MNC_ISA_CPU MNC_CPU_AVX2_FMA
#include "simd/simd_scalar.h"
#include "kernels/table.inc.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
