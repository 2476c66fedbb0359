/* Many threads that read one model at once: each gets what one thread alone does, and no counter loses anything. Under the
 * thread sanitizer, scratch that two of them share is a reported race. */
#include <pthread.h>

#include "networks.h"

#ifdef MNC_TEST_SHORT
enum { THREADS = 4, ROUNDS = 12 };
#else
enum { THREADS = 16, ROUNDS = 200 };
#endif

typedef struct {
    mnc_model *model;
    const mnc_data *data, *view;
    const network *net;
    const float *outputs; /* of all rows */
    const double *losses;
    uint64_t hash;
    size_t seed;
    bool same;
} reader;

/* Rows first ... first + n - 1, from data with an index or without. */
static bool evaluate(const reader *r, const mnc_data *data, size_t first, size_t n) {
    const size_t classes = r->net->outputs;
    float *outputs = malloc(n * classes * sizeof *outputs);
    double *losses = malloc(n * sizeof *losses);
    uint64_t correct = 0;
    mnc_error err;
    need(mnc_evaluate(r->model, data, first, n, outputs, losses, &correct, &err), &err);
    const bool same = memcmp(outputs, r->outputs + first * classes, n * classes * sizeof *outputs) == 0 &&
                      memcmp(losses, r->losses + first, n * sizeof *losses) == 0;
    free(outputs);
    free(losses);
    return same;
}

static void *read_model(void *argument) {
    reader *r = argument;
    random_source random = {r->seed};
    r->same = true;
    for (size_t i = 0; i < ROUNDS; i++) {
        const size_t n = random_chance(&random, 4) ? random_between(&random, 1, r->net->rows) : 1;
        const size_t first = random_below(&random, r->net->rows - n + 1);
        r->same &= evaluate(r, random_chance(&random, 2) ? r->data : r->view, first, n);
        if (i % 8 == 0) r->same &= mnc_model_hash(r->model) == r->hash && mnc_model_penalty(r->model) > 0;
    }
    return NULL;
}

static uint64_t pieces(const mnc_model *model) {
    const mnc_counters counters = mnc_model_counters(model);
    return counters.sparse_forward;
}

static void check_readers(const network *net, size_t threads) {
    mnc_context *context = new_context(NULL, threads);
    const material m = new_material(net, 5);
    mnc_data *data = new_data(context, net, &m, MNC_UINT8), *view = new_view(context, net, &m, MNC_UINT8);
    mnc_model *model = new_learner(context, net);
    float *outputs = malloc(net->rows * net->outputs * sizeof *outputs);
    double *losses = malloc(net->rows * sizeof *losses);
    mnc_error err;
    need(mnc_evaluate(model, data, 0, net->rows, outputs, losses, NULL, &err), &err);
    const uint64_t before = pieces(model);
    pthread_t thread[THREADS];
    reader readers[THREADS];
    for (size_t t = 0; t < THREADS; t++) {
        readers[t] = (reader){model, data, view, net, outputs, losses, mnc_model_hash(model), t, false};
        if (pthread_create(&thread[t], NULL, read_model, &readers[t]) != 0) exit(2);
    }
    for (size_t t = 0; t < THREADS; t++) {
        pthread_join(thread[t], NULL);
        CHECK(readers[t].same, "thread %zu of %d got something else than one alone, with a pool of %zu", t, THREADS,
              threads);
    }
    CHECK(pieces(model) - before >= THREADS * ROUNDS, "%llu pieces of work were counted",
          (unsigned long long)(pieces(model) - before));
    free(outputs);
    free(losses);
    mnc_model_destroy(model);
    mnc_data_destroy(view);
    mnc_data_destroy(data);
    free_material(m);
    mnc_context_destroy(context);
}

int main(void) {
    const network net = {.name = "readers",
                         .inputs = 200,
                         .widths = {64, 33},
                         .outputs = 10,
                         .rows = 300,
                         .norm = true,
                         .l2 = 1e-4,
                         .activation = MNC_RELU,
                         .optimizer = MNC_ADAM};
    for (size_t threads = 1; threads <= 3; threads += 2) check_readers(&net, threads);
    return minitest_end("");
}
