/* What mnc.h says about single calls: wrong specs and arguments are refused with a message that names what came and
 * change nothing; tensors come back as they were set; a row's result does not depend on where it stands. */
#include <limits.h>

#include "networks.h"

/* ---------------------------------------------------------------- refusals */

/* Was a call refused as it should be? `part`: what the message must contain. */
static void refused(mnc_status status, mnc_status expected, const mnc_error *err, const char *part, const char *what) {
    CHECK(status == expected && err->status == expected, "%s: status %d, not %d", what, (int)status, (int)expected);
    CHECK(strstr(err->message, part) != NULL, "%s: \"%s\" does not say \"%s\"", what, err->message, part);
    CHECK(strlen(err->message) + 1 < sizeof err->message, "%s: the message was cut off: %s", what, err->message);
}

typedef struct {
    mnc_spec spec;
    mnc_layer layers[3];
} draft;

/* A good spec: dense, batch normalisation, dense. */
static void good_draft(draft *d) {
    mnc_layer_defaults(&d->layers[0], MNC_DENSE);
    mnc_layer_defaults(&d->layers[1], MNC_NORM);
    mnc_layer_defaults(&d->layers[2], MNC_DENSE);
    d->layers[0].units = 5;
    d->layers[1].activation = MNC_RELU;
    d->layers[1].dropout = 0.5;
    d->layers[2].units = 3;
    mnc_spec_defaults(&d->spec);
    d->spec.inputs = 4;
    d->spec.layers = d->layers;
    d->spec.n_layers = 3;
}

static mnc_context *shared_context;

static void refuse_spec(const draft *d, const char *part, const char *what) {
    mnc_model *const nobody = (mnc_model *)(uintptr_t)16, *model = nobody;
    mnc_error err = {0};
    refused(mnc_model_create(&model, shared_context, &d->spec, &err), MNC_INVALID, &err, part, what);
    CHECK(model == nobody, "%s: the handle was written", what);
    CHECK(mnc_model_create(&model, shared_context, &d->spec, NULL) == MNC_INVALID, "%s without err", what);
}

/* One wrong field each; the message has the second text. */
#define WRONG(assignment, part)             \
    do {                                    \
        draft d;                            \
        good_draft(&d);                     \
        d.assignment;                       \
        refuse_spec(&d, part, #assignment); \
    } while (0)

static void check_wrong_specs(void) {
    WRONG(spec.inputs = 0, "not 0");
    WRONG(spec.inputs = ((size_t)1 << 24) + 1, "not 16777217");
    WRONG(spec.inputs = SIZE_MAX, "not 18446744073709551615");
    WRONG(spec.n_layers = 0, "not 0");
    WRONG(spec.n_layers = 1001, "not 1001");
    WRONG(spec.layers = NULL, "layers");
    WRONG(spec.dtype = (mnc_dtype)7, "dtype 7");
    WRONG(spec.input_dropout = 1, "not 1");
    WRONG(spec.input_dropout = -0.25, "not -0.25");
    WRONG(spec.input_dropout = NAN, "nan");
    WRONG(spec.label_smoothing = 1.5, "not 1.5");
    WRONG(spec.label_smoothing = -1, "not -1");
    WRONG(spec.reduce_rows = 0, "not 0");
    WRONG(spec.reduce_rows = 100, "not 100");
    WRONG(spec.reduce_rows = (size_t)1 << 21, "not 2097152");
    WRONG(spec.head = (mnc_head)9, "head 9");
    WRONG(layers[0].kind = (mnc_layer_kind)5, "kind 5");
    WRONG(layers[0].activation = (mnc_activation)99, "activation 9");
    WRONG(layers[0].slope = INFINITY, "inf");
    WRONG(layers[0].dropout = 1, "not 1");
    WRONG(layers[1].dropout = -0.5, "layer 1");
    WRONG(layers[2].dropout = NAN, "layer 2");
    WRONG(layers[0].units = 0, "not 0");
    WRONG(layers[2].units = (size_t)1 << 25, "not 33554432");
    WRONG(layers[0].l1 = -1, "layer 0");
    WRONG(layers[0].l2 = NAN, "layer 0");
    WRONG(layers[2].bias_l1 = INFINITY, "layer 2");
    WRONG(layers[2].bias_l2 = -0.5, "layer 2");
    WRONG(layers[0].max_norm = -1, "layer 0");
    WRONG(layers[0].min_norm = 0.5, "not 0.5 to 0");
    WRONG(layers[2].bias_max_norm = INFINITY, "layer 2");
    WRONG(layers[2].bias_min_norm = NAN, "layer 2");
    WRONG(layers[0].noise = -0.5, "not -0.5");
    WRONG(layers[1].noise = NAN, "layer 1");
    WRONG(layers[1].noise = 1e39, "not 1e+39");
    WRONG(spec.input_noise = INFINITY, "not inf");
    WRONG(spec.input_noise = -0.25, "not -0.25");
    WRONG(layers[0].kernel_init.kind = (mnc_init_kind)77, "layer 0");
    WRONG(layers[0].kernel_init.fan = (mnc_fan)5, "layer 0");
    WRONG(layers[0].kernel_init.a = INFINITY, "inf");
    WRONG(layers[0].kernel_init.a = 0, "not 0");
    WRONG(layers[2].bias_init.b = NAN, "nan");
    WRONG(layers[1].epsilon = 0, "not 0");
    WRONG(layers[1].epsilon = NAN, "nan");
    WRONG(layers[1].momentum = 1.5, "1.5");
    WRONG(layers[1].momentum = -0.5, "-0.5");
    WRONG(layers[2].activation = MNC_RELU, "linear");
}

static void check_wrong_contexts(void) {
    mnc_context *const nobody = (mnc_context *)(uintptr_t)16, *context = nobody;
    mnc_error err = {0};
    refused(mnc_context_create(&context, "neon99", 1, &err), MNC_UNSUPPORTED, &err, "neon99", "an instruction set");
    refused(mnc_context_create(&context, "", 1, &err), MNC_UNSUPPORTED, &err, "\"\"", "no instruction set");
    refused(mnc_context_create(&context, NULL, 0, &err), MNC_INVALID, &err, "not 0", "no threads");
    refused(mnc_context_create(&context, NULL, 65, &err), MNC_INVALID, &err, "not 65", "65 threads");
    CHECK(context == nobody, "the handle was written");
    refused(mnc_context_set_threads(shared_context, 0, &err), MNC_INVALID, &err, "not 0", "no threads");
    CHECK(mnc_context_threads(shared_context) == 2, "a refusal changed the number of threads");
    for (size_t i = 0; mnc_isa_name(i); i++) {
        mnc_context *one = new_context(mnc_isa_name(i), 1);
        CHECK(strcmp(mnc_context_isa(one), mnc_isa_name(i)) == 0, "%s instead of %s", mnc_context_isa(one),
              mnc_isa_name(i));
        mnc_context_destroy(one);
    }
    CHECK(strcmp(mnc_context_isa(shared_context), mnc_isa_name(0)) == 0, "the best instruction set is not the first");
    mnc_context_destroy(NULL);
    mnc_model_destroy(NULL);
    mnc_data_destroy(NULL);
}

static void check_wrong_data(const network *net, const material *m) {
    mnc_data *const nobody = (mnc_data *)(uintptr_t)16, *data = nobody;
    mnc_error err = {0};
    struct {
        size_t n, features;
        int element, dtype;
        const char *part, *what;
    } wrong[] = {
        {0, 4, MNC_UINT8, MNC_FLOAT32, "not 0", "no rows"},
        {2, 0, MNC_UINT8, MNC_FLOAT32, "not 0", "no features"},
        {2, SIZE_MAX, MNC_UINT8, MNC_FLOAT32, "not 18446744073709551615", "too many features"},
        {(size_t)1 << 40, 4, MNC_UINT8, MNC_FLOAT32, "not 1099511627776", "too many rows"},
        {2, 4, 7, MNC_FLOAT32, "element type 7", "a wrong element type"},
        {2, 4, MNC_UINT8, 5, "dtype 5", "a wrong dtype"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const mnc_status status =
            mnc_data_create(&data, shared_context, (mnc_dtype)wrong[i].dtype, (mnc_element)wrong[i].element, m->pixels,
                            wrong[i].n, wrong[i].features, NULL, NULL, &err);
        refused(status, MNC_INVALID, &err, wrong[i].part, wrong[i].what);
        CHECK(data == nobody, "%s: the handle was written", wrong[i].what);
        if (data != nobody) mnc_data_destroy(data);
        data = nobody;
    }

    data = new_data(shared_context, net, m, MNC_UINT8);
    int32_t labels[6] = {0, 1, 2, 3, 0, 1};
    double values[24] = {0};
    mnc_model *model = new_learner(shared_context, net);
    double loss = NAN;
    need(mnc_gradients(model, data, NULL, net->rows, true, &loss, NULL, NULL, &err), &err);
    labels[4] = 4;
    refused(mnc_data_set_labels(data, labels, 4, &err), MNC_INVALID, &err, "label 4 of row 4", "a label above");
    labels[4] = -1;
    refused(mnc_data_set_labels(data, labels, 4, &err), MNC_INVALID, &err, "label -1 of row 4", "a label below");
    refused(mnc_data_set_labels(data, labels, 0, &err), MNC_INVALID, &err, "0", "no classes");
    values[13] = NAN;
    refused(mnc_data_set_targets(data, values, 4, &err), MNC_INVALID, &err, "row 3 is nan", "a target");
    values[13] = -INFINITY;
    refused(mnc_data_set_targets(data, values, 4, &err), MNC_INVALID, &err, "row 3 is -inf", "a target");
    refused(mnc_data_set_targets(data, values, 0, &err), MNC_INVALID, &err, "0 columns", "no target columns");
    values[2] = -1;
    refused(mnc_data_set_weights(data, values, &err), MNC_INVALID, &err, "row 2 is -1", "a negative weight");
    values[2] = INFINITY;
    refused(mnc_data_set_weights(data, values, &err), MNC_INVALID, &err, "row 2 is inf", "an infinite weight");
    double again = NAN;
    need(mnc_gradients(model, data, NULL, net->rows, true, &again, NULL, NULL, &err), &err);
    CHECK(memcmp(&loss, &again, sizeof loss) == 0, "refused labels, targets or weights changed the loss");
    mnc_model_destroy(model);
    mnc_data_destroy(data);
}

/* ---------------------------------------------------------------- refusals of a model */

static bool same_progress(mnc_progress a, mnc_progress b) {
    return a.epoch == b.epoch && a.step == b.step && a.optimizer_step == b.optimizer_step;
}

static void check_wrong_optimizers(mnc_model *model) {
    mnc_optimizer o;
    mnc_error err = {0};
#define WRONG_OPTIMIZER(assignment, part)                                                                   \
    do {                                                                                                    \
        mnc_optimizer_defaults(&o, MNC_ADAM);                                                               \
        o.assignment;                                                                                       \
        refused(mnc_model_set_optimizer(model, &o, NULL, &err), MNC_INVALID, &err, part, "o." #assignment); \
    } while (0)
    WRONG_OPTIMIZER(kind = (mnc_optimizer_kind)9, "optimizer 9");
    WRONG_OPTIMIZER(momentum = -0.5, "not -0.5");
    WRONG_OPTIMIZER(momentum = 1.5, "not 1.5");
    WRONG_OPTIMIZER(rho = 1, "not 1");
    WRONG_OPTIMIZER(rho = NAN, "nan");
    WRONG_OPTIMIZER(beta1 = 1, "1 and");
    WRONG_OPTIMIZER(beta2 = -0.5, "-0.5");
    WRONG_OPTIMIZER(epsilon = 0, "not 0");
    WRONG_OPTIMIZER(epsilon = INFINITY, "inf");
    WRONG_OPTIMIZER(weight_decay = -0.5, "not -0.5");
#undef WRONG_OPTIMIZER
    float w[2] = {1, 2}, g[2] = {1, 1};
    void *const none[3] = {NULL, NULL, NULL};
    mnc_optimizer_defaults(&o, MNC_ADAM);
    refused(mnc_optimizer_apply(shared_context, MNC_FLOAT32, &o, 0.1, 1, 2, w, none, g, &err), MNC_INVALID, &err,
            "slot 0", "a missing slot");
    mnc_optimizer_defaults(&o, MNC_SGD);
    refused(mnc_optimizer_apply(shared_context, MNC_FLOAT32, &o, 0.1, 0, 2, w, none, g, &err), MNC_INVALID, &err, "t ",
            "step 0");
    refused(mnc_optimizer_apply(shared_context, MNC_FLOAT32, &o, NAN, 1, 2, w, none, g, &err), MNC_INVALID, &err,
            "rate", "a rate that is no number");
    refused(mnc_optimizer_apply(shared_context, (mnc_dtype)4, &o, 0.1, 1, 2, w, none, g, &err), MNC_INVALID, &err,
            "dtype 4", "a wrong dtype");
    CHECK(w[0] == 1 && w[1] == 2, "a refused step moved the weights");
}

static void check_wrong_jobs(mnc_model *model, const network *net, const mnc_data *data) {
    const uint32_t order[6] = {0, 1, 2, 6, 4, 5}, many[3] = {0, UINT32_MAX, 1};
    const double rates[3] = {0.1, INFINITY, 0.1};
    const mnc_job good = {.data = data, .n = net->rows, .batch_size = 4, .rate = 0.1};
    mnc_error err = {0};
    mnc_job job;
#define WRONG_JOB(assignment, part)                                                                                   \
    do {                                                                                                              \
        job = good;                                                                                                   \
        job.assignment;                                                                                               \
        refused(mnc_fit(model, &job, &err), MNC_INVALID, &err, part, "job." #assignment);                             \
        CHECK(job.batches_done == 0 && job.rows_done == 0 && job.loss_sum == 0, "job." #assignment " did something"); \
    } while (0)
    WRONG_JOB(batch_size = 0, "not 0");
    WRONG_JOB(n = 0, "0 rows");
    WRONG_JOB(n = 7, "7 rows");
    WRONG_JOB(order = order, "order[3] is 6");
    WRONG_JOB(rate = NAN, "nan");
    WRONG_JOB(rate = -INFINITY, "inf");
    WRONG_JOB(rates = rates, "batch 1 is inf");
#undef WRONG_JOB
    double loss;
    refused(mnc_gradients(model, data, many, 3, true, &loss, NULL, NULL, &err), MNC_INVALID, &err,
            "order[1] is 4294967295", "a row that is none");
    refused(mnc_gradients(model, data, NULL, 7, true, &loss, NULL, NULL, &err), MNC_INVALID, &err, "7 rows",
            "too many rows");
    refused(mnc_gradients(model, data, NULL, 0, true, &loss, NULL, NULL, &err), MNC_INVALID, &err, "0 rows", "no rows");
    refused(mnc_forward_training(model, data, NULL, 7, false, NULL, NULL, &err), MNC_INVALID, &err, "7 rows",
            "too many rows");
    refused(mnc_evaluate(model, data, 0, 7, NULL, NULL, NULL, &err), MNC_INVALID, &err, "7", "too many rows");
    refused(mnc_evaluate(model, data, 6, 1, NULL, NULL, NULL, &err), MNC_INVALID, &err, "6", "a row past the end");
    refused(mnc_evaluate(model, data, SIZE_MAX, 2, NULL, NULL, NULL, &err), MNC_INVALID, &err, "the data has 6",
            "rows past all numbers");
}

/* Data that does not fit the model, for every call that takes data. */
static void refuse_data(mnc_model *model, const mnc_data *data, const char *part, const char *what, bool scored_only) {
    mnc_error err = {0};
    double loss, losses[6];
    uint64_t correct = 17;
    mnc_job job = {.data = data, .n = 6, .batch_size = 4, .rate = 0.1};
    refused(mnc_fit(model, &job, &err), MNC_INVALID, &err, part, what);
    refused(mnc_gradients(model, data, NULL, 6, true, &loss, NULL, NULL, &err), MNC_INVALID, &err, part, what);
    refused(mnc_evaluate(model, data, 0, 6, NULL, losses, NULL, &err), MNC_INVALID, &err, part, what);
    refused(mnc_evaluate(model, data, 0, 6, NULL, NULL, &correct, &err), MNC_INVALID, &err, part, what);
    CHECK(correct == 17, "%s: rows were counted", what);
    if (scored_only) {
        CHECK(mnc_evaluate(model, data, 0, 6, NULL, NULL, NULL, &err) == MNC_OK, "%s: %s", what, err.message);
    } else {
        refused(mnc_evaluate(model, data, 0, 6, NULL, NULL, NULL, &err), MNC_INVALID, &err, part, what);
        refused(mnc_forward_training(model, data, NULL, 6, false, NULL, NULL, &err), MNC_INVALID, &err, part, what);
    }
}

static void check_mismatched_data(mnc_model *model, const network *net, const material *m) {
    mnc_error err = {0};
    network other = *net;
    mnc_data *data = NULL;
    need(mnc_data_create(&data, shared_context, MNC_FLOAT32, MNC_UINT8, m->pixels, 6, net->inputs, NULL, NULL, &err),
         &err);
    refuse_data(model, data, "neither labels nor targets", "no labels", true);
    const int32_t labels[6] = {0, 1, 2, 0, 1, 2};
    need(mnc_data_set_labels(data, labels, 3, &err), &err);
    refuse_data(model, data, "3 classes", "three classes for four outputs", false);
    mnc_data_destroy(data);
    other.inputs = 3;
    data = new_data(shared_context, &other, m, MNC_UINT8);
    refuse_data(model, data, "3 features", "three features for four inputs", false);
    mnc_data_destroy(data);
    other.inputs = 4;
    other.dtype = MNC_FLOAT64;
    data = new_data(shared_context, &other, m, MNC_UINT8);
    refuse_data(model, data, "dtype", "another dtype", false);
    mnc_data_destroy(data);
}

static void check_wrong_parts(mnc_model *model) {
    float values[64] = {0};
    mnc_error err = {0};
    refused(mnc_model_get(model, MNC_VALUE, 4, values, &err), MNC_INVALID, &err, "tensor 4 of 4", "a fifth tensor");
    refused(mnc_model_set(model, MNC_VALUE, SIZE_MAX, values, &err), MNC_INVALID, &err, "tensor", "no tensor");
    refused(mnc_model_get(model, (mnc_part)9, 0, values, &err), MNC_INVALID, &err, "part 9", "a part that is none");
    refused(mnc_model_get(model, MNC_GRADIENT, 0, values, &err), MNC_INVALID, &err, "no such part",
            "a gradient too early");
    refused(mnc_model_set(model, MNC_SLOT0, 0, values, &err), MNC_INVALID, &err, "no such part", "a slot too early");
}

static void check_wrong_calls(void) {
    static const network net = {.inputs = 4, .widths = {5}, .outputs = 4, .rows = 6, .batch = 4, .rate = 0.1};
    const material m = new_material(&net, 5);
    mnc_data *data = new_data(shared_context, &net, &m, MNC_UINT8);
    mnc_model *model = new_model(shared_context, &net);
    mnc_error err = {0};
    mnc_model_set_progress(model, (mnc_progress){3, 5, 4});
    const uint64_t hash = mnc_model_hash(model);
    const mnc_progress progress = mnc_model_progress(model);
    check_wrong_data(&net, &m);
    check_wrong_parts(model);
    mnc_job job = {.data = data, .n = 6, .batch_size = 4, .rate = 0.1};
    refused(mnc_fit(model, &job, &err), MNC_INVALID, &err, "optimizer", "training without an optimizer");
    check_wrong_optimizers(model);
    refused(mnc_fit(model, &job, &err), MNC_INVALID, &err, "optimizer", "training after refused optimizers");
    mnc_optimizer sgd;
    mnc_optimizer_defaults(&sgd, MNC_SGD);
    need(mnc_model_set_optimizer(model, &sgd, NULL, &err), &err);
    mnc_model_set_progress(model, progress);
    check_wrong_optimizers(model);
    check_wrong_jobs(model, &net, data);
    check_mismatched_data(model, &net, &m);
    CHECK(mnc_model_hash(model) == hash, "refusals changed the weights");
    CHECK(same_progress(mnc_model_progress(model), progress), "refusals changed the counters");
    need(mnc_fit(model, &job, &err), &err);
    CHECK(job.rows_done == 6 && mnc_model_hash(model) != hash, "after refusals, training does nothing");
    mnc_data_destroy(data);
    free_material(m);
    mnc_model_destroy(model);
}

static void check_rates(void) {
    const double pi = 3.14159265358979323846;
    const mnc_rate step = {.kind = MNC_RATE_STEP, .initial = 0.5, .decay = 0.1, .steps = 10};
    const mnc_rate inverse = {.kind = MNC_RATE_INVERSE_TIME, .initial = 0.5, .decay = 2, .steps = 10};
    const mnc_rate stairs = {.kind = MNC_RATE_INVERSE_TIME, .initial = 0.5, .decay = 2, .steps = 10, .staircase = true};
    const mnc_rate cosine = {.kind = MNC_RATE_COSINE, .initial = 0.5, .alpha = 0.1, .steps = 40};
    const mnc_rate constant = {.kind = MNC_RATE_CONSTANT, .initial = 0.5};
    const mnc_rate *all[] = {&constant, &step, &inverse, &stairs, &cosine};
    double rates[50], expected;
    mnc_error err = {0};
    for (size_t r = 0; r < 5; r++) {
        need(mnc_rates(all[r], 7, 50, rates, &err), &err);
        for (size_t i = 0; i < 50; i++) {
            const double t = (double)(7 + i), whole = floor(t / 10);
            switch (r) {
            case 0: expected = 0.5; break;
            case 1: expected = 0.5 * pow(0.1, whole); break;
            case 2: expected = 0.5 / (1 + 2 * t / 10); break;
            case 3: expected = 0.5 / (1 + 2 * whole); break;
            default: expected = 0.5 * (0.9 * (1 + cos(pi * fmin(t / 40, 1))) / 2 + 0.1);
            }
            CHECK(fabs(rates[i] - expected) <= 1e-15, "schedule %zu, step %g: %.17g, not %.17g", r, t, rates[i],
                  expected);
        }
    }
    mnc_rate wrong = step;
    wrong.steps = 0;
    refused(mnc_rates(&wrong, 0, 1, rates, &err), MNC_INVALID, &err, "not 0", "a schedule of no steps");
    wrong.kind = (mnc_rate_kind)9;
    refused(mnc_rates(&wrong, 0, 1, rates, &err), MNC_INVALID, &err, "schedule 9", "a schedule that is none");
    wrong = cosine;
    wrong.initial = NAN;
    refused(mnc_rates(&wrong, 0, 1, rates, &err), MNC_INVALID, &err, "finite", "a rate that is no number");
}

/* ---------------------------------------------------------------- tensors */

static uint64_t fnv1a(uint64_t hash, const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001B3u;
    return hash;
}

/* Every part of every tensor comes back as it was set, and nothing else changes. */
static void check_round_trip(const network *net) {
    mnc_model *model = new_learner(shared_context, net);
    const material m = new_material(net, 5);
    mnc_data *data = new_data(shared_context, net, &m, MNC_UINT8);
    const size_t tensors = mnc_model_tensor_count(model), size = size_of(net);
    random_source random = {9};
    mnc_error err;
    need(mnc_gradients(model, data, NULL, net->rows, true, NULL, NULL, NULL, &err), &err);
    unsigned char *set[5][16];
    for (int part = MNC_VALUE; part <= MNC_SLOT1; part++)
        for (size_t i = 0; i < tensors; i++) {
            const size_t bytes = tensor_size(model, i) * size;
            set[part][i] = malloc(bytes);
            for (size_t b = 0; b < bytes; b++) set[part][i][b] = (unsigned char)random_bits(&random);
            need(mnc_model_set(model, (mnc_part)part, i, set[part][i], &err), &err);
        }
    uint64_t hash = 0xCBF29CE484222325u;
    for (int part = MNC_VALUE; part <= MNC_SLOT1; part++)
        for (size_t i = 0; i < tensors; i++) {
            const size_t bytes = tensor_size(model, i) * size;
            void *got = get_tensor(model, net, (mnc_part)part, i);
            CHECK(memcmp(got, set[part][i], bytes) == 0, "%s: part %d of tensor %zu came back otherwise", net->name,
                  part, i);
            if (part == MNC_VALUE) hash = fnv1a(hash, got, bytes);
            free(got);
            free(set[part][i]);
        }
    CHECK(mnc_model_hash(model) == hash, "%s: the hash is not that of the values", net->name);
    mnc_data_destroy(data);
    free_material(m);
    mnc_model_destroy(model);
}

static void check_tensors(void) {
    static const network nets[] = {
        {.name = "1-1", .inputs = 1, .outputs = 1, .rows = 3, .optimizer = MNC_ADAM},
        {.name = "7-5-3", .inputs = 7, .widths = {5}, .outputs = 3, .rows = 3, .optimizer = MNC_ADAM},
        {.name = "16-16-16",
         .inputs = 16,
         .widths = {16},
         .outputs = 16,
         .rows = 3,
         .optimizer = MNC_ADAM,
         .norm = true},
        {.name = "17-33-1",
         .inputs = 17,
         .widths = {33},
         .outputs = 1,
         .rows = 3,
         .optimizer = MNC_ADAM,
         .no_bias = true},
        {.name = "785-70-31 with norm",
         .inputs = 785,
         .widths = {70, 31},
         .outputs = 10,
         .rows = 3,
         .norm = true,
         .optimizer = MNC_ADAM},
        {.name = "113-47 in double",
         .inputs = 113,
         .widths = {47},
         .outputs = 5,
         .rows = 3,
         .norm = true,
         .optimizer = MNC_ADAM,
         .dtype = MNC_FLOAT64},
    };
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) check_round_trip(&nets[i]);
    static const mnc_role roles[] = {MNC_KERNEL,          MNC_BIAS,   MNC_GAMMA, MNC_BETA, MNC_MOVING_MEAN,
                                     MNC_MOVING_VARIANCE, MNC_KERNEL, MNC_BIAS};
    static const size_t shapes[][2] = {{16, 16}, {1, 16}, {1, 16}, {1, 16}, {1, 16}, {1, 16}, {16, 16}, {1, 16}};
    mnc_model *model = new_model(shared_context, &nets[2]);
    CHECK(mnc_model_tensor_count(model) == 8, "%zu tensors", mnc_model_tensor_count(model));
    for (size_t i = 0; i < 8; i++) {
        const mnc_tensor t = mnc_model_tensor(model, i);
        const bool trainable = t.role != MNC_MOVING_MEAN && t.role != MNC_MOVING_VARIANCE;
        CHECK(t.role == roles[i] && t.rows == shapes[i][0] && t.cols == shapes[i][1] && t.trainable == trainable &&
                  t.layer == (i < 2   ? 0u
                              : i < 6 ? 1u
                                      : 2u),
              "tensor %zu: role %d of layer %zu, %zu x %zu", i, (int)t.role, t.layer, t.rows, t.cols);
    }
    mnc_model_destroy(model);
}

/* ---------------------------------------------------------------- rows */

typedef struct {
    char *outputs; /* reals[rows, outputs] */
    double *losses;
    uint64_t correct;
} results;

static results evaluate(mnc_model *model, const network *net, const mnc_data *data, size_t first, size_t n) {
    results r = {malloc(n * net->outputs * size_of(net) + 1), malloc(n * sizeof(double) + 1), 0};
    mnc_error err;
    need(mnc_evaluate(model, data, first, n, r.outputs, r.losses, &r.correct, &err), &err);
    return r;
}

static void free_results(results r) {
    free(r.outputs);
    free(r.losses);
}

/* Rows first ... first + n - 1 on their own against the same rows of `all`. */
static void check_range(mnc_model *model, const network *net, const mnc_data *data, const results *all, size_t first,
                        size_t n) {
    const results some = evaluate(model, net, data, first, n);
    const size_t row = net->outputs * size_of(net);
    CHECK(memcmp(some.outputs, all->outputs + first * row, n * row) == 0,
          "%s: outputs of rows %zu + %zu depend on others", net->name, first, n);
    CHECK(memcmp(some.losses, all->losses + first, n * sizeof *some.losses) == 0,
          "%s: losses of rows %zu + %zu depend on others", net->name, first, n);
    free_results(some);
}

static void check_rows(const network *net) {
    const material m = new_material(net, 5);
    const mnc_element real = net->dtype == MNC_FLOAT32 ? MNC_REAL32 : MNC_REAL64;
    random_source random = {4};
    mnc_context *context = new_context(NULL, 1);
    mnc_data *data = new_data(context, net, &m, MNC_UINT8);
    mnc_model *model = new_model(context, net);
    const results all = evaluate(model, net, data, 0, net->rows);
    uint64_t correct = 0;
    for (size_t row = 0; row < net->rows; row++) {
        const results one = evaluate(model, net, data, row, 1);
        correct += one.correct;
        CHECK(one.correct <= 1, "%s: %llu of one row are right", net->name, (unsigned long long)one.correct);
        free_results(one);
        check_range(model, net, data, &all, row, 1);
    }
    CHECK(correct == all.correct, "%s: %llu rows are right, one by one %llu", net->name,
          (unsigned long long)all.correct, (unsigned long long)correct);
    check_range(model, net, data, &all, net->rows, 0);
    mnc_data *const forms[] = {data, new_view(context, net, &m, MNC_UINT8), new_view(context, net, &m, real)};
    for (int i = 0; i < 60; i++) {
        const size_t first = random_below(&random, net->rows);
        need(mnc_context_set_threads(context, 1 + (size_t)i % 4, NULL), NULL);
        check_range(model, net, forms[i % 3], &all, first, random_between(&random, 1, net->rows - first));
    }
    mnc_data *floats = new_data(context, net, &m, real);
    check_range(model, net, floats, &all, 0, net->rows);
    for (size_t k = 0; net->dtype == MNC_FLOAT32 && mnc_isa_name(k); k++) {
        mnc_context *other = new_context(mnc_isa_name(k), 2);
        mnc_data *same = new_data(other, net, &m, MNC_UINT8);
        mnc_model *twin = new_model(other, net);
        check_range(twin, net, same, &all, 0, net->rows);
        mnc_model_destroy(twin);
        mnc_data_destroy(same);
        mnc_context_destroy(other);
    }
    /* A training pass without dropout and batch statistics gives the same outputs. */
    mnc_error err;
    char *outputs = malloc(net->rows * net->outputs * size_of(net));
    if (net->dropout == 0 && !net->norm && net->input_dropout == 0) {
        need(mnc_forward_training(model, data, NULL, net->rows, true, outputs, NULL, &err), &err);
        CHECK(memcmp(outputs, all.outputs, net->rows * net->outputs * size_of(net)) == 0,
              "%s: a training pass gives other outputs", net->name);
    }
    free(outputs);
    free_results(all);
    mnc_data_destroy(data);
    mnc_data_destroy(floats);
    mnc_data_destroy(forms[1]);
    mnc_data_destroy(forms[2]);
    free_material(m);
    mnc_model_destroy(model);
    mnc_context_destroy(context);
}

static void check_evaluation(void) {
    static const network nets[] = {
        {.name = "sparse",
         .inputs = 301,
         .widths = {37, 19},
         .outputs = 10,
         .activation = MNC_RELU,
         .rows = 300,
         .dropout = 0.5,
         .smoothing = 0.1,
         .weights = true},
        {.name = "dense",
         .inputs = 61,
         .widths = {70},
         .outputs = 7,
         .activation = MNC_TANH,
         .rows = 150,
         .dense = true},
        {.name = "norm",
         .inputs = 61,
         .widths = {33},
         .outputs = 7,
         .activation = MNC_SIGMOID,
         .rows = 150,
         .norm = true,
         .head = MNC_HEAD_MEAN_SQUARED_ERROR},
        {.name = "one layer", .inputs = 785, .outputs = 17, .rows = 150},
        {.name = "double",
         .inputs = 61,
         .widths = {33},
         .outputs = 7,
         .activation = MNC_RELU,
         .rows = 150,
         .dtype = MNC_FLOAT64},
    };
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) check_rows(&nets[i]);
}

/* ---------------------------------------------------------------- a pass in training mode */

static bool same_bytes(const float *a, const float *b, size_t n) { return memcmp(a, b, n * sizeof *a) == 0; }

/* Dropout is a function of the step; batch statistics are not those of inference; nothing moves unless asked. */
static void check_forward_training(void) {
    static const network net = {.name = "forward",
                                .inputs = 40,
                                .widths = {24},
                                .outputs = 10,
                                .activation = MNC_RELU,
                                .rows = 50,
                                .dropout = 0.5,
                                .norm = true};
    enum { N = 50 * 10 };
    const material m = new_material(&net, 5);
    mnc_data *data = new_data(shared_context, &net, &m, MNC_UINT8);
    mnc_model *model = new_model(shared_context, &net);
    float first[N], again[N], later[N];
    double loss;
    mnc_error err;
    const uint64_t hash = mnc_model_hash(model);
    need(mnc_forward_training(model, data, NULL, net.rows, false, first, NULL, &err), &err);
    need(mnc_forward_training(model, data, NULL, net.rows, false, again, NULL, &err), &err);
    CHECK(same_bytes(first, again, N), "one step has two dropout masks");
    need(mnc_gradients(model, data, NULL, net.rows, true, &loss, NULL, NULL, &err), &err);
    CHECK(mnc_model_hash(model) == hash && mnc_model_progress(model).step == 0, "looking moves the model");
    mnc_model_set_progress(model, (mnc_progress){0, 1, 0});
    need(mnc_forward_training(model, data, NULL, net.rows, true, later, NULL, &err), &err);
    CHECK(!same_bytes(first, later, N), "two steps have one dropout mask");
    CHECK(mnc_model_hash(model) != hash, "the moving statistics did not move");
    mnc_model_set_progress(model, (mnc_progress){0, 0, 0});
    need(mnc_forward_training(model, data, NULL, net.rows, false, again, NULL, &err), &err);
    CHECK(same_bytes(first, again, N), "the moving statistics matter in training mode");

    /* moving = 0.99 moving + 0.01 batch, from 0 and 1 */
    const size_t width = 24;
    float kernel[40 * 24], bias[24], mean[24], variance[24];
    need(mnc_model_get(model, MNC_VALUE, 0, kernel, &err), &err);
    need(mnc_model_get(model, MNC_VALUE, 1, bias, &err), &err);
    need(mnc_model_get(model, MNC_VALUE, 4, mean, &err), &err);
    need(mnc_model_get(model, MNC_VALUE, 5, variance, &err), &err);
    for (size_t j = 0; j < width; j++) {
        double sum = 0, square = 0;
        for (size_t row = 0; row < net.rows; row++) {
            double z = (double)bias[j];
            for (size_t k = 0; k < net.inputs; k++)
                z += m.doubles[row * net.inputs + k] * (double)kernel[k * width + j];
            sum += z;
            square += z * z;
        }
        const double n = (double)net.rows, average = sum / n, spread = square / n - average * average;
        CHECK(fabs((double)mean[j] - 0.01 * average) < 1e-6, "moving mean %zu: %g, not %g", j, (double)mean[j],
              0.01 * average);
        CHECK(fabs((double)variance[j] - (0.99 + 0.01 * spread)) < 1e-6, "moving variance %zu: %g, not %g", j,
              (double)variance[j], 0.99 + 0.01 * spread);
    }
    mnc_data_destroy(data);
    free_material(m);
    mnc_model_destroy(model);
}

int main(void) {
    shared_context = new_context(NULL, 2);
    check_wrong_specs();
    check_wrong_contexts();
    check_wrong_calls();
    check_rates();
    check_tensors();
    check_evaluation();
    check_forward_training();
    mnc_context_destroy(shared_context);
    return minitest_end("");
}
