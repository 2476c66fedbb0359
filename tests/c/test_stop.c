/* A call that its caller ends changes nothing, whenever that is, and training goes on to the same bits. */
#include "networks.h"

#ifdef MNC_TEST_SHORT /* all would take minutes under a sanitizer */
enum { SHORT = 1, MOST_STOPS = 4 };
#else
enum { SHORT = 0, MOST_STOPS = 20 };
#endif

typedef struct {
    size_t asked, yes; /* the number of the first question whose answer is yes */
} answers;

static bool stop_at(void *argument) {
    answers *a = argument;
    return a->asked++ >= a->yes;
}

typedef struct {
    mnc_model *model;
    mnc_job job;
    mnc_stop stop;
    answers answers;
} training;

static training begin(mnc_context *context, const network *net, const mnc_data *data) {
    return (training){new_learner(context, net),
                      {.data = data, .n = net->rows, .batch_size = net->batch, .rate = net->rate},
                      .answers = {0, SIZE_MAX}};
}

/* Trains until it is done, but gives up at every `every`-th question. Returns how often. */
static size_t train(training *t, size_t every) {
    const size_t batches = (t->job.n + t->job.batch_size - 1) / t->job.batch_size;
    size_t stops = 0;
    mnc_error err;
    t->stop = (mnc_stop){stop_at, &t->answers};
    t->job.stop = &t->stop;
    while (t->job.batches_done < batches) {
        const mnc_job before = t->job;
        const uint64_t hash = mnc_model_hash(t->model), step = mnc_model_progress(t->model).step;
        t->answers = (answers){0, every ? every - 1 + stops : SIZE_MAX}; /* later each time, so that it ends */
        need(mnc_fit(t->model, &t->job, &err), &err);
        CHECK(mnc_model_progress(t->model).step - step == t->job.batches_done - before.batches_done,
              "steps and batches are not the same number");
        if (t->job.batches_done == batches) break;
        stops++;
        CHECK(t->job.batches_done > before.batches_done || mnc_model_hash(t->model) == hash,
              "question %zu: a batch that was given up changed the weights", t->answers.asked);
        CHECK(t->job.batches_done > before.batches_done || t->job.rows_done == before.rows_done,
              "question %zu: a batch that was given up was counted", t->answers.asked);
    }
    return stops;
}

static void check_network(const network *net, size_t threads) {
    mnc_context *context = new_context(NULL, threads);
    const material m = new_material(net, 7);
    mnc_data *data = new_data(context, net, &m, MNC_UINT8);
    training whole = begin(context, net, data);
    train(&whole, 0);
    CHECK(whole.answers.asked > 4 * whole.job.batches_done, "%s: only %zu questions", net->name, whole.answers.asked);
    for (size_t every = SHORT ? 7 : 1; every <= 7; every += 3) {
        training t = begin(context, net, data);
        const size_t stops = train(&t, every);
        CHECK(stops > 0, "%s: nothing was given up", net->name);
        CHECK(same_part(t.model, whole.model, net, MNC_VALUE) && same_part(t.model, whole.model, net, MNC_SLOT0),
              "%s, %zu threads: given up at every question %zu, it learned something else", net->name, threads, every);
        CHECK(t.job.loss_sum == whole.job.loss_sum && t.job.correct == whole.job.correct, "%s: other sums", net->name);
        mnc_model_destroy(t.model);
    }
    mnc_model_destroy(whole.model);
    mnc_data_destroy(data);
    free_material(m);
    mnc_context_destroy(context);
}

/* ---------------------------------------------------------------- other calls */

/* Ends a call at each of its questions, or at some of them. `same` says whether all is as before then. */
#define CHECK_STOPS(call, same, what)                                                                              \
    do {                                                                                                           \
        answers a = {0, SIZE_MAX};                                                                                 \
        const mnc_stop stop = {stop_at, &a};                                                                       \
        mnc_error err;                                                                                             \
        need(call, &err);                                                                                          \
        const size_t asked = a.asked, step = 1 + asked / MOST_STOPS;                                               \
        CHECK(asked > 1, "%s asks %zu times", what, asked);                                                        \
        for (size_t yes = 0; yes < asked; yes += step) {                                                           \
            a = (answers){0, yes};                                                                                 \
            const mnc_status status = call;                                                                        \
            CHECK(status == MNC_STOPPED, "%s ended with status %d, not at question %zu of %zu", what, (int)status, \
                  yes, asked);                                                                                     \
            CHECK(a.asked == yes + 1, "%s asked again after a yes", what);                                         \
            CHECK(same, "%s was ended at question %zu and changed something", what, yes);                          \
        }                                                                                                          \
    } while (0)

static void check_data(mnc_context *context, const network *net, const material *m) {
    const mnc_element elements[] = {MNC_UINT8, MNC_REAL32, MNC_REAL64};
    for (size_t i = 0; i < 3; i++) {
        mnc_data *data = NULL;
        CHECK_STOPS((mnc_data_destroy(data), data = NULL,
                     mnc_data_create(&data, context, MNC_FLOAT32, elements[i], inputs_as(m, elements[i]), net->rows,
                                     net->inputs, NULL, &stop, &err)),
                    data == NULL, "mnc_data_create");
        mnc_data_destroy(data);
    }
}

static void check_optimizer(mnc_context *context, const network *net, const mnc_data *data) {
    mnc_model *model = new_learner(context, net), *twin = new_learner(context, net);
    mnc_optimizer adagrad;
    mnc_error err;
    mnc_optimizer_defaults(&adagrad, MNC_ADAGRAD);
    adagrad.use_ema = true;
    mnc_model *spare = new_model(context, net);
    answers a = {0, SIZE_MAX};
    const mnc_stop stop = {stop_at, &a};
    need(mnc_model_set_optimizer(spare, &adagrad, &stop, &err), &err);
    const size_t asked = a.asked;
    CHECK(asked >= 2, "mnc_model_set_optimizer asks %zu times", asked);
    mnc_model_destroy(spare);
    for (size_t yes = 0; yes <= asked; yes++) { /* a batch before each, and one after the last */
        for (int which = 0; which < 2; which++) {
            mnc_job job = {.data = data, .n = 64, .batch_size = 64, .rate = net->rate};
            need(mnc_fit(which ? twin : model, &job, &err), &err);
        }
        a = (answers){0, yes};
        if (yes < asked)
            CHECK(mnc_model_set_optimizer(model, &adagrad, &stop, &err) == MNC_STOPPED, "not at question %zu", yes);
    }
    CHECK(same_part(model, twin, net, MNC_VALUE) && same_part(model, twin, net, MNC_SLOT0) &&
              same_part(model, twin, net, MNC_SLOT1) &&
              mnc_model_progress(model).optimizer_step == mnc_model_progress(twin).optimizer_step,
          "an optimizer that was not set changed the one before");
    mnc_model_destroy(model);
    mnc_model_destroy(twin);
}

static void check_single_passes(mnc_context *context, const network *net, const mnc_data *data) {
    mnc_model *model = new_model(context, net), *twin = new_model(context, net);
    double loss = 0, whole = 0;
    mnc_error failure;
    void *outputs = malloc(net->rows * net->outputs * size_of(net));
    const uint64_t hash = mnc_model_hash(model);
    CHECK_STOPS(mnc_gradients(model, data, NULL, net->rows, true, &loss, NULL, &stop, &err),
                mnc_model_hash(model) == hash, "mnc_gradients");
    need(mnc_gradients(model, data, NULL, net->rows, true, &loss, NULL, NULL, &failure), &failure);
    need(mnc_gradients(twin, data, NULL, net->rows, true, &whole, NULL, NULL, &failure), &failure);
    CHECK(loss == whole && same_part(model, twin, net, MNC_GRADIENT), "other gradients after calls that were ended");
    need(mnc_forward_training(model, data, NULL, net->rows, true, outputs, NULL, &failure), &failure);
    const uint64_t moved = mnc_model_hash(model);
    CHECK((moved != hash) == net->norm, "moving statistics that move, or not");
    CHECK_STOPS(mnc_forward_training(model, data, NULL, net->rows, a.yes != SIZE_MAX, outputs, &stop, &err),
                mnc_model_hash(model) == moved, "mnc_forward_training");
    free(outputs);
    mnc_model_destroy(model);
    mnc_model_destroy(twin);
}

/* Where the gradients of a chunk take long, they are stored before the first weight changes. */
static void check_stored_gradients(size_t threads) {
    const network net = {.name = "stored",
                         .inputs = 16,
                         .outputs = 10,
                         .widths = {2048, 2048},
                         .rows = 512,
                         .batch = 512,
                         .optimizer = MNC_ADAM,
                         .activation = MNC_RELU,
                         .l2 = 1e-4,
                         .rate = 1e-3};
    mnc_context *context = new_context(NULL, threads);
    const material m = new_material(&net, 5);
    mnc_data *data = new_data(context, &net, &m, MNC_UINT8);
    training stored = begin(context, &net, data);
    mnc_model *fused = new_learner(context, &net), *spare = new_learner(context, &net);
    mnc_job job = {.data = data, .n = net.rows, .batch_size = net.batch, .rate = net.rate}, again = job;
    mnc_error err;
    need(mnc_fit(fused, &job, &err), &err);
    const mnc_stop stop = {stop_at, &stored.answers};
    again.stop = stored.job.stop = &stop;
    need(mnc_fit(spare, &again, &err), &err);
    const size_t asked = stored.answers.asked, at[] = {asked - 1, asked - 2, asked / 2};
    CHECK(mnc_model_counters(spare).stores > 0 && mnc_model_counters(fused).stores == 0, "which one stores gradients?");
    const uint64_t hash = mnc_model_hash(stored.model);
    for (size_t i = 0; i < 3; i++) {
        stored.answers = (answers){0, at[i]};
        need(mnc_fit(stored.model, &stored.job, &err), &err);
        CHECK(stored.job.batches_done == 0 && mnc_model_hash(stored.model) == hash,
              "question %zu of %zu: a batch whose gradients were stored changed the weights", at[i], asked);
    }
    stored.answers = (answers){0, SIZE_MAX};
    need(mnc_fit(stored.model, &stored.job, &err), &err);
    CHECK(same_part(stored.model, fused, &net, MNC_VALUE) && same_part(stored.model, fused, &net, MNC_SLOT1),
          "stored gradients gave other weights, with %zu threads", threads);
    mnc_model_destroy(stored.model);
    mnc_model_destroy(fused);
    mnc_model_destroy(spare);
    mnc_data_destroy(data);
    free_material(m);
    mnc_context_destroy(context);
}

static void check_other_calls(const network *net, size_t threads) {
    mnc_context *context = new_context(NULL, threads);
    const material m = new_material(net, 7);
    mnc_data *data = new_data(context, net, &m, MNC_UINT8);
    check_data(context, net, &m);
    check_optimizer(context, net, data);
    check_single_passes(context, net, data);
    mnc_data_destroy(data);
    free_material(m);
    mnc_context_destroy(context);
}

int main(void) {
    network nets[] = {
        {.name = "in chunks", .batch = 4096}, /* dealt out where there are threads */
        {.name = "with stored gradients", .batch = 4096, .clipnorm = 0.01},
        {.name = "with batch normalisation", .batch = 4096, .norm = true, .dropout = 0.2},
        {.name = "with dropped inputs", .batch = 4096, .input_dropout = 0.2},
        {.name = "wide", .batch = 128},
    };
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        network *net = &nets[i];
        const bool wide = net->batch == 128;
        net->inputs = 200;
        net->outputs = 10;
        net->widths[0] = wide ? 600 : 40;
        net->widths[1] = wide ? 300 : 24;
        net->rows = net->batch + net->batch / 2;
        net->activation = MNC_RELU;
        net->optimizer = MNC_ADAM;
        net->rate = 1e-3;
        for (size_t threads = SHORT ? 3 : 1; threads <= 3; threads += 2) {
            check_network(net, threads);
            check_other_calls(net, threads);
        }
    }
    for (size_t threads = 1; threads <= 3 && !SHORT; threads += 2) check_stored_gradients(threads);
    return minitest_end("");
}
