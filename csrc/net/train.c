/* The training loop and its single steps: every thread of the team runs the same code on its own part of a pass. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <string.h>
#include <time.h>

#include "net/net.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static mnc_status prepare(mnc_model *model, const mnc_data *data, size_t batch, bool training, bool with_dx,
                          bool in_groups, mnc_error *err) {
    const mnc_plan_need need = {.rows = mnc_plan_chunk(model, batch, training),
                                .threads = mnc_pool_threads(model->context->pool),
                                .with_dx = with_dx,
                                .in_groups = in_groups};
    return mnc_plan_prepare(model, &model->train, data, &need, err);
}

/* With at most the threads that the plan has scratch for: the pool may have been given more meanwhile. */
static size_t run_team(mnc_model *model, size_t wanted, mnc_task task, void *run) {
    const size_t most = wanted < model->train.threads ? wanted : model->train.threads;
    const size_t team = mnc_context_run(model->context, most, task, run);
    if (model->workers < team) model->workers = team;
    return team;
}

/* Where other programs want the CPUs, a team waits at every barrier for a thread that is not running, and one thread alone
 * may be faster. So short trials come first: of the team, whose threads may have slept, of one thread, and of the team
 * again. Then slices go to the faster one by its last pace, and the other one is tried now and then: the team after one
 * slice without it, since the moment may have been a bad one, then after twice as many, and so on. The bits are the same. */
static size_t pick_team(mnc_model *model, size_t wanted, double *seconds) {
    enum { LONGEST = 30 }; /* slices from trial to trial */
    mnc_pick *p = &model->pick;
    if (wanted == 1 || *seconds <= 0) return wanted;
    if (p->team != wanted) *p = (mnc_pick){.team = wanted, .first_trials = 3};
    const bool alone = p->pace[1] < p->pace[0];
    if (alone != p->alone) p->turn = 0;
    if (!alone) p->patience = 1;
    p->alone = alone;
    bool trial = true, next = alone;
    if (p->first_trials) {
        next = p->first_trials-- == 2;
    } else if (++p->turn > (alone ? p->patience : LONGEST)) {
        next = !alone;
        p->turn = 0;
        if (alone) p->patience = 2 * p->patience < LONGEST ? 2 * p->patience : LONGEST;
    } else {
        trial = false;
    }
    if (trial && *seconds > 0.01) *seconds = 0.01;
    return next ? 1 : wanted;
}

/* ---------------------------------------------------------------- fit */
typedef struct {
    mnc_model *model;
    mnc_job *job;
    double deadline; /* 0: none */
    bool stop[2];    /* by turns, since a slow thread may still read the last batch's */
    mnc_watch watch;
    bool given_up[2]; /* by turns, chunk by chunk: thread 0 says it before a barrier */
    bool dropped[2];  /* the same of stored gradients */
    bool stores;      /* the gradients of a step, before any is used */
    bool not_finite;
    size_t batches; /* done in this run */
    mnc_deal deal;
} fit_run;

/* One batch, chunk by chunk, the turn-th of those whose gradients make a step. False if it is not finite or was given
 * up; then nothing was changed. */
static bool fit_batch(fit_run *run, mnc_pass *pass, const mnc_update *update, size_t batch, uint64_t turn) {
    const uint64_t turns = mnc_turns(&run->model->optimizer);
    mnc_job *job = run->job;
    const size_t chunk = mnc_plan_chunk(run->model, pass->batch, true);
    double loss_sum = 0, penalty = 0;
    size_t correct = 0;
    for (size_t done = 0; done < pass->batch; done += chunk) {
        const size_t left = pass->batch - done;
        pass->first = pass->batch_first + done;
        pass->rows = left < chunk ? left : chunk;
        const size_t rest = job->n - pass->first - pass->rows;
        pass->following = rest < chunk ? rest : chunk;
        pass->parity ^= 1;
        mnc_pass_inputs(pass);
        if (pass->deal) {
            mnc_pass_deal(pass);
        } else {
            mnc_pass_forward(pass);
            mnc_pass_head(pass, true, NULL);
            mnc_pass_backward(pass);
        }
        if (pass->thread == 0) {
            run->stop[batch % 2] = run->deadline != 0 && now() > run->deadline;
            run->given_up[pass->parity] = mnc_pass_stopped(pass);
        }
        mnc_team_barrier(pass->team);
        double chunk_loss;
        if (run->given_up[pass->parity]) return false;
        if (!mnc_pass_finite(pass, &chunk_loss, &penalty)) {
            if (pass->thread == 0) run->not_finite = true;
            return false;
        }
        loss_sum += chunk_loss;
        if (pass->thread == 0) correct += mnc_pass_correct(pass);
        const bool last = left <= chunk && turn + 1 == turns;
        const mnc_sink sink = {.first = done == 0 && turn == 0,
                               .last = last,
                               .store = run->stores,
                               .free = turns == 1 && (run->stores || !last),
                               .total = mnc_total(run->model),
                               .share = turns > 1 ? 1 / (double)turns : 0,
                               .update = update};
        mnc_pass_update(pass, &sink);
        if (run->stores) {
            if (pass->thread == 0) run->dropped[pass->parity] = sink.free && mnc_pass_stopped(pass);
            mnc_team_barrier(pass->team);
            if (run->dropped[pass->parity]) return false;
            mnc_pass_statistics(pass);
            if (last) mnc_pass_apply(pass, update);
        }
        if (last && run->model->constrained) mnc_pass_constrain(pass, update);
    }
    if (pass->thread == 0) {
        job->loss_sum += loss_sum + penalty * (double)pass->batch;
        job->correct += correct;
        job->rows_done += pass->batch;
        run->batches++;
    }
    return true;
}

static void fit_task(void *argument, const mnc_team *team, size_t thread) {
    fit_run *run = argument;
    mnc_model *model = run->model;
    const mnc_job *job = run->job;
    const size_t begin = job->batches_done;
    const mnc_progress progress = model->progress;
    const uint64_t turns = mnc_turns(&model->optimizer);
    /* A later chunk of a batch adds to a sum that earlier batches are in, too: then it cannot be given up. */
    const size_t chunk = mnc_plan_chunk(model, job->batch_size, true);
    const bool free = turns == 1 || chunk == job->batch_size;
    mnc_pass pass = {.model = model,
                     .plan = &model->train,
                     .data = job->data,
                     .team = team,
                     .thread = thread,
                     .tally = &model->tally[thread],
                     .ids = job->order,
                     .training = true,
                     .watch = run->watch.stop && free ? &run->watch : NULL,
                     .deal = mnc_deal_pays(model, chunk < job->n ? chunk : job->n, team->size) ? &run->deal : NULL};
    for (size_t batch = begin; batch * job->batch_size < job->n; batch++) {
        const size_t left = job->n - batch * job->batch_size, ahead = batch - begin;
        mnc_update update;
        mnc_update_make(&update, &model->optimizer, job->rates ? job->rates[batch] : job->rate,
                        (progress.optimizer_step + ahead) / turns + 1);
        pass.step = progress.step + ahead;
        pass.batch_first = batch * job->batch_size;
        pass.batch = left < job->batch_size ? left : job->batch_size;
        if (!fit_batch(run, &pass, &update, batch, (progress.optimizer_step + ahead) % turns) || run->stop[batch % 2])
            return;
    }
}

static mnc_status check_order(const mnc_data *data, const uint32_t *order, size_t n, mnc_error *err) {
    if (n < 1 || (!order && n > data->n))
        return mnc_fail(err, MNC_INVALID, "%zu rows were asked for, the data has %zu", n, data->n);
    for (size_t i = 0; order && i < n; i++)
        if (order[i] >= data->n)
            return mnc_fail(err, MNC_INVALID, "order[%zu] is %u, the data has rows 0 ... %zu", i, order[i],
                            data->n - 1);
    return MNC_OK;
}

static mnc_status check_job(const mnc_model *model, const mnc_job *job, mnc_error *err) {
    const mnc_status status = mnc_data_check(model, job->data, true, err);
    if (status != MNC_OK) return status;
    if (!model->has_optimizer) return mnc_fail(err, MNC_INVALID, "set an optimizer before training");
    if (job->batch_size < 1)
        return mnc_fail(err, MNC_INVALID, "batch_size must be at least 1, not %zu", job->batch_size);
    const size_t batches = job->n / job->batch_size + (job->n % job->batch_size != 0);
    for (size_t i = 0; i < (job->rates ? batches : 1); i++) {
        const double rate = job->rates ? job->rates[i] : job->rate;
        if (!mnc_is_rate(rate)) return mnc_fail(err, MNC_INVALID, "the rate of batch %zu is %g", i, rate);
    }
    return check_order(job->data, job->order, job->n, err);
}

/* An arena for gradients, where a batch needs more than one chunk or somebody wants to see them. */
static mnc_status need_gradients(mnc_model *model, mnc_error *err) {
    void *gradients = NULL;
    if (model->gradients) return MNC_OK;
    const mnc_status status = mnc_allocate_array(&gradients, model->elements, model->kernels->real_size, err);
    model->gradients = gradients;
    return status;
}

/* Do the chunks of all batches begin and end with groups of the columns of the data? */
static bool in_groups(const mnc_model *model, const mnc_job *job, size_t batch) {
    const size_t rows = job->data->turned.rows;
    return rows && !job->order && model->spec.reduce_rows % rows == 0 && (batch == job->n || batch % rows == 0) &&
           (job->n == job->data->n || job->n % rows == 0);
}

/* Once weights change, a batch cannot be given up. So where it may be and its gradients alone would take some 50 ms on two
 * cores, in multiplications, they are stored before the first weight changes, for a few hundredths of its time. */
static const double MOST_FUSED = 2e9;

mnc_status mnc_fit(mnc_model *model, mnc_job *job, mnc_error *err) {
    mnc_status status = check_job(model, job, err);
    if (status != MNC_OK) return status;
    const size_t batch = job->batch_size < job->n ? job->batch_size : job->n;
    status = prepare(model, job->data, batch, true, false, in_groups(model, job, batch), err);
    if (status != MNC_OK) return status;
    const double products = (double)mnc_plan_chunk(model, batch, true) * (double)model->elements;
    fit_run run = {.model = model, .job = job, .stores = mnc_clips_norms(&model->optimizer)};
    if ((double)batch * (double)model->elements > 3e7) /* some milliseconds; others are over soon */
        run.watch.stop = job->stop;
    if (run.watch.stop && products > MOST_FUSED) run.stores = true;
    if (run.stores || batch > model->spec.reduce_rows) status = need_gradients(model, err);
    if (status != MNC_OK) return status;
    double seconds = job->seconds;
    const size_t wanted = pick_team(model, mnc_plan_team(model, job->data, batch, true), &seconds);
    const double start = now();
    run.deadline = seconds > 0 ? start + seconds : 0;
    const size_t team = run_team(model, wanted, fit_task, &run);
    if (run.batches) model->pick.pace[team == 1] = (now() - start) / (double)run.batches;
    job->batches_done += run.batches;
    model->progress.step += run.batches;
    model->progress.optimizer_step += run.batches;
    if (run.not_finite)
        return mnc_fail(err, MNC_NOT_FINITE, "the loss or a delta became infinite or NaN in batch %zu",
                        job->batches_done);
    return MNC_OK;
}

/* ---------------------------------------------------------------- one pass, for gradients and outputs */
typedef struct {
    mnc_model *model;
    const mnc_data *data;
    const uint32_t *order;
    size_t n;
    bool training, gradients, statistics;
    char *dx, *outputs;
    double loss;
    mnc_watch watch;
    bool given_up; /* thread 0 says it before a barrier */
} single_run;

static void copy_rows(const mnc_pass *pass, char *to, const char *from, size_t width, size_t ld) {
    const size_t size = pass->model->kernels->real_size;
    for (size_t row = 0; row < pass->rows; row++)
        memcpy(to + (pass->first + row) * width * size, from + row * ld * size, width * size);
}

static void single_task(void *argument, const mnc_team *team, size_t thread) {
    single_run *run = argument;
    mnc_model *model = run->model;
    mnc_pass pass = {.model = model,
                     .plan = &model->train,
                     .data = run->data,
                     .team = team,
                     .thread = thread,
                     .tally = &model->tally[thread],
                     .ids = run->order,
                     .batch = run->n,
                     .training = run->training,
                     .input_gradient = run->dx != NULL,
                     .watch = &run->watch,
                     .step = model->progress.step};
    const size_t chunk = mnc_plan_chunk(model, run->n, run->training);
    const size_t classes = model->steps[model->n_steps - 1].outputs;
    double loss_sum = 0, penalty = 0;
    for (size_t done = 0; done < run->n; done += chunk) {
        const size_t left = run->n - done;
        pass.first = done;
        pass.rows = left < chunk ? left : chunk;
        pass.parity ^= 1;
        mnc_pass_inputs(&pass);
        mnc_pass_forward(&pass);
        mnc_pass_head(&pass, run->gradients, run->outputs ? mnc_at(model, run->outputs, done * classes) : NULL);
        if (run->gradients) mnc_pass_backward(&pass);
        if (thread == 0) run->given_up = mnc_pass_stopped(&pass);
        mnc_team_barrier(team);
        if (run->given_up) return;
        if (run->gradients) {
            double chunk_loss;
            mnc_pass_finite(&pass, &chunk_loss, &penalty);
            loss_sum += chunk_loss;
            const mnc_sink sink = {
                .first = done == 0, .last = left <= chunk, .store = true, .free = true, .total = model->gradients};
            mnc_pass_update(&pass, &sink);
            if (run->dx && thread == 0)
                copy_rows(&pass, run->dx, mnc_scratch(&pass, pass.plan->dx), model->spec.inputs,
                          mnc_round16(model->spec.inputs));
        }
        if (run->statistics) mnc_pass_statistics(&pass);
        mnc_team_barrier(team);
    }
    if (thread == 0) run->loss = loss_sum / (double)run->n + penalty;
}

static mnc_status run_single(single_run *run, mnc_error *err) {
    mnc_model *model = run->model;
    mnc_status status = mnc_data_check(model, run->data, run->gradients, err);
    if (status == MNC_OK) status = check_order(run->data, run->order, run->n, err);
    if (status == MNC_OK) status = prepare(model, run->data, run->n, run->training, run->dx != NULL, false, err);
    if (status == MNC_OK && run->gradients) status = need_gradients(model, err);
    if (status != MNC_OK) return status;
    run_team(model, mnc_plan_team(model, run->data, run->n, true), single_task, run);
    return mnc_watch_status(&run->watch, err);
}

mnc_status mnc_gradients(mnc_model *model, const mnc_data *data, const uint32_t *order, size_t n, bool training,
                         double *loss, void *dx, const mnc_stop *stop, mnc_error *err) {
    single_run run = {.model = model,
                      .data = data,
                      .order = order,
                      .n = n,
                      .training = training,
                      .gradients = true,
                      .dx = dx,
                      .watch = {.stop = stop}};
    const mnc_status status = run_single(&run, err);
    if (status == MNC_OK && loss) *loss = run.loss;
    return status;
}

mnc_status mnc_forward_training(mnc_model *model, const mnc_data *data, const uint32_t *order, size_t n,
                                bool update_statistics, void *outputs, const mnc_stop *stop, mnc_error *err) {
    single_run run = {.model = model,
                      .data = data,
                      .order = order,
                      .n = n,
                      .training = true,
                      .statistics = update_statistics,
                      .outputs = outputs,
                      .watch = {.stop = stop}};
    return run_single(&run, err);
}
