/* py_network.c - the type Network: who may use it, its creation, its table of methods. */
#include "py_network.h"

#include <pthread.h>
#include <time.h>

/* ---------------------------------------------------------------- many that read, or one that changes */

static _Thread_local mncpy_reading *innermost; /* of the calls of this thread that read */
static atomic_ullong forks;                    /* of this process and those before it, times 2^32 */

static void count_fork(void) { atomic_fetch_add(&forks, 1ull << 32); }

int mncpy_network_init(void) { return pthread_atfork(NULL, NULL, count_fork) == 0 ? 0 : -1; }

/* The calls of this thread that read this network. */
static unsigned count_own(const network_object *self) {
    unsigned n = 0;
    for (const mncpy_reading *reading = innermost; reading; reading = reading->outer) n += reading->network == self;
    return n;
}

/* In a forked child, the calls of other threads will never end. */
static unsigned long long readers_now(const network_object *self, unsigned long long readers) {
    const unsigned long long process = atomic_load(&forks);
    return readers >> 32 == process >> 32 ? readers : process | count_own(self);
}

static int refuse(bool mine) {
    PyErr_SetString(PyExc_RuntimeError, mine ? "this network is in the middle of a call: a callback of fit() and a "
                                               "signal handler may not use it"
                                             : "this network is being trained or used in another thread");
    return -1;
}

/* Readers count themselves, then look for a holder; a holder names itself, then looks for readers: one sees the other. */
int mncpy_network_acquire(network_object *self) {
    const unsigned long me = PyThread_get_thread_ident();
    const struct timespec pause = {0, 50000};
    unsigned long holder = 0;
    if (count_own(self) != 0) return refuse(true);
    if (!atomic_compare_exchange_strong(&self->holder, &holder, me)) return refuse(holder == me);
    while ((readers_now(self, atomic_load(&self->readers)) & UINT32_MAX) != 0) {
        PyThreadState *const detached = PyEval_SaveThread();
        nanosleep(&pause, NULL);
        PyEval_RestoreThread(detached);
        if (PyErr_CheckSignals() == 0) continue;
        mncpy_network_release(self);
        return -1;
    }
    return 0;
}

void mncpy_network_release(network_object *self) { atomic_store(&self->holder, 0); }

int mncpy_network_enter(network_object *self, mncpy_reading *reading) {
    unsigned long long before = atomic_load(&self->readers);
    while (!atomic_compare_exchange_weak(&self->readers, &before, readers_now(self, before) + 1)) {
    }
    const unsigned long holder = atomic_load(&self->holder);
    if (holder != 0) {
        atomic_fetch_sub(&self->readers, 1);
        return refuse(holder == PyThread_get_thread_ident());
    }
    *reading = (mncpy_reading){self, innermost};
    innermost = reading;
    return 0;
}

void mncpy_network_leave(mncpy_reading *reading) {
    innermost = reading->outer;
    atomic_fetch_sub(&reading->network->readers, 1);
}

/* ---------------------------------------------------------------- creation */

typedef struct network_arguments {
    PyObject *layers;
    mncpy_choice head, dtype;
    mnc_spec spec;
    const char *isa;
} network_arguments;

static int parse_arguments(PyObject *args, PyObject *keywords, network_arguments *a) {
    static const char *const heads[] = {
        [MNC_HEAD_SOFTMAX_CROSS_ENTROPY] = "softmax_cross_entropy",
        [MNC_HEAD_MEAN_SQUARED_ERROR] = "mean_squared_error",
        [MNC_HEAD_INNER_PRODUCT] = "inner_product",
        [MNC_HEAD_BINARY_CROSS_ENTROPY] = "binary_cross_entropy",
        NULL,
    };
    char *names[] = {"inputs",
                     "layers",
                     "head",
                     "dtype",
                     "input_dropout",
                     "input_noise",
                     "input_noise_seed",
                     "label_smoothing",
                     "outputs_are_logits",
                     "seed",
                     "reduce_rows",
                     "isa",
                     NULL};
    *a = (network_arguments){.head = {"head", heads, -1}, .dtype = mncpy_dtype_choice()};
    mnc_spec *const spec = &a->spec;
    mnc_spec_defaults(spec);
    int logits = spec->outputs_are_logits;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|$O&OO&O&ddO&dpO&O&z:Network", names, mncpy_to_size,
                                     &spec->inputs, &a->layers, mncpy_to_choice, &a->head, mncpy_to_choice, &a->dtype,
                                     &spec->input_dropout, &spec->input_noise, mncpy_to_uint64, &spec->input_noise_seed,
                                     &spec->label_smoothing, &logits, mncpy_to_uint64, &spec->seed, mncpy_to_size,
                                     &spec->reduce_rows, &a->isa))
        return -1;
    if (!a->layers || a->head.value < 0) {
        PyErr_SetString(PyExc_TypeError, "Network() needs the keywords inputs, layers and head");
        return -1;
    }
    spec->outputs_are_logits = logits != 0;
    spec->head = (mnc_head)a->head.value;
    spec->dtype = (mnc_dtype)a->dtype.value;
    return 0;
}

/* Initial values, in pieces of some 20 ms: Ctrl-C ends it. */
static int draw_values(network_object *self) {
    for (size_t i = 0; i < mnc_model_tensor_count(self->model); i++) {
        const mnc_tensor tensor = mnc_model_tensor(self->model, i);
        const size_t step = (1 + (1u << 16) / tensor.rows) * 16; /* whole panels */
        for (size_t col = 0; col < tensor.cols; col += step) {
            PyThreadState *const detached = PyEval_SaveThread();
            mnc_model_draw(self->model, i, col, step);
            PyEval_RestoreThread(detached);
            if (PyErr_CheckSignals() < 0) return -1;
        }
        self->parameters += tensor.rows * tensor.cols;
    }
    return 0;
}

static int create_model(network_object *self, network_arguments *a) {
    mnc_error err = {0};
    mnc_layer *const layers = mncpy_to_layers(a->layers, a->spec.inputs, &a->spec.n_layers, &self->outputs);
    if (!layers) return -1;
    a->spec.layers = layers;
    a->spec.undrawn = true;
    self->dtype = a->spec.dtype;
    self->inputs = a->spec.inputs;
    mnc_context *const context = mncpy_context_pointer(self->context);
    PyThreadState *const detached = PyEval_SaveThread();
    const mnc_status status = mnc_model_create(&self->model, context, &a->spec, &err);
    PyEval_RestoreThread(detached);
    PyMem_Free(layers);
    if (status != MNC_OK) {
        mnc_raise(mncpy_state_of((PyObject *)self), &err, NULL);
        return -1;
    }
    return draw_values(self);
}

static PyObject *network_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    network_arguments a;
    if (parse_arguments(args, keywords, &a) < 0) return NULL;
    network_object *const self = (network_object *)type->tp_alloc(type, 0); /* zeroed: dealloc works from here on */
    if (!self) return NULL;
    self->context = mncpy_context(mncpy_state_of((PyObject *)self), a.isa);
    if (!self->context || create_model(self, &a) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int network_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void network_dealloc(PyObject *op) {
    network_object *const self = (network_object *)op;
    PyTypeObject *const type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    mnc_model_destroy(self->model); /* before its context */
    Py_XDECREF(self->context);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *network_isa(PyObject *self, void *Py_UNUSED(closure)) {
    return PyUnicode_FromString(mnc_context_isa(mncpy_context_pointer(((network_object *)self)->context)));
}

/* ---------------------------------------------------------------- the type */

#define KEYWORDS(function) (PyCFunction)(void (*)(void)) function

static PyMethodDef network_methods[] = {
    {"tensors", mncpy_network_tensors, METH_NOARGS,
     "tensors($self, /)\n--\n\nTuples (layer, role, shape, trainable) in Keras's order."},
    {"get", mncpy_network_get, METH_VARARGS,
     "get($self, part, index, /)\n--\n\nA new array with the values of a tensor."},
    {"set", mncpy_network_set, METH_VARARGS,
     "set($self, part, index, array, /, *more)\n--\n\n"
     "Change the values of a tensor, or of several (index, array, index, array, ...) at once."},
    {"set_optimizer", KEYWORDS(mncpy_network_set_optimizer), METH_VARARGS | METH_KEYWORDS,
     "set_optimizer($self, kind, /, **hyper)\n--\n\nReturns the number of slots, all zeroed."},
    {"progress", mncpy_network_progress, METH_NOARGS, "progress($self, /)\n--\n\n(epoch, step, optimizer_step)."},
    {"set_progress", mncpy_network_set_progress, METH_VARARGS,
     "set_progress($self, epoch, step, optimizer_step, /)\n--\n\nFor resuming."},
    {"fit", mncpy_network_fit, METH_VARARGS,
     "fit($self, data, order, batch_size, rates, report=None, totals=(0.0, 0, 0), /)\n--\n\n"
     "One pass over order, whose sums go on from totals. Returns (loss_sum, correct, rows_done)."},
    {"totals", mncpy_network_totals, METH_NOARGS,
     "totals($self, /)\n--\n\n(loss_sum, correct, rows_done) of the last fit, however it ended."},
    {"gradients", mncpy_network_gradients, METH_VARARGS,
     "gradients($self, data, order, training, input_gradient, /)\n--\n\n(loss, dx or None); then get('gradient', i)."},
    {"forward_training", mncpy_network_forward_training, METH_VARARGS,
     "forward_training($self, data, order, update_statistics, /)\n--\n\nThe last layer's values in training mode."},
    {"evaluate", mncpy_network_evaluate, METH_O,
     "evaluate($self, data, /)\n--\n\n(sum of weight * loss, number right, outputs)."},
    {"predict", mncpy_network_predict, METH_O, "predict($self, data, /)\n--\n\nThe outputs (n, C)."},
    {"predict_few", mncpy_network_predict_few, METH_O,
     "predict_few($self, x, /)\n--\n\n"
     "The same for up to 15 images as they are, uint8 pixels divided by 255; None if x is not a plain array of them."},
    {"penalty", mncpy_network_penalty, METH_NOARGS, "penalty($self, /)\n--\n\nSum of the layers' l1 and l2 penalties."},
    {"hash", mncpy_network_hash, METH_NOARGS, "hash($self, /)\n--\n\nFNV-1a of the bytes of all values."},
    {"counters", mncpy_network_counters, METH_NOARGS, "counters($self, /)\n--\n\nWhat really ran, as a dict."},
    {0},
};

static PyGetSetDef network_getset[] = {
    {"isa", network_isa, NULL, "Name of the instruction set.", NULL},
    {0},
};

static const char network_doc[] =
    "Network(*, inputs, layers, head, dtype='float32', input_dropout=0.0, input_noise=0.0,\n"
    "        input_noise_seed=0, label_smoothing=0.0, outputs_are_logits=False, seed=0, reduce_rows=512, "
    "isa=None)\n--\n\n"
    "A multilayer perceptron; layers is a sequence of dicts with the fields of mnc_layer.";

static PyType_Slot network_slots[] = {
    {Py_tp_doc, (void *)network_doc},
    {Py_tp_new, (void *)network_new},
    {Py_tp_traverse, (void *)network_traverse},
    {Py_tp_dealloc, (void *)network_dealloc},
    {Py_tp_methods, network_methods},
    {Py_tp_getset, network_getset},
    {0, NULL},
};

PyType_Spec mncpy_network_spec = {
    .name = "mnist_c._core.Network",
    .basicsize = sizeof(network_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = network_slots,
};
