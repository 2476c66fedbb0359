#define _GNU_SOURCE
#include "threads/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"

/* How often to look before sleeping: some 20 to 50 microseconds, several times what a barrier takes when every thread
 * has a CPU of its own, and little beside the cost of sleeping when one has not. */
#define SPINS 1500

struct mnc_pool {
    pthread_mutex_t mutex; /* for sleeping only; all state below is atomic or owned by the thread that runs a job */
    pthread_cond_t changed;
    atomic_uint sleepers;
    atomic_flag busy; /* held while a job runs, and while workers start or end */

    /* A job is announced by a new value of `job`: its number in the high bits, the team's size in the low 8. Workers
     * beyond the size read nothing else, so that a job can end without them. */
    atomic_uint job;
    mnc_task task;
    void *argument;
    atomic_uint pending; /* workers of the team that have not finished; the last one changes `finished` */
    atomic_uint finished;

    atomic_uint arrived, phase; /* the barrier */

    atomic_size_t threads;
    size_t started, cpus;
    pid_t pid; /* of the process that the workers live in */
    pthread_t worker[MNC_MAX_THREADS];
};

/* What a new worker must know before it may look at `job`. */
typedef struct worker_start {
    mnc_pool *pool;
    size_t thread;
    unsigned seen;
} worker_start;

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---------------------------------------------------------------- waiting */
/* A sleeper counts itself, then looks once more under the mutex; whoever changes a word stores it, then looks for
 * sleepers. All four are sequentially consistent, so one of the two sees the other. */
static unsigned wait_for_change(mnc_pool *pool, atomic_uint *word, unsigned old, size_t team) {
    const int spins = team > pool->cpus ? 20 : SPINS;
    for (int i = 0; i < spins; i++) {
        const unsigned now = atomic_load_explicit(word, memory_order_acquire);
        if (now != old) return now;
        relax();
    }
    unsigned now;
    atomic_fetch_add(&pool->sleepers, 1);
    pthread_mutex_lock(&pool->mutex);
    while ((now = atomic_load(word)) == old) pthread_cond_wait(&pool->changed, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    return now;
}

static void change(mnc_pool *pool, atomic_uint *word, unsigned value) {
    atomic_store(word, value);
    if (atomic_load(&pool->sleepers) == 0) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
}

void mnc_team_barrier(const mnc_team *team) {
    mnc_pool *const pool = team->pool;
    if (team->size == 1) return;
    const unsigned phase = atomic_load_explicit(&pool->phase, memory_order_acquire);
    if (atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel) + 1 == team->size) {
        atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
        change(pool, &pool->phase, phase + 1);
    } else {
        wait_for_change(pool, &pool->phase, phase, team->size);
    }
}

/* ---------------------------------------------------------------- workers */
enum { END_WORKERS = 255 }; /* a team size that no job has */

static void *work(void *argument) {
    const worker_start start = *(worker_start *)argument;
    mnc_pool *const pool = start.pool;
    mnc_release(argument);
    for (unsigned seen = start.seen;;) {
        seen = wait_for_change(pool, &pool->job, seen, pool->cpus);
        const size_t size = seen & 255;
        if (size == END_WORKERS) return NULL;
        if (start.thread >= size) continue;
        const mnc_team team = {pool, size};
        pool->task(pool->argument, &team, start.thread);
        if (atomic_fetch_sub_explicit(&pool->pending, 1, memory_order_acq_rel) == 1)
            change(pool, &pool->finished, atomic_load_explicit(&pool->finished, memory_order_relaxed) + 1);
    }
}

/* Signals are for the program's own threads; a worker that took SIGINT would keep it from Python. */
static bool start_worker(mnc_pool *pool) {
    worker_start *start = NULL;
    sigset_t all, before;
    void *block = NULL;
    if (mnc_allocate(&block, sizeof *start, NULL) != MNC_OK) return false;
    start = block;
    *start = (worker_start){pool, pool->started + 1, atomic_load(&pool->job)};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&pool->worker[pool->started], NULL, work, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        mnc_release(block);
        return false;
    }
    pool->started++;
    return true;
}

static unsigned next_job(mnc_pool *pool, size_t size) {
    return ((atomic_load(&pool->job) >> 8) + 1) << 8 | (unsigned)size;
}

static void end_workers(mnc_pool *pool) {
    if (pool->pid == getpid() && pool->started) {
        change(pool, &pool->job, next_job(pool, END_WORKERS));
        for (size_t i = 0; i < pool->started; i++) pthread_join(pool->worker[i], NULL);
    }
    pool->started = 0;
}

static void lock(mnc_pool *pool) {
    while (atomic_flag_test_and_set_explicit(&pool->busy, memory_order_acquire)) sched_yield();
}

static void unlock(mnc_pool *pool) { atomic_flag_clear_explicit(&pool->busy, memory_order_release); }

/* In a forked child there are no workers, and a mutex may have been copied while locked: start afresh. */
static void adopt(mnc_pool *pool) {
    const pid_t pid = getpid();
    if (pool->pid == pid) return;
    atomic_flag_clear(&pool->busy);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->changed, NULL);
    atomic_store(&pool->sleepers, 0);
    atomic_store(&pool->arrived, 0);
    pool->started = 0;
    pool->pid = pid;
}

/* ---------------------------------------------------------------- the pool */
static size_t count_cpus(void) {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return (size_t)CPU_COUNT(&set);
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}

static mnc_status check_threads(size_t threads, mnc_error *err) {
    if (threads >= 1 && threads <= MNC_MAX_THREADS) return MNC_OK;
    return mnc_fail(err, MNC_INVALID, "threads must be between 1 and %d, not %zu", MNC_MAX_THREADS, threads);
}

mnc_status mnc_pool_create(mnc_pool **out, size_t threads, mnc_error *err) {
    void *block = NULL;
    mnc_status status = check_threads(threads, err);
    if (status == MNC_OK) status = mnc_allocate(&block, sizeof(mnc_pool), err);
    if (status != MNC_OK) return status;
    mnc_pool *const pool = block;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->changed, NULL);
    atomic_flag_clear(&pool->busy);
    pool->threads = threads;
    pool->cpus = count_cpus();
    pool->pid = getpid();
    *out = pool;
    return MNC_OK;
}

void mnc_pool_destroy(mnc_pool *pool) {
    if (!pool) return;
    end_workers(pool);
    if (pool->pid == getpid()) {
        pthread_cond_destroy(&pool->changed);
        pthread_mutex_destroy(&pool->mutex);
    }
    mnc_release(pool);
}

size_t mnc_pool_threads(const mnc_pool *pool) { return atomic_load(&((mnc_pool *)(uintptr_t)pool)->threads); }

mnc_status mnc_pool_set_threads(mnc_pool *pool, size_t threads, mnc_error *err) {
    const mnc_status status = check_threads(threads, err);
    if (status != MNC_OK) return status;
    adopt(pool);
    lock(pool);
    if (threads <= pool->started) end_workers(pool);
    pool->threads = threads;
    unlock(pool);
    return MNC_OK;
}

void mnc_pool_stop(mnc_pool *pool) {
    adopt(pool);
    lock(pool);
    end_workers(pool);
    unlock(pool);
}

static size_t run_alone(mnc_pool *pool, mnc_task task, void *argument) {
    const mnc_team team = {pool, 1};
    task(argument, &team, 0);
    return 1;
}

size_t mnc_pool_run(mnc_pool *pool, size_t wanted, mnc_task task, void *argument) {
    if (wanted <= 1) return run_alone(pool, task, argument);
    adopt(pool);
    if (atomic_flag_test_and_set_explicit(&pool->busy, memory_order_acquire)) return run_alone(pool, task, argument);
    const size_t threads = mnc_pool_threads(pool), size_wanted = wanted < threads ? wanted : threads;
    while (pool->started + 1 < size_wanted && start_worker(pool)) {
    }
    const size_t size = size_wanted <= pool->started ? size_wanted : pool->started + 1;
    if (size > 1) {
        const mnc_team team = {pool, size};
        const unsigned finished = atomic_load(&pool->finished);
        pool->task = task;
        pool->argument = argument;
        atomic_store(&pool->pending, (unsigned)size - 1);
        change(pool, &pool->job, next_job(pool, size));
        task(argument, &team, 0);
        wait_for_change(pool, &pool->finished, finished, size);
    } else {
        run_alone(pool, task, argument);
    }
    unlock(pool);
    return size;
}
