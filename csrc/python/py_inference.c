/* py_inference.c - the methods of Network that only read its weights: evaluation and prediction, in slices with the GIL
 * released, as in py_training.c. */
#include "py_arrays.h"
#include "py_network.h"

#include <float.h>

/* Multiplications and additions in a slice of evaluation: about 50 ms, on one slow core. */
#define SLICE_WORK 500000000u
#define SLICE_MIN_ROWS 128u
#define SLICE_MAX_ROWS 8192u
/* Up to so many images take the short way. */
#define FEW_ROWS 15u

/* ---------------------------------------------------------------- arguments */

/* Whether this network can run on this data. */
static int check_data(const network_object *self, const data_object *data, bool needs_targets) {
    if (data->dtype != self->dtype) {
        PyErr_SetString(PyExc_ValueError, "the data and the network must have the same dtype");
        return -1;
    }
    if (data->features != self->inputs) {
        PyErr_Format(PyExc_ValueError, "the network has %zu inputs, but the data has %zu features", self->inputs,
                     data->features);
        return -1;
    }
    if (!needs_targets) return 0;
    if (data->columns == 0) {
        PyErr_SetString(PyExc_ValueError, "the data has neither labels nor targets");
        return -1;
    }
    if (data->columns != self->outputs) {
        PyErr_Format(PyExc_ValueError, "the network has %zu outputs, but the data has %zu classes or target columns",
                     self->outputs, data->columns);
        return -1;
    }
    return 0;
}

const data_object *mncpy_data_argument(network_object *self, PyObject *object, bool needs_targets) {
    PyTypeObject *const type = mncpy_state_of((PyObject *)self)->data_type;
    if (!Py_IS_TYPE(object, type)) {
        PyErr_Format(PyExc_TypeError, "data must be a %s, not %.200s", type->tp_name, Py_TYPE(object)->tp_name);
        return NULL;
    }
    const data_object *const data = (const data_object *)object;
    return check_data(self, data, needs_targets) < 0 ? NULL : data;
}

/* ---------------------------------------------------------------- slices */

/* Rows per slice. A row's result does not depend on the rows beside it, so the cuts change no bit. */
static size_t slice_rows(const network_object *self) {
    const size_t rows = SLICE_WORK / (self->parameters + 1);
    return rows < SLICE_MIN_ROWS ? SLICE_MIN_ROWS : rows > SLICE_MAX_ROWS ? SLICE_MAX_ROWS : rows;
}

/* Fills outputs, and losses where there are any, for all rows of the data. */
static int run_forward(network_object *self, const data_object *data, char *outputs, double *losses,
                       uint64_t *correct) {
    const size_t row_bytes = self->outputs * (self->dtype == MNC_FLOAT64 ? sizeof(double) : sizeof(float));
    const size_t step = slice_rows(self);
    for (size_t first = 0; first < data->rows; first += step) {
        const size_t n = data->rows - first < step ? data->rows - first : step;
        mnc_error err = {0};
        PyThreadState *const detached = PyEval_SaveThread();
        const mnc_status status = mnc_evaluate(self->model, data->data, first, n, outputs + first * row_bytes,
                                               losses ? losses + first : NULL, correct, &err);
        PyEval_RestoreThread(detached);
        if (status != MNC_OK) {
            mnc_raise(mncpy_state_of((PyObject *)self), &err, NULL);
            return -1;
        }
        if (PyErr_CheckSignals() < 0) return -1;
    }
    return 0;
}

/* A new array with the outputs of all rows. */
static PyObject *outputs_of(network_object *self, const data_object *data, double *losses, uint64_t *correct) {
    void *memory;
    mncpy_reading reading;
    PyObject *const outputs = mncpy_array_new_matrix(mncpy_real(self->dtype), data->rows, self->outputs, &memory);
    if (!outputs) return NULL;
    if (mncpy_network_enter(self, &reading) == 0) {
        const int status = run_forward(self, data, memory, losses, correct);
        mncpy_network_leave(&reading);
        if (status == 0) return outputs;
    }
    Py_DECREF(outputs);
    return NULL;
}

PyObject *mncpy_network_evaluate(PyObject *op, PyObject *object) {
    network_object *const self = (network_object *)op;
    const data_object *const data = mncpy_data_argument(self, object, true);
    uint64_t correct = 0;
    if (!data) return NULL;
    double *const losses = PyMem_New(double, data->rows);
    if (!losses) return PyErr_NoMemory();
    PyObject *const outputs = outputs_of(self, data, losses, &correct);
    /* Over all rows at once: a sum of the slices' sums would depend on the cuts. */
    const double loss = outputs ? mnc_sum(losses, data->rows) : 0;
    PyMem_Free(losses);
    return outputs ? Py_BuildValue("(dKN)", loss, (unsigned long long)correct, outputs) : NULL;
}

PyObject *mncpy_network_predict(PyObject *op, PyObject *object) {
    network_object *const self = (network_object *)op;
    const data_object *const data = mncpy_data_argument(self, object, false);
    return data ? outputs_of(self, data, NULL, NULL) : NULL;
}

/* ---------------------------------------------------------------- a few images, without detours */

/* Are all finite, and none so large that it looks like a raw pixel? */
static bool plain_floats(const float *x, size_t n) {
    bool plain = true;
    for (size_t i = 0; i < n; i++) plain &= x[i] >= -FLT_MAX && x[i] <= 2;
    return plain;
}

PyObject *mncpy_network_predict_few(PyObject *op, PyObject *object) {
    network_object *const self = (network_object *)op;
    mncpy_array x;
    if (self->dtype != MNC_FLOAT32 || !mncpy_array_is_plain(object, self->inputs, FEW_ROWS, &x) ||
        (x.element == MNCPY_FLOAT32 && !plain_floats(x.data, x.rows * x.cols)))
        Py_RETURN_NONE;
    void *memory;
    mncpy_reading reading;
    mnc_error err = {0};
    PyObject *const outputs = mncpy_array_new_matrix(MNCPY_FLOAT32, x.rows, self->outputs, &memory);
    if (!outputs || mncpy_network_enter(self, &reading) < 0) {
        Py_XDECREF(outputs);
        return NULL;
    }
    const mnc_element element = x.element == MNCPY_UINT8 ? MNC_UINT8 : MNC_REAL32;
    mnc_data *data = NULL;
    PyThreadState *const detached = PyEval_SaveThread();
    mnc_status status = mnc_data_view(&data, mncpy_context_pointer(self->context), MNC_FLOAT32, element, x.data, x.rows,
                                      x.cols, NULL, &err);
    if (status == MNC_OK) status = mnc_evaluate(self->model, data, 0, x.rows, memory, NULL, NULL, &err);
    mnc_data_destroy(data);
    PyEval_RestoreThread(detached);
    mncpy_network_leave(&reading);
    if (status == MNC_OK) return outputs;
    Py_DECREF(outputs);
    return mnc_raise(mncpy_state_of(op), &err, NULL);
}
