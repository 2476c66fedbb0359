/* What the C tests share: checks that are counted, random numbers from a seed that is printed, the bits of a float. */
#ifndef MINITEST_H
#define MINITEST_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------- checks */

static struct {
    unsigned long passed, failed;
} minitest;

__attribute__((format(printf, 4, 5))) static inline bool minitest_check(bool good, const char *file, int line,
                                                                        const char *format, ...) {
    if (good) {
        minitest.passed++;
    } else if (++minitest.failed <= 20) { /* enough to see the pattern */
        va_list args;
        va_start(args, format);
        printf("%s:%d: ", file, line);
        vprintf(format, args);
        printf("\n");
        va_end(args);
    }
    return good;
}

/* CHECK(condition, "what came: %d", x) goes on after a failure; it is true if the condition is. */
#define CHECK(condition, ...) minitest_check(condition, __FILE__, __LINE__, __VA_ARGS__)

/* The exit status of main. */
static inline int minitest_end(const char *summary) {
    if (minitest.failed) printf("%lu of %lu checks failed; ", minitest.failed, minitest.passed + minitest.failed);
    printf("%lu checks passed%s%s\n", minitest.passed, *summary ? ", " : "", summary);
    return minitest.failed != 0;
}

/* ---------------------------------------------------------------- random numbers */

/* SplitMix64 (Steele, Lea and Flood 2014): nothing that the library uses itself. */
typedef struct random_source {
    uint64_t state;
} random_source;

static inline uint64_t random_bits(random_source *random) {
    uint64_t z = random->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}
static inline size_t random_below(random_source *random, size_t n) { return (size_t)(random_bits(random) >> 11) % n; }
/* From `low` to `high`, both included. */
static inline size_t random_between(random_source *random, size_t low, size_t high) {
    return low + random_below(random, high - low + 1);
}
static inline bool random_chance(random_source *random, size_t one_in) { return random_below(random, one_in) == 0; }
/* In [-1, 1), a multiple of 2^-52. */
static inline double random_real(random_source *random) { return (double)(random_bits(random) >> 11) * 0x1p-52 - 1; }
/* The same times a power of two, 2^low to 2^high. */
static inline double random_scaled(random_source *random, int low, int high) {
    const double x = random_real(random);
    return ldexp(x, low + (int)random_below(random, (size_t)(high - low + 1)));
}

/* ---------------------------------------------------------------- bits */

static inline uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static inline float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
