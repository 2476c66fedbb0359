/* Which table serves which name, best first. */
#include <string.h>

#include "cpu/cpu.h"
#include "kernels/kernels.h"

extern const mnc_kernels mnc_kernels_scalar_f32, mnc_kernels_scalar_f64;
#if defined(__x86_64__)
extern const mnc_kernels mnc_kernels_avx2_f32, mnc_kernels_avx2_f64;
extern const mnc_kernels mnc_kernels_avx512_f32;
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
extern const mnc_kernels mnc_kernels_neon_f32;
#endif

typedef struct {
    const mnc_kernels *f32, *f64;
} pair;

static const pair tables[] = {
#if defined(__x86_64__)
    {&mnc_kernels_avx512_f32, &mnc_kernels_avx2_f64},
    {&mnc_kernels_avx2_f32, &mnc_kernels_avx2_f64},
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
    {&mnc_kernels_neon_f32, &mnc_kernels_scalar_f64},
#endif
    {&mnc_kernels_scalar_f32, &mnc_kernels_scalar_f64},
};

static const pair *nth_available(size_t n) {
    const unsigned cpu = mnc_cpu_features();
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if ((tables[i].f32->cpu & ~cpu) == 0 && n-- == 0) return &tables[i];
    return NULL;
}

const char *mnc_isa_name(size_t i) {
    const pair *p = nth_available(i);
    return p ? p->f32->isa : NULL;
}

const mnc_kernels *mnc_kernels_find(const char *isa, mnc_dtype dtype) {
    const pair *p = NULL;
    for (size_t i = 0; (p = nth_available(i)) != NULL; i++)
        if (!isa || strcmp(p->f32->isa, isa) == 0) return dtype == MNC_FLOAT64 ? p->f64 : p->f32;
    return NULL;
}
