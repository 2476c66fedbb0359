/* Training runs whose weights are pinned by hash: data made by Philox, and the configurations that use it. */
#ifndef DETERMINISM_H
#define DETERMINISM_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "mnc.h"

typedef struct {
    const char *name;
    size_t inputs, rows, batch, batches; /* batches: per epoch at most, to keep it short */
    size_t widths[3];                    /* hidden layers, 0: none */
    size_t classes;
    mnc_activation activation;
    double dropout, input_dropout;
    bool norm;
    double l1, l2, smoothing;
    mnc_optimizer_kind optimizer;
    double momentum, rate;
    bool nesterov, centered;
    mnc_head head;
    bool dense; /* float inputs without zeros */
    uint64_t golden;
} config;

/* Images with a fifth of their pixels set, labels that depend on them. */
static inline void make_images(const config *c, uint8_t *pixels, int32_t *labels, double *targets) {
    for (size_t row = 0; row < c->rows; row++) {
        uint32_t sum = 0;
        for (size_t j = 0; j < c->inputs; j++) {
            const uint32_t counter[4] = {(uint32_t)j, (uint32_t)row, 0, 77};
            uint32_t w[4];
            mnc_philox(2026, counter, w);
            const uint8_t value = w[0] % 5 == 0 || c->dense ? (uint8_t)(w[1] % 255 + 1) : 0;
            pixels[row * c->inputs + j] = value;
            sum += j % 3 == 0 ? value : 0;
        }
        labels[row] = (int32_t)(sum / 64 % c->classes);
        for (size_t j = 0; j < c->classes; j++) targets[row * c->classes + j] = (size_t)labels[row] == j;
    }
}

static inline mnc_status make_model(mnc_model **model, mnc_context *context, const config *c, mnc_dtype dtype, mnc_error *err) {
    mnc_layer layers[8];
    size_t n = 0;
    for (size_t i = 0; i < 3 && c->widths[i]; i++) {
        mnc_layer *layer = &layers[n++];
        mnc_layer_defaults(layer, MNC_DENSE);
        layer->units = c->widths[i];
        layer->l1 = c->l1;
        layer->l2 = c->l2;
        if (c->norm) mnc_layer_defaults(layer = &layers[n++], MNC_NORM);
        layer->activation = c->activation;
        layer->dropout = c->dropout;
    }
    mnc_layer_defaults(&layers[n], MNC_DENSE);
    layers[n++].units = c->classes;
    mnc_spec spec;
    mnc_spec_defaults(&spec);
    spec.dtype = dtype;
    spec.inputs = c->inputs;
    spec.input_dropout = c->input_dropout;
    spec.layers = layers;
    spec.n_layers = n;
    spec.head = c->head;
    spec.label_smoothing = c->smoothing;
    spec.seed = 42;
    return mnc_model_create(model, context, &spec, err);
}

/* Trains `epochs` epochs and gives the hash of the weights; counters and the loss of the last epoch if wanted. */
static inline mnc_status train_config(const config *c, const char *isa, size_t threads, size_t epochs, uint64_t *hash,
                                      mnc_counters *counters, mnc_error *err) {
    uint8_t *pixels = malloc(c->rows * c->inputs);
    int32_t *labels = malloc(c->rows * sizeof *labels);
    double *targets = malloc(c->rows * c->classes * sizeof *targets);
    uint32_t *order = malloc(c->rows * sizeof *order);
    mnc_context *context = NULL;
    mnc_model *model = NULL;
    mnc_data *data = NULL;
    make_images(c, pixels, labels, targets);
    mnc_status status = mnc_context_create(&context, isa, threads, err);
    if (status == MNC_OK) status = make_model(&model, context, c, MNC_FLOAT32, err);
    if (status == MNC_OK) status = mnc_data_create(&data, context, MNC_FLOAT32, MNC_UINT8, pixels, c->rows, c->inputs, NULL, err);
    if (status == MNC_OK)
        status = c->head == MNC_HEAD_MEAN_SQUARED_ERROR ? mnc_data_set_targets(data, targets, c->classes, err)
                                                        : mnc_data_set_labels(data, labels, c->classes, err);
    mnc_optimizer optimizer;
    mnc_optimizer_defaults(&optimizer, c->optimizer);
    optimizer.momentum = c->momentum;
    optimizer.nesterov = c->nesterov;
    optimizer.centered = c->centered;
    if (status == MNC_OK) status = mnc_model_set_optimizer(model, &optimizer, err);
    for (size_t epoch = 0; epoch < epochs && status == MNC_OK; epoch++) {
        mnc_progress progress = mnc_model_progress(model);
        mnc_permutation(42, progress.epoch, c->rows, order);
        const size_t most = c->batch * c->batches;
        mnc_job job = {.data = data, .order = order, .n = most < c->rows ? most : c->rows, .batch_size = c->batch, .rate = c->rate};
        status = mnc_fit(model, &job, err);
        progress = mnc_model_progress(model);
        progress.epoch++;
        mnc_model_set_progress(model, progress);
        if (getenv("SHOW_LOSS")) printf("  loss %.6f\n", job.loss_sum / (double)job.rows_done);
    }
    if (status == MNC_OK) {
        *hash = mnc_model_hash(model);
        if (counters) *counters = mnc_model_counters(model);
    }
    mnc_data_destroy(data);
    mnc_model_destroy(model);
    mnc_context_destroy(context);
    free(pixels), free(labels), free(targets), free(order);
    return status;
}

#define KERAS_MLP .inputs = 784, .rows = 1003, .batch = 32, .batches = 99, .widths = {128, 64}, .classes = 10, .activation = MNC_RELU
static const config configs[] = {
    {.name = "keras-mlp: adam, dropout", KERAS_MLP, .dropout = 0.2, .optimizer = MNC_ADAM, .rate = 1e-3},
    {.name = "sgd, odd widths, odd tail", .inputs = 785, .rows = 500, .batch = 33, .batches = 99, .widths = {37, 19, 5},
     .classes = 7, .activation = MNC_LEAKY_RELU, .optimizer = MNC_SGD, .rate = 0.05},
    {.name = "momentum, tanh, l2", KERAS_MLP, .activation = MNC_TANH, .l2 = 1e-3, .optimizer = MNC_SGD, .momentum = 0.9, .rate = 0.01},
    {.name = "nesterov, sigmoid, l1", KERAS_MLP, .activation = MNC_SIGMOID, .l1 = 1e-5, .optimizer = MNC_SGD, .momentum = 0.9,
     .nesterov = true, .rate = 0.1},
    {.name = "rmsprop, input dropout", KERAS_MLP, .input_dropout = 0.1, .dropout = 0.5, .optimizer = MNC_RMSPROP, .rate = 1e-3},
    {.name = "rmsprop centered, momentum, smoothing", KERAS_MLP, .smoothing = 0.1, .optimizer = MNC_RMSPROP, .momentum = 0.5,
     .centered = true, .rate = 1e-3},
    {.name = "adamw, batch norm", KERAS_MLP, .norm = true, .dropout = 0.2, .optimizer = MNC_ADAMW, .rate = 1e-3},
    {.name = "dense inputs, squared error", .inputs = 100, .rows = 700, .batch = 64, .batches = 99, .widths = {50}, .classes = 10,
     .activation = MNC_RELU, .dense = true, .head = MNC_HEAD_MEAN_SQUARED_ERROR, .optimizer = MNC_ADAM, .rate = 1e-3},
    {.name = "batch of 5000", .inputs = 196, .rows = 6000, .batch = 5000, .batches = 2, .widths = {64}, .classes = 10,
     .activation = MNC_RELU, .optimizer = MNC_ADAM, .rate = 1e-2},
    {.name = "batch of 5000, batch norm", .inputs = 196, .rows = 6000, .batch = 5000, .batches = 2, .widths = {48}, .classes = 10,
     .norm = true, .activation = MNC_RELU, .optimizer = MNC_ADAM, .rate = 1e-2},
    {.name = "full batch of 60000", .inputs = 49, .rows = 60000, .batch = 60000, .batches = 1, .widths = {32}, .classes = 10,
     .activation = MNC_RELU, .optimizer = MNC_SGD, .rate = 0.1},
    {.name = "softmax regression, batch 1", .inputs = 784, .rows = 50, .batch = 1, .batches = 50, .classes = 10,
     .optimizer = MNC_SGD, .rate = 0.1},
};

#endif
