/* Scratch memory of passes, laid out once for the largest chunk seen.
 *
 *   for each step     a; but for inference f, delta, xhat of batch normalisation, a second a of step 0   [rows, ld]
 *   inputs            x [rows, ld_in], or records: of the index without dropped inputs, or found; twice columns of records
 *   for each row      loss, right or wrong;  for each panel its penalty
 *   for each thread   row pointers, a gradient block, the head's lanes, transposed deltas, those of some panels packed */
#include "net/net.h"

/* Columns pay from so many rows on: with fewer, the lists are so short that their ends, which no CPU predicts, cost as much
 * as the stores that they save. Up to so many rows, there is room for both sets, 4 bytes for each input. */
enum { MNC_LEAST_TURNED = 32, MNC_MOST_TURNED = 2048 };

size_t mnc_plan_chunk(const mnc_model *model, size_t batch, bool training) {
    if (training && model->has_norm) return batch;
    return batch < model->spec.reduce_rows ? batch : model->spec.reduce_rows;
}

static size_t reserve_matrix(mnc_layout *layout, size_t rows, size_t ld, size_t real_size) {
    size_t count = 0;
    if (!mnc_size_mul(rows, ld, &count)) layout->overflow = true;
    return mnc_reserve(layout, count, real_size);
}

static size_t widest(const mnc_model *model) {
    size_t ld = mnc_round16(model->spec.inputs);
    for (size_t s = 0; s < model->n_steps; s++) ld = model->steps[s].ld > ld ? model->steps[s].ld : ld;
    return ld;
}

static void lay_out_steps(const mnc_model *model, mnc_plan *plan, mnc_layout *layout) {
    const size_t size = model->kernels->real_size;
    for (size_t s = 0; s < model->n_steps; s++) {
        const mnc_step *step = &model->steps[s];
        const size_t training_rows = plan->inference ? 0 : plan->rows;
        plan->a[s] = reserve_matrix(layout, plan->rows, step->ld, size);
        if (s == 0) {
            plan->first_a[0] = plan->first_a[1] = plan->a[0];
            if (!plan->inference) plan->first_a[1] = reserve_matrix(layout, plan->rows, step->ld, size);
        }
        plan->f[s] = reserve_matrix(layout, step->has_f ? training_rows : 0, step->ld, size);
        plan->delta[s] = reserve_matrix(layout, training_rows, step->ld, size);
        plan->xhat[s] = reserve_matrix(layout, step->layer.kind == MNC_NORM ? training_rows : 0, step->ld, size);
        plan->n_panels += step->layer.kind == MNC_DENSE ? step->panels : 0;
    }
    plan->norm_vector = widest(model) * size;
    plan->norm_stride = MNC_NORM_VECTORS * plan->norm_vector;
    plan->norm = mnc_reserve(layout, model->has_norm ? model->n_steps : 0, plan->norm_stride);
}

static void lay_out_inputs(const mnc_model *model, mnc_plan *plan, mnc_layout *layout, const mnc_data *data) {
    const size_t size = model->kernels->real_size, ld = mnc_round16(model->spec.inputs);
    plan->x = reserve_matrix(layout, plan->sparse ? 0 : plan->rows, ld, size);
    plan->dx = reserve_matrix(layout, plan->with_dx ? plan->rows : 0, ld, size);
    plan->record_stride = mnc_feature_blocks(data->features) + data->features;
    plan->records = reserve_matrix(layout, plan->sparse && plan->assembled ? plan->rows : 0, plan->record_stride,
                                   sizeof(mnc_sparse_row));
    if (plan->turned) {
        const size_t together = mnc_turn_rows(model->steps[0].panels);
        const size_t bounds = (plan->rows + together - 1) / together * data->features;
        mnc_layout own = {0, false};
        mnc_reserve(&own, plan->rows * data->features, sizeof(uint16_t)); /* at 0 */
        plan->columns_begin = mnc_reserve(&own, bounds, sizeof(uint32_t));
        plan->columns_end = mnc_reserve(&own, bounds, sizeof(uint32_t));
        for (int i = 0; i < 2; i++) plan->columns[i] = mnc_reserve(layout, own.bytes, 1);
        layout->overflow |= own.overflow;
    }
    plan->table = mnc_reserve(layout, 256, size);
    plan->losses = mnc_reserve(layout, plan->rows, sizeof(double));
    plan->correct = mnc_reserve(layout, plan->rows, 1);
    plan->penalties = mnc_reserve(layout, plan->n_panels, sizeof(double));
    plan->bad = mnc_reserve(layout, plan->threads, MNC_ALIGN);
    plan->squares = mnc_reserve(layout, plan->inference ? 0 : mnc_clip_blocks(model), sizeof(double));
}

static void lay_out_threads(const mnc_model *model, mnc_plan *plan, mnc_layout *layout) {
    const size_t size = model->kernels->real_size, ld = widest(model);
    mnc_layout own = {0, false};
    plan->row_pointers = mnc_reserve(&own, plan->sparse ? plan->rows : 0, sizeof(mnc_sparse_row *));
    plan->head = reserve_matrix(&own, 3 * (size_t)MNC_PANEL, model->steps[model->n_steps - 1].ld, size);
    if (!plan->inference) {
        plan->gradient = mnc_reserve(&own, (size_t)MNC_GRADIENT_BLOCKS * MNC_FEATURE_BLOCK * MNC_PANEL, size);
        const size_t rows = plan->rows < MNC_DELTA_ROWS ? (plan->rows + 31) / 32 * 32 : MNC_DELTA_ROWS;
        plan->transposed = reserve_matrix(&own, rows, ld, size);
        plan->packed =
            reserve_matrix(&own, plan->by_columns ? plan->rows : 0, (size_t)MNC_SPARSE_PANELS * MNC_PANEL, size);
    }
    plan->thread_stride = own.bytes;
    plan->thread = mnc_reserve(layout, plan->threads, own.bytes);
    layout->overflow |= own.overflow;
}

/* True if `have` serves every pass that `need` would. */
static bool serves(const mnc_plan *have, const mnc_plan *need) {
    return have->arena && have->rows >= need->rows && have->threads >= need->threads && have->sparse == need->sparse &&
           have->found == need->found && have->assembled == need->assembled && have->inference == need->inference &&
           have->turned == need->turned && have->by_columns == need->by_columns && (have->with_dx || !need->with_dx);
}

mnc_status mnc_plan_prepare(const mnc_model *model, mnc_plan *plan, const mnc_data *data, const mnc_plan_need *what,
                            mnc_error *err) {
    mnc_plan need = {.rows = what->rows,
                     .threads = what->threads,
                     .inference = what->inference,
                     .sparse = (data->offsets || what->found) && model->steps[0].layer.kind == MNC_DENSE &&
                               (what->inference || model->spec.input_noise == 0),
                     .with_dx = what->with_dx};
    need.found = need.sparse && !data->offsets;
    need.assembled = !need.sparse || need.found || (!need.inference && model->spec.input_dropout > 0);
    const size_t panels = model->steps[0].panels;
    need.by_columns = need.sparse && !need.inference && need.rows >= MNC_LEAST_TURNED && need.rows <= MNC_MOST_TURNED &&
                      model->spec.reduce_rows % mnc_turn_rows(panels) == 0;
    if (need.assembled || !what->in_groups || data->turned.rows != mnc_turn_rows(panels)) {
        need.by_columns &= panels > 1;
        need.turned = need.by_columns;
    }
    if (serves(plan, &need)) return MNC_OK;
    void *offsets = NULL, *arena = NULL;
    mnc_status status = mnc_allocate_array(&offsets, 4 * model->n_steps, sizeof(size_t), err);
    if (status != MNC_OK) return status;
    need.offsets = offsets;
    need.a = need.offsets;
    need.f = need.a + model->n_steps;
    need.delta = need.f + model->n_steps;
    need.xhat = need.delta + model->n_steps;
    mnc_layout layout = {0, false};
    lay_out_steps(model, &need, &layout);
    lay_out_inputs(model, &need, &layout, data);
    lay_out_threads(model, &need, &layout);
    status = mnc_allocate_layout(&arena, &layout, err);
    need.arena = arena;
    if (status != MNC_OK) {
        mnc_plan_release(&need);
        return status;
    }
    mnc_plan_release(plan);
    *plan = need;
    return MNC_OK;
}

void mnc_plan_release(mnc_plan *plan) {
    mnc_release(plan->arena);
    mnc_release(plan->offsets);
    *plan = (mnc_plan){0};
}

/* In vector operations, each about a cycle. A thread should have work for several times the two barriers of a step. */
size_t mnc_plan_team(const mnc_model *model, const mnc_data *data, size_t rows, bool training) {
    const double enough = 6000;
    const bool sparse = data->offsets && !(training && model->spec.input_noise > 0);
    double work = 0, parameters = 0;
    for (size_t s = 0; s < model->n_steps; s++) {
        const mnc_step *step = &model->steps[s];
        const double products = step->layer.kind == MNC_DENSE ? (double)step->inputs * (double)step->panels : 0;
        const double share = sparse && s == 0 ? (double)data->nonzeros / ((double)data->n * (double)data->features) : 1;
        work += (double)rows * (products * share + 4 * (double)step->panels);
        parameters += products;
    }
    if (training) work = 3 * work + 10 * parameters;
    const size_t threads = mnc_pool_threads(model->context->pool);
    const double worth = work / enough;
    return worth < 1 ? 1 : worth < (double)threads ? (size_t)worth : threads;
}
