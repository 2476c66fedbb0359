/* Defaults and checks of specs. */
#include <math.h>
#include <string.h>

#include "net/net.h"

void mnc_layer_defaults(mnc_layer *layer, mnc_layer_kind kind) {
    *layer = (mnc_layer){
        .kind = kind,
        .use_bias = true,
        .kernel_init = {MNC_INIT_SCALED_UNIFORM, MNC_FAN_AVG, 1.0, 0.0},
        .bias_init = {MNC_INIT_CONSTANT, MNC_FAN_IN, 0.0, 0.0},
        .momentum = 0.99,
        .epsilon = 1e-3,
        .center = true,
        .scale = true,
        .activation = MNC_LINEAR,
        .slope = 0.3,
    };
}

void mnc_spec_defaults(mnc_spec *spec) {
    *spec = (mnc_spec){.dtype = MNC_FLOAT32, .head = MNC_HEAD_SOFTMAX_CROSS_ENTROPY, .reduce_rows = 512};
}

static bool is_size(double x) { return x >= 0.0 && isfinite(x); }
static bool is_deviation(double x) { return x >= 0.0 && mnc_is_rate(x); }
static bool is_range(double least, double most) { return is_size(least) && is_size(most) && least <= most; }

static mnc_status check_init(const mnc_init *init, size_t layer, mnc_error *err) {
    if ((unsigned)init->kind > MNC_INIT_SCALED_NORMAL || (unsigned)init->fan > MNC_FAN_AVG)
        return mnc_fail(err, MNC_INVALID, "layer %zu: unknown initialiser", layer);
    if (!isfinite(init->a) || !isfinite(init->b))
        return mnc_fail(err, MNC_INVALID, "layer %zu: initialiser parameters must be finite, not %g and %g", layer,
                        init->a, init->b);
    if (init->kind >= MNC_INIT_SCALED_UNIFORM && init->a <= 0)
        return mnc_fail(err, MNC_INVALID, "layer %zu: initialiser scale must be positive, not %g", layer, init->a);
    return MNC_OK;
}

static mnc_status check_dense(const mnc_layer *layer, size_t i, mnc_error *err) {
    if (layer->units < 1 || layer->units > (1u << 24))
        return mnc_fail(err, MNC_INVALID, "layer %zu: units must be between 1 and 2^24, not %zu", i, layer->units);
    if (!is_size(layer->l1) || !is_size(layer->l2) || !is_size(layer->bias_l1) || !is_size(layer->bias_l2))
        return mnc_fail(err, MNC_INVALID, "layer %zu: penalties must be finite and not negative", i);
    if (!is_range(layer->min_norm, layer->max_norm) || !is_range(layer->bias_min_norm, layer->bias_max_norm))
        return mnc_fail(
            err, MNC_INVALID,
            "layer %zu: norms must be finite, the least at least 0 and not above the greatest, not %g to %g "
            "and %g to %g",
            i, layer->min_norm, layer->max_norm, layer->bias_min_norm, layer->bias_max_norm);
    const mnc_status status = check_init(&layer->kernel_init, i, err);
    return status != MNC_OK ? status : check_init(&layer->bias_init, i, err);
}

static mnc_status check_layer(const mnc_layer *layer, size_t i, mnc_error *err) {
    if ((unsigned)layer->kind > MNC_MAP)
        return mnc_fail(err, MNC_INVALID, "layer %zu: unknown kind %d", i, layer->kind);
    if ((unsigned)layer->activation >= 0 MNC_ACTIVATIONS(MNC_LIST_COUNT))
        return mnc_fail(err, MNC_INVALID, "layer %zu: unknown activation %d", i, layer->activation);
    if (!isfinite(layer->slope))
        return mnc_fail(err, MNC_INVALID, "layer %zu: slope must be finite, not %g", i, layer->slope);
    if (!mnc_is_share(layer->dropout))
        return mnc_fail(err, MNC_INVALID, "layer %zu: dropout must be in [0, 1), not %g", i, layer->dropout);
    if (!is_deviation(layer->noise))
        return mnc_fail(err, MNC_INVALID, "layer %zu: noise must be finite and not negative, not %g", i, layer->noise);
    if (layer->kind == MNC_NORM && (!(layer->epsilon >= MNC_LEAST_EPSILON) || !isfinite(layer->epsilon) ||
                                    !(layer->momentum >= 0) || !(layer->momentum <= 1)))
        return mnc_fail(err, MNC_INVALID,
                        "layer %zu: epsilon must be at least %g and momentum in [0, 1], not %g and %g", i,
                        MNC_LEAST_EPSILON, layer->epsilon, layer->momentum);
    return layer->kind == MNC_DENSE ? check_dense(layer, i, err) : MNC_OK;
}

mnc_status mnc_spec_check(const mnc_spec *spec, mnc_error *err) {
    if (spec->dtype != MNC_FLOAT32 && spec->dtype != MNC_FLOAT64)
        return mnc_fail(err, MNC_INVALID, "unknown dtype %d", spec->dtype);
    if (spec->inputs < 1 || spec->inputs > (1u << 24))
        return mnc_fail(err, MNC_INVALID, "inputs must be between 1 and 2^24, not %zu", spec->inputs);
    if (spec->n_layers < 1 || spec->n_layers > 1000 || !spec->layers)
        return mnc_fail(err, MNC_INVALID, "a network has 1 to 1000 layers, not %zu", spec->n_layers);
    if (!mnc_is_share(spec->input_dropout))
        return mnc_fail(err, MNC_INVALID, "input dropout must be in [0, 1), not %g", spec->input_dropout);
    if (!is_deviation(spec->input_noise))
        return mnc_fail(err, MNC_INVALID, "input noise must be finite and not negative, not %g", spec->input_noise);
    if (!mnc_is_share(spec->label_smoothing))
        return mnc_fail(err, MNC_INVALID, "label smoothing must be in [0, 1), not %g", spec->label_smoothing);
    if (spec->reduce_rows < 16 || spec->reduce_rows % 16 || spec->reduce_rows > (1u << 20))
        return mnc_fail(err, MNC_INVALID, "reduce_rows must be a multiple of 16 up to 2^20, not %zu",
                        spec->reduce_rows);
    if ((unsigned)spec->head > MNC_HEAD_BINARY_CROSS_ENTROPY)
        return mnc_fail(err, MNC_INVALID, "unknown head %d", spec->head);
    for (size_t i = 0; i < spec->n_layers; i++) {
        const mnc_status status = check_layer(&spec->layers[i], i, err);
        if (status != MNC_OK) return status;
    }
    const bool of_logits = spec->head == MNC_HEAD_SOFTMAX_CROSS_ENTROPY || spec->head == MNC_HEAD_BINARY_CROSS_ENTROPY;
    if (of_logits && spec->layers[spec->n_layers - 1].activation != MNC_LINEAR)
        return mnc_fail(err, MNC_INVALID, "with %s and cross-entropy the last layer's own activation must be linear",
                        spec->head == MNC_HEAD_SOFTMAX_CROSS_ENTROPY ? "softmax" : "sigmoid");
    return MNC_OK;
}
