/* py_arguments.c - small arguments: names of enums, and integers. */
#include "binding.h"

#include <string.h>

/* ---------------------------------------------------------------- names */

/* Text such as "linear", "relu" or "tanh", in quotes. */
static PyObject *list_of(const char *const *names) {
    PyObject *text = PyUnicode_FromFormat("\"%s\"", names[0]);
    for (size_t i = 1; text && names[i]; i++) {
        const char *const separator = names[i + 1] ? ", " : " or ";
        PyObject *const longer = PyUnicode_FromFormat("%U%s\"%s\"", text, separator, names[i]);
        Py_SETREF(text, longer);
    }
    return text;
}

int mncpy_choose(const char *what, const char *const *names, const char *name) {
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0) return i;
    PyObject *const known = list_of(names);
    if (known) PyErr_Format(PyExc_ValueError, "%s must be %U, not \"%.100s\"", what, known, name);
    Py_XDECREF(known);
    return -1;
}

int mncpy_to_choice(PyObject *object, void *result) {
    mncpy_choice *const choice = result;
    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be a str, not %.200s", choice->what, Py_TYPE(object)->tp_name);
        return 0;
    }
    const char *const name = PyUnicode_AsUTF8(object);
    if (!name) return 0;
    choice->value = mncpy_choose(choice->what, choice->names, name);
    return choice->value >= 0;
}

mncpy_choice mncpy_dtype_choice(void) {
    static const char *const names[] = {[MNC_FLOAT32] = "float32", [MNC_FLOAT64] = "float64", NULL};
    return (mncpy_choice){"dtype", names, MNC_FLOAT32};
}

/* ---------------------------------------------------------------- numbers */

int mncpy_to_uint64(PyObject *object, void *result) {
    PyObject *const number = PyNumber_Index(object); /* ints and NumPy's integers, no floats */
    if (!number) return 0;
    const unsigned long long value = PyLong_AsUnsignedLongLong(number);
    Py_DECREF(number);
    if (value == (unsigned long long)-1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError))
            PyErr_Format(PyExc_ValueError, "expected an integer from 0 to 2**64 - 1, not %R", object);
        return 0;
    }
    *(uint64_t *)result = value;
    return 1;
}

int mncpy_to_size(PyObject *object, void *result) {
    uint64_t value;
    if (!mncpy_to_uint64(object, &value)) return 0;
    if (value > PY_SSIZE_T_MAX) {
        PyErr_Format(PyExc_ValueError, "%R is too large for a size", object);
        return 0;
    }
    *(size_t *)result = (size_t)value;
    return 1;
}
