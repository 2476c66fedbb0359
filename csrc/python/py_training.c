/* py_training.c - the methods of Network that train and give gradients.
 *
 * The core works in slices of about 50 ms with the GIL released; between them other Python threads run, signals are
 * looked at (Ctrl-C) and progress is reported. Between slices the model is whole: stopping there costs nothing. Within a
 * batch that takes longer the core asks whether to give it up, and signals are looked at as well. */
#include "py_arrays.h"
#include "py_network.h"

#include <math.h>
#include <string.h>

#define SLICE_SECONDS 0.05

/* ---------------------------------------------------------------- arguments */

/* The rows of a Data in some order; NULL: the first n as they are. The order is a copy, checked: another thread could
 * change the array while the core is at work. */
typedef struct selection {
    const data_object *data;
    uint32_t *order;
    size_t n;
} selection;

static void free_order(selection *rows) {
    PyMem_Free(rows->order);
    rows->order = NULL;
}

static int check_order(selection *rows) {
    bool as_they_are = true;
    for (size_t i = 0; i < rows->n; i++) {
        as_they_are &= rows->order[i] == i;
        if (rows->order[i] >= rows->data->rows) {
            PyErr_Format(PyExc_ValueError, "order[%zu] is %lu, but the data has %zu rows", i,
                         (unsigned long)rows->order[i], rows->data->rows);
            return -1;
        }
    }
    if (as_they_are) free_order(rows);
    return 0;
}

/* To be freed with free_order. */
static int select_rows(network_object *self, PyObject *data, PyObject *order, bool needs_targets, selection *rows) {
    mncpy_array view;
    rows->data = mncpy_data_argument(self, data, needs_targets);
    if (!rows->data || mncpy_array_view(order, "order", MNCPY_UINT32, 1, &view) < 0) return -1;
    if (view.cols == 0) {
        PyErr_SetString(PyExc_ValueError, "order is empty");
        return -1;
    }
    rows->n = view.cols;
    rows->order = PyMem_New(uint32_t, view.cols);
    if (!rows->order) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(rows->order, view.data, view.cols * sizeof *rows->order);
    if (check_order(rows) == 0) return 0;
    free_order(rows);
    return -1;
}

/* A checked copy, to be freed with PyMem_Free. */
static double *copy_rates(PyObject *object, size_t batches) {
    mncpy_array view;
    if (mncpy_array_view(object, "rates", MNCPY_FLOAT64, 1, &view) < 0) return NULL;
    if (view.cols != batches) {
        PyErr_Format(PyExc_ValueError, "rates must have one element for each of the %zu batches, not %zu", batches,
                     view.cols);
        return NULL;
    }
    double *const rates = PyMem_New(double, batches);
    if (!rates) {
        PyErr_NoMemory();
        return NULL;
    }
    memcpy(rates, view.data, batches * sizeof *rates);
    for (size_t i = 0; i < batches; i++)
        if (!isfinite(rates[i]) || rates[i] < 0) {
            PyErr_Format(PyExc_ValueError, "rates[%zu] must be finite and not negative", i);
            PyMem_Free(rates);
            return NULL;
        }
    return rates;
}

/* ---------------------------------------------------------------- training */

static int report_progress(PyObject *report, const mnc_job *job) {
    if (report == Py_None) return 0;
    typedef unsigned long long ull;
    PyObject *const result = PyObject_CallFunction(report, "KdKK", (ull)job->batches_done, job->loss_sum,
                                                   (ull)job->correct, (ull)job->rows_done);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int run_slices(network_object *self, mnc_job *job, size_t batches, PyObject *report) {
    while (job->batches_done < batches) {
        mncpy_call call;
        mnc_error err = {0};
        mncpy_call_begin(&call);
        job->stop = &call.stop;
        const mnc_status status = mnc_fit(self->model, job, &err);
        mncpy_call_end(&call);
        self->loss_sum = job->loss_sum; /* before anything can go wrong */
        self->correct = job->correct;
        self->rows_done = job->rows_done;
        if (call.raised) return -1;
        if (status != MNC_OK) {
            mnc_raise(mncpy_state_of((PyObject *)self), &err, job);
            return -1;
        }
        if (report_progress(report, job) < 0 || PyErr_CheckSignals() < 0) return -1;
    }
    return 0;
}

static PyObject *build_totals(double loss_sum, unsigned long long correct, unsigned long long rows_done) {
    return Py_BuildValue("(dKK)", loss_sum, correct, rows_done);
}

/* Trains on checked arguments; the network is ours meanwhile. before: a job whose sums are gone on from. */
static PyObject *fit_rows(network_object *self, const selection *rows, size_t batch_size, PyObject *rates_arg,
                          PyObject *report, const mnc_job *before) {
    PyObject *result = NULL;
    if (batch_size > rows->n) batch_size = rows->n; /* the same batch, but no buffers for rows that never come */
    const size_t batches = rows->n / batch_size + (rows->n % batch_size != 0);
    double *const rates = copy_rates(rates_arg, batches);
    mnc_job job = {
        .data = rows->data->data,
        .order = rows->order,
        .n = rows->n,
        .batch_size = batch_size,
        .rates = rates,
        .seconds = SLICE_SECONDS,
        .loss_sum = before->loss_sum,
        .correct = before->correct,
        .rows_done = before->rows_done,
    };
    if (rates && mncpy_network_acquire(self) == 0) {
        if (run_slices(self, &job, batches, report) == 0)
            result = build_totals(job.loss_sum, job.correct, job.rows_done);
        mncpy_network_release(self);
    }
    PyMem_Free(rates);
    return result;
}

PyObject *mncpy_network_fit(PyObject *op, PyObject *args) {
    network_object *const self = (network_object *)op;
    PyObject *data, *order, *rates, *report = Py_None;
    size_t batch_size;
    selection rows;
    mnc_job before = {0};
    unsigned long long correct = 0, rows_done = 0;
    if (!PyArg_ParseTuple(args, "OOO&O|O(dKK):fit", &data, &order, mncpy_to_size, &batch_size, &rates, &report,
                          &before.loss_sum, &correct, &rows_done))
        return NULL;
    before.correct = correct;
    before.rows_done = (size_t)rows_done;
    if (batch_size == 0) {
        PyErr_SetString(PyExc_ValueError, "batch_size must be at least 1");
        return NULL;
    }
    if (report != Py_None && !PyCallable_Check(report)) {
        PyErr_Format(PyExc_TypeError, "report must be a function or None, not %.200s", Py_TYPE(report)->tp_name);
        return NULL;
    }
    if (select_rows(self, data, order, true, &rows) < 0) return NULL;
    PyObject *const result = fit_rows(self, &rows, batch_size, rates, report, &before);
    free_order(&rows);
    return result;
}

PyObject *mncpy_network_totals(PyObject *op, PyObject *Py_UNUSED(nothing)) {
    network_object *const self = (network_object *)op;
    mncpy_reading reading;
    if (mncpy_network_enter(self, &reading) < 0) return NULL;
    PyObject *const result = build_totals(self->loss_sum, self->correct, self->rows_done);
    mncpy_network_leave(&reading);
    return result;
}

/* ---------------------------------------------------------------- single steps */

PyObject *mncpy_network_gradients(PyObject *op, PyObject *args) {
    network_object *const self = (network_object *)op;
    PyObject *data, *order, *result = NULL;
    int training, input_gradient;
    selection rows;
    double loss;
    void *memory = NULL;
    mnc_error err = {0};
    if (!PyArg_ParseTuple(args, "OOpp:gradients", &data, &order, &training, &input_gradient)) return NULL;
    if (select_rows(self, data, order, true, &rows) < 0) return NULL;
    PyObject *const dx = input_gradient ? mncpy_array_new_matrix(mncpy_real(self->dtype), rows.n, self->inputs, &memory)
                                        : Py_NewRef(Py_None);
    if (dx && mncpy_network_acquire(self) == 0) {
        mncpy_call call;
        mncpy_call_begin(&call);
        const mnc_status status = mnc_gradients(self->model, rows.data->data, rows.order, rows.n, training != 0, &loss,
                                                memory, &call.stop, &err);
        mncpy_call_end(&call);
        mncpy_network_release(self);
        result = status == MNC_OK ? Py_BuildValue("(dO)", loss, dx) : mnc_raise(mncpy_state_of(op), &err, NULL);
    }
    Py_XDECREF(dx);
    free_order(&rows);
    return result;
}

PyObject *mncpy_network_forward_training(PyObject *op, PyObject *args) {
    network_object *const self = (network_object *)op;
    PyObject *data, *order, *result = NULL;
    int update_statistics;
    selection rows;
    void *memory;
    mnc_error err = {0};
    if (!PyArg_ParseTuple(args, "OOp:forward_training", &data, &order, &update_statistics)) return NULL;
    if (select_rows(self, data, order, false, &rows) < 0) return NULL;
    PyObject *const outputs = mncpy_array_new_matrix(mncpy_real(self->dtype), rows.n, self->outputs, &memory);
    if (outputs && mncpy_network_acquire(self) == 0) {
        mncpy_call call;
        mncpy_call_begin(&call);
        const mnc_status status = mnc_forward_training(self->model, rows.data->data, rows.order, rows.n,
                                                       update_statistics != 0, memory, &call.stop, &err);
        mncpy_call_end(&call);
        mncpy_network_release(self);
        result = status == MNC_OK ? Py_NewRef(outputs) : mnc_raise(mncpy_state_of(op), &err, NULL);
    }
    Py_XDECREF(outputs);
    free_order(&rows);
    return result;
}
