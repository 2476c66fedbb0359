/* Updates from stored gradients. Clipping by norms needs them, since no gradient may be used before all of them are known:
 * the contract's sums of their squares are taken, and then the optimizer has them, tensor by tensor, each shortened by
 * the same factor. Constraints: threads have updated parts of columns, so that a column's norm is known only when all of
 * them are through. */
#include <math.h>

#include "net/net.h"

enum { BLOCK = 4096 }; /* of the contract's sums */

double mnc_squares(const mnc_kernels *kernels, size_t n, const mnc_real *x) {
    double squares[BLOCK], sum = 0;
    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t count = n - i < BLOCK ? n - i : BLOCK;
        kernels->squares(count, squares, (const char *)x + i * kernels->real_size);
        sum += mnc_sum(squares, count);
    }
    return sum;
}

double mnc_clip_factor(double squares, double most) {
    const double norm = sqrt(squares);
    return norm > most ? most / norm : 1;
}

static size_t tensor_blocks(const mnc_tensor *t) { return t->trainable ? (t->rows * t->cols + BLOCK - 1) / BLOCK : 0; }

size_t mnc_clip_blocks(const mnc_model *model) {
    size_t blocks = 0;
    for (size_t i = 0; i < model->n_tensors; i++) blocks += tensor_blocks(&model->tensors[i]);
    return blocks;
}

/* Of one block of elements of a tensor in an arena, row-major; panels hold them in pieces. */
static double block_squares(const mnc_model *model, const char *arena, size_t i, size_t block) {
    const mnc_tensor *t = &model->tensors[i];
    const size_t size = t->rows * t->cols, begin = block * BLOCK, end = size - begin < BLOCK ? size : begin + BLOCK;
    double squares[BLOCK];
    for (size_t e = begin; e < end;) {
        const size_t col = e % t->cols, in_panel = MNC_PANEL - col % MNC_PANEL, in_row = t->cols - col;
        size_t n = in_panel < in_row ? in_panel : in_row;
        if (n > end - e) n = end - e;
        const char *g = mnc_at(model, arena, mnc_locate(model, i, e / t->cols, col));
        model->kernels->squares(n, squares + (e - begin), g);
        e += n;
    }
    return mnc_sum(squares, end - begin);
}

/* Sums of the blocks of tensor i, the first of which is sums[*at]; moves on to the next tensor's. */
static double tensor_squares(const mnc_model *model, const double *sums, size_t i, size_t *at) {
    double sum = 0;
    for (size_t block = 0; block < tensor_blocks(&model->tensors[i]); block++) sum += sums[(*at)++];
    return sum;
}

static void update_tensor(const mnc_pass *pass, const mnc_update *update, size_t i, double factor) {
    mnc_model *model = pass->model;
    const mnc_tensor *t = &model->tensors[i];
    const size_t n = t->rows * MNC_PANEL;
    for (size_t panel = pass->thread; panel * MNC_PANEL < t->cols; panel += pass->team->size) {
        const size_t offset = mnc_locate(model, i, 0, panel * MNC_PANEL);
        char *g = mnc_at(model, mnc_total(model), offset);
        if (factor != 1) model->kernels->clip(n, g, MNC_PANEL, factor, 0);
        mnc_update_at(pass, update, offset, n, g, MNC_PANEL);
    }
}

static void clip_and_update(const mnc_pass *pass, const mnc_update *update) {
    const mnc_model *model = pass->model;
    const mnc_optimizer *o = &model->optimizer;
    double *sums = (double *)mnc_scratch(pass, pass->plan->squares), total = 0;
    size_t unit = 0, at = 0;
    for (size_t i = 0; i < model->n_tensors; i++)
        for (size_t block = 0; block < tensor_blocks(&model->tensors[i]); block++, unit++)
            if (unit % pass->team->size == pass->thread) sums[unit] = block_squares(model, mnc_total(model), i, block);
    mnc_team_barrier(pass->team);
    for (size_t i = 0; i < model->n_tensors; i++) total += tensor_squares(model, sums, i, &at);
    at = 0;
    for (size_t i = 0; i < model->n_tensors; i++) {
        const double own = tensor_squares(model, sums, i, &at);
        const double factor =
            o->global_clipnorm > 0 ? mnc_clip_factor(total, o->global_clipnorm) : mnc_clip_factor(own, o->clipnorm);
        if (model->tensors[i].trainable) update_tensor(pass, update, i, factor);
    }
}

void mnc_pass_apply(const mnc_pass *pass, const mnc_update *update) {
    const mnc_model *model = pass->model;
    if (mnc_clips_norms(&model->optimizer))
        clip_and_update(pass, update);
    else
        for (size_t i = 0; i < model->n_tensors; i++)
            if (model->tensors[i].trainable) update_tensor(pass, update, i, 1);
    mnc_team_barrier(pass->team); /* the next pass begins with weights that others have updated */
}

/* ---------------------------------------------------------------- constraints of weights */
/* Keras's: what has no norm stays 0, and each step shortens what may stay as it is by 1e-7 of its norm. */
static double norm_factor(double squares, double least, double most) {
    const double norm = sqrt(squares);
    return (norm < least ? least : norm > most ? most : norm) / (1e-7 + norm);
}

static double bias_factor(const mnc_model *model, size_t i, const mnc_layer *layer) {
    double squares = 0;
    for (size_t block = 0; block < tensor_blocks(&model->tensors[i]); block++)
        squares += block_squares(model, model->values, i, block);
    return norm_factor(squares, layer->bias_min_norm, layer->bias_max_norm);
}

/* The thread's panels of a tensor. A bias is one vector, so one thread has it all. */
static void constrain_tensor(const mnc_pass *pass, const mnc_update *update, size_t i) {
    const mnc_model *model = pass->model;
    const mnc_tensor *t = &model->tensors[i];
    const mnc_layer *layer = &model->steps[t->layer].layer;
    const bool bias = t->role == MNC_BIAS && layer->bias_max_norm > 0,
               kernel = t->role == MNC_KERNEL && layer->max_norm > 0;
    const size_t n = t->rows * MNC_PANEL, own = (pass->thread + i) % pass->team->size;
    if (bias && own != 0) return;
    const double shared = bias ? bias_factor(model, i, layer) : 1;
    for (size_t panel = own; panel * MNC_PANEL < t->cols; panel += bias ? 1 : pass->team->size) {
        const size_t offset = mnc_locate(model, i, 0, panel * MNC_PANEL);
        char *w = mnc_at(model, model->values, offset);
        double factors[MNC_PANEL];
        if (kernel) model->kernels->column_squares(n, factors, w);
        for (size_t j = 0; j < MNC_PANEL; j++)
            factors[j] = kernel ? norm_factor(factors[j], layer->min_norm, layer->max_norm) : shared;
        if (kernel || bias) model->kernels->scale_columns(n, w, factors);
        mnc_average_at(model, update, offset, n);
    }
}

void mnc_pass_constrain(const mnc_pass *pass, const mnc_update *update) {
    mnc_team_barrier(pass->team);
    for (size_t i = 0; i < pass->model->n_tensors; i++)
        if (pass->model->tensors[i].trainable) constrain_tensor(pass, update, i);
    mnc_team_barrier(pass->team);
}
