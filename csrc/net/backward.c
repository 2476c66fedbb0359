/* From the head's delta to the deltas of all steps: the same loop, backwards. delta[s] is the derivative of the loss with
 * respect to the pre-activation of step s: delta[s - 1] = (delta[s] through step s) * f[s - 1]. */
#include "net/net.h"

/* Where the delta of step s's inputs goes, and the f that belongs to it. */
typedef struct {
    char *delta;
    const char *f;
} target;

static target inputs_of(const mnc_pass *pass, size_t s) {
    const mnc_plan *plan = pass->plan;
    if (s == 0) return (target){pass->input_gradient ? mnc_scratch(pass, plan->dx) : NULL, NULL};
    return (target){mnc_scratch(pass, plan->delta[s - 1]),
                    pass->model->steps[s - 1].has_f ? mnc_scratch(pass, plan->f[s - 1]) : NULL};
}

static void backward_dense(const mnc_pass *pass, size_t s, target to, size_t row0, size_t row1) {
    const mnc_model *model = pass->model;
    const mnc_step *step = &model->steps[s];
    const mnc_product product = {.weights = mnc_at(model, model->values, step->weights),
                                 .panel_size = step->panel_size,
                                 .inputs = step->inputs,
                                 .z = to.delta,
                                 .ldz = step->ld_in,
                                 .row0 = row0,
                                 .row1 = row1,
                                 .panel1 = step->panels};
    pass->tally->counters.dense_delta++;
    model->kernels->dense_delta(&product, mnc_scratch(pass, pass->plan->delta[s]), step->ld, step->outputs, to.f,
                                mnc_thread_scratch(pass, pass->plan->transposed));
}

static void backward_norm(const mnc_pass *pass, size_t s, target to) {
    const mnc_model *model = pass->model;
    const mnc_step *step = &model->steps[s];
    mnc_norm norm = {.xhat = mnc_scratch(pass, pass->plan->xhat[s]),
                     .ld = step->ld,
                     .rows = pass->rows,
                     .cut = model->spec.reduce_rows,
                     .gamma = step->layer.scale ? mnc_at(model, model->values, step->gamma) : NULL,
                     .inv = mnc_norm_vector(pass, s, MNC_NORM_INV),
                     .frozen = !pass->training,
                     .delta = mnc_scratch(pass, pass->plan->delta[s]),
                     .dgamma = mnc_norm_vector(pass, s, MNC_NORM_DGAMMA),
                     .dbeta = mnc_norm_vector(pass, s, MNC_NORM_DBETA),
                     .dx = to.delta,
                     .f = to.f};
    mnc_split(step->panels, 1, pass->team->size, pass->thread, &norm.panel0, &norm.panel1);
    mnc_team_barrier(pass->team); /* deltas came by rows */
    if (!mnc_pass_stopped(pass)) model->kernels->norm_backward(&norm);
    mnc_team_barrier(pass->team); /* and are needed by rows again */
}

static bool rows_finite(const mnc_pass *pass, size_t s, size_t row0, size_t row1) {
    const size_t ld = pass->model->steps[s].ld;
    const char *delta = mnc_scratch(pass, pass->plan->delta[s]);
    return pass->model->kernels->finite((row1 - row0) * ld, mnc_at(pass->model, delta, row0 * ld));
}

/* False if the delta of step s is not finite in these rows. */
static bool backward_step(const mnc_pass *pass, size_t s, size_t row0, size_t row1) {
    const mnc_model *model = pass->model;
    const mnc_step *step = &model->steps[s];
    const target to = inputs_of(pass, s);
    const bool finite = rows_finite(pass, s, row0, row1);
    for (size_t row = row0, end; to.delta && row < row1 && !mnc_pass_stopped(pass); row = end) {
        end = mnc_piece_end(row, row1);
        if (step->layer.kind == MNC_DENSE)
            backward_dense(pass, s, to, row, end);
        else
            model->kernels->multiply(to.delta, mnc_scratch(pass, pass->plan->delta[s]), to.f, step->ld, row, end);
    }
    return finite;
}

bool mnc_pass_backward_rows(const mnc_pass *pass, size_t row0, size_t row1) {
    bool finite = true;
    for (size_t s = pass->model->n_steps; s-- > 0;) finite &= backward_step(pass, s, row0, row1);
    return finite;
}

void mnc_pass_say_finite(const mnc_pass *pass, bool finite) {
    *(mnc_scratch(pass, pass->plan->bad) + pass->thread * MNC_ALIGN) = !finite;
}

void mnc_pass_backward(const mnc_pass *pass) {
    bool finite = true;
    size_t row0, row1;
    mnc_split(pass->rows, 16, pass->team->size, pass->thread, &row0, &row1);
    for (size_t s = pass->model->n_steps; s-- > 0;) {
        if (pass->model->steps[s].layer.kind == MNC_NORM) {
            finite &= rows_finite(pass, s, row0, row1);
            backward_norm(pass, s, inputs_of(pass, s));
        } else {
            finite &= backward_step(pass, s, row0, row1);
        }
    }
    if (pass->input_gradient) mnc_pass_drop_inputs(pass, mnc_scratch(pass, pass->plan->dx), row0, row1);
    mnc_pass_say_finite(pass, finite);
}
