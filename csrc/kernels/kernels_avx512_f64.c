/* Every kernel for AVX-512, double: plain C, vectorised by the compiler. */
#include <string.h>

#include "base/rng.h"
#include "cpu/cpu.h"
#include "kernels/tables.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif

#define MNC_REAL double
#define MNC_REAL_IS_F64 1
#define MNC_MR 4
#define MNC_NP 1
#define MNC_ISA avx512_f64
#define MNC_ISA_NAME "avx512"
#define MNC_ISA_CPU MNC_CPU_AVX512 | MNC_CPU_AVX2_FMA
#include "simd/simd_scalar.h"
#include "kernels/table.inc.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
