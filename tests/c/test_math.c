/* The functions that results are made of, against libm and published values: exp, log, tanh and the logistic function
 * of kernels/math.inc.h on floats, fma without FMA hardware, the double-precision functions of base/, and Philox.
 *
 *   test_math          a sample of all floats, a second or two
 *   test_math --all    every float (minutes): where the bounds stated in math.inc.h come from */
#undef __FP_FAST_FMAF /* also where there is FMA hardware, its emulation is what is tested here */

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "base/math.h"
#include "base/rng.h"
#include "minitest.h"

#define MNC_REAL float
#define MNC_REAL_IS_F64 0
#include "simd/simd_scalar.h"
#include "kernels/math.inc.h"

/* ---------------------------------------------------------------- float functions */

/* The distance between floats at the size of x, denormals included. */
static double ulp_at(double x) {
    int exponent;
    if (fabs(x) < (double)FLT_MIN) return 0x1p-149;
    frexp(x, &exponent);
    return ldexp(1.0, exponent - 24);
}

/* In units in the last place of the exact result. An overflow counts as the next power of two. */
static double error_in_ulp(float computed, double exact) {
    if (isnan(exact)) return isnan(computed) ? 0 : INFINITY;
    const double most = 0x1p128, x = isinf(computed) ? copysign(most, (double)computed) : (double)computed;
    if (fabs(exact) > most) exact = copysign(most, exact);
    return fabs(x - exact) / ulp_at(fabs(exact) == most ? 0x1p127 : exact);
}

typedef struct {
    const char *name;
    vf (*function)(vf x);
    double (*exact)(double x);
    float low, high; /* where the bound holds: low <= x <= high */
    double bound;    /* ulp, as math.inc.h states it */
} float_function;

static vf exp16(vf x) { return v_exp(x); }
static vf log16(vf x) { return v_log(x); }
static vf tanh16(vf x) { return v_tanh(x); }
static vf sigmoid16(vf x) { return v_sigmoid(x); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static vf expm1_16(vf x) { return v_expm1(x); }
static vf log1p_16(vf x) { return v_log1p(x); }
static vf softplus16(vf x) { return v_softplus(x); }
static double softplus(double x) { return (x < 0 ? 0 : x) + log1p(exp(-fabs(x))); }
static vf normal16(vf x) { return v_normal(x); }
static double normal(double x) { return erfc(-x * 0.70710678118654752440) / 2; }
static vf density16(vf x) { return v_normal_density(x); }
static double density(double x) { return exp(-x * x / 2) * 0.39894228040143267794; }

static const float_function float_functions[] = {
    {"v_exp", exp16, exp, -INFINITY, INFINITY, 0.94},
    {"v_log", log16, log, FLT_MIN, FLT_MAX, 0.96},
    {"v_tanh", tanh16, tanh, -INFINITY, INFINITY, 1.38},
    {"v_sigmoid", sigmoid16, sigmoid, -INFINITY, INFINITY, 2.41},
    {"v_expm1", expm1_16, expm1, -INFINITY, 0, 1.02},
    {"v_log1p", log1p_16, log1p, 0, 1, 1.33},
    {"v_softplus", softplus16, softplus, -INFINITY, INFINITY, 2.1},
    {"v_normal", normal16, normal, -INFINITY, INFINITY, 6.65},
    {"v_density", density16, density, -INFINITY, INFINITY, 2.8},
};

/* Floats by their bit patterns: first, first + stride, ... */
static void measure(const float_function *f, uint32_t stride) {
    double worst = 0;
    float worst_x = 0;
    vf x = vf_set1(0), y;
    for (uint64_t pattern = 0; pattern <= UINT32_MAX;) {
        int n = 0;
        for (; n < 16 && pattern <= UINT32_MAX; pattern += stride) {
            const float candidate = float_of((uint32_t)pattern);
            if (candidate >= f->low && candidate <= f->high) x[n++] = candidate;
        }
        y = f->function(x);
        for (int i = 0; i < n; i++) {
            const double error = error_in_ulp(y[i], f->exact((double)x[i]));
            if (error <= worst) continue;
            worst = error;
            worst_x = x[i];
        }
    }
    printf("%-10s worst error %.4f ulp, at x = %.9g (%a)\n", f->name, worst, (double)worst_x, (double)worst_x);
    CHECK(worst <= f->bound, "%s(%.9g) is %g ulp off, more than %g", f->name, (double)worst_x, worst, f->bound);
}

/* Both numbers of pairs of words, at the ends of their ranges too, against libm: as a share of r 2^-24. Then their moments:
 * of n numbers the mean has the standard deviation n^-1/2, the mean square (2 / n)^1/2, the mean fourth power (96 / n)^1/2. */
static void check_normals(void) {
    static const uint32_t ends[] = {
        0, 1, 2, 511, 512, 1u << 29, (1u << 30) - 1, (1u << 31) - 1, 1u << 31, UINT32_MAX - 1, UINT32_MAX};
    enum { ENDS = sizeof ends / sizeof *ends, N = 1 << 20 };
    double worst = 0, sums[3] = {0}, cross = 0;
    for (uint32_t i = 0; i < N; i++) {
        const uint32_t counter[4] = {i, 0, 0, 99};
        uint32_t w[4];
        mnc_philox(1, counter, w);
        const bool end = i < ENDS * ENDS;
        if (end) w[0] = ends[i / ENDS], w[1] = ends[i % ENDS];
        const vu words[2] = {vu_set1(w[0]), vu_set1(w[1])};
        vf normal[2];
        v_normals(words, normal);
        const double u = (w[0] + 0.5) / 0x1p32, r = sqrt(-2 * (w[0] >> 31 ? log1p(u - 1) : log(u)));
        const double angle = 2 * 3.14159265358979323846 * ((w[1] >> 9) + 0.5) / 0x1p23;
        const double exact[2] = {r * cos(angle), r * sin(angle)};
        for (int j = 0; j < 2; j++) {
            const double x = (double)normal[j][3], error = fabs(x - exact[j]) / (r * 0x1p-24);
            if (error > worst) worst = error;
            for (int k = 0; k < 3 && !end; k++) sums[k] += k == 0 ? x : pow(x, 2 * k);
        }
        if (!end) cross += (double)normal[0][3] * (double)normal[1][3];
    }
    printf("v_normals  worst error %.4f r 2^-24\n", worst);
    CHECK(worst <= 5, "v_normals is %g r 2^-24 off", worst);
    const double n = 2.0 * (N - ENDS * ENDS);
    CHECK(fabs(sums[0] / n) < 5 * sqrt(1 / n), "mean %g", sums[0] / n);
    CHECK(fabs(sums[1] / n - 1) < 5 * sqrt(2 / n), "mean square %g", sums[1] / n);
    CHECK(fabs(sums[2] / n - 3) < 5 * sqrt(96 / n), "mean fourth power %g", sums[2] / n);
    CHECK(fabs(2 * cross / n) < 5 * sqrt(2 / n), "covariance of a pair %g", 2 * cross / n);
}

static float one(vf (*function)(vf), float x) { return function(vf_set1(x))[7]; }

static void check_special_values(void) {
    static const struct {
        vf (*function)(vf);
        float x, y;
    } cases[] = {
        {exp16, 0.0f, 1.0f},
        {exp16, -0.0f, 1.0f},
        {exp16, FLT_TRUE_MIN, 1.0f},
        {exp16, INFINITY, INFINITY},
        {exp16, -INFINITY, 0.0f},
        {exp16, 89.0f, INFINITY},
        {exp16, 104.0f, INFINITY},
        {exp16, FLT_MAX, INFINITY},
        {exp16, -104.0f, 0.0f},
        {exp16, -FLT_MAX, 0.0f},
        {log16, 1.0f, 0.0f},
        {tanh16, 0.0f, 0.0f},
        {tanh16, -0.0f, 0.0f},
        {tanh16, INFINITY, 1.0f},
        {tanh16, -INFINITY, -1.0f},
        {tanh16, 104.0f, 1.0f},
        {tanh16, -104.0f, -1.0f},
        {tanh16, FLT_TRUE_MIN, FLT_TRUE_MIN},
        {tanh16, FLT_MAX, 1.0f},
        {tanh16, -FLT_MIN, -FLT_MIN},
        {sigmoid16, 0.0f, 0.5f},
        {sigmoid16, -0.0f, 0.5f},
        {sigmoid16, INFINITY, 1.0f},
        {sigmoid16, -INFINITY, 0.0f},
        {sigmoid16, 104.0f, 1.0f},
        {sigmoid16, FLT_TRUE_MIN, 0.5f},
        {sigmoid16, -FLT_MAX, 0.0f},
        {expm1_16, 0.0f, 0.0f},
        {expm1_16, -FLT_MIN, -FLT_MIN},
        {expm1_16, -INFINITY, -1.0f},
        {expm1_16, -FLT_MAX, -1.0f},
        {log1p_16, 0.0f, 0.0f},
        {log1p_16, FLT_TRUE_MIN, FLT_TRUE_MIN},
        {softplus16, -INFINITY, 0.0f},
        {softplus16, INFINITY, INFINITY},
        {softplus16, FLT_MAX, FLT_MAX},
        {softplus16, -104.0f, 0.0f},
        {normal16, 0.0f, 0.5f},
        {normal16, INFINITY, 1.0f},
        {normal16, -INFINITY, 0.0f},
        {normal16, FLT_MAX, 1.0f},
        {density16, -FLT_MAX, 0.0f},
        {density16, 0.0f, 0.398942280f},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const float y = one(cases[i].function, cases[i].x);
        CHECK(y == cases[i].y, "special value %zu: f(%g) is %g, not %g", i, (double)cases[i].x, (double)y,
              (double)cases[i].y);
    }
    for (size_t i = 0; i < sizeof float_functions / sizeof *float_functions - 1; i++) {
        const float_function *f = &float_functions[i == 1 ? 3 : i]; /* all but log */
        CHECK(isnan(one(f->function, NAN)), "%s(NaN) is a number", f->name);
    }
    CHECK(isfinite(one(exp16, 88.7f)) && isfinite(one(exp16, 88.72283f)), "exp overflows too early");
    CHECK(one(exp16, 88.72284f) == INFINITY && one(exp16, 88.73f) == INFINITY, "exp overflows too late");
    CHECK(one(exp16, -103.9f) == FLT_TRUE_MIN, "exp loses its smallest result");
}

/* Where they saturate: bounds kept, symmetry, no jump. */
static void check_ends(void) {
    for (float x = 8; x < 100; x += 0.01f) {
        const float t = one(tanh16, x), s = one(sigmoid16, x), small = one(sigmoid16, -x);
        CHECK(t <= 1 && t >= 0.9999997f && one(tanh16, -x) == -t, "tanh(%g) is %g", (double)x, (double)t);
        CHECK(s <= 1 && small >= 0 && small <= 1 - s + 1e-7f, "sigmoid(%g) is %g, of the negative %g", (double)x,
              (double)s, (double)small);
    }
}

/* ---------------------------------------------------------------- fma without hardware for it */

static bool same_float(float x, float y) { return bits_of(x) == bits_of(y) || (isnan(x) && isnan(y)); }

static void compare_fma(vf a, vf b, vf c) {
    const vf r = vf_fma(a, b, c);
    bool all = true;
    for (int i = 0; i < 16; i++) {
        const float expected = fmaf(a[i], b[i], c[i]);
        if (same_float(r[i], expected)) continue;
        all = false;
        CHECK(false, "fma(%a, %a, %a) is %a, not %a", (double)a[i], (double)b[i], (double)c[i], (double)r[i],
              (double)expected);
    }
    if (all) minitest.passed++;
}

/* A float of random sign and mantissa with an exponent in the given range (below -126: denormal). */
static float random_float(random_source *random, int low, int high) {
    const uint64_t bits = random_bits(random);
    const int exponent = low + (int)((bits >> 32) % (uint64_t)(high - low + 1));
    const double mantissa = 1 + (double)(bits & 0x7FFFFF) * 0x1p-23;
    return (float)ldexp(bits >> 31 & 1 ? -mantissa : mantissa, exponent);
}

/* Few bits set, at the ends: products of such numbers lie on ties and just beside them. */
static float random_sparse_float(random_source *random, int exponent) {
    const uint64_t bits = random_bits(random);
    const uint32_t ends = (uint32_t)(bits & 3) << (bits >> 8) % 22, low = (uint32_t)(bits >> 2 & 3);
    const uint32_t mantissa = (bits >> 16 & 1 ? ends | low : ~(ends | low)) & 0x7FFFFF;
    return (float)ldexp((bits >> 17 & 1 ? -1.0 : 1.0) * (1 + mantissa * 0x1p-23), exponent);
}

static void fill_fma_case(random_source *random, int kind, float *a, float *b, float *c) {
    switch (kind) {
    case 0: /* any bits, infinities and NaN among them */
        *a = float_of((uint32_t)random_bits(random));
        *b = float_of((uint32_t)random_bits(random));
        *c = float_of((uint32_t)random_bits(random));
        break;
    case 1: { /* cancellation: c is -a b but for its last bits */
        *a = random_float(random, -40, 40);
        *b = random_float(random, -40, 40);
        const uint32_t near = bits_of(-(*a * *b)) + (uint32_t)random_below(random, 5) - 2;
        *c = float_of(near);
        break;
    }
    case 2: { /* near ties: a b is about half of the last place of c, or of twice that */
        const int exponent = (int)random_below(random, 60) - 30, first = (int)random_below(random, 30) - 15;
        *c = random_sparse_float(random, exponent);
        *a = random_sparse_float(random, first);
        *b = random_sparse_float(random, exponent - 24 - first + (int)random_below(random, 4) - 2);
        break;
    }
    case 3: { /* denormal results */
        const int first = (int)random_below(random, 150) - 75;
        *a = random_sparse_float(random, first);
        *b = random_sparse_float(random, -150 - first + (int)random_below(random, 26));
        *c = random_chance(random, 8) ? 0.0f : random_float(random, -149, -124);
        break;
    }
    case 4: { /* around the largest float */
        const int first = (int)random_below(random, 120);
        *a = random_sparse_float(random, first);
        *b = random_sparse_float(random, 127 - first - (int)random_below(random, 27));
        *c = random_sparse_float(random, 127 - (int)random_below(random, 3));
        break;
    }
    default: /* c far below the product, or far above: the sticky part alone decides */
        *a = random_sparse_float(random, (int)random_below(random, 40) - 20);
        *b = random_sparse_float(random, (int)random_below(random, 40) - 20);
        *c = random_float(random, -149, 100);
    }
}

static void check_fma(uint64_t seed, size_t rounds) {
    static const float special[] = {0.0f,
                                    1.0f,
                                    1 + FLT_EPSILON,
                                    1 - FLT_EPSILON / 2,
                                    2.0f,
                                    0.5f,
                                    FLT_TRUE_MIN,
                                    FLT_MIN - FLT_TRUE_MIN,
                                    FLT_MIN,
                                    FLT_MAX,
                                    INFINITY,
                                    NAN,
                                    0x1p-75f,
                                    0x1p64f,
                                    3.0f};
    enum { SPECIAL = sizeof special / sizeof *special };
    random_source random = {seed};
    vf a, b, c;
    for (size_t i = 0; i < rounds; i++)
        for (int kind = 0; kind < 6; kind++) {
            for (int lane = 0; lane < 16; lane++) {
                float fa, fb, fc;
                fill_fma_case(&random, kind, &fa, &fb, &fc);
                a[lane] = fa, b[lane] = fb, c[lane] = fc;
            }
            compare_fma(a, b, c);
        }
    for (int i = 0; i < 8 * SPECIAL * SPECIAL * SPECIAL; i++) {
        const int lane = i % 16, rest = i / 8;
        a[lane] = special[rest % SPECIAL] * (i & 1 ? -1.0f : 1.0f);
        b[lane] = special[rest / SPECIAL % SPECIAL] * (i & 2 ? -1.0f : 1.0f);
        c[lane] = special[rest / SPECIAL / SPECIAL] * (i & 4 ? -1.0f : 1.0f);
        if (lane == 15) compare_fma(a, b, c);
    }
}

/* ---------------------------------------------------------------- double functions */

static double relative_error(double x, long double exact) {
    return exact == 0 ? (x == 0 ? 0 : INFINITY) : (double)fabsl(((long double)x - exact) / exact);
}

static void check_double_log(uint64_t seed) {
    random_source random = {seed};
    double worst = 0, worst_x = 0;
    for (int i = 0; i < 1000000; i++) {
        const double wide = fabs(random_scaled(&random, -1000, 1000)), near = 1 + random_scaled(&random, -51, 0);
        const double edge = 0.70710678118654752440 * (1 + random_scaled(&random, -51, 0));
        const double x[] = {wide > 0 ? wide : 1, near > 0 ? near : DBL_MIN, edge > 0 ? edge : DBL_MAX};
        for (int j = 0; j < 3; j++) {
            const long double exact = logl((long double)x[j]);
            int exponent;
            frexp((double)exact, &exponent);
            const double error = exact == 0
                                     ? fabs(mnc_log(x[j]))
                                     : (double)(fabsl((long double)mnc_log(x[j]) - exact) / ldexpl(1, exponent - 53));
            if (error > worst) worst = error, worst_x = x[j];
        }
    }
    printf("mnc_log    worst error %.4f ulp, at x = %.17g\n", worst, worst_x);
    CHECK(worst <= 2, "mnc_log(%.17g) is %g ulp off", worst_x, worst);
    CHECK(mnc_log(1) == 0, "mnc_log(1) is %g", mnc_log(1));
}

static void check_double_exp(uint64_t seed) {
    random_source random = {seed};
    double worst = 0, worst_x = 0;
    for (int i = 0; i < 1000000; i++) {
        const double x = i % 2 ? 700 * random_real(&random) : random_real(&random);
        const long double exact = expl((long double)x);
        int exponent;
        frexp((double)exact, &exponent);
        const double error = (double)(fabsl((long double)mnc_exp(x) - exact) / ldexpl(1, exponent - 53));
        if (error > worst) worst = error, worst_x = x;
    }
    printf("mnc_exp    worst error %.4f ulp, at x = %.17g\n", worst, worst_x);
    CHECK(worst <= 2, "mnc_exp(%.17g) is %g ulp off", worst_x, worst);
    CHECK(mnc_exp(0) == 1 && mnc_exp(-1e3) == 0 && isinf(mnc_exp(1e3)), "mnc_exp is wrong at 0 or far away");
}

static void check_cos_pi(uint64_t seed) {
    const long double pi = 3.14159265358979323846264338327950288L;
    random_source random = {seed};
    double worst = 0, worst_x = 0;
    for (int i = 0; i < 1000000; i++) {
        const double x = (1 + random_real(&random)) / 2;
        const double error = (double)fabsl((long double)mnc_cos_pi(x) - cosl(pi * (long double)x));
        if (error > worst) worst = error, worst_x = x;
    }
    printf("mnc_cos_pi worst absolute error %.3g, at x = %.17g\n", worst, worst_x);
    CHECK(worst <= 4e-16, "mnc_cos_pi(%.17g) is %g off", worst_x, worst);
    CHECK(mnc_cos_pi(0) == 1 && mnc_cos_pi(0.5) == 0 && mnc_cos_pi(1) == -1, "mnc_cos_pi is %g, %g, %g at 0, 1/2, 1",
          mnc_cos_pi(0), mnc_cos_pi(0.5), mnc_cos_pi(1));
    CHECK(fabs(mnc_cos_pi(1 / 3.0) - 0.5) < 4e-16, "cos(pi / 3) is %.17g", mnc_cos_pi(1 / 3.0));
}

/* Each squaring doubles the relative error made so far, so that x^n has up to about n / 2^53. What matters to Adam is the
 * absolute error of beta^t, at most n x^n / 2^53 <= 2^-53 / (e (1 - x)). */
static void check_power(uint64_t seed) {
    static const double bases[] = {0.9, 0.99, 0.999, 0.9999, 0.5, 0.96, 1.0, -0.75};
    random_source random = {seed};
    double worst = 0, worst_x = 0, worst_absolute = 0;
    uint64_t worst_n = 0;
    for (int i = 0; i < 300000; i++) {
        const bool common = i % 2;
        const double x = common ? bases[random_below(&random, 8)] : random_real(&random);
        const uint64_t n = 1 + (random_bits(&random) >> (44 + random_below(&random, 20)));
        const long double exact = powl((long double)x, (long double)n);
        const double difference = fabs((double)((long double)mnc_power(x, n) - exact));
        if (common && difference > worst_absolute) worst_absolute = difference;
        if (fabsl(exact) < 0x1p-900L) continue; /* underflow on the way */
        const double error = relative_error(mnc_power(x, n), exact) / (double)n * 0x1p53;
        if (error > worst) worst = error, worst_x = x, worst_n = n;
    }
    printf("mnc_power  worst relative error %.3f n / 2^53, at %.17g^%llu; of beta^t up to 0.9999 absolute %.3g\n",
           worst, worst_x, (unsigned long long)worst_n, worst_absolute);
    CHECK(worst <= 1, "mnc_power(%.17g, %llu) is off by %g n / 2^53", worst_x, (unsigned long long)worst_n, worst);
    CHECK(worst_absolute <= 1e4 * 0x1p-53 / 2.718, "mnc_power has an absolute error of %g", worst_absolute);
    CHECK(mnc_power(0.3, 0) == 1 && mnc_power(0.3, 1) == 0.3 && mnc_power(0, 5) == 0 && mnc_power(-0.5, 3) == -0.125 &&
              mnc_power(1, UINT64_MAX) == 1 && mnc_power(0.5, UINT64_MAX) == 0,
          "mnc_power is wrong where it is exact");
}

/* Within the range that rng.h states. */
static void check_quantile(uint64_t seed) {
    static const struct {
        double p, x;
    } cases[] = {{0.25, -0.6744897501960817}, {0.001, -3.090232306167814}, {0.5, 0.0},
                 {0.975, 1.959963984540054},  {0.9, 1.2815515655446004},   {0.995, 2.5758293035489004},
                 {1e-10, -6.361340902404056}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double x = mnc_normal_quantile(cases[i].p);
        CHECK(fabs(x - cases[i].x) <= 4e-15 * (1 + fabs(cases[i].x)), "the %g quantile is %.17g, not %.17g", cases[i].p,
              x, cases[i].x);
    }
    random_source random = {seed};
    double worst = 0, worst_p = 0;
    for (int i = 0; i < 300000; i++) {
        const double p = fabs(random_scaled(&random, -35, -1));
        if (p < 1.4e-11) continue;
        /* d log p / d log x is about x^2 or more, so this is the relative error of x, or more */
        const double x = mnc_normal_quantile(p);
        const double back = 0.5 * erfc(-x / sqrt(2.0)), error = fabs(back - p) / p / (1 + x * x);
        if (error > worst) worst = error, worst_p = p;
        CHECK(mnc_normal_quantile(1 - p) == -mnc_normal_quantile(1 - (1 - p)), "asymmetric at %.17g", p);
    }
    printf("quantile   worst relative error of x about %.3g, at p = %.17g\n", worst, worst_p);
    CHECK(worst <= 1e-15, "the %.17g quantile is off by %g", worst_p, worst);
}

/* ---------------------------------------------------------------- sums */

/* The contract's sum, written as its definition reads. */
static double plain_sum(const double *x, size_t n) {
    double sum = 0;
    for (size_t block = 0; block < n; block += 4096) {
        double lane[16] = {0};
        for (size_t i = block; i < n && i < block + 4096; i++) lane[(i - block) % 16] += x[i];
        double l8[8], l4[4];
        for (int i = 0; i < 8; i++) l8[i] = lane[i] + lane[i + 8];
        for (int i = 0; i < 4; i++) l4[i] = l8[i] + l8[i + 4];
        sum += (l4[0] + l4[2]) + (l4[1] + l4[3]);
    }
    return sum;
}

static void check_sum(uint64_t seed) {
    static const size_t sizes[] = {0, 1, 2, 15, 16, 17, 100, 4095, 4096, 4097, 8192, 10000, 12289};
    random_source random = {seed};
    double *x = malloc(12289 * sizeof *x);
    for (size_t i = 0; i < 12289; i++) x[i] = random_scaled(&random, 0, 39);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const double sum = mnc_sum(x, sizes[i]), expected = plain_sum(x, sizes[i]);
        CHECK(memcmp(&sum, &expected, sizeof sum) == 0, "the sum of %zu is %.17g, not %.17g", sizes[i], sum, expected);
    }
    free(x);
}

/* ---------------------------------------------------------------- randomness */

/* Known answers of Random123 1.14 (kat_vectors, philox4x32 with 10 rounds). */
static void check_philox(void) {
    static const struct {
        uint64_t seed;
        uint32_t counter[4], expected[4];
    } cases[] = {
        {0, {0, 0, 0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX,
         {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822u,
         {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t w[4];
        mnc_philox(cases[i].seed, cases[i].counter, w);
        CHECK(memcmp(w, cases[i].expected, sizeof w) == 0, "Philox %zu: %08x %08x %08x %08x", i, w[0], w[1], w[2],
              w[3]);
    }
}

static bool is_permutation(const uint32_t *order, size_t n) {
    uint8_t *seen = calloc(n + 1, 1);
    bool good = true;
    for (size_t i = 0; i < n; i++) {
        good &= order[i] < n && !seen[order[i]];
        if (order[i] < n) seen[order[i]] = 1;
    }
    free(seen);
    return good;
}

static void check_permutation(void) {
    enum { MOST = 60000 };
    uint32_t *first = malloc(MOST * sizeof *first), *second = malloc(MOST * sizeof *second);
    for (size_t n = 0; n <= MOST; n = n < 300 ? n + 1 : n * 7 / 2) {
        mnc_permutation(7, 3, n, first);
        mnc_permutation(7, 3, n, second);
        CHECK(is_permutation(first, n), "no permutation of %zu", n);
        CHECK(memcmp(first, second, n * sizeof *first) == 0, "two permutations of %zu for one seed and epoch", n);
    }
    mnc_permutation(7, 3, MOST, first);
    CHECK(is_permutation(first, MOST), "no permutation of %d", MOST);
    static const uint64_t others[][2] = {{8, 3}, {7, 4}, {7, 3 + ((uint64_t)1 << 32)}, {7 + ((uint64_t)1 << 32), 3}};
    for (int i = 0; i < 4; i++) {
        size_t same = 0;
        mnc_permutation(others[i][0], others[i][1], MOST, second);
        for (size_t j = 0; j < MOST; j++) same += first[j] == second[j];
        CHECK(same < 20, "seed or epoch %d leaves %zu places as they were", i, same); /* 1 expected */
    }
    /* All six orders of three about equally often: 10,000 each, standard deviation 91. */
    int count[6] = {0};
    for (uint64_t epoch = 0; epoch < 60000; epoch++) {
        mnc_permutation(1, epoch, 3, first);
        count[2 * first[0] + (first[1] > first[2])]++;
    }
    for (int i = 0; i < 6; i++) CHECK(abs(count[i] - 10000) < 500, "order %d of three came %d times", i, count[i]);
    free(first);
    free(second);
}

static void check_uniform(void) {
    double sum = 0, square = 0;
    const size_t n = 100000;
    for (size_t i = 0; i < n; i++) {
        double u;
        mnc_random_uniform(5, 2, i, 1, &u);
        if (!(u > 0 && u < 1)) CHECK(false, "uniform number %zu is %g", i, u);
        sum += u;
        square += u * u;
    }
    const double mean = sum / (double)n, variance = square / (double)n - mean * mean;
    CHECK(fabs(mean - 0.5) < 0.005 && fabs(variance - 1 / 12.0) < 0.002, "uniform: mean %g, variance %g", mean,
          variance);
    const uint32_t counter[4] = {1, 2, 0, MNC_STREAM_INIT};
    uint32_t w[4];
    mnc_philox(5, counter, w);
    double pieces[4];
    mnc_random_uniform(5, 2, 5, 4, pieces);
    CHECK(pieces[2] == (w[3] + 0.5) / 4294967296.0, "element 7 is not word 3 of counter 1");
}

int main(int argc, char **argv) {
    const bool all = argc > 1 && strcmp(argv[1], "--all") == 0;
    const uint64_t seed = 20260;
    for (size_t i = 0; i < sizeof float_functions / sizeof *float_functions; i++)
        measure(&float_functions[i], all ? 1 : 1009);
    check_normals();
    check_special_values();
    check_ends();
    check_fma(seed, all ? 5000000 : 60000);
    check_double_log(seed);
    check_double_exp(seed);
    check_cos_pi(seed);
    check_power(seed);
    check_quantile(seed);
    check_sum(seed);
    check_philox();
    check_permutation();
    check_uniform();
    char summary[80];
    snprintf(summary, sizeof summary, "seed %llu%s", (unsigned long long)seed, all ? ", all floats" : "");
    return minitest_end(summary);
}
