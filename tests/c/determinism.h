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
    double noise; /* of the inputs and of hidden layers */
    double max_norm;
    mnc_optimizer_kind optimizer;
    double momentum, rate;
    bool nesterov, centered;
    double clipnorm, global_clipnorm;
    uint64_t accumulated; /* batches per step, if more than one */
    bool averaged;
    mnc_head head;
    bool dense; /* float inputs without zeros */
    uint64_t golden;
} config;

typedef struct {
    uint8_t *pixels;
    int32_t *labels;
    double *targets; /* the labels as ones and zeros */
} images;

/* Images with a fifth of their pixels set (all, if dense), labels that depend on them. */
static inline images make_images(const config *c) {
    const images x = {malloc(c->rows * c->inputs), malloc(c->rows * sizeof(int32_t)),
                      malloc(c->rows * c->classes * sizeof(double))};
    for (size_t row = 0; row < c->rows; row++) {
        uint32_t sum = 0;
        for (size_t j = 0; j < c->inputs; j++) {
            const uint32_t counter[4] = {(uint32_t)j, (uint32_t)row, 0, 77};
            uint32_t w[4];
            mnc_philox(2026, counter, w);
            const uint8_t value = w[0] % 5 == 0 || c->dense ? (uint8_t)(w[1] % 255 + 1) : 0;
            x.pixels[row * c->inputs + j] = value;
            sum += j % 3 == 0 ? value : 0;
        }
        x.labels[row] = (int32_t)(sum / 64 % c->classes);
        for (size_t j = 0; j < c->classes; j++) x.targets[row * c->classes + j] = (size_t)x.labels[row] == j;
    }
    return x;
}

static inline void free_images(images x) {
    free(x.pixels);
    free(x.labels);
    free(x.targets);
}

static inline mnc_status make_model(mnc_model **model, mnc_context *context, const config *c, mnc_dtype dtype,
                                    mnc_error *err) {
    mnc_layer layers[8];
    size_t n = 0;
    for (size_t i = 0; i < 3 && c->widths[i]; i++) {
        mnc_layer *layer = &layers[n++];
        mnc_layer_defaults(layer, MNC_DENSE);
        layer->units = c->widths[i];
        layer->l1 = c->l1;
        layer->l2 = c->l2;
        layer->max_norm = c->max_norm;
        layer->bias_max_norm = c->max_norm / 16;
        if (c->norm) mnc_layer_defaults(layer = &layers[n++], MNC_NORM);
        layer->activation = c->activation;
        layer->dropout = c->dropout;
        layer->noise = c->noise;
        layer->noise_seed = i;
    }
    mnc_layer_defaults(&layers[n], MNC_DENSE);
    layers[n++].units = c->classes;
    mnc_spec spec;
    mnc_spec_defaults(&spec);
    spec.dtype = dtype;
    spec.inputs = c->inputs;
    spec.input_dropout = c->input_dropout;
    spec.input_noise = c->noise;
    spec.layers = layers;
    spec.n_layers = n;
    spec.head = c->head;
    spec.label_smoothing = c->smoothing;
    spec.seed = 42;
    return mnc_model_create(model, context, &spec, err);
}

static inline mnc_status make_data(mnc_data **data, mnc_context *context, const config *c, const images *x,
                                   mnc_error *err) {
    mnc_status status =
        mnc_data_create(data, context, MNC_FLOAT32, MNC_UINT8, x->pixels, c->rows, c->inputs, NULL, NULL, err);
    if (status != MNC_OK) return status;
    return c->head == MNC_HEAD_MEAN_SQUARED_ERROR ? mnc_data_set_targets(*data, x->targets, c->classes, err)
                                                  : mnc_data_set_labels(*data, x->labels, c->classes, err);
}

static inline mnc_status set_optimizer(mnc_model *model, const config *c, mnc_error *err) {
    mnc_optimizer optimizer;
    mnc_optimizer_defaults(&optimizer, c->optimizer);
    optimizer.momentum = c->momentum;
    optimizer.nesterov = c->nesterov;
    optimizer.centered = c->centered;
    optimizer.clipnorm = c->clipnorm;
    optimizer.global_clipnorm = c->global_clipnorm;
    optimizer.gradient_accumulation_steps = c->accumulated;
    optimizer.use_ema = c->averaged;
    optimizer.ema_momentum = 0.75;
    optimizer.ema_overwrite_frequency = 2;
    return mnc_model_set_optimizer(model, &optimizer, NULL, err);
}

/* One epoch as the config cuts it; *loss: mean over its rows. */
static inline mnc_status train_epoch(mnc_model *model, const mnc_data *data, const config *c, double *loss,
                                     mnc_error *err) {
    uint32_t *order = malloc(c->rows * sizeof *order);
    mnc_progress progress = mnc_model_progress(model);
    mnc_permutation(42, progress.epoch, c->rows, order);
    const size_t most = c->batch * c->batches;
    mnc_job job = {
        .data = data, .order = order, .n = most < c->rows ? most : c->rows, .batch_size = c->batch, .rate = c->rate};
    const mnc_status status = mnc_fit(model, &job, err);
    progress = mnc_model_progress(model);
    progress.epoch++;
    mnc_model_set_progress(model, progress);
    *loss = job.loss_sum / (double)job.rows_done;
    free(order);
    return status;
}

/* Trains two epochs; gives the hash of the weights, the losses and the counters. */
static inline mnc_status train_config(const config *c, const images *x, const char *isa, size_t threads, uint64_t *hash,
                                      double loss[2], mnc_counters *counters, mnc_error *err) {
    mnc_context *context = NULL;
    mnc_model *model = NULL;
    mnc_data *data = NULL;
    mnc_status status = mnc_context_create(&context, isa, threads, err);
    if (status == MNC_OK) status = make_model(&model, context, c, MNC_FLOAT32, err);
    if (status == MNC_OK) status = make_data(&data, context, c, x, err);
    if (status == MNC_OK) status = set_optimizer(model, c, err);
    for (int epoch = 0; epoch < 2 && status == MNC_OK; epoch++) status = train_epoch(model, data, c, &loss[epoch], err);
    if (status == MNC_OK) {
        *hash = mnc_model_hash(model);
        *counters = mnc_model_counters(model);
    }
    mnc_data_destroy(data);
    mnc_model_destroy(model);
    mnc_context_destroy(context);
    return status;
}

#define KERAS_MLP .inputs = 784, .rows = 403, .batch = 32, .batches = 99, .widths = {128, 64}, .classes = 10
static const config configs[] = {
    {.name = "keras-mlp: adam, dropout",
     KERAS_MLP,
     .activation = MNC_RELU,
     .dropout = 0.2,
     .optimizer = MNC_ADAM,
     .rate = 1e-3,
     .golden = 0x74c8ae51277b60aeu},
    {.name = "sgd, odd widths, odd tail",
     .inputs = 785,
     .rows = 500,
     .batch = 33,
     .batches = 99,
     .widths = {37, 19, 5},
     .classes = 7,
     .activation = MNC_LEAKY_RELU,
     .optimizer = MNC_SGD,
     .rate = 0.05,
     .golden = 0x78ec8c269a9e5ae3u},
    {.name = "momentum, tanh, l2",
     KERAS_MLP,
     .activation = MNC_TANH,
     .l2 = 1e-3,
     .optimizer = MNC_SGD,
     .momentum = 0.9,
     .rate = 0.01,
     .golden = 0x2fb3ed38aec280c7u},
    {.name = "nesterov, sigmoid, l1",
     KERAS_MLP,
     .activation = MNC_SIGMOID,
     .l1 = 1e-5,
     .optimizer = MNC_SGD,
     .momentum = 0.9,
     .nesterov = true,
     .rate = 0.1,
     .golden = 0x6f8d2814b3cd9f0du},
    {.name = "rmsprop, input dropout",
     KERAS_MLP,
     .activation = MNC_RELU,
     .input_dropout = 0.1,
     .dropout = 0.5,
     .optimizer = MNC_RMSPROP,
     .rate = 1e-3,
     .golden = 0xcc3e12ca1c7d489au},
    {.name = "rmsprop centered, momentum, smoothing",
     KERAS_MLP,
     .activation = MNC_RELU,
     .smoothing = 0.1,
     .optimizer = MNC_RMSPROP,
     .momentum = 0.5,
     .centered = true,
     .rate = 1e-3,
     .golden = 0xc67bb6a2c4c02f0cu},
    {.name = "adamw, batch norm",
     KERAS_MLP,
     .activation = MNC_RELU,
     .norm = true,
     .dropout = 0.2,
     .optimizer = MNC_ADAMW,
     .rate = 1e-3,
     .golden = 0xbf15fb91d6e4f3f8u},
    {.name = "dense inputs, squared error",
     .inputs = 100,
     .rows = 700,
     .batch = 64,
     .batches = 99,
     .widths = {50},
     .classes = 10,
     .activation = MNC_RELU,
     .dense = true,
     .head = MNC_HEAD_MEAN_SQUARED_ERROR,
     .optimizer = MNC_ADAM,
     .rate = 1e-3,
     .golden = 0xd1dbf705e2a55191u},
    {.name = "batch of 5000",
     .inputs = 196,
     .rows = 6000,
     .batch = 5000,
     .batches = 2,
     .widths = {64},
     .classes = 10,
     .activation = MNC_RELU,
     .optimizer = MNC_ADAM,
     .rate = 1e-2,
     .golden = 0xc78018a303c6b927u},
    {.name = "batch of 5000, batch norm",
     .inputs = 196,
     .rows = 6000,
     .batch = 5000,
     .batches = 2,
     .widths = {48},
     .classes = 10,
     .norm = true,
     .activation = MNC_RELU,
     .optimizer = MNC_ADAM,
     .rate = 1e-2,
     .golden = 0x9ad538b08169d3c4u},
    {.name = "full batch of 60000",
     .inputs = 49,
     .rows = 60000,
     .batch = 60000,
     .batches = 1,
     .widths = {32},
     .classes = 10,
     .activation = MNC_RELU,
     .optimizer = MNC_SGD,
     .rate = 0.1,
     .golden = 0x3b2b31e2fb345f3fu},
    {.name = "elu, adagrad, clipnorm",
     KERAS_MLP,
     .activation = MNC_ELU,
     .optimizer = MNC_ADAGRAD,
     .clipnorm = 0.3,
     .rate = 0.03,
     .golden = 0xcedfe990ef95a04bu},
    {.name = "selu, accumulation, averages",
     KERAS_MLP,
     .activation = MNC_SELU,
     .dropout = 0.1,
     .optimizer = MNC_SGD,
     .momentum = 0.9,
     .accumulated = 3,
     .averaged = true,
     .rate = 0.02,
     .golden = 0x8d23e1cc21107010u},
    {.name = "gelu, global_clipnorm, batch norm",
     KERAS_MLP,
     .activation = MNC_GELU,
     .norm = true,
     .optimizer = MNC_ADAM,
     .global_clipnorm = 0.5,
     .rate = 1e-3,
     .golden = 0x98a4f4a1ecf39dfau},
    {.name = "gelu_tanh, binary cross-entropy",
     KERAS_MLP,
     .activation = MNC_GELU_TANH,
     .smoothing = 0.1,
     .head = MNC_HEAD_BINARY_CROSS_ENTROPY,
     .optimizer = MNC_ADAM,
     .rate = 1e-3,
     .golden = 0xae55a830d3217865u},
    {.name = "silu, batch of 1100",
     .inputs = 196,
     .rows = 2000,
     .batch = 1100,
     .batches = 2,
     .widths = {64, 32},
     .classes = 10,
     .activation = MNC_SILU,
     .optimizer = MNC_ADAMW,
     .global_clipnorm = 0.2,
     .accumulated = 2,
     .averaged = true,
     .rate = 1e-2,
     .golden = 0xdb19889d7c7e37a8u},
    {.name = "softplus, rmsprop",
     KERAS_MLP,
     .activation = MNC_SOFTPLUS,
     .optimizer = MNC_RMSPROP,
     .rate = 1e-3,
     .golden = 0xd6e7d44ea7256108u},
    {.name = "noise",
     KERAS_MLP,
     .activation = MNC_RELU,
     .dropout = 0.1,
     .input_dropout = 0.1,
     .noise = 0.2,
     .optimizer = MNC_ADAM,
     .rate = 1e-3,
     .golden = 0xab0a330f59bcbe8bu},
    {.name = "max_norm, dropout, averages",
     KERAS_MLP,
     .activation = MNC_RELU,
     .dropout = 0.2,
     .max_norm = 1.2,
     .optimizer = MNC_SGD,
     .momentum = 0.9,
     .accumulated = 2,
     .averaged = true,
     .rate = 0.05,
     .golden = 0xf1a9e7bee9985f0bu},
    {.name = "max_norm, noise, batch of 1100",
     .inputs = 196,
     .rows = 2000,
     .batch = 1100,
     .batches = 2,
     .widths = {64, 37},
     .classes = 10,
     .activation = MNC_RELU,
     .noise = 0.1,
     .max_norm = 1,
     .optimizer = MNC_ADAM,
     .global_clipnorm = 1,
     .rate = 1e-2,
     .golden = 0x92804a0546786f9eu},
    {.name = "softmax regression, batch 1",
     .inputs = 784,
     .rows = 50,
     .batch = 1,
     .batches = 50,
     .classes = 10,
     .optimizer = MNC_SGD,
     .rate = 0.1,
     .golden = 0x9ab977329040dbd9u},
};

#endif
