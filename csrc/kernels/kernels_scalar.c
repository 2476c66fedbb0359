/* Every kernel without intrinsics, float. */
#include <string.h>

#include "base/rng.h"
#include "kernels/kernels.h"

#define MNC_REAL float
#define MNC_REAL_IS_F64 0
#define MNC_MR 4
#define MNC_NP 1
#define MNC_SPARSE_CHAINS 1 /* sixteen lanes are chains enough for narrow registers */
/* Sixteen lanes without wide registers are much code: once for each function is enough. */
#define MNC_MATH MNC_OUTLINE
#define MNC_ISA scalar_f32
#define MNC_ISA_NAME "scalar"
#define MNC_ISA_CPU 0
#include "simd/simd_scalar.h"
#include "kernels/table.inc.h"
