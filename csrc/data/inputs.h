/* A data set as the network sees it: codes or floats, the index of its non-zero inputs, labels, targets, weights. */
#ifndef MNC_DATA_INPUTS_H
#define MNC_DATA_INPUTS_H

#include "base/arena.h"
#include "kernels/kernels.h"

struct mnc_data {
    const mnc_kernels *kernels;
    size_t n, features;
    mnc_element element;
    const void *x;        /* borrowed */
    bool view;            /* nothing was looked at: passes find the non-zero inputs */
    const uint8_t *codes; /* [n, features] with values table[code], or NULL: x holds floats */
    uint8_t *own_codes;   /* made from floats with at most 256 distinct values */
    double table[256];    /* reals: the values of codes */
    bool has_zero;        /* `zero` is the first code whose value is zero */
    uint8_t zero;
    /* The index, if most inputs are zero: row r is stream[offsets[r]] ... */
    size_t blocks;
    size_t *offsets;
    mnc_sparse_row *stream;
    uint64_t nonzeros;
    mnc_columns turned; /* of the index, in the order of the rows; rows 0: not made */
    /* what is to be learned */
    size_t columns; /* classes, or columns of the targets; 0: none */
    int32_t *labels;
    mnc_real *targets;
    mnc_real *weights;
};

/* Distinct values of floats, as doubles that the dtype represents exactly. An open-addressing table; the code of a value
 * is its order of arrival. */
typedef struct mnc_palette {
    size_t count;
    double values[256];
    uint16_t slots[1024]; /* 0: free, else code + 1 */
} mnc_palette;

/* codes of rows row0 ... row1 - 1, adding values as they come; false if there are more than 256. */
bool mnc_palette_encode(mnc_palette *palette, const mnc_data *data, uint8_t *codes, size_t row0, size_t row1);
/* Adds the values of `from`, whose codes become map[code]; false if there are more than 256 in all. */
bool mnc_palette_merge(mnc_palette *into, const mnc_palette *from, uint8_t map[256]);

/* counts[row] = non-zero inputs of rows row0 ... row1 - 1. */
void mnc_index_count(const mnc_data *data, size_t *counts, size_t row0, size_t row1);
/* Writes the records of rows row0 ... row1 - 1 at their offsets. */
void mnc_index_fill(mnc_data *data, size_t row0, size_t row1);

static inline const mnc_sparse_row *mnc_index_row(const mnc_data *data, size_t row) {
    return data->stream + data->offsets[row];
}

/* Are most inputs of rows first ... first + n - 1 zero? A guess from few of them, for float32 networks, and codes of which
 * one means zero or floats. If so, mnc_data_find writes the record of a row (room for blocks + features words). */
bool mnc_data_mostly_zero(const mnc_data *data, size_t first, size_t n);
void mnc_data_find(const mnc_data *data, size_t row, mnc_sparse_row *record);

/* The columns of row `row`, which begins a group, and those after it. */
static inline mnc_columns mnc_columns_from(const mnc_columns *c, size_t row) {
    const size_t group = row / c->rows * c->features;
    return (mnc_columns){c->entries, c->begin + group, c->end + group, c->features, c->rows};
}

/* Turns records of rows 0 ... rows - 1 into columns, for features k0 ... k1 - 1, where k0 begins a block. Their entries
 * begin at entries[k0 * rows], so that threads can turn parts of their own. */
void mnc_index_turn(const mnc_data *data, const mnc_sparse_row *const *records, size_t rows, size_t k0, size_t k1,
                    mnc_columns *columns);
/* Turns rows row0 ... row1 - 1 of the index, which begin a group and end one, into data->turned. */
void mnc_index_turn_rows(mnc_data *data, size_t row0, size_t row1);

/* x[0 ... features) of one row as reals, zeros up to ld. */
void mnc_data_row(const mnc_data *data, size_t row, mnc_real *out, size_t ld);

/* A record without the inputs that dropout removes; the others' codes stay (the caller scales the table). Inputs j of
 * batch row `row` are kept as ARCHITECTURE.md's table says, with layer 0. Room for blocks + features words in out. */
void mnc_index_drop(const mnc_data *data, const mnc_sparse_row *record, const mnc_dropout *dropout, size_t row,
                    mnc_sparse_row *out);

#endif
