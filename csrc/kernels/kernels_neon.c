/* Every kernel for NEON, float. For double, simd_scalar.h serves: two lanes gain little. */
#include <string.h>

#include "base/rng.h"
#include "kernels/kernels.h"

#if defined(__aarch64__) && !defined(__AARCH64EB__)
#include <arm_neon.h>

#define MNC_REAL float
#define MNC_REAL_IS_F64 0
#define MNC_MR 4
#define MNC_NP 1
#define MNC_SPARSE_CHAINS 4
#define MNC_ISA neon_f32
#define MNC_ISA_NAME "neon"
#define MNC_ISA_CPU 0
#include "simd/simd_neon.h"
#include "kernels/table.inc.h"
#endif
