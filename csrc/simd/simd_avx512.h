/* The vector vocabulary on AVX-512: 16 lanes are one register. See simd_scalar.h for what each name means. */
typedef __m512 vf;
typedef __mmask16 vm;
typedef __m512i vu;

MNC_INLINE vf vf_set1(float x) { return _mm512_set1_ps(x); }
MNC_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
MNC_INLINE void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
MNC_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
MNC_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
MNC_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
MNC_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
MNC_INLINE vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }
MNC_INLINE vf vf_abs(vf a) { return _mm512_abs_ps(a); }
MNC_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
MNC_INLINE vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
MNC_INLINE vf vf_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
MNC_INLINE vf vf_drop(vm m, vf a) { return _mm512_maskz_mov_ps((vm)~m, a); }
MNC_INLINE bool vm_all(vm m) { return m == 0xFFFF; }
MNC_INLINE vf vf_pow2(vf n) {
    const __m512i exponent = _mm512_add_epi32(_mm512_cvttps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
}
MNC_INLINE vf vf_split(vf x, vf *mantissa) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i k = _mm512_srai_epi32(_mm512_sub_epi32(bits, _mm512_set1_epi32(0x3F3504F3)), 23);
    *mantissa = _mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(k, 23)));
    return _mm512_cvtepi32_ps(k);
}
MNC_INLINE vu vu_set1(uint32_t x) { return _mm512_set1_epi32((int)x); }
MNC_INLINE vu vu_iota(uint32_t first) {
    return _mm512_add_epi32(_mm512_set1_epi32((int)first),
                            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}
MNC_INLINE vu vu_load(const void *p) { return _mm512_loadu_si512(p); }
MNC_INLINE vu vu_load_bytes(const uint8_t *p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
MNC_INLINE uint32_t vu_differ(vu a, uint32_t b) { return _mm512_cmpneq_epu32_mask(a, _mm512_set1_epi32((int)b)); }
MNC_INLINE uint32_t vu_differ_bytes(const uint8_t *p, uint8_t b) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)b))) ^ 0xFFFF;
}
MNC_INLINE uint32_t vu_pack(uint32_t *out, uint32_t bits, vu a) {
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi32((__mmask16)bits, a));
    return (uint32_t)__builtin_popcount(bits);
}
MNC_INLINE vf vf_count(vu a) { return _mm512_cvtepi32_ps(a); }
MNC_INLINE vu vu_xor(vu a, vu b) { return _mm512_xor_si512(a, b); }
MNC_INLINE vu vu_mul(vu a, uint32_t b, vu *high) {
    const __m512i factor = _mm512_set1_epi32((int)b);
    const __m512i even = _mm512_mul_epu32(a, factor), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), factor);
    *high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
    return _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
}
MNC_INLINE vm vu_lt(vu a, vu b) { return _mm512_cmplt_epu32_mask(a, b); }
