/* Every kernel in plain C, float. */
#include <string.h>

#include "base/rng.h"
#include "kernels/kernels.h"

#define MNC_REAL float
#define MNC_REAL_IS_F64 0
#define MNC_MR 4
#define MNC_NP 1
#define MNC_SPARSE_CHAINS 4
/* Sixteen lanes of plain C are much code: once for each function is enough, and compiles in half the time. */
#define MNC_MATH __attribute__((noinline, unused)) static
#define MNC_ISA scalar_f32
#define MNC_ISA_NAME "scalar"
#define MNC_ISA_CPU 0
#include "simd/simd_scalar.h"
#include "kernels/table.inc.h"
