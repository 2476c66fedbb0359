/* mnc_fit against what it should equal, to the bit: the same steps done by mnc_gradients and mnc_optimizer_apply, the
 * same epochs cut in another way, the same images in another form; and against formulas on networks small enough to
 * compute by hand. Only mnc.h is used. */
#define _GNU_SOURCE
#include <pthread.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "networks.h"

#define SMALL .inputs = 130, .widths = {37, 20}, .outputs = 10, .rows = 70, .batch = 33
static const network networks[] = {
    {.name = "sgd", SMALL, .activation = MNC_RELU, .rate = 0.1},
    {.name = "momentum, weights", SMALL, .activation = MNC_TANH, .momentum = 0.9, .rate = 0.05, .weights = true},
    {.name = "nesterov, l1 and l2",
     SMALL,
     .activation = MNC_LEAKY_RELU,
     .momentum = 0.9,
     .nesterov = true,
     .rate = 0.05,
     .l1 = 1e-4,
     .l2 = 1e-3},
    {.name = "rmsprop, dropout", SMALL, .activation = MNC_RELU, .optimizer = MNC_RMSPROP, .rate = 1e-3, .dropout = 0.3},
    {.name = "rmsprop with momentum, input dropout",
     SMALL,
     .activation = MNC_SIGMOID,
     .optimizer = MNC_RMSPROP,
     .momentum = 0.5,
     .rate = 1e-3,
     .input_dropout = 0.2},
    {.name = "rmsprop centered",
     SMALL,
     .activation = MNC_RELU,
     .optimizer = MNC_RMSPROP,
     .centered = true,
     .rate = 1e-3,
     .no_bias = true},
    {.name = "rmsprop centered with momentum",
     SMALL,
     .activation = MNC_RELU,
     .optimizer = MNC_RMSPROP,
     .centered = true,
     .momentum = 0.5,
     .rate = 1e-3},
    {.name = "adam, dropout, smoothing",
     SMALL,
     .activation = MNC_RELU,
     .optimizer = MNC_ADAM,
     .rate = 1e-3,
     .dropout = 0.2,
     .smoothing = 0.1},
    {.name = "adamw, l2", SMALL, .activation = MNC_RELU, .optimizer = MNC_ADAMW, .rate = 1e-3, .l2 = 1e-3},
    {.name = "adam, batch normalisation",
     SMALL,
     .activation = MNC_RELU,
     .norm = true,
     .optimizer = MNC_ADAM,
     .rate = 1e-3,
     .dropout = 0.2},
    {.name = "sgd, dense inputs, squared error",
     SMALL,
     .activation = MNC_RELU,
     .dense = true,
     .rate = 0.1,
     .head = MNC_HEAD_MEAN_SQUARED_ERROR},
    {.name = "adam, dense inputs, input dropout",
     SMALL,
     .activation = MNC_TANH,
     .dense = true,
     .input_dropout = 0.2,
     .optimizer = MNC_ADAM,
     .rate = 1e-3},
    {.name = "adam, batch of 1100",
     .inputs = 50,
     .widths = {24},
     .outputs = 10,
     .rows = 1300,
     .batch = 1100,
     .activation = MNC_RELU,
     .optimizer = MNC_ADAM,
     .rate = 1e-2,
     .dropout = 0.2,
     .l2 = 1e-3},
    {.name = "adam, batch of 1100, dense",
     .inputs = 50,
     .widths = {24},
     .outputs = 10,
     .rows = 1300,
     .batch = 1100,
     .activation = MNC_RELU,
     .dense = true,
     .optimizer = MNC_ADAM,
     .rate = 1e-2},
    {.name = "momentum, batch of 1100, batch normalisation",
     .inputs = 50,
     .widths = {24},
     .outputs = 10,
     .rows = 1300,
     .batch = 1100,
     .activation = MNC_RELU,
     .norm = true,
     .momentum = 0.9,
     .rate = 0.05},
    {.name = "one layer, batch of 1", .inputs = 785, .outputs = 7, .rows = 5, .batch = 1, .rate = 0.1},
    {.name = "adam in double",
     SMALL,
     .activation = MNC_TANH,
     .dtype = MNC_FLOAT64,
     .optimizer = MNC_ADAM,
     .rate = 1e-3,
     .dropout = 0.2,
     .norm = true},
};
enum { NETWORKS = sizeof networks / sizeof *networks };

static mnc_job job_of(const network *net, const mnc_data *data, const uint32_t *order) {
    return (mnc_job){.data = data, .order = order, .n = net->rows, .batch_size = net->batch, .rate = net->rate};
}

static void fit(mnc_model *model, mnc_job *job) {
    mnc_error err;
    need(mnc_fit(model, job, &err), &err);
}

/* Whole epochs, each in its own order, counted as a caller should. */
static void fit_epochs(mnc_model *model, const network *net, const mnc_data *data, size_t epochs) {
    uint32_t *order = malloc(net->rows * sizeof *order);
    for (size_t i = 0; i < epochs; i++) {
        mnc_progress progress = mnc_model_progress(model);
        mnc_permutation(3, progress.epoch++, net->rows, order);
        mnc_model_set_progress(model, progress);
        mnc_job job = job_of(net, data, order);
        fit(model, &job);
    }
    free(order);
}

/* ---------------------------------------------------------------- what trains is what can be looked at */

/* The optimizer's step on every tensor, from the gradients in the model; the slots are the caller's. */
static void apply_gradients(mnc_context *context, mnc_model *model, const network *net, char **slots[3], uint64_t t) {
    const mnc_optimizer optimizer = optimizer_of(net);
    mnc_error err;
    for (size_t i = 0; i < mnc_model_tensor_count(model); i++) {
        if (!mnc_model_tensor(model, i).trainable) continue;
        void *w = get_tensor(model, net, MNC_VALUE, i), *g = get_tensor(model, net, MNC_GRADIENT, i);
        void *const s[3] = {slots[0][i], slots[1][i], slots[2][i]};
        need(mnc_optimizer_apply(context, net->dtype, &optimizer, net->rate, t, tensor_size(model, i), w, s, g, &err),
             &err);
        need(mnc_model_set(model, MNC_VALUE, i, w, &err), &err);
        free(w);
        free(g);
    }
}

/* What mnc_fit does, by way of mnc_gradients. */
static void fit_by_gradients(mnc_context *context, mnc_model *model, const network *net, const mnc_data *data,
                             const uint32_t *order, char **slots[3]) {
    mnc_error err;
    for (size_t first = 0; first < net->rows; first += net->batch) {
        const size_t left = net->rows - first, n = left < net->batch ? left : net->batch;
        double loss = NAN;
        mnc_progress progress = mnc_model_progress(model);
        need(mnc_gradients(model, data, order + first, n, true, &loss, NULL, NULL, &err), &err);
        CHECK(isfinite(loss), "%s: the loss is %g", net->name, loss);
        need(mnc_forward_training(model, data, order + first, n, true, NULL, NULL, &err),
             &err); /* for the moving averages */
        progress.step++;
        mnc_model_set_progress(model, progress);
        apply_gradients(context, model, net, slots, progress.step);
    }
}

static void check_counters(const network *net, const mnc_model *fused, const mnc_model *stored) {
    const mnc_counters a = mnc_model_counters(fused), b = mnc_model_counters(stored);
    CHECK(a.updates > 0 && b.updates == 0 && b.stores > 0, "%s: %llu updates, %llu updates and %llu stores", net->name,
          (unsigned long long)a.updates, (unsigned long long)b.updates, (unsigned long long)b.stores);
    CHECK((a.stores > 0) == (net->batch > 512), "%s: %llu stores", net->name, (unsigned long long)a.stores);
    CHECK((a.sparse_gradient > 0) == !net->dense && (a.sparse_forward > 0) == !net->dense,
          "%s: %llu sparse gradients, %llu sparse products", net->name, (unsigned long long)a.sparse_gradient,
          (unsigned long long)a.sparse_forward);
}

static void check_fused_step(const network *net, const char *isa, size_t threads) {
    mnc_context *context = new_context(isa, threads);
    mnc_model *fused = new_learner(context, net), *stored = new_model(context, net);
    const material m = new_material(net, 11);
    mnc_data *data = new_data(context, net, &m, MNC_UINT8);
    const size_t tensors = mnc_model_tensor_count(fused);
    const mnc_optimizer optimizer = optimizer_of(net);
    uint32_t *order = malloc(net->rows * sizeof *order);
    char **slots[3];
    for (size_t s = 0; s < 3; s++) {
        slots[s] = calloc(tensors, sizeof *slots[s]);
        for (size_t i = 0; i < tensors; i++) slots[s][i] = calloc(tensor_size(fused, i), size_of(net));
    }
    CHECK(mnc_data_is_indexed(data) == !net->dense, "%s: the data is of the wrong kind", net->name);
    mnc_permutation(1, 0, net->rows, order);
    mnc_job job = job_of(net, data, order);
    fit(fused, &job);
    fit_by_gradients(context, stored, net, data, order, slots);
    CHECK(mnc_model_hash(fused) == mnc_model_hash(stored), "%s, %s, %zu threads: fused and stored steps differ",
          net->name, isa, threads);
    for (size_t s = 0; s < mnc_optimizer_slots(&optimizer); s++)
        for (size_t i = 0; i < tensors; i++) {
            char *slot = get_tensor(fused, net, (mnc_part)(MNC_SLOT0 + s), i);
            CHECK(memcmp(slot, slots[s][i], tensor_size(fused, i) * size_of(net)) == 0,
                  "%s, %s, %zu threads: slot %zu of tensor %zu differs", net->name, isa, threads, s, i);
            free(slot);
        }
    check_counters(net, fused, stored);
    for (size_t s = 0; s < 3; s++) {
        for (size_t i = 0; i < tensors; i++) free(slots[s][i]);
        free(slots[s]);
    }
    free(order);
    mnc_data_destroy(data);
    free_material(m);
    mnc_model_destroy(fused);
    mnc_model_destroy(stored);
    mnc_context_destroy(context);
}

/* ---------------------------------------------------------------- the same training in pieces */

static void check_epochs(mnc_context *context, const network *net, const mnc_data *data) {
    mnc_model *once = new_learner(context, net), *twice = new_learner(context, net);
    fit_epochs(once, net, data, 4);
    fit_epochs(twice, net, data, 2);
    fit_epochs(twice, net, data, 2);
    CHECK(mnc_model_hash(once) == mnc_model_hash(twice), "%s: 2 epochs twice are not 4 epochs", net->name);
    const mnc_optimizer optimizer = optimizer_of(net);
    for (size_t s = 0; s < mnc_optimizer_slots(&optimizer); s++)
        CHECK(same_part(once, twice, net, (mnc_part)(MNC_SLOT0 + s)), "%s: slot %zu differs", net->name, s);
    const uint64_t steps = 4 * ((net->rows + net->batch - 1) / net->batch);
    const mnc_progress progress = mnc_model_progress(twice);
    CHECK(progress.epoch == 4 && progress.step == steps && progress.optimizer_step == steps,
          "%s: epoch %llu, step %llu, optimizer step %llu", net->name, (unsigned long long)progress.epoch,
          (unsigned long long)progress.step, (unsigned long long)progress.optimizer_step);
    mnc_model_destroy(once);
    mnc_model_destroy(twice);
}

static void check_slices(mnc_context *context, const network *net, const mnc_data *data) {
    mnc_model *whole = new_learner(context, net), *sliced = new_learner(context, net);
    mnc_job one = job_of(net, data, NULL), many = one;
    size_t calls = 0;
    fit(whole, &one);
    many.seconds = 1e-9;
    for (; many.batches_done * many.batch_size < many.n; calls++) {
        const size_t before = many.batches_done;
        fit(sliced, &many);
        if (!CHECK(many.batches_done == before + 1, "%s: %zu batches in no time", net->name,
                   many.batches_done - before))
            break;
    }
    fit(sliced, &many); /* a finished job is left as it is */
    CHECK(mnc_model_hash(whole) == mnc_model_hash(sliced), "%s: %zu slices differ from one go", net->name, calls);
    CHECK(one.loss_sum == many.loss_sum && one.correct == many.correct && one.rows_done == many.rows_done &&
              one.rows_done == net->rows && one.batches_done == many.batches_done,
          "%s: loss %.17g and %.17g, right %llu and %llu, rows %zu and %zu", net->name, one.loss_sum, many.loss_sum,
          (unsigned long long)one.correct, (unsigned long long)many.correct, one.rows_done, many.rows_done);
    mnc_model_destroy(whole);
    mnc_model_destroy(sliced);
}

/* A rate for each batch is used; constant ones are the same as one rate. */
static void check_rates(mnc_context *context, const network *net, const mnc_data *data) {
    mnc_model *one = new_learner(context, net), *many = new_learner(context, net), *other = new_learner(context, net);
    double rates[128], halves[128];
    for (size_t i = 0; i < 128; i++) rates[i] = net->rate, halves[i] = i == 1 ? net->rate / 2 : net->rate;
    mnc_job job = job_of(net, data, NULL), with_rates = job, with_halves = job;
    with_rates.rates = rates;
    with_rates.rate = NAN; /* not looked at */
    with_halves.rates = halves;
    fit(one, &job);
    fit(many, &with_rates);
    fit(other, &with_halves);
    CHECK(mnc_model_hash(one) == mnc_model_hash(many), "%s: equal rates differ from one rate", net->name);
    CHECK(mnc_model_hash(one) != mnc_model_hash(other), "%s: the second batch's rate is not used", net->name);
    mnc_model_destroy(one);
    mnc_model_destroy(many);
    mnc_model_destroy(other);
}

/* ---------------------------------------------------------------- the same images in another form */

static uint64_t hash_after(mnc_context *context, const network *net, const mnc_data *data) {
    mnc_model *model = new_learner(context, net);
    mnc_job job = job_of(net, data, NULL);
    fit(model, &job);
    const uint64_t hash = mnc_model_hash(model);
    mnc_model_destroy(model);
    return hash;
}

/* The images as floats, with one more row of many different values, which nobody uses: so they stay floats. */
static uint64_t hash_unindexed(mnc_context *context, const network *net, const material *m) {
    network longer = *net;
    longer.rows++;
    material more = new_material(&longer, 11);
    const size_t n = net->rows * net->inputs;
    memcpy(more.floats, m->floats, n * sizeof *m->floats);
    for (size_t i = 0; i < net->inputs; i++) more.floats[n + i] = (float)i + 0.1f;
    memcpy(more.labels, m->labels, net->rows * sizeof *m->labels);
    memcpy(more.targets, m->targets, net->rows * net->outputs * sizeof *m->targets);
    memcpy(more.weights, m->weights, net->rows * sizeof *m->weights);
    mnc_data *data = new_data(context, &longer, &more, MNC_REAL32);
    CHECK(!mnc_data_is_indexed(data), "%s: floats of many values were indexed", net->name);
    const uint64_t hash = hash_after(context, net, data);
    mnc_data_destroy(data);
    free_material(more);
    return hash;
}

static void check_forms(mnc_context *context, const network *net, const material *m, const mnc_data *bytes) {
    const uint64_t expected = hash_after(context, net, bytes);
    mnc_data *floats = new_data(context, net, m, MNC_REAL32), *doubles = new_data(context, net, m, MNC_REAL64);
    CHECK(mnc_data_is_indexed(floats) == mnc_data_is_indexed(bytes) &&
              mnc_data_nonzeros(floats) == mnc_data_nonzeros(bytes),
          "%s: floats of few values are stored otherwise", net->name);
    CHECK(hash_after(context, net, doubles) == expected, "%s: doubles train otherwise than bytes", net->name);
    if (net->dtype == MNC_FLOAT32) { /* as floats, the pixels are not the doubles nearest to u / 255 */
        CHECK(hash_after(context, net, floats) == expected, "%s: floats train otherwise than bytes", net->name);
        if (net->inputs > 256)
            CHECK(hash_unindexed(context, net, m) == expected, "%s: dense and sparse products differ", net->name);
    }
    mnc_data_destroy(floats);
    mnc_data_destroy(doubles);
}

static void check_pieces_and_forms(const network *net) {
    mnc_context *context = new_context(NULL, 2);
    const material m = new_material(net, 11);
    mnc_data *data = new_data(context, net, &m, MNC_UINT8);
    check_epochs(context, net, data);
    check_slices(context, net, data);
    check_rates(context, net, data);
    check_forms(context, net, &m, data);
    mnc_data_destroy(data);
    free_material(m);
    mnc_context_destroy(context);
}

/* With more than 256 inputs, so that one row can have too many values for an index. */
static void check_dense_equals_sparse(void) {
    for (size_t i = 0; i < NETWORKS; i++) {
        network net = networks[i];
        if (net.dense || net.dtype != MNC_FLOAT32) continue;
        net.inputs = 300;
        mnc_context *context = new_context(NULL, 2);
        const material m = new_material(&net, 11);
        mnc_data *data = new_data(context, &net, &m, MNC_UINT8);
        check_forms(context, &net, &m, data);
        mnc_data_destroy(data);
        free_material(m);
        mnc_context_destroy(context);
    }
}

/* ---------------------------------------------------------------- by hand */

/* Two inputs, two outputs, squared error, one batch of two rows: numbers whose sums and products are exact. */
static void check_step_by_hand(const char *isa) {
    static const float x[2][2] = {{1, 0.5f}, {0.25f, 1}}, kernel[2][2] = {{0.5f, -0.25f}, {1, 0.5f}},
                       bias[2] = {0.125f, -0.5f};
    static const double targets[2][2] = {{1, 0}, {0, 1}}, weights[2] = {1, 0.5};
    const network net = {
        .inputs = 2, .outputs = 2, .head = MNC_HEAD_MEAN_SQUARED_ERROR, .rate = 0.5, .rows = 2, .batch = 2};
    mnc_context *context = new_context(isa, 1);
    mnc_model *model = new_learner(context, &net);
    mnc_data *data = NULL;
    mnc_error err;
    need(mnc_data_create(&data, context, MNC_FLOAT32, MNC_REAL32, x, 2, 2, NULL, NULL, &err), &err);
    need(mnc_data_set_targets(data, targets[0], 2, &err), &err);
    need(mnc_data_set_weights(data, weights, &err), &err);
    need(mnc_model_set(model, MNC_VALUE, 0, kernel, &err), &err);
    need(mnc_model_set(model, MNC_VALUE, 1, bias, &err), &err);

    double expected[2][2], expected_bias[2], expected_dx[2][2] = {{0}}, loss = 0, delta[2][2];
    uint64_t right = 0;
    for (int row = 0; row < 2; row++) {
        double z[2];
        for (int j = 0; j < 2; j++) {
            z[j] = (double)(x[row][0] * kernel[0][j] + x[row][1] * kernel[1][j] + bias[j]);
            loss += weights[row] * (z[j] - targets[row][j]) * (z[j] - targets[row][j]) / 2;
            delta[row][j] = (z[j] - targets[row][j]) * weights[row] / 2; /* 2 / columns, weight / rows */
        }
        right += (z[1] > z[0]) == (targets[row][1] > targets[row][0]);
        for (int k = 0; k < 2; k++)
            for (int j = 0; j < 2; j++) expected_dx[row][k] += delta[row][j] * (double)kernel[k][j];
    }
    for (int j = 0; j < 2; j++) {
        expected_bias[j] = (double)bias[j] - 0.5 * (delta[0][j] + delta[1][j]);
        for (int k = 0; k < 2; k++)
            expected[k][j] =
                (double)kernel[k][j] - 0.5 * ((double)x[0][k] * delta[0][j] + (double)x[1][k] * delta[1][j]);
    }

    float dx[2][2], got[2][2], got_bias[2];
    double mean = 0;
    need(mnc_gradients(model, data, NULL, 2, true, &mean, dx, NULL, &err), &err);
    mnc_job job = {.data = data, .n = 2, .batch_size = 2, .rate = 0.5};
    fit(model, &job);
    need(mnc_model_get(model, MNC_VALUE, 0, got, &err), &err);
    need(mnc_model_get(model, MNC_VALUE, 1, got_bias, &err), &err);
    CHECK(job.loss_sum == loss && mean == loss / 2, "%s: loss %g and %g instead of %g", isa, job.loss_sum, mean, loss);
    CHECK(job.correct == right, "%s: %llu rows are right, not %llu", isa, (unsigned long long)job.correct,
          (unsigned long long)right);
    for (int k = 0; k < 2; k++)
        for (int j = 0; j < 2; j++) {
            CHECK((double)got[k][j] == expected[k][j], "%s: w[%d, %d] is %g, not %g", isa, k, j, (double)got[k][j],
                  expected[k][j]);
            CHECK((double)dx[k][j] == expected_dx[k][j], "%s: dx[%d, %d] is %g, not %g", isa, k, j, (double)dx[k][j],
                  expected_dx[k][j]);
        }
    for (int j = 0; j < 2; j++)
        CHECK((double)got_bias[j] == expected_bias[j], "%s: b[%d] is %g, not %g", isa, j, (double)got_bias[j],
              expected_bias[j]);
    mnc_data_destroy(data);
    mnc_model_destroy(model);
    mnc_context_destroy(context);
}

/* From zero weights, softmax over four classes is 1/4 each: loss log 4, gradient x (1/4 - y) / B. */
static void check_softmax_by_hand(const char *isa) {
    static const float x[2][3] = {{1, 0.5f, 0.25f}, {0.5f, 1, 2}};
    static const int32_t labels[2] = {2, 0};
    const network net = {.inputs = 3, .outputs = 4, .rate = 0.5, .rows = 2, .batch = 2};
    mnc_context *context = new_context(isa, 1);
    mnc_model *model = new_learner(context, &net);
    mnc_data *data = NULL;
    mnc_error err;
    float kernel[3][4] = {{0}};
    need(mnc_data_create(&data, context, MNC_FLOAT32, MNC_REAL32, x, 2, 3, NULL, NULL, &err), &err);
    need(mnc_data_set_labels(data, labels, 4, &err), &err);
    need(mnc_model_set(model, MNC_VALUE, 0, kernel, &err), &err);
    mnc_job job = {.data = data, .n = 2, .batch_size = 2, .rate = 0.5};
    fit(model, &job);
    need(mnc_model_get(model, MNC_VALUE, 0, kernel, &err), &err);
    CHECK(fabs(job.loss_sum - 2 * log(4.0)) < 1e-6, "%s: loss %.9g", isa, job.loss_sum);
    for (int k = 0; k < 3; k++)
        for (int j = 0; j < 4; j++) {
            double expected = 0;
            for (int row = 0; row < 2; row++) expected -= 0.5 * (double)x[row][k] * (0.25 - (labels[row] == j)) / 2;
            CHECK((double)kernel[k][j] == expected, "%s: w[%d, %d] is %.9g, not %.9g", isa, k, j, (double)kernel[k][j],
                  expected);
        }
    mnc_data_destroy(data);
    mnc_model_destroy(model);
    mnc_context_destroy(context);
}

/* ---------------------------------------------------------------- divergence */

/* Trains until it fails; the weights must be those after the batches before, whatever they were. */
static void check_failure(mnc_context *context, const network *net, const mnc_data *data, double rate,
                          const char *what) {
    mnc_model *model = new_learner(context, net), *stopped = new_learner(context, net);
    mnc_job job = job_of(net, data, NULL), shorter = job;
    mnc_error err = {0};
    char batch[40];
    job.rate = shorter.rate = rate;
    const mnc_status status = mnc_fit(model, &job, &err);
    if (!CHECK(status == MNC_NOT_FINITE && err.status == status, "%s, %s: status %d", net->name, what, (int)status))
        return;
    snprintf(batch, sizeof batch, "batch %zu", job.batches_done);
    CHECK(strstr(err.message, batch), "%s, %s: \"%s\" does not name %s", net->name, what, err.message, batch);
    CHECK(all_values_finite(model, net), "%s, %s: weights are not finite", net->name, what);
    shorter.n = job.batches_done * job.batch_size;
    if (shorter.n) fit(stopped, &shorter);
    CHECK(mnc_model_hash(model) == mnc_model_hash(stopped), "%s, %s: %s left something behind", net->name, what, batch);
    CHECK(job.rows_done == shorter.n && job.loss_sum == shorter.loss_sum && job.correct == shorter.correct,
          "%s, %s: %zu rows, loss %g instead of %zu, %g", net->name, what, job.rows_done, job.loss_sum, shorter.n,
          shorter.loss_sum);
    const mnc_progress progress = mnc_model_progress(model);
    CHECK(progress.step == job.batches_done && progress.optimizer_step == job.batches_done, "%s, %s: step %llu",
          net->name, what, (unsigned long long)progress.step);
    mnc_model_destroy(model);
    mnc_model_destroy(stopped);
}

static void check_divergence(void) {
    for (size_t i = 0; i < NETWORKS; i++) {
        const network *net = &networks[i];
        mnc_context *context = new_context(NULL, 3);
        material m = new_material(net, 11);
        mnc_data *data = new_data(context, net, &m, MNC_UINT8);
        if (net->optimizer == MNC_SGD && net->activation == MNC_RELU && !net->norm) /* nothing saturates */
            check_failure(context, net, data, 1e30, "rate 1e30");
        mnc_data_destroy(data);
        const size_t bad = net->rows * 2 / 3; /* in the second batch, or the second chunk of the first */
        m.floats[bad * net->inputs + 1] = NAN;
        data = new_data(context, net, &m, MNC_REAL32);
        check_failure(context, net, data, net->rate, "a NaN pixel");
        mnc_data_destroy(data);
        free_material(m);
        mnc_context_destroy(context);
    }
}

/* ---------------------------------------------------------------- surroundings */

/* Flush-to-zero and another rounding direction, as some library may have left them in the caller's thread. */
static void check_float_environment(void) {
#if defined(__x86_64__)
    const network *net = &networks[7];
    for (size_t threads = 1; threads <= 3; threads += 2) {
        mnc_context *context = new_context(NULL, threads);
        const material m = new_material(net, 11);
        mnc_data *data = new_data(context, net, &m, MNC_UINT8);
        const uint64_t expected = hash_after(context, net, data);
        mnc_model *model = new_learner(context, net);
        mnc_job job = job_of(net, data, NULL);
        const mnc_optimizer sgd = {.kind = MNC_SGD, .epsilon = 1e-7};
        void *const none[3] = {NULL, NULL, NULL};
        float w[2][17] = {{0}}, g[17];
        for (int i = 0; i < 17; i++) g[i] = 1e-41f * (float)(i + 1);
        mnc_error err;
        need(mnc_optimizer_apply(context, MNC_FLOAT32, &sgd, 1, 1, 17, w[0], none, g, &err), &err);
        const unsigned before = _mm_getcsr(), strange = before | 0x8040 | 0x2000;
        _mm_setcsr(strange);
        mnc_status status = mnc_fit(model, &job, &err);
        if (status == MNC_OK) status = mnc_optimizer_apply(context, MNC_FLOAT32, &sgd, 1, 1, 17, w[1], none, g, &err);
        const unsigned after = _mm_getcsr();
        _mm_setcsr(before);
        need(status, &err);
        CHECK(mnc_model_hash(model) == expected, "%zu threads: the caller's floating-point state changes the weights",
              threads);
        CHECK(memcmp(w[0], w[1], sizeof w[0]) == 0 && w[0][0] < 0, "it changes what mnc_optimizer_apply does");
        CHECK((after & ~0x3Fu) == (strange & ~0x3Fu), "the caller's state came back as 0x%x, not 0x%x", after, strange);
        mnc_model_destroy(model);
        mnc_data_destroy(data);
        free_material(m);
        mnc_context_destroy(context);
    }
#endif
}

typedef struct {
    mnc_context *context;
    const network *net;
    const mnc_data *data;
    uint64_t hash;
} learner;

static void *learn(void *argument) {
    learner *l = argument;
    mnc_model *model = new_learner(l->context, l->net);
    fit_epochs(model, l->net, l->data, 6);
    l->hash = mnc_model_hash(model);
    mnc_model_destroy(model);
    return NULL;
}

/* Three models of one context learn at once from the same data, while the number of threads changes. */
static void check_side_by_side(void) {
    static const network net = {.name = "side by side",
                                .inputs = 300,
                                .widths = {64, 33},
                                .outputs = 10,
                                .rows = 300,
                                .batch = 64,
                                .activation = MNC_RELU,
                                .dropout = 0.2,
                                .optimizer = MNC_ADAM,
                                .rate = 1e-3};
    mnc_context *context = new_context(NULL, 2);
    const material m = new_material(&net, 11);
    mnc_data *data = new_data(context, &net, &m, MNC_UINT8);
    learner alone = {context, &net, data, 0}, together[3];
    learn(&alone);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        together[i] = alone;
        together[i].hash = 0;
        if (pthread_create(&threads[i], NULL, learn, &together[i]) != 0) exit(2);
    }
    for (size_t i = 0; i < 60; i++) {
        mnc_error err;
        need(mnc_context_set_threads(context, 1 + i % 5, &err), &err);
        if (i % 7 == 0) mnc_context_stop_workers(context);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        CHECK(together[i].hash == alone.hash, "model %d learned something else beside others", i);
    }
    mnc_data_destroy(data);
    free_material(m);
    mnc_context_destroy(context);
}

int main(void) {
    for (size_t k = 0; mnc_isa_name(k); k++) {
        const char *isa = mnc_isa_name(k);
        for (size_t i = 0; i < NETWORKS; i++) {
            check_fused_step(&networks[i], isa, 1);
            check_fused_step(&networks[i], isa, 3);
        }
        check_step_by_hand(isa);
        check_softmax_by_hand(isa);
    }
    for (size_t i = 0; i < NETWORKS; i++) check_pieces_and_forms(&networks[i]);
    check_dense_equals_sparse();
    check_divergence();
    check_float_environment();
    check_side_by_side();
    return minitest_end("");
}
