/* The vector vocabulary without intrinsics, for any MNC_REAL: vectors of 16 lanes as gcc and clang know them, which they
 * cut into what the CPU has. It serves CPUs without FMA and, for double, those that are no x86-64. One file includes one
 * vocabulary; each defines these names; any others are its own:
 *
 *   vf, vm, vu                        16 reals; 16 booleans; 16 uint32
 *   vf_set1 vf_load vf_store          broadcast; unaligned load and store
 *   vf_add vf_sub vf_mul vf_div vf_sqrt vf_abs vf_fma (a b + c, rounded once)
 *   vf_lt(a, b), vf_select(m, a, b)   a < b (false for NaN); m ? a : b
 *   vf_drop(m, a), vm_all(m)          m ? +0 : a; are all of m true?
 *   vf_pow2(n)                        2^n for whole -126 <= n <= 127; float only
 *   vf_split(x, &m)                   x = 2^k m, m in [sqrt(1/2), sqrt(2)); returns k; normal x > 0; float only
 *   vu_set1 vu_iota(first) vu_load vu_load_bytes vu_xor vu_lt; vu_mul(a, b, &high): low and high words of the products
 *   vf_count(a)                       a as reals, a < 2^31 (else anything)
 *   vu_differ(a, b), vu_differ_bytes(p, b)   a bit for each of 16 words or bytes: is it not b?
 *   vu_pack(out, bits, a)             the lanes of a whose bits are set, one behind the other; how many. May write 16.
 *
 * No minimum, maximum, reciprocal or approximate instruction: their results differ between machines. */
typedef MNC_REAL vf __attribute__((vector_size(16 * sizeof(MNC_REAL))));
typedef uint32_t vu __attribute__((vector_size(64)));
typedef int32_t vi32 __attribute__((vector_size(64)));
typedef int64_t vi64 __attribute__((vector_size(128)));
typedef uint64_t vu64 __attribute__((vector_size(128)));
#if MNC_REAL_IS_F64
typedef vi64 vm; /* all ones or zero, as wide as a real */
#else
typedef vi32 vm;
#endif

#if defined(__FP_FAST_FMA) || (defined(__aarch64__) && MNC_REAL_IS_F64) /* clang does not define it */
#define MNC_FMA MNC_INLINE
#else /* emulated here or by libm: much code, and the call costs little beside it */
#define MNC_FMA MNC_OUTLINE
#endif

#define LANES(i) for (int i = 0; i < 16; i++)

MNC_INLINE vf vf_set1(MNC_REAL x) { return (vf){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
MNC_INLINE vf vf_load(const MNC_REAL *p) {
    vf r;
    memcpy(&r, p, sizeof r);
    return r;
}
MNC_INLINE void vf_store(MNC_REAL *p, vf a) { memcpy(p, &a, sizeof a); }
MNC_INLINE vf vf_add(vf a, vf b) { return a + b; }
MNC_INLINE vf vf_sub(vf a, vf b) { return a - b; }
MNC_INLINE vf vf_mul(vf a, vf b) { return a * b; }
MNC_INLINE vf vf_div(vf a, vf b) { return a / b; }
MNC_INLINE vm vf_lt(vf a, vf b) { return (vm)(a < b); }
MNC_INLINE vf vf_select(vm m, vf a, vf b) { return (vf)(((vm)a & m) | ((vm)b & ~m)); }
MNC_INLINE vf vf_drop(vm m, vf a) { return (vf)((vm)a & ~m); }
MNC_INLINE bool vm_all(vm m) {
    bool all = true;
    LANES(i) all &= m[i] != 0;
    return all;
}
MNC_INLINE vf vf_abs(vf a) { return (vf)((vm)a & ~(vm)vf_set1((MNC_REAL)-0.0)); }
MNC_INLINE vf vf_sqrt(vf a) {
    LANES(i) a[i] = (MNC_REAL)__builtin_sqrt((double)a[i]); /* the double root rounds to the right float */
    return a;
}

#if !MNC_REAL_IS_F64 && !defined(__FP_FAST_FMAF)
typedef double vd __attribute__((vector_size(128)));
/* a b + c rounded once, without FMA hardware. The product of two floats is exact in double. The sum is rounded to odd:
 * if inexact, the last bit is set, so that rounding it again to float cannot meet a tie that was none (Boldo and
 * Melquiond, "Emulation of FMA and correctly rounded sums", 2008). */
MNC_FMA vf vf_fma(vf a, vf b, vf c) {
    const vd zero = {0}, x = __builtin_convertvector(c, vd);
    const vd p = __builtin_convertvector(a, vd) * __builtin_convertvector(b, vd), s = p + x, t = s - p;
    const vd error = (p - (s - t)) + (x - t);
    const vi64 above = (vi64)(error > zero), below = (vi64)(error < zero); /* neither for NaN */
    const vi64 toward = (above ^ (vi64)(s > zero)) | 1; /* minus one: of smaller magnitude; one: of larger */
    const vi64 bits = (vi64)s, even = (bits & 1) - 1;
    return __builtin_convertvector((vd)(bits + (toward & even & (above | below))), vf);
}
#else
MNC_FMA vf vf_fma(vf a, vf b, vf c) {
    LANES(i)
    c[i] = MNC_REAL_IS_F64 ? (MNC_REAL)__builtin_fma(a[i], b[i], c[i])
                           : (MNC_REAL)__builtin_fmaf((float)a[i], (float)b[i], (float)c[i]);
    return c;
}
#endif

MNC_INLINE vu vu_set1(uint32_t x) { return (vu){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
MNC_INLINE vu vu_iota(uint32_t first) {
    return vu_set1(first) + (vu){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
}
MNC_INLINE vu vu_load(const void *p) {
    vu r;
    memcpy(&r, p, sizeof r);
    return r;
}
MNC_INLINE vu vu_load_bytes(const uint8_t *p) {
    vu r = {0}; /* gcc does not see that all lanes are written */
    LANES(i) r[i] = p[i];
    return r;
}
MNC_INLINE vu vu_xor(vu a, vu b) { return a ^ b; }
MNC_INLINE vm vu_lt(vu a, vu b) { return __builtin_convertvector((vi32)(a < b), vm); }
MNC_INLINE vu vu_mul(vu a, uint32_t b, vu *high) {
    const vu64 product = __builtin_convertvector(a, vu64) * (uint64_t)b;
    *high = __builtin_convertvector(product >> 32, vu);
    return a * b;
}
MNC_INLINE vf vf_count(vu a) { return __builtin_convertvector((vi32)a, vf); }
MNC_INLINE uint32_t vu_differ(vu a, uint32_t b) {
    uint32_t bits = 0;
    LANES(i) bits |= (uint32_t)(a[i] != b) << i;
    return bits;
}
MNC_INLINE uint32_t vu_differ_bytes(const uint8_t *p, uint8_t b) { return vu_differ(vu_load_bytes(p), b); }
MNC_INLINE uint32_t vu_pack(uint32_t *out, uint32_t bits, vu a) {
    uint32_t count = 0;
    LANES(i) {
        out[count] = a[i];
        count += bits >> i & 1;
    }
    return count;
}
#if !MNC_REAL_IS_F64
MNC_INLINE vf vf_pow2(vf a) {
    /* NaN and what is out of range give some value; callers multiply it with NaN or select it away. */
    const vm inside = (vm)(a > -127.0f) & (vm)(a < 128.0f);
    return (vf)((__builtin_convertvector(vf_select(inside, a, vf_set1(0)), vi32) + 127) << 23);
}
MNC_INLINE vf vf_split(vf a, vf *mantissa) {
    const vi32 k = (vi32)((vu)a - 0x3F3504F3u) >> 23;
    *mantissa = (vf)((vu)a - ((vu)k << 23));
    return __builtin_convertvector(k, vf);
}
#endif
#undef LANES
#undef MNC_FMA
