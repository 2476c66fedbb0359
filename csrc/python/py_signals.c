/* py_signals.c - the GIL released around calls of the core, and signals looked at within them, so that Ctrl-C comes through
 * soon. Between those looks other Python threads run; where there are none, a look costs less than a microsecond. */
#include "binding.h"

#define LOOK_SECONDS 0.02

static bool look_at_signals(void *argument) {
    mncpy_call *const call = argument;
    struct timespec now;
    if (call->raised) return true;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((double)(now.tv_sec - call->last.tv_sec) + 1e-9 * (double)(now.tv_nsec - call->last.tv_nsec) < LOOK_SECONDS)
        return false;
    PyEval_RestoreThread(call->detached);
    call->raised = PyErr_CheckSignals() < 0;
    call->detached = PyEval_SaveThread();
    clock_gettime(CLOCK_MONOTONIC, &call->last);
    return call->raised;
}

void mncpy_call_begin(mncpy_call *call) {
    *call = (mncpy_call){.stop = {look_at_signals, call}};
    clock_gettime(CLOCK_MONOTONIC, &call->last);
    call->detached = PyEval_SaveThread();
}

void mncpy_call_end(mncpy_call *call) { PyEval_RestoreThread(call->detached); }
