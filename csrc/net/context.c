#include <string.h>

#include "cpu/cpu.h"
#include "net/net.h"

mnc_status mnc_context_create(mnc_context **out, const char *isa, size_t threads, mnc_error *err) {
    const mnc_kernels *kernels = mnc_kernels_find(isa, MNC_FLOAT32);
    if (!kernels)
        return mnc_fail(err, MNC_UNSUPPORTED,
                        "instruction set \"%.20s\" is unknown or this CPU lacks it; best here: %s", isa ? isa : "",
                        mnc_isa_name(0));
    void *block = NULL;
    mnc_status status = mnc_allocate(&block, sizeof(mnc_context), err);
    if (status != MNC_OK) return status;
    mnc_context *context = block;
    context->isa = kernels->isa;
    status = mnc_pool_create(&context->pool, threads, err);
    if (status != MNC_OK) {
        mnc_release(context);
        return status;
    }
    *out = context;
    return MNC_OK;
}

void mnc_context_destroy(mnc_context *context) {
    if (!context) return;
    mnc_pool_destroy(context->pool);
    mnc_release(context);
}

const char *mnc_context_isa(const mnc_context *context) { return context->isa; }
size_t mnc_context_threads(const mnc_context *context) { return mnc_pool_threads(context->pool); }
mnc_status mnc_context_set_threads(mnc_context *context, size_t threads, mnc_error *err) {
    return mnc_pool_set_threads(context->pool, threads, err);
}
void mnc_context_stop_workers(mnc_context *context) { mnc_pool_stop(context->pool); }

mnc_status mnc_watch_status(const mnc_watch *watch, mnc_error *err) {
    const bool stopped = atomic_load(&((mnc_watch *)(uintptr_t)watch)->now);
    return stopped ? mnc_fail(err, MNC_STOPPED, "the caller ended it") : MNC_OK;
}

typedef struct {
    mnc_task task;
    void *argument;
} normal_task;

static void run_normalised(void *argument, const mnc_team *team, size_t thread) {
    const normal_task *t = argument;
    const unsigned state = mnc_cpu_normalise();
    t->task(t->argument, team, thread);
    mnc_cpu_restore(state);
}

size_t mnc_context_run(mnc_context *context, size_t wanted, mnc_task task, void *argument) {
    normal_task t = {task, argument};
    return mnc_pool_run(context->pool, wanted, run_normalised, &t);
}
