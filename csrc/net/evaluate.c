/* Inference: each thread takes its own rows through all steps, a block at a time, as a team of its own: it meets nobody. */
#include <string.h>

#include "net/net.h"

enum { BLOCK = 128 }; /* rows whose activations stay in the second-level cache */

typedef struct {
    mnc_model *model;
    mnc_desk *desk;
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
                     .plan = &r->desk->seat[thread].plan,
                     .data = r->data,
                     .team = &alone,
                     .tally = &r->desk->seat[thread].tally,
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
        if (r->data->columns) r->desk->seat[thread].correct += mnc_pass_correct(&pass);
    }
}

/* Desks are only ever added, so that whoever looks for one needs no lock. */
static mnc_desk *take_desk(mnc_model *model, mnc_error *err) {
    for (mnc_desk *desk = mnc_desks(model); desk; desk = desk->next)
        if (!atomic_flag_test_and_set(&desk->taken)) return desk;
    void *block = NULL;
    if (mnc_allocate(&block, sizeof(mnc_desk), err) != MNC_OK) return NULL;
    mnc_desk *const desk = block;
    atomic_flag_test_and_set(&desk->taken);
    desk->next = mnc_desks(model);
    while (!atomic_compare_exchange_weak(&model->desks, &desk->next, desk)) {
    }
    return desk;
}

static mnc_status evaluate_at(run *r, size_t wanted, uint64_t *correct, mnc_error *err) {
    const bool found = r->data->view && mnc_data_mostly_zero(r->data, r->first, r->n);
    const mnc_plan_need need = {.rows = r->n < BLOCK ? r->n : BLOCK, .threads = 1, .inference = true, .found = found};
    for (size_t t = 0; t < wanted; t++) {
        const mnc_status status = mnc_plan_prepare(r->model, &r->desk->seat[t].plan, r->data, &need, err);
        if (status != MNC_OK) return status;
        r->desk->seat[t].correct = 0;
    }
    const size_t threads = mnc_context_run(r->model->context, wanted, run_part, r);
    if (r->desk->workers < threads) r->desk->workers = threads;
    for (size_t t = 0; correct && t < threads; t++) *correct += r->desk->seat[t].correct;
    return MNC_OK;
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
    r.desk = take_desk(model, err);
    if (!r.desk) return MNC_NO_MEMORY;
    status = evaluate_at(&r, worth < parts ? worth : parts, correct, err);
    atomic_flag_clear(&r.desk->taken);
    return status;
}
