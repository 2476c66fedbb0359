/* What a figure consists of: a kernel, its arguments, and the operations that it cannot do without. */
#include "kernels_bounds.h"

#include "data/inputs.h"

enum {
    PIXELS = 784,
    IMAGES = 1024,
    CLASSES = 10,
    BATCH = 32,
    BLOCK = 112 * MNC_PANEL, /* elements; a gradient of that size, the weights and two slots fit a first-level cache */
    FLOATS = 1 << 24
};

/* What one call cannot do without, in operations on 16 lanes (random: 32-bit products; move: floats moved one by one).
 * Additions, comparisons and index words are left out: they have ports of their own on some CPUs. The operations of
 * exp are counted in v_exp (math.inc.h). */
typedef struct {
    const char *unit; /* of what is computed: "FLOP" or "element" */
    double items;
    double fma, multiply, load, broadcast, store, divide, root, random, move;
    double fma_chain, add_chain; /* of them, in chains: operations that wait for the one before */
    size_t set;                  /* bytes that the inner loops pass over again and again */
    const char *formula;
} cost;

enum { EXP_FMAS = 9, EXP_MULTIPLIES = 4 };

/* Memory for all kernels, and the arguments of the one at work. */
typedef struct {
    const mnc_kernels *k;
    double seconds;
    float *memory, *x, *w, *z, *f, *delta, *g, *slots[3], *scratch; /* a megabyte or more each, within `memory` */
    const mnc_data *data;
    const mnc_sparse_row *rows[IMAGES];
    mnc_columns columns; /* of the first of these rows */
    size_t nonzeros;
    mnc_product product;
    size_t outputs, n;
    mnc_map map;
    mnc_dropout dropout;
    mnc_head_args head;
    mnc_norm norm;
    mnc_update update;
    mnc_element element;
} bench;

static void report(bench *b, const char *kernel, const char *shape, work f, const cost *c) {
    const measured m = measure(f, b, b->seconds);
    printf(
        "{\"isa\": \"%s\", \"kernel\": \"%s\", \"shape\": \"%s\", \"cycles\": %.6g, \"hertz\": %.6g, \"unit\": \"%s\", "
        "\"items\": %g, \"set\": %zu, \"formula\": \"%s\", \"operations\": {\"fma\": %g, \"multiply\": %g, "
        "\"load\": %g, \"broadcast\": %g, \"store\": %g, \"divide\": %g, \"root\": %g, \"random\": %g, \"move\": %g, "
        "\"fma_chain\": %g, \"add_chain\": %g}}\n",
        ISA_NAME, kernel, shape, m.cycles, m.hertz, c->unit, c->items, c->set, c->formula, c->fma, c->multiply, c->load,
        c->broadcast, c->store, c->divide, c->root, c->random, c->move, c->fma_chain, c->add_chain);
    fflush(stdout);
}

/* A function that calls the kernel with arguments taken from the bench. */
#define CALL(kernel, ...)                \
    static void kernel(void *argument) { \
        const bench *b = argument;       \
        b->k->kernel(__VA_ARGS__);       \
    }
