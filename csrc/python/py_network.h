/* py_network.h - the object behind Network, shared by the files with its methods. */
#ifndef MNC_PYTHON_NETWORK_H
#define MNC_PYTHON_NETWORK_H

#include "binding.h"

#include <stdatomic.h>

typedef struct network_object {
    PyObject_HEAD PyObject *context;
    mnc_model *model;
    mnc_dtype dtype;
    size_t inputs, outputs;
    size_t parameters;     /* for guessing how long a row takes */
    atomic_ulong holder;   /* the thread that has the model for itself, 0: nobody */
    atomic_ullong readers; /* calls under way that only read it; above 32 bits, in which process, counted in forks */
    double loss_sum;       /* as of the last slice of the last fit(), however that ended */
    unsigned long long correct, rows_done;
} network_object;

/* A model may be read by many threads at a time or changed by one, and the GIL does not see to that: it is released while
 * the core works. Whoever finds the network in another's hand gets a RuntimeError instead of waiting, because waiting for
 * a training of hours is never what was meant, and because the callback of fit() would wait for itself. Who is to change
 * it waits for those that read: their calls are short, and no new ones begin. */
int mncpy_network_acquire(network_object *self);
void mncpy_network_release(network_object *self);

/* A call that reads, on the stack of its thread, so that whoever calls from within it does not wait for itself. */
typedef struct mncpy_reading {
    network_object *network;
    struct mncpy_reading *outer;
} mncpy_reading;

int mncpy_network_enter(network_object *self, mncpy_reading *reading);
void mncpy_network_leave(mncpy_reading *reading);

/* The methods that read and change the state (py_access.c). */
PyObject *mncpy_network_tensors(PyObject *self, PyObject *nothing);
PyObject *mncpy_network_get(PyObject *self, PyObject *args);
PyObject *mncpy_network_set(PyObject *self, PyObject *args);
PyObject *mncpy_network_set_optimizer(PyObject *self, PyObject *args, PyObject *keywords);
PyObject *mncpy_network_progress(PyObject *self, PyObject *nothing);
PyObject *mncpy_network_set_progress(PyObject *self, PyObject *args);
PyObject *mncpy_network_penalty(PyObject *self, PyObject *nothing);
PyObject *mncpy_network_hash(PyObject *self, PyObject *nothing);
PyObject *mncpy_network_counters(PyObject *self, PyObject *nothing);

/* The argument as data that this network can run on, or NULL with an exception (py_inference.c). */
const data_object *mncpy_data_argument(network_object *self, PyObject *object, bool needs_targets);

/* The methods that train (py_training.c). */
PyObject *mncpy_network_fit(PyObject *self, PyObject *args);
PyObject *mncpy_network_totals(PyObject *self, PyObject *nothing);
PyObject *mncpy_network_gradients(PyObject *self, PyObject *args);
PyObject *mncpy_network_forward_training(PyObject *self, PyObject *args);

/* The methods that only read the weights (py_inference.c). */
PyObject *mncpy_network_evaluate(PyObject *self, PyObject *data);
PyObject *mncpy_network_predict(PyObject *self, PyObject *data);
PyObject *mncpy_network_predict_few(PyObject *self, PyObject *x);

#endif
