/* A pool of worker threads that run one function together (single program, many threads) and meet at barriers.
 *
 * Not OpenMP: two OpenMP runtimes in one process (NumPy, PyTorch and scikit-learn bring some) can deadlock or abort, and
 * libgomp hangs in a forked child. Waiting spins briefly, then sleeps, since the machine may be shared. */
#ifndef MNC_THREADS_POOL_H
#define MNC_THREADS_POOL_H

#include "base/status.h"

enum { MNC_MAX_THREADS = 64 };

typedef struct mnc_pool mnc_pool;

/* The threads at work on one job. */
typedef struct mnc_team {
    mnc_pool *pool;
    size_t size;
} mnc_team;

typedef void (*mnc_task)(void *argument, const mnc_team *team, size_t thread);

mnc_status mnc_pool_create(mnc_pool **out, size_t threads, mnc_error *err);
void mnc_pool_destroy(mnc_pool *pool);
size_t mnc_pool_threads(const mnc_pool *pool);
/* Takes effect with the next job; surplus workers end. */
mnc_status mnc_pool_set_threads(mnc_pool *pool, size_t threads, mnc_error *err);
/* Ends all workers (after the job at work, if any). */
void mnc_pool_stop(mnc_pool *pool);

/* Runs task(argument, team, thread) on every thread 0 ... team->size - 1 and returns the size: at most `wanted` and the
 * pool's threads; 1, on the caller alone, if the pool is at work for another thread or no worker could be started.
 * The caller is thread 0. */
size_t mnc_pool_run(mnc_pool *pool, size_t wanted, mnc_task task, void *argument);

/* Returns when all threads of the team have called it; what each wrote before, all see after. */
void mnc_team_barrier(const mnc_team *team);

/* Part `part` of `parts` of the range 0 ... n in units of `unit`: *begin, *end. Parts are contiguous and ascending, their
 * sizes differ by at most one unit. */
static inline void mnc_split(size_t n, size_t unit, size_t parts, size_t part, size_t *begin, size_t *end) {
    const size_t units = (n + unit - 1) / unit, share = units / parts, rest = units % parts;
    const size_t first = part * share + (part < rest ? part : rest), last = first + share + (part < rest);
    *begin = first * unit < n ? first * unit : n;
    *end = last * unit < n ? last * unit : n;
}

#endif
