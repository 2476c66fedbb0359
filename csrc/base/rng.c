#include "base/rng.h"

#include <math.h>

#include "base/math.h"

void mnc_philox(uint64_t seed, const uint32_t counter[4], uint32_t out[4]) {
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < MNC_PHILOX_ROUNDS; round++) {
        const uint64_t p0 = (uint64_t)MNC_PHILOX_M0 * c0, p1 = (uint64_t)MNC_PHILOX_M1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += MNC_PHILOX_W0;
        k1 += MNC_PHILOX_W1;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

void mnc_permutation(uint64_t seed, uint64_t epoch, size_t n, uint32_t *order) {
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    for (size_t i = n; i-- > 1;) {
        const uint32_t counter[4] = {(uint32_t)i, (uint32_t)epoch, (uint32_t)(epoch >> 32), MNC_STREAM_SHUFFLE};
        uint32_t w[4];
        mnc_philox(seed, counter, w);
        /* floor((i + 1) * 0.w0w1): the bias of scaling a 64-bit fraction is below 2^-32 for any n. */
        const uint64_t range = (uint64_t)i + 1;
        const size_t j = (size_t)((range * w[0] + (range * w[1] >> 32)) >> 32);
        const uint32_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

void mnc_random_uniform(uint64_t seed, size_t tensor, size_t first, size_t n, double *out) {
    uint32_t w[4];
    for (size_t element = first; element < first + n; element++) {
        const uint32_t counter[4] = {(uint32_t)(element / 4), (uint32_t)tensor, 0, MNC_STREAM_INIT};
        if (element == first || element % 4 == 0) mnc_philox(seed, counter, w);
        *out++ = ((double)w[element % 4] + 0.5) / 4294967296.0;
    }
}

/* c[0] + c[1] x + ... + c[7] x^7 */
static double polynomial7(const double c[8], double x) {
    double sum = c[7];
    for (int i = 6; i >= 0; i--) sum = sum * x + c[i];
    return sum;
}

double mnc_normal_quantile(double p) {
    /* clang-format off */
    static const double a[8] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                                1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                                3.3430575583588128105e4, 2.5090809287301226727e3};
    static const double b[8] = {1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
                                2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
                                5.2264952788528545610e3};
    static const double c[8] = {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
                                3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
                                2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double d[8] = {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
                                1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
                                1.05075007164441684324e-9};
    /* clang-format on */
    const double q = p - 0.5;
    if (q >= -0.425 && q <= 0.425) {
        const double r = 0.180625 - q * q;
        return q * polynomial7(a, r) / polynomial7(b, r);
    }
    const double tail = sqrt(-mnc_log(q < 0 ? p : 1 - p));
    const double x = polynomial7(c, tail - 1.6) / polynomial7(d, tail - 1.6);
    return q < 0 ? -x : x;
}
