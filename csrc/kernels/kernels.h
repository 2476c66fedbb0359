/* The contract of every kernel: what it reads, what it writes, in which order it adds.
 *
 * One table per instruction set and dtype. Each algorithm is written once, in *.inc.h, on the vocabulary of simd/;
 * a kernels_<isa>.c is an instantiation. `mnc_real` arrays hold floats or doubles, as the table's dtype says.
 *
 * Layout
 *   rows x features   x[row * ld + j]; ld is a multiple of 16, columns from the width up to ld are padding.
 *   parameters        panels of 16 columns: w[panel * panel_size + k * 16 + lane], k < inputs, then the bias row if
 *                     any. Padding columns of weights are zero and stay so.
 *   gradient block    g[k][panel][16]: the gradient of a panel is every so many vectors, at a stride
 * Ranges (row0, row1) and (panel0, panel1) are half-open; kernels write nothing outside them. Arrays never overlap
 * unless said. Kernels allocate nothing, cannot fail, and may run on any thread. */
#ifndef MNC_KERNELS_KERNELS_H
#define MNC_KERNELS_KERNELS_H

#include "base/status.h"

typedef void mnc_real;

enum {
    MNC_PANEL = 16,
    /* First-layer inputs are indexed in blocks of so many features; a multiple of 16. */
    MNC_FEATURE_BLOCK = 48,
    /* Panels whose accumulators a sparse kernel holds in registers at once. */
    MNC_SPARSE_PANELS = 4,
    /* Blocks times panels of weights in use by a sparse product, 108 KiB of floats: in the second-level cache. */
    MNC_FORWARD_BLOCKS = 36,
    /* Blocks times panels of a gradient under way, 36 KiB of floats: they stay in the first-level cache. */
    MNC_GRADIENT_BLOCKS = 12,
    /* Samples whose deltas a delta kernel transposes at once. */
    MNC_DELTA_ROWS = 128,
};

/* The non-zero inputs of one row: `blocks` words, the end of each block's entries, then the entries, each
 * feature << 8 | code, ascending (so there are at most 2^24 features). */
typedef uint32_t mnc_sparse_row;

static inline size_t mnc_feature_blocks(size_t features) {
    return (features + MNC_FEATURE_BLOCK - 1) / MNC_FEATURE_BLOCK;
}

/* The rows of a pass. An entry's value is table[code] or, where table is NULL, dense[row * ld + feature]. */
typedef struct mnc_sparse {
    const mnc_sparse_row *const *rows;
    const mnc_real *table;
    const mnc_real *dense;
    size_t ld;
} mnc_sparse;

/* Records turned round: for each group of `rows` rows (at most 256) and each feature the entries row << 8 | code, rows
 * ascending and counted from the group's first. Those of feature k in group i are entries[begin[i * features + k]] up
 * to, not including, entries[end[i * features + k]]. */
typedef struct mnc_columns {
    uint16_t *entries;
    uint32_t *begin, *end;
    size_t features, rows;
} mnc_columns;

/* Rows that are best turned together: their deltas for so many panels, 16 KiB of floats, stay in the first-level cache. */
static inline size_t mnc_turn_rows(size_t panels) { return panels == 1 ? 256 : panels == 2 ? 128 : 64; }

/* z = x w + bias for a range of rows and panels. */
typedef struct mnc_product {
    const mnc_real *weights;
    size_t panel_size, inputs;
    bool bias;
    mnc_real *z;
    size_t ldz;
    size_t row0, row1, panel0, panel1;
} mnc_product;

typedef struct mnc_dropout {
    uint64_t seed, step;
    uint32_t layer;     /* 0: the inputs */
    uint32_t threshold; /* kept if the random word is not below it */
    double scale;
    size_t first_row; /* of the batch: row r of the buffer is row first_row + r of the batch */
} mnc_dropout;

/* Normal noise on a. */
typedef struct mnc_noise {
    uint64_t seed, step;
    uint32_t layer; /* 0: the inputs */
    double stddev;
    size_t first_row; /* of the batch, as in mnc_dropout */
    mnc_real *a;
    size_t ld, row0, row1, panel0, panel1;
} mnc_noise;

/* z -> (a, f). */
typedef struct mnc_map {
    mnc_real *a; /* in: z; out: activation after dropout */
    mnc_real *f; /* out: da / dz, dropout included; NULL outside training */
    size_t ld;
    mnc_activation activation;
    double slope;
    const mnc_dropout *dropout; /* NULL: none */
    size_t row0, row1, panel0, panel1;
} mnc_map;

/* The end of the network: outputs, losses and deltas of rows row0 ... row1 - 1. */
typedef struct mnc_head_args {
    mnc_head head;
    const mnc_real *a, *f; /* f NULL: all ones */
    size_t ld, classes;
    size_t row0, row1;
    const uint32_t *ids; /* row r here is row ids[first + r] (NULL: first + r) of what follows */
    size_t first;
    const int32_t *labels; /* or targets[id * classes + j]; both NULL: outputs only */
    const mnc_real *targets;
    const mnc_real *weights; /* NULL: ones */
    double smoothing;
    size_t batch;      /* B of the mean; not the number of rows here */
    mnc_real *outputs; /* NULL, or [row, classes]: softmax(a), sigmoid(a) or, with raw_outputs or another head, a */
    bool raw_outputs;
    mnc_real *delta;   /* NULL, or [row, ld] */
    double *losses;    /* [row]: weight * loss */
    uint8_t *correct;  /* [row] */
    mnc_real *scratch; /* [3, classes, 16] */
} mnc_head_args;

/* Batch normalisation of panels panel0 ... panel1 - 1 over rows 0 ... rows - 1. Vectors have ld elements. */
typedef struct mnc_norm {
    const mnc_real *x;
    mnc_real *y;                  /* forward: out */
    mnc_real *xhat;               /* forward: out, NULL if not wanted; backward: in */
    size_t ld, rows, cut;         /* chains over rows start again every `cut` rows */
    const mnc_real *gamma, *beta; /* NULL: ones, zeros */
    mnc_real *inv;                /* forward with xhat: out, 1 / sqrt(variance + epsilon); backward: in */
    mnc_real *mean, *variance;    /* forward in training: out, of the batch; inference: in, the moving ones */
    double epsilon;
    bool frozen;              /* backward: mean and variance were constants (norm_infer) */
    const mnc_real *delta;    /* backward: in */
    mnc_real *dgamma, *dbeta; /* backward: out, overwritten */
    mnc_real *dx;             /* backward: out; with f, times f */
    const mnc_real *f;        /* NULL: ones */
    size_t panel0, panel1;
} mnc_norm;

typedef enum mnc_update_kind {
    MNC_UPDATE_SGD,
    MNC_UPDATE_MOMENTUM,
    MNC_UPDATE_NESTEROV,
    MNC_UPDATE_RMSPROP,
    MNC_UPDATE_ADAM,
    MNC_UPDATE_ADAGRAD,
} mnc_update_kind;

/* One optimizer step as the kernels see it; mnc_update_make (net/optimizer.c) derives it from an mnc_optimizer. */
typedef struct mnc_update {
    mnc_update_kind kind;
    double rate; /* ADAM: with both bias corrections */
    double momentum, rho, one_minus_rho, one_minus_beta1, one_minus_beta2, epsilon;
    double decay;        /* w is multiplied by 1 - decay first, if not 0 */
    double ema_momentum; /* of the average of the weights, and whether it then takes their place */
    bool overwrite;
    int momentum_slot; /* RMSPROP: slot of m, or -1 */
    int mean_slot;     /* RMSPROP centered: slot of a, or -1 */
} mnc_update;

typedef struct mnc_kernels {
    const char *isa;
    mnc_dtype dtype;
    unsigned cpu; /* feature bits needed */
    size_t real_size;

    /* z = ((chain of fma over k) + bias) + 0. x: [row, ldx]. Overwrites. */
    void (*dense_forward)(const mnc_product *p, const mnc_real *x, size_t ldx);
    /* The record of the n codes of a row that are not `zero`, at most `room` of them; of n floats that are not zero (then
     * without codes). Behind the entries, within their room, anything may be left. */
    void (*find_codes)(mnc_sparse_row *record, const uint8_t *codes, size_t n, uint8_t zero, size_t room);
    void (*find_floats)(mnc_sparse_row *record, const float *x, size_t n);
    /* The same bits from the non-zero inputs. */
    void (*sparse_forward)(const mnc_product *p, const mnc_sparse *x);
    /* dx[row, k] = (chain over j of delta[row, j] w[k, j]) * f[row, k], k < inputs; f NULL: ones. `p` gives weights,
     * inputs and rows; panels 0 ... panel1 - 1 cover `outputs` columns. Overwrites columns below inputs; z is dx.
     * scratch: real[outputs, rows up to MNC_DELTA_ROWS, in 32s]. */
    void (*dense_delta)(const mnc_product *p, const mnc_real *delta, size_t ldd, size_t outputs, const mnc_real *f,
                        mnc_real *scratch);
    /* g[k - k0][panel - panel0][16] = chain over rows of x[row, k] delta[row, panel]. Overwrites. */
    void (*dense_gradient)(mnc_real *g, const mnc_real *x, size_t ldx, size_t k0, size_t k1, const mnc_real *delta,
                           size_t ldd, size_t row0, size_t row1, size_t panel0, size_t panel1);
    /* The same, from x->table, for the `width` features of blocks block0 ... block1 - 1 of `blocks`; at most
     * MNC_SPARSE_PANELS panels. */
    void (*sparse_gradient)(mnc_real *g, const mnc_sparse *x, size_t blocks, size_t block0, size_t block1, size_t width,
                            const mnc_real *delta, size_t ldd, size_t row0, size_t row1, size_t panel0, size_t panel1);
    /* The same from columns of rows 0 ... rows - 1 (at least one), for features k0 ... k1 - 1 and `panels` panels, the deltas of which
     * lie packed: delta[row][panel][16]. A sum stays in registers, so nothing but its end is stored. */
    void (*column_gradient)(mnc_real *g, const mnc_columns *c, const mnc_real *table, size_t k0, size_t k1,
                            const mnc_real *delta, size_t rows, size_t panels);
    /* g[panel - panel0][16] = chain of adds over rows of delta. Overwrites. */
    void (*bias_gradient)(mnc_real *g, const mnc_real *delta, size_t ldd, size_t row0, size_t row1, size_t panel0,
                          size_t panel1);

    void (*activate)(const mnc_map *m);
    /* a = fma(stddev, normal numbers, a). */
    void (*add_noise)(const mnc_noise *n);
    /* out = x * f, whole rows of ld columns; f NULL: a copy. */
    void (*multiply)(mnc_real *out, const mnc_real *x, const mnc_real *f, size_t ld, size_t row0, size_t row1);
    void (*head)(const mnc_head_args *h);
    void (*norm_train)(const mnc_norm *n);
    void (*norm_infer)(const mnc_norm *n);
    void (*norm_backward)(const mnc_norm *n);
    /* moving = fma(moving, momentum, batch * (1 - momentum)), n a multiple of 16. */
    void (*moving_average)(size_t n, mnc_real *moving, const mnc_real *batch, double momentum);

    /* Arrays of n elements, n a multiple of 16: flat but for g, whose vectors are `stride` elements apart. */
    void (*update)(const mnc_update *u, size_t n, mnc_real *w, mnc_real *const slots[3], const mnc_real *g,
                   size_t stride);
    /* sum = sum + g, or 0 + g if first: adds a chunk's gradient to those before. */
    void (*accumulate)(size_t n, mnc_real *sum, const mnc_real *g, size_t stride, bool first);
    /* g = fma(2 l2, w, g), then + l1 sign(w); a term with factor 0 is left out. */
    void (*regularise)(size_t n, mnc_real *g, size_t stride, const mnc_real *w, double l1, double l2);
    /* g = g * scale, then, unless most is 0, what is beyond -most or most becomes that. */
    void (*clip)(size_t n, mnc_real *g, size_t stride, double scale, double most);
    /* out[i] = x[i]^2; any n. */
    void (*squares)(size_t n, double *out, const mnc_real *x);
    /* out[lane] = sum of the squares of one column of a panel of n elements, in double, rows ascending. */
    void (*column_squares)(size_t n, double out[MNC_PANEL], const mnc_real *w);
    /* Column by column of a panel of n elements, w = w * factor. */
    void (*scale_columns)(size_t n, mnc_real *w, const double factors[MNC_PANEL]);
    /* l1 sum |w| + l2 sum w^2 of one panel of n elements, in double. */
    double (*penalty)(size_t n, const mnc_real *w, double l1, double l2);
    /* False if any of the n elements is infinite or NaN. */
    bool (*finite)(size_t n, const mnc_real *x);

    /* out[i] = table[codes[i]]; out[i] = (real)x[i]. */
    void (*decode)(mnc_real *out, const uint8_t *codes, const mnc_real *table, size_t n);
    void (*convert)(mnc_real *out, mnc_element element, const void *x, size_t n);
    /* out[i] = table[i] * scale. */
    void (*scale_table)(mnc_real *out, const mnc_real *table, double scale, size_t n);
} mnc_kernels;

/* The table called `isa` (NULL: the best) for dtype, or NULL if this CPU or build lacks it. */
const mnc_kernels *mnc_kernels_find(const char *isa, mnc_dtype dtype);

#endif
