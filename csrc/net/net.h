/* The network: a line of steps, its parameters, and the plan that a pass over a batch follows. Private to net/. */
#ifndef MNC_NET_NET_H
#define MNC_NET_NET_H

#include <stdatomic.h>

#include "base/arena.h"
#include "data/inputs.h"
#include "kernels/kernels.h"
#include "threads/pool.h"

struct mnc_context {
    const char *isa;
    mnc_pool *pool;
};

/* mnc_pool_run with the floating-point environment of the contract in every thread. */
size_t mnc_context_run(mnc_context *context, size_t wanted, mnc_task task, void *argument);

enum { MNC_SLOTS = MNC_SLOT4 - MNC_SLOT0 + 1 }; /* that an optimizer may have */

/* One step of the line, compiled from an mnc_layer. Offsets count elements in the parameter arena. */
typedef struct mnc_step {
    mnc_layer layer;
    size_t inputs, outputs;             /* features */
    size_t ld_in, ld, panels;           /* of the outputs: ld = 16 panels */
    size_t panel_size;                  /* dense */
    size_t weights;                     /* dense: panels */
    size_t gamma, beta, mean, variance; /* norm: [ld] each */
    bool has_f;                         /* training needs a derivative buffer */
} mnc_step;

/* Scratch of one kind of pass. Offsets count bytes in the arena. */
typedef struct mnc_plan {
    char *arena;
    size_t rows;     /* capacity: rows of a batch, or of a chunk of it */
    size_t threads;  /* capacity */
    bool inference;  /* outputs only: without derivatives and deltas */
    bool sparse;     /* step 0 reads records of non-zero inputs, unless training adds noise to all: */
    bool found;      /* found for each chunk, in data that have no index */
    bool assembled;  /* inputs are put together for each chunk: in x if dense, in records if found or with dropout */
    bool by_columns; /* the first layer's gradient takes columns of them: */
    bool turned;     /* made for each chunk, else those of the data */
    bool with_dx;
    size_t *a, *f, *delta, *xhat; /* one per step, inside `offsets` */
    size_t *offsets;
    size_t first_a[2]; /* a of step 0, by turns: the next chunk begins while others still read this one's */
    size_t x, dx, records, record_stride;
    size_t columns[2], columns_begin, columns_end; /* by turns, like first_a; offsets within each */
    size_t norm;                                   /* per step: inv, mean, variance, dgamma, dbeta, [max ld] each */
    size_t norm_stride, norm_vector;
    size_t table;                           /* scaled for input dropout */
    size_t losses, correct, bad, penalties; /* [rows], [rows], one cache line per thread, [all panels] */
    size_t squares;                         /* sums of blocks of gradients */
    size_t n_panels;
    size_t thread, thread_stride;                            /* per thread: */
    size_t row_pointers, gradient, head, transposed, packed; /* offsets within a thread's part */
} mnc_plan;

/* What each thread keeps to itself; a cache line apart. */
typedef struct mnc_tally {
    mnc_counters counters;
    uint64_t pieces; /* of work */
    char pad[64];
} mnc_tally;

/* What one evaluation works with: several may be under way. A model keeps as many desks as were ever taken at once, since
 * predictions are often small and many. */
typedef struct mnc_desk {
    struct mnc_desk *next;
    atomic_flag taken;
    uint64_t workers;
    struct {
        mnc_plan plan;
        uint64_t correct; /* rows of the evaluation under way */
        mnc_tally tally;
    } seat[MNC_MAX_THREADS]; /* one for each thread */
} mnc_desk;

/* Which slices of training a team of `team` threads takes, and which one thread alone: see pick_team. */
typedef struct mnc_pick {
    size_t team;
    double pace[2];        /* seconds a batch last took with the team, and alone */
    bool alone;            /* was the faster before the last slice */
    unsigned first_trials; /* to come */
    unsigned turn;         /* slices since the slower one was tried */
    unsigned patience;     /* slices alone until the team is tried */
} mnc_pick;

struct mnc_model {
    mnc_context *context;
    const mnc_kernels *kernels;
    mnc_spec spec; /* layers: NULL, they are in steps */
    size_t n_steps;
    mnc_step *steps;
    size_t n_tensors;
    mnc_tensor *tensors;
    size_t *tensor_offset; /* elements; of the panel or vector */
    size_t elements;       /* of an arena of parameters */
    bool has_norm;
    bool constrained; /* some weights have a range of norms */
    char *values, *gradients, *slots[MNC_SLOTS];
    char *total, *average; /* those of the slots that the formula does not know, or NULL */
    mnc_optimizer optimizer;
    size_t n_slots; /* of the formula */
    bool has_optimizer;
    mnc_progress progress;
    mnc_plan train;
    mnc_tally *tally; /* of training: [MNC_MAX_THREADS] */
    _Atomic(mnc_desk *) desks;
    uint64_t workers;
    mnc_pick pick;
};

/* Element i of an array of reals. */
static inline void *mnc_at(const mnc_model *model, const void *base, size_t i) {
    return (char *)(uintptr_t)base + i * model->kernels->real_size;
}

static inline mnc_desk *mnc_desks(const mnc_model *model) {
    return atomic_load(&((mnc_model *)(uintptr_t)model)->desks);
}

/* ---------------------------------------------------------------- spec.c */
static inline bool mnc_is_share(double x) { return x >= 0.0 && x < 1.0; }
static inline bool mnc_is_rate(double x) { return x >= -1e38 && x <= 1e38; } /* finite as a float, too */
#define MNC_LEAST_EPSILON 1e-37 /* below, it would be zero or denormal as a float: 0 / 0 where gradients vanish */
/* Checks a spec in full; the message names layer and field. */
mnc_status mnc_spec_check(const mnc_spec *spec, mnc_error *err);

/* ---------------------------------------------------------------- model.c */
/* Where element (row, col) of tensor i lies in an arena. */
size_t mnc_locate(const mnc_model *model, size_t i, size_t row, size_t col);
/* base[i] = value, rounded to the model's dtype. */
void mnc_write_real(const mnc_model *model, void *base, size_t i, double value);
/* l1 and l2 of one panel of a dense step. */
double mnc_panel_penalty(const mnc_model *model, const mnc_step *step, size_t panel);

/* ---------------------------------------------------------------- plan.c */
/* What a pass takes: the fields of these names of an mnc_plan. in_groups: each chunk begins and ends with groups of
 * data->turned. */
typedef struct mnc_plan_need {
    size_t rows, threads;
    bool inference, found, with_dx, in_groups;
} mnc_plan_need;

/* Makes *plan fit for passes over data; keeps it if it already is. */
mnc_status mnc_plan_prepare(const mnc_model *model, mnc_plan *plan, const mnc_data *data, const mnc_plan_need *need,
                            mnc_error *err);
void mnc_plan_release(mnc_plan *plan);
/* Rows of a chunk: the batch, at most reduce_rows; all of it where batch normalisation needs the whole. */
size_t mnc_plan_chunk(const mnc_model *model, size_t batch, bool training);
/* How many threads a pass of `rows` rows is worth. */
size_t mnc_plan_team(const mnc_model *model, const mnc_data *data, size_t rows, bool training);

/* ---------------------------------------------------------------- forward.c, backward.c, update.c, deal.c */
/* Phases of a step whose work may be dealt out while it is done, and how many pieces of each thread's share are taken. */
typedef enum mnc_phase { MNC_FIRST_STEP, MNC_ROWS, MNC_UPDATE, MNC_PHASES } mnc_phase;
typedef struct mnc_deal {
    struct {
        atomic_size_t taken[MNC_PHASES];
        char pad[64];
    } share[MNC_MAX_THREADS];
} mnc_deal;

/* One pass over a chunk of a batch, as every thread of the team sees it. Each thread has its own copy, with the same
 * values but for `thread`. */
typedef struct mnc_pass {
    mnc_model *model;
    mnc_plan *plan;
    const mnc_data *data;
    const mnc_team *team;
    size_t thread;
    mnc_tally *tally;    /* the thread's own */
    const uint32_t *ids; /* of the whole job, or NULL */
    size_t first;        /* place in the job of the chunk's first row */
    size_t batch_first;  /* and of its batch */
    size_t rows, batch;  /* rows of the chunk; of its batch */
    size_t following;    /* rows of the job's next chunk */
    bool training;       /* dropout and batch statistics */
    bool inference;      /* outputs only: no derivatives, no penalties */
    bool input_gradient;
    struct mnc_watch *watch; /* NULL: it is never given up */
    mnc_deal *deal;          /* NULL: each thread does its own share and no more */
    unsigned parity;
    uint64_t step;
    mnc_sparse sparse; /* the inputs of this chunk, if the plan says so */
    mnc_columns columns;
} mnc_pass;

/* Whether work of a team is to be given up. Thread 0 asks the caller; once somebody sees the answer, what is left need not
 * be computed, but barriers are kept. */
typedef struct mnc_watch {
    const mnc_stop *stop; /* or NULL */
    atomic_bool now;
} mnc_watch;

static inline bool mnc_watch_stopped(mnc_watch *watch, size_t thread) {
    if (thread == 0 && watch->stop && !atomic_load_explicit(&watch->now, memory_order_relaxed) &&
        watch->stop->ask(watch->stop->argument))
        atomic_store_explicit(&watch->now, true, memory_order_relaxed);
    return atomic_load_explicit(&watch->now, memory_order_relaxed);
}

static inline bool mnc_pass_stopped(const mnc_pass *pass) {
    return pass->watch && mnc_watch_stopped(pass->watch, pass->thread);
}

/* MNC_STOPPED, if the work was given up. */
mnc_status mnc_watch_status(const mnc_watch *watch, mnc_error *err);

/* Rows that a thread takes through a step before it looks at that again. Results do not depend on the cuts. */
enum { MNC_ROWS_AT_A_TIME = 512 };

/* The end of the piece of rows row ... end - 1 that begins with `row`. */
static inline size_t mnc_piece_end(size_t row, size_t end) {
    return end - row < MNC_ROWS_AT_A_TIME ? end : row + MNC_ROWS_AT_A_TIME;
}

static inline char *mnc_scratch(const mnc_pass *pass, size_t offset) { return pass->plan->arena + offset; }
static inline char *mnc_thread_scratch(const mnc_pass *pass, size_t offset) {
    return pass->plan->arena + pass->plan->thread + pass->thread * pass->plan->thread_stride + offset;
}
/* Output of step s. */
static inline char *mnc_activations(const mnc_pass *pass, size_t s) {
    return mnc_scratch(pass, s == 0 ? pass->plan->first_a[pass->parity] : pass->plan->a[s]);
}
static inline char *mnc_norm_vector(const mnc_pass *pass, size_t s, size_t which) {
    return mnc_scratch(pass, pass->plan->norm + s * pass->plan->norm_stride + which * pass->plan->norm_vector);
}
enum { MNC_NORM_INV, MNC_NORM_MEAN, MNC_NORM_VARIANCE, MNC_NORM_DGAMMA, MNC_NORM_DBETA, MNC_NORM_VECTORS };

/* True if step s is cut by panels of its outputs, false if by rows. */
bool mnc_step_by_panels(const mnc_pass *pass, size_t s);
/* The dropout of layer l (0: inputs, 1 + s: step s) in this pass; false if there is none. */
bool mnc_pass_dropout(const mnc_pass *pass, size_t l, mnc_dropout *out);

/* Dropout of the inputs, on rows of x[rows, round16(inputs)]: the inputs themselves or their gradient. */
void mnc_pass_drop_inputs(const mnc_pass *pass, char *x, size_t row0, size_t row1);
/* Asks for the records of the next chunk's rows, part `part` of `parts` of them, while there is other work. */
void mnc_pass_prefetch(const mnc_pass *pass, size_t part, size_t parts);
/* Puts the chunk's inputs together; ends with a barrier if the plan says `assembled`. */
void mnc_pass_inputs(mnc_pass *pass);
/* All steps. The thread's own rows of the last step are ready on return (after a barrier, if it was cut by panels). */
void mnc_pass_forward(const mnc_pass *pass);
/* Losses, right or wrong, and deltas (unless delta is false) of the thread's own rows; penalties of its own panels. */
void mnc_pass_head(const mnc_pass *pass, bool delta, mnc_real *outputs);
/* The deltas of all steps. */
void mnc_pass_backward(const mnc_pass *pass);

/* The same for rows row0 ... row1 - 1 alone, of networks without batch normalisation: panels of the first step; steps
 * `from` to the last; the head; the deltas of all steps (false if one is not finite). */
void mnc_pass_forward_panels(const mnc_pass *pass, size_t row0, size_t row1, size_t panel0, size_t panel1);
void mnc_pass_forward_rows(const mnc_pass *pass, size_t from, size_t row0, size_t row1);
void mnc_pass_head_rows(const mnc_pass *pass, bool delta, mnc_real *outputs, size_t row0, size_t row1);
bool mnc_pass_backward_rows(const mnc_pass *pass, size_t row0, size_t row1);
/* Penalties of the thread's share of all panels; 0 where a layer has none. */
void mnc_pass_penalties(const mnc_pass *pass);
/* What mnc_pass_finite hears from this thread. */
void mnc_pass_say_finite(const mnc_pass *pass, bool finite);

/* Is it worth dealing out chunks of so many rows? (Not built for batch normalisation, whose steps need all rows.) */
bool mnc_deal_pays(const mnc_model *model, size_t rows, size_t threads);
/* mnc_pass_forward, mnc_pass_head and mnc_pass_backward in one, dealt out. */
void mnc_pass_deal(const mnc_pass *pass);
/* The next of the pieces 0 ... pieces - 1 of a thread's share, without a deal the one after *piece (SIZE_MAX: the first);
 * false if there are no more. */
bool mnc_pass_take(const mnc_pass *pass, mnc_phase phase, size_t owner, size_t pieces, size_t *piece);
/* Begins the thread's share of a phase anew; not while another thread may take from it. */
void mnc_pass_put_back(const mnc_pass *pass, mnc_phase phase);
/* After a barrier: the sum of the chunk's losses and the network's penalty; true if they and all deltas are finite. */
bool mnc_pass_finite(const mnc_pass *pass, double *loss_sum, double *penalty);

/* How many rows of the chunk are right. */
size_t mnc_pass_correct(const mnc_pass *pass);
/* The moving averages of all batch normalisations take in the batch's statistics; thread 0 does it. */
void mnc_pass_statistics(const mnc_pass *pass);

/* What becomes of the gradients of a chunk. */
typedef struct mnc_sink {
    bool first, last; /* chunk of the batch */
    bool store;       /* leave the total where it is instead of updating */
    bool free;        /* nothing is lost if the pass is given up midway */
    char *total;      /* arena of sums over chunks */
    double share;     /* what the total is multiplied by in the end; 0: nothing */
    const mnc_update *update;
} mnc_sink;

void mnc_pass_update(const mnc_pass *pass, const mnc_sink *sink);
/* Where a training step stores gradients. */
static inline char *mnc_total(const mnc_model *model) { return model->total ? model->total : model->gradients; }
/* The optimizer's step for the n parameters at `offset`, whose gradients' vectors are `stride` apart. */
void mnc_update_at(const mnc_pass *pass, const mnc_update *update, size_t offset, size_t n, mnc_real *g, size_t stride);
/* If the optimizer keeps averages: those of n parameters take in what a step has made of them. */
void mnc_average_at(const mnc_model *model, const mnc_update *update, size_t offset, size_t n);

/* ---------------------------------------------------------------- clip.c */
/* The contract's sum of the squares of x[n]. */
double mnc_squares(const mnc_kernels *kernels, size_t n, const mnc_real *x);
/* What gradients with that sum of squares are multiplied by so that their norm is at most `most`. */
double mnc_clip_factor(double squares, double most);
/* How many sums mnc_pass_apply needs room for. */
size_t mnc_clip_blocks(const mnc_model *model);
/* Lets the optimizer have the stored gradients, clipped if it says so; after a barrier, and ends with one. */
void mnc_pass_apply(const mnc_pass *pass, const mnc_update *update);
/* After a step: brings the norms of weights into their ranges, then averages all; begins and ends with a barrier. */
void mnc_pass_constrain(const mnc_pass *pass, const mnc_update *update);

/* ---------------------------------------------------------------- optimizer.c */
/* How many batches make a step. */
static inline uint64_t mnc_turns(const mnc_optimizer *o) {
    return o->gradient_accumulation_steps > 1 ? o->gradient_accumulation_steps : 1;
}
/* Does a step need all gradients before it uses any? */
bool mnc_clips_norms(const mnc_optimizer *optimizer);
/* The constants of step t, counted from 1. */
void mnc_update_make(mnc_update *update, const mnc_optimizer *optimizer, double rate, uint64_t t);

/* ---------------------------------------------------------------- dataset.c */
/* Can this model take this data? targets: it must have labels or targets. */
mnc_status mnc_data_check(const mnc_model *model, const mnc_data *data, bool targets, mnc_error *err);

#endif
