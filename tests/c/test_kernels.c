/* Every kernel of every table against the plain one: on random odd shapes the same bits (float) or the same values
 * (double), nothing touched outside the documented ranges (guarded.h), products within their error bound, and the
 * sparse products equal to the dense ones. The seed of a failing case is printed; test_kernels SEED runs another one. */
#define _GNU_SOURCE
#include <signal.h>

#include "base/arena.h"
#include "base/rng.h"
#include "data/inputs.h"
#include "guarded.h"

/* ---------------------------------------------------------------- shapes */

/* Part of 0 ... n: often all of it, often up to the end. */
static void random_range(bench *b, size_t n, size_t *begin_, size_t *end) {
    *begin_ = random_chance(&b->random, 2) ? 0 : random_between(&b->random, 0, n);
    *end = random_chance(&b->random, 2) ? n : random_between(&b->random, *begin_, n);
}

static size_t random_inputs(bench *b) {
    if (random_chance(&b->random, 8)) return random_between(&b->random, 784, 785);
    return random_between(&b->random, 1, 130);
}

/* Products of tiny numbers underflow, to -0 among others. */
static double random_scale(bench *b) {
    static const double scales[] = {1, 1, 1, 1e-20, 1e-30, 1e10};
    return scales[random_below(&b->random, 6)];
}

typedef struct {
    size_t rows, inputs, outputs, ld_in, ld, panels, row0, row1, panel0, panel1;
} shape;

static shape random_shape(bench *b) {
    shape s = {.rows = random_between(&b->random, 0, 70), .inputs = random_inputs(b)};
    s.outputs = random_between(&b->random, 1, 70);
    s.ld_in = mnc_round16(s.inputs);
    s.ld = mnc_round16(s.outputs);
    s.panels = s.ld / MNC_PANEL;
    random_range(b, s.rows, &s.row0, &s.row1);
    random_range(b, s.panels, &s.panel0, &s.panel1);
    return s;
}

/* ---------------------------------------------------------------- error bounds */

/* A chain of n operations, each rounded with relative error u, is within gamma_n sum |a| |b| of the exact sum (Higham,
 * "Accuracy and Stability of Numerical Algorithms", section 3.1), gamma_n = n u / (1 - n u); and each may underflow, by at
 * most half the smallest denormal. */
typedef struct {
    long double sum, size;
} exact;

static void add(exact *e, double a, double b) {
    e->sum += (long double)a * (long double)b;
    e->size += fabsl((long double)a * (long double)b);
}

static bool within_bound(const bench *b, double x, const exact *e, size_t n) {
    const bool single = b->dtype == MNC_FLOAT32;
    const double u = single ? 0x1p-24 : 0x1p-53, nu = (double)n * u, tiny = single ? 0x1p-150 : 0x1p-1074;
    const long double slack = (long double)n * 0x1p-63L; /* of this computation itself */
    return fabsl((long double)x - e->sum) <= ((long double)(nu / (1 - nu)) + slack) * e->size + (long double)n * tiny;
}

/* ---------------------------------------------------------------- products */

static double weight(const bench *b, const mnc_product *p, size_t k, size_t j) {
    return get(b, p->weights, j / MNC_PANEL * p->panel_size + k * MNC_PANEL + j % MNC_PANEL);
}

static mnc_product random_product(bench *b, const shape *s, bool bias) {
    const size_t panel_size = (s->inputs + bias) * MNC_PANEL;
    const mnc_real *weights = take_reals(b, s->panels * panel_size, random_scale(b));
    return (mnc_product){.weights = weights,
                         .panel_size = panel_size,
                         .inputs = s->inputs,
                         .bias = bias,
                         .z = take_outputs(b, s->rows * s->ld),
                         .ldz = s->ld,
                         .row0 = s->row0,
                         .row1 = s->row1,
                         .panel0 = s->panel0,
                         .panel1 = s->panel1};
}

static void check_forward_bound(const bench *b, const shape *s, const mnc_product *p, const mnc_real *x) {
    bool good = true;
    for (size_t row = s->row0; row < s->row1; row++)
        for (size_t j = s->panel0 * MNC_PANEL; j < s->panel1 * MNC_PANEL; j++) {
            exact e = {0, 0};
            for (size_t k = 0; k < s->inputs; k++) add(&e, get(b, x, row * s->ld_in + k), weight(b, p, k, j));
            if (p->bias) add(&e, 1, weight(b, p, s->inputs, j));
            const double z = get(b, p->z, row * p->ldz + j);
            good &= within_bound(b, z, &e, s->inputs + 1) && !(z == 0 && signbit(z));
        }
    CHECK(good, "%s: a sum is beyond its bound, or -0", b->what);
}

static void dense_forward(bench *b, const mnc_kernels *k) {
    const shape s = random_shape(b);
    const mnc_product p = random_product(b, &s, random_chance(&b->random, 2));
    const mnc_real *x = take_matrix(b, s.rows, s.inputs, s.ld_in, random_scale(b));
    allow(b, p.z, s.row0, s.row1, s.ld, s.panel0 * MNC_PANEL, s.panel1 * MNC_PANEL);
    begin(b);
    k->dense_forward(&p, x, s.ld_in);
    if (b->reference) check_forward_bound(b, &s, &p, x);
}

static void dense_delta(bench *b, const mnc_kernels *k) {
    const shape s = random_shape(b);
    mnc_product p = random_product(b, &s, random_chance(&b->random, 2));
    const mnc_real *delta = take_matrix(b, s.rows, s.outputs, s.ld, random_scale(b));
    const mnc_real *f = random_chance(&b->random, 2) ? NULL : take_matrix(b, s.rows, s.inputs, s.ld_in, 1);
    mnc_real *scratch = take_outputs(b, s.ld * MNC_DELTA_ROWS);
    p.z = take_outputs(b, s.rows * s.ld_in);
    p.ldz = s.ld_in;
    p.panel0 = 0;
    p.panel1 = s.panels;
    allow(b, p.z, s.row0, s.row1, s.ld_in, 0, s.inputs);
    begin(b);
    k->dense_delta(&p, delta, s.ld, s.outputs, f, scratch);
    for (size_t i = 0; i < s.ld * MNC_DELTA_ROWS; i++) set(b, scratch, i, NAN); /* anything may be left there */
    bool good = true;
    for (size_t row = s.row0; b->reference && row < s.row1; row++)
        for (size_t i = 0; i < s.inputs; i++) {
            exact e = {0, 0};
            const double factor = f ? get(b, f, row * s.ld_in + i) : 1;
            for (size_t j = 0; j < s.outputs; j++) add(&e, get(b, delta, row * s.ld + j) * factor, weight(b, &p, i, j));
            good &= within_bound(b, get(b, p.z, row * s.ld_in + i), &e, s.outputs + 2);
        }
    CHECK(good, "%s: a sum is beyond its bound", b->what);
}

static void dense_gradient(bench *b, const mnc_kernels *k) {
    const shape s = random_shape(b);
    size_t k0, k1;
    random_range(b, s.inputs, &k0, &k1);
    const mnc_real *x = take_matrix(b, s.rows, s.inputs, s.ld_in, random_scale(b));
    const mnc_real *delta = take_reals(b, s.rows * s.ld, random_scale(b));
    const size_t g_row = (s.panel1 - s.panel0) * MNC_PANEL, n = (k1 - k0) * g_row;
    mnc_real *g = take_outputs(b, n);
    allow_all(b, g, n);
    begin(b);
    k->dense_gradient(g, x, s.ld_in, k0, k1, delta, s.ld, s.row0, s.row1, s.panel0, s.panel1);
    bool good = true;
    for (size_t i = 0; b->reference && i < n; i++) {
        const size_t feature = k0 + i / g_row, j = s.panel0 * MNC_PANEL + i % g_row;
        exact e = {0, 0};
        for (size_t row = s.row0; row < s.row1; row++)
            add(&e, get(b, x, row * s.ld_in + feature), get(b, delta, row * s.ld + j));
        good &= within_bound(b, get(b, g, i), &e, s.row1 - s.row0);
    }
    CHECK(good, "%s: a sum is beyond its bound", b->what);
}

static void bias_gradient(bench *b, const mnc_kernels *k) {
    const shape s = random_shape(b);
    const mnc_real *delta = take_reals(b, s.rows * s.ld, random_scale(b));
    const size_t n = (s.panel1 - s.panel0) * MNC_PANEL;
    mnc_real *g = take_outputs(b, n);
    allow_all(b, g, n);
    begin(b);
    k->bias_gradient(g, delta, s.ld, s.row0, s.row1, s.panel0, s.panel1);
    bool good = true;
    for (size_t i = 0; b->reference && i < n; i++) {
        exact e = {0, 0};
        for (size_t row = s.row0; row < s.row1; row++) add(&e, 1, get(b, delta, row * s.ld + s.panel0 * MNC_PANEL + i));
        good &= within_bound(b, get(b, g, i), &e, s.row1 - s.row0);
    }
    CHECK(good, "%s: a sum is beyond its bound", b->what);
}

/* ---------------------------------------------------------------- sparse products */

typedef struct {
    size_t blocks;
    mnc_sparse coded, valued; /* rows are NULL outside row0 ... row1 - 1, so that nobody looks there */
    const mnc_real *dense;    /* [rows, ld_in] */
} sparse_inputs;

/* Codes of which one in `one_in` is not zero, as an index and as reals. */
static sparse_inputs random_sparse(bench *b, const shape *s, size_t one_in, double scale) {
    const size_t blocks = mnc_feature_blocks(s->inputs);
    mnc_real *table = take_reals(b, 256, scale), *dense = take_matrix(b, s->rows, s->inputs, s->ld_in, 0);
    const mnc_sparse_row **rows = take(b, s->rows, sizeof *rows, BYTES);
    static mnc_sparse_row stream[70 * (16 + 785)];
    size_t at = 0;
    set(b, table, 0, 0);
    for (size_t row = 0; row < s->rows; row++) {
        mnc_sparse_row *record = stream + at, *entries = record + blocks;
        uint32_t count = 0;
        for (size_t j = 0; j < s->inputs; j++) {
            const uint32_t code = random_chance(&b->random, one_in) ? (uint32_t)random_between(&b->random, 1, 255) : 0;
            set(b, dense, row * s->ld_in + j, get(b, table, code));
            if (code) entries[count++] = (uint32_t)j << 8 | code;
            record[j / MNC_FEATURE_BLOCK] = count;
        }
        rows[row] = row >= s->row0 && row < s->row1 ? record : NULL;
        at += blocks + count;
    }
    /* The stream itself is guarded, too, so the pointers move there. */
    mnc_sparse_row *guarded_stream = take(b, at, sizeof *stream, BYTES);
    memcpy(guarded_stream, stream, at * sizeof *stream);
    for (size_t row = 0; row < s->rows; row++)
        if (rows[row]) rows[row] = guarded_stream + (rows[row] - stream);
    return (sparse_inputs){
        blocks, {.rows = rows, .table = table}, {.rows = rows, .dense = dense, .ld = s->ld_in}, dense};
}

static void sparse_forward(bench *b, const mnc_kernels *k) {
    const shape s = random_shape(b);
    const mnc_product p = random_product(b, &s, random_chance(&b->random, 2));
    const sparse_inputs x = random_sparse(b, &s, random_between(&b->random, 1, 12), random_scale(b));
    mnc_product dense = p;
    dense.z = take_outputs(b, s.rows * s.ld);
    allow(b, p.z, s.row0, s.row1, s.ld, s.panel0 * MNC_PANEL, s.panel1 * MNC_PANEL);
    allow(b, dense.z, s.row0, s.row1, s.ld, s.panel0 * MNC_PANEL, s.panel1 * MNC_PANEL);
    begin(b);
    k->sparse_forward(&p, random_chance(&b->random, 2) ? &x.coded : &x.valued);
    k->dense_forward(&dense, x.dense, s.ld_in);
    CHECK(memcmp(p.z, dense.z, s.rows * s.ld * real_size(b)) == 0, "%s: not the bits of dense_forward", b->what);
}

static void sparse_gradient(bench *b, const mnc_kernels *k) {
    shape s = random_shape(b);
    if (s.panel0 == s.panel1) s.panel0 = 0, s.panel1 = 1;
    if (s.panel1 - s.panel0 > MNC_SPARSE_PANELS) s.panel1 = s.panel0 + MNC_SPARSE_PANELS;
    const sparse_inputs x = random_sparse(b, &s, random_between(&b->random, 1, 12), random_scale(b));
    const size_t block0 = random_below(&b->random, x.blocks), k0 = block0 * MNC_FEATURE_BLOCK;
    const size_t block1 = random_between(&b->random, block0 + 1, x.blocks), k1 = block1 * MNC_FEATURE_BLOCK;
    const size_t width = (k1 < s.inputs ? k1 : s.inputs) - k0;
    const mnc_real *delta = take_reals(b, s.rows * s.ld, random_scale(b));
    const size_t n = (s.panel1 - s.panel0) * width * MNC_PANEL;
    mnc_real *g = take_outputs(b, n), *dense = take_outputs(b, n);
    mnc_real *g0 = take_outputs(b, n), *dense0 = take_outputs(b, n);
    allow_all(b, g, n);
    allow_all(b, dense, n);
    allow_all(b, g0, n);
    allow_all(b, dense0, n);
    begin(b);
    k->sparse_gradient(g, &x.coded, x.blocks, block0, block1, width, delta, s.ld, s.row0, s.row1, s.panel0, s.panel1);
    k->dense_gradient(dense, x.dense, s.ld_in, k0, k0 + width, delta, s.ld, s.row0, s.row1, s.panel0, s.panel1);
    /* A chain that ends in an underflow to -0 differs from one that goes on with a skipped zero; + 0 makes them equal,
     * and everybody who uses a gradient adds it first. */
    k->accumulate(n, g0, g, MNC_PANEL, true);
    k->accumulate(n, dense0, dense, MNC_PANEL, true);
    CHECK(memcmp(g0, dense0, n * real_size(b)) == 0, "%s: not the bits of dense_gradient", b->what);
}

/* Turned in two parts, as two threads would. */
static void column_gradient(bench *b, const mnc_kernels *k) {
    shape s = random_shape(b);
    if (s.rows == 0) s.rows = 1;
    s.row0 = 0, s.row1 = s.rows;
    const sparse_inputs x = random_sparse(b, &s, random_between(&b->random, 1, 12), random_scale(b));
    const size_t panels = random_between(&b->random, 1, MNC_SPARSE_PANELS), width = panels * MNC_PANEL;
    const size_t k0 = random_below(&b->random, s.inputs), k1 = random_between(&b->random, k0 + 1, s.inputs);
    const size_t half = random_below(&b->random, x.blocks) * MNC_FEATURE_BLOCK, n = (k1 - k0) * width;
    const size_t together = random_between(&b->random, 1, 256);
    const size_t bounds = (s.rows + together - 1) / together * s.inputs;
    const mnc_data data = {.blocks = x.blocks};
    mnc_columns columns = {.entries = take(b, s.rows * s.inputs, sizeof(uint16_t), BYTES),
                           .begin = take(b, bounds, sizeof(uint32_t), BYTES),
                           .end = take(b, bounds, sizeof(uint32_t), BYTES),
                           .features = s.inputs,
                           .rows = together};
    mnc_index_turn(&data, x.coded.rows, s.rows, 0, half, &columns);
    mnc_index_turn(&data, x.coded.rows, s.rows, half, s.inputs, &columns);
    const mnc_real *delta = take_reals(b, s.rows * width, random_scale(b));
    mnc_real *g = take_outputs(b, n), *dense = take_outputs(b, n);
    mnc_real *g0 = take_outputs(b, n), *dense0 = take_outputs(b, n);
    allow_all(b, g, n);
    allow_all(b, dense, n);
    allow_all(b, g0, n);
    allow_all(b, dense0, n);
    begin(b);
    k->column_gradient(g, &columns, x.coded.table, k0, k1, delta, s.rows, panels);
    k->dense_gradient(dense, x.dense, s.ld_in, k0, k1, delta, width, 0, s.rows, 0, panels);
    k->accumulate(n, g0, g, MNC_PANEL, true);
    k->accumulate(n, dense0, dense, MNC_PANEL, true);
    CHECK(memcmp(g0, dense0, n * real_size(b)) == 0, "%s: not the bits of dense_gradient", b->what);
}

/* ---------------------------------------------------------------- finding what is not zero */

/* The record, beyond whose end anything may have been written, is that of a plain loop over x. */
static bool is_record(const mnc_sparse_row *record, size_t n, size_t room, const bool *nonzero, const uint32_t *codes) {
    const size_t blocks = mnc_feature_blocks(n);
    size_t count = 0;
    bool good = true;
    for (size_t j = 0; j < n; j++) {
        if (nonzero[j] && count < room) good &= record[blocks + count++] == ((uint32_t)j << 8 | codes[j]);
        if ((j + 1) % MNC_FEATURE_BLOCK == 0 || j + 1 == n) good &= record[j / MNC_FEATURE_BLOCK] == count;
    }
    return good;
}

static void find(bench *b, const mnc_kernels *k) {
    const size_t n = random_between(&b->random, 1, 200), one_in = random_between(&b->random, 1, 8);
    const size_t blocks = mnc_feature_blocks(n);
    const uint8_t zero = random_chance(&b->random, 2) ? 0 : (uint8_t)random_below(&b->random, 256);
    uint8_t *codes = take(b, n, 1, BYTES);
    float *floats = take(b, n, sizeof *floats, BYTES);
    static const float some[8] = {1, -1, 0.25f, -1e-42f, 1e-42f, INFINITY, -INFINITY, -3e38f};
    bool nonzero[200];
    uint32_t wanted[200], none[200] = {0};
    size_t count = 0;
    for (size_t j = 0; j < n; j++) {
        nonzero[j] = random_chance(&b->random, one_in);
        codes[j] = (uint8_t)(nonzero[j] ? zero + random_between(&b->random, 1, 255) : zero);
        floats[j] = nonzero[j] ? some[random_below(&b->random, 8)] : 0;
        wanted[j] = codes[j];
        count += nonzero[j];
    }
    const size_t room = random_chance(&b->random, 4) ? count / 2 : count; /* too little, if x changed meanwhile */
    mnc_sparse_row *of_codes = take(b, blocks + room, sizeof *of_codes, BYTES);
    mnc_sparse_row *of_floats = take(b, blocks + n, sizeof *of_floats, BYTES);
    allow_all(b, of_codes, (blocks + room) * sizeof *of_codes);
    allow_all(b, of_floats, (blocks + n) * sizeof *of_floats);
    begin(b);
    k->find_codes(of_codes, codes, n, zero, room);
    k->find_floats(of_floats, floats, n);
    CHECK(is_record(of_codes, n, room, nonzero, wanted), "%s: a wrong record of codes", b->what);
    CHECK(is_record(of_floats, n, n, nonzero, none), "%s: a wrong record of floats", b->what);
    memset(of_floats + blocks + count, 0, (n - count) * sizeof *of_floats); /* anything may be there */
}

/* ---------------------------------------------------------------- activations and dropout */

static mnc_dropout random_dropout(bench *b) {
    const double rate = (double)random_below(&b->random, 100) / 100;
    return (mnc_dropout){.seed = random_bits(&b->random),
                         .step = random_chance(&b->random, 2) ? random_bits(&b->random) : 7,
                         .layer = (uint32_t)random_below(&b->random, 50),
                         .threshold = (uint32_t)(rate * 4294967296.0),
                         .scale = 1 / (1 - rate),
                         .first_row = random_below(&b->random, 3) * 512};
}

/* ARCHITECTURE.md's table of counters. */
static bool dropped(const mnc_dropout *d, size_t row, size_t j) {
    const uint32_t counter[4] = {(uint32_t)(16 * (j / 64) + j % 16), (uint32_t)(d->first_row + row), (uint32_t)d->step,
                                 3 + 256 * d->layer + ((uint32_t)(d->step >> 32) % 256 << 24)};
    uint32_t w[4];
    mnc_philox(d->seed, counter, w);
    return w[j % 64 / 16] < d->threshold;
}

/* Next to a number of size 1 times the scale of dropout, as 1 - a^2 is. */
static bool close_to(const bench *b, double x, double expected, double scale) {
    return fabs(x - expected) <= (b->dtype == MNC_FLOAT32 ? 4e-7 : 1e-15) * (scale + fabs(expected));
}

/* a and f of one element in double; false if they are not what they should be. */
static bool activation_is_right(const bench *b, const mnc_map *m, size_t row, size_t j, double z) {
    double a = z, f = 1, scale = 1;
    switch (m->activation) {
    case MNC_LINEAR: break;
    case MNC_RELU: a = z < 0 ? 0 : z, f = z > 0; break;
    case MNC_LEAKY_RELU: a = z < 0 ? m->slope * z : z, f = z > 0 ? 1 : m->slope; break;
    case MNC_TANH: a = tanh(z), f = 1 - a * a; break;
    case MNC_SIGMOID: a = 1 / (1 + exp(-z)), f = a * (1 - a); break;
    case MNC_ELU: a = z < 0 ? m->slope * expm1(z) : z, f = z > 0 ? 1 : m->slope * exp(z); break;
    case MNC_SELU:
        a = 1.0507009873554805 * (z < 0 ? 1.6732632423543772 * expm1(z) : z);
        f = 1.0507009873554805 * (z > 0 ? 1 : 1.6732632423543772 * exp(z));
        break;
    case MNC_GELU: {
        const double share = erfc(-z / sqrt(2)) / 2;
        a = z * share, f = share + z * exp(-z * z / 2) * 0.39894228040143267794;
        break;
    }
    case MNC_GELU_TANH: {
        const double c = 0.79788456080286535588, t = tanh(c * (z + 0.044715 * z * z * z));
        a = z * (1 + t) / 2, f = (1 + t) / 2 + z * (1 - t * t) / 2 * c * (1 + 3 * 0.044715 * z * z);
        break;
    }
    case MNC_SILU: {
        const double p = 1 / (1 + exp(-z));
        a = z * p, f = p + z * p * (1 - p);
        break;
    }
    case MNC_SOFTPLUS: a = (z < 0 ? 0 : z) + log1p(exp(-fabs(z))), f = 1 / (1 + exp(-z)); break;
    }
    if (m->dropout) {
        scale = m->dropout->scale;
        const double factor = dropped(m->dropout, row, j) ? 0 : scale;
        a *= factor;
        f *= factor;
    }
    const size_t at = row * m->ld + j;
    /* There f has the rounding of 1 - s times z, or times z (c + 3 d z^2). */
    if (m->activation == MNC_GELU_TANH || m->activation == MNC_SILU) scale *= fmax(1, z * z);
    return close_to(b, get(b, m->a, at), a, scale) && (!m->f || close_to(b, get(b, m->f, at), f, scale));
}

static void activate(bench *b, const mnc_kernels *k) {
    static const double extremes[] = {0.0,    -0.0, INFINITY, -INFINITY, NAN,  1e-42,
                                      -1e-42, 88.7, -104,     0.625,     1e30, -1e30};
    const shape s = random_shape(b);
    const mnc_dropout dropout = random_dropout(b);
    mnc_map m = {.a = take_reals(b, s.rows * s.ld, random_chance(&b->random, 2) ? 2 : 30),
                 .ld = s.ld,
                 .activation = (mnc_activation)random_below(&b->random, 0 MNC_ACTIVATIONS(MNC_LIST_COUNT)),
                 .slope = 0.3,
                 .dropout = random_chance(&b->random, 2) ? &dropout : NULL,
                 .row0 = s.row0,
                 .row1 = s.row1,
                 .panel0 = s.panel0,
                 .panel1 = s.panel1};
    if (random_chance(&b->random, 2)) m.f = take_outputs(b, s.rows * s.ld);
    b->special = random_chance(&b->random, 3);
    for (size_t i = 0; b->special && i < s.rows * s.ld; i += random_between(&b->random, 1, 9))
        set(b, m.a, i, extremes[random_below(&b->random, 12)]);
    allow(b, m.a, s.row0, s.row1, s.ld, s.panel0 * MNC_PANEL, s.panel1 * MNC_PANEL);
    if (m.f) allow(b, m.f, s.row0, s.row1, s.ld, s.panel0 * MNC_PANEL, s.panel1 * MNC_PANEL);
    begin(b);
    k->activate(&m);
    bool good = true;
    for (size_t row = s.row0; b->reference && !b->special && row < s.row1; row++)
        for (size_t j = s.panel0 * MNC_PANEL; j < s.panel1 * MNC_PANEL; j++)
            good &= activation_is_right(b, &m, row, j, get(b, b->arrays[0].before, row * s.ld + j));
    CHECK(good, "%s: activation %d is wrong", b->what, m.activation);
}

/* Of one element, by the formula of ARCHITECTURE.md. */
static double normal_noise(const mnc_noise *n, size_t row, size_t j) {
    const uint32_t counter[4] = {(uint32_t)(16 * (j / 64) + j % 16), (uint32_t)(n->first_row + row), (uint32_t)n->step,
                                 4 + 256 * n->layer + ((uint32_t)(n->step >> 32) % 256 << 24)};
    const size_t quarter = j % 64 / 16, first = quarter / 2 * 2;
    uint32_t w[4];
    mnc_philox(n->seed, counter, w);
    const double r = sqrt(-2 * log((w[first] + 0.5) / 0x1p32));
    const double angle = 2 * 3.14159265358979323846 * ((w[first + 1] >> 9) + 0.5) / 0x1p23;
    return r * (quarter % 2 ? sin(angle) : cos(angle));
}

static void add_noise(bench *b, const mnc_kernels *k) {
    const shape s = random_shape(b);
    const mnc_dropout key = random_dropout(b);
    const mnc_noise n = {.seed = key.seed,
                         .step = key.step,
                         .layer = key.layer,
                         .stddev = (double)random_below(&b->random, 100) / 64,
                         .first_row = key.first_row,
                         .a = take_reals(b, s.rows * s.ld, 2),
                         .ld = s.ld,
                         .row0 = s.row0,
                         .row1 = s.row1,
                         .panel0 = s.panel0,
                         .panel1 = s.panel1};
    allow(b, n.a, s.row0, s.row1, s.ld, s.panel0 * MNC_PANEL, s.panel1 * MNC_PANEL);
    begin(b);
    k->add_noise(&n);
    /* 5 r 2^-24 of a number, r below 7, and the rounding of the sum; of doubles those of libm. */
    const double unit = b->dtype == MNC_FLOAT32 ? 0x1p-24 : 0x1p-52;
    bool good = true;
    for (size_t row = s.row0; b->reference && row < s.row1; row++)
        for (size_t j = s.panel0 * MNC_PANEL; j < s.panel1 * MNC_PANEL; j++) {
            const double expected = get(b, b->arrays[0].before, row * s.ld + j) + n.stddev * normal_noise(&n, row, j);
            good &= fabs(get(b, n.a, row * s.ld + j) - expected) <= unit * (35 * n.stddev + fabs(expected));
        }
    CHECK(good, "%s: the noise is wrong", b->what);
}

static void multiply(bench *b, const mnc_kernels *k) {
    const shape s = random_shape(b);
    const mnc_real *x = take_reals(b, s.rows * s.ld, random_scale(b));
    const mnc_real *f = random_chance(&b->random, 2) ? take_reals(b, s.rows * s.ld, 1) : NULL;
    mnc_real *out = take_outputs(b, s.rows * s.ld);
    allow(b, out, s.row0, s.row1, s.ld, 0, s.ld);
    begin(b);
    k->multiply(out, x, f, s.ld, s.row0, s.row1);
}

/* ---------------------------------------------------------------- head */

static void random_targets(bench *b, mnc_head_args *h, size_t n) {
    if (random_chance(&b->random, 4)) return; /* outputs only */
    if (random_chance(&b->random, 2)) {
        int32_t *labels = take(b, n, sizeof *labels, BYTES);
        for (size_t i = 0; i < n; i++) labels[i] = (int32_t)random_below(&b->random, h->classes);
        h->labels = labels;
    } else {
        mnc_real *targets = take_reals(b, n * h->classes, 1);
        for (size_t i = 0; i < n * h->classes; i++) set(b, targets, i, fabs(get(b, targets, i)));
        h->targets = targets;
    }
    if (random_chance(&b->random, 2)) {
        mnc_real *weights = take_reals(b, n, 2);
        for (size_t i = 0; i < n; i++) set(b, weights, i, fabs(get(b, weights, i)));
        h->weights = weights;
    }
}

static void head(bench *b, const mnc_kernels *k) {
    const size_t classes = random_between(&b->random, 1, 40), ld = mnc_round16(classes);
    const size_t rows = random_between(&b->random, 0, 70), first = random_below(&b->random, 20), n = first + rows + 5;
    mnc_head_args h = {.head = (mnc_head)random_below(&b->random, 3),
                       .a = take_matrix(b, rows, classes, ld, random_chance(&b->random, 2) ? 3 : 60),
                       .ld = ld,
                       .classes = classes,
                       .first = first,
                       .smoothing = random_chance(&b->random, 2) ? 0.1 : 0,
                       .batch = random_between(&b->random, 1, 600),
                       .raw_outputs = random_chance(&b->random, 3)};
    random_range(b, rows, &h.row0, &h.row1);
    if (random_chance(&b->random, 2)) h.f = take_matrix(b, rows, classes, ld, 1);
    random_targets(b, &h, n);
    if (random_chance(&b->random, 2)) {
        uint32_t *ids = take(b, first + rows, sizeof *ids, BYTES);
        for (size_t i = 0; i < first + rows; i++) ids[i] = (uint32_t)random_below(&b->random, n);
        h.ids = ids;
    }
    if (random_chance(&b->random, 2)) {
        h.outputs = take_outputs(b, rows * classes);
        allow(b, h.outputs, h.row0, h.row1, classes, 0, classes);
    }
    const bool scored = h.labels || h.targets;
    if (random_chance(&b->random, 2)) {
        h.delta = take_outputs(b, rows * ld);
        if (scored) allow(b, h.delta, h.row0, h.row1, ld, 0, classes);
    }
    h.losses = take(b, rows, sizeof *h.losses, DOUBLES);
    h.correct = take(b, rows, 1, BYTES);
    memset(h.correct, 77, rows);
    for (size_t row = 0; row < rows; row++) h.losses[row] = NAN;
    if (scored) {
        allow(b, h.losses, h.row0, h.row1, 1, 0, 1);
        allow(b, h.correct, h.row0, h.row1, 1, 0, 1);
    }
    const size_t scratch = 3 * classes * MNC_PANEL;
    h.scratch = take_outputs(b, scratch);
    begin(b);
    k->head(&h);
    for (size_t i = 0; i < scratch; i++) set(b, h.scratch, i, NAN); /* anything may be left there */
    bool good = true;
    for (size_t row = h.row0; scored && row < h.row1; row++) good &= h.correct[row] <= 1;
    CHECK(good, "%s: some rows are neither right nor wrong", b->what);
}

/* ---------------------------------------------------------------- batch normalisation */

static mnc_norm random_norm(bench *b, const shape *s) {
    mnc_norm n = {.x = take_reals(b, s->rows * s->ld, 3),
                  .ld = s->ld,
                  .rows = s->rows,
                  .cut = 16 * random_between(&b->random, 1, 4),
                  .epsilon = 1e-3,
                  .panel0 = s->panel0,
                  .panel1 = s->panel1};
    if (random_chance(&b->random, 2)) n.gamma = take_reals(b, s->ld, 2);
    if (random_chance(&b->random, 2)) n.beta = take_reals(b, s->ld, 2);
    return n;
}

static mnc_real *written_vector(bench *b, const shape *s) {
    mnc_real *x = take_outputs(b, s->ld);
    allow(b, x, 0, 1, s->ld, s->panel0 * MNC_PANEL, s->panel1 * MNC_PANEL);
    return x;
}

static mnc_real *written_matrix(bench *b, const shape *s) {
    mnc_real *x = take_outputs(b, s->rows * s->ld);
    allow(b, x, 0, s->rows, s->ld, s->panel0 * MNC_PANEL, s->panel1 * MNC_PANEL);
    return x;
}

static shape random_norm_shape(bench *b) {
    shape s = random_shape(b);
    if (s.rows == 0) s.rows = 1; /* of no rows there is no mean */
    return s;
}

static void norm_train(bench *b, const mnc_kernels *k) {
    const shape s = random_norm_shape(b);
    mnc_norm n = random_norm(b, &s);
    n.y = written_matrix(b, &s);
    n.xhat = written_matrix(b, &s);
    n.inv = written_vector(b, &s);
    n.mean = written_vector(b, &s);
    n.variance = written_vector(b, &s);
    begin(b);
    k->norm_train(&n);
}

static void norm_infer(bench *b, const mnc_kernels *k) {
    const shape s = random_norm_shape(b);
    mnc_norm n = random_norm(b, &s);
    n.y = written_matrix(b, &s);
    n.mean = take_reals(b, s.ld, 1);
    n.variance = take_reals(b, s.ld, 1);
    for (size_t i = 0; i < s.ld; i++) set(b, n.variance, i, fabs(get(b, n.variance, i)));
    if (random_chance(&b->random, 2)) {
        n.xhat = written_matrix(b, &s);
        n.inv = written_vector(b, &s);
    }
    begin(b);
    k->norm_infer(&n);
}

static void norm_backward(bench *b, const mnc_kernels *k) {
    const shape s = random_norm_shape(b);
    mnc_norm n = random_norm(b, &s);
    n.xhat = take_reals(b, s.rows * s.ld, 2);
    n.inv = take_reals(b, s.ld, 1);
    n.delta = take_reals(b, s.rows * s.ld, random_scale(b));
    n.frozen = random_chance(&b->random, 2);
    n.dgamma = written_vector(b, &s);
    n.dbeta = written_vector(b, &s);
    if (!random_chance(&b->random, 4)) n.dx = written_matrix(b, &s);
    if (random_chance(&b->random, 2)) n.f = take_reals(b, s.rows * s.ld, 1);
    begin(b);
    k->norm_backward(&n);
}

static size_t random_length(bench *b) { return MNC_PANEL * random_between(&b->random, 0, 40); }

static void moving_average(bench *b, const mnc_kernels *k) {
    const size_t n = random_length(b);
    mnc_real *moving = take_reals(b, n, 1);
    const mnc_real *batch = take_reals(b, n, 1);
    allow_all(b, moving, n);
    begin(b);
    k->moving_average(n, moving, batch, 0.99);
}

/* ---------------------------------------------------------------- optimizers */

/* A slot: tiny values, which are to be flushed, among ordinary ones. */
static mnc_real *random_slot(bench *b, size_t n, double scale, bool positive) {
    mnc_real *x = take_reals(b, n, scale);
    for (size_t i = 0; i < n; i++) {
        const double tiny = 0x1p-100 * (1 + random_real(&b->random) / 8);
        const double value = random_chance(&b->random, 8) ? tiny : random_chance(&b->random, 8) ? 0 : get(b, x, i);
        set(b, x, i, positive ? fabs(value) : value);
    }
    allow_all(b, x, n);
    return x;
}

/* Of the vectors of a gradient, as one of several panels has it. */
static size_t random_stride(bench *b) { return 16 * random_between(&b->random, 1, 4); }

static void update(bench *b, const mnc_kernels *k) {
    const size_t n = random_length(b);
    const mnc_update_kind kind = (mnc_update_kind)random_below(&b->random, MNC_UPDATE_ADAGRAD + 1);
    mnc_update u = {.kind = kind,
                    .rate = pow(10, -(double)random_below(&b->random, 6)),
                    .momentum = 0.9,
                    .rho = 0.9,
                    .one_minus_rho = 1 - 0.9,
                    .one_minus_beta1 = 1 - 0.9,
                    .one_minus_beta2 = 1 - 0.999,
                    .epsilon = 1e-7,
                    .decay = random_chance(&b->random, 2) ? 4e-6 : 0,
                    .momentum_slot = -1,
                    .mean_slot = -1};
    mnc_real *w = take_reals(b, n, 1), *slots[3] = {NULL, NULL, NULL};
    const size_t stride = random_stride(b), all = n / 16 * stride;
    mnc_real *g = take_reals(b, all, random_chance(&b->random, 2) ? 1 : 1e-25);
    for (size_t i = 0; i < all; i++)
        if (random_chance(&b->random, 4)) set(b, g, i, random_chance(&b->random, 2) ? 0.0 : -0.0);
    allow_all(b, w, n);
    if (kind != MNC_UPDATE_SGD)
        slots[0] = random_slot(b, n, 1, kind == MNC_UPDATE_RMSPROP || kind == MNC_UPDATE_ADAGRAD);
    if (kind == MNC_UPDATE_ADAM) slots[1] = random_slot(b, n, 1, true);
    if (kind == MNC_UPDATE_RMSPROP) {
        int next = 1;
        if (random_chance(&b->random, 2)) slots[u.momentum_slot = next++] = random_slot(b, n, 1, false);
        if (random_chance(&b->random, 2)) slots[u.mean_slot = next] = random_slot(b, n, 1e-3, false);
        b->special = u.mean_slot >= 0; /* v - a^2 is the root of a negative number where these numbers do not fit */
    }
    begin(b);
    k->update(&u, n, w, slots, g, stride);
    bool good = true;
    for (size_t s = 0; s < 3; s++)
        for (size_t i = 0; slots[s] && i < n; i++) {
            const double x = get(b, slots[s], i);
            good &= !(fabs(x) < 0x1p-100) || (x == 0 && !signbit(x));
        }
    CHECK(good, "%s: a slot below 2^-100 is not +0", b->what);
}

static void accumulate(bench *b, const mnc_kernels *k) {
    const size_t n = random_length(b);
    const size_t stride = random_stride(b), all = n / 16 * stride;
    const bool first = random_chance(&b->random, 2);
    mnc_real *g = take_reals(b, all, random_scale(b)), *sum = take_reals(b, n, random_scale(b));
    for (size_t i = 0; i < all; i += 3) set(b, g, i, -0.0);
    double *expected = take(b, n, sizeof *expected, DOUBLES);
    allow_all(b, expected, n);
    for (size_t i = 0; i < n; i++) expected[i] = (first ? 0 : get(b, sum, i)) + get(b, g, i / 16 * stride + i % 16);
    allow_all(b, sum, n);
    begin(b);
    k->accumulate(n, sum, g, stride, first);
    bool good = true;
    for (size_t i = 0; i < n; i++) {
        const double x = get(b, sum, i);
        good &= !(x == 0 && signbit(x)) && fabs(x - expected[i]) <= 1e-7 * fabs(expected[i]);
    }
    CHECK(good, "%s: a sum is wrong, or -0", b->what);
}

static void regularise(bench *b, const mnc_kernels *k) {
    const size_t n = random_length(b);
    const size_t stride = random_stride(b);
    mnc_real *g = take_reals(b, n / 16 * stride, 1), *w = take_reals(b, n, 1);
    for (size_t i = 0; i < n; i += 5) set(b, w, i, i % 2 ? 0.0 : -0.0);
    allow(b, g, 0, n / 16, stride, 0, 16);
    begin(b);
    k->regularise(n, g, stride, w, random_chance(&b->random, 2) ? 0 : 1e-3, random_chance(&b->random, 2) ? 0 : 1e-2);
}

static void penalty(bench *b, const mnc_kernels *k) {
    const size_t n = random_length(b);
    const mnc_real *w = take_reals(b, n, 1);
    double *out = take(b, 1, sizeof *out, DOUBLES), sum = 0;
    allow_all(b, out, 1);
    begin(b);
    *out = k->penalty(n, w, 0.25, 0.5);
    for (size_t i = 0; i < n; i++) sum += 0.25 * fabs(get(b, w, i)) + 0.5 * get(b, w, i) * get(b, w, i);
    CHECK(fabs(*out - sum) <= 1e-12 * sum, "%s: %g instead of %g", b->what, *out, sum);
}

static void columns(bench *b, const mnc_kernels *k) {
    const size_t n = random_length(b);
    mnc_real *w = take_reals(b, n, 1);
    double *out = take(b, MNC_PANEL, sizeof *out, DOUBLES), sums[MNC_PANEL] = {0};
    allow_all(b, w, n);
    allow_all(b, out, MNC_PANEL);
    begin(b);
    k->column_squares(n, out, w);
    for (size_t i = 0; i < n; i++) sums[i % MNC_PANEL] += get(b, w, i) * get(b, w, i);
    CHECK(memcmp(out, sums, sizeof sums) == 0, "%s: wrong sums of squares", b->what);
    k->scale_columns(n, w, out);
    bool good = true;
    for (size_t i = 0; b->reference && i < n; i++) {
        const double before = get(b, b->arrays[0].before, i), factor = sums[i % MNC_PANEL];
        const double expected = b->dtype == MNC_FLOAT32 ? (double)((float)before * (float)factor) : before * factor;
        good &= get(b, w, i) == expected;
    }
    CHECK(good, "%s: columns are not scaled by their factors", b->what);
}

static void is_finite(bench *b, const mnc_kernels *k) {
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    const size_t n = random_length(b) + MNC_PANEL;
    mnc_real *x = take_reals(b, n, b->dtype == MNC_FLOAT32 ? 3e38 : 1e308);
    CHECK(k->finite(n, x), "%s: finite numbers are called infinite", b->what);
    const size_t at = random_below(&b->random, n);
    set(b, x, at, bad[random_below(&b->random, 3)]);
    begin(b);
    CHECK(!k->finite(n, x), "%s: element %zu of %zu, %g, is called finite", b->what, at, n, get(b, x, at));
}

/* ---------------------------------------------------------------- inputs */

static void decode(bench *b, const mnc_kernels *k) {
    const size_t n = random_between(&b->random, 0, 900);
    const mnc_real *table = take_reals(b, 256, 1);
    uint8_t *codes = take(b, n, 1, BYTES);
    for (size_t i = 0; i < n; i++) codes[i] = (uint8_t)random_bits(&b->random);
    mnc_real *out = take_outputs(b, n), *scaled = take_outputs(b, 256);
    allow_all(b, out, n);
    allow_all(b, scaled, 256);
    begin(b);
    k->decode(out, codes, table, n);
    k->scale_table(scaled, table, 1.25, 256);
    bool good = true;
    for (size_t i = 0; i < n; i++) good &= get(b, out, i) == get(b, table, codes[i]);
    CHECK(good, "%s: a code has another code's value", b->what);
}

static void convert(bench *b, const mnc_kernels *k) {
    const size_t n = random_between(&b->random, 0, 900);
    double *doubles = take(b, n, sizeof *doubles, DOUBLES);
    float *floats = take(b, n, sizeof *floats, BYTES);
    for (size_t i = 0; i < n; i++) {
        doubles[i] = random_scaled(&b->random, -160, 120);
        floats[i] = (float)random_real(&b->random);
    }
    mnc_real *out = take_outputs(b, n), *out32 = take_outputs(b, n);
    allow_all(b, out, n);
    allow_all(b, out32, n);
    begin(b);
    k->convert(out, MNC_REAL64, doubles, n);
    k->convert(out32, MNC_REAL32, floats, n);
    bool good = true;
    for (size_t i = 0; i < n; i++) {
        const double expected = b->dtype == MNC_FLOAT32 ? (double)(float)doubles[i] : doubles[i];
        good &= get(b, out, i) == expected && get(b, out32, i) == (double)floats[i];
    }
    CHECK(good, "%s: a number is not the nearest real", b->what);
}

/* ---------------------------------------------------------------- running */

typedef struct {
    const char *name;
    void (*run)(bench *b, const mnc_kernels *k);
    size_t times;
} test_case;

#define CASE(name, times) {#name, name, times}
static const test_case cases[] = {
    CASE(dense_forward, 240),   CASE(sparse_forward, 240), CASE(dense_delta, 240),   CASE(dense_gradient, 240),
    CASE(sparse_gradient, 240), CASE(bias_gradient, 180),  CASE(find, 600),          CASE(activate, 480),
    CASE(add_noise, 200),       CASE(multiply, 120),       CASE(head, 900),          CASE(norm_train, 180),
    CASE(norm_infer, 180),      CASE(norm_backward, 180),  CASE(moving_average, 90), CASE(update, 600),
    CASE(accumulate, 120),      CASE(regularise, 120),     CASE(penalty, 120),       CASE(columns, 120),
    CASE(is_finite, 300),       CASE(decode, 120),         CASE(convert, 120),       CASE(column_gradient, 240),
};

static bench workbench;

static void on_fault(int number) {
    static const char text[] = ": an access beyond an array\n";
    (void)number;
    if (write(STDOUT_FILENO, workbench.what, strlen(workbench.what)) < 0 ||
        write(STDOUT_FILENO, text, sizeof text - 1) < 0)
        _exit(2);
    _exit(1);
}

/* One case with all tables, the plain one first. */
static void run_case(const test_case *c, mnc_dtype dtype, uint64_t seed) {
    bench *b = &workbench;
    size_t tables = 0;
    while (mnc_isa_name(tables)) tables++;
    for (int end = 0; end < 2; end++)
        for (size_t i = tables; i-- > 0;) { /* the plain one is the last of them */
            const mnc_kernels *k = mnc_kernels_find(mnc_isa_name(i), dtype);
            b->dtype = dtype;
            b->at_end = end;
            b->reference = i == tables - 1;
            bench_reset(b, seed);
            snprintf(b->what, sizeof b->what, "%s, %s, %s, seed %llu, %s", c->name, k->isa,
                     dtype == MNC_FLOAT32 ? "float" : "double", (unsigned long long)seed,
                     end ? "end guarded" : "beginning guarded");
            c->run(b, k);
            finish(b);
        }
}

#ifdef MNC_TEST_SHORT
enum { PART = 4 }; /* of the times above */
#else
enum { PART = 1 };
#endif

int main(int argc, char **argv) {
    const uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    char summary[120] = "";
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    bench_open(&workbench);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (size_t i = 0; i < cases[c].times / PART; i++) {
            run_case(&cases[c], MNC_FLOAT32, seed * 1000 + i);
            if (i % 4 == 0) run_case(&cases[c], MNC_FLOAT64, seed * 1000 + i);
        }
    bench_close(&workbench);
    for (size_t i = 0; mnc_isa_name(i); i++)
        snprintf(summary + strlen(summary), sizeof summary - strlen(summary), "%s ", mnc_isa_name(i));
    snprintf(summary + strlen(summary), sizeof summary - strlen(summary), "seed %llu", (unsigned long long)seed);
    return minitest_end(summary);
}
