#include "data/inputs.h"

#include <string.h>

#include "base/rng.h"

/* ---------------------------------------------------------------- floats with few distinct values */
static size_t palette_slot(const mnc_palette *palette, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    size_t slot = (size_t)((bits * 0x9E3779B97F4A7C15u) >> 54);
    while (palette->slots[slot] && memcmp(&palette->values[palette->slots[slot] - 1], &value, sizeof value) != 0)
        slot = (slot + 1) % 1024;
    return slot;
}

/* The code of a value, which is added if it is new and there is room; 256 if not. */
static size_t palette_code(mnc_palette *palette, double value) {
    const size_t slot = palette_slot(palette, value);
    if (!palette->slots[slot]) {
        if (palette->count == 256) return 256;
        palette->values[palette->count++] = value;
        palette->slots[slot] = (uint16_t)palette->count;
    }
    return palette->slots[slot] - 1u;
}

/* The flags are constants where this is called, so that each combination has a loop of its own. */
MNC_INLINE bool encode(mnc_palette *palette, const mnc_data *data, uint8_t *codes, size_t begin, size_t end,
                       const bool from_double, const bool to_float) {
    double last = 0;
    uint8_t last_code = (uint8_t)palette_code(palette, last); /* most values are zero, as is the one before */
    for (size_t i = begin; i < end; i++) {
        double value = from_double ? ((const double *)data->x)[i] : (double)((const float *)data->x)[i];
        if (to_float) value = (double)(float)value;
        if (memcmp(&value, &last, sizeof value) != 0) {
            const size_t code = palette_code(palette, value);
            if (code > 255) return false;
            last = value;
            last_code = (uint8_t)code;
        }
        codes[i] = last_code;
    }
    return true;
}

bool mnc_palette_encode(mnc_palette *palette, const mnc_data *data, uint8_t *codes, size_t row0, size_t row1) {
    const size_t begin = row0 * data->features, end = row1 * data->features;
    const bool to_float = data->kernels->dtype == MNC_FLOAT32;
    if (data->element == MNC_REAL32) return encode(palette, data, codes, begin, end, false, false);
    return to_float ? encode(palette, data, codes, begin, end, true, true)
                    : encode(palette, data, codes, begin, end, true, false);
}

bool mnc_palette_merge(mnc_palette *into, const mnc_palette *from, uint8_t map[256]) {
    for (size_t i = 0; i < from->count; i++) {
        const size_t code = palette_code(into, from->values[i]);
        if (code > 255) return false;
        map[i] = (uint8_t)code;
    }
    return true;
}

/* ---------------------------------------------------------------- non-zero inputs */
/* Counts in bytes, 32 side by side, as compilers make vectors of; after 255 turns they are full. */
static size_t count_others(const uint8_t *codes, size_t n, uint8_t zero) {
    enum { LANES = 32 };
    size_t sum = 0, j = 0;
    while (n - j >= LANES) {
        uint8_t counts[LANES] = {0};
        for (size_t turn = 0; turn < 255 && n - j >= LANES; turn++, j += LANES)
            for (size_t i = 0; i < LANES; i++) counts[i] = (uint8_t)(counts[i] + (codes[j + i] != zero));
        for (size_t i = 0; i < LANES; i++) sum += counts[i];
    }
    for (; j < n; j++) sum += codes[j] != zero;
    return sum;
}

void mnc_index_count(const mnc_data *data, size_t *counts, size_t row0, size_t row1) {
    for (size_t row = row0; row < row1; row++)
        counts[row] = count_others(data->codes + row * data->features, data->features, data->zero);
}

void mnc_index_fill(mnc_data *data, size_t row0, size_t row1) {
    for (size_t row = row0; row < row1; row++) {
        /* The caller's array may change under us: never more than was counted. */
        const size_t room = data->offsets[row + 1] - data->offsets[row] - data->blocks;
        data->kernels->find_codes(data->stream + data->offsets[row], data->codes + row * data->features, data->features,
                                  data->zero, room);
    }
}

/* Features k0 ... k1 - 1 of one group of rows; columns begin with that group, entries at `place`, the end of which is
 * returned. counted: lists lie one behind the other, else each has room for all rows. */
static uint32_t turn_group(const mnc_data *data, const mnc_sparse_row *const *records, size_t rows, size_t k0,
                           size_t k1, const mnc_columns *columns, uint32_t place, bool counted) {
    const size_t before = k0 / MNC_FEATURE_BLOCK, last = mnc_feature_blocks(k1) - 1;
    uint32_t *const begin = columns->begin, *const end = columns->end;
    memset(end + k0, 0, (k1 - k0) * sizeof *end);
    for (size_t row = 0; counted && row < rows; row++) {
        const mnc_sparse_row *entries = records[row] + data->blocks, *stop = entries + records[row][last];
        for (const mnc_sparse_row *e = entries + (before ? records[row][before - 1] : 0); e < stop; e++) end[*e >> 8]++;
    }
    for (size_t k = k0; k < k1; k++) {
        begin[k] = place;
        place += counted ? end[k] : (uint32_t)rows;
        end[k] = begin[k];
    }
    for (size_t row = 0; row < rows; row++) {
        const mnc_sparse_row *entries = records[row] + data->blocks, *stop = entries + records[row][last];
        for (const mnc_sparse_row *e = entries + (before ? records[row][before - 1] : 0); e < stop; e++)
            columns->entries[end[*e >> 8]++] = (uint16_t)(row << 8 | (*e & 255));
    }
    return place;
}

/* One group has room for whole lists; those of several are counted first. */
void mnc_index_turn(const mnc_data *data, const mnc_sparse_row *const *records, size_t rows, size_t k0, size_t k1,
                    mnc_columns *columns) {
    uint32_t place = (uint32_t)(k0 * rows);
    for (size_t row = 0; k0 < k1 && row < rows; row += columns->rows) {
        const mnc_columns group = mnc_columns_from(columns, row);
        const size_t left = rows - row;
        place = turn_group(data, records + row, left < columns->rows ? left : columns->rows, k0, k1, &group, place,
                           rows > columns->rows);
    }
}

void mnc_index_turn_rows(mnc_data *data, size_t row0, size_t row1) {
    const size_t most = data->turned.rows;
    for (size_t first = row0; first < row1; first += most) {
        const size_t left = row1 - first, rows = left < most ? left : most;
        const uint32_t place = (uint32_t)(data->offsets[first] - first * data->blocks);
        const mnc_columns group = mnc_columns_from(&data->turned, first);
        const mnc_sparse_row *records[256];
        for (size_t row = 0; row < rows; row++) records[row] = mnc_index_row(data, first + row);
        turn_group(data, records, rows, 0, data->features, &group, place, true);
    }
}

bool mnc_data_mostly_zero(const mnc_data *data, size_t first, size_t n) {
    const size_t rows = n < 8 ? n : 8;
    size_t zeros = 0;
    if (data->kernels->dtype != MNC_FLOAT32 || (data->codes ? !data->has_zero : data->element != MNC_REAL32))
        return false;
    for (size_t i = 0; i < rows; i++) {
        const size_t begin = (first + i * (n / rows)) * data->features;
        for (size_t j = begin; j < begin + data->features; j++)
            zeros += data->codes ? data->codes[j] == data->zero : ((const float *)data->x)[j] == 0;
    }
    return 2 * zeros > rows * data->features;
}

void mnc_data_find(const mnc_data *data, size_t row, mnc_sparse_row *record) {
    const size_t n = data->features;
    if (data->codes)
        data->kernels->find_codes(record, data->codes + row * n, n, data->zero, n);
    else
        data->kernels->find_floats(record, (const float *)data->x + row * n, n);
}

void mnc_data_row(const mnc_data *data, size_t row, mnc_real *out, size_t ld) {
    const mnc_kernels *k = data->kernels;
    const size_t begin = row * data->features;
    if (data->codes)
        k->decode(out, data->codes + begin, data->table, data->features);
    else
        k->convert(out, data->element,
                   (const char *)data->x + begin * (data->element == MNC_REAL32 ? sizeof(float) : sizeof(double)),
                   data->features);
    memset((char *)out + data->features * k->real_size, 0, (ld - data->features) * k->real_size);
}

void mnc_index_drop(const mnc_data *data, const mnc_sparse_row *record, const mnc_dropout *dropout, size_t row,
                    mnc_sparse_row *out) {
    const mnc_sparse_row *entries = record + data->blocks;
    const uint32_t stream = MNC_STREAM_DROPOUT + (dropout->layer << 8) + ((uint32_t)(dropout->step >> 32) << 24);
    uint32_t count = 0, i = 0;
    for (size_t block = 0; block < data->blocks; block++) {
        for (; i < record[block]; i++) {
            const uint32_t unit = entries[i] >> 8;
            const uint32_t counter[4] = {16 * (unit / 64) + unit % 16, (uint32_t)(dropout->first_row + row),
                                         (uint32_t)dropout->step, stream};
            uint32_t word[4];
            mnc_philox(dropout->seed, counter, word);
            if (word[unit % 64 / 16] >= dropout->threshold) out[data->blocks + count++] = entries[i];
        }
        out[block] = count;
    }
}
