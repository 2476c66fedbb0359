/* A batch that is given up changes nothing, whenever its caller asks for that, and training goes on to the same bits. */
#include "networks.h"

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
    answers answers;
} training;

static training begin(mnc_context *context, const network *net, const mnc_data *data) {
    return (training){new_learner(context, net),
                      {.data = data, .n = net->rows, .batch_size = net->batch, .rate = net->rate},
                      {0, SIZE_MAX}};
}

/* Trains until it is done, but gives up at every `every`-th question. Returns how often. */
static size_t train(training *t, size_t every) {
    const size_t batches = (t->job.n + t->job.batch_size - 1) / t->job.batch_size;
    size_t stops = 0;
    mnc_error err;
    t->job.stop = stop_at;
    t->job.stop_argument = &t->answers;
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
    for (size_t every = 1; every <= 7; every += 3) {
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

int main(void) {
    network nets[] = {
        {.name = "in chunks", .batch = 4096},
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
        for (size_t threads = 1; threads <= 3; threads += 2) check_network(net, threads);
    }
    return minitest_end("");
}
