/* Cycles of each kernel (csrc/kernels/kernels.h) in float32, on one thread, and the operations that it cannot do without.
 *
 *     kernels PIXELS [SECONDS]        PIXELS: a file of uint8 images of 784 bytes;  SECONDS: for each figure, 0.02
 *
 * benchmarks/kernels.py builds it once per instruction set, runs it and compares kernels and bounds. The output is
 * JSON, one object a line: first the bounds (kernels_bounds.h), then the kernels. Caches are warm: a call comes after
 * calls on the same memory, so what it works on lies where its size lets it lie. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>

#include "kernels_products.h"

#include "base/rng.h"

/* ---------------------------------------------------------------- activations */
CALL(activate, &b->map)
CALL(multiply, b->z, b->x, b->f, 128, 0, BATCH)

static void report_activations(bench *b) {
    static const char *const names[] = {MNC_ACTIVATIONS(MNC_LIST_NAME)};
    static const struct {
        mnc_activation kind;
        double fma, multiply, divide;
        const char *formula;
    } activations[] = {
        {MNC_RELU, 0, 0, 0, "one load, two stores (a and f)"},
        {MNC_TANH, 6 + EXP_FMAS, 2 + EXP_MULTIPLIES, 1, "two polynomials, one division, two stores (a and f)"},
        {MNC_SIGMOID, EXP_FMAS, 1 + EXP_MULTIPLIES, 1, "one polynomial, one division, two stores (a and f)"},
    };
    const double vectors = BATCH * 128 / 16;
    char shape[80];
    for (size_t i = 0; i < 6; i++) {
        const size_t kind = i / 2;
        const bool drop = i % 2;
        /* a scale of 1: the kernel works in place, again and again, and its values must stay in range */
        b->dropout = (mnc_dropout){.seed = 1, .layer = 1, .threshold = UINT32_MAX / 5, .scale = 1};
        b->map = (mnc_map){.a = b->z,
                           .f = b->f,
                           .ld = 128,
                           .activation = activations[kind].kind,
                           .dropout = drop ? &b->dropout : NULL,
                           .row1 = BATCH,
                           .panel1 = 8};
        const cost c = {.unit = "element",
                        .items = 16 * vectors,
                        .fma = vectors * activations[kind].fma,
                        .multiply = vectors * (activations[kind].multiply + (drop ? 2 : 0)),
                        .load = vectors,
                        .store = 2 * vectors,
                        .divide = vectors * activations[kind].divide,
                        .random = drop ? vectors * 2 * MNC_PHILOX_ROUNDS / 4 : 0,
                        .set = BATCH * 128 * 8,
                        .formula = drop ? "as without dropout, and 20 32-bit products for four vectors of random words"
                                        : activations[kind].formula};
        snprintf(shape, sizeof shape, "%d x 128, %s%s", BATCH, names[activations[kind].kind], drop ? ", dropout" : "");
        report(b, "activate", shape, activate, &c);
    }
    const cost c = {.unit = "element",
                    .items = 16 * vectors,
                    .multiply = vectors,
                    .load = 2 * vectors,
                    .store = vectors,
                    .set = BATCH * 128 * 12,
                    .formula = "two loads, one store"};
    report(b, "multiply", "32 x 128", multiply, &c);
}

/* ---------------------------------------------------------------- the end of the network */
CALL(head, &b->head)

static void report_head(bench *b) {
    static const int32_t labels[BATCH];
    static double losses[BATCH];
    static uint8_t correct[BATCH];
    const double vectors = BATCH * CLASSES / 16.0;
    b->head = (mnc_head_args){.head = MNC_HEAD_SOFTMAX_CROSS_ENTROPY,
                              .a = b->x,
                              .ld = 16,
                              .classes = CLASSES,
                              .row1 = BATCH,
                              .labels = labels,
                              .batch = BATCH,
                              .delta = b->delta,
                              .losses = losses,
                              .correct = correct,
                              .scratch = b->scratch};
    cost c = {.unit = "element",
              .items = 16 * vectors,
              .fma = vectors * (EXP_FMAS + 1),
              .multiply = vectors * (EXP_MULTIPLIES + 1),
              .divide = vectors,
              .move = 2 * 16 * vectors,
              .set = BATCH * 16 * 8,
              .formula = "exp and one division for each output; 16 rows are transposed, their deltas transposed back"};
    report(b, "head", "32 x 10, softmax, cross-entropy", head, &c);
    b->head.labels = NULL;
    b->head.outputs = b->z;
    b->head.delta = NULL;
    c.fma -= vectors;
    c.multiply -= vectors;
    c.formula = "exp and one division for each output; 16 rows are transposed, their outputs transposed back";
    report(b, "head", "32 x 10, softmax of predictions", head, &c);
}

/* ---------------------------------------------------------------- batch normalisation */
CALL(norm_train, &b->norm)
CALL(norm_infer, &b->norm)
CALL(norm_backward, &b->norm)

static void report_norm(bench *b) {
    enum { ROWS = 128, WIDTH = 128 };
    const double vectors = ROWS * WIDTH / 16;
    float *const each = b->scratch; /* vectors of WIDTH */
    mnc_norm norm = {.x = b->x,
                     .y = b->z,
                     .xhat = b->f,
                     .ld = WIDTH,
                     .rows = ROWS,
                     .cut = 512,
                     .gamma = b->w,
                     .beta = b->w + WIDTH,
                     .inv = each,
                     .mean = each + WIDTH,
                     .variance = each + 2 * WIDTH,
                     .epsilon = 1e-3,
                     .panel1 = WIDTH / MNC_PANEL};
    const cost train = {.unit = "element",
                        .items = 16 * vectors,
                        .fma = 2 * vectors,
                        .multiply = vectors,
                        .load = 3 * vectors,
                        .store = 2 * vectors,
                        .fma_chain = vectors,
                        .add_chain = vectors,
                        .set = ROWS * WIDTH * 12,
                        .formula = "three loads (mean, variance, result), two stores; chains over rows for each panel"};
    b->norm = norm;
    report(b, "norm_train", "128 x 128", norm_train, &train);
    norm.xhat = NULL;
    const cost infer = {.unit = "element",
                        .items = 16 * vectors,
                        .fma = vectors,
                        .load = vectors,
                        .store = vectors,
                        .set = ROWS * WIDTH * 8,
                        .formula = "one load, one FMA, one store"};
    b->norm = norm;
    report(b, "norm_infer", "128 x 128", norm_infer, &infer);
    norm.xhat = b->f;
    norm.delta = b->delta;
    norm.dx = b->z;
    norm.dgamma = each + 3 * WIDTH;
    norm.dbeta = each + 4 * WIDTH;
    const cost backward = {.unit = "element",
                           .items = 16 * vectors,
                           .fma = vectors,
                           .multiply = 2 * vectors,
                           .load = 4 * vectors,
                           .store = vectors,
                           .fma_chain = vectors,
                           .set = ROWS * WIDTH * 12,
                           .formula = "four loads (sums, then result), one store; chains over rows for each panel"};
    b->norm = norm;
    report(b, "norm_backward", "128 x 128", norm_backward, &backward);
}

/* ---------------------------------------------------------------- updates */
CALL(update, &b->update, b->n, b->w, (mnc_real *const[3]){b->slots[0], b->slots[1], b->slots[2]}, b->g, MNC_PANEL)

static void report_updates(bench *b) {
    const mnc_update plain = {.rate = 1e-6,
                              .momentum = 0.9,
                              .rho = 0.9,
                              .one_minus_rho = 0.1,
                              .one_minus_beta1 = 0.1,
                              .one_minus_beta2 = 1e-3,
                              .epsilon = 1e-7,
                              .momentum_slot = -1,
                              .mean_slot = -1};
    static const struct {
        const char *name;
        mnc_update_kind kind;
        double decay;
        int momentum_slot, mean_slot;
        double slots, fma, multiply, roots;
    } kinds[] = {
        {"SGD", MNC_UPDATE_SGD, 0, -1, -1, 0, 1, 0, 0},
        {"SGD, momentum", MNC_UPDATE_MOMENTUM, 0, -1, -1, 1, 1, 1, 0},
        {"SGD, Nesterov", MNC_UPDATE_NESTEROV, 0, -1, -1, 1, 2, 1, 0},
        {"RMSprop", MNC_UPDATE_RMSPROP, 0, -1, -1, 1, 1, 3, 1},
        {"RMSprop, momentum, centered", MNC_UPDATE_RMSPROP, 0, 1, 2, 3, 4, 4, 1},
        {"Adam", MNC_UPDATE_ADAM, 0, -1, -1, 2, 3, 1, 1},
        {"AdamW", MNC_UPDATE_ADAM, 1e-9, -1, -1, 2, 4, 1, 1},
    };
    for (size_t i = 0; i < 2 * sizeof kinds / sizeof *kinds; i++) {
        const size_t kind = i / 2, n = i % 2 ? PIXELS * 128 : BLOCK;
        const double vectors = (double)n / 16;
        const cost c = {.unit = "element",
                        .items = (double)n,
                        .fma = vectors * kinds[kind].fma,
                        .multiply = vectors * kinds[kind].multiply,
                        .load = vectors * (2 + kinds[kind].slots),
                        .store = vectors * (1 + kinds[kind].slots),
                        .divide = vectors * kinds[kind].roots,
                        .root = vectors * kinds[kind].roots,
                        .set = n * (size_t)(2 + kinds[kind].slots) * sizeof(float),
                        .formula = kinds[kind].roots != 0 ? "weight, gradient and slots in, weight and slots out; one "
                                                            "root and one division, which share a unit"
                                                          : "weight, gradient and slots in, weight and slots out"};
        char shape[80];
        b->update = plain;
        b->update.kind = kinds[kind].kind;
        b->update.decay = kinds[kind].decay;
        b->update.momentum_slot = kinds[kind].momentum_slot;
        b->update.mean_slot = kinds[kind].mean_slot;
        b->n = n;
        snprintf(shape, sizeof shape, "%zu, %s", n, kinds[kind].name);
        report(b, "update", shape, update, &c);
    }
}

/* ---------------------------------------------------------------- flat arrays */
CALL(accumulate, b->n, b->g, b->x, MNC_PANEL, false)
CALL(regularise, b->n, b->g, MNC_PANEL, b->w, 0, 1e-9)
CALL(penalty, b->n, b->w, 0, 1e-4)
CALL(finite, b->n, b->x)
CALL(decode, b->z, b->data->codes, b->data->table, b->n)
CALL(convert, b->z, b->element, b->x, b->n)

static void report_flat(bench *b) {
    const size_t n = BLOCK;
    const double vectors = (double)n / 16, image = PIXELS / 16;
    const struct {
        const char *kernel, *shape;
        work f;
        mnc_element element;
        cost cost;
    } flat[] = {
        {"accumulate",
         "1792",
         accumulate,
         MNC_REAL32,
         {.load = 2 * vectors, .store = vectors, .set = 8 * n, .formula = "two loads, one store"}},
        {"regularise",
         "1792, l2",
         regularise,
         MNC_REAL32,
         {.fma = vectors,
          .load = 2 * vectors,
          .store = vectors,
          .set = 8 * n,
          .formula = "two loads, one FMA, one store"}},
        {"penalty",
         "1792",
         penalty,
         MNC_REAL32,
         {.multiply = 2 * vectors,
          .load = vectors,
          .set = 4 * n,
          .formula = "one load; the squares are doubles, which take two multiplications"}},
        {"finite",
         "1792",
         finite,
         MNC_REAL32,
         {.fma = vectors,
          .load = vectors,
          .fma_chain = vectors,
          .set = 4 * n,
          .formula = "one load and one FMA, all in one chain"}},
        {"decode",
         "784 codes",
         decode,
         MNC_UINT8,
         {.move = PIXELS, .set = 5 * PIXELS, .formula = "one look-up for each element"}},
        {"convert",
         "784 floats",
         convert,
         MNC_REAL32,
         {.load = image, .store = image, .set = 8 * PIXELS, .formula = "one load, one store"}},
        {"convert",
         "784 doubles",
         convert,
         MNC_REAL64,
         {.load = 2 * image, .store = image, .set = 12 * PIXELS, .formula = "two loads, one store"}},
    };
    for (size_t i = 0; i < sizeof flat / sizeof *flat; i++) {
        cost c = flat[i].cost;
        b->n = flat[i].f == decode || flat[i].f == convert ? PIXELS : n;
        b->element = flat[i].element;
        c.unit = "element";
        c.items = (double)b->n;
        report(b, flat[i].kernel, flat[i].shape, flat[i].f, &c);
    }
}

/* ---------------------------------------------------------------- program */
static _Noreturn void fail(const char *what) {
    fprintf(stderr, "kernels: %s\n", what);
    exit(1);
}

static uint8_t *read_pixels(const char *path) {
    uint8_t *pixels = malloc(IMAGES * PIXELS);
    FILE *file = fopen(path, "rb");
    if (!file || !pixels) fail("cannot open the file of pixels");
    if (fread(pixels, PIXELS, IMAGES, file) != IMAGES) fail("the file of pixels must hold 1024 images of 784 bytes");
    fclose(file);
    return pixels;
}

/* Numbers in (0, 1), the first 16 of them 1, and one piece of them for each purpose. */
static void set_memory(bench *b) {
    for (uint32_t i = 0; i < FLOATS / 4; i++) {
        uint32_t words[4];
        mnc_philox(1, (const uint32_t[4]){i}, words);
        for (int j = 0; j < 4; j++) b->memory[4 * i + j] = (float)((words[j] >> 8) + 0.5) * 0x1p-24f;
    }
    for (int i = 0; i < 16; i++) b->memory[i] = 1;
    float **const pieces[] = {&b->x, &b->w,        &b->z,        &b->f,        &b->delta,
                              &b->g, &b->slots[0], &b->slots[1], &b->slots[2], &b->scratch};
    /* An odd number of cache lines apart: at the same place of every page, they would compete for the same lines. */
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) *pieces[i] = b->memory + i * ((1 << 20) + 16 * 37);
}

int main(int argc, char **argv) {
    if (argc < 2) fail("usage: kernels PIXELS [SECONDS]");
    bench b = {.k = mnc_kernels_find(ISA_NAME, MNC_FLOAT32), .seconds = argc > 2 ? atof(argv[2]) : 0.02};
    if (!b.k) fail("this CPU lacks the instruction set " ISA_NAME);
    uint8_t *const pixels = read_pixels(argv[1]);
    mnc_context *context;
    mnc_data *data;
    if (mnc_context_create(&context, ISA_NAME, 1, NULL) != MNC_OK ||
        mnc_data_create(&data, context, MNC_FLOAT32, MNC_UINT8, pixels, IMAGES, PIXELS, NULL, NULL, NULL) != MNC_OK)
        fail("cannot index the pixels");
    if (!data->offsets) fail("more than half of the pixels are non-zero: there is no index to measure");
    b.data = data;
    b.nonzeros = data->nonzeros;
    for (size_t i = 0; i < IMAGES; i++) b.rows[i] = mnc_index_row(data, i);
    static uint16_t entries[TURNED * PIXELS];
    static uint32_t bounds[2][TURNED / 64 * PIXELS];
    b.columns = (mnc_columns){entries, bounds[0], bounds[1], PIXELS, 64};
    void *memory;
    if (mnc_allocate_array(&memory, FLOATS, sizeof(float), NULL) != MNC_OK) fail("not enough memory");
    b.memory = memory;
    set_memory(&b);
    print_bounds(b.memory, b.seconds);
    set_memory(&b); /* the bounds have written to it */
    report_dense(&b);
    report_sparse(&b);
    report_columns(&b);
    report_activations(&b);
    report_head(&b);
    report_norm(&b);
    report_updates(&b);
    report_flat(&b);
    mnc_data_destroy(data);
    mnc_context_destroy(context);
    mnc_release(b.memory);
    free(pixels);
    return 0;
}
