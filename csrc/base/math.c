#include "base/math.h"

#include <math.h>
#include <string.h>

/* x = 2^k m with m in [sqrt(1/2), sqrt(2)); s = (m - 1) / (m + 1); log m = 2 (s + s^3 / 3 + s^5 / 5 + ...), where
 * |s| < 0.1716: the term after s^21 is below 2^-60 of the sum. */
double mnc_log(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint64_t sqrt_half = 0x3FE6A09E667F3BCDu;
    const int k = (int)((int64_t)(bits - sqrt_half) >> 52);
    bits -= (uint64_t)((int64_t)k * ((int64_t)1 << 52));
    double m;
    memcpy(&m, &bits, sizeof m);
    const double s = (m - 1) / (m + 1), z = s * s;
    double series = 0;
    for (int odd = 21; odd >= 3; odd -= 2) series = (series + 1.0 / odd) * z;
    const double ln2_high = 0.693147180369123816490, ln2_low = 1.90821492927058770002e-10;
    return k * ln2_high + (2 * s + (2 * s * series + k * ln2_low));
}

/* x = n log 2 + r, |r| <= log(2) / 2: Taylor's series up to r^13 / 13!, which leaves less than 2^-57. */
double mnc_exp(double x) {
    if (x < -708 || x > 708) return x < 0 ? 0 : HUGE_VAL;
    const int n = (int)(x * 1.44269504088896340736 + (x < 0 ? -0.5 : 0.5));
    const double r = x - n * 0.693147180369123816490 - n * 1.90821492927058770002e-10;
    double sum = 1;
    for (int k = 13; k >= 1; k--) sum = 1 + sum * r / k;
    const uint64_t bits = (uint64_t)(n + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

/* Taylor series around 0 of cos and sin on [0, pi / 4]; the rest by symmetry, exact in units of pi. */
double mnc_cos_pi(double x) {
    const double pi = 3.14159265358979323846;
    if (x > 0.5) return -mnc_cos_pi(1 - x);
    if (x <= 0.25) {
        const double z = pi * x * (pi * x);
        double series = 0;
        for (int even = 18; even >= 2; even -= 2) series = (1 + series) * -z / (even * (even - 1));
        return 1 + series;
    }
    const double y = pi * (0.5 - x), z = y * y; /* cos(pi x) = sin(pi (1/2 - x)) */
    double series = 0;
    for (int odd = 19; odd >= 3; odd -= 2) series = (1 + series) * -z / (odd * (odd - 1));
    return y + y * series;
}

double mnc_power(double x, uint64_t n) {
    double result = 1;
    for (; n; n >>= 1, x *= x)
        if (n & 1) result *= x;
    return result;
}

/* The contract's sum of up to 4,096 numbers: 16 lanes, then lanes in pairs at distance 8, 4, 2, 1. */
static double sum_block(const double *x, size_t n) {
    double lane[16] = {0};
    for (size_t i = 0; i < n; i++) lane[i % 16] += x[i];
    for (size_t half = 8; half; half /= 2)
        for (size_t i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
}

double mnc_sum(const double *x, size_t n) {
    const size_t block = 4096;
    double sum = 0;
    for (size_t i = 0; i < n; i += block) sum += sum_block(x + i, n - i < block ? n - i : block);
    return sum;
}
