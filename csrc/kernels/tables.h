/* The tables of this build; only select.c and the files that define them look here. */
#ifndef MNC_KERNELS_TABLES_H
#define MNC_KERNELS_TABLES_H

#include "kernels/kernels.h"

extern const mnc_kernels mnc_kernels_scalar_f32, mnc_kernels_scalar_f64;
#if defined(__x86_64__)
extern const mnc_kernels mnc_kernels_avx2_f32, mnc_kernels_avx2_f64;
extern const mnc_kernels mnc_kernels_avx512_f32, mnc_kernels_avx512_f64;
#endif

#endif
