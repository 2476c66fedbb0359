/* py_data.c - the type Data: inputs with optional labels or targets and weights. It never changes after its creation,
 * so any number of networks and threads may read it. */
#include "py_arrays.h"

/* The arguments of Data(), arrays still unchecked. NULL: not given. */
typedef struct data_arguments {
    PyObject *x, *table, *labels, *targets, *weights;
    mncpy_choice dtype;
    size_t classes, units;
    const char *isa;
    int view;
} data_arguments;

static int parse_arguments(PyObject *args, PyObject *keywords, data_arguments *a) {
    char *names[] = {"x", "dtype", "table", "labels", "classes", "targets", "weights", "isa", "view", "units", NULL};
    PyObject **const optional[] = {&a->table, &a->labels, &a->targets, &a->weights};
    *a = (data_arguments){.dtype = mncpy_dtype_choice()};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|$O&OOO&OOzpO&:Data", names, &a->x, mncpy_to_choice, &a->dtype,
                                     &a->table, &a->labels, mncpy_to_size, &a->classes, &a->targets, &a->weights,
                                     &a->isa, &a->view, mncpy_to_size, &a->units))
        return -1;
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
        if (*optional[i] == Py_None) *optional[i] = NULL;
    if (a->labels && a->targets) {
        PyErr_SetString(PyExc_ValueError, "give labels or targets, not both");
        return -1;
    }
    if ((a->labels != NULL) != (a->classes != 0)) {
        PyErr_SetString(PyExc_ValueError, "labels and classes (at least 1) go together");
        return -1;
    }
    return 0;
}

/* ---------------------------------------------------------------- the core's data */

static int fail(PyObject *self, const mnc_error *err) {
    mnc_raise(mncpy_state_of(self), err, NULL);
    return -1;
}

static int set_inputs(data_object *self, const data_arguments *a) {
    const mncpy_element elements[] = {MNCPY_UINT8, MNCPY_FLOAT32, MNCPY_FLOAT64};
    mncpy_array x, table = {0};
    mnc_error err = {0};
    if (mncpy_array_view_any(a->x, "x", elements, 3, 2, &x) < 0) return -1;
    if (a->table && (mncpy_array_view(a->table, "table", MNCPY_FLOAT64, 1, &table) < 0 ||
                     mncpy_array_check_size(&table, "table", 256) < 0))
        return -1;
    if (a->table && x.element != MNCPY_UINT8) {
        PyErr_SetString(PyExc_ValueError, "a table gives the values of uint8 inputs, but x is not uint8");
        return -1;
    }
    const mnc_element element = x.element == MNCPY_UINT8     ? MNC_UINT8
                                : x.element == MNCPY_FLOAT32 ? MNC_REAL32
                                                             : MNC_REAL64;
    self->dtype = (mnc_dtype)a->dtype.value;
    self->rows = x.rows;
    self->features = x.cols;
    self->x = Py_NewRef(a->x);
    mnc_context *const context = mncpy_context_pointer(self->context);
    mncpy_call call;
    mncpy_call_begin(&call);
    mnc_status status =
        a->view ? mnc_data_view(&self->data, context, self->dtype, element, x.data, x.rows, x.cols, table.data, &err)
                : mnc_data_create(&self->data, context, self->dtype, element, x.data, x.rows, x.cols, table.data,
                                  &call.stop, &err);
    if (status == MNC_OK && a->units) status = mnc_data_turn(self->data, context, a->units, &call.stop, &err);
    mncpy_call_end(&call);
    return status == MNC_OK ? 0 : fail((PyObject *)self, &err);
}

static int set_labels(data_object *self, PyObject *object, size_t classes) {
    mncpy_array labels;
    mnc_error err = {0};
    if (mncpy_array_view(object, "labels", MNCPY_INT32, 1, &labels) < 0 ||
        mncpy_array_check_size(&labels, "labels", self->rows) < 0)
        return -1;
    self->columns = classes;
    return mnc_data_set_labels(self->data, labels.data, classes, &err) == MNC_OK ? 0 : fail((PyObject *)self, &err);
}

static int set_targets(data_object *self, PyObject *object) {
    mncpy_array targets;
    mnc_error err = {0};
    if (mncpy_array_view(object, "targets", MNCPY_FLOAT64, 2, &targets) < 0 ||
        mncpy_array_check_shape(&targets, "targets", self->rows, targets.cols) < 0)
        return -1;
    self->columns = targets.cols;
    return mnc_data_set_targets(self->data, targets.data, targets.cols, &err) == MNC_OK ? 0
                                                                                        : fail((PyObject *)self, &err);
}

static int set_weights(data_object *self, PyObject *object) {
    mncpy_array weights;
    mnc_error err = {0};
    if (mncpy_array_view(object, "weights", MNCPY_FLOAT64, 1, &weights) < 0 ||
        mncpy_array_check_size(&weights, "weights", self->rows) < 0)
        return -1;
    return mnc_data_set_weights(self->data, weights.data, &err) == MNC_OK ? 0 : fail((PyObject *)self, &err);
}

/* ---------------------------------------------------------------- the type */

static PyObject *data_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    data_arguments a;
    if (parse_arguments(args, keywords, &a) < 0) return NULL;
    data_object *const self = (data_object *)type->tp_alloc(type, 0); /* zeroed: dealloc works from here on */
    if (!self) return NULL;
    self->context = mncpy_context(mncpy_state_of((PyObject *)self), a.isa);
    if (!self->context || set_inputs(self, &a) < 0 || (a.labels && set_labels(self, a.labels, a.classes) < 0) ||
        (a.targets && set_targets(self, a.targets) < 0) || (a.weights && set_weights(self, a.weights) < 0)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int data_traverse(PyObject *op, visitproc visit, void *arg) {
    data_object *const self = (data_object *)op;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->x);
    return 0;
}

/* No tp_clear: the core needs x for as long as the object lives, and a cycle through x has other links to cut. */
static void data_dealloc(PyObject *op) {
    data_object *const self = (data_object *)op;
    PyTypeObject *const type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    mnc_data_destroy(self->data); /* before what it borrows */
    Py_XDECREF(self->x);
    Py_XDECREF(self->context);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *data_rows(PyObject *self, void *Py_UNUSED(closure)) {
    return PyLong_FromSize_t(((data_object *)self)->rows);
}

static PyObject *data_indexed(PyObject *self, void *Py_UNUSED(closure)) {
    return PyBool_FromLong(mnc_data_is_indexed(((data_object *)self)->data));
}

static PyObject *data_nonzeros(PyObject *self, void *Py_UNUSED(closure)) {
    return PyLong_FromUnsignedLongLong(mnc_data_nonzeros(((data_object *)self)->data));
}

static PyGetSetDef data_getset[] = {
    {"rows", data_rows, NULL, "Number of rows of x.", NULL},
    {"indexed", data_indexed, NULL, "Whether x has an index of its non-zero elements.", NULL},
    {"nonzeros", data_nonzeros, NULL, "Number of non-zero elements; 0 if not indexed.", NULL},
    {0},
};

static const char data_doc[] =
    "Data(x, *, dtype='float32', table=None, labels=None, classes=0, targets=None, weights=None, isa=None, "
    "view=False, units=0)\n--\n\n"
    "Inputs with optional labels or targets and weights. x: uint8, float32 or float64 (n, features);\n"
    "it is borrowed, not copied, and must not be changed while the object lives. view: it is used once, so that an\n"
    "index of its non-zero elements would not pay. units: if not 0, networks with so many units in the first layer "
    "will\n"
    "train on all rows in order, more than once, in long batches.";

static PyType_Slot data_slots[] = {
    {Py_tp_doc, (void *)data_doc},         {Py_tp_new, (void *)data_new}, {Py_tp_traverse, (void *)data_traverse},
    {Py_tp_dealloc, (void *)data_dealloc}, {Py_tp_getset, data_getset},   {0, NULL},
};

PyType_Spec mncpy_data_spec = {
    .name = "mnist_c._core.Data",
    .basicsize = sizeof(data_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = data_slots,
};
