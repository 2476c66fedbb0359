/* py_arrays.h - NumPy arrays, strictly: an argument must already have the stated dtype and rank and be C-contiguous,
 * aligned and in native byte order. Anything else is an error that says what came; nothing is copied or cast. */
#ifndef MNC_PYTHON_ARRAYS_H
#define MNC_PYTHON_ARRAYS_H

#include "binding.h"

typedef enum mncpy_element { MNCPY_UINT8, MNCPY_INT32, MNCPY_UINT32, MNCPY_FLOAT32, MNCPY_FLOAT64 } mncpy_element;

typedef struct mncpy_array {
    void *data;
    mncpy_element element;
    size_t rows, cols; /* a vector has one row */
} mncpy_array;

/* For Py_mod_exec. */
int mncpy_import_numpy(void);
const char *mncpy_numpy_target(void);

mncpy_element mncpy_real(mnc_dtype dtype);

#define MNCPY_ANY_RANK (-1) /* rows is 1 then, and cols the number of elements */

/* A view of object, valid as long as object is. 0, or -1 with TypeError or ValueError that names the argument.
 * rank: 1, 2 or MNCPY_ANY_RANK. */
int mncpy_array_view(PyObject *object, const char *name, mncpy_element element, int rank, mncpy_array *view);
/* The same for one of up to three element types. */
int mncpy_array_view_any(PyObject *object, const char *name, const mncpy_element *wanted, size_t n_wanted, int rank,
                         mncpy_array *view);
/* Whether object is up to most_rows images of `features` uint8 or float32 pixels each, C-contiguous, shaped (n, ...) or, one
 * image, (...). No exception is set; view is valid if so. */
bool mncpy_array_is_plain(PyObject *object, size_t features, size_t most_rows, mncpy_array *view);
int mncpy_array_check_writable(PyObject *object, const char *name);
/* ValueError unless the view has that many elements, or that many rows and columns. */
int mncpy_array_check_size(const mncpy_array *view, const char *name, size_t size);
int mncpy_array_check_shape(const mncpy_array *view, const char *name, size_t rows, size_t cols);
/* ValueError unless both have one shape. */
int mncpy_array_check_same_shape(PyObject *a, const char *a_name, PyObject *b, const char *b_name);

/* New arrays; *data is their memory. */
PyObject *mncpy_array_new_vector(mncpy_element element, size_t size, void **data);
PyObject *mncpy_array_new_matrix(mncpy_element element, size_t rows, size_t cols, void **data);

#endif
