/* Every kernel for AVX-512, float. */
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

#define MNC_REAL float
#define MNC_REAL_IS_F64 0
#define MNC_MR 8
#define MNC_NP 2
#define MNC_ISA avx512_f32
#define MNC_ISA_NAME "avx512"
#define MNC_ISA_CPU MNC_CPU_AVX512 | MNC_CPU_AVX2_FMA
#include "simd/simd_avx512.h"
#include "kernels/table.inc.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
