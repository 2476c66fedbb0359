/* Memory: sizes that cannot wrap, and zeroed 64-byte-aligned blocks. The only place of the core that allocates.
 *
 * An arena is planned before it exists: mnc_reserve hands out offsets and adds up the bytes, with one flag for
 * "some product did not fit"; then one allocation serves all. */
#ifndef MNC_BASE_ARENA_H
#define MNC_BASE_ARENA_H

#include "base/status.h"

#define MNC_ALIGN ((size_t)64)

/* *out = a * b, or a + b; false, *out untouched, if that wraps. */
static inline bool mnc_size_mul(size_t a, size_t b, size_t *out) {
    if (b && a > SIZE_MAX / b) return false;
    *out = a * b;
    return true;
}
static inline bool mnc_size_add(size_t a, size_t b, size_t *out) {
    if (a > SIZE_MAX - b) return false;
    *out = a + b;
    return true;
}

/* n rounded up to a multiple of 16 lanes; n must be below SIZE_MAX - 15. */
static inline size_t mnc_round16(size_t n) { return (n + 15) / 16 * 16; }

typedef struct mnc_layout {
    size_t bytes;
    bool overflow;
} mnc_layout;

/* Offset in bytes of count elements of the given size, on a 64-byte boundary. */
size_t mnc_reserve(mnc_layout *layout, size_t count, size_t size);

/* A zeroed block on a 64-byte boundary; bytes may be 0. */
mnc_status mnc_allocate(void **out, size_t bytes, mnc_error *err);
/* The same with anything in it, for large blocks that several threads then fill. */
mnc_status mnc_allocate_unset(void **out, size_t bytes, mnc_error *err);
mnc_status mnc_allocate_array(void **out, size_t count, size_t size, mnc_error *err);
mnc_status mnc_allocate_layout(void **out, const mnc_layout *layout, mnc_error *err);
void mnc_release(void *block);

#endif
