/* Weight gradients, block by block, each consumed by the optimizer while it is in the first-level cache. */
#include <string.h>

#include "net/net.h"

void mnc_average_at(const mnc_model *model, const mnc_update *update, size_t offset, size_t n) {
    const mnc_kernels *k = model->kernels;
    if (!model->average) return;
    char *const w = mnc_at(model, model->values, offset), *const average = mnc_at(model, model->average, offset);
    k->moving_average(n, average, w, update->ema_momentum);
    if (update->overwrite) memcpy(w, average, n * k->real_size);
}

void mnc_update_at(const mnc_pass *pass, const mnc_update *update, size_t offset, size_t n, mnc_real *g,
                   size_t stride) {
    const mnc_model *model = pass->model;
    const mnc_kernels *k = model->kernels;
    mnc_real *slots[3] = {NULL, NULL, NULL};
    for (size_t i = 0; i < model->n_slots; i++) slots[i] = mnc_at(model, model->slots[i], offset);
    if (model->optimizer.clipvalue > 0) k->clip(n, g, stride, 1, model->optimizer.clipvalue);
    k->update(update, n, mnc_at(model, model->values, offset), slots, g, stride);
    if (!model->constrained) mnc_average_at(model, update, offset, n);
    pass->tally->counters.updates++;
}

/* n gradient elements, their vectors `stride` apart, for the parameters at `offset`: adds them to what earlier chunks left,
 * or, after the last chunk, lets the optimizer have them, or leaves them stored. */
static void consume(const mnc_pass *pass, const mnc_sink *sink, size_t offset, size_t n, char *g, size_t stride,
                    bool first, bool last, double l1, double l2) {
    mnc_model *model = pass->model;
    const mnc_kernels *k = model->kernels;
    char *values = mnc_at(model, model->values, offset);
    if (!first || !last || sink->store) {
        char *total = mnc_at(model, sink->total, offset);
        k->accumulate(n, total, g, stride, first);
        g = total;
        stride = MNC_PANEL;
    }
    if (last && sink->share != 0) k->clip(n, g, stride, sink->share, 0);
    if (last && (l1 != 0 || l2 != 0)) k->regularise(n, g, stride, values, l1, l2);
    if (last && !sink->store)
        mnc_update_at(pass, sink->update, offset, n, g, stride);
    else
        pass->tally->counters.stores++;
}

/* The deltas of panels panel0 ... panel1 - 1, one row behind the other: in place, rows would compete for few sets of the
 * cache where ld is a power of two. */
static void pack_deltas(const mnc_pass *pass, size_t panel0, size_t panel1) {
    const mnc_model *model = pass->model;
    const size_t ld = model->steps[0].ld, width = (panel1 - panel0) * MNC_PANEL;
    const char *delta = mnc_scratch(pass, pass->plan->delta[0]);
    char *packed = mnc_thread_scratch(pass, pass->plan->packed);
    for (size_t row = 0; row < pass->rows; row++)
        memcpy(mnc_at(model, packed, row * width), mnc_at(model, delta, row * ld + panel0 * MNC_PANEL),
               width * model->kernels->real_size);
}

/* A block of features k0 ... k1 - 1 of a dense step, for panels panel0 ... panel1 - 1, over all rows of the chunk, cut
 * every reduce_rows. With k0 = 0 also the bias. */
static void dense_block(const mnc_pass *pass, const mnc_sink *sink, size_t s, size_t k0, size_t k1, size_t panel0,
                        size_t panel1) {
    const mnc_model *model = pass->model;
    const mnc_kernels *k = model->kernels;
    const mnc_step *step = &model->steps[s];
    const mnc_layer *layer = &step->layer;
    const char *delta = mnc_scratch(pass, pass->plan->delta[s]);
    char *g = mnc_thread_scratch(pass, pass->plan->gradient);
    const bool sparse = s == 0 && pass->plan->sparse, columns = s == 0 && pass->plan->by_columns;
    for (size_t row0 = 0; row0 < pass->rows; row0 += model->spec.reduce_rows) {
        const size_t left = pass->rows - row0, rows = left < model->spec.reduce_rows ? left : model->spec.reduce_rows;
        const bool first = sink->first && row0 == 0, last = sink->last && rows == left;
        if (columns) {
            const size_t width = (panel1 - panel0) * MNC_PANEL;
            const mnc_columns from = mnc_columns_from(&pass->columns, row0);
            pass->tally->counters.sparse_gradient++;
            k->column_gradient(g, &from, pass->sparse.table, k0, k1,
                               mnc_at(model, mnc_thread_scratch(pass, pass->plan->packed), row0 * width), rows,
                               panel1 - panel0);
        } else if (sparse) {
            pass->tally->counters.sparse_gradient++;
            k->sparse_gradient(g, &pass->sparse, pass->data->blocks, k0 / MNC_FEATURE_BLOCK, mnc_feature_blocks(k1),
                               k1 - k0, delta, step->ld, row0, row0 + rows, panel0, panel1);
        } else {
            const char *x = s == 0 ? mnc_scratch(pass, pass->plan->x) : mnc_activations(pass, s - 1);
            pass->tally->counters.dense_gradient++;
            k->dense_gradient(g, x, step->ld_in, k0, k1, delta, step->ld, row0, row0 + rows, panel0, panel1);
        }
        const size_t n = (k1 - k0) * MNC_PANEL, stride = (panel1 - panel0) * MNC_PANEL;
        for (size_t panel = panel0; panel < panel1; panel++)
            consume(pass, sink, step->weights + panel * step->panel_size + k0 * MNC_PANEL, n,
                    mnc_at(model, g, (panel - panel0) * MNC_PANEL), stride, first, last, layer->l1, layer->l2);
        if (k0 != 0 || !layer->use_bias) continue;
        k->bias_gradient(g, delta, step->ld, row0, row0 + rows, panel0, panel1);
        for (size_t panel = panel0; panel < panel1; panel++)
            consume(pass, sink, step->weights + panel * step->panel_size + step->inputs * MNC_PANEL, MNC_PANEL,
                    mnc_at(model, g, (panel - panel0) * MNC_PANEL), MNC_PANEL, first, last, layer->bias_l1,
                    layer->bias_l2);
    }
}

static bool given_up(const mnc_pass *pass, const mnc_sink *sink) { return sink->free && mnc_pass_stopped(pass); }

/* A thread's share of the first step: where it is cut by panels, those whose outputs it computes, so that its next forward
 * pass finds its weights in its own cache, and unless shares are dealt out waits for nobody; else a part of the features. */
typedef struct {
    size_t panel0, panel1, k0, k1;
} share;

static share share_of(const mnc_pass *pass, size_t thread) {
    const mnc_step *step = &pass->model->steps[0];
    share own = {0, step->panels, 0, step->inputs};
    if (mnc_step_by_panels(pass, 0))
        mnc_split(step->panels, 1, pass->team->size, thread, &own.panel0, &own.panel1);
    else
        mnc_split(step->inputs, MNC_FEATURE_BLOCK, pass->team->size, thread, &own.k0, &own.k1);
    return own;
}

/* The pieces of a share: `most` panels at a time, what the sparse kernel keeps, then those left over; and each time as many
 * features as the gradients of so many panels have room for. */
static size_t width_of(size_t panels) { return MNC_GRADIENT_BLOCKS / panels * MNC_FEATURE_BLOCK; }

static size_t parts_of(const share *own, size_t panels) {
    return panels ? (own->k1 - own->k0 + width_of(panels) - 1) / width_of(panels) : 0;
}

/* packed: the panel of which the thread has packed deltas; SIZE_MAX: none. */
static void update_share(const mnc_pass *pass, const mnc_sink *sink, size_t owner, size_t *packed) {
    const share own = share_of(pass, owner);
    const size_t panels = own.panel1 - own.panel0, most = panels < MNC_SPARSE_PANELS ? panels : MNC_SPARSE_PANELS;
    if (panels == 0 || own.k0 == own.k1) return;
    const size_t parts = parts_of(&own, most), full = panels / most * parts,
                 pieces = full + parts_of(&own, panels % most);
    for (size_t piece = SIZE_MAX; !given_up(pass, sink) && mnc_pass_take(pass, MNC_UPDATE, owner, pieces, &piece);) {
        const size_t panel = piece < full ? own.panel0 + piece / parts * most : own.panel1 - panels % most;
        const size_t end = piece < full ? panel + most : own.panel1, width = width_of(end - panel);
        const size_t k = own.k0 + (piece < full ? piece % parts : piece - full) * width;
        if (pass->plan->by_columns && *packed != panel) pack_deltas(pass, *packed = panel, end);
        dense_block(pass, sink, 0, k, own.k1 - k < width ? own.k1 : k + width, panel, end);
        if (piece < parts && owner == pass->thread) mnc_pass_prefetch(pass, piece, parts);
    }
}

static void update_first(const mnc_pass *pass, const mnc_sink *sink) {
    const size_t team = pass->team->size;
    size_t packed = SIZE_MAX;
    for (size_t i = 0; i < (pass->deal ? team : 1); i++) update_share(pass, sink, (pass->thread + i) % team, &packed);
}

/* Other steps: pairs of panels times blocks of features, dealt out in turn. */
static void update_shared(const mnc_pass *pass, const mnc_sink *sink, size_t s) {
    enum { WIDTH = MNC_GRADIENT_BLOCKS / 4 * MNC_FEATURE_BLOCK }; /* half of what two panels have room for */
    const mnc_step *step = &pass->model->steps[s];
    const size_t pairs = (step->panels + 1) / 2, blocks = (step->inputs + WIDTH - 1) / WIDTH;
    for (size_t unit = pass->thread; unit < pairs * blocks && !given_up(pass, sink); unit += pass->team->size) {
        const size_t panel = 2 * (unit / blocks);
        size_t k0, k1;
        mnc_split(step->inputs, 1, blocks, unit % blocks, &k0, &k1);
        dense_block(pass, sink, s, k0, k1, panel, panel + 2 <= step->panels ? panel + 2 : step->panels);
    }
}

static void update_norm(const mnc_pass *pass, const mnc_sink *sink, size_t s) {
    const mnc_step *step = &pass->model->steps[s];
    if (s % pass->team->size != pass->thread) return;
    if (step->layer.scale)
        consume(pass, sink, step->gamma, step->ld, mnc_norm_vector(pass, s, MNC_NORM_DGAMMA), MNC_PANEL, sink->first,
                sink->last, 0, 0);
    if (step->layer.center)
        consume(pass, sink, step->beta, step->ld, mnc_norm_vector(pass, s, MNC_NORM_DBETA), MNC_PANEL, sink->first,
                sink->last, 0, 0);
}

void mnc_pass_statistics(const mnc_pass *pass) {
    mnc_model *model = pass->model;
    if (pass->thread != 0) return;
    for (size_t s = 0; s < model->n_steps; s++) {
        const mnc_step *step = &model->steps[s];
        if (step->layer.kind != MNC_NORM) continue;
        model->kernels->moving_average(step->ld, mnc_at(model, model->values, step->mean),
                                       mnc_norm_vector(pass, s, MNC_NORM_MEAN), step->layer.momentum);
        model->kernels->moving_average(step->ld, mnc_at(model, model->values, step->variance),
                                       mnc_norm_vector(pass, s, MNC_NORM_VARIANCE), step->layer.momentum);
    }
}

void mnc_pass_update(const mnc_pass *pass, const mnc_sink *sink) {
    const mnc_model *model = pass->model;
    mnc_pass_put_back(pass, MNC_ROWS);
    for (size_t s = 0; s < model->n_steps; s++) {
        if (model->steps[s].layer.kind == MNC_NORM)
            update_norm(pass, sink, s);
        else if (model->steps[s].layer.kind == MNC_DENSE && s == 0)
            update_first(pass, sink);
        else if (model->steps[s].layer.kind == MNC_DENSE)
            update_shared(pass, sink, s);
    }
    if (!sink->store) mnc_pass_statistics(pass);
}
