/* Data sets: making the index with all threads, checking labels, copying what is learned from. */
#include <math.h>
#include <string.h>

#include "net/net.h"

/* What each thread has found out about the values in its rows. */
typedef struct {
    mnc_palette palette;
    bool full;
    uint8_t map[256];
} finding;

typedef struct {
    mnc_data *data;
    size_t *counts;
    finding *findings; /* [MNC_MAX_THREADS] */
    enum { ENCODE, REMAP, COUNT, FILL, TURN } what;
    mnc_watch watch;
} job;

static void run_rows(job *j, size_t thread, size_t row0, size_t row1) {
    uint8_t *codes = j->data->own_codes;
    finding *own = &j->findings[thread];
    switch (j->what) {
    case ENCODE: own->full = own->full || !mnc_palette_encode(&own->palette, j->data, codes, row0, row1); break;
    case REMAP:
        for (size_t i = row0 * j->data->features; i < row1 * j->data->features; i++) codes[i] = own->map[codes[i]];
        break;
    case COUNT: mnc_index_count(j->data, j->counts, row0, row1); break;
    case FILL: mnc_index_fill(j->data, row0, row1); break;
    case TURN: mnc_index_turn_rows(j->data, row0, row1); break;
    }
}

static void run_part(void *argument, const mnc_team *team, size_t thread) {
    job *j = argument;
    size_t row0, row1;
    mnc_split(j->data->n, j->what == TURN ? j->data->turned.rows : 16, team->size, thread, &row0, &row1);
    for (size_t row = row0, end; row < row1 && !mnc_watch_stopped(&j->watch, thread); row = end)
        run_rows(j, thread, row, end = mnc_piece_end(row, row1));
}

static size_t run_job(mnc_context *context, job *j, int what, size_t wanted) {
    j->what = what;
    return mnc_context_run(context, wanted, run_part, j);
}

/* The values of the codes, and which of them is zero. */
static void set_table(mnc_data *data, const double values[256]) {
    data->kernels->convert(data->table, MNC_REAL64, values, 256);
    for (int code = 255; code >= 0; code--)
        if (values[code] == 0) data->has_zero = true, data->zero = (uint8_t)code;
}

/* Floats with at most 256 distinct values become codes; others stay floats. Each thread numbers the values of its rows as
 * they come; then the threads' numbers are made one. If another job took the pool in between, the parts would not be those
 * of before: then the floats stay floats, with the same results. */
static mnc_status encode_floats(mnc_data *data, mnc_context *context, size_t wanted, const mnc_stop *stop,
                                mnc_error *err) {
    void *findings = NULL, *codes = NULL;
    mnc_status status = mnc_allocate_array(&findings, MNC_MAX_THREADS + 1, sizeof(finding), err);
    if (status == MNC_OK) status = mnc_allocate_array(&codes, data->n, data->features, err);
    if (status == MNC_OK) {
        data->own_codes = codes;
        job j = {.data = data, .findings = findings, .watch = {.stop = stop}};
        finding *all = &j.findings[MNC_MAX_THREADS];
        const size_t parts = run_job(context, &j, ENCODE, wanted);
        bool coded = true;
        for (size_t t = 0; t < parts && coded; t++)
            coded = !j.findings[t].full && mnc_palette_merge(&all->palette, &j.findings[t].palette, j.findings[t].map);
        if (coded && (parts == 1 || run_job(context, &j, REMAP, parts) == parts)) {
            data->codes = codes;
            set_table(data, all->palette.values);
        }
        status = mnc_watch_status(&j.watch, err);
    }
    mnc_release(findings);
    return status;
}

/* Indexes inputs of which less than half are non-zero. */
static mnc_status build_index(mnc_data *data, mnc_context *context, size_t wanted, const mnc_stop *stop,
                              mnc_error *err) {
    void *counts = NULL, *stream = NULL;
    mnc_status status = mnc_allocate_array(&counts, data->n + 1, sizeof(size_t), err);
    if (status != MNC_OK) return status;
    job j = {.data = data, .counts = counts, .watch = {.stop = stop}};
    run_job(context, &j, COUNT, wanted);
    status = mnc_watch_status(&j.watch, err);
    uint64_t nonzeros = 0;
    for (size_t row = 0; row < data->n; row++) nonzeros += j.counts[row];
    if (status != MNC_OK || nonzeros > (uint64_t)data->n * data->features / 2) {
        mnc_release(counts);
        return status;
    }
    /* counts become offsets in place */
    size_t words = 0;
    for (size_t row = 0; row <= data->n; row++) {
        const size_t count = j.counts[row];
        j.counts[row] = words;
        words += row < data->n ? data->blocks + count : 0;
    }
    size_t bytes = 0;
    status = mnc_size_mul(words, sizeof(mnc_sparse_row), &bytes) ? mnc_allocate_unset(&stream, bytes, err)
                                                                 : mnc_fail_memory(err, SIZE_MAX);
    if (status != MNC_OK) {
        mnc_release(counts);
        return status;
    }
    data->offsets = counts;
    data->stream = stream;
    data->nonzeros = nonzeros;
    run_job(context, &j, FILL, wanted);
    return mnc_watch_status(&j.watch, err);
}

/* A data set of which nothing is known yet but where it lies. */
static mnc_status describe(mnc_data **out, const mnc_context *context, mnc_dtype dtype, mnc_element element,
                           const void *x, size_t n, size_t features, const double *table, mnc_error *err) {
    void *block = NULL;
    size_t size = 0;
    if (features < 1 || features > (1u << 24))
        return mnc_fail(err, MNC_INVALID, "features must be between 1 and 2^24, not %zu", features);
    if (n < 1 || n > UINT32_MAX || !mnc_size_mul(n, features, &size))
        return mnc_fail(err, MNC_INVALID, "a data set has between 1 and 2^32 - 1 rows, not %zu", n);
    if ((unsigned)dtype > MNC_FLOAT64) return mnc_fail(err, MNC_INVALID, "unknown dtype %d", dtype);
    if ((unsigned)element > MNC_REAL64) return mnc_fail(err, MNC_INVALID, "unknown element type %d", element);
    const mnc_kernels *kernels = mnc_kernels_find(context->isa, dtype);
    const mnc_status status = mnc_allocate(&block, sizeof(mnc_data), err);
    if (status != MNC_OK) return status;
    mnc_data *data = block;
    data->kernels = kernels;
    data->n = n;
    data->features = features;
    data->blocks = mnc_feature_blocks(features);
    data->element = element;
    data->x = x;
    if (element == MNC_UINT8) {
        double values[256];
        for (int code = 0; code < 256; code++) values[code] = table ? table[code] : code / 255.0;
        data->codes = x;
        set_table(data, values);
    }
    *out = data;
    return MNC_OK;
}

mnc_status mnc_data_create(mnc_data **out, mnc_context *context, mnc_dtype dtype, mnc_element element, const void *x,
                           size_t n, size_t features, const double *table, const mnc_stop *stop, mnc_error *err) {
    mnc_data *data = NULL;
    mnc_status status = describe(&data, context, dtype, element, x, n, features, table, err);
    if (status != MNC_OK) return status;
    const size_t wanted = n * features > 100000 ? mnc_pool_threads(context->pool) : 1; /* below: some 50 microseconds */
    if (element != MNC_UINT8) status = encode_floats(data, context, wanted, stop, err);
    if (status == MNC_OK && data->codes && data->has_zero) status = build_index(data, context, wanted, stop, err);
    if (status != MNC_OK) {
        mnc_data_destroy(data);
        return status;
    }
    if (element != MNC_UINT8 && (data->offsets || !data->codes)) { /* the index has all that is needed of the codes */
        mnc_release(data->own_codes);
        data->own_codes = NULL;
        data->codes = NULL;
    }
    *out = data;
    return MNC_OK;
}

mnc_status mnc_data_view(mnc_data **out, mnc_context *context, mnc_dtype dtype, mnc_element element, const void *x,
                         size_t n, size_t features, const double *table, mnc_error *err) {
    const mnc_status status = describe(out, context, dtype, element, x, n, features, table, err);
    if (status == MNC_OK) (*out)->view = true;
    return status;
}

static void release_turned(mnc_data *data) {
    mnc_release(data->turned.entries);
    mnc_release(data->turned.begin); /* and end */
    data->turned = (mnc_columns){0};
}

mnc_status mnc_data_turn(mnc_data *data, mnc_context *context, size_t units, const mnc_stop *stop, mnc_error *err) {
    if (!data->offsets || data->turned.rows || data->nonzeros > UINT32_MAX) return MNC_OK;
    const size_t rows = mnc_turn_rows(mnc_round16(units) / MNC_PANEL), groups = (data->n + rows - 1) / rows;
    void *entries = NULL, *bounds = NULL;
    size_t count = 0;
    mnc_status status = mnc_size_mul(groups, data->features, &count) ? MNC_OK : mnc_fail_memory(err, SIZE_MAX);
    if (status == MNC_OK) status = mnc_allocate_array(&entries, data->nonzeros, sizeof(uint16_t), err);
    if (status == MNC_OK) status = mnc_allocate_array(&bounds, count, 2 * sizeof(uint32_t), err);
    if (status != MNC_OK) {
        mnc_release(entries);
        return status;
    }
    uint32_t *const begin = bounds;
    data->turned = (mnc_columns){entries, begin, begin + count, data->features, rows};
    job j = {.data = data, .watch = {.stop = stop}};
    run_job(context, &j, TURN, mnc_pool_threads(context->pool));
    status = mnc_watch_status(&j.watch, err);
    if (status != MNC_OK) release_turned(data);
    return status;
}

void mnc_data_destroy(mnc_data *data) {
    if (!data) return;
    mnc_release(data->own_codes);
    mnc_release(data->offsets);
    mnc_release(data->stream);
    release_turned(data);
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
