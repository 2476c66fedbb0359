/* The vector vocabulary on AVX2 and FMA, float: 16 lanes are two registers. See simd_scalar.h for what each name means. */
#include "simd/simd_avx2_words.h"

typedef struct {
    __m256 lo, hi;
} vf;
typedef vf vm; /* all ones or zero in each lane */

MNC_INLINE vf vf_set1(float x) { return (vf){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
MNC_INLINE vf vf_load(const float *p) { return (vf){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
MNC_INLINE void vf_store(float *p, vf a) {
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
}
#define BINARY(name, intrinsic) \
    MNC_INLINE vf name(vf a, vf b) { return (vf){intrinsic(a.lo, b.lo), intrinsic(a.hi, b.hi)}; }
BINARY(vf_add, _mm256_add_ps)
BINARY(vf_sub, _mm256_sub_ps)
BINARY(vf_mul, _mm256_mul_ps)
BINARY(vf_div, _mm256_div_ps)
#undef BINARY
MNC_INLINE vf vf_sqrt(vf a) { return (vf){_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
MNC_INLINE vf vf_abs(vf a) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (vf){_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
MNC_INLINE vf vf_fma(vf a, vf b, vf c) {
    return (vf){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
MNC_INLINE vm vf_lt(vf a, vf b) {
    return (vm){_mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ)};
}
MNC_INLINE vf vf_select(vm m, vf a, vf b) {
    return (vf){_mm256_blendv_ps(b.lo, a.lo, m.lo), _mm256_blendv_ps(b.hi, a.hi, m.hi)};
}
MNC_INLINE vf vf_drop(vm m, vf a) { return (vf){_mm256_andnot_ps(m.lo, a.lo), _mm256_andnot_ps(m.hi, a.hi)}; }
MNC_INLINE bool vm_all(vm m) { return _mm256_movemask_ps(_mm256_and_ps(m.lo, m.hi)) == 0xFF; }
MNC_INLINE __m256 pow2_half(__m256 n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvttps_epi32(n), _mm256_set1_epi32(127)), 23));
}
MNC_INLINE vf vf_pow2(vf n) { return (vf){pow2_half(n.lo), pow2_half(n.hi)}; }
MNC_INLINE __m256 split_half(__m256 x, __m256 *mantissa) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i k = _mm256_srai_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(0x3F3504F3)), 23);
    *mantissa = _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(k, 23)));
    return _mm256_cvtepi32_ps(k);
}
MNC_INLINE vf vf_split(vf x, vf *mantissa) {
    return (vf){split_half(x.lo, &mantissa->lo), split_half(x.hi, &mantissa->hi)};
}
MNC_INLINE vf vf_count(vu a) { return (vf){_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
MNC_INLINE vm vu_lt(vu a, vu b) {
    return (vm){_mm256_castsi256_ps(lt_half(a.lo, b.lo)), _mm256_castsi256_ps(lt_half(a.hi, b.hi))};
}
