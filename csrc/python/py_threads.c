/* py_threads.c - the default number of threads.
 *
 * A container is often given a share of a big machine by a CPU quota that no CPU count shows: with 64 threads on
 * a quota of 4 CPUs, every barrier waits for a thread that the kernel has put to sleep. So the quota of the process's
 * control group, and of the groups above it, counts as well as the affinity mask. */
#include "binding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif

#define PATH_SIZE 4096

/* ---------------------------------------------------------------- environment */

/* A number from 1 to 999,999 and where it ends; 0 if there is none. */
static size_t leading_number(const char *text, const char **end) {
    size_t number = 0;
    *end = text;
    while (**end >= '0' && **end <= '9' && number < 100000) number = number * 10 + (size_t)(*(*end)++ - '0');
    return number;
}

/* 1 if the environment says how many, 0 if it does not, -1 with an exception. */
static int threads_from_environment(size_t *threads) {
    const char *end;
    const char *const ours = getenv("MNIST_C_NUM_THREADS");
    if (ours && *ours) {
        *threads = leading_number(ours, &end);
        if (*threads > 0 && *threads <= MNCPY_MAX_THREADS && *end == '\0') return 1;
        PyErr_Format(PyExc_ImportError, "MNIST_C_NUM_THREADS must be a number from 1 to %zu, not \"%.40s\"",
                     MNCPY_MAX_THREADS, ours);
        return -1;
    }
    /* OpenMP allows one number per level of nesting: "4,2". What it means by a malformed value is its own affair. */
    const char *const openmp = getenv("OMP_NUM_THREADS");
    if (!openmp) return 0;
    *threads = leading_number(openmp + strspn(openmp, " \t"), &end);
    end += strspn(end, " \t");
    if (*threads > MNCPY_MAX_THREADS) *threads = MNCPY_MAX_THREADS;
    return *threads > 0 && (*end == '\0' || *end == ',');
}

/* ---------------------------------------------------------------- CPU quota of the control groups (Linux) */

#ifdef __linux__
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* The first line of directory/file. */
static bool read_line(const char *directory, const char *file, char *line, int size) {
    char path[PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    FILE *const stream = fopen(path, "r");
    if (!stream) return false;
    const bool ok = fgets(line, size, stream) != NULL;
    fclose(stream);
    return ok;
}

/* The quota of one group in CPUs, rounded up. */
static size_t group_quota(const char *directory) {
    char line[128];
    long long quota = 0, period = 0;
    if (read_line(directory, "cpu.max", line, sizeof line)) { /* version 2: "200000 100000" or "max 100000" */
        if (sscanf(line, "%lld %lld", &quota, &period) != 2) return SIZE_MAX;
    } else { /* version 1: -1 where there is no limit */
        if (!read_line(directory, "cpu.cfs_quota_us", line, sizeof line) || sscanf(line, "%lld", &quota) != 1 ||
            !read_line(directory, "cpu.cfs_period_us", line, sizeof line) || sscanf(line, "%lld", &period) != 1)
            return SIZE_MAX;
    }
    if (quota <= 0 || period <= 0) return SIZE_MAX;
    return (size_t)(quota / period) + (quota % period != 0);
}

/* The smallest quota of a group and of all above it. Inside a container the path may be that of the host, which is
 * not mounted here; going up then ends at the container's own root. */
static size_t quota_up_to_root(const char *mount, const char *group) {
    char path[PATH_SIZE];
    const int length = snprintf(path, sizeof path, "%s%s", mount, group);
    size_t quota = SIZE_MAX;
    if (length < 0 || (size_t)length >= sizeof path) return quota;
    for (;;) {
        quota = smaller(quota, group_quota(path));
        char *const slash = strrchr(path, '/');
        if (!slash || (size_t)(slash - path) < strlen(mount)) return quota;
        *slash = '\0';
    }
}

/* Whether "cpu" is one of "cpu,cpuacct". */
static bool names_cpu(const char *controllers) {
    const char *const found = strstr(controllers, "cpu");
    if (!found) return false;
    const bool whole = (found == controllers || found[-1] == ',') && (found[3] == '\0' || found[3] == ',');
    return whole || names_cpu(found + 3);
}

/* Lines of /proc/self/cgroup are "number:controllers:path"; version 2 has no controllers there. */
static size_t process_quota(void) {
    char line[PATH_SIZE];
    size_t quota = SIZE_MAX;
    FILE *const stream = fopen("/proc/self/cgroup", "r");
    if (!stream) return quota;
    while (fgets(line, sizeof line, stream)) {
        line[strcspn(line, "\n")] = '\0';
        char *const controllers = strchr(line, ':');
        char *const path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *path = '\0';
        if (controllers[1] == '\0')
            quota = smaller(quota, quota_up_to_root("/sys/fs/cgroup", path + 1));
        else if (names_cpu(controllers + 1))
            quota = smaller(quota, quota_up_to_root("/sys/fs/cgroup/cpu", path + 1));
    }
    fclose(stream);
    return quota;
}

static size_t usable_cpus(void) {
    cpu_set_t mask;
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    size_t cpus = online > 0 ? (size_t)online : 1;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0) cpus = smaller(cpus, (size_t)CPU_COUNT(&mask));
    return smaller(cpus, process_quota());
}
#else
static size_t usable_cpus(void) {
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}
#endif

int mncpy_default_threads(size_t *threads) {
    const int known = threads_from_environment(threads);
    if (known != 0) return known < 0 ? -1 : 0;
    const size_t cpus = usable_cpus();
    *threads = cpus < 1 ? 1 : cpus > MNCPY_MAX_THREADS ? MNCPY_MAX_THREADS : cpus;
    return 0;
}
