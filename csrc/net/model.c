/* Parameters: compiling a spec into steps and tensors, initial values, reading and writing in logical order. */
#include <math.h>
#include <string.h>

#include "base/math.h"
#include "base/rng.h"
#include "cpu/cpu.h"
#include "net/net.h"

/* ---------------------------------------------------------------- compiling */
/* Adds a tensor of `elements` reals (with padding) to the arena. */
static size_t add_tensor(mnc_model *model, size_t layer, mnc_role role, size_t rows, size_t cols, bool trainable,
                         size_t offset) {
    model->tensor_offset[model->n_tensors] = offset;
    model->tensors[model->n_tensors++] = (mnc_tensor){layer, role, rows, cols, trainable};
    return offset;
}

/* In elements; MNC_ALIGN bytes hold 16 floats or 8 doubles, and every size here is a multiple of 16 elements. */
static size_t reserve_elements(mnc_layout *layout, size_t rows, size_t cols) {
    size_t count = 0;
    if (!mnc_size_mul(rows, mnc_round16(cols), &count)) layout->overflow = true;
    return mnc_reserve(layout, count, 1);
}

static void compile_step(mnc_model *model, mnc_layout *layout, size_t s, const mnc_layer *layer, size_t inputs) {
    mnc_step *step = &model->steps[s];
    *step = (mnc_step){.layer = *layer, .inputs = inputs};
    step->outputs = layer->kind == MNC_DENSE ? layer->units : inputs;
    step->ld_in = mnc_round16(inputs);
    step->ld = mnc_round16(step->outputs);
    step->panels = step->ld / MNC_PANEL;
    step->has_f = layer->activation != MNC_LINEAR || layer->dropout > 0;
    if (layer->kind == MNC_DENSE) {
        const size_t rows = inputs + layer->use_bias;
        model->constrained |= layer->max_norm > 0 || layer->bias_max_norm > 0;
        step->panel_size = rows * MNC_PANEL;
        step->weights = reserve_elements(layout, rows, step->outputs);
        add_tensor(model, s, MNC_KERNEL, inputs, step->outputs, true, step->weights);
        if (layer->use_bias) add_tensor(model, s, MNC_BIAS, 1, step->outputs, true, step->weights + inputs * MNC_PANEL);
    } else if (layer->kind == MNC_NORM) {
        model->has_norm = true;
        const size_t n = step->outputs;
        step->gamma = reserve_elements(layout, 1, n);
        step->beta = reserve_elements(layout, 1, n);
        step->mean = reserve_elements(layout, 1, n);
        step->variance = reserve_elements(layout, 1, n);
        if (layer->scale) add_tensor(model, s, MNC_GAMMA, 1, n, true, step->gamma);
        if (layer->center) add_tensor(model, s, MNC_BETA, 1, n, true, step->beta);
        add_tensor(model, s, MNC_MOVING_MEAN, 1, n, false, step->mean);
        add_tensor(model, s, MNC_MOVING_VARIANCE, 1, n, false, step->variance);
    }
}

/* ---------------------------------------------------------------- initial values */
/* A normal variable, or one cut off at two standard deviations, as a function of u in (0, 1). */
static double normal(double u, bool truncated) {
    const double below = 0.02275013194817920720; /* share of a normal distribution below -2 */
    return mnc_normal_quantile(truncated ? below + u * (1 - 2 * below) : u);
}

static double initial_value(const mnc_init *init, size_t inputs, size_t outputs, double u) {
    const double in = (double)inputs, out = (double)outputs;
    const double fan = init->fan == MNC_FAN_IN ? in : init->fan == MNC_FAN_OUT ? out : (in + out) / 2;
    switch (init->kind) {
    case MNC_INIT_CONSTANT: return init->a;
    case MNC_INIT_UNIFORM: return init->a + (init->b - init->a) * u;
    case MNC_INIT_NORMAL: return init->a + init->b * normal(u, false);
    case MNC_INIT_TRUNCATED_NORMAL: return init->a + init->b * normal(u, true);
    case MNC_INIT_SCALED_UNIFORM: return (2 * u - 1) * sqrt(3 * init->a / fan);
    /* Keras divides by the standard deviation of a normal distribution cut off at 2. */
    case MNC_INIT_SCALED_NORMAL: return normal(u, true) * (sqrt(init->a / fan) / 0.87962566103423978);
    }
    return 0;
}

size_t mnc_locate(const mnc_model *model, size_t i, size_t row, size_t col) {
    const mnc_tensor *t = &model->tensors[i];
    const mnc_step *step = &model->steps[t->layer];
    if (step->layer.kind != MNC_DENSE) return model->tensor_offset[i] + col;
    return model->tensor_offset[i] + col / MNC_PANEL * step->panel_size + row * MNC_PANEL + col % MNC_PANEL;
}

void mnc_write_real(const mnc_model *model, void *base, size_t i, double value) {
    if (model->spec.dtype == MNC_FLOAT32)
        ((float *)base)[i] = (float)value;
    else
        ((double *)base)[i] = value;
}

void mnc_model_draw(mnc_model *model, size_t i, size_t first, size_t n) {
    const mnc_tensor *t = &model->tensors[i];
    const mnc_step *step = &model->steps[t->layer];
    const double constant = t->role == MNC_GAMMA || t->role == MNC_MOVING_VARIANCE ? 1 : 0;
    const mnc_init fixed = {MNC_INIT_CONSTANT, MNC_FAN_IN, constant, 0};
    const mnc_init *init = t->role == MNC_KERNEL ? &step->layer.kernel_init
                           : t->role == MNC_BIAS ? &step->layer.bias_init
                                                 : &fixed;
    const size_t inputs =
        t->role == MNC_KERNEL ? t->rows : t->cols; /* as in Keras, both fans of a vector are its length */
    const unsigned state = mnc_cpu_normalise();
    const size_t left = first < t->cols ? t->cols - first : 0, last = first + (n < left ? n : left);
    for (size_t col = first, end; col < last; col = end) { /* panel by panel, as they lie in memory */
        end = (col / MNC_PANEL + 1) * MNC_PANEL < last ? (col / MNC_PANEL + 1) * MNC_PANEL : last;
        for (size_t row = 0; row < t->rows; row++) {
            const size_t width = end - col;
            const size_t place = mnc_locate(model, i, row, col);
            double u[MNC_PANEL] = {0};
            if (init->kind != MNC_INIT_CONSTANT) mnc_random_uniform(model->spec.seed, i, row * t->cols + col, width, u);
            for (size_t k = 0; k < width; k++)
                mnc_write_real(model, model->values, place + k, initial_value(init, inputs, t->cols, u[k]));
        }
    }
    mnc_cpu_restore(state);
}

/* ---------------------------------------------------------------- life */
static mnc_status compile(mnc_model *model, const mnc_spec *spec, mnc_error *err) {
    void *steps = NULL, *tensors = NULL, *offsets = NULL, *tally = NULL, *values = NULL;
    mnc_status status = mnc_allocate_array(&steps, spec->n_layers, sizeof(mnc_step), err);
    if (status == MNC_OK) status = mnc_allocate_array(&tensors, 4 * spec->n_layers, sizeof(mnc_tensor), err);
    if (status == MNC_OK) status = mnc_allocate_array(&offsets, 4 * spec->n_layers, sizeof(size_t), err);
    if (status == MNC_OK) status = mnc_allocate_array(&tally, MNC_MAX_THREADS, sizeof(mnc_tally), err);
    model->steps = steps;
    model->tensors = tensors;
    model->tensor_offset = offsets;
    model->tally = tally;
    if (status != MNC_OK) return status;
    mnc_layout layout = {0, false};
    size_t inputs = spec->inputs;
    for (size_t s = 0; s < spec->n_layers; s++) {
        compile_step(model, &layout, s, &spec->layers[s], inputs);
        inputs = model->steps[s].outputs;
    }
    if (layout.overflow) return mnc_fail_memory(err, SIZE_MAX);
    model->elements = layout.bytes; /* one byte stood for one element */
    status = mnc_allocate_array(&values, model->elements, model->kernels->real_size, err);
    model->values = values;
    return status;
}

mnc_status mnc_model_create(mnc_model **out, mnc_context *context, const mnc_spec *spec, mnc_error *err) {
    mnc_status status = mnc_spec_check(spec, err);
    void *block = NULL;
    if (status == MNC_OK) status = mnc_allocate(&block, sizeof(mnc_model), err);
    if (status != MNC_OK) return status;
    mnc_model *model = block;
    model->context = context;
    model->kernels = mnc_kernels_find(context->isa, spec->dtype);
    model->spec = *spec;
    model->spec.layers = NULL;
    model->n_steps = spec->n_layers;
    status = compile(model, spec, err);
    if (status != MNC_OK) {
        mnc_model_destroy(model);
        return status;
    }
    for (size_t i = 0; i < model->n_tensors && !spec->undrawn; i++) mnc_model_draw(model, i, 0, model->tensors[i].cols);
    *out = model;
    return MNC_OK;
}

void mnc_model_destroy(mnc_model *model) {
    if (!model) return;
    mnc_plan_release(&model->train);
    for (mnc_desk *desk = mnc_desks(model), *next; desk; desk = next) {
        next = desk->next;
        for (size_t t = 0; t < MNC_MAX_THREADS; t++) mnc_plan_release(&desk->seat[t].plan);
        mnc_release(desk);
    }
    for (size_t i = 0; i < MNC_SLOTS; i++) mnc_release(model->slots[i]);
    mnc_release(model->gradients);
    mnc_release(model->values);
    mnc_release(model->tally);
    mnc_release(model->tensor_offset);
    mnc_release(model->tensors);
    mnc_release(model->steps);
    mnc_release(model);
}

/* ---------------------------------------------------------------- reading and writing */
size_t mnc_model_tensor_count(const mnc_model *model) { return model->n_tensors; }
mnc_tensor mnc_model_tensor(const mnc_model *model, size_t i) { return model->tensors[i]; }

static mnc_status part_base(const mnc_model *model, mnc_part part, size_t i, char **out, mnc_error *err) {
    if (i >= model->n_tensors)
        return mnc_fail(err, MNC_INVALID, "tensor %zu of %zu does not exist", i, model->n_tensors);
    char *const bases[] = {model->values,   model->gradients, model->slots[0], model->slots[1],
                           model->slots[2], model->slots[3],  model->slots[4]};
    if ((unsigned)part > MNC_SLOT4) return mnc_fail(err, MNC_INVALID, "unknown part %d", part);
    if (!bases[part])
        return mnc_fail(err, MNC_INVALID, "this network has no such part yet (gradient or optimizer slot)");
    *out = bases[part];
    return MNC_OK;
}

/* Copies one tensor between an arena and a row-major array. */
static void copy_tensor(const mnc_model *model, size_t i, char *base, char *array, bool out) {
    const mnc_tensor *t = &model->tensors[i];
    const size_t size = model->kernels->real_size;
    for (size_t row = 0; row < t->rows; row++)
        for (size_t col = 0; col < t->cols; col += MNC_PANEL) {
            const size_t n = t->cols - col < MNC_PANEL ? t->cols - col : MNC_PANEL;
            char *inside = base + mnc_locate(model, i, row, col) * size,
                 *outside = array + (row * t->cols + col) * size;
            memcpy(out ? outside : inside, out ? inside : outside, n * size);
        }
}

mnc_status mnc_model_get(const mnc_model *model, mnc_part part, size_t i, void *out, mnc_error *err) {
    char *base = NULL;
    const mnc_status status = part_base(model, part, i, &base, err);
    if (status == MNC_OK) copy_tensor(model, i, base, out, true);
    return status;
}

mnc_status mnc_model_set(mnc_model *model, mnc_part part, size_t i, const void *in, mnc_error *err) {
    char *base = NULL;
    const mnc_status status = part_base(model, part, i, &base, err);
    if (status == MNC_OK) copy_tensor(model, i, base, (char *)(uintptr_t)in, false);
    return status;
}

uint64_t mnc_model_hash(const mnc_model *model) {
    const size_t size = model->kernels->real_size;
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < model->n_tensors; i++) {
        const mnc_tensor *t = &model->tensors[i];
        for (size_t row = 0; row < t->rows; row++)
            for (size_t col = 0; col < t->cols; col++) {
                const unsigned char *bytes =
                    (const unsigned char *)model->values + mnc_locate(model, i, row, col) * size;
                for (size_t b = 0; b < size; b++) hash = (hash ^ bytes[b]) * 0x100000001B3u;
            }
    }
    return hash;
}

mnc_progress mnc_model_progress(const mnc_model *model) { return model->progress; }
void mnc_model_set_progress(mnc_model *model, mnc_progress progress) { model->progress = progress; }

double mnc_panel_penalty(const mnc_model *model, const mnc_step *step, size_t panel) {
    const mnc_layer *layer = &step->layer;
    const size_t n = step->inputs * MNC_PANEL;
    const char *w = mnc_at(model, model->values, step->weights + panel * step->panel_size);
    double sum = 0;
    if (layer->l1 != 0 || layer->l2 != 0) sum += model->kernels->penalty(n, w, layer->l1, layer->l2);
    if (layer->use_bias && (layer->bias_l1 != 0 || layer->bias_l2 != 0))
        sum += model->kernels->penalty(MNC_PANEL, mnc_at(model, w, n), layer->bias_l1, layer->bias_l2);
    return sum;
}

double mnc_model_penalty(const mnc_model *model) {
    double sum = 0;
    for (size_t s = 0; s < model->n_steps; s++)
        for (size_t panel = 0; model->steps[s].layer.kind == MNC_DENSE && panel < model->steps[s].panels; panel++)
            sum += mnc_panel_penalty(model, &model->steps[s], panel);
    return sum;
}

static void add_tally(mnc_counters *sum, const mnc_tally *tally, size_t thread) {
    const mnc_counters *c = &tally->counters;
    sum->sparse_forward += c->sparse_forward;
    sum->dense_forward += c->dense_forward;
    sum->dense_delta += c->dense_delta;
    sum->sparse_gradient += c->sparse_gradient;
    sum->dense_gradient += c->dense_gradient;
    sum->updates += c->updates;
    sum->stores += c->stores;
    sum->chunks[thread] += tally->pieces;
}

mnc_counters mnc_model_counters(const mnc_model *model) {
    mnc_counters sum = {.workers = model->workers};
    for (size_t t = 0; t < MNC_MAX_THREADS; t++) add_tally(&sum, &model->tally[t], t);
    for (const mnc_desk *desk = mnc_desks(model); desk; desk = desk->next) {
        if (sum.workers < desk->workers) sum.workers = desk->workers;
        for (size_t t = 0; t < MNC_MAX_THREADS; t++) add_tally(&sum, &desk->seat[t].tally, t);
    }
    return sum;
}
