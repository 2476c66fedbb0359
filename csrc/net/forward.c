/* From the inputs to the losses: one loop over the steps. */
#include <math.h>
#include <string.h>

#include "net/net.h"

bool mnc_step_by_panels(const mnc_pass *pass, size_t s) {
    const mnc_step *step = &pass->model->steps[s];
    if (step->layer.kind == MNC_NORM) return true;
    return step->layer.kind == MNC_DENSE && s == 0 && step->panels >= pass->team->size;
}

bool mnc_pass_dropout(const mnc_pass *pass, size_t l, mnc_dropout *out) {
    const mnc_model *model = pass->model;
    const double rate = l == 0 ? model->spec.input_dropout : model->steps[l - 1].layer.dropout;
    if (!pass->training || rate == 0) return false;
    *out = (mnc_dropout){.seed = model->spec.seed,
                         .step = pass->step,
                         .layer = (uint32_t)l,
                         .threshold = (uint32_t)(rate * 4294967296.0),
                         .scale = 1 / (1 - rate),
                         .first_row = pass->first - pass->batch_first};
    return true;
}

typedef struct {
    size_t row0, row1, panel0, panel1;
} range;

/* In training, the noise of layer l (0: inputs, 1 + s: step s) on its values a[rows, ld]. */
static void add_noise(const mnc_pass *pass, size_t l, char *a, size_t ld, const range *r) {
    const mnc_spec *spec = &pass->model->spec;
    const mnc_layer *layer = l == 0 ? NULL : &pass->model->steps[l - 1].layer;
    const mnc_noise noise = {.seed = spec->seed ^ (layer ? layer->noise_seed : spec->input_noise_seed),
                             .step = pass->step,
                             .layer = (uint32_t)l,
                             .stddev = layer ? layer->noise : spec->input_noise,
                             .first_row = pass->first - pass->batch_first,
                             .a = a,
                             .ld = ld,
                             .row0 = r->row0,
                             .row1 = r->row1,
                             .panel0 = r->panel0,
                             .panel1 = r->panel1};
    if (pass->training && noise.stddev > 0) pass->model->kernels->add_noise(&noise);
}

/* ---------------------------------------------------------------- inputs */
static size_t row_id(const mnc_pass *pass, size_t row) {
    return pass->ids ? pass->ids[pass->first + row] : pass->first + row;
}

void mnc_pass_drop_inputs(const mnc_pass *pass, char *x, size_t row0, size_t row1) {
    const size_t ld = mnc_round16(pass->model->spec.inputs);
    mnc_dropout dropout;
    const bool drops = mnc_pass_dropout(pass, 0, &dropout);
    const mnc_map map = {.a = x, .ld = ld, .dropout = &dropout, .row0 = row0, .row1 = row1, .panel1 = ld / MNC_PANEL};
    if (drops) pass->model->kernels->activate(&map);
}

/* Rows row0 ... row1 - 1 of the chunk as dense reals, with input dropout and noise. */
static void assemble_dense(const mnc_pass *pass, size_t row0, size_t row1) {
    const mnc_model *model = pass->model;
    const size_t ld = mnc_round16(model->spec.inputs);
    char *x = mnc_scratch(pass, pass->plan->x);
    for (size_t row = row0; row < row1; row++)
        mnc_data_row(pass->data, row_id(pass, row), mnc_at(model, x, row * ld), ld);
    mnc_pass_drop_inputs(pass, x, row0, row1);
    add_noise(pass, 0, x, ld, &(range){row0, row1, 0, ld / MNC_PANEL});
}

static void assemble_sparse(const mnc_pass *pass, size_t row0, size_t row1) {
    mnc_dropout dropout;
    const bool drops = mnc_pass_dropout(pass, 0, &dropout);
    for (size_t row = row0; row < row1; row++) {
        const mnc_sparse_row *record = mnc_index_row(pass->data, row_id(pass, row));
        mnc_sparse_row *out =
            (mnc_sparse_row *)mnc_scratch(pass, pass->plan->records) + row * pass->plan->record_stride;
        if (drops)
            mnc_index_drop(pass->data, record, &dropout, row, out);
        else
            memcpy(out, record, (pass->data->blocks + record[pass->data->blocks - 1]) * sizeof *record);
    }
    if (pass->thread == 0)
        pass->model->kernels->scale_table(mnc_scratch(pass, pass->plan->table), pass->data->table,
                                          drops ? dropout.scale : 1, 256);
}

static void find_sparse(const mnc_pass *pass, size_t row0, size_t row1) {
    mnc_sparse_row *records = (mnc_sparse_row *)mnc_scratch(pass, pass->plan->records);
    for (size_t row = row0; row < row1; row++)
        mnc_data_find(pass->data, row_id(pass, row), records + row * pass->plan->record_stride);
}

/* Shuffled rows lie anywhere, and no CPU guesses where the next one is. */
void mnc_pass_prefetch(const mnc_pass *pass, size_t part, size_t parts) {
    enum { LINES = 12 }; /* a record of MNIST has 167 words on average */
    size_t begin, end;
    if (!pass->plan->sparse || pass->plan->found || !pass->ids) return;
    mnc_split(pass->following, 1, parts, part, &begin, &end);
    for (size_t row = begin; row < end; row++) {
        const char *record = (const char *)mnc_index_row(pass->data, row_id(pass, pass->rows + row));
#pragma GCC unroll 12
        for (int line = 0; line < LINES; line++) __builtin_prefetch(record + 64 * line);
    }
}

/* The thread's part of the features, read by all after the barrier that the first layer's output needs anyway. */
static void turn_own(mnc_pass *pass, const mnc_sparse_row *const *records) {
    const mnc_plan *plan = pass->plan;
    char *const base = mnc_scratch(pass, plan->columns[pass->parity]);
    const size_t features = pass->data->features;
    size_t k0, k1;
    pass->columns = (mnc_columns){.entries = (uint16_t *)base,
                                  .begin = (uint32_t *)(base + plan->columns_begin),
                                  .end = (uint32_t *)(base + plan->columns_end),
                                  .features = features,
                                  .rows = mnc_turn_rows(pass->model->steps[0].panels)};
    mnc_split(features, MNC_FEATURE_BLOCK, pass->team->size, pass->thread, &k0, &k1);
    mnc_index_turn(pass->data, records, pass->rows, k0, k1, &pass->columns);
}

void mnc_pass_inputs(mnc_pass *pass) {
    const mnc_plan *plan = pass->plan;
    if (plan->assembled) {
        size_t row0, row1;
        mnc_team_barrier(pass->team); /* the last chunk's inputs may still be read */
        mnc_split(pass->rows, 16, pass->team->size, pass->thread, &row0, &row1);
        for (size_t row = row0; row < row1 && !mnc_pass_stopped(pass); row = mnc_piece_end(row, row1))
            (plan->found    ? find_sparse
             : plan->sparse ? assemble_sparse
                            : assemble_dense)(pass, row, mnc_piece_end(row, row1));
        mnc_team_barrier(pass->team);
    }
    if (!plan->sparse) return;
    const mnc_sparse_row **pointers = (const mnc_sparse_row **)mnc_thread_scratch(pass, plan->row_pointers);
    const mnc_sparse_row *records = (const mnc_sparse_row *)mnc_scratch(pass, plan->records);
    for (size_t row = 0; row < pass->rows; row++)
        pointers[row] =
            plan->assembled ? records + row * plan->record_stride : mnc_index_row(pass->data, row_id(pass, row));
    pass->sparse = (mnc_sparse){.rows = pointers, .table = pass->data->table};
    if (plan->found && !pass->data->codes)
        pass->sparse = (mnc_sparse){.rows = pointers,
                                    .dense = (const float *)pass->data->x + pass->first * pass->data->features,
                                    .ld = pass->data->features};
    else if (plan->assembled && !plan->found)
        pass->sparse.table = mnc_scratch(pass, plan->table);
    if (plan->turned)
        turn_own(pass, pointers);
    else if (plan->by_columns)
        pass->columns = mnc_columns_from(&pass->data->turned, pass->first);
}

/* ---------------------------------------------------------------- steps */
static void forward_dense(const mnc_pass *pass, size_t s, const range *r) {
    const mnc_model *model = pass->model;
    const mnc_step *step = &model->steps[s];
    const mnc_product product = {.weights = mnc_at(model, model->values, step->weights),
                                 .panel_size = step->panel_size,
                                 .inputs = step->inputs,
                                 .bias = step->layer.use_bias,
                                 .z = mnc_activations(pass, s),
                                 .ldz = step->ld,
                                 .row0 = r->row0,
                                 .row1 = r->row1,
                                 .panel0 = r->panel0,
                                 .panel1 = r->panel1};
    if (s == 0 && pass->plan->sparse) {
        pass->tally->counters.sparse_forward++;
        model->kernels->sparse_forward(&product, &pass->sparse);
    } else {
        pass->tally->counters.dense_forward++;
        model->kernels->dense_forward(
            &product, s == 0 ? mnc_scratch(pass, pass->plan->x) : mnc_activations(pass, s - 1), step->ld_in);
    }
}

static void forward_norm(const mnc_pass *pass, size_t s, const range *r) {
    const mnc_model *model = pass->model;
    const mnc_step *step = &model->steps[s];
    const char *x = s == 0 ? mnc_scratch(pass, pass->plan->x) : mnc_activations(pass, s - 1);
    mnc_norm norm = {.x = x,
                     .y = mnc_activations(pass, s),
                     .ld = step->ld,
                     .rows = pass->rows,
                     .cut = model->spec.reduce_rows,
                     .gamma = step->layer.scale ? mnc_at(model, model->values, step->gamma) : NULL,
                     .beta = step->layer.center ? mnc_at(model, model->values, step->beta) : NULL,
                     .epsilon = step->layer.epsilon,
                     .panel0 = r->panel0,
                     .panel1 = r->panel1};
    norm.xhat = pass->inference ? NULL : mnc_scratch(pass, pass->plan->xhat[s]);
    norm.inv = mnc_norm_vector(pass, s, MNC_NORM_INV);
    if (pass->training) {
        norm.mean = mnc_norm_vector(pass, s, MNC_NORM_MEAN);
        norm.variance = mnc_norm_vector(pass, s, MNC_NORM_VARIANCE);
        model->kernels->norm_train(&norm);
    } else {
        norm.mean = mnc_at(model, model->values, step->mean);
        norm.variance = mnc_at(model, model->values, step->variance);
        model->kernels->norm_infer(&norm);
    }
}

static void forward_activation(const mnc_pass *pass, size_t s, const range *r) {
    const mnc_step *step = &pass->model->steps[s];
    mnc_dropout dropout;
    const bool drops = mnc_pass_dropout(pass, s + 1, &dropout);
    const mnc_map map = {.a = mnc_activations(pass, s),
                         .f = pass->inference ? NULL : mnc_scratch(pass, pass->plan->f[s]),
                         .ld = step->ld,
                         .activation = step->layer.activation,
                         .slope = step->layer.slope,
                         .dropout = drops ? &dropout : NULL,
                         .row0 = r->row0,
                         .row1 = r->row1,
                         .panel0 = r->panel0,
                         .panel1 = r->panel1};
    if (step->layer.activation != MNC_LINEAR || (step->has_f && !pass->inference)) pass->model->kernels->activate(&map);
    add_noise(pass, s + 1, map.a, step->ld, r);
}

static void forward_step(const mnc_pass *pass, size_t s, const range *r) {
    const mnc_step *step = &pass->model->steps[s];
    switch (step->layer.kind) {
    case MNC_DENSE: forward_dense(pass, s, r); break;
    case MNC_NORM: forward_norm(pass, s, r); break;
    case MNC_MAP:
        pass->model->kernels->multiply(mnc_activations(pass, s),
                                       s == 0 ? mnc_scratch(pass, pass->plan->x) : mnc_activations(pass, s - 1), NULL,
                                       step->ld, r->row0, r->row1);
        break;
    }
    forward_activation(pass, s, r);
}

void mnc_pass_forward(const mnc_pass *pass) {
    const mnc_model *model = pass->model;
    bool by_panels = false; /* how the step before was cut */
    for (size_t s = 0; s < model->n_steps; s++) {
        const mnc_step *step = &model->steps[s];
        const bool now_by_panels = mnc_step_by_panels(pass, s);
        /* Also between two steps cut by panels: only the output of step 0 has a second buffer, so that other threads,
         * which may still be updating weights after the last chunk, need that chunk's a of all later steps. */
        const bool foreign = s == 0 && !now_by_panels && !pass->plan->assembled; /* weights that others updated */
        if (foreign || (s > 0 && (by_panels || now_by_panels))) mnc_team_barrier(pass->team);
        range r = {0, pass->rows, 0, step->panels};
        if (now_by_panels)
            mnc_split(step->panels, 1, pass->team->size, pass->thread, &r.panel0, &r.panel1);
        else
            mnc_split(pass->rows, 16, pass->team->size, pass->thread, &r.row0, &r.row1);
        by_panels = now_by_panels;
        if (r.row0 == r.row1 || r.panel0 == r.panel1) continue;
        for (range part = r; part.row0 < r.row1 && !mnc_pass_stopped(pass); part.row0 = part.row1) {
            part.row1 = step->layer.kind == MNC_NORM ? r.row1 : mnc_piece_end(part.row0, r.row1);
            forward_step(pass, s, &part);
        }
        pass->tally->pieces++;
    }
    if (by_panels) mnc_team_barrier(pass->team);
}

void mnc_pass_forward_panels(const mnc_pass *pass, size_t row0, size_t row1, size_t panel0, size_t panel1) {
    forward_step(pass, 0, &(range){row0, row1, panel0, panel1});
    pass->tally->pieces++;
}

void mnc_pass_forward_rows(const mnc_pass *pass, size_t from, size_t row0, size_t row1) {
    for (size_t s = from; s < pass->model->n_steps; s++) {
        forward_step(pass, s, &(range){row0, row1, 0, pass->model->steps[s].panels});
        pass->tally->pieces++;
    }
}

/* ---------------------------------------------------------------- head */
void mnc_pass_penalties(const mnc_pass *pass) {
    const mnc_model *model = pass->model;
    double *penalties = (double *)mnc_scratch(pass, pass->plan->penalties);
    size_t begin, end, index = 0;
    mnc_split(pass->plan->n_panels, 1, pass->team->size, pass->thread, &begin, &end);
    for (size_t s = 0; s < model->n_steps; s++) {
        const mnc_step *step = &model->steps[s];
        if (step->layer.kind != MNC_DENSE) continue;
        for (size_t panel = 0; panel < step->panels; panel++, index++)
            if (index >= begin && index < end) penalties[index] = mnc_panel_penalty(model, step, panel);
    }
}

void mnc_pass_head_rows(const mnc_pass *pass, bool delta, mnc_real *outputs, size_t row0, size_t row1) {
    const mnc_model *model = pass->model;
    const mnc_data *data = pass->data;
    const size_t last = model->n_steps - 1;
    const mnc_step *step = &model->steps[last];
    const mnc_head_args head = {.head = model->spec.head,
                                .a = mnc_activations(pass, last),
                                .f = step->has_f && delta ? mnc_scratch(pass, pass->plan->f[last]) : NULL,
                                .ld = step->ld,
                                .classes = step->outputs,
                                .row0 = row0,
                                .row1 = row1,
                                .ids = pass->ids,
                                .first = pass->first,
                                .labels = data->labels,
                                .targets = data->targets,
                                .weights = data->weights,
                                .smoothing = model->spec.label_smoothing,
                                .batch = pass->batch,
                                .outputs = outputs,
                                .raw_outputs = model->spec.outputs_are_logits,
                                .delta = delta ? mnc_scratch(pass, pass->plan->delta[last]) : NULL,
                                .losses = (double *)mnc_scratch(pass, pass->plan->losses),
                                .correct = (uint8_t *)mnc_scratch(pass, pass->plan->correct),
                                .scratch = mnc_thread_scratch(pass, pass->plan->head)};
    model->kernels->head(&head);
}

void mnc_pass_head(const mnc_pass *pass, bool delta, mnc_real *outputs) {
    size_t row0, row1;
    mnc_split(pass->rows, 16, pass->team->size, pass->thread, &row0, &row1);
    mnc_pass_head_rows(pass, delta, outputs, row0, row1);
    if (!pass->inference) mnc_pass_penalties(pass);
}

size_t mnc_pass_correct(const mnc_pass *pass) {
    const char *correct = mnc_scratch(pass, pass->plan->correct);
    size_t count = 0;
    for (size_t row = 0; row < pass->rows; row++) count += (size_t)correct[row];
    return count;
}

bool mnc_pass_finite(const mnc_pass *pass, double *loss_sum, double *penalty) {
    const double *penalties = (const double *)mnc_scratch(pass, pass->plan->penalties);
    *loss_sum = mnc_sum((const double *)mnc_scratch(pass, pass->plan->losses), pass->rows);
    *penalty = 0;
    for (size_t i = 0; i < pass->plan->n_panels; i++) *penalty += penalties[i];
    bool finite = isfinite(*loss_sum) && isfinite(*penalty);
    for (size_t t = 0; t < pass->team->size; t++) finite &= !*(mnc_scratch(pass, pass->plan->bad) + t * MNC_ALIGN);
    return finite;
}
