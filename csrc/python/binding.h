/* binding.h - what the files of mnist_c._core share.
 *
 * The extension is the strict layer between Python and mnc.h: it converts nothing silently, checks everything again,
 * and so no Python call can crash the process. `mnist_c` (Python) is the friendly layer that prepares the arguments.
 *
 *   module.c          the module: its state, its functions
 *   py_state.c        contexts, and the one door from mnc_error to a Python exception
 *   py_threads.c      how many threads to use when nobody says
 *   py_signals.c      the GIL released around calls of the core, and signals looked at within them
 *   py_arguments.c    small arguments: names, sizes
 *   py_optimizer.c    an optimizer's keywords; its step on plain arrays
 *   py_arrays.c       NumPy arrays, the only file that sees NumPy's C API
 *   py_data.c         the type Data
 *   py_network.c      the type Network: who may use it, its creation
 *   py_layers.c       a layer's dict -> mnc_layer
 *   py_access.c       the methods of Network that read and change its state
 *   py_training.c     the methods of Network that compute
 *
 * The GIL is released around every call of the core that takes more than microseconds. Nothing here relies on it:
 * what may change meanwhile (order, rates) is copied first, a Network knows who reads and who changes it, and the module's
 * state is changed inside critical sections, so the same code is right for the free-threaded build. */
#ifndef MNC_PYTHON_BINDING_H
#define MNC_PYTHON_BINDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "mnc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Per-object locks exist from 3.13 on; before, the GIL is the lock. */
#if PY_VERSION_HEX < 0x030D0000
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION() }
#endif

/* The core counts the work of each thread in an array of this size. */
#define MNCPY_MAX_THREADS (sizeof(((mnc_counters *)0)->chunks) / sizeof(uint64_t))

/* ---------------------------------------------------------------- py_state.c */

typedef struct core_state {
    PyTypeObject *data_type, *network_type;
    PyObject *not_finite_error;
    PyObject *contexts; /* dict: name of the instruction set -> capsule of its mnc_context, created when asked for */
    const char *default_isa; /* one of mnc_isa_name() */
    size_t threads;          /* of every context, also of those to come; contexts' critical section */
} core_state;

/* Reads MNIST_C_ISA and the number of threads; ImportError if the environment asks for the impossible. */
int mncpy_state_init(core_state *state);

/* The state from an object of Data or Network (both types are final, so its type is ours). */
core_state *mncpy_state_of(PyObject *self);

/* The one door for the core's errors: sets the exception for err and returns NULL. job: NULL, or the job that failed;
 * NotFiniteError then has the number of the batch. */
PyObject *mnc_raise(const core_state *state, const mnc_error *err, const mnc_job *job);

/* A capsule with the context of an instruction set (NULL: the default one). Networks and Data hold a reference to it,
 * so a context lives as long as whatever was made with it. */
PyObject *mncpy_context(core_state *state, const char *isa);
mnc_context *mncpy_context_pointer(PyObject *capsule);

size_t mncpy_get_threads(core_state *state);
int mncpy_set_threads(core_state *state, size_t threads);
void mncpy_stop_workers(core_state *state);

/* ---------------------------------------------------------------- py_threads.c */

/* MNIST_C_NUM_THREADS, else the first number of OMP_NUM_THREADS, else the CPUs that this process may use.
 * -1 with ImportError if MNIST_C_NUM_THREADS is no such number. */
int mncpy_default_threads(size_t *threads);

/* ---------------------------------------------------------------- py_signals.c */

/* A call of the core without the GIL. Its stop looks at signals and ends the call if a handler raised an exception. */
typedef struct mncpy_call {
    mnc_stop stop;
    PyThreadState *detached;
    struct timespec last; /* look at signals */
    bool raised;          /* the exception is set then */
} mncpy_call;

void mncpy_call_begin(mncpy_call *call);
void mncpy_call_end(mncpy_call *call);

/* ---------------------------------------------------------------- py_arguments.c */

/* One of several names; value is its index. A converter for "O&": what, names and the default are set before. */
typedef struct mncpy_choice {
    const char *what;
    const char *const *names; /* ends with NULL; in the order of the enum */
    int value;
} mncpy_choice;

int mncpy_to_choice(PyObject *object, void *choice);
int mncpy_to_size(PyObject *object, void *size);     /* size_t, not negative */
int mncpy_to_uint64(PyObject *object, void *number); /* uint64_t */
mncpy_choice mncpy_dtype_choice(void);
/* The index of name, or -1 with ValueError. */
int mncpy_choose(const char *what, const char *const *names, const char *name);

/* ---------------------------------------------------------------- py_optimizer.c */

/* kind and the keywords of an optimizer -> optimizer. isa: NULL if the keyword isa is not allowed. */
int mncpy_to_optimizer(const char *kind, PyObject *keywords, mnc_optimizer *optimizer, const char **isa);
PyObject *mncpy_optimizer_slots(PyObject *module, PyObject *args, PyObject *keywords);
PyObject *mncpy_optimizer_apply(PyObject *module, PyObject *args, PyObject *keywords);

/* ---------------------------------------------------------------- py_layers.c */

/* An array of PyMem memory with one mnc_layer per dict, *n long. *outputs: what the last layer gives. */
mnc_layer *mncpy_to_layers(PyObject *sequence, size_t inputs, size_t *n, size_t *outputs);

/* ---------------------------------------------------------------- the types */

extern PyType_Spec mncpy_data_spec, mncpy_network_spec;
int mncpy_network_init(void); /* once, before the first Network */

typedef struct data_object {
    PyObject_HEAD PyObject *context;
    PyObject *x; /* the core borrows its memory */
    mnc_data *data;
    mnc_dtype dtype;
    size_t rows, features;
    size_t columns; /* classes of the labels or columns of the targets; 0: neither */
} data_object;

#endif
