/* The vector vocabulary in plain C, for any MNC_REAL: 16 lanes as an array, which the compiler may vectorise as it can.
 * It serves CPUs without FMA (float), and every instruction set for double. One file includes one vocabulary; each
 * defines the same names and nothing else:
 *
 *   vf, vm, vu                        16 reals; 16 booleans; 16 uint32
 *   vf_set1 vf_load vf_store          broadcast; unaligned load and store
 *   vf_add vf_sub vf_mul vf_div vf_sqrt vf_abs vf_fma (a b + c, rounded once)
 *   vf_lt(a, b), vf_select(m, a, b)   a < b (false for NaN); m ? a : b
 *   vf_drop(m, a)                     m ? +0 : a
 *   vf_pow2(n)                        2^n for whole -126 <= n <= 127; float only
 *   vf_split(x, &m)                   x = 2^k m, m in [sqrt(1/2), sqrt(2)); returns k; normal x > 0; float only
 *   vu_set1 vu_iota(first) vu_load vu_load_bytes vu_xor vu_lt; vu_mul(a, b, &high): low and high words of the products
 *   vf_count(a)                       a as reals, a < 2^31 (else anything)
 *   vu_pack(out, m, a)                the lanes of a that m picks, one behind the other; returns how many. May write 16.
 *
 * No minimum, maximum, reciprocal or approximate instruction: their results differ between machines. */
typedef struct {
    MNC_REAL v[16];
} vf;
typedef struct {
    uint32_t v[16]; /* all ones or zero */
} vm;
typedef struct {
    uint32_t v[16];
} vu;

#define LANES(i) for (int i = 0; i < 16; i++)

#if !MNC_REAL_IS_F64 && !defined(__FP_FAST_FMAF)
/* a b + c rounded once, without FMA hardware. The product of two floats is exact in double. The sum is rounded to odd:
 * if inexact, the last bit is set, so that rounding it again to float cannot meet a tie that was none (Boldo and
 * Melquiond, "Emulation of FMA and correctly rounded sums", 2008). */
MNC_INLINE float fma1(float a, float b, float c) {
    const double p = (double)a * (double)b, s = p + (double)c, t = s - p;
    const double error = (p - (s - t)) + ((double)c - t);
    int64_t bits;
    memcpy(&bits, &s, sizeof bits);
    const int64_t inexact = (error > 0.0) | (error < 0.0);      /* not for NaN */
    const int64_t toward = (error > 0.0) == (s > 0.0) ? 1 : -1; /* of larger magnitude or smaller */
    bits += inexact & ~bits & 1 ? toward : 0;
    double odd;
    memcpy(&odd, &bits, sizeof odd);
    return (float)odd;
}
#elif MNC_REAL_IS_F64
MNC_INLINE double fma1(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
MNC_INLINE float fma1(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#endif

#define EACH(type, name, arguments, expression) \
    MNC_INLINE type name arguments {            \
        type r;                                 \
        LANES(i) r.v[i] = expression;           \
        return r;                               \
    }
EACH(vf, vf_set1, (MNC_REAL x), x)
EACH(vf, vf_load, (const MNC_REAL *p), p[i])
MNC_INLINE void vf_store(MNC_REAL *p, vf a) { memcpy(p, a.v, sizeof a.v); }
EACH(vf, vf_add, (vf a, vf b), a.v[i] + b.v[i])
EACH(vf, vf_sub, (vf a, vf b), a.v[i] - b.v[i])
EACH(vf, vf_mul, (vf a, vf b), a.v[i] * b.v[i])
EACH(vf, vf_div, (vf a, vf b), a.v[i] / b.v[i])
EACH(vf, vf_sqrt, (vf a), (MNC_REAL)__builtin_sqrt((double)a.v[i])) /* the double root rounds to the right float */
EACH(vf, vf_abs, (vf a), (MNC_REAL)__builtin_fabs((double)a.v[i]))
EACH(vf, vf_fma, (vf a, vf b, vf c), fma1(a.v[i], b.v[i], c.v[i]))
EACH(vm, vf_lt, (vf a, vf b), a.v[i] < b.v[i] ? UINT32_MAX : 0)
EACH(vf, vf_select, (vm m, vf a, vf b), m.v[i] ? a.v[i] : b.v[i])
EACH(vf, vf_drop, (vm m, vf a), m.v[i] ? 0 : a.v[i])
EACH(vu, vu_set1, (uint32_t x), x)
EACH(vu, vu_iota, (uint32_t first), first + (uint32_t)i)
EACH(vu, vu_load_bytes, (const uint8_t *p), p[i])
EACH(vf, vf_count, (vu a), (MNC_REAL)(int32_t)a.v[i])
EACH(vu, vu_xor, (vu a, vu b), a.v[i] ^ b.v[i])
MNC_INLINE vu vu_load(const void *p) {
    vu r;
    memcpy(r.v, p, sizeof r.v);
    return r;
}
MNC_INLINE uint32_t vu_pack(uint32_t *out, vm m, vu a) {
    uint32_t count = 0;
    LANES(i) {
        out[count] = a.v[i];
        count += m.v[i] & 1;
    }
    return count;
}
EACH(vm, vu_lt, (vu a, vu b), a.v[i] < b.v[i] ? UINT32_MAX : 0)
MNC_INLINE vu vu_mul(vu a, uint32_t b, vu *high) {
    vu low;
    LANES(i) {
        const uint64_t product = (uint64_t)a.v[i] * b;
        low.v[i] = (uint32_t)product;
        high->v[i] = (uint32_t)(product >> 32);
    }
    return low;
}
#if !MNC_REAL_IS_F64
MNC_INLINE vf vf_pow2(vf a) {
    vf r;
    LANES(i) {
        /* NaN and what is out of range give some value; callers multiply it with NaN or select it away. */
        const int32_t n = a.v[i] > -127 && a.v[i] < 128 ? (int32_t)a.v[i] : 0;
        const uint32_t bits = (uint32_t)(n + 127) << 23;
        memcpy(&r.v[i], &bits, sizeof bits);
    }
    return r;
}
MNC_INLINE vf vf_split(vf a, vf *mantissa) {
    vf r;
    LANES(i) {
        uint32_t bits;
        memcpy(&bits, &a.v[i], sizeof bits);
        const int32_t k = (int32_t)(bits - 0x3F3504F3u) >> 23;
        bits -= (uint32_t)k << 23;
        memcpy(&mantissa->v[i], &bits, sizeof bits);
        r.v[i] = (float)k;
    }
    return r;
}
#endif
#undef EACH
#undef LANES
