/* The products of dense layers, from rows of reals and from the index of non-zero pixels. */
#include "kernels_bench.h"

/* ---------------------------------------------------------------- dense products */
CALL(dense_forward, &b->product, b->x, b->product.inputs)
CALL(dense_delta, &b->product, b->delta, b->outputs, b->outputs, b->f, b->scratch)
CALL(dense_gradient, b->g, b->x, b->product.inputs, 0, b->product.inputs, b->delta, b->outputs, 0, b->product.row1, 0,
     b->outputs / MNC_PANEL)
CALL(bias_gradient, b->g, b->delta, b->outputs, 0, b->product.row1, 0, b->outputs / MNC_PANEL)

static void set_product(bench *b, size_t rows, size_t inputs, size_t outputs) {
    b->outputs = outputs;
    b->product = (mnc_product){.weights = b->w,
                               .panel_size = (inputs + 1) * MNC_PANEL,
                               .inputs = inputs,
                               .bias = true,
                               .z = b->z,
                               .ldz = outputs,
                               .row1 = rows,
                               .panel1 = outputs / MNC_PANEL};
}

static void report_dense(bench *b) {
    static const size_t forward[][3] = {{32, 128, 64}, {32, 784, 128}, {128, 512, 256}};
    static const size_t gradient[][3] = {{32, 144, 32}, {512, 144, 32}};
    char shape[80];
    for (size_t i = 0; i < 3; i++) {
        const size_t rows = forward[i][0], inputs = forward[i][1], outputs = forward[i][2];
        const double vectors = (double)(rows * inputs * outputs) / 16;
        cost c = {.unit = "FLOP",
                  .items = 32 * vectors,
                  .fma = vectors,
                  .load = vectors / TILE_ROWS,
                  .broadcast = vectors / TILE_PANELS,
                  .store = (double)(rows * outputs) / 16,
                  .set = inputs * TILE_PANELS * 64,
                  .formula =
                      "one FMA for each row, input and panel; a weight serves a tile's rows, an input its panels"};
        set_product(b, rows, inputs, outputs);
        snprintf(shape, sizeof shape, "%zu rows, %zu -> %zu", rows, inputs, outputs);
        report(b, "dense_forward", shape, dense_forward, &c);
        b->product.ldz = inputs;
        c.store = 0;
        c.set = outputs * 32 * sizeof(float);
        c.move = (double)(rows * (inputs + outputs));
        c.formula = "one FMA for each input, output and 16 rows; deltas are transposed before, results after";
        snprintf(shape, sizeof shape, "%zu rows, %zu <- %zu", rows, inputs, outputs);
        report(b, "dense_delta", shape, dense_delta, &c);
    }
    for (size_t i = 0; i < 2; i++) {
        const size_t rows = gradient[i][0], inputs = gradient[i][1], outputs = gradient[i][2];
        const double vectors = (double)(rows * inputs * outputs) / 16;
        const cost c = {.unit = "FLOP",
                        .items = 32 * vectors,
                        .fma = vectors,
                        .load = vectors / TILE_ROWS,
                        .broadcast = vectors / TILE_PANELS,
                        .store = (double)(inputs * outputs) / 16,
                        .set = rows * (TILE_PANELS + 1) * 64,
                        .formula =
                            "one FMA for each row, input and panel; a delta serves a tile's inputs, an input its "
                            "panels"};
        set_product(b, rows, inputs, outputs);
        snprintf(shape, sizeof shape, "%zu rows, %zu x %zu", rows, inputs, outputs);
        report(b, "dense_gradient", shape, dense_gradient, &c);
    }
    for (size_t rows = 32; rows <= 512; rows *= 16) {
        const double vectors = (double)rows * 8;
        const cost c = {.unit = "element",
                        .items = 16 * vectors,
                        .load = vectors,
                        .add_chain = vectors,
                        .set = rows * 8 * 64,
                        .formula = "one load for each row and panel; a chain of additions for each panel"};
        set_product(b, rows, 0, 128);
        snprintf(shape, sizeof shape, "%zu rows, 128", rows);
        report(b, "bias_gradient", shape, bias_gradient, &c);
    }
}

/* ---------------------------------------------------------------- sparse products */
/* All images in batches of 32: the branch predictor would learn the lengths of a few rows. */
static void sparse_forward(void *argument) {
    const bench *b = argument;
    for (size_t first = 0; first < IMAGES; first += BATCH) {
        const mnc_sparse x = {.rows = b->rows + first, .table = b->data->table};
        b->k->sparse_forward(&b->product, &x);
    }
}

/* As many blocks at once as net/update.c takes. */
static void sparse_gradient(void *argument) {
    const bench *b = argument;
    const size_t blocks = b->data->blocks, panels = b->outputs / MNC_PANEL;
    const size_t together = panels < MNC_SPARSE_PANELS ? panels : MNC_SPARSE_PANELS;
    const size_t span = MNC_GRADIENT_BLOCKS / together;
    for (size_t first = 0; first < IMAGES; first += BATCH) {
        const mnc_sparse x = {.rows = b->rows + first, .table = b->data->table};
        for (size_t panel = 0; panel < panels; panel += together)
            for (size_t block = 0; block < blocks; block += span) {
                const size_t end = blocks - block < span ? blocks : block + span;
                b->k->sparse_gradient(b->g, &x, blocks, block, end, (end - block) * MNC_FEATURE_BLOCK, b->delta,
                                      b->outputs, 0, BATCH, panel, panel + together);
            }
    }
}

enum { TURNED = 256 }; /* rows of a batch whose records are turned into columns */

static void column_gradient(void *argument) {
    const bench *b = argument;
    const size_t panels = b->outputs / MNC_PANEL, together = panels < MNC_SPARSE_PANELS ? panels : MNC_SPARSE_PANELS;
    const size_t span = MNC_GRADIENT_BLOCKS / together * MNC_FEATURE_BLOCK;
    for (size_t panel = 0; panel < panels; panel += together)
        for (size_t k = 0; k < PIXELS; k += span)
            b->k->column_gradient(b->g, &b->columns, b->data->table, k, PIXELS - k < span ? PIXELS : k + span, b->delta,
                                  TURNED, together);
}

static void turn(void *argument) {
    bench *b = argument;
    mnc_index_turn(b->data, b->rows, TURNED, 0, PIXELS, &b->columns);
}

static void report_columns(bench *b) {
    char shape[80];
    double entries = 0;
    for (size_t row = 0; row < TURNED; row++) entries += (double)b->rows[row][b->data->blocks - 1];
    for (size_t panels = 1; panels <= 8; panels *= 2) {
        const size_t together = panels < MNC_SPARSE_PANELS ? panels : MNC_SPARSE_PANELS, rows = mnc_turn_rows(panels);
        const double vectors = entries * (double)panels, lists = (double)(PIXELS * panels * TURNED / rows);
        const cost c = {.unit = "FLOP",
                        .items = 32 * vectors,
                        .fma = vectors,
                        .load = vectors + lists,
                        .store = lists,
                        .broadcast = vectors / (double)together,
                        .set = rows * together * 64,
                        .formula =
                            "one load and one FMA for each non-zero and panel; one load and store for each list"};
        set_product(b, TURNED, PIXELS, panels * MNC_PANEL);
        b->columns.rows = rows;
        mnc_index_turn(b->data, b->rows, TURNED, 0, PIXELS, &b->columns);
        snprintf(shape, sizeof shape, "%d rows of %.0f, %zu panels", TURNED, entries / TURNED, panels);
        report(b, "column_gradient", shape, column_gradient, &c);
    }
    const cost c = {.unit = "entry",
                    .items = entries,
                    .move = 2 * entries,
                    .set = (size_t)entries * 6,
                    .formula = "one count and one move for each non-zero"};
    snprintf(shape, sizeof shape, "%d rows of %.0f", TURNED, entries / TURNED);
    report(b, "turn", shape, turn, &c);
}

static void report_sparse(bench *b) {
    for (size_t panels = 1; panels <= 8; panels *= 2) {
        const size_t together = panels < MNC_SPARSE_PANELS ? panels : MNC_SPARSE_PANELS;
        const double vectors = (double)(b->nonzeros * panels), entries = vectors / (double)together;
        cost c = {.unit = "FLOP",
                  .items = 32 * vectors,
                  .fma = vectors,
                  .load = vectors,
                  .broadcast = entries,
                  .fma_chain = entries,
                  .set = PIXELS * together * 64,
                  .formula = "one load and one FMA for each non-zero and panel; a chain for each row and panel"};
        char shape[80];
        set_product(b, BATCH, PIXELS, panels * MNC_PANEL);
        snprintf(shape, sizeof shape, "%d rows of %zu, %zu panels", BATCH, b->nonzeros / IMAGES, panels);
        report(b, "sparse_forward", shape, sparse_forward, &c);
        c.store = vectors;
        c.fma_chain = 0;
        c.set = MNC_GRADIENT_BLOCKS * MNC_FEATURE_BLOCK * 64;
        c.formula = "one load, one FMA and one store for each non-zero and panel";
        report(b, "sparse_gradient", shape, sparse_gradient, &c);
    }
}
