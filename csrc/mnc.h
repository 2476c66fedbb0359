/* mnc.h - the public C API of mnist_c: train and run multilayer perceptrons on MNIST-like images.
 *
 * Intended use (csrc/examples/train.c does exactly this):
 *   1. mnc_context_create        choose an instruction set, own a pool of threads
 *   2. mnc_model_create          compile a spec into a network with initialised parameters
 *   3. mnc_data_create, _set_*   give it images and labels
 *   4. mnc_model_set_optimizer, then mnc_fit per epoch
 *   5. mnc_evaluate, mnc_model_get
 *
 * Conventions
 *   - Every fallible function returns an mnc_status and fills *err (which may be NULL). A failure leaves its
 *     handles as they were. *_destroy(NULL) does nothing. The library never prints, exits or aborts.
 *   - Matrices are row-major. `real` below means float or double, as the spec's dtype says.
 *   - Any number of threads may read one model at once: mnc_evaluate, mnc_model_get, _tensor, _tensor_count, _hash, _penalty
 *     and _progress. Every other function needs the model for itself. Several models of one context, which may share data,
 *     may be used by different threads (whoever finds the workers busy runs on its own thread alone).
 *     mnc_context_set_threads and mnc_context_stop_workers may be called at any time.
 *   - Same spec, seed, data and calls give the same bits for any number of threads and any instruction set
 *     (float32; ARCHITECTURE.md states the arithmetic). */
#ifndef MNC_H
#define MNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes whenever the same call may give other bits than before. */
#define MNC_CONTRACT_VERSION 1

/* ---------------------------------------------------------------- status */
typedef enum mnc_status {
    MNC_OK = 0,
    MNC_INVALID,     /* an argument is out of its range */
    MNC_NO_MEMORY,   /* an allocation failed */
    MNC_UNSUPPORTED, /* this machine or build cannot do it */
    MNC_NOT_FINITE,  /* training met an infinite or NaN loss or delta, and stopped before that batch's update */
    MNC_STOPPED,     /* the caller's mnc_stop said so */
} mnc_status;

typedef struct mnc_error {
    mnc_status status;
    char message[240]; /* what came, what was expected */
} mnc_error;

/* What the calling thread asks several times in a call that may take long; true ends the call at once. NULL: never. */
typedef struct mnc_stop {
    bool (*ask)(void *argument);
    void *argument;
} mnc_stop;

/* ---------------------------------------------------------------- context */
typedef struct mnc_context mnc_context;

/* isa: "scalar", "avx2", "avx512", or NULL for the best this CPU has (one it lacks is MNC_UNSUPPORTED).
 * threads: at least 1; workers start with the first large job. */
mnc_status mnc_context_create(mnc_context **out, const char *isa, size_t threads, mnc_error *err);
void mnc_context_destroy(mnc_context *context);
const char *mnc_context_isa(const mnc_context *context);
size_t mnc_context_threads(const mnc_context *context);
mnc_status mnc_context_set_threads(mnc_context *context, size_t threads, mnc_error *err);
/* Joins the workers; the next large job starts them again. Call before fork(). */
void mnc_context_stop_workers(mnc_context *context);
/* Name of the i-th instruction set this CPU and build offer, best first; NULL past the end. */
const char *mnc_isa_name(size_t i);

/* ---------------------------------------------------------------- network */
typedef enum mnc_dtype { MNC_FLOAT32, MNC_FLOAT64 } mnc_dtype;

/* Each list gives an enum's values and their names, and so all that is enumerated over them. */
#define MNC_ACTIVATIONS(X)      \
    X(LINEAR, "linear")         \
    X(RELU, "relu")             \
    X(LEAKY_RELU, "leaky_relu") \
    X(TANH, "tanh")             \
    X(SIGMOID, "sigmoid")       \
    X(ELU, "elu") X(SELU, "selu") X(GELU, "gelu") X(GELU_TANH, "gelu_tanh") X(SILU, "silu") X(SOFTPLUS, "softplus")
#define MNC_OPTIMIZERS(X) X(SGD, "sgd") X(RMSPROP, "rmsprop") X(ADAM, "adam") X(ADAMW, "adamw") X(ADAGRAD, "adagrad")
#define MNC_RATES(X)                     \
    X(RATE_CONSTANT, "constant")         \
    X(RATE_STEP, "step")                 \
    X(RATE_INVERSE_TIME, "inverse_time") \
    X(RATE_COSINE, "cosine") X(RATE_EXPONENTIAL, "exponential") X(RATE_ONE_CYCLE, "one_cycle")
#define MNC_LIST_VALUE(value, name) MNC_##value,
#define MNC_LIST_NAME(value, name) [MNC_##value] = name,
#define MNC_LIST_COUNT(value, name) +1

typedef enum mnc_activation { MNC_ACTIVATIONS(MNC_LIST_VALUE) } mnc_activation;

typedef enum mnc_layer_kind {
    MNC_DENSE, /* x W + b */
    MNC_NORM,  /* batch normalisation per feature */
    MNC_MAP,   /* nothing but the activation and dropout that end every layer */
} mnc_layer_kind;

typedef enum mnc_init_kind {
    MNC_INIT_CONSTANT,         /* a */
    MNC_INIT_UNIFORM,          /* from a to b */
    MNC_INIT_NORMAL,           /* mean a, standard deviation b */
    MNC_INIT_TRUNCATED_NORMAL, /* the same, drawn again (by inversion) beyond two b */
    MNC_INIT_SCALED_UNIFORM,   /* variance a / fan, uniform */
    MNC_INIT_SCALED_NORMAL,    /* variance a / fan, truncated normal as Keras draws it */
} mnc_init_kind;

typedef enum mnc_fan { MNC_FAN_IN, MNC_FAN_OUT, MNC_FAN_AVG } mnc_fan;

typedef struct mnc_init {
    mnc_init_kind kind;
    mnc_fan fan;
    double a, b;
} mnc_init;

/* One layer: kind, then activation, then dropout, then noise. */
typedef struct mnc_layer {
    mnc_layer_kind kind;
    size_t units;            /* MNC_DENSE: outputs; others: ignored (as many as come in) */
    bool use_bias;           /* MNC_DENSE */
    mnc_init kernel_init;    /* MNC_DENSE */
    mnc_init bias_init;      /* MNC_DENSE */
    double l1, l2;           /* MNC_DENSE: adds l1 sum |W| + l2 sum W^2 to the loss */
    double bias_l1, bias_l2; /* the same on the bias */
    /* MNC_DENSE: after each step every column w of W becomes w clip(|w|, min_norm, max_norm) / (1e-7 + |w|); max_norm 0: as
     * it is. The same for the bias, which is one vector. */
    double min_norm, max_norm, bias_min_norm, bias_max_norm;
    double momentum, epsilon;  /* MNC_NORM: of the moving averages; under the root, beside the variance */
    bool center, scale;        /* MNC_NORM: learn beta; learn gamma */
    mnc_activation activation; /* softmax is part of the head, not an activation */
    double slope;              /* MNC_LEAKY_RELU: factor for negative inputs; MNC_ELU: alpha */
    double dropout;            /* share of outputs set to zero in training, the rest times 1 / (1 - dropout); [0, 1) */
    double noise;              /* standard deviation of normal noise that is added in training */
    uint64_t noise_seed;       /* with the spec's seed (xor) the key of the noise */
} mnc_layer;

/* How the last layer's outputs z[B, C] become a loss (mean over the batch of weight * loss per row). */
typedef enum mnc_head {
    MNC_HEAD_SOFTMAX_CROSS_ENTROPY, /* -sum_j y_j log softmax(z)_j; the last activation must be linear */
    MNC_HEAD_MEAN_SQUARED_ERROR,    /* mean_j (z_j - y_j)^2 */
    MNC_HEAD_INNER_PRODUCT,         /* B sum_j z_j y_j: gradients are then the products of y with the Jacobian;
                               * mnc_evaluate takes B = 1 */
    MNC_HEAD_BINARY_CROSS_ENTROPY,  /* mean_j -y_j log p_j - (1 - y_j) log(1 - p_j), p = sigmoid(z); the last
                                     * activation must be linear */
} mnc_head;

typedef struct mnc_spec {
    mnc_dtype dtype;
    size_t inputs;
    double input_dropout;
    double input_noise; /* after the dropout, as in mnc_layer; training then takes inputs as dense */
    uint64_t input_noise_seed;
    size_t n_layers;
    const mnc_layer *layers;
    mnc_head head;
    double label_smoothing;  /* cross-entropy: y (1 - s) + s / C; binary: y (1 - s) + s / 2 */
    bool outputs_are_logits; /* mnc_evaluate returns z instead of softmax(z) or sigmoid(z) */
    uint64_t seed;
    size_t reduce_rows; /* chains over batch rows are cut here (part of the arithmetic); a multiple of 16 */
    bool undrawn;       /* all values begin as zeros, for mnc_model_draw or mnc_model_set */
} mnc_spec;

/* Fills a layer and a spec with the defaults: Glorot-uniform kernels, zero biases, Keras's batch normalisation,
 * float32, reduce_rows 512. */
void mnc_layer_defaults(mnc_layer *layer, mnc_layer_kind kind);
void mnc_spec_defaults(mnc_spec *spec);

typedef struct mnc_model mnc_model;

/* Copies what it needs of the spec; the context must outlive the model. */
mnc_status mnc_model_create(mnc_model **out, mnc_context *context, const mnc_spec *spec, mnc_error *err);
void mnc_model_destroy(mnc_model *model);

typedef enum mnc_role { MNC_KERNEL, MNC_BIAS, MNC_GAMMA, MNC_BETA, MNC_MOVING_MEAN, MNC_MOVING_VARIANCE } mnc_role;

typedef struct mnc_tensor {
    size_t layer;
    mnc_role role;
    size_t rows, cols; /* a vector has one row */
    bool trainable;
} mnc_tensor;

size_t mnc_model_tensor_count(const mnc_model *model);
mnc_tensor mnc_model_tensor(const mnc_model *model, size_t i);

/* Gives columns first ... first + n - 1 of tensor i their initial values, as mnc_model_create does for all tensors: in large
 * networks that takes a while. */
void mnc_model_draw(mnc_model *model, size_t i, size_t first, size_t n);

/* What of a tensor is meant: its value, its gradient (after mnc_gradients), or an optimizer slot. */
typedef enum mnc_part { MNC_VALUE, MNC_GRADIENT, MNC_SLOT0, MNC_SLOT1, MNC_SLOT2, MNC_SLOT3, MNC_SLOT4 } mnc_part;

/* out, in: real[rows, cols]. */
mnc_status mnc_model_get(const mnc_model *model, mnc_part part, size_t i, void *out, mnc_error *err);
mnc_status mnc_model_set(mnc_model *model, mnc_part part, size_t i, const void *in, mnc_error *err);
/* FNV-1a (64 bits) of the bytes of all values, in tensor order. */
uint64_t mnc_model_hash(const mnc_model *model);

/* Counters that randomness and schedules depend on. */
typedef struct mnc_progress {
    uint64_t epoch;          /* epochs begun in the model's life: keys the shuffle */
    uint64_t step;           /* steps taken in the model's life: keys dropout and noise */
    uint64_t optimizer_step; /* batches since the optimizer was set */
} mnc_progress;

mnc_progress mnc_model_progress(const mnc_model *model);
void mnc_model_set_progress(mnc_model *model, mnc_progress progress);

/* ---------------------------------------------------------------- data */
typedef struct mnc_data mnc_data;
typedef enum mnc_element { MNC_UINT8, MNC_REAL32, MNC_REAL64 } mnc_element;

/* x: element[n, features], borrowed until mnc_data_destroy. uint8 element u has the value table[u] (NULL: the real
 * nearest to u / 255); floats are themselves, rounded to dtype. Mostly-zero inputs with at most 256 distinct values
 * are indexed, which costs one pass over x. */
mnc_status mnc_data_create(mnc_data **out, mnc_context *context, mnc_dtype dtype, mnc_element element, const void *x,
                           size_t n, size_t features, const double *table, const mnc_stop *stop, mnc_error *err);
/* The same without looking at x, for inputs that are used once: in float32 networks mnc_evaluate finds the non-zero
 * inputs of uint8 and float rows as it goes; all else, training too, takes them as dense. Same bits. */
mnc_status mnc_data_view(mnc_data **out, mnc_context *context, mnc_dtype dtype, mnc_element element, const void *x,
                         size_t n, size_t features, const double *table, mnc_error *err);
/* Also notes, for each input, the rows in which it is not zero, if there is an index: for training on all rows in order,
 * again and again, by networks whose first layer has so many units, which else find that out for each batch. Nobody else
 * may use the data meanwhile. */
mnc_status mnc_data_turn(mnc_data *data, mnc_context *context, size_t units, const mnc_stop *stop, mnc_error *err);
void mnc_data_destroy(mnc_data *data);
/* labels[n] are classes; each must be in [0, classes). targets[n, columns] are probabilities or values.
 * weights[n], finite, not negative. All are copied. */
mnc_status mnc_data_set_labels(mnc_data *data, const int32_t *labels, size_t classes, mnc_error *err);
mnc_status mnc_data_set_targets(mnc_data *data, const double *targets, size_t columns, mnc_error *err);
mnc_status mnc_data_set_weights(mnc_data *data, const double *weights, mnc_error *err);
size_t mnc_data_rows(const mnc_data *data);
bool mnc_data_is_indexed(const mnc_data *data);
uint64_t mnc_data_nonzeros(const mnc_data *data); /* 0 if not indexed */

/* ---------------------------------------------------------------- training */
typedef enum mnc_optimizer_kind { MNC_OPTIMIZERS(MNC_LIST_VALUE) } mnc_optimizer_kind;

/* Formulas are those of Keras 3, t counted from 1, r the rate of the step:
 *   SGD      w -= r g;  with momentum u: m = u m - r g, w += m;  Nesterov: w += u m - r g
 *   RMSPROP  v = rho v + (1 - rho) g^2;  d = r g / sqrt(v [- a^2] + epsilon);  [a = rho a + (1 - rho) g, centered]
 *            w -= d;  with momentum u: m = u m + d, w -= m
 *   ADAM     m += (g - m)(1 - beta1);  v += (g^2 - v)(1 - beta2)
 *            w -= m r sqrt(1 - beta2^t) / (1 - beta1^t) / (sqrt(v) + epsilon)
 *   ADAMW    w -= w weight_decay r, then ADAM
 *   ADAGRAD  v += g^2;  w -= r g / sqrt(v + epsilon);  v starts as initial_accumulator_value
 * Before, g is clipped by at most one of (0: not): clipvalue, each element to [-c, c]; clipnorm, each tensor's norm, and
 * global_clipnorm, that of all together: g *= c / norm where the norm is above c.
 * With gradient_accumulation_steps n > 1, a step takes the mean gradient of n batches; t counts steps, not batches.
 * use_ema: after each step, norms brought into the layers' ranges, average = ema_momentum average + (1 - ema_momentum) w
 * (in the first step w), and after every ema_overwrite_frequency steps (0: never) w = average.
 * Slots: SGD with momentum m; RMSPROP v, then m, then a, those in use; ADAM and ADAMW m, v; ADAGRAD v. Behind them, where
 * they are in use: the sum of the gradients so far; the average. */
typedef struct mnc_optimizer {
    mnc_optimizer_kind kind;
    double momentum;
    bool nesterov;
    double rho;
    bool centered;
    double beta1, beta2, epsilon;
    double weight_decay;
    double initial_accumulator_value;
    double clipvalue, clipnorm, global_clipnorm;
    uint64_t gradient_accumulation_steps;
    bool use_ema;
    double ema_momentum;
    uint64_t ema_overwrite_frequency;
} mnc_optimizer;

void mnc_optimizer_defaults(mnc_optimizer *optimizer, mnc_optimizer_kind kind);
size_t mnc_optimizer_slots(const mnc_optimizer *optimizer);
/* Sets the optimizer with slots as they start, zero but for ADAGRAD's, and optimizer_step 0. */
mnc_status mnc_model_set_optimizer(mnc_model *model, const mnc_optimizer *optimizer, const mnc_stop *stop,
                                   mnc_error *err);
/* One step on plain arrays real[n], in place; the arithmetic of mnc_fit for a tensor of this size, the only one, without
 * accumulation and averages. t counts from 1. Unused slots may be NULL. */
mnc_status mnc_optimizer_apply(mnc_context *context, mnc_dtype dtype, const mnc_optimizer *optimizer, double rate,
                               uint64_t t, size_t n, void *w, void *const slots[3], const void *gradient,
                               mnc_error *err);

/* A stretch of training: one epoch, or a part of one. Zero it, set the inputs, call mnc_fit until done. */
typedef struct mnc_job {
    /* in */
    const mnc_data *data;
    const uint32_t *order; /* rows in the order of use, order[n]; NULL: 0 ... n - 1 */
    size_t n;
    size_t batch_size;
    const double *rates; /* one per batch; NULL: rate for all */
    double rate;
    double seconds;       /* return to the caller after about so long; 0: when done */
    const mnc_stop *stop; /* the batch under way then is not applied; only MNC_GRADIENT may have changed */
    /* in and out */
    size_t batches_done;
    double loss_sum;  /* sum over rows of weight * loss, plus batch rows * penalty per batch */
    uint64_t correct; /* rows whose largest output is at the largest target, or, of one output of binary cross-entropy,
                       * on the side of the target (not for the inner-product head) */
    size_t rows_done;
} mnc_job;

/* Trains until the job (batches_done * batch_size >= n) or its time is up, counting step and optimizer_step; the epoch is
 * the caller's to count. MNC_NOT_FINITE names the batch; it and later batches are not applied. */
mnc_status mnc_fit(mnc_model *model, mnc_job *job, mnc_error *err);

/* Gradients of the mean loss with penalties over rows order[n] (NULL: 0 ... n - 1), left in MNC_GRADIENT.
 * training: dropout and noise (of the model's current step) and batch statistics; else neither, and moving statistics,
 * which are then constants.
 * dx: NULL or real[n, inputs], receives the gradient with respect to the inputs. No counter moves.
 * MNC_STOPPED leaves anything in MNC_GRADIENT and dx. */
mnc_status mnc_gradients(mnc_model *model, const mnc_data *data, const uint32_t *order, size_t n, bool training,
                         double *loss, void *dx, const mnc_stop *stop, mnc_error *err);

/* Rows first ... first + n - 1 without dropout and noise, with moving statistics.
 * outputs: NULL or real[n, C]. losses: NULL or double[n], weight * loss of each row (needs targets).
 * correct: NULL or incremented by the number of right rows. */
mnc_status mnc_evaluate(mnc_model *model, const mnc_data *data, size_t first, size_t n, void *outputs, double *losses,
                        uint64_t *correct, mnc_error *err);
/* What mnc_evaluate gives, but in training mode (dropout and noise of the current step, batch statistics), moving nothing
 * but the moving statistics if update_statistics. outputs: real[n, C]. */
mnc_status mnc_forward_training(mnc_model *model, const mnc_data *data, const uint32_t *order, size_t n,
                                bool update_statistics, void *outputs, const mnc_stop *stop, mnc_error *err);
/* Sum of the layers' l1 and l2 penalties. */
double mnc_model_penalty(const mnc_model *model);

/* What really ran, since the model was created. */
typedef struct mnc_counters {
    uint64_t sparse_forward, dense_forward, dense_delta, sparse_gradient, dense_gradient; /* kernel calls */
    uint64_t updates;    /* parameter blocks updated straight from their gradient tile */
    uint64_t stores;     /* gradient blocks written to memory */
    uint64_t workers;    /* the largest number of threads that took part in one job */
    uint64_t chunks[64]; /* pieces of work done by each thread */
} mnc_counters;

mnc_counters mnc_model_counters(const mnc_model *model);

/* ---------------------------------------------------------------- arithmetic that callers share */
/* order[n] = a permutation of 0 ... n - 1, a function of (seed, epoch) alone. */
void mnc_permutation(uint64_t seed, uint64_t epoch, size_t n, uint32_t *order);

/* CONSTANT      initial
 * STEP          initial * decay^floor(step / steps)
 * INVERSE_TIME  initial / (1 + decay * step / steps); floor(step / steps) if staircase
 * COSINE        initial * ((1 - alpha) (1 + cos(pi min(step, steps) / steps)) / 2 + alpha)
 * EXPONENTIAL   initial * decay^(step / steps); the same as STEP if staircase
 * ONE_CYCLE     COSINE
 * With a warm-up, these begin after it; before, the rate is warmup_from + (initial - warmup_from) * way,
 * way = step / warmup_steps, or (1 - cos(pi way)) / 2 for ONE_CYCLE. */
typedef enum mnc_rate_kind { MNC_RATES(MNC_LIST_VALUE) } mnc_rate_kind;

typedef struct mnc_rate {
    mnc_rate_kind kind;
    double initial, decay, alpha;
    double steps;
    bool staircase;
    double warmup_steps, warmup_from;
} mnc_rate;

/* out[n]: the rates of steps first ... first + n - 1 (counted from 0). */
mnc_status mnc_rates(const mnc_rate *rate, uint64_t first, size_t n, double *out, mnc_error *err);

/* The contract's sum: lanes i mod 16, blocks of 4,096, lanes in pairs, blocks ascending. */
double mnc_sum(const double *x, size_t n);

#ifdef __cplusplus
}
#endif
#endif
