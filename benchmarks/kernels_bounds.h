/* A clock that counts cycles, and what the machine can do at most: loops that do one thing each, in the vector vocabulary
 * of the kernels, so that a bound and a kernel are measured in the same unit, operations on 16 lanes.
 *
 * Included once by kernels.c, which is compiled for each instruction set with -DISA_avx512, -DISA_avx2, ... */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "kernels/kernels.h"

#define MNC_REAL float
#define MNC_REAL_IS_F64 0

#if defined(ISA_avx512)
#include <immintrin.h>
#define ISA_NAME "avx512"
#include "simd/target_avx512.h"
#include "simd/simd_avx512.h"
/* TILE_...: MNC_MR and MNC_NP of kernels_avx512.c, which say how often an operand is loaded. CHAINS: enough of them to fill
 * the pipelines, few enough for the registers. */
enum { TILE_ROWS = 8, TILE_PANELS = 2, CHAINS = 12 };
#elif defined(ISA_avx2)
#include <immintrin.h>
#define ISA_NAME "avx2"
#include "simd/target_avx2.h"
#include "simd/simd_avx2.h"
enum { TILE_ROWS = 4, TILE_PANELS = 1, CHAINS = 6 };
#elif defined(ISA_neon)
#include <arm_neon.h>
#define ISA_NAME "neon"
#include "simd/simd_neon.h"
enum { TILE_ROWS = 4, TILE_PANELS = 1, CHAINS = 6 };
#elif defined(ISA_scalar)
#define ISA_NAME "scalar"
#include "simd/simd_scalar.h"
enum { TILE_ROWS = 4, TILE_PANELS = 1, CHAINS = 6 };
#else
#error "say for which instruction set: -DISA_avx512, -DISA_avx2, -DISA_neon or -DISA_scalar"
#endif

/* ---------------------------------------------------------------- loops that do one thing */
typedef struct {
    float *memory;
    size_t bytes; /* of memory that the loop passes over */
    float sink[16];
} loop;

enum { TURNS = 256, OPERATIONS = CHAINS * TURNS };

/* OPERATIONS times the expression, in CHAINS chains that do not depend on each other. `x` and `y` come from memory, so
 * that the compiler cannot compute with them. */
#define THROUGHPUT(name, expression)                                                         \
    static void name(void *argument) {                                                       \
        loop *const l = argument;                                                            \
        const vf x = vf_load(l->memory), y = vf_load(l->memory + 16);                        \
        vf acc[CHAINS], sum = y;                                                             \
        (void)x;                                                                             \
        for (int i = 0; i < CHAINS; i++) acc[i] = vf_load(l->memory + 16 * i);               \
        for (int turn = 0; turn < TURNS; turn++) {                                           \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) acc[i] = (expression); \
        }                                                                                    \
        for (int i = 0; i < CHAINS; i++) sum = vf_add(sum, acc[i]);                          \
        vf_store(l->sink, sum);                                                              \
    }
THROUGHPUT(loop_fma, vf_fma(acc[i], x, y))
THROUGHPUT(loop_multiply, vf_mul(acc[i], x))
THROUGHPUT(loop_divide, vf_div(x, acc[i]))
THROUGHPUT(loop_root, vf_sqrt(vf_add(acc[i], x)))

/* The same in one chain: each operation waits for the last. */
#define CHAIN(name, expression)                                           \
    static void name(void *argument) {                                    \
        loop *const l = argument;                                         \
        const vf x = vf_load(l->memory), y = vf_load(l->memory + 16);     \
        vf acc = x;                                                       \
        for (int turn = 0; turn < OPERATIONS; turn++) acc = (expression); \
        vf_store(l->sink, acc);                                           \
    }
CHAIN(loop_fma_chain, vf_fma(x, y, acc))
CHAIN(loop_add_chain, vf_add(acc, y))

/* 32 x 32 -> 64 bits, both halves, as Philox needs them; the exclusive or is Philox's, too. */
static void loop_random(void *argument) {
    loop *const l = argument;
    vu acc[CHAINS];
    for (int i = 0; i < CHAINS; i++) acc[i] = vu_iota((uint32_t)l->bytes + (uint32_t)i);
    for (int turn = 0; turn < TURNS; turn++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            vu high;
            const vu low = vu_mul(acc[i], 0xD2511F53u, &high);
            acc[i] = vu_xor(low, high);
        }
    }
    for (int i = 1; i < CHAINS; i++) acc[0] = vu_xor(acc[0], acc[i]);
    memcpy(l->sink, &acc[0], sizeof l->sink);
}

/* Vectors of `bytes` of memory, read and added up. */
static void loop_load(void *argument) {
    loop *const l = argument;
    vf sum[4] = {vf_set1(0), vf_set1(0), vf_set1(0), vf_set1(0)};
    for (size_t i = 0; i < l->bytes / sizeof(float); i += 64) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) sum[j] = vf_add(sum[j], vf_load(l->memory + i + 16 * (size_t)j));
    }
    vf_store(l->sink, vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3])));
}

static void loop_store(void *argument) {
    loop *const l = argument;
    const vf x = vf_load(l->sink);
    for (size_t i = 0; i < l->bytes / sizeof(float); i += 64) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) vf_store(l->memory + i + 16 * (size_t)j, x);
    }
}

/* One float, copied to 16 lanes. */
static void loop_broadcast(void *argument) {
    loop *const l = argument;
    vf sum[4] = {vf_set1(0), vf_set1(0), vf_set1(0), vf_set1(0)};
    for (size_t i = 0; i < OPERATIONS; i += 4) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) sum[j] = vf_add(sum[j], vf_set1(l->memory[i + (size_t)j]));
    }
    vf_store(l->sink, vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3])));
}

enum { MOVED_ROWS = 16, MOVED_COLUMNS = 64 };

/* A transposition, float by float. */
static void loop_move(void *argument) {
    loop *const l = argument;
    float *to = l->memory + MOVED_ROWS * MOVED_COLUMNS;
    for (size_t row = 0; row < MOVED_ROWS; row++)
        for (size_t j = 0; j < MOVED_COLUMNS; j++) to[j * MOVED_ROWS + row] = l->memory[row * MOVED_COLUMNS + j];
}

#if defined(ISA_avx512) || defined(ISA_avx2)
#include "simd/target_end.h"
#endif

/* ---------------------------------------------------------------- the clock */
typedef void (*work)(void *argument);

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Additions that each wait for the last: a cycle each, on every CPU that this runs on. The empty statement keeps the
 * compiler from adding them up; the step is in a register, since some CPUs add constants faster. */
enum { ADDITIONS = 20000 };

static double seconds_of_additions(void) {
    uint64_t x = 0, step = 1;
    __asm__ volatile("" : "+r"(step));
    const double start = now();
    for (int i = 0; i < ADDITIONS / 50; i++) {
#pragma GCC unroll 50
        for (int j = 0; j < 50; j++) {
            x += step;
            __asm__ volatile("" : "+r"(x));
        }
    }
    return now() - start;
}

static double seconds_of(work f, void *argument, size_t calls) {
    const double start = now();
    for (size_t i = 0; i < calls; i++) f(argument);
    return now() - start;
}

typedef struct {
    double cycles; /* of one call */
    double hertz;
} measured;

/* The fastest of many rounds within `seconds` (of five at least, after one that warms caches up). Each round times some
 * 50 us of calls, then the additions, since a CPU's frequency depends on what runs. */
static measured measure(work f, void *argument, double seconds) {
    const double end = now() + seconds, once = seconds_of(f, argument, 1), again = seconds_of(f, argument, 1);
    const size_t calls = 1 + (size_t)(50e-6 / ((once < again ? once : again) + 1e-9));
    double best = 1e30, additions = 1e30;
    for (int round = 0; round < 5 || now() < end; round++) {
        const double took = seconds_of(f, argument, calls) / (double)calls, clock = seconds_of_additions();
        best = took < best ? took : best;
        additions = clock < additions ? clock : additions;
    }
    const double hertz = ADDITIONS / additions;
    return (measured){best * hertz, hertz};
}

/* ---------------------------------------------------------------- bounds */
static void print_bound(const char *name, work f, loop *l, size_t bytes, double operations, double seconds) {
    l->bytes = bytes;
    const measured m = measure(f, l, seconds);
    printf("{\"isa\": \"%s\", \"bound\": \"%s\", \"bytes\": %zu, \"cycles\": %.6g, \"hertz\": %.6g}\n", ISA_NAME, name,
           bytes, m.cycles / operations, m.hertz);
}

/* Cycles of one operation on 16 lanes (of one float, for "move"). memory: 64 MiB of numbers between 0 and 1, the first 16
 * of them 1, so that multiplying with it again and again stays in range. */
static void print_bounds(float *memory, double seconds) {
    /* KiB; the smallest is in every first-level cache, the largest in hardly any cache */
    static const size_t sizes[] = {16, 64, 256, 1024, 4096, 65536};
    loop l = {.memory = memory};
    printf("{\"isa\": \"%s\", \"compiler\": \"%s\"}\n", ISA_NAME, __VERSION__);
    print_bound("fma", loop_fma, &l, 0, OPERATIONS, seconds);
    print_bound("multiply", loop_multiply, &l, 0, OPERATIONS, seconds);
    print_bound("fma_chain", loop_fma_chain, &l, 0, OPERATIONS, seconds);
    print_bound("add_chain", loop_add_chain, &l, 0, OPERATIONS, seconds);
    print_bound("divide", loop_divide, &l, 0, OPERATIONS, seconds);
    print_bound("root", loop_root, &l, 0, OPERATIONS, seconds);
    print_bound("random", loop_random, &l, 0, OPERATIONS, seconds);
    print_bound("broadcast", loop_broadcast, &l, 0, OPERATIONS, seconds);
    print_bound("move", loop_move, &l, 0, MOVED_ROWS * MOVED_COLUMNS, seconds);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        print_bound("load", loop_load, &l, sizes[i] << 10, (double)sizes[i] * 16, seconds);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        print_bound("store", loop_store, &l, sizes[i] << 10, (double)sizes[i] * 16, seconds);
}
