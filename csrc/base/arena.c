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

mnc_status mnc_allocate_unset(void **out, size_t bytes, mnc_error *err) {
    const size_t alignment = bytes >= HUGE_BYTES ? HUGE_PAGE : MNC_ALIGN;
    size_t padded = 0;
    void *block = NULL;
    if (!mnc_size_add(bytes ? bytes : 1, alignment - 1, &padded)) return mnc_fail_memory(err, bytes);
    padded = padded / alignment * alignment;
    if (posix_memalign(&block, alignment, padded) != 0) return mnc_fail_memory(err, bytes);
#ifdef MADV_HUGEPAGE
    if (alignment == HUGE_PAGE) madvise(block, padded, MADV_HUGEPAGE);
#endif
    *out = block;
    return MNC_OK;
}

mnc_status mnc_allocate(void **out, size_t bytes, mnc_error *err) {
    const mnc_status status = mnc_allocate_unset(out, bytes, err);
    if (status == MNC_OK) memset(*out, 0, bytes);
    return status;
}

mnc_status mnc_allocate_array(void **out, size_t count, size_t size, mnc_error *err) {
    size_t bytes = 0;
    if (!mnc_size_mul(count, size, &bytes)) return mnc_fail_memory(err, SIZE_MAX);
    return mnc_allocate(out, bytes, err);
}

mnc_status mnc_allocate_layout(void **out, const mnc_layout *layout, mnc_error *err) {
    return layout->overflow ? mnc_fail_memory(err, SIZE_MAX) : mnc_allocate(out, layout->bytes, err);
}

void mnc_release(void *block) { free(block); }
