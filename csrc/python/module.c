/* module.c - the module mnist_c._core: its functions, its state, its start. */
#include "binding.h"
#include "py_arrays.h"

static core_state *get_state(PyObject *module) { return PyModule_GetState(module); }

/* ---------------------------------------------------------------- build and threads */

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

static PyObject *isa_tuple(void) {
    Py_ssize_t n = 0;
    while (mnc_isa_name((size_t)n)) n++;
    PyObject *tuple = PyTuple_New(n);
    for (Py_ssize_t i = 0; tuple && i < n; i++) {
        PyObject *const name = PyUnicode_FromString(mnc_isa_name((size_t)i));
        if (name)
            PyTuple_SET_ITEM(tuple, i, name);
        else
            Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *core_config(PyObject *module, PyObject *Py_UNUSED(nothing)) {
    core_state *const state = get_state(module);
    PyObject *const isas = isa_tuple();
    if (!isas) return NULL;
    return Py_BuildValue("{sssNsnsssisssi}", "isa", state->default_isa, "isas", isas, "threads",
                         (Py_ssize_t)mncpy_get_threads(state), "compiler", COMPILER, "contract_version",
                         MNC_CONTRACT_VERSION, "numpy_api", mncpy_numpy_target(), "max_threads",
                         (int)MNCPY_MAX_THREADS);
}

static PyObject *core_get_num_threads(PyObject *module, PyObject *Py_UNUSED(nothing)) {
    return PyLong_FromSize_t(mncpy_get_threads(get_state(module)));
}

static PyObject *core_set_num_threads(PyObject *module, PyObject *object) {
    size_t threads;
    if (!mncpy_to_size(object, &threads)) return NULL;
    if (threads < 1 || threads > MNCPY_MAX_THREADS) {
        PyErr_Format(PyExc_ValueError, "threads must be from 1 to %zu, not %zu", MNCPY_MAX_THREADS, threads);
        return NULL;
    }
    return mncpy_set_threads(get_state(module), threads) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *core_stop_workers(PyObject *module, PyObject *Py_UNUSED(nothing)) {
    mncpy_stop_workers(get_state(module));
    Py_RETURN_NONE;
}

/* ---------------------------------------------------------------- arithmetic that callers share */

static PyObject *core_permutation(PyObject *Py_UNUSED(module), PyObject *args) {
    uint64_t seed, epoch;
    size_t n;
    void *order;
    if (!PyArg_ParseTuple(args, "O&O&O&:permutation", mncpy_to_uint64, &seed, mncpy_to_uint64, &epoch, mncpy_to_size,
                          &n))
        return NULL;
    if (n > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "n must be below 2**32, not %zu", n);
        return NULL;
    }
    PyObject *const array = mncpy_array_new_vector(MNCPY_UINT32, n, &order);
    if (!array) return NULL;
    if (n > 0) {
        PyThreadState *const detached = PyEval_SaveThread();
        mnc_permutation(seed, epoch, n, order);
        PyEval_RestoreThread(detached);
    }
    return array;
}

static PyObject *core_rates(PyObject *module, PyObject *args, PyObject *keywords) {
    static const char *const kinds[] = {MNC_RATES(MNC_LIST_NAME) NULL};
    char *names[] = {"",          "first",        "n",           "initial", "decay", "alpha", "steps",
                     "staircase", "warmup_steps", "warmup_from", NULL};
    mncpy_choice kind = {"the kind of a schedule", kinds, 0};
    mnc_rate rate = {.decay = 1.0, .steps = 1.0};
    uint64_t first;
    size_t n;
    int staircase = 0;
    void *out;
    mnc_error err = {0};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&O&O&d|dddpdd:rates", names, mncpy_to_choice, &kind,
                                     mncpy_to_uint64, &first, mncpy_to_size, &n, &rate.initial, &rate.decay,
                                     &rate.alpha, &rate.steps, &staircase, &rate.warmup_steps, &rate.warmup_from))
        return NULL;
    rate.kind = (mnc_rate_kind)kind.value;
    rate.staircase = staircase != 0;
    PyObject *const array = mncpy_array_new_vector(MNCPY_FLOAT64, n, &out);
    if (array && mnc_rates(&rate, first, n, out, &err) != MNC_OK) {
        Py_DECREF(array);
        return mnc_raise(get_state(module), &err, NULL);
    }
    return array;
}

static PyObject *core_total(PyObject *Py_UNUSED(module), PyObject *object) {
    mncpy_array x;
    if (mncpy_array_view(object, "x", MNCPY_FLOAT64, 1, &x) < 0) return NULL;
    return PyFloat_FromDouble(mnc_sum(x.data, x.cols));
}

/* ---------------------------------------------------------------- start */

#define KEYWORDS(function) (PyCFunction)(void (*)(void)) function

static PyMethodDef core_methods[] = {
    {"config", core_config, METH_NOARGS, "config($module, /)\n--\n\nWhat this build and machine offer, as a dict."},
    {"get_num_threads", core_get_num_threads, METH_NOARGS, "get_num_threads($module, /)\n--\n\nThreads per job."},
    {"set_num_threads", core_set_num_threads, METH_O, "set_num_threads($module, threads, /)\n--\n\nFor every network."},
    {"stop_workers", core_stop_workers, METH_NOARGS,
     "stop_workers($module, /)\n--\n\nJoin all worker threads; they start again when needed."},
    {"permutation", core_permutation, METH_VARARGS,
     "permutation($module, seed, epoch, n, /)\n--\n\nA permutation of 0 ... n - 1, uint32."},
    {"rates", KEYWORDS(core_rates), METH_VARARGS | METH_KEYWORDS,
     "rates($module, kind, /, first, n, initial, decay=1.0, alpha=0.0, steps=1.0, staircase=False,\n"
     "      warmup_steps=0.0, warmup_from=0.0)\n--\n\n"
     "The learning rates of the steps first ... first + n - 1."},
    {"total", core_total, METH_O, "total($module, x, /)\n--\n\nThe contract's sum of a 1-d float64 array."},
    {"optimizer_slots", KEYWORDS(mncpy_optimizer_slots), METH_VARARGS | METH_KEYWORDS,
     "optimizer_slots($module, kind, /, **hyper)\n--\n\nHow many slots an optimizer has per parameter."},
    {"optimizer_apply", KEYWORDS(mncpy_optimizer_apply), METH_VARARGS | METH_KEYWORDS,
     "optimizer_apply($module, kind, w, slots, gradient, rate, t, /, *, isa=None, **hyper)\n--\n\n"
     "One step on plain arrays, in place."},
    {0},
};

static int add_types(PyObject *module, core_state *state) {
    state->data_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &mncpy_data_spec, NULL);
    if (!state->data_type || PyModule_AddType(module, state->data_type) < 0) return -1;
    state->network_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &mncpy_network_spec, NULL);
    return state->network_type ? PyModule_AddType(module, state->network_type) : -1;
}

static int add_not_finite_error(PyObject *module, core_state *state) {
    PyObject *const attributes = Py_BuildValue("{sO}", "batch", Py_None);
    if (!attributes) return -1;
    state->not_finite_error = PyErr_NewExceptionWithDoc(
        "mnist_c._core.NotFiniteError",
        "The loss or a derivative became infinite or NaN. The network keeps its last finite weights.\n"
        "batch: the number of the batch within this call of fit(), counted from 0; None elsewhere.",
        PyExc_ArithmeticError, attributes);
    Py_DECREF(attributes);
    return state->not_finite_error ? PyModule_AddObjectRef(module, "NotFiniteError", state->not_finite_error) : -1;
}

/* A fork copies only the thread that calls it. Workers are joined before, so that the child never waits for a worker
 * that it does not have; both processes start new ones when they need them. A thread at work may have started some again
 * meanwhile: the child forgets them before it has a second thread that could need one. */
static int register_at_fork(PyObject *module) {
    PyObject *const os = PyImport_ImportModule("os");
    PyObject *const hook = os ? PyObject_GetAttrString(os, "register_at_fork") : NULL;
    PyObject *const stop = hook ? PyObject_GetAttrString(module, "stop_workers") : NULL;
    PyObject *const nothing = stop ? PyTuple_New(0) : NULL;
    PyObject *const before = nothing ? Py_BuildValue("{sOsO}", "before", stop, "after_in_child", stop) : NULL;
    PyObject *const result = before ? PyObject_Call(hook, nothing, before) : NULL;
    const int status = result ? 0 : -1;
    Py_XDECREF(result);
    Py_XDECREF(before);
    Py_XDECREF(nothing);
    Py_XDECREF(stop);
    Py_XDECREF(hook);
    Py_XDECREF(os);
    return status;
}

/* Starts no thread and makes no context: importing is cheap. */
static int core_exec(PyObject *module) {
    core_state *const state = get_state(module);
    if (mncpy_import_numpy() < 0 || mncpy_state_init(state) < 0 || mncpy_network_init() < 0 ||
        add_types(module, state) < 0 || add_not_finite_error(module, state) < 0)
        return -1;
    if (PyModule_AddIntConstant(module, "CONTRACT_VERSION", MNC_CONTRACT_VERSION) < 0) return -1;
    return register_at_fork(module);
}

static int core_traverse(PyObject *module, visitproc visit, void *arg) {
    core_state *const state = get_state(module);
    Py_VISIT(state->data_type);
    Py_VISIT(state->network_type);
    Py_VISIT(state->not_finite_error);
    Py_VISIT(state->contexts);
    return 0;
}

static int core_clear(PyObject *module) {
    core_state *const state = get_state(module);
    Py_CLEAR(state->data_type);
    Py_CLEAR(state->network_type);
    Py_CLEAR(state->not_finite_error);
    Py_CLEAR(state->contexts);
    return 0;
}

static void core_free(void *module) { core_clear(module); }

static PyModuleDef_Slot core_slots[] = {
    {Py_mod_exec, (void *)core_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED}, /* nor does NumPy */
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "mnist_c._core",
    .m_doc = "The C core of mnist_c, strictly: arrays must already be as stated. Use mnist_c instead.",
    .m_size = sizeof(core_state),
    .m_methods = core_methods,
    .m_slots = core_slots,
    .m_traverse = core_traverse,
    .m_clear = core_clear,
    .m_free = core_free,
};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&core_module); }
