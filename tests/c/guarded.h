/* Arrays that end at an unreadable page, or begin behind one, with a pattern on the other side, and a record of what may
 * be written: a kernel that reads or writes past its arrays, or writes what it should leave alone, is caught.
 *
 * A case takes its arrays, says with `allow` what will change, calls `begin`, then the kernel; `finish` checks. Run once
 * with the plain table and once with another on the same random numbers, it takes the same arrays: `finish` keeps the
 * results of the first and compares those of the others with them. */
#ifndef GUARDED_H
#define GUARDED_H

#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels/kernels.h"
#include "minitest.h"

enum { ARRAYS = 14, CAPACITY = 1 << 20, MARGIN = 1024, PATTERN = 0xA5 };

typedef enum { REALS, DOUBLES, BYTES } content;

typedef struct {
    unsigned char *pages, *at; /* the array lies at the end of the pages, or at their beginning */
    size_t bytes;
    content content;
    unsigned char *before, *reference;
    bool *allowed; /* by byte */
} guarded;

typedef struct {
    guarded arrays[ARRAYS];
    size_t taken;
    random_source random;
    mnc_dtype dtype;
    bool at_end;    /* unreadable pages after the arrays, else before */
    bool reference; /* the run that others are compared with */
    bool special;   /* NaN among the inputs */
    char what[160]; /* for messages */
} bench;

static inline size_t real_size(const bench *b) { return b->dtype == MNC_FLOAT32 ? sizeof(float) : sizeof(double); }
static inline double get(const bench *b, const mnc_real *x, size_t i) {
    return b->dtype == MNC_FLOAT32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}
static inline void set(const bench *b, mnc_real *x, size_t i, double value) {
    if (b->dtype == MNC_FLOAT32)
        ((float *)x)[i] = (float)value;
    else
        ((double *)x)[i] = value;
}

static inline void bench_open(bench *b) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < ARRAYS; i++) {
        guarded *g = &b->arrays[i];
        unsigned char *all = mmap(NULL, CAPACITY + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        g->pages = all + page;
        g->before = malloc(CAPACITY);
        g->reference = malloc(CAPACITY);
        g->allowed = malloc(CAPACITY);
        if (all == MAP_FAILED || mprotect(g->pages, CAPACITY, PROT_READ | PROT_WRITE) != 0 || !g->before ||
            !g->reference || !g->allowed) {
            printf("no memory\n");
            exit(2);
        }
        memset(g->pages, PATTERN, CAPACITY);
    }
}

static inline void bench_close(bench *b) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < ARRAYS; i++) {
        munmap(b->arrays[i].pages - page, CAPACITY + 2 * page);
        free(b->arrays[i].before);
        free(b->arrays[i].reference);
        free(b->arrays[i].allowed);
    }
}

/* ---------------------------------------------------------------- taking arrays */

static inline void *take(bench *b, size_t count, size_t size, content what) {
    guarded *g = &b->arrays[b->taken++];
    g->bytes = count * size;
    g->content = what;
    if (b->taken > ARRAYS || g->bytes + MARGIN > CAPACITY) {
        printf("%s: guarded.h has no room\n", b->what);
        exit(2);
    }
    g->at = b->at_end ? g->pages + CAPACITY - g->bytes : g->pages;
    memset(g->allowed, false, g->bytes);
    return g->at;
}

/* Random reals in [-scale, scale). */
static inline mnc_real *take_reals(bench *b, size_t n, double scale) {
    mnc_real *x = take(b, n, real_size(b), REALS);
    for (size_t i = 0; i < n; i++) set(b, x, i, scale * random_real(&b->random));
    return x;
}

/* Reals that nobody may use before they are written: NaN. */
static inline mnc_real *take_outputs(bench *b, size_t n) {
    mnc_real *x = take(b, n, real_size(b), REALS);
    for (size_t i = 0; i < n; i++) set(b, x, i, NAN);
    return x;
}

/* [rows, ld] of reals in [-scale, scale); columns from `width` on, which are padding, are NaN. */
static inline mnc_real *take_matrix(bench *b, size_t rows, size_t width, size_t ld, double scale) {
    mnc_real *x = take_outputs(b, rows * ld);
    for (size_t row = 0; row < rows; row++)
        for (size_t j = 0; j < width; j++) set(b, x, row * ld + j, scale * random_real(&b->random));
    return x;
}

/* ---------------------------------------------------------------- before and after */

/* The kernel may write columns col0 ... col1 - 1 of rows row0 ... row1 - 1 of x[row * ld + col]. */
static inline void allow(bench *b, const void *x, size_t row0, size_t row1, size_t ld, size_t col0, size_t col1) {
    for (size_t i = 0; i < b->taken; i++) {
        guarded *g = &b->arrays[i];
        if (g->at != x) continue;
        const size_t size = g->content == REALS ? real_size(b) : g->content == DOUBLES ? sizeof(double) : 1;
        for (size_t row = row0; row < row1; row++)
            memset(g->allowed + (row * ld + col0) * size, true, (col1 - col0) * size);
    }
}
static inline void allow_all(bench *b, const void *x, size_t n) { allow(b, x, 0, 1, n, 0, n); }

static inline void bench_reset(bench *b, uint64_t seed) {
    b->random = (random_source){seed};
    b->taken = 0;
    b->special = false;
}

static inline void begin(bench *b) {
    for (size_t i = 0; i < b->taken; i++) memcpy(b->arrays[i].before, b->arrays[i].at, b->arrays[i].bytes);
}

static inline bool same_real(double x, double y, bool exact) {
    if (isnan(x) || isnan(y)) return isnan(x) && isnan(y);
    if (memcmp(&x, &y, sizeof x) == 0) return true;
    return !exact && fabs(x - y) <= 1e-13 * (fabs(x) + fabs(y));
}

/* Element i of an array's bytes as a double. */
static inline double element(const bench *b, const guarded *g, const unsigned char *bytes, size_t i) {
    if (g->content == BYTES) return bytes[i];
    return g->content == REALS ? get(b, bytes, i) : ((const double *)(const void *)bytes)[i];
}

static inline void check_array(bench *b, size_t number) {
    guarded *g = &b->arrays[number];
    const size_t size = g->content == REALS ? real_size(b) : g->content == DOUBLES ? sizeof(double) : 1;
    const unsigned char *outside = b->at_end ? g->at - MARGIN : g->at + g->bytes;
    bool untouched = true, written = true, kept = true, same = true;
    for (size_t i = 0; i < MARGIN; i++) kept &= outside[i] == PATTERN;
    for (size_t i = 0; i < g->bytes; i++) untouched &= g->allowed[i] || g->at[i] == g->before[i];
    CHECK(kept, "%s: array %zu: something was written beyond it", b->what, number);
    CHECK(untouched, "%s: array %zu: something was written that should stay", b->what, number);
    double x = 0, expected = 0;
    size_t at = 0;
    for (; at < g->bytes / size && same; at++) {
        x = element(b, g, g->at, at);
        expected = b->reference ? x : element(b, g, g->reference, at);
        written &= g->content == BYTES || !g->allowed[at * size] || b->special || !isnan(x);
        same = same_real(x, expected, b->dtype == MNC_FLOAT32);
    }
    CHECK(same, "%s: array %zu, element %zu is %a, the plain kernel gives %a", b->what, number, at - 1, x, expected);
    CHECK(written, "%s: array %zu: NaN was left or read", b->what, number);
    if (b->reference) memcpy(g->reference, g->at, g->bytes);
    memset(b->at_end ? g->at - MARGIN : g->at, PATTERN, g->bytes + MARGIN);
}

static inline void finish(bench *b) {
    for (size_t i = 0; i < b->taken; i++) check_array(b, i);
}

#endif
