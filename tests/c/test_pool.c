/* The pool of threads: every thread of a team runs once per job, barriers separate what they should, and the pool stays
 * usable when it is busy, resized, stopped or forked. What the tests share between threads is deliberately not atomic:
 * under the thread sanitizer, a barrier or a hand-over that does not order memory is a reported race. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "minitest.h"
#include "threads/pool.h"

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif
#ifndef THREAD_SANITIZER
#define THREAD_SANITIZER 0
#endif

enum { MOST = 8 };

static mnc_pool *new_pool(size_t threads) {
    mnc_pool *pool = NULL;
    mnc_error err = {0};
    if (mnc_pool_create(&pool, threads, &err) == MNC_OK) return pool;
    printf("no pool: %s\n", err.message);
    exit(2);
}

/* ---------------------------------------------------------------- jobs and barriers */

typedef struct {
    unsigned long runs[MNC_MAX_THREADS], sizes[MNC_MAX_THREADS];
} census;

static void count(void *argument, const mnc_team *team, size_t thread) {
    census *c = argument;
    c->runs[thread]++;
    c->sizes[thread] = team->size;
}

/* True if a job ran once on each of `size` threads and on no other. */
static bool ran_on(mnc_pool *pool, size_t wanted, size_t size) {
    census c = {{0}, {0}};
    bool good = mnc_pool_run(pool, wanted, count, &c) == size;
    for (size_t t = 0; t < MNC_MAX_THREADS; t++) good &= c.runs[t] == (t < size) && (t >= size || c.sizes[t] == size);
    return good;
}

static void check_once_per_job(void) {
    for (size_t threads = 1; threads <= MOST; threads++) {
        mnc_pool *pool = new_pool(threads);
        CHECK(mnc_pool_threads(pool) == threads, "%zu threads", mnc_pool_threads(pool));
        size_t wrong = 0;
        for (size_t i = 0; i < 500; i++) {
            const size_t wanted = i % (threads + 3);
            const size_t size = wanted < 1 ? 1 : wanted < threads ? wanted : threads;
            wrong += !ran_on(pool, wanted, size);
        }
        CHECK(wrong == 0, "%zu of 500 jobs did not run once on each of %zu threads", wrong, threads);
        mnc_pool_destroy(pool);
    }
    mnc_pool_destroy(NULL);
}

typedef struct {
    unsigned long turn[MOST], wrong[MOST], iterations;
} relay;

/* Each writes its own place, then reads all others': the barrier between must order both. */
static void pass_turns(void *argument, const mnc_team *team, size_t thread) {
    relay *r = argument;
    for (unsigned long i = 1; i <= r->iterations; i++) {
        r->turn[thread] = i;
        mnc_team_barrier(team);
        for (size_t t = 0; t < team->size; t++) r->wrong[thread] += r->turn[t] != i;
        mnc_team_barrier(team);
    }
}

/* The same with work of uneven length between, so that some threads sleep. */
static void pass_turns_slowly(void *argument, const mnc_team *team, size_t thread) {
    relay *r = argument;
    for (unsigned long i = 1; i <= r->iterations; i++) {
        if (i % team->size == thread) {
            const struct timespec nap = {0, 200000};
            nanosleep(&nap, NULL);
        }
        r->turn[thread] = i;
        mnc_team_barrier(team);
        for (size_t t = 0; t < team->size; t++) r->wrong[thread] += r->turn[t] != i;
        mnc_team_barrier(team);
    }
}

static void check_barrier(void) {
    for (size_t threads = 1; threads <= MOST; threads++) {
        mnc_pool *pool = new_pool(threads);
        relay fast = {.iterations = threads <= 2 ? 10000 : 500}, slow = {.iterations = 40};
        mnc_pool_run(pool, threads, pass_turns, &fast);
        mnc_pool_run(pool, threads, pass_turns_slowly, &slow);
        unsigned long wrong = 0;
        for (size_t t = 0; t < threads; t++) wrong += fast.wrong[t] + slow.wrong[t];
        CHECK(wrong == 0, "with %zu threads, %lu reads met another turn's value", threads, wrong);
        mnc_pool_destroy(pool);
    }
}

/* ---------------------------------------------------------------- a busy pool */

typedef struct {
    mnc_pool *pool;
    atomic_bool started, go_on;
    size_t inner[MOST], size;
} visit;

static void run_inside(void *argument, const mnc_team *team, size_t thread) {
    visit *v = argument;
    (void)team;
    census c = {{0}, {0}};
    v->inner[thread] = mnc_pool_run(v->pool, 4, count, &c);
}

static void occupy(void *argument, const mnc_team *team, size_t thread) {
    visit *v = argument;
    (void)team;
    if (thread == 0) atomic_store(&v->started, true);
    while (!atomic_load(&v->go_on)) sched_yield();
}

static void *occupy_pool(void *argument) {
    visit *v = argument;
    v->size = mnc_pool_run(v->pool, 3, occupy, v);
    return NULL;
}

/* A thread of its own keeps the pool at work until release_pool. */
static pthread_t occupied(visit *v) {
    pthread_t other;
    if (pthread_create(&other, NULL, occupy_pool, v) != 0) exit(2);
    while (!atomic_load(&v->started)) sched_yield();
    return other;
}

static void release_pool(visit *v, pthread_t other) {
    atomic_store(&v->go_on, true);
    pthread_join(other, NULL);
}

static void check_busy(void) {
    mnc_pool *pool = new_pool(4);
    visit nested = {.pool = pool};
    const size_t size = mnc_pool_run(pool, 4, run_inside, &nested);
    CHECK(size == 4, "the outer job had %zu threads", size);
    for (size_t t = 0; t < size; t++)
        CHECK(nested.inner[t] == 1, "a job inside a job had %zu threads", nested.inner[t]);

    visit other = {.pool = pool};
    const pthread_t thread = occupied(&other);
    CHECK(ran_on(pool, 4, 1), "a job beside another one did not run on its caller alone");
    release_pool(&other, thread);
    CHECK(other.size == 3, "the job that came first had %zu threads", other.size);
    CHECK(ran_on(pool, 4, 4), "the pool did not come back to full strength");
    mnc_pool_destroy(pool);
}

/* Several threads at once, while the pool is resized and stopped: every job still runs once on each of its threads. */
static void *run_many(void *argument) {
    size_t wrong = 0;
    for (int i = 0; i < 300; i++) {
        census c = {{0}, {0}};
        const size_t size = mnc_pool_run(argument, 3, count, &c);
        for (size_t t = 0; t < MNC_MAX_THREADS; t++) wrong += c.runs[t] != (t < size);
    }
    return (void *)(uintptr_t)wrong;
}

static void check_many_callers(void) {
    mnc_pool *pool = new_pool(3);
    pthread_t callers[3];
    for (int i = 0; i < 3; i++)
        if (pthread_create(&callers[i], NULL, run_many, pool) != 0) exit(2);
    for (size_t i = 0; i < 40; i++) {
        mnc_pool_set_threads(pool, 1 + i % 5, NULL);
        if (i % 8 == 0) mnc_pool_stop(pool);
        CHECK(mnc_pool_threads(pool) == 1 + i % 5, "%zu threads", mnc_pool_threads(pool));
    }
    for (int i = 0; i < 3; i++) {
        void *wrong = NULL;
        pthread_join(callers[i], &wrong);
        CHECK(wrong == NULL, "caller %d: %zu times the wrong threads ran", i, (size_t)(uintptr_t)wrong);
    }
    mnc_pool_destroy(pool);
}

/* ---------------------------------------------------------------- changing a pool */

static void check_resizing(void) {
    static const size_t sizes[] = {1, 4, 2, 8, 8, 1, 3, 5, 2};
    mnc_pool *pool = new_pool(2);
    mnc_error err = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK(mnc_pool_set_threads(pool, sizes[i], &err) == MNC_OK, "%s", err.message);
        CHECK(mnc_pool_threads(pool) == sizes[i], "%zu threads after setting %zu", mnc_pool_threads(pool), sizes[i]);
        CHECK(ran_on(pool, 100, sizes[i]) && ran_on(pool, 100, sizes[i]), "a job did not run on %zu threads", sizes[i]);
    }
    CHECK(mnc_pool_set_threads(pool, 0, &err) == MNC_INVALID && strstr(err.message, "not 0"), "%s", err.message);
    CHECK(mnc_pool_set_threads(pool, 65, &err) == MNC_INVALID && strstr(err.message, "not 65"), "%s", err.message);
    CHECK(mnc_pool_set_threads(pool, 65, NULL) == MNC_INVALID, "65 threads were accepted");
    CHECK(mnc_pool_threads(pool) == 2 && ran_on(pool, 2, 2), "a refused number of threads changed the pool");
    mnc_pool *none = pool;
    CHECK(mnc_pool_create(&none, 0, &err) == MNC_INVALID && none == pool, "a pool without threads was made");
    mnc_pool_destroy(pool);
}

static void check_stopping(void) {
    mnc_pool *pool = new_pool(4);
    mnc_pool_stop(pool); /* nothing has started yet */
    for (int i = 0; i < 20; i++) {
        CHECK(ran_on(pool, 4, 4), "no full team after %d stops", i);
        mnc_pool_stop(pool);
        if (i % 3 == 0) mnc_pool_stop(pool);
    }
    CHECK(ran_on(pool, 2, 2) && ran_on(pool, 4, 4), "no growth after a stop");
    mnc_pool_destroy(pool);
}

/* ---------------------------------------------------------------- fork */

/* In a child: status 0 if jobs run on all threads. A hang ends by alarm. */
static void child(mnc_pool *pool, size_t threads) {
    alarm(10);
    relay r = {.iterations = 20};
    bool good = ran_on(pool, threads, threads);
    good &= mnc_pool_run(pool, threads, pass_turns, &r) == threads;
    for (size_t t = 0; t < threads; t++) good &= r.wrong[t] == 0;
    good &= mnc_pool_set_threads(pool, 2, NULL) == MNC_OK && ran_on(pool, 4, 2);
    mnc_pool_stop(pool);
    good &= ran_on(pool, 2, 2);
    mnc_pool_destroy(pool);
    _exit(good ? 0 : 1);
}

static void check_child(mnc_pool *pool, size_t threads, const char *when) {
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) child(pool, threads);
    int status = -1;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid, "no child");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child forked %s ended with status 0x%x%s", when, status,
          WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? " (it hung)" : "");
}

static void unused_child(mnc_pool *pool) {
    const pid_t pid = fork();
    if (pid == 0) { /* a pool that the child never used can be destroyed, too */
        alarm(10);
        mnc_pool_destroy(pool);
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0, "destroying in a child: status 0x%x", status);
}

static void check_fork(void) {
    mnc_pool *pool = new_pool(4);
    check_child(pool, 4, "before any worker");
    CHECK(ran_on(pool, 4, 4), "the parent cannot go on");
    mnc_pool_stop(pool);
    check_child(pool, 4, "after a stop");
    CHECK(ran_on(pool, 4, 4), "the parent cannot go on");
    /* The thread sanitizer, and emulators, support no threads in a child of a process with threads. */
    if (!THREAD_SANITIZER && !getenv("RUNNER")) {
        check_child(pool, 4, "beside idle workers");
        CHECK(ran_on(pool, 4, 4), "the parent cannot go on");
        unused_child(pool);
        visit other = {.pool = pool};
        const pthread_t thread = occupied(&other);
        check_child(pool, 4, "beside workers at work");
        release_pool(&other, thread);
        CHECK(ran_on(pool, 4, 4), "the parent cannot go on");
    }
    mnc_pool_destroy(pool);
}

/* ---------------------------------------------------------------- signals */

static void look_at_signals(void *argument, const mnc_team *team, size_t thread) {
    bool *takes_signals = argument;
    (void)team;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    takes_signals[thread] = !sigismember(&blocked, SIGINT);
}

/* The program's signals are for its own threads. */
static void check_signals(void) {
    mnc_pool *pool = new_pool(3);
    bool takes_signals[MOST] = {false};
    const size_t size = mnc_pool_run(pool, 3, look_at_signals, takes_signals);
    for (size_t t = 1; t < size; t++) CHECK(!takes_signals[t], "worker %zu takes the program's signals", t);
    CHECK(takes_signals[0], "the caller takes no signals while a job runs");
    mnc_pool_destroy(pool);
}

/* ---------------------------------------------------------------- cutting */

static void check_split(void) {
    static const size_t units[] = {1, 2, 16};
    for (size_t n = 0; n <= 200; n++)
        for (size_t u = 0; u < 3; u++)
            for (size_t parts = 1; parts <= 9; parts++) {
                const size_t unit = units[u];
                size_t at = 0, least = SIZE_MAX, most = 0;
                bool good = true;
                for (size_t part = 0; part < parts; part++) {
                    size_t begin, end;
                    mnc_split(n, unit, parts, part, &begin, &end);
                    good &= begin == at && end >= begin && (begin % unit == 0 || begin == n);
                    const size_t length = (end - begin + unit - 1) / unit;
                    least = length < least ? length : least;
                    most = length > most ? length : most;
                    at = end;
                }
                if (!good || at != n || most - least > 1)
                    CHECK(false, "%zu in units of %zu, %zu parts: from %zu to %zu units, up to %zu", n, unit, parts,
                          least, most, at);
            }
    minitest.passed++;
}

int main(void) {
    alarm(120); /* a deadlock is a failure, not a wait */
    check_split();
    check_once_per_job();
    check_barrier();
    check_busy();
    check_many_callers();
    check_resizing();
    check_stopping();
    check_fork();
    check_signals();
    return minitest_end(THREAD_SANITIZER ? "no fork beside threads under the thread sanitizer" : "");
}
