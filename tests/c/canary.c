/* Three bugs on purpose, one for each sanitizer: a run of the C tests under a sanitizer means something only if the
 * same build makes this program fail. argv[1]: address, undefined or thread. */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int shared;

static void *increment(void *unused) {
    (void)unused;
    for (int i = 0; i < 100000; ++i) {
        shared = shared + 1;
    }
    return NULL;
}

static int data_race(void) {
    pthread_t other;
    if (pthread_create(&other, NULL, increment, NULL) != 0) {
        return 0;
    }
    increment(NULL);
    pthread_join(other, NULL);
    return shared;
}

/* `volatile` keeps the compiler from seeing the bugs. */
static int heap_overflow(void) {
    volatile size_t size = 16;
    volatile char *bytes = malloc(size);
    if (bytes == NULL) {
        return 0;
    }
    const int past = bytes[size];
    free((void *)bytes);
    return past;
}

static int signed_overflow(void) {
    volatile int largest = INT_MAX;
    return largest + 1;
}

int main(int argc, char **argv) {
    volatile int sink = 0;
    if (argc == 2 && strcmp(argv[1], "address") == 0) {
        sink = heap_overflow();
    } else if (argc == 2 && strcmp(argv[1], "undefined") == 0) {
        sink = signed_overflow();
    } else if (argc == 2 && strcmp(argv[1], "thread") == 0) {
        sink = data_race();
    } else {
        return 2;
    }
    (void)sink;
    return 0;
}
