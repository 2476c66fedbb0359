/* Optimizers and rates: everything about them that does not touch parameters. */
#include <math.h>
#include <string.h>

#include "base/math.h"
#include "cpu/cpu.h"
#include "net/net.h"

void mnc_optimizer_defaults(mnc_optimizer *optimizer, mnc_optimizer_kind kind) {
    *optimizer = (mnc_optimizer){
        .kind = kind,
        .rho = 0.9,
        .beta1 = 0.9,
        .beta2 = 0.999,
        .epsilon = 1e-7,
        .weight_decay = kind == MNC_ADAMW ? 0.004 : 0.0,
        .initial_accumulator_value = 0.1,
        .gradient_accumulation_steps = 1,
        .ema_momentum = 0.99,
    };
}

/* Those of the formula. */
static size_t own_slots(const mnc_optimizer *o) {
    switch (o->kind) {
    case MNC_SGD: return o->momentum != 0;
    case MNC_RMSPROP: return 1 + (size_t)(o->momentum != 0) + (size_t)o->centered;
    case MNC_ADAM:
    case MNC_ADAMW: return 2;
    case MNC_ADAGRAD: return 1;
    }
    return 0;
}

size_t mnc_optimizer_slots(const mnc_optimizer *o) {
    return own_slots(o) + (size_t)(o->gradient_accumulation_steps > 1) + (size_t)o->use_ema;
}

static mnc_status optimizer_check(const mnc_optimizer *o, mnc_error *err) {
    if ((unsigned)o->kind >= 0 MNC_OPTIMIZERS(MNC_LIST_COUNT))
        return mnc_fail(err, MNC_INVALID, "unknown optimizer %d", o->kind);
    if (!(o->momentum >= 0.0 && o->momentum <= 1.0))
        return mnc_fail(err, MNC_INVALID, "momentum must be in [0, 1], not %g", o->momentum);
    if (!mnc_is_share(o->rho)) return mnc_fail(err, MNC_INVALID, "rho must be in [0, 1), not %g", o->rho);
    if (!mnc_is_share(o->beta1) || !mnc_is_share(o->beta2))
        return mnc_fail(err, MNC_INVALID, "beta_1 and beta_2 must be in [0, 1), not %g and %g", o->beta1, o->beta2);
    if (!(o->epsilon >= MNC_LEAST_EPSILON) || !isfinite(o->epsilon))
        return mnc_fail(err, MNC_INVALID, "epsilon must be finite and at least %g, not %g", MNC_LEAST_EPSILON,
                        o->epsilon);
    if (!(o->weight_decay >= 0) || !isfinite(o->weight_decay))
        return mnc_fail(err, MNC_INVALID, "weight_decay must be finite and not negative, not %g", o->weight_decay);
    if (!(o->initial_accumulator_value >= 0) || !isfinite(o->initial_accumulator_value))
        return mnc_fail(err, MNC_INVALID, "initial_accumulator_value must be finite and not negative, not %g",
                        o->initial_accumulator_value);
    if (!mnc_is_share(o->ema_momentum))
        return mnc_fail(err, MNC_INVALID, "ema_momentum must be in [0, 1), not %g", o->ema_momentum);
    const double clips[] = {o->clipvalue, o->clipnorm, o->global_clipnorm};
    int used = 0;
    for (size_t i = 0; i < 3; used += clips[i++] != 0)
        if (!(clips[i] >= 0) || !isfinite(clips[i]))
            return mnc_fail(err, MNC_INVALID, "clipping needs a finite number that is not negative, not %g", clips[i]);
    if (used > 1) return mnc_fail(err, MNC_INVALID, "only one of clipvalue, clipnorm and global_clipnorm may be set");
    return MNC_OK;
}

bool mnc_clips_norms(const mnc_optimizer *o) { return o->clipnorm > 0 || o->global_clipnorm > 0; }

void mnc_update_make(mnc_update *u, const mnc_optimizer *o, double rate, uint64_t t) {
    *u = (mnc_update){.rate = rate, .momentum = o->momentum, .momentum_slot = -1, .mean_slot = -1};
    u->ema_momentum = t == 1 ? 0 : o->ema_momentum;
    u->overwrite = o->ema_overwrite_frequency && t % o->ema_overwrite_frequency == 0;
    switch (o->kind) {
    case MNC_SGD:
        u->kind = o->momentum == 0 ? MNC_UPDATE_SGD : o->nesterov ? MNC_UPDATE_NESTEROV : MNC_UPDATE_MOMENTUM;
        break;
    case MNC_RMSPROP:
        u->kind = MNC_UPDATE_RMSPROP;
        u->rho = o->rho;
        u->one_minus_rho = 1 - o->rho;
        u->epsilon = o->epsilon;
        if (o->momentum != 0) u->momentum_slot = 1;
        if (o->centered) u->mean_slot = o->momentum != 0 ? 2 : 1;
        break;
    case MNC_ADAM:
    case MNC_ADAMW:
        u->kind = MNC_UPDATE_ADAM;
        u->one_minus_beta1 = 1 - o->beta1;
        u->one_minus_beta2 = 1 - o->beta2;
        u->epsilon = o->epsilon;
        u->decay = o->kind == MNC_ADAMW ? o->weight_decay * rate : 0;
        u->rate = rate * sqrt(1 - mnc_power(o->beta2, t)) / (1 - mnc_power(o->beta1, t));
        break;
    case MNC_ADAGRAD:
        u->kind = MNC_UPDATE_ADAGRAD;
        u->epsilon = o->epsilon;
        break;
    }
}

/* A slot, filled piece by piece, so that all its memory is there before a batch needs it, whose update nothing ends. */
static mnc_status new_slot(const mnc_model *model, char **slot, double value, const mnc_stop *stop, mnc_error *err) {
    enum { PIECE = 1 << 20 };
    const size_t size = model->kernels->real_size; /* that this many elements fit in memory, their values have shown */
    const mnc_status status = mnc_allocate_unset((void **)slot, model->elements * size, err);
    for (size_t i = 0, end; status == MNC_OK && i < model->elements; i = end) {
        if (stop && stop->ask(stop->argument)) return mnc_fail(err, MNC_STOPPED, "the caller ended it");
        end = model->elements - i < PIECE ? model->elements : i + PIECE;
        if (value == 0) memset(*slot + i * size, 0, (end - i) * size);
        for (size_t k = i; value != 0 && k < end; k++) mnc_write_real(model, *slot, k, value);
    }
    return status;
}

mnc_status mnc_model_set_optimizer(mnc_model *model, const mnc_optimizer *optimizer, const mnc_stop *stop,
                                   mnc_error *err) {
    char *slots[MNC_SLOTS] = {NULL};
    mnc_status status = optimizer_check(optimizer, err);
    const size_t n = status == MNC_OK ? mnc_optimizer_slots(optimizer) : 0;
    for (size_t i = 0; i < n && status == MNC_OK; i++) {
        const bool sum = optimizer->kind == MNC_ADAGRAD && i == 0;
        status = new_slot(model, &slots[i], sum ? optimizer->initial_accumulator_value : 0, stop, err);
    }
    if (status != MNC_OK) {
        for (size_t i = 0; i < MNC_SLOTS; i++) mnc_release(slots[i]);
        return status;
    }
    for (size_t i = 0; i < MNC_SLOTS; i++) {
        mnc_release(model->slots[i]);
        model->slots[i] = slots[i];
    }
    model->optimizer = *optimizer;
    model->n_slots = own_slots(optimizer);
    model->total = optimizer->gradient_accumulation_steps > 1 ? slots[model->n_slots] : NULL;
    model->average = optimizer->use_ema ? slots[n - 1] : NULL;
    model->has_optimizer = true;
    model->progress.optimizer_step = 0;
    return MNC_OK;
}

/* *gradient becomes a clipped copy, which *copy owns. */
static mnc_status clip_copy(const mnc_kernels *k, const mnc_optimizer *o, size_t n, const void **gradient, void **copy,
                            mnc_error *err) {
    const double most = o->clipnorm + o->global_clipnorm; /* one of them is 0 */
    if (most == 0 && o->clipvalue == 0) return MNC_OK;
    const double factor = most > 0 ? mnc_clip_factor(mnc_squares(k, n, *gradient), most) : 1;
    const mnc_status status = mnc_allocate_array(copy, mnc_round16(n), k->real_size, err);
    if (status != MNC_OK) return status;
    memcpy(*copy, *gradient, n * k->real_size);
    k->clip(mnc_round16(n), *copy, MNC_PANEL, factor, o->clipvalue);
    *gradient = *copy;
    return MNC_OK;
}

mnc_status mnc_optimizer_apply(mnc_context *context, mnc_dtype dtype, const mnc_optimizer *optimizer, double rate,
                               uint64_t t, size_t n, void *w, void *const slots[3], const void *gradient,
                               mnc_error *err) {
    const mnc_kernels *k = mnc_kernels_find(context->isa, dtype);
    mnc_status status = optimizer_check(optimizer, err);
    if (status != MNC_OK) return status;
    if ((unsigned)dtype > MNC_FLOAT64) return mnc_fail(err, MNC_INVALID, "unknown dtype %d", dtype);
    if (t < 1 || !mnc_is_rate(rate)) return mnc_fail(err, MNC_INVALID, "t must be at least 1 and the rate finite");
    if (optimizer->gradient_accumulation_steps > 1 || optimizer->use_ema)
        return mnc_fail(err, MNC_INVALID, "a single step can neither accumulate gradients nor average weights");
    for (size_t i = 0; i < own_slots(optimizer); i++)
        if (!slots[i]) return mnc_fail(err, MNC_INVALID, "slot %zu of the optimizer is missing", i);
    void *copy = NULL;
    status = clip_copy(k, optimizer, n, &gradient, &copy, err);
    if (status != MNC_OK) return status;
    mnc_update update;
    mnc_update_make(&update, optimizer, rate, t);
    const size_t whole = n / 16 * 16, rest = n - whole;
    const unsigned state = mnc_cpu_normalise();
    k->update(&update, whole, w, slots, gradient, MNC_PANEL);
    /* The tail goes through vectors of its own, so that kernels need not know tails. */
    const size_t bytes = rest * k->real_size, begin = whole * k->real_size;
    double tail[5][16];
    void *tail_slots[3] = {NULL, NULL, NULL};
    memset(tail, 0, sizeof tail);
    memcpy(tail[0], (char *)w + begin, bytes);
    memcpy(tail[1], (const char *)gradient + begin, bytes);
    for (size_t i = 0; i < 3; i++)
        if (slots[i]) memcpy(tail_slots[i] = tail[2 + i], (char *)slots[i] + begin, bytes);
    k->update(&update, rest ? 16 : 0, tail[0], tail_slots, tail[1], MNC_PANEL);
    mnc_cpu_restore(state);
    memcpy((char *)w + begin, tail[0], bytes);
    for (size_t i = 0; i < 3; i++)
        if (slots[i]) memcpy((char *)slots[i] + begin, tail[2 + i], bytes);
    mnc_release(copy);
    return MNC_OK;
}

/* ---------------------------------------------------------------- rates */
static double rate_at(const mnc_rate *r, uint64_t step) {
    const double since = (double)step - r->warmup_steps;
    if (since < 0) {
        const double share = (double)step / r->warmup_steps;
        const double way = r->kind == MNC_RATE_ONE_CYCLE ? (1 - mnc_cos_pi(share)) / 2 : share;
        return r->warmup_from + (r->initial - r->warmup_from) * way;
    }
    const double t = since / r->steps, whole = t < 1e18 ? (double)(uint64_t)t : 1e18;
    switch (r->kind) {
    case MNC_RATE_CONSTANT: return r->initial;
    case MNC_RATE_STEP: return r->initial * mnc_power(r->decay, (uint64_t)whole);
    case MNC_RATE_INVERSE_TIME: return r->initial / (1 + r->decay * (r->staircase ? whole : t));
    case MNC_RATE_EXPONENTIAL: {
        const double rest = r->staircase ? 1 : mnc_exp((t - whole) * mnc_log(r->decay));
        return r->initial * mnc_power(r->decay, (uint64_t)whole) * rest;
    }
    case MNC_RATE_COSINE:
    case MNC_RATE_ONE_CYCLE: {
        const double cosine = (1 + mnc_cos_pi(t < 1 ? t : 1)) / 2;
        return r->initial * ((1 - r->alpha) * cosine + r->alpha);
    }
    }
    return r->initial;
}

mnc_status mnc_rates(const mnc_rate *rate, uint64_t first, size_t n, double *out, mnc_error *err) {
    if ((unsigned)rate->kind >= 0 MNC_RATES(MNC_LIST_COUNT))
        return mnc_fail(err, MNC_INVALID, "unknown schedule %d", rate->kind);
    if (!isfinite(rate->initial) || !isfinite(rate->decay) || !isfinite(rate->alpha) || !isfinite(rate->warmup_from))
        return mnc_fail(err, MNC_INVALID, "a schedule's rate, decay and alpha must be finite");
    if (!(rate->warmup_steps >= 0 && isfinite(rate->warmup_steps)))
        return mnc_fail(err, MNC_INVALID, "a schedule's warmup_steps must not be negative, but is %g",
                        rate->warmup_steps);
    if (rate->kind == MNC_RATE_EXPONENTIAL && !(rate->decay >= 1e-300))
        return mnc_fail(err, MNC_INVALID, "the decay of an exponential schedule must be positive, not %g", rate->decay);
    if (rate->kind != MNC_RATE_CONSTANT && !(rate->steps > 0 && isfinite(rate->steps)))
        return mnc_fail(err, MNC_INVALID, "a schedule's steps must be positive, not %g", rate->steps);
    for (size_t i = 0; i < n; i++) out[i] = rate_at(rate, first + i);
    return MNC_OK;
}
