#define _GNU_SOURCE
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Blocks of this size and more ask for huge pages: the index of a data set is read in shuffled order, which on
 * 4 KiB pages costs a page walk per image. */
#define HUGE_BYTES ((size_t)4 << 20)
#define HUGE_PAGE ((size_t)2 << 20)

size_t mnc_reserve(mnc_layout *layout, size_t count, size_t size) {
    size_t bytes = 0, end = 0;
    const size_t offset = layout->bytes;
    if (!mnc_size_mul(count, size, &bytes) || !mnc_size_add(bytes, MNC_ALIGN - 1, &bytes) ||
        !mnc_size_add(offset, bytes / MNC_ALIGN * MNC_ALIGN, &end)) {
        layout->overflow = true;
        return 0;
    }
    layout->bytes = end;
    return offset;
}

/* What malloc or calloc gave begins somewhere before the block; right before it lies the address. Where memory is fresh,
 * calloc knows that it is zero: pages come when they are used, perhaps by several threads, in calls that can be ended. */
static mnc_status allocate(void **out, size_t bytes, bool zeroed, mnc_error *err) {
    const size_t alignment = bytes >= HUGE_BYTES ? HUGE_PAGE : MNC_ALIGN;
    size_t padded = 0;
    if (!mnc_size_add(bytes, 2 * alignment - 1, &padded)) return mnc_fail_memory(err, bytes);
    padded = padded / alignment * alignment; /* the block, to a multiple, and room before it */
    char *const whole = zeroed ? calloc(1, padded) : malloc(padded);
    if (!whole) return mnc_fail_memory(err, bytes);
    char *const block = whole + (alignment - (uintptr_t)whole % alignment);
    memcpy(block - sizeof whole, &whole, sizeof whole); /* there is room: malloc aligns to 16 bytes */
#ifdef MADV_HUGEPAGE
    if (alignment == HUGE_PAGE) madvise(block, padded - alignment, MADV_HUGEPAGE);
#endif
    *out = block;
    return MNC_OK;
}

mnc_status mnc_allocate_unset(void **out, size_t bytes, mnc_error *err) { return allocate(out, bytes, false, err); }
mnc_status mnc_allocate(void **out, size_t bytes, mnc_error *err) { return allocate(out, bytes, true, err); }

mnc_status mnc_allocate_array(void **out, size_t count, size_t size, mnc_error *err) {
    size_t bytes = 0;
    if (!mnc_size_mul(count, size, &bytes)) return mnc_fail_memory(err, SIZE_MAX);
    return mnc_allocate(out, bytes, err);
}

mnc_status mnc_allocate_layout(void **out, const mnc_layout *layout, mnc_error *err) {
    return layout->overflow ? mnc_fail_memory(err, SIZE_MAX) : mnc_allocate(out, layout->bytes, err);
}

void mnc_release(void *block) {
    void *whole = NULL;
    if (block) memcpy(&whole, (char *)block - sizeof whole, sizeof whole);
    free(whole);
}
