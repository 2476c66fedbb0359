/* py_layers.c - a layer's dict becomes an mnc_layer. Keys are the fields of mnc_layer; one that is missing keeps its
 * default, one that is unknown is an error. */
#include "binding.h"

#include <stdio.h>

static const char *const kind_names[] = {[MNC_DENSE] = "dense", [MNC_NORM] = "norm", [MNC_MAP] = "map", NULL};

static const char *const activation_names[] = {MNC_ACTIVATIONS(MNC_LIST_NAME) NULL};

static const char *const init_names[] = {
    [MNC_INIT_CONSTANT] = "constant",
    [MNC_INIT_UNIFORM] = "uniform",
    [MNC_INIT_NORMAL] = "normal",
    [MNC_INIT_TRUNCATED_NORMAL] = "truncated_normal",
    [MNC_INIT_SCALED_UNIFORM] = "scaled_uniform",
    [MNC_INIT_SCALED_NORMAL] = "scaled_normal",
    NULL,
};

static const char *const fan_names[] = {[MNC_FAN_IN] = "in", [MNC_FAN_OUT] = "out", [MNC_FAN_AVG] = "avg", NULL};

/* A converter: the tuple (kind, fan, a, b) -> mnc_init. */
static int to_init(PyObject *object, void *result) {
    mnc_init *const init = result;
    mncpy_choice kind = {"the kind of an initialiser", init_names, 0};
    mncpy_choice fan = {"the fan of an initialiser", fan_names, 0};
    if (!PyTuple_Check(object)) {
        PyErr_Format(PyExc_TypeError, "an initialiser must be a tuple (kind, fan, a, b), not %.200s",
                     Py_TYPE(object)->tp_name);
        return 0;
    }
    if (!PyArg_ParseTuple(object, "O&O&dd;an initialiser must be (kind, fan, a, b)", mncpy_to_choice, &kind,
                          mncpy_to_choice, &fan, &init->a, &init->b))
        return 0;
    init->kind = (mnc_init_kind)kind.value;
    init->fan = (mnc_fan)fan.value;
    return 1;
}

/* The kind is read before the rest, since the defaults depend on it. */
static int layer_with_defaults(PyObject *fields, size_t i, mnc_layer *layer) {
    PyObject *const key = PyUnicode_FromString("kind");
    PyObject *const name = key ? PyDict_GetItemWithError(fields, key) : NULL;
    mncpy_choice kind = {"the kind of a layer", kind_names, 0};
    Py_XDECREF(key);
    if (!name) {
        if (!PyErr_Occurred()) PyErr_Format(PyExc_TypeError, "layers[%zu] has no \"kind\"", i);
        return -1;
    }
    if (!mncpy_to_choice(name, &kind)) return -1;
    mnc_layer_defaults(layer, (mnc_layer_kind)kind.value);
    return 0;
}

static int parse_fields(PyObject *fields, const char *format, mnc_layer *layer) {
    char *names[] = {
        "kind",    "units",      "use_bias", "kernel_init",   "bias_init",     "l1",         "l2",      "bias_l1",
        "bias_l2", "min_norm",   "max_norm", "bias_min_norm", "bias_max_norm", "momentum",   "epsilon", "center",
        "scale",   "activation", "slope",    "dropout",       "noise",         "noise_seed", NULL};
    PyObject *kind; /* is known already */
    mncpy_choice activation = {"activation", activation_names, (int)layer->activation};
    int use_bias = layer->use_bias, center = layer->center, scale = layer->scale;
    PyObject *const nothing = PyTuple_New(0);
    if (!nothing) return -1;
    const int ok = PyArg_ParseTupleAndKeywords(
        nothing, fields, format, names, &kind, mncpy_to_size, &layer->units, &use_bias, to_init, &layer->kernel_init,
        to_init, &layer->bias_init, &layer->l1, &layer->l2, &layer->bias_l1, &layer->bias_l2, &layer->min_norm,
        &layer->max_norm, &layer->bias_min_norm, &layer->bias_max_norm, &layer->momentum, &layer->epsilon, &center,
        &scale, mncpy_to_choice, &activation, &layer->slope, &layer->dropout, &layer->noise, mncpy_to_uint64,
        &layer->noise_seed);
    Py_DECREF(nothing);
    layer->use_bias = use_bias != 0;
    layer->center = center != 0;
    layer->scale = scale != 0;
    layer->activation = (mnc_activation)activation.value;
    return ok ? 0 : -1;
}

static int to_layer(PyObject *object, size_t i, mnc_layer *layer) {
    char format[80]; /* Python's message about an unknown key then names the layer */
    snprintf(format, sizeof format, "|$OO&pO&O&ddddddddddppO&dddO&:layers[%zu]", i);
    if (!PyDict_Check(object)) {
        PyErr_Format(PyExc_TypeError, "layers[%zu] must be a dict, not %.200s", i, Py_TYPE(object)->tp_name);
        return -1;
    }
    /* A copy, because converting one value may run Python code that takes another out of the caller's dict. */
    PyObject *const fields = PyDict_Copy(object);
    if (!fields) return -1;
    const int status = layer_with_defaults(fields, i, layer) < 0 ? -1 : parse_fields(fields, format, layer);
    Py_DECREF(fields);
    return status;
}

mnc_layer *mncpy_to_layers(PyObject *sequence, size_t inputs, size_t *n, size_t *outputs) {
    PyObject *const items = PySequence_Tuple(sequence);
    if (!items) return NULL;
    *n = (size_t)PyTuple_GET_SIZE(items);
    *outputs = inputs;
    mnc_layer *layers = PyMem_Calloc(*n, sizeof *layers);
    if (!layers) PyErr_NoMemory();
    for (size_t i = 0; layers && i < *n; i++) {
        if (to_layer(PyTuple_GET_ITEM(items, (Py_ssize_t)i), i, &layers[i]) < 0) {
            PyMem_Free(layers);
            layers = NULL;
        } else if (layers[i].kind == MNC_DENSE) {
            *outputs = layers[i].units;
        }
    }
    Py_DECREF(items);
    return layers;
}
