/* 16 uint32 on AVX2, two registers: what the vocabularies for floats and for doubles share. */
typedef struct {
    __m256i lo, hi;
} vu;

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
MNC_INLINE uint32_t pack_half(uint32_t *out, uint32_t bits, __m256i a) {
    const __m128i order = _mm_loadl_epi64((const __m128i *)(const void *)&pack_order[bits]);
    const __m256i packed = _mm256_permutevar8x32_epi32(a, _mm256_cvtepu8_epi32(order));
    _mm256_storeu_si256((__m256i *)(void *)out, packed);
    return (uint32_t)__builtin_popcount(bits);
}
MNC_INLINE uint32_t vu_pack(uint32_t *out, uint32_t bits, vu a) {
    const uint32_t count = pack_half(out, bits & 255, a.lo);
    return count + pack_half(out + count, bits >> 8, a.hi);
}
MNC_INLINE uint32_t same_half(__m256i a, __m256i b) {
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)));
}
MNC_INLINE uint32_t vu_differ(vu a, uint32_t b) {
    const __m256i all = _mm256_set1_epi32((int)b);
    return (same_half(a.lo, all) | same_half(a.hi, all) << 8) ^ 0xFFFF;
}
MNC_INLINE uint32_t vu_differ_bytes(const uint8_t *p, uint8_t b) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)b))) ^ 0xFFFF;
}
MNC_INLINE vu vu_xor(vu a, vu b) { return (vu){_mm256_xor_si256(a.lo, b.lo), _mm256_xor_si256(a.hi, b.hi)}; }
MNC_INLINE __m256i mul_half(__m256i a, __m256i b, __m256i *high) {
    const __m256i even = _mm256_mul_epu32(a, b), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), b);
    *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
    return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
}
MNC_INLINE vu vu_mul(vu a, uint32_t b, vu *high) {
    const __m256i factor = _mm256_set1_epi32((int)b);
    return (vu){mul_half(a.lo, factor, &high->lo), mul_half(a.hi, factor, &high->hi)};
}
MNC_INLINE __m256i lt_half(__m256i a, __m256i b) { /* unsigned compare: shift both by 2^31 */
    const __m256i flip = _mm256_set1_epi32(INT32_MIN);
    return _mm256_cmpgt_epi32(_mm256_xor_si256(b, flip), _mm256_xor_si256(a, flip));
}
