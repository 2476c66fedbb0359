#include "cpu/cpu.h"

#if defined(__x86_64__)

#include <immintrin.h>

unsigned mnc_cpu_features(void) {
    unsigned bits = 0;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("popcnt"))
        bits |= MNC_CPU_AVX2_FMA;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        bits |= MNC_CPU_AVX512;
    return bits;
}

/* MXCSR: bit 15 flush to zero, bits 13-14 rounding, bits 7-12 exception masks, bit 6 denormals are zeros. */
unsigned mnc_cpu_normalise(void) {
    const unsigned state = _mm_getcsr();
    _mm_setcsr(0x1F80);
    return state;
}

void mnc_cpu_restore(unsigned state) { _mm_setcsr(state); }

#elif defined(__aarch64__)

unsigned mnc_cpu_features(void) { return 0; }

/* FPCR: bit 24 flush to zero, bits 22-23 rounding, bit 19 flush for half precision. */
unsigned mnc_cpu_normalise(void) {
    uint64_t state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
    return (unsigned)state;
}

void mnc_cpu_restore(unsigned state) { __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)state)); }

#else

unsigned mnc_cpu_features(void) { return 0; }
unsigned mnc_cpu_normalise(void) { return 0; }
void mnc_cpu_restore(unsigned state) { (void)state; }

#endif
