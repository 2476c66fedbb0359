/* Every kernel for AVX-512, float. */
#include <string.h>

#include "base/rng.h"
#include "cpu/cpu.h"
#include "kernels/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>

#define MNC_REAL float
#define MNC_REAL_IS_F64 0
#define MNC_MR 8
#define MNC_NP 2
#define MNC_SPARSE_CHAINS 8
#define MNC_ISA avx512_f32
#define MNC_ISA_NAME "avx512"
#define MNC_ISA_CPU MNC_CPU_AVX512 | MNC_CPU_AVX2_FMA
#include "simd/target_avx512.h"
#include "simd/simd_avx512.h"
#include "kernels/table.inc.h"
#include "simd/target_end.h"
#endif
