/* Small networks and data for the tests that go through mnc.h alone. What cannot fail here ends the program if it does. */
#ifndef NETWORKS_H
#define NETWORKS_H

#include <stdlib.h>

#include "minitest.h"
#include "mnc.h"

static inline void need(mnc_status status, const mnc_error *err) {
    if (status == MNC_OK) return;
    printf("unexpected failure: %s\n", err->message);
    exit(2);
}

static inline mnc_context *new_context(const char *isa, size_t threads) {
    mnc_context *context = NULL;
    mnc_error err;
    need(mnc_context_create(&context, isa, threads, &err), &err);
    return context;
}

/* A network as the tests describe it. */
typedef struct {
    const char *name;
    size_t inputs, widths[3], outputs; /* hidden layers, 0: none */
    mnc_activation activation;
    bool norm, no_bias;
    double dropout, input_dropout, l1, l2, smoothing;
    mnc_head head;
    mnc_dtype dtype;
    mnc_optimizer_kind optimizer;
    double momentum, rate, clipnorm;
    bool nesterov, centered;
    size_t rows, batch;
    bool dense;   /* inputs without zeros */
    bool weights; /* one per row */
} network;

static inline mnc_model *new_model(mnc_context *context, const network *net) {
    mnc_layer layers[8];
    size_t n = 0;
    for (size_t i = 0; i < 3 && net->widths[i]; i++) {
        mnc_layer *layer = &layers[n++];
        mnc_layer_defaults(layer, MNC_DENSE);
        layer->units = net->widths[i];
        layer->use_bias = !net->no_bias;
        layer->l1 = net->l1;
        layer->l2 = layer->bias_l2 = net->l2;
        if (net->norm) mnc_layer_defaults(layer = &layers[n++], MNC_NORM);
        layer->activation = net->activation;
        layer->dropout = net->dropout;
    }
    mnc_layer_defaults(&layers[n], MNC_DENSE);
    layers[n++].units = net->outputs;
    mnc_spec spec;
    mnc_spec_defaults(&spec);
    spec.dtype = net->dtype;
    spec.inputs = net->inputs;
    spec.input_dropout = net->input_dropout;
    spec.layers = layers;
    spec.n_layers = n;
    spec.head = net->head;
    spec.label_smoothing = net->smoothing;
    spec.seed = 3;
    mnc_model *model = NULL;
    mnc_error err;
    need(mnc_model_create(&model, context, &spec, &err), &err);
    return model;
}

static inline mnc_optimizer optimizer_of(const network *net) {
    mnc_optimizer optimizer;
    mnc_optimizer_defaults(&optimizer, net->optimizer);
    optimizer.momentum = net->momentum;
    optimizer.nesterov = net->nesterov;
    optimizer.centered = net->centered;
    optimizer.clipnorm = net->clipnorm;
    return optimizer;
}

/* A model with its optimizer. */
static inline mnc_model *new_learner(mnc_context *context, const network *net) {
    mnc_model *model = new_model(context, net);
    const mnc_optimizer optimizer = optimizer_of(net);
    mnc_error err;
    need(mnc_model_set_optimizer(model, &optimizer, NULL, &err), &err);
    return model;
}

/* ---------------------------------------------------------------- data */

/* rows images, of whose pixels a fifth is set (or all), in every form that mnc_data_create takes. */
typedef struct {
    uint8_t *pixels;
    float *floats;
    double *doubles;
    int32_t *labels;
    double *targets, *weights;
} material;

static inline material new_material(const network *net, uint64_t seed) {
    random_source random = {seed};
    const size_t n = net->rows * net->inputs;
    const material m = {malloc(n),
                        malloc(n * sizeof(float)),
                        malloc(n * sizeof(double)),
                        malloc(net->rows * sizeof(int32_t)),
                        calloc(net->rows * net->outputs, sizeof(double)),
                        malloc(net->rows * sizeof(double))};
    for (size_t i = 0; i < n; i++) {
        m.pixels[i] = net->dense || random_chance(&random, 5) ? (uint8_t)random_between(&random, 1, 255) : 0;
        m.doubles[i] = m.pixels[i] / 255.0;
        m.floats[i] = (float)m.doubles[i];
    }
    for (size_t row = 0; row < net->rows; row++) {
        m.labels[row] = (int32_t)random_below(&random, net->outputs);
        m.targets[row * net->outputs + (size_t)m.labels[row]] = 1;
        m.weights[row] = (double)random_between(&random, 0, 8) / 4;
    }
    return m;
}

static inline void free_material(material m) {
    free(m.pixels);
    free(m.floats);
    free(m.doubles);
    free(m.labels);
    free(m.targets);
    free(m.weights);
}

/* Labels, targets and weights as the network wants them. */
static inline mnc_data *with_targets(mnc_data *data, const network *net, const material *m) {
    mnc_error err;
    if (net->head == MNC_HEAD_SOFTMAX_CROSS_ENTROPY)
        need(mnc_data_set_labels(data, m->labels, net->outputs, &err), &err);
    else
        need(mnc_data_set_targets(data, m->targets, net->outputs, &err), &err);
    if (net->weights) need(mnc_data_set_weights(data, m->weights, &err), &err);
    return data;
}

static inline const void *inputs_as(const material *m, mnc_element element) {
    return element == MNC_UINT8 ? (void *)m->pixels : element == MNC_REAL32 ? (void *)m->floats : m->doubles;
}

static inline mnc_data *new_data(mnc_context *context, const network *net, const material *m, mnc_element element) {
    mnc_data *data = NULL;
    mnc_error err;
    need(mnc_data_create(&data, context, net->dtype, element, inputs_as(m, element), net->rows, net->inputs, NULL, NULL,
                         &err),
         &err);
    return with_targets(data, net, m);
}

static inline mnc_data *new_view(mnc_context *context, const network *net, const material *m, mnc_element element) {
    mnc_data *data = NULL;
    mnc_error err;
    need(mnc_data_view(&data, context, net->dtype, element, inputs_as(m, element), net->rows, net->inputs, NULL, &err),
         &err);
    return with_targets(data, net, m);
}

/* ---------------------------------------------------------------- what a model holds */

static inline size_t size_of(const network *net) { return net->dtype == MNC_FLOAT32 ? sizeof(float) : sizeof(double); }

static inline size_t tensor_size(const mnc_model *model, size_t i) {
    const mnc_tensor t = mnc_model_tensor(model, i);
    return t.rows * t.cols;
}

/* A part of tensor i, to be freed. */
static inline void *get_tensor(const mnc_model *model, const network *net, mnc_part part, size_t i) {
    void *values = malloc(tensor_size(model, i) * size_of(net));
    mnc_error err;
    need(mnc_model_get(model, part, i, values, &err), &err);
    return values;
}

static inline bool all_values_finite(const mnc_model *model, const network *net) {
    bool finite = true;
    for (size_t i = 0; i < mnc_model_tensor_count(model); i++) {
        void *values = get_tensor(model, net, MNC_VALUE, i);
        for (size_t j = 0; j < tensor_size(model, i); j++)
            finite &=
                net->dtype == MNC_FLOAT32 ? isfinite(((float *)values)[j]) != 0 : isfinite(((double *)values)[j]) != 0;
        free(values);
    }
    return finite;
}

static inline bool same_part(const mnc_model *a, const mnc_model *b, const network *net, mnc_part part) {
    bool same = true;
    for (size_t i = 0; i < mnc_model_tensor_count(a); i++) {
        void *x = get_tensor(a, net, part, i), *y = get_tensor(b, net, part, i);
        same &= memcmp(x, y, tensor_size(a, i) * size_of(net)) == 0;
        free(x);
        free(y);
    }
    return same;
}

#endif
