/* The vector vocabulary on AVX2 and FMA, double: 16 lanes are four registers. See simd_scalar.h for what each name means. */
#include "simd/simd_avx2_words.h"

typedef struct {
    __m256d v[4];
} vf;
typedef vf vm; /* all ones or zero in each lane */

#define EACH(type, name, arguments, expression) \
    MNC_INLINE type name arguments { return (type){{expression(0), expression(1), expression(2), expression(3)}}; }
#define SET1(i) _mm256_set1_pd(x)
#define LOAD(i) _mm256_loadu_pd(p + 4 * i)
#define ADD(i) _mm256_add_pd(a.v[i], b.v[i])
#define SUB(i) _mm256_sub_pd(a.v[i], b.v[i])
#define MUL(i) _mm256_mul_pd(a.v[i], b.v[i])
#define DIV(i) _mm256_div_pd(a.v[i], b.v[i])
#define SQRT(i) _mm256_sqrt_pd(a.v[i])
#define ABS(i) _mm256_andnot_pd(_mm256_set1_pd(-0.0), a.v[i])
#define FMA(i) _mm256_fmadd_pd(a.v[i], b.v[i], c.v[i])
#define LT(i) _mm256_cmp_pd(a.v[i], b.v[i], _CMP_LT_OQ)
#define SELECT(i) _mm256_blendv_pd(b.v[i], a.v[i], m.v[i])
#define DROP(i) _mm256_andnot_pd(m.v[i], a.v[i])
EACH(vf, vf_set1, (double x), SET1)
EACH(vf, vf_load, (const double *p), LOAD)
EACH(vf, vf_add, (vf a, vf b), ADD)
EACH(vf, vf_sub, (vf a, vf b), SUB)
EACH(vf, vf_mul, (vf a, vf b), MUL)
EACH(vf, vf_div, (vf a, vf b), DIV)
EACH(vf, vf_sqrt, (vf a), SQRT)
EACH(vf, vf_abs, (vf a), ABS)
EACH(vf, vf_fma, (vf a, vf b, vf c), FMA)
EACH(vm, vf_lt, (vf a, vf b), LT)
EACH(vf, vf_select, (vm m, vf a, vf b), SELECT)
EACH(vf, vf_drop, (vm m, vf a), DROP)
#undef EACH
#undef SET1
#undef LOAD
#undef ADD
#undef SUB
#undef MUL
#undef DIV
#undef SQRT
#undef ABS
#undef FMA
#undef LT
#undef SELECT
#undef DROP
MNC_INLINE bool vm_all(vm m) {
    const __m256d all = _mm256_and_pd(_mm256_and_pd(m.v[0], m.v[1]), _mm256_and_pd(m.v[2], m.v[3]));
    return _mm256_movemask_pd(all) == 0xF;
}
MNC_INLINE void vf_store(double *p, vf a) {
    for (int i = 0; i < 4; i++) _mm256_storeu_pd(p + 4 * i, a.v[i]);
}

/* Quarters of 16 words as doubles, and as masks of doubles. */
MNC_INLINE __m128i quarter(vu a, int i) {
    const __m256i half = i < 2 ? a.lo : a.hi;
    return i % 2 ? _mm256_extracti128_si256(half, 1) : _mm256_castsi256_si128(half);
}
MNC_INLINE vf vf_count(vu a) {
    vf r;
    for (int i = 0; i < 4; i++) r.v[i] = _mm256_cvtepi32_pd(quarter(a, i));
    return r;
}
MNC_INLINE vm vu_lt(vu a, vu b) {
    const vu less = {lt_half(a.lo, b.lo), lt_half(a.hi, b.hi)};
    vm r;
    for (int i = 0; i < 4; i++) r.v[i] = _mm256_castsi256_pd(_mm256_cvtepi32_epi64(quarter(less, i)));
    return r;
}
