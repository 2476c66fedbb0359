/* The same bits for every instruction set of this CPU and 1, 2, 3, 4 and 8 threads: hashes of trained weights against the
 * committed ones. Status 1: a hash differs; 2: something else failed.
 *
 *   test_golden --short [n] three threads only, and every n-th configuration: for emulators, sanitizers and controls
 *   test_golden --print     the hashes to commit */
#include "determinism.h"

static const size_t thread_counts[] = {3, 1, 2, 4, 8};
#ifdef MNC_TEST_SHORT
enum { SHORT_BUILD = 1 };
#else
enum { SHORT_BUILD = 0 };
#endif

/* Did the kernels that the configuration is about really run, on several threads where there is work for them? */
static bool really_ran(const config *c, const mnc_counters *counters, size_t threads) {
    const bool sparse = c->dense || c->noise > 0 ? counters->sparse_gradient == 0 && counters->dense_gradient > 0
                                                 : counters->sparse_forward > 0 && counters->sparse_gradient > 0;
    const bool chunked = c->batch <= 512 || counters->stores > 0;
    const bool parallel = threads == 1 || c->batch < 32 || counters->workers > 1;
    return sparse && chunked && counters->updates > 0 && parallel;
}

static int check(const config *c, const images *x, const char *isa, size_t threads, bool print) {
    mnc_error err = {0};
    mnc_counters counters;
    uint64_t hash = 0;
    double loss[2];
    if (train_config(c, x, isa, threads, &hash, loss, &counters, &err) != MNC_OK) {
        printf("%s, %s, %zu threads: %s\n", c->name, isa, threads, err.message);
        return 2;
    }
    if (print) {
        printf("%-40s 0x%016llx  loss %.6f -> %.6f\n", c->name, (unsigned long long)hash, loss[0], loss[1]);
        return 0;
    }
    if (!really_ran(c, &counters, threads)) {
        printf("%s, %s, %zu threads: the wrong kernels ran\n", c->name, isa, threads);
        return 2;
    }
    if (!(loss[1] < loss[0])) {
        printf("%s: the loss did not fall (%g, then %g)\n", c->name, loss[0], loss[1]);
        return 2;
    }
    if (hash == c->golden) return 0;
    printf("%s, %s, %zu threads: 0x%016llx, expected 0x%016llx\n", c->name, isa, threads, (unsigned long long)hash,
           (unsigned long long)c->golden);
    return 1;
}

int main(int argc, char **argv) {
    const bool print = argc > 1 && strcmp(argv[1], "--print") == 0;
    const bool few = SHORT_BUILD || (argc > 1 && strcmp(argv[1], "--short") == 0);
    const size_t threads = print ? 1 : few ? 1 : sizeof thread_counts / sizeof *thread_counts;
    const size_t all = sizeof configs / sizeof *configs, every = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    int status = 0, cells = 0;
    for (size_t i = 0; i < all; i += every) {
        const images x = make_images(&configs[i]);
        for (size_t k = 0; mnc_isa_name(k) && !(print && k); k++)
            for (size_t t = 0; t < threads; t++, cells++) {
                const int result = check(&configs[i], &x, mnc_isa_name(k), thread_counts[t], print);
                if (result > status) status = result;
            }
        free_images(x);
    }
    if (print) return status;
    printf("%d runs of %zu configurations on", cells, (all + every - 1) / every);
    for (size_t k = 0; mnc_isa_name(k); k++) printf(" %s", mnc_isa_name(k));
    printf(", status %d\n", status);
    return status;
}
