/* py_optimizer.c - the keywords of an optimizer, and one step of it on plain arrays. */
#include "py_arrays.h"

static int parse_hyper(PyObject *keywords, mnc_optimizer *optimizer, const char **isa) {
    char *names[] = {"momentum",
                     "nesterov",
                     "rho",
                     "centered",
                     "beta1",
                     "beta2",
                     "epsilon",
                     "weight_decay",
                     "initial_accumulator_value",
                     "clipvalue",
                     "clipnorm",
                     "global_clipnorm",
                     "gradient_accumulation_steps",
                     "use_ema",
                     "ema_momentum",
                     "ema_overwrite_frequency",
                     "isa",
                     NULL};
    int nesterov = optimizer->nesterov, centered = optimizer->centered, use_ema = optimizer->use_ema;
    PyObject *const nothing = PyTuple_New(0);
    if (!nothing) return -1;
    if (!isa) names[16] = NULL; /* without its name, "isa" is an unknown keyword */
    const int ok = PyArg_ParseTupleAndKeywords(
        nothing, keywords, isa ? "|$dpdpddddddddO&pdO&z:optimizer" : "|$dpdpddddddddO&pdO&:optimizer", names,
        &optimizer->momentum, &nesterov, &optimizer->rho, &centered, &optimizer->beta1, &optimizer->beta2,
        &optimizer->epsilon, &optimizer->weight_decay, &optimizer->initial_accumulator_value, &optimizer->clipvalue,
        &optimizer->clipnorm, &optimizer->global_clipnorm, mncpy_to_uint64, &optimizer->gradient_accumulation_steps,
        &use_ema, &optimizer->ema_momentum, mncpy_to_uint64, &optimizer->ema_overwrite_frequency, isa);
    Py_DECREF(nothing);
    optimizer->nesterov = nesterov != 0;
    optimizer->centered = centered != 0;
    optimizer->use_ema = use_ema != 0;
    return ok ? 0 : -1;
}

int mncpy_to_optimizer(const char *kind, PyObject *keywords, mnc_optimizer *optimizer, const char **isa) {
    static const char *const kinds[] = {MNC_OPTIMIZERS(MNC_LIST_NAME) NULL};
    const int value = mncpy_choose("the optimizer", kinds, kind);
    if (value < 0) return -1;
    mnc_optimizer_defaults(optimizer, (mnc_optimizer_kind)value);
    return keywords ? parse_hyper(keywords, optimizer, isa) : 0;
}

PyObject *mncpy_optimizer_slots(PyObject *Py_UNUSED(module), PyObject *args, PyObject *keywords) {
    const char *kind;
    mnc_optimizer optimizer;
    if (!PyArg_ParseTuple(args, "s:optimizer_slots", &kind) || mncpy_to_optimizer(kind, keywords, &optimizer, NULL) < 0)
        return NULL;
    return PyLong_FromSize_t(mnc_optimizer_slots(&optimizer));
}

/* ---------------------------------------------------------------- one step on plain arrays */

/* w and the slots are written, the gradient is only read. */
typedef struct step_arrays {
    mncpy_array w, gradient;
    void *slots[3];
} step_arrays;

/* Any shape, but the same for all; w sets the dtype. */
static int view_like_w(PyObject *object, const char *name, PyObject *w, mncpy_element element, mncpy_array *view) {
    if (mncpy_array_view(object, name, element, MNCPY_ANY_RANK, view) < 0) return -1;
    return mncpy_array_check_same_shape(object, name, w, "w");
}

static int view_slots(PyObject *slots, size_t wanted, PyObject *w, step_arrays *arrays) {
    static const char *const names[3] = {"slots[0]", "slots[1]", "slots[2]"};
    if ((size_t)PyTuple_GET_SIZE(slots) != wanted) {
        PyErr_Format(PyExc_ValueError, "this optimizer has %zu slots, not %zd", wanted, PyTuple_GET_SIZE(slots));
        return -1;
    }
    for (size_t i = 0; i < wanted; i++) {
        PyObject *const slot = PyTuple_GET_ITEM(slots, (Py_ssize_t)i);
        mncpy_array view;
        if (view_like_w(slot, names[i], w, arrays->w.element, &view) < 0 ||
            mncpy_array_check_writable(slot, names[i]) < 0)
            return -1;
        arrays->slots[i] = view.data;
    }
    return 0;
}

static int view_step(PyObject *w, PyObject *slots, PyObject *gradient, size_t n_slots, step_arrays *arrays) {
    const mncpy_element reals[] = {MNCPY_FLOAT32, MNCPY_FLOAT64};
    if (mncpy_array_view_any(w, "w", reals, 2, MNCPY_ANY_RANK, &arrays->w) < 0 ||
        mncpy_array_check_writable(w, "w") < 0)
        return -1;
    if (view_like_w(gradient, "gradient", w, arrays->w.element, &arrays->gradient) < 0) return -1;
    return view_slots(slots, n_slots, w, arrays);
}

static PyObject *apply(core_state *state, const char *isa, const mnc_optimizer *optimizer, double rate, uint64_t t,
                       const step_arrays *arrays) {
    mnc_error err = {0};
    PyObject *const capsule = mncpy_context(state, isa);
    if (!capsule) return NULL;
    mnc_context *const context = mncpy_context_pointer(capsule);
    const mnc_dtype dtype = arrays->w.element == MNCPY_FLOAT64 ? MNC_FLOAT64 : MNC_FLOAT32;
    PyThreadState *const detached = PyEval_SaveThread();
    const mnc_status status = mnc_optimizer_apply(context, dtype, optimizer, rate, t, arrays->w.cols, arrays->w.data,
                                                  arrays->slots, arrays->gradient.data, &err);
    PyEval_RestoreThread(detached);
    Py_DECREF(capsule);
    return status == MNC_OK ? Py_NewRef(Py_None) : mnc_raise(state, &err, NULL);
}

PyObject *mncpy_optimizer_apply(PyObject *module, PyObject *args, PyObject *keywords) {
    const char *kind, *isa = NULL;
    PyObject *w, *slots, *gradient, *result = NULL;
    double rate;
    uint64_t t;
    mnc_optimizer optimizer;
    step_arrays arrays = {0};
    if (!PyArg_ParseTuple(args, "sOOOdO&:optimizer_apply", &kind, &w, &slots, &gradient, &rate, mncpy_to_uint64, &t) ||
        mncpy_to_optimizer(kind, keywords, &optimizer, &isa) < 0)
        return NULL;
    PyObject *const tuple = PySequence_Tuple(slots); /* ours: nobody can take an array out of it meanwhile */
    if (tuple && view_step(w, tuple, gradient, mnc_optimizer_slots(&optimizer), &arrays) == 0)
        result = apply(PyModule_GetState(module), isa, &optimizer, rate, t, &arrays);
    Py_XDECREF(tuple);
    return result;
}
