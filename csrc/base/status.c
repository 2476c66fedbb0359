#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

mnc_status mnc_fail(mnc_error *err, mnc_status status, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        err->status = status;
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return status;
}

mnc_status mnc_fail_memory(mnc_error *err, size_t bytes) {
    return mnc_fail(err, MNC_NO_MEMORY, "not enough memory: could not allocate %zu bytes", bytes);
}
