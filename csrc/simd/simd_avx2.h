/* The vector vocabulary on AVX2 and FMA: 16 lanes are two registers. See simd_scalar.h for what each name means. */
typedef struct {
    __m256 lo, hi;
} vf;
typedef struct {
    __m256i lo, hi;
} vu;
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
MNC_INLINE vu vu_set1(uint32_t x) { return (vu){_mm256_set1_epi32((int)x), _mm256_set1_epi32((int)x)}; }
MNC_INLINE vu vu_iota(uint32_t first) {
    const __m256i base = _mm256_set1_epi32((int)first);
    return (vu){_mm256_add_epi32(base, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
                _mm256_add_epi32(base, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15))};
}
MNC_INLINE vu vu_load(const void *p) {
    const __m256i *q = p;
    return (vu){_mm256_loadu_si256(q), _mm256_loadu_si256(q + 1)};
}
MNC_INLINE vu vu_load_bytes(const uint8_t *p) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (vu){_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
}
/* pack_order[bits]: the numbers of the bits that are set, ascending, a byte each; what is left over is lane 0. */
#define PACK_BEFORE(bits, i) (8 * __builtin_popcount((bits) & ((1 << (i)) - 1)))
#define PACK_LANE(bits, i) ((bits) >> (i) & 1 ? (uint64_t)(i) << PACK_BEFORE(bits, i) : 0)
#define PACK_1(b)                                                                                               \
    PACK_LANE(b, 1) | PACK_LANE(b, 2) | PACK_LANE(b, 3) | PACK_LANE(b, 4) | PACK_LANE(b, 5) | PACK_LANE(b, 6) | \
        PACK_LANE(b, 7)
#define PACK_4(b) PACK_1(b), PACK_1((b) + 1), PACK_1((b) + 2), PACK_1((b) + 3)
#define PACK_16(b) PACK_4(b), PACK_4((b) + 4), PACK_4((b) + 8), PACK_4((b) + 12)
#define PACK_64(b) PACK_16(b), PACK_16((b) + 16), PACK_16((b) + 32), PACK_16((b) + 48)
static const uint64_t pack_order[256] = {PACK_64(0), PACK_64(64), PACK_64(128), PACK_64(192)};
#undef PACK_BEFORE
#undef PACK_LANE
#undef PACK_1
#undef PACK_4
#undef PACK_16
#undef PACK_64
MNC_INLINE uint32_t pack_half(uint32_t *out, __m256 m, __m256i a) {
    const int bits = _mm256_movemask_ps(m);
    const __m128i order = _mm_loadl_epi64((const __m128i *)(const void *)&pack_order[bits]);
    const __m256i packed = _mm256_permutevar8x32_epi32(a, _mm256_cvtepu8_epi32(order));
    _mm256_storeu_si256((__m256i *)(void *)out, packed);
    return (uint32_t)__builtin_popcount((unsigned)bits);
}
MNC_INLINE uint32_t vu_pack(uint32_t *out, vm m, vu a) {
    const uint32_t count = pack_half(out, m.lo, a.lo);
    return count + pack_half(out + count, m.hi, a.hi);
}
MNC_INLINE vu vu_xor(vu a, vu b) { return (vu){_mm256_xor_si256(a.lo, b.lo), _mm256_xor_si256(a.hi, b.hi)}; }
MNC_INLINE vf vf_count(vu a) { return (vf){_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
MNC_INLINE __m256i mul_half(__m256i a, __m256i b, __m256i *high) {
    const __m256i even = _mm256_mul_epu32(a, b), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), b);
    *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
    return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
}
MNC_INLINE vu vu_mul(vu a, uint32_t b, vu *high) {
    const __m256i factor = _mm256_set1_epi32((int)b);
    return (vu){mul_half(a.lo, factor, &high->lo), mul_half(a.hi, factor, &high->hi)};
}
MNC_INLINE __m256 lt_half(__m256i a, __m256i b) { /* unsigned compare: shift both by 2^31 */
    const __m256i flip = _mm256_set1_epi32(INT32_MIN);
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_xor_si256(b, flip), _mm256_xor_si256(a, flip)));
}
MNC_INLINE vm vu_lt(vu a, vu b) { return (vm){lt_half(a.lo, b.lo), lt_half(a.hi, b.hi)}; }
