/* py_state.c - the module's state: one context per instruction set, and the exception for an mnc_error. */
#include "binding.h"

#include <stdlib.h>
#include <string.h>

static const char capsule_name[] = "mnist_c._core.context";

/* ---------------------------------------------------------------- instruction set */

/* Text such as "avx512, avx2, scalar". */
static PyObject *isa_list(void) {
    PyObject *text = PyUnicode_FromString(mnc_isa_name(0));
    for (size_t i = 1; text && mnc_isa_name(i); i++) {
        PyObject *const longer = PyUnicode_FromFormat("%U, %s", text, mnc_isa_name(i));
        Py_SETREF(text, longer);
    }
    return text;
}

/* The name as mnc_isa_name spells it, a string that lives forever; NULL if this machine or build lacks it. */
static const char *find_isa(const char *name) {
    for (size_t i = 0; mnc_isa_name(i); i++)
        if (strcmp(mnc_isa_name(i), name) == 0) return mnc_isa_name(i);
    return NULL;
}

static int init_default_isa(core_state *state) {
    const char *const wish = getenv("MNIST_C_ISA");
    state->default_isa = wish && *wish ? find_isa(wish) : mnc_isa_name(0);
    if (state->default_isa) return 0;
    PyObject *const known = isa_list();
    if (known)
        PyErr_Format(PyExc_ImportError, "MNIST_C_ISA is \"%.40s\", but this machine and build offer only: %U", wish,
                     known);
    Py_XDECREF(known);
    return -1;
}

int mncpy_state_init(core_state *state) {
    if (init_default_isa(state) < 0 || mncpy_default_threads(&state->threads) < 0) return -1;
    state->contexts = PyDict_New();
    return state->contexts ? 0 : -1;
}

core_state *mncpy_state_of(PyObject *self) { return PyType_GetModuleState(Py_TYPE(self)); }

/* ---------------------------------------------------------------- errors */

static void raise_not_finite(const core_state *state, const mnc_error *err, const mnc_job *job) {
    PyObject *const error = PyObject_CallFunction(state->not_finite_error, "s", err->message);
    PyObject *const batch = job ? PyLong_FromSize_t(job->batches_done) : Py_NewRef(Py_None);
    if (error && batch && PyObject_SetAttrString(error, "batch", batch) == 0)
        PyErr_SetObject(state->not_finite_error, error);
    Py_XDECREF(batch);
    Py_XDECREF(error);
}

PyObject *mnc_raise(const core_state *state, const mnc_error *err, const mnc_job *job) {
    switch (err->status) {
    case MNC_INVALID: PyErr_SetString(PyExc_ValueError, err->message); break;
    case MNC_NO_MEMORY: PyErr_SetString(PyExc_MemoryError, err->message); break;
    case MNC_UNSUPPORTED: PyErr_SetString(PyExc_RuntimeError, err->message); break;
    case MNC_NOT_FINITE: raise_not_finite(state, err, job); break;
    case MNC_STOPPED: break; /* by an exception, which is set */
    case MNC_OK:
    default: PyErr_Format(PyExc_SystemError, "the core failed with status %d", (int)err->status); break;
    }
    return NULL;
}

/* ---------------------------------------------------------------- contexts */

mnc_context *mncpy_context_pointer(PyObject *capsule) { return PyCapsule_GetPointer(capsule, capsule_name); }

static void destroy_context(PyObject *capsule) { mnc_context_destroy(mncpy_context_pointer(capsule)); }

static PyObject *create_context(const core_state *state, const char *isa) {
    mnc_context *context = NULL;
    mnc_error err = {0};
    if (mnc_context_create(&context, isa, state->threads, &err) != MNC_OK) return mnc_raise(state, &err, NULL);
    PyObject *const capsule = PyCapsule_New(context, capsule_name, destroy_context);
    if (!capsule) mnc_context_destroy(context);
    return capsule;
}

static PyObject *context_locked(core_state *state, const char *isa) {
    PyObject *const key = PyUnicode_FromString(isa ? isa : state->default_isa);
    if (!key) return NULL;
    PyObject *capsule = Py_XNewRef(PyDict_GetItemWithError(state->contexts, key));
    if (!capsule && !PyErr_Occurred()) {
        capsule = create_context(state, isa ? isa : state->default_isa);
        if (capsule && PyDict_SetItem(state->contexts, key, capsule) < 0) Py_CLEAR(capsule);
    }
    Py_DECREF(key);
    return capsule;
}

PyObject *mncpy_context(core_state *state, const char *isa) {
    PyObject *capsule;
    Py_BEGIN_CRITICAL_SECTION(state->contexts);
    capsule = context_locked(state, isa);
    Py_END_CRITICAL_SECTION();
    return capsule;
}

/* ---------------------------------------------------------------- threads */

size_t mncpy_get_threads(core_state *state) {
    size_t threads;
    Py_BEGIN_CRITICAL_SECTION(state->contexts);
    threads = state->threads;
    Py_END_CRITICAL_SECTION();
    return threads;
}

/* New references to the contexts that there are, at most `most` of them; with threads, those to come will have so many. */
static size_t contexts_now(core_state *state, const size_t *threads, PyObject **contexts, size_t most) {
    PyObject *key, *capsule;
    Py_ssize_t position = 0;
    size_t n = 0;
    Py_BEGIN_CRITICAL_SECTION(state->contexts);
    while (n < most && PyDict_Next(state->contexts, &position, &key, &capsule)) contexts[n++] = Py_NewRef(capsule);
    if (threads) state->threads = *threads;
    Py_END_CRITICAL_SECTION();
    return n;
}

/* Both wait for the job at work, which may need the GIL to end. */
enum { MOST_CONTEXTS = 16 }; /* instruction sets are fewer */

int mncpy_set_threads(core_state *state, size_t threads) {
    PyObject *contexts[MOST_CONTEXTS];
    mnc_error err = {0};
    mnc_status status = MNC_OK;
    const size_t n = contexts_now(state, &threads, contexts, MOST_CONTEXTS);
    for (size_t i = 0; i < n; i++) {
        mnc_context *const context = mncpy_context_pointer(contexts[i]);
        PyThreadState *const detached = PyEval_SaveThread();
        if (status == MNC_OK) status = mnc_context_set_threads(context, threads, &err);
        PyEval_RestoreThread(detached);
        Py_DECREF(contexts[i]);
    }
    if (status != MNC_OK) mnc_raise(state, &err, NULL);
    return status == MNC_OK ? 0 : -1;
}

void mncpy_stop_workers(core_state *state) {
    PyObject *contexts[MOST_CONTEXTS];
    const size_t n = contexts_now(state, NULL, contexts, MOST_CONTEXTS);
    for (size_t i = 0; i < n; i++) {
        mnc_context *const context = mncpy_context_pointer(contexts[i]);
        PyThreadState *const detached = PyEval_SaveThread();
        mnc_context_stop_workers(context);
        PyEval_RestoreThread(detached);
        Py_DECREF(contexts[i]);
    }
}
