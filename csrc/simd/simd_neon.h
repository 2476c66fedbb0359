/* The vector vocabulary on NEON, which every 64-bit ARM has: 16 lanes are four registers. See simd_scalar.h for what each
 * name means. */
typedef struct {
    float32x4_t q[4];
} vf;
typedef struct {
    uint32x4_t q[4];
} vu;
typedef vu vm; /* all ones or zero in each lane */

#define EACH(type, name, arguments, expression)                                      \
    MNC_INLINE type name arguments {                                                 \
        type r;                                                                      \
        _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) { r.q[i] = expression; } \
        return r;                                                                    \
    }
EACH(vf, vf_set1, (float x), vdupq_n_f32(x))
EACH(vf, vf_load, (const float *p), vld1q_f32(p + 4 * i))
MNC_INLINE void vf_store(float *p, vf a) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) vst1q_f32(p + 4 * i, a.q[i]);
}
EACH(vf, vf_add, (vf a, vf b), vaddq_f32(a.q[i], b.q[i]))
EACH(vf, vf_sub, (vf a, vf b), vsubq_f32(a.q[i], b.q[i]))
EACH(vf, vf_mul, (vf a, vf b), vmulq_f32(a.q[i], b.q[i]))
EACH(vf, vf_div, (vf a, vf b), vdivq_f32(a.q[i], b.q[i]))
EACH(vf, vf_sqrt, (vf a), vsqrtq_f32(a.q[i]))
EACH(vf, vf_abs, (vf a), vabsq_f32(a.q[i]))
EACH(vf, vf_fma, (vf a, vf b, vf c), vfmaq_f32(c.q[i], a.q[i], b.q[i]))
EACH(vm, vf_lt, (vf a, vf b), vcltq_f32(a.q[i], b.q[i]))
EACH(vf, vf_select, (vm m, vf a, vf b), vbslq_f32(m.q[i], a.q[i], b.q[i]))
EACH(vf, vf_drop, (vm m, vf a), vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a.q[i]), m.q[i])))
MNC_INLINE bool vm_all(vm m) {
    return vminvq_u32(vandq_u32(vandq_u32(m.q[0], m.q[1]), vandq_u32(m.q[2], m.q[3]))) != 0;
}

MNC_INLINE float32x4_t pow2_quarter(float32x4_t n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23));
}
EACH(vf, vf_pow2, (vf n), pow2_quarter(n.q[i]))
MNC_INLINE float32x4_t split_quarter(float32x4_t x, float32x4_t *mantissa) {
    const int32x4_t bits = vreinterpretq_s32_f32(x);
    const int32x4_t k = vshrq_n_s32(vsubq_s32(bits, vdupq_n_s32(0x3F3504F3)), 23);
    *mantissa = vreinterpretq_f32_s32(vsubq_s32(bits, vshlq_n_s32(k, 23)));
    return vcvtq_f32_s32(k);
}
EACH(vf, vf_split, (vf x, vf *mantissa), split_quarter(x.q[i], &mantissa->q[i]))

MNC_INLINE uint32x4_t iota_quarter(uint32_t first) {
    const uint32x4_t count = vcombine_u32(vcreate_u32(0x100000000), vcreate_u32(0x300000002));
    return vaddq_u32(vdupq_n_u32(first), count);
}
EACH(vu, vu_set1, (uint32_t x), vdupq_n_u32(x))
EACH(vu, vu_iota, (uint32_t first), iota_quarter(first + 4 * (uint32_t)i))
EACH(vu, vu_load, (const void *p), vld1q_u32((const uint32_t *)p + 4 * i))
MNC_INLINE vu vu_load_bytes(const uint8_t *p) {
    const uint8x16_t bytes = vld1q_u8(p);
    const uint16x8_t lower = vmovl_u8(vget_low_u8(bytes)), upper = vmovl_high_u8(bytes);
    return (vu){
        {vmovl_u16(vget_low_u16(lower)), vmovl_high_u16(lower), vmovl_u16(vget_low_u16(upper)), vmovl_high_u16(upper)}};
}
MNC_INLINE uint32_t vu_differ(vu a, uint32_t b) {
    const uint32x4_t place = vcombine_u32(vcreate_u32(0x200000001), vcreate_u32(0x800000004));
    uint32_t bits = 0;
    for (int i = 0; i < 4; i++) bits |= vaddvq_u32(vbicq_u32(place, vceqq_u32(a.q[i], vdupq_n_u32(b)))) << 4 * i;
    return bits;
}
MNC_INLINE uint32_t vu_differ_bytes(const uint8_t *p, uint8_t b) {
    const uint8x8_t place = vcreate_u8(0x8040201008040201);
    const uint8x16_t differ = vbicq_u8(vcombine_u8(place, place), vceqq_u8(vld1q_u8(p), vdupq_n_u8(b)));
    return vaddv_u8(vget_low_u8(differ)) | (uint32_t)vaddv_u8(vget_high_u8(differ)) << 8;
}
MNC_INLINE uint32_t vu_pack(uint32_t *out, uint32_t bits, vu a) {
    uint32_t lane[16], count = 0;
    for (int i = 0; i < 4; i++) vst1q_u32(lane + 4 * i, a.q[i]);
    for (int i = 0; i < 16; i++) {
        out[count] = lane[i];
        count += bits >> i & 1;
    }
    return count;
}
EACH(vf, vf_count, (vu a), vcvtq_f32_u32(a.q[i]))
EACH(vu, vu_xor, (vu a, vu b), veorq_u32(a.q[i], b.q[i]))
EACH(vm, vu_lt, (vu a, vu b), vcltq_u32(a.q[i], b.q[i]))
MNC_INLINE uint32x4_t mul_quarter(uint32x4_t a, uint32_t b, uint32x4_t *high) {
    const uint32x4_t lower = vreinterpretq_u32_u64(vmull_n_u32(vget_low_u32(a), b));
    const uint32x4_t upper = vreinterpretq_u32_u64(vmull_high_n_u32(a, b));
    *high = vuzp2q_u32(lower, upper);
    return vuzp1q_u32(lower, upper);
}
EACH(vu, vu_mul, (vu a, uint32_t b, vu *high), mul_quarter(a.q[i], b, &high->q[i]))
#undef EACH
