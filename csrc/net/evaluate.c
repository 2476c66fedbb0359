/* Inference: each thread takes its own rows through all steps, a block at a time, as a team of its own: it meets nobody. */
#include <string.h>

#include "net/net.h"

enum { BLOCK = 128 }; /* rows whose activations stay in the second-level cache */

typedef struct {
    mnc_model *model;
    const mnc_data *data;
    size_t first, n;
    char *outputs;
    double *losses;
} run;

static void run_part(void *argument, const mnc_team *team, size_t thread) {
    const run *r = argument;
    const size_t classes = r->model->steps[r->model->n_steps - 1].outputs;
    const mnc_team alone = {team->pool, 1};
    mnc_pass pass = {.model = r->model,
                     .plan = &r->model->tally[thread].infer,
                     .data = r->data,
                     .team = &alone,
                     .tally = &r->model->tally[thread],
                     .batch = 1,
                     .inference = true};
    size_t begin, end;
    mnc_split(r->n, 16, team->size, thread, &begin, &end);
    for (size_t done = begin; done < end; done += BLOCK) {
        pass.first = pass.batch_first = r->first + done;
        pass.rows = end - done < BLOCK ? end - done : BLOCK;
        mnc_pass_inputs(&pass);
        mnc_pass_forward(&pass);
        mnc_pass_head(&pass, false, r->outputs ? mnc_at(r->model, r->outputs, done * classes) : NULL);
        if (r->losses) memcpy(r->losses + done, mnc_scratch(&pass, pass.plan->losses), pass.rows * sizeof *r->losses);
        if (r->data->columns) pass.tally->correct += mnc_pass_correct(&pass);
    }
}

mnc_status mnc_evaluate(mnc_model *model, const mnc_data *data, size_t first, size_t n, void *outputs, double *losses,
                        uint64_t *correct, mnc_error *err) {
    run r = {.model = model, .data = data, .first = first, .n = n, .outputs = outputs, .losses = losses};
    mnc_status status = mnc_data_check(model, data, losses || correct, err);
    if (status != MNC_OK) return status;
    if (n > data->n || first > data->n - n)
        return mnc_fail(err, MNC_INVALID, "%zu rows from row %zu on were asked for, the data has %zu", n, first,
                        data->n);
    if (n == 0) return MNC_OK;
    const size_t worth = mnc_plan_team(model, data, n, false), parts = (n + 15) / 16; /* as run_part cuts */
    const size_t wanted = worth < parts ? worth : parts;
    const bool found = data->view && mnc_data_mostly_zero(data, first, n);
    const mnc_plan_need need = {.rows = n < BLOCK ? n : BLOCK, .threads = 1, .inference = true, .found = found};
    for (size_t t = 0; t < wanted && status == MNC_OK; t++) {
        status = mnc_plan_prepare(model, &model->tally[t].infer, data, &need, err);
        model->tally[t].correct = 0;
    }
    if (status != MNC_OK) return status;
    const size_t threads = mnc_context_run(model->context, wanted, run_part, &r);
    if (model->workers < threads) model->workers = threads;
    for (size_t t = 0; correct && t < threads; t++) *correct += model->tally[t].correct;
    return MNC_OK;
}
