/* py_arrays.c - checks and makes NumPy arrays. The only file that includes NumPy, so that its table of functions
 * needs no shared symbol. */
#include "py_arrays.h"

/* One binary for every NumPy from 2.0 on. setup.py may say the same. */
#ifndef NPY_TARGET_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#endif
#ifndef NPY_NO_DEPRECATED_API
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#endif
#include <numpy/arrayobject.h>

static const struct {
    int type;
    const char *name;
} elements[] = {
    [MNCPY_UINT8] = {NPY_UINT8, "uint8"},       [MNCPY_INT32] = {NPY_INT32, "int32"},
    [MNCPY_UINT32] = {NPY_UINT32, "uint32"},    [MNCPY_FLOAT32] = {NPY_FLOAT32, "float32"},
    [MNCPY_FLOAT64] = {NPY_FLOAT64, "float64"},
};

int mncpy_import_numpy(void) { return PyArray_ImportNumPyAPI(); }

const char *mncpy_numpy_target(void) { return NPY_FEATURE_VERSION_STRING; }

mncpy_element mncpy_real(mnc_dtype dtype) { return dtype == MNC_FLOAT64 ? MNCPY_FLOAT64 : MNCPY_FLOAT32; }

/* ---------------------------------------------------------------- views */

static PyArrayObject *as_array(PyObject *object, const char *name) {
    if (!PyArray_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be a numpy.ndarray, not %.200s", name, Py_TYPE(object)->tp_name);
        return NULL;
    }
    return (PyArrayObject *)object;
}

static int raise_dtype(PyArrayObject *array, const char *name, const mncpy_element *wanted, size_t n) {
    PyObject *const dtype = (PyObject *)PyArray_DESCR(array);
    const char *const first = elements[wanted[0]].name;
    if (n == 1)
        PyErr_Format(PyExc_TypeError, "%s must have dtype %s, not %S", name, first, dtype);
    else if (n == 2)
        PyErr_Format(PyExc_TypeError, "%s must have dtype %s or %s, not %S", name, first, elements[wanted[1]].name,
                     dtype);
    else
        PyErr_Format(PyExc_TypeError, "%s must have dtype %s, %s or %s, not %S", name, first, elements[wanted[1]].name,
                     elements[wanted[2]].name, dtype);
    return -1;
}

static int check_element(PyArrayObject *array, const char *name, const mncpy_element *wanted, size_t n,
                         mncpy_element *found) {
    for (size_t i = 0; i < n; i++)
        if (PyArray_EquivTypenums(PyArray_TYPE(array), elements[wanted[i]].type)) {
            *found = wanted[i];
            return 0;
        }
    return raise_dtype(array, name, wanted, n);
}

static int check_layout(PyArrayObject *array, const char *name) {
    const char *fault = NULL;
    if (!PyArray_ISNOTSWAPPED(array))
        fault = "its bytes are swapped";
    else if (!PyArray_ISALIGNED(array))
        fault = "it is not aligned";
    else if (!PyArray_IS_C_CONTIGUOUS(array))
        fault = "it is not C-contiguous";
    if (!fault) return 0;
    PyErr_Format(PyExc_ValueError, "%s must be C-contiguous, aligned and in native byte order, but %s", name, fault);
    return -1;
}

int mncpy_array_view_any(PyObject *object, const char *name, const mncpy_element *wanted, size_t n_wanted, int rank,
                         mncpy_array *view) {
    PyArrayObject *const array = as_array(object, name);
    if (!array || check_element(array, name, wanted, n_wanted, &view->element) < 0) return -1;
    if (rank != MNCPY_ANY_RANK && PyArray_NDIM(array) != rank) {
        PyErr_Format(PyExc_ValueError, "%s must have %d dimension%s, not %d", name, rank, rank == 1 ? "" : "s",
                     PyArray_NDIM(array));
        return -1;
    }
    if (check_layout(array, name) < 0) return -1;
    view->data = PyArray_DATA(array);
    view->rows = rank == 2 ? (size_t)PyArray_DIM(array, 0) : 1;
    view->cols = rank == 2 ? (size_t)PyArray_DIM(array, 1) : (size_t)PyArray_SIZE(array);
    return 0;
}

int mncpy_array_view(PyObject *object, const char *name, mncpy_element element, int rank, mncpy_array *view) {
    return mncpy_array_view_any(object, name, &element, 1, rank, view);
}

bool mncpy_array_is_plain(PyObject *object, size_t features, size_t most_rows, mncpy_array *view) {
    if (!PyArray_CheckExact(object)) return false;
    PyArrayObject *const array = (PyArrayObject *)object;
    const int type = PyArray_TYPE(array), rank = PyArray_NDIM(array);
    if ((type != NPY_UINT8 && type != NPY_FLOAT32) || rank < 1 || rank > 3 || !PyArray_IS_C_CONTIGUOUS(array) ||
        !PyArray_ISALIGNED(array) || !PyArray_ISNOTSWAPPED(array))
        return false;
    const size_t size = (size_t)PyArray_SIZE(array), rows = size == features ? 1 : (size_t)PyArray_DIM(array, 0);
    if (rows < 1 || rows > most_rows || size / rows != features || (rank == 1 && size != features)) return false;
    *view = (mncpy_array){PyArray_DATA(array), type == NPY_UINT8 ? MNCPY_UINT8 : MNCPY_FLOAT32, rows, features};
    return true;
}

int mncpy_array_check_writable(PyObject *object, const char *name) {
    PyArrayObject *const array = as_array(object, name);
    if (!array) return -1;
    if (PyArray_ISWRITEABLE(array)) return 0;
    PyErr_Format(PyExc_ValueError, "%s is changed in place, but it is read-only", name);
    return -1;
}

/* ---------------------------------------------------------------- sizes */

int mncpy_array_check_size(const mncpy_array *view, const char *name, size_t size) {
    if (view->rows * view->cols == size) return 0;
    PyErr_Format(PyExc_ValueError, "%s must have %zu elements, not %zu", name, size, view->rows * view->cols);
    return -1;
}

int mncpy_array_check_shape(const mncpy_array *view, const char *name, size_t rows, size_t cols) {
    if (view->rows == rows && view->cols == cols) return 0;
    PyErr_Format(PyExc_ValueError, "%s must have shape (%zu, %zu), not (%zu, %zu)", name, rows, cols, view->rows,
                 view->cols);
    return -1;
}

int mncpy_array_check_same_shape(PyObject *a, const char *a_name, PyObject *b, const char *b_name) {
    PyArrayObject *const x = as_array(a, a_name), *const y = as_array(b, b_name);
    if (!x || !y) return -1;
    if (PyArray_SAMESHAPE(x, y)) return 0;
    PyErr_Format(PyExc_ValueError, "%s and %s must have the same shape", a_name, b_name);
    return -1;
}

/* ---------------------------------------------------------------- new arrays */

static PyObject *new_array(mncpy_element element, int rank, const size_t *shape, void **data) {
    npy_intp dims[2];
    for (int i = 0; i < rank; i++) {
        if (shape[i] > (size_t)NPY_MAX_INTP) return PyErr_NoMemory();
        dims[i] = (npy_intp)shape[i];
    }
    PyObject *const array = PyArray_SimpleNew(rank, dims, elements[element].type);
    if (array) *data = PyArray_DATA((PyArrayObject *)array);
    return array;
}

PyObject *mncpy_array_new_vector(mncpy_element element, size_t size, void **data) {
    return new_array(element, 1, &size, data);
}

PyObject *mncpy_array_new_matrix(mncpy_element element, size_t rows, size_t cols, void **data) {
    const size_t shape[2] = {rows, cols};
    return new_array(element, 2, shape, data);
}
