/* Reporting failures: a status for the caller's code, a sentence for the caller's user. */
#ifndef MNC_BASE_STATUS_H
#define MNC_BASE_STATUS_H

#include "mnc.h"

#if defined(__FAST_MATH__)
#error "mnist_c promises the same bits everywhere: compile it without -ffast-math, -Ofast"
#endif

#define MNC_PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define MNC_INLINE static inline __attribute__((always_inline))
#define MNC_OUTLINE static __attribute__((noinline, unused)) /* much code that is used in many places */

/* Writes status and message into *err, where there is one, and returns status. */
mnc_status mnc_fail(mnc_error *err, mnc_status status, const char *format, ...) MNC_PRINTF_LIKE(3, 4);

mnc_status mnc_fail_memory(mnc_error *err, size_t bytes);

#endif
