/* Data sets: making the index with all threads, checking labels, copying what is learned from. */
#include <math.h>
#include <string.h>

#include "net/net.h"

typedef struct {
    mnc_data *data;
    size_t *counts;
    mnc_palette *palettes; /* [MNC_MAX_THREADS] */
    enum { SCAN, ENCODE, COUNT, FILL } what;
} job;

static void run_part(void *argument, const mnc_team *team, size_t thread) {
    job *j = argument;
    size_t row0, row1;
    mnc_split(j->data->n, 16, team->size, thread, &row0, &row1);
    switch (j->what) {
    case SCAN: mnc_palette_scan(&j->palettes[thread], j->data, row0, row1); break;
    case ENCODE: mnc_palette_encode(&j->palettes[0], j->data, j->data->own_codes, row0, row1); break;
    case COUNT: mnc_index_count(j->data, j->counts, row0, row1); break;
    case FILL: mnc_index_fill(j->data, row0, row1); break;
    }
}

static size_t run_job(mnc_context *context, job *j, int what) {
    j->what = what;
    const bool large = j->data->n * j->data->features > 100000; /* some 20 microseconds */
    return mnc_pool_run(context->pool, large ? mnc_pool_threads(context->pool) : 1, run_part, j);
}

/* Floats with at most 256 distinct values become codes; others stay floats. Each thread collects the values of its rows
 * and stops when they are too many, so that ordinary floats cost nothing. */
static mnc_status encode_floats(mnc_data *data, mnc_context *context, mnc_error *err) {
    void *palettes = NULL, *codes = NULL;
    mnc_status status = mnc_allocate_array(&palettes, MNC_MAX_THREADS, sizeof(mnc_palette), err);
    if (status != MNC_OK) return status;
    job j = {.data = data, .palettes = palettes};
    const size_t parts = run_job(context, &j, SCAN);
    for (size_t t = 1; t < parts; t++)
        for (size_t i = 0; i < j.palettes[t].count; i++) mnc_palette_add(&j.palettes[0], j.palettes[t].values[i]);
    if (j.palettes[0].count <= 256) {
        status = mnc_allocate_array(&codes, data->n, data->features, err);
        if (status == MNC_OK) {
            data->own_codes = codes;
            run_job(context, &j, ENCODE);
            data->codes = codes;
            data->kernels->convert(data->table, MNC_REAL64, j.palettes[0].values, 256);
        }
    }
    mnc_release(palettes);
    return status;
}

/* Indexes inputs of which less than half are non-zero. */
static mnc_status build_index(mnc_data *data, mnc_context *context, mnc_error *err) {
    void *counts = NULL, *stream = NULL;
    mnc_status status = mnc_allocate_array(&counts, data->n + 1, sizeof(size_t), err);
    if (status != MNC_OK) return status;
    job j = {.data = data, .counts = counts};
    run_job(context, &j, COUNT);
    uint64_t nonzeros = 0;
    for (size_t row = 0; row < data->n; row++) nonzeros += j.counts[row];
    if (nonzeros > (uint64_t)data->n * data->features / 2) {
        mnc_release(counts);
        return MNC_OK;
    }
    /* counts become offsets in place */
    data->blocks = (data->features + MNC_FEATURE_BLOCK - 1) / MNC_FEATURE_BLOCK;
    size_t words = 0;
    for (size_t row = 0; row <= data->n; row++) {
        const size_t count = j.counts[row];
        j.counts[row] = words;
        words += row < data->n ? data->blocks + count : 0;
    }
    status = mnc_allocate_array(&stream, words, sizeof(mnc_sparse_row), err);
    if (status != MNC_OK) {
        mnc_release(counts);
        return status;
    }
    data->offsets = counts;
    data->stream = stream;
    data->nonzeros = nonzeros;
    run_job(context, &j, FILL);
    return MNC_OK;
}

static void fill_table(mnc_data *data, const double *table) {
    double values[256];
    for (int code = 0; code < 256; code++) values[code] = table ? table[code] : code / 255.0;
    data->kernels->convert(data->table, MNC_REAL64, values, 256);
}

mnc_status mnc_data_create(mnc_data **out, mnc_context *context, mnc_dtype dtype, mnc_element element, const void *x,
                           size_t n, size_t features, const double *table, mnc_error *err) {
    void *block = NULL, *values = NULL;
    size_t size = 0;
    if (features < 1 || features > (1u << 24))
        return mnc_fail(err, MNC_INVALID, "features must be between 1 and 2^24, not %zu", features);
    if (n < 1 || n > UINT32_MAX || !mnc_size_mul(n, features, &size))
        return mnc_fail(err, MNC_INVALID, "a data set has between 1 and 2^32 - 1 rows, not %zu", n);
    if ((unsigned)element > MNC_REAL64) return mnc_fail(err, MNC_INVALID, "unknown element type %d", element);
    const mnc_kernels *kernels = mnc_kernels_find(context->isa, dtype);
    mnc_status status = mnc_allocate(&block, sizeof(mnc_data), err);
    if (status != MNC_OK) return status;
    mnc_data *data = block;
    status = mnc_allocate_array(&values, 256, kernels->real_size, err);
    data->kernels = kernels;
    data->n = n;
    data->features = features;
    data->element = element;
    data->x = x;
    data->table = values;
    if (status == MNC_OK && element == MNC_UINT8) {
        data->codes = x;
        fill_table(data, table);
    } else if (status == MNC_OK) {
        status = encode_floats(data, context, err);
    }
    if (status == MNC_OK && data->codes) status = build_index(data, context, err);
    if (status != MNC_OK) {
        mnc_data_destroy(data);
        return status;
    }
    if (data->offsets) { /* the index has all that is needed of the codes */
        mnc_release(data->own_codes);
        data->own_codes = NULL;
        if (element != MNC_UINT8) data->codes = NULL;
    }
    *out = data;
    return MNC_OK;
}

void mnc_data_destroy(mnc_data *data) {
    if (!data) return;
    mnc_release(data->own_codes);
    mnc_release(data->table);
    mnc_release(data->offsets);
    mnc_release(data->stream);
    mnc_release(data->labels);
    mnc_release(data->targets);
    mnc_release(data->weights);
    mnc_release(data);
}

/* ---------------------------------------------------------------- what is learned */

static void forget_targets(mnc_data *data) {
    mnc_release(data->labels);
    mnc_release(data->targets);
    data->labels = NULL;
    data->targets = NULL;
}

mnc_status mnc_data_set_labels(mnc_data *data, const int32_t *labels, size_t classes, mnc_error *err) {
    void *copy = NULL;
    if (classes < 1 || classes > INT32_MAX)
        return mnc_fail(err, MNC_INVALID, "classes must be positive, not %zu", classes);
    const mnc_status status = mnc_allocate_array(&copy, data->n, sizeof *labels, err);
    if (status != MNC_OK) return status;
    memcpy(copy, labels, data->n * sizeof *labels); /* first, so that what is checked is what is used */
    for (size_t i = 0; i < data->n; i++) {
        const int32_t label = ((int32_t *)copy)[i];
        if (label >= 0 && (size_t)label < classes) continue;
        mnc_release(copy);
        return mnc_fail(err, MNC_INVALID, "label %d of row %zu is not in 0 ... %zu", label, i, classes - 1);
    }
    forget_targets(data);
    data->labels = copy;
    data->columns = classes;
    return MNC_OK;
}

/* A copy of doubles as reals; each must be finite and at least `least`. */
static mnc_status copy_reals(mnc_data *data, void **out, const double *x, size_t columns, double least,
                             const char *what, mnc_error *err) {
    size_t count = 0;
    void *copy = NULL;
    if (columns < 1 || !mnc_size_mul(data->n, columns, &count))
        return mnc_fail(err, MNC_INVALID, "%s cannot have %zu columns", what, columns);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(x[i]) || x[i] < least)
            return mnc_fail(err, MNC_INVALID, "%s of row %zu is %g; it must be finite%s", what, i / columns, x[i],
                            least == 0 ? " and not negative" : "");
    const mnc_status status = mnc_allocate_array(&copy, count, data->kernels->real_size, err);
    if (status != MNC_OK) return status;
    data->kernels->convert(copy, MNC_REAL64, x, count);
    *out = copy;
    return MNC_OK;
}

mnc_status mnc_data_set_targets(mnc_data *data, const double *targets, size_t columns, mnc_error *err) {
    void *copy = NULL;
    const mnc_status status = copy_reals(data, &copy, targets, columns, -INFINITY, "the target", err);
    if (status != MNC_OK) return status;
    forget_targets(data);
    data->targets = copy;
    data->columns = columns;
    return MNC_OK;
}

mnc_status mnc_data_set_weights(mnc_data *data, const double *weights, mnc_error *err) {
    void *copy = NULL;
    const mnc_status status = copy_reals(data, &copy, weights, 1, 0, "the weight", err);
    if (status != MNC_OK) return status;
    mnc_release(data->weights);
    data->weights = copy;
    return MNC_OK;
}

size_t mnc_data_rows(const mnc_data *data) { return data->n; }
bool mnc_data_is_indexed(const mnc_data *data) { return data->offsets != NULL; }
uint64_t mnc_data_nonzeros(const mnc_data *data) { return data->nonzeros; }

mnc_status mnc_data_check(const mnc_model *model, const mnc_data *data, bool targets, mnc_error *err) {
    const size_t outputs = model->steps[model->n_steps - 1].outputs;
    if (data->kernels->dtype != model->spec.dtype)
        return mnc_fail(err, MNC_INVALID, "the data and the network have different dtypes");
    if (data->features != model->spec.inputs)
        return mnc_fail(err, MNC_INVALID, "the data has %zu features, the network takes %zu", data->features,
                        model->spec.inputs);
    if (targets && data->columns == 0) return mnc_fail(err, MNC_INVALID, "the data has neither labels nor targets");
    if (data->columns != 0 && data->columns != outputs)
        return mnc_fail(err, MNC_INVALID, "the data has %zu classes or target columns, the network %zu outputs",
                        data->columns, outputs);
    return MNC_OK;
}
