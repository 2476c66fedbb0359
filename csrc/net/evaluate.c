/* Inference: each thread takes its own rows through all steps, a block at a time, and meets nobody. */
#include <string.h>

#include "net/net.h"

enum { BLOCK = 128 }; /* rows whose activations stay in the second-level cache */

typedef struct {
    mnc_model *model;
    const mnc_data *data;
    size_t first, n;
    char *outputs;
    double *losses;
    bool score;
    char *arena;
    size_t stride; /* of a thread's part of the arena: */
    size_t buffers[2], pointers, head, losses_own, correct;
    size_t counts; /* per thread, after all */
} run;

static size_t widest(const mnc_model *model) {
    size_t ld = mnc_round16(model->spec.inputs);
    for (size_t s = 0; s < model->n_steps; s++) ld = model->steps[s].ld > ld ? model->steps[s].ld : ld;
    return ld;
}

static mnc_status lay_out(run *r, size_t threads, mnc_error *err) {
    const size_t ld = widest(r->model), size = r->model->kernels->real_size;
    mnc_layout own = {0, false};
    r->buffers[0] = mnc_reserve(&own, BLOCK * ld, size);
    r->buffers[1] = mnc_reserve(&own, BLOCK * ld, size);
    r->pointers = mnc_reserve(&own, BLOCK, sizeof(mnc_sparse_row *));
    r->head = mnc_reserve(&own, 3 * MNC_PANEL * ld, size);
    r->losses_own = mnc_reserve(&own, BLOCK, sizeof(double));
    r->correct = mnc_reserve(&own, BLOCK, 1);
    r->stride = own.bytes;
    mnc_layout all = {0, own.overflow};
    mnc_reserve(&all, threads, r->stride);
    r->counts = mnc_reserve(&all, threads, sizeof(uint64_t));
    return mnc_allocate_layout((void **)&r->arena, &all, err);
}

static void infer_dense(const run *r, size_t s, char *own, const char *x, char *z, size_t rows, mnc_counters *tally) {
    const mnc_model *model = r->model;
    const mnc_step *step = &model->steps[s];
    const mnc_product product = {.weights = mnc_at(model, model->values, step->weights),
                                 .panel_size = step->panel_size,
                                 .inputs = step->inputs,
                                 .bias = step->layer.use_bias,
                                 .z = z,
                                 .ldz = step->ld,
                                 .row1 = rows,
                                 .panel1 = step->panels};
    if (s == 0 && r->data->offsets) {
        tally->sparse_forward++;
        model->kernels->sparse_forward(&product, (const mnc_sparse_row *const *)(own + r->pointers), r->data->table);
    } else {
        tally->dense_forward++;
        model->kernels->dense_forward(&product, x, step->ld_in);
    }
}

static void infer_norm(const run *r, size_t s, const char *x, char *y, size_t rows) {
    const mnc_model *model = r->model;
    const mnc_step *step = &model->steps[s];
    const mnc_norm norm = {.x = x,
                           .y = y,
                           .ld = step->ld,
                           .rows = rows,
                           .gamma = step->layer.scale ? mnc_at(model, model->values, step->gamma) : NULL,
                           .beta = step->layer.center ? mnc_at(model, model->values, step->beta) : NULL,
                           .mean = mnc_at(model, model->values, step->mean),
                           .variance = mnc_at(model, model->values, step->variance),
                           .epsilon = step->layer.epsilon,
                           .panel1 = step->panels};
    model->kernels->norm_infer(&norm);
}

/* All steps for rows first ... first + rows - 1 of the data; returns the last layer's values. */
static char *infer_block(const run *r, char *own, size_t first, size_t rows, mnc_counters *tally) {
    const mnc_model *model = r->model;
    const size_t ld_in = mnc_round16(model->spec.inputs);
    char *x = own + r->buffers[0], *z = own + r->buffers[1];
    const bool sparse = r->data->offsets && model->steps[0].layer.kind == MNC_DENSE;
    const mnc_sparse_row **pointers = (const mnc_sparse_row **)(own + r->pointers);
    for (size_t row = 0; row < rows; row++) {
        if (sparse)
            pointers[row] = mnc_index_row(r->data, first + row);
        else
            mnc_data_row(r->data, first + row, mnc_at(model, x, row * ld_in), ld_in);
    }
    for (size_t s = 0; s < model->n_steps; s++) {
        const mnc_step *step = &model->steps[s];
        switch (step->layer.kind) {
        case MNC_DENSE: infer_dense(r, s, own, x, z, rows, tally); break;
        case MNC_NORM: infer_norm(r, s, x, z, rows); break;
        case MNC_MAP: model->kernels->multiply(z, x, NULL, step->ld, 0, rows); break;
        }
        const mnc_map map = {.a = z, .ld = step->ld, .activation = step->layer.activation, .slope = step->layer.slope,
                             .row1 = rows, .panel1 = step->panels};
        if (step->layer.activation != MNC_LINEAR) model->kernels->activate(&map);
        char *swap = x;
        x = z;
        z = swap;
    }
    return x;
}

static size_t score_block(const run *r, char *own, const char *a, size_t done, size_t rows) {
    const mnc_model *model = r->model;
    const mnc_step *last = &model->steps[model->n_steps - 1];
    double *losses = r->losses ? r->losses + done : (double *)(own + r->losses_own);
    uint8_t *correct = (uint8_t *)(own + r->correct);
    const mnc_head_args head = {
        .head = model->spec.head,
        .a = a,
        .ld = last->ld,
        .classes = last->outputs,
        .row1 = rows,
        .first = r->first + done,
        .labels = r->score ? r->data->labels : NULL,
        .targets = r->score ? r->data->targets : NULL,
        .weights = r->data->weights,
        .smoothing = model->spec.label_smoothing,
        .batch = 1,
        .outputs = r->outputs ? mnc_at(model, r->outputs, done * last->outputs) : NULL,
        .raw_outputs = model->spec.outputs_are_logits,
        .losses = losses,
        .correct = correct,
        .scratch = own + r->head,
    };
    model->kernels->head(&head);
    size_t count = 0;
    for (size_t row = 0; r->score && row < rows; row++) count += correct[row];
    return count;
}

static void run_part(void *argument, const mnc_team *team, size_t thread) {
    run *r = argument;
    char *own = r->arena + thread * r->stride;
    mnc_counters *tally = &r->model->tally[thread].counters;
    size_t begin, end;
    uint64_t correct = 0;
    mnc_split(r->n, 16, team->size, thread, &begin, &end);
    for (size_t done = begin; done < end; done += BLOCK) {
        const size_t rows = end - done < BLOCK ? end - done : BLOCK;
        const char *a = infer_block(r, own, r->first + done, rows, tally);
        correct += score_block(r, own, a, done, rows);
        tally->chunks[thread]++;
    }
    ((uint64_t *)(r->arena + r->counts))[thread] = correct;
}

mnc_status mnc_evaluate(mnc_model *model, const mnc_data *data, size_t first, size_t n, void *outputs, double *losses,
                        uint64_t *correct, mnc_error *err) {
    run r = {.model = model, .data = data, .first = first, .n = n, .outputs = outputs, .losses = losses,
             .score = losses != NULL || correct != NULL};
    mnc_status status = mnc_data_check(model, data, r.score, err);
    if (status != MNC_OK) return status;
    if (n > data->n || first > data->n - n)
        return mnc_fail(err, MNC_INVALID, "rows %zu ... %zu were asked for, the data has %zu", first, first + n, data->n);
    const size_t wanted = mnc_plan_team(model, data, n, false);
    status = lay_out(&r, wanted, err);
    if (status != MNC_OK) return status;
    const size_t threads = mnc_pool_run(model->context->pool, wanted, run_part, &r);
    if (model->workers < threads) model->workers = threads;
    for (size_t t = 0; correct && t < threads; t++) *correct += ((uint64_t *)(r.arena + r.counts))[t];
    mnc_release(r.arena);
    return MNC_OK;
}
