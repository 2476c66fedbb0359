/* py_access.c - the methods of Network that read and change its state: tensors, optimizer, counters. */
#include "py_arrays.h"
#include "py_network.h"

/* ---------------------------------------------------------------- tensors */

static bool is_matrix(const mnc_tensor *tensor) { return tensor->role == MNC_KERNEL; }

static PyObject *describe(const mnc_tensor *tensor) {
    static const char *const roles[] = {
        [MNC_KERNEL] = "kernel",
        [MNC_BIAS] = "bias",
        [MNC_GAMMA] = "gamma",
        [MNC_BETA] = "beta",
        [MNC_MOVING_MEAN] = "moving_mean",
        [MNC_MOVING_VARIANCE] = "moving_variance",
    };
    const Py_ssize_t layer = (Py_ssize_t)tensor->layer, rows = (Py_ssize_t)tensor->rows;
    const Py_ssize_t cols = (Py_ssize_t)tensor->cols;
    PyObject *const trainable = tensor->trainable ? Py_True : Py_False;
    if (is_matrix(tensor)) return Py_BuildValue("(ns(nn)O)", layer, roles[tensor->role], rows, cols, trainable);
    return Py_BuildValue("(ns(n)O)", layer, roles[tensor->role], cols, trainable);
}

/* Needs no acquire: what tensors there are never changes. */
PyObject *mncpy_network_tensors(PyObject *self, PyObject *Py_UNUSED(nothing)) {
    const mnc_model *const model = ((network_object *)self)->model;
    const size_t n = mnc_model_tensor_count(model);
    PyObject *const all = PyTuple_New((Py_ssize_t)n);
    for (size_t i = 0; all && i < n; i++) {
        const mnc_tensor tensor = mnc_model_tensor(model, i);
        PyObject *const one = describe(&tensor);
        if (!one) {
            Py_DECREF(all);
            return NULL;
        }
        PyTuple_SET_ITEM(all, (Py_ssize_t)i, one);
    }
    return all;
}

/* The arguments (part, index) that get and set share. */
static int find_tensor(const network_object *self, const char *part_name, size_t i, mnc_part *part,
                       mnc_tensor *tensor) {
    static const char *const parts[] = {
        [MNC_VALUE] = "value", [MNC_GRADIENT] = "gradient", [MNC_SLOT0] = "slot0", [MNC_SLOT1] = "slot1",
        [MNC_SLOT2] = "slot2", [MNC_SLOT3] = "slot3",       [MNC_SLOT4] = "slot4", NULL,
    };
    const int value = mncpy_choose("part", parts, part_name);
    if (value < 0) return -1;
    const size_t n = mnc_model_tensor_count(self->model);
    if (i >= n) {
        PyErr_Format(PyExc_IndexError, "tensor %zu does not exist: the network has %zu", i, n);
        return -1;
    }
    *part = (mnc_part)value;
    *tensor = mnc_model_tensor(self->model, i);
    return 0;
}

PyObject *mncpy_network_get(PyObject *op, PyObject *args) {
    network_object *const self = (network_object *)op;
    mncpy_reading reading;
    const char *name;
    size_t i;
    mnc_part part;
    mnc_tensor tensor;
    mnc_error err = {0};
    void *out;
    if (!PyArg_ParseTuple(args, "sO&:get", &name, mncpy_to_size, &i) || find_tensor(self, name, i, &part, &tensor) < 0)
        return NULL;
    const mncpy_element element = mncpy_real(self->dtype);
    PyObject *array = is_matrix(&tensor) ? mncpy_array_new_matrix(element, tensor.rows, tensor.cols, &out)
                                         : mncpy_array_new_vector(element, tensor.cols, &out);
    if (!array || mncpy_network_enter(self, &reading) < 0) {
        Py_XDECREF(array);
        return NULL;
    }
    PyThreadState *const detached = PyEval_SaveThread();
    const mnc_status status = mnc_model_get(self->model, part, i, out, &err);
    PyEval_RestoreThread(detached);
    mncpy_network_leave(&reading);
    if (status != MNC_OK) {
        Py_DECREF(array);
        return mnc_raise(mncpy_state_of(op), &err, NULL);
    }
    return array;
}

/* The values for one tensor, checked. */
typedef struct new_values {
    size_t index;
    const void *data;
} new_values;

static int check_values(const network_object *self, const char *part_name, PyObject *index, PyObject *array,
                        mnc_part *part, new_values *values) {
    mnc_tensor tensor;
    mncpy_array in;
    if (!mncpy_to_size(index, &values->index) || find_tensor(self, part_name, values->index, part, &tensor) < 0 ||
        mncpy_array_view(array, "array", mncpy_real(self->dtype), is_matrix(&tensor) ? 2 : 1, &in) < 0)
        return -1;
    values->data = in.data;
    return is_matrix(&tensor) ? mncpy_array_check_shape(&in, "array", tensor.rows, tensor.cols)
                              : mncpy_array_check_size(&in, "array", tensor.cols);
}

static PyObject *set_values(network_object *self, mnc_part part, const new_values *values, size_t n) {
    mnc_error err = {0};
    mnc_status status = MNC_OK;
    if (mncpy_network_acquire(self) < 0) return NULL;
    PyThreadState *const detached = PyEval_SaveThread();
    for (size_t k = 0; k < n && status == MNC_OK; k++) /* what can fail fails for the first of them */
        status = mnc_model_set(self->model, part, values[k].index, values[k].data, &err);
    PyEval_RestoreThread(detached);
    mncpy_network_release(self);
    return status == MNC_OK ? Py_NewRef(Py_None) : mnc_raise(mncpy_state_of((PyObject *)self), &err, NULL);
}

PyObject *mncpy_network_set(PyObject *op, PyObject *args) {
    network_object *const self = (network_object *)op;
    const size_t n = (size_t)PyTuple_GET_SIZE(args) / 2;
    mnc_part part = MNC_VALUE;
    bool good = PyTuple_GET_SIZE(args) % 2 == 1 && n > 0 && PyUnicode_Check(PyTuple_GET_ITEM(args, 0));
    if (!good) PyErr_SetString(PyExc_TypeError, "set() takes a part, then an index and an array, or several of both");
    const char *const name = good ? PyUnicode_AsUTF8(PyTuple_GET_ITEM(args, 0)) : NULL;
    if (!name) return NULL;
    new_values *const values = PyMem_New(new_values, n);
    if (!values) return PyErr_NoMemory();
    for (size_t k = 0; good && k < n; k++)
        good = check_values(self, name, PyTuple_GET_ITEM(args, (Py_ssize_t)(1 + 2 * k)),
                            PyTuple_GET_ITEM(args, (Py_ssize_t)(2 + 2 * k)), &part, &values[k]) == 0;
    PyObject *const result = good ? set_values(self, part, values, n) : NULL;
    PyMem_Free(values);
    return result;
}

/* ---------------------------------------------------------------- optimizer and counters */

PyObject *mncpy_network_set_optimizer(PyObject *op, PyObject *args, PyObject *keywords) {
    network_object *const self = (network_object *)op;
    const char *kind;
    mnc_optimizer optimizer;
    mnc_error err = {0};
    if (!PyArg_ParseTuple(args, "s:set_optimizer", &kind) || mncpy_to_optimizer(kind, keywords, &optimizer, NULL) < 0 ||
        mncpy_network_acquire(self) < 0)
        return NULL;
    mncpy_call call;
    mncpy_call_begin(&call);
    const mnc_status status = mnc_model_set_optimizer(self->model, &optimizer, &call.stop, &err);
    mncpy_call_end(&call);
    mncpy_network_release(self);
    return status == MNC_OK ? PyLong_FromSize_t(mnc_optimizer_slots(&optimizer))
                            : mnc_raise(mncpy_state_of(op), &err, NULL);
}

PyObject *mncpy_network_progress(PyObject *op, PyObject *Py_UNUSED(nothing)) {
    network_object *const self = (network_object *)op;
    mncpy_reading reading;
    if (mncpy_network_enter(self, &reading) < 0) return NULL;
    const mnc_progress p = mnc_model_progress(self->model);
    mncpy_network_leave(&reading);
    return Py_BuildValue("(KKK)", (unsigned long long)p.epoch, (unsigned long long)p.step,
                         (unsigned long long)p.optimizer_step);
}

PyObject *mncpy_network_set_progress(PyObject *op, PyObject *args) {
    network_object *const self = (network_object *)op;
    mnc_progress p;
    if (!PyArg_ParseTuple(args, "O&O&O&:set_progress", mncpy_to_uint64, &p.epoch, mncpy_to_uint64, &p.step,
                          mncpy_to_uint64, &p.optimizer_step) ||
        mncpy_network_acquire(self) < 0)
        return NULL;
    mnc_model_set_progress(self->model, p);
    mncpy_network_release(self);
    Py_RETURN_NONE;
}

PyObject *mncpy_network_penalty(PyObject *op, PyObject *Py_UNUSED(nothing)) {
    network_object *const self = (network_object *)op;
    mncpy_reading reading;
    if (mncpy_network_enter(self, &reading) < 0) return NULL;
    PyThreadState *const detached = PyEval_SaveThread();
    const double penalty = mnc_model_penalty(self->model);
    PyEval_RestoreThread(detached);
    mncpy_network_leave(&reading);
    return PyFloat_FromDouble(penalty);
}

PyObject *mncpy_network_hash(PyObject *op, PyObject *Py_UNUSED(nothing)) {
    network_object *const self = (network_object *)op;
    mncpy_reading reading;
    if (mncpy_network_enter(self, &reading) < 0) return NULL;
    PyThreadState *const detached = PyEval_SaveThread();
    const uint64_t hash = mnc_model_hash(self->model);
    PyEval_RestoreThread(detached);
    mncpy_network_leave(&reading);
    return PyLong_FromUnsignedLongLong(hash);
}

/* One number per thread that has done anything. */
static PyObject *chunks_tuple(const mnc_counters *c) {
    size_t n = MNCPY_MAX_THREADS;
    while (n > 0 && c->chunks[n - 1] == 0) n--;
    PyObject *tuple = PyTuple_New((Py_ssize_t)n);
    for (size_t i = 0; tuple && i < n; i++) {
        PyObject *const number = PyLong_FromUnsignedLongLong(c->chunks[i]);
        if (number)
            PyTuple_SET_ITEM(tuple, (Py_ssize_t)i, number);
        else
            Py_CLEAR(tuple);
    }
    return tuple;
}

PyObject *mncpy_network_counters(PyObject *op, PyObject *Py_UNUSED(nothing)) {
    network_object *const self = (network_object *)op;
    if (mncpy_network_acquire(self) < 0) return NULL;
    const mnc_counters c = mnc_model_counters(self->model);
    mncpy_network_release(self);
    PyObject *const chunks = chunks_tuple(&c);
    if (!chunks) return NULL;
    typedef unsigned long long ull;
    return Py_BuildValue("{sKsKsKsKsKsKsKsKsN}", "sparse_forward", (ull)c.sparse_forward, "dense_forward",
                         (ull)c.dense_forward, "dense_delta", (ull)c.dense_delta, "sparse_gradient",
                         (ull)c.sparse_gradient, "dense_gradient", (ull)c.dense_gradient, "updates", (ull)c.updates,
                         "stores", (ull)c.stores, "workers", (ull)c.workers, "chunks", chunks);
}
