/* Every kernel for AVX2 and FMA, double. */
#include <string.h>

#include "base/rng.h"
#include "cpu/cpu.h"
#include "kernels/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>

#define MNC_REAL double
#define MNC_REAL_IS_F64 1
#define MNC_MR 2
#define MNC_NP 1
#define MNC_SPARSE_CHAINS 2
#define MNC_ISA avx2_f64
#define MNC_ISA_NAME "avx2"
#define MNC_ISA_CPU MNC_CPU_AVX2_FMA
#include "simd/target_avx2.h"
#include "simd/simd_avx2_f64.h"
#include "kernels/table.inc.h"
#include "simd/target_end.h"
#endif
