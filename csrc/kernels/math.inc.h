/* exp, log, tanh, the logistic function and what other activations need, on 16 lanes. Float: our own polynomials, the same
 * bits everywhere; errors measured by tests/c/test_math.c (--all: over all floats). Double: libm, lane by lane. */

#ifndef MNC_MATH /* how the functions below are declared */
#define MNC_MATH MNC_INLINE
#endif

#if MNC_REAL_IS_F64

#include <math.h>

#define LIBM(name, expression)                          \
    MNC_MATH vf name(vf lanes) {                        \
        MNC_REAL x[16];                                 \
        vf_store(x, lanes);                             \
        for (int i = 0; i < 16; i++) x[i] = expression; \
        return vf_load(x);                              \
    }
LIBM(v_exp, exp(x[i]))
LIBM(v_log, log(x[i]))
LIBM(v_tanh, tanh(x[i]))
LIBM(v_expm1, expm1(x[i]))
LIBM(v_log1p, log1p(x[i]))
LIBM(v_cos_turn, cos(x[i] * 6.28318530717958647693))
LIBM(v_normal_tail, erfc(x[i] * 0.70710678118654752440) / 2)
LIBM(v_normal_density, exp(x[i] * x[i] / -2) * 0.39894228040143267794)
#undef LIBM

#else

/* c[0] + c[1] x + ... by Horner's rule. */
MNC_INLINE vf v_polynomial(vf x, const float *c, const int degree) {
    vf sum = vf_set1(c[degree]);
#pragma GCC unroll 16
    for (int i = degree - 1; i >= 0; i--) sum = vf_fma(sum, x, vf_set1(c[i]));
    return sum;
}

/* The whole number nearest to x, |x| < 2^22: adding 1.5 * 2^23 leaves no bits for the fraction. */
MNC_INLINE vf v_round(vf x) {
    const vf magic = vf_set1(12582912.0f);
    return vf_sub(vf_add(x, magic), magic);
}

/* exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2. Within 0.94 ulp; below -104: 0; above 88.73: infinity.
 * 2^n in two factors, so that n = 128 and denormal results come out right. */
MNC_MATH vf v_exp(vf x) {
    static const float taylor[8] = {1.0f, 1.0f, 1.0f / 2, 1.0f / 6, 1.0f / 24, 1.0f / 120, 1.0f / 720, 1.0f / 5040};
    const vf low = vf_set1(-104.0f), high = vf_set1(89.0f);
    x = vf_select(vf_lt(x, low), low, x); /* NaN stays */
    x = vf_select(vf_lt(high, x), high, x);
    const vf n = v_round(vf_mul(x, vf_set1(1.44269504f)));
    vf r = vf_fma(n, vf_set1(-0.693359375f), x);
    r = vf_fma(n, vf_set1(2.12194440e-4f), r);
    const vf half = v_round(vf_mul(n, vf_set1(0.5f)));
    return vf_mul(vf_mul(v_polynomial(r, taylor, 7), vf_pow2(half)), vf_pow2(vf_sub(n, half)));
}

/* log(x) for normal x > 0: x = 2^k m, s = (m - 1) / (m + 1), log m = 2 s (1 + z / 3 + z^2 / 5 + ...), z = s^2 < 0.03.
 * Within 0.96 ulp. */
MNC_MATH vf v_log(vf x) {
    static const float series[5] = {2.0f / 3, 2.0f / 5, 2.0f / 7, 2.0f / 9, 2.0f / 11};
    vf m;
    const vf k = vf_split(x, &m), one = vf_set1(1.0f);
    const vf t = vf_sub(m, one), s = vf_div(t, vf_add(m, one)), z = vf_mul(s, s);
    /* 2 s = t - s t, and t is exact */
    const vf rest = vf_mul(s, vf_sub(vf_mul(z, v_polynomial(z, series, 4)), t));
    const vf low = vf_fma(k, vf_set1(-2.12194440e-4f), rest);
    return vf_fma(k, vf_set1(0.693359375f), vf_add(low, t));
}

/* tanh(x): x + x z P(z), z = x^2, for |x| < 0.625 (coefficients of Cephes); else 1 - 2 / (exp(2 |x|) + 1) with the sign
 * of x. Within 1.38 ulp. */
MNC_MATH vf v_tanh(vf x) {
    static const float p[5] = {-3.33332819422e-1f, 1.33314422036e-1f, -5.37397155531e-2f, 2.06390887954e-2f,
                               -5.70498872745e-3f};
    const vf size = vf_abs(x), one = vf_set1(1.0f), z = vf_mul(x, x);
    const vf small = vf_fma(vf_mul(x, z), v_polynomial(z, p, 4), x);
    const vf e = v_exp(vf_add(size, size));
    const vf large = vf_sub(one, vf_div(vf_set1(2.0f), vf_add(e, one)));
    const vf with_sign = vf_select(vf_lt(x, vf_set1(0)), vf_sub(vf_set1(0), large), large);
    return vf_select(vf_lt(size, vf_set1(0.625f)), small, with_sign);
}

/* exp(x) - 1 for x <= 0: Taylor's series above -ln 2, where exp(x) is at least 1/2. Within 1.02 ulp. */
MNC_MATH vf v_expm1(vf x) {
    static const float taylor[9] = {1.0f / 2,    1.0f / 6,     1.0f / 24,     1.0f / 120,    1.0f / 720,
                                    1.0f / 5040, 1.0f / 40320, 1.0f / 362880, 1.0f / 3628800};
    const vf small = vf_fma(vf_mul(x, x), v_polynomial(x, taylor, 8), x);
    return vf_select(vf_lt(vf_set1(-0.6931472f), x), small, vf_sub(v_exp(x), vf_set1(1.0f)));
}

/* log(1 + x) for 0 <= x <= 1: 2 s (1 + z / 3 + z^2 / 5 + ...), s = x / (2 + x), z = s^2 <= 1/9. Within 1.33 ulp. */
MNC_MATH vf v_log1p(vf x) {
    static const float series[8] = {2.0f / 3, 2.0f / 5, 2.0f / 7, 2.0f / 9, 2.0f / 11, 2.0f / 13, 2.0f / 15, 2.0f / 17};
    const vf s = vf_div(x, vf_add(vf_set1(2.0f), x)), z = vf_mul(s, s);
    /* 2 s = x - s x */
    return vf_add(x, vf_mul(s, vf_sub(vf_mul(z, v_polynomial(z, series, 7)), x)));
}

/* cos(2 pi x), |x| <= 1/2: the sine of y = 2 pi (1/4 - |x|) by Taylor's series. Off by at most 1.2e-7. */
MNC_MATH vf v_cos_turn(vf x) {
    static const float taylor[6] = {-1.0f / 6,     1.0f / 120,       -1.0f / 5040,
                                    1.0f / 362880, -1.0f / 39916800, 1.0f / 6227020800};
    const vf y = vf_mul(vf_sub(vf_set1(0.25f), vf_abs(x)), vf_set1(6.28318531f)), z = vf_mul(y, y);
    return vf_fma(vf_mul(y, z), v_polynomial(z, taylor, 5), y);
}

/* exp(-x^2 / 2): x^2 is rounded, and exp of what that lost is 1 + lost. Beyond 16: 0. */
MNC_MATH vf v_gauss(vf x) {
    const vf size = vf_abs(x), most = vf_set1(16.0f), minus_half = vf_set1(-0.5f);
    const vf t = vf_select(vf_lt(most, size), most, size); /* NaN stays */
    const vf square = vf_mul(t, t), lost = vf_fma(t, t, vf_sub(vf_set1(0), square));
    const vf e = v_exp(vf_mul(minus_half, square));
    return vf_fma(vf_mul(e, lost), minus_half, e);
}

/* The density of a standard normal distribution. Within 2.8 ulp. */
MNC_MATH vf v_normal_density(vf x) { return vf_mul(v_gauss(x), vf_set1(0.398942280f)); }

/* The share of a standard normal distribution above x >= 0, erfc(x / sqrt 2) / 2: exp(-x^2 / 2) s P(s),
 * s = 1 / (1 + 19/64 x). P: least largest relative error for x <= 14.6 (2.6e-9). Within 6.65 ulp. */
MNC_MATH vf v_normal_tail(vf x) {
    static const float p[10] = {1.184426621e-1f,  1.182657331e-1f, 1.098862290e-1f,  7.514584810e-2f, 1.064963564e-1f,
                                -9.787019342e-2f, 2.176494002e-1f, -2.423646897e-1f, 1.147862971e-1f, -2.043764293e-2f};
    const vf one = vf_set1(1.0f), s = vf_div(one, vf_fma(x, vf_set1(0.296875f), one));
    return vf_mul(v_gauss(x), vf_mul(s, v_polynomial(s, p, 9)));
}

#endif

/* 1 / (1 + exp(-x)), with exp of negative numbers only: e = exp(-|x|); x < 0: e / (1 + e).
 * Float: within 2.41 ulp. */
MNC_MATH vf v_sigmoid(vf x) {
    const vf zero = vf_set1(0), one = vf_set1(1), e = v_exp(vf_sub(zero, vf_abs(x)));
    return vf_div(vf_select(vf_lt(x, zero), e, one), vf_add(one, e));
}

/* log(1 + exp(x)) without overflow. Float: within 2.1 ulp. */
MNC_MATH vf v_softplus(vf x) {
    const vf zero = vf_set1(0), rest = v_log1p(v_exp(vf_sub(zero, vf_abs(x))));
    return vf_add(vf_select(vf_lt(x, zero), zero, x), rest);
}

/* The share of a standard normal distribution below x. Float: within 6.65 ulp. */
MNC_MATH vf v_normal(vf x) {
    const vf tail = v_normal_tail(vf_abs(x));
    return vf_select(vf_lt(x, vf_set1(0)), tail, vf_sub(vf_set1(1), tail));
}

/* Two standard normal numbers of two random words (Box and Muller, 1958): r cos and r sin of 2 pi turn, r = sqrt(-2 log u),
 * u = (word[0] + 1/2) / 2^32, turn = (floor(word[1] / 2^9) + 1/2) / 2^23. Near 1, u is told by y = 1 - u, since as a float it
 * would be 1. Float: within 5 r 2^-24. */
MNC_MATH void v_normals(const vu word[2], vf normal[2]) {
    const vf half = vf_set1((MNC_REAL)0.5), one = vf_set1(1), quarter = vf_set1((MNC_REAL)0.25);
    const vm low = vu_lt(word[0], vu_set1(1u << 31));
    const vf count = vf_select(low, vf_count(word[0]), vf_count(vu_xor(word[0], vu_set1(UINT32_MAX))));
    const vf y = vf_fma(count, vf_set1((MNC_REAL)0x1p-32), vf_set1((MNC_REAL)0x1p-33)); /* u or 1 - u, below 1/2 */
    const vf log = vf_select(low, v_log(y), vf_sub(vf_set1(0), v_log1p(vf_div(y, vf_sub(one, y)))));
    const vf r = vf_sqrt(vf_mul(vf_set1(-2), log));
    vu turn;
    vu_mul(word[1], 1u << 23, &turn);
    const vf x = vf_fma(vf_count(turn), vf_set1((MNC_REAL)0x1p-23), vf_set1((MNC_REAL)(0x1p-24 - 0.5)));
    const vf before = vf_sub(x, quarter), back = vf_select(vf_lt(before, vf_sub(vf_set1(0), half)), one, vf_set1(0));
    normal[0] = vf_mul(vf_sub(vf_set1(0), r), v_cos_turn(x)); /* x is half a turn behind */
    normal[1] = vf_mul(vf_sub(vf_set1(0), r), v_cos_turn(vf_add(before, back)));
}
