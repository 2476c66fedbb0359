/* train FOLDER [THREADS]: a network of 109,386 parameters learns to read digits.
 *
 * FOLDER holds the four MNIST files, unpacked: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte,
 * t10k-labels-idx1-ubyte. All that this program knows of the library is in mnc.h:
 *     cc -O2 -I<folder of mnc.h> train.c libmnc.a -pthread -lm -o train
 *
 * The network is 784 pixels -> 128 -> 64 -> 10 classes, with ReLU and 20 % dropout after both hidden layers; Adam with
 * rate 0.001 takes batches of 32, ten times through the first 80 % of the training images. The last 20 % are kept aside
 * to see, after every epoch, how well it does on images that it does not learn from. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "mnc.h"

enum { CLASSES = 10, EPOCHS = 10, BATCH_SIZE = 32, SEED = 0 };

/* ---------------------------------------------------------------- errors */

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "train: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

/* Every call that can fail returns a status and writes a sentence about it. */
static void check(mnc_status status, const mnc_error *err) {
    if (status != MNC_OK) fail("%s", err->message);
}

static void *allocate(size_t count, size_t size) {
    void *block = calloc(count + 1, size);
    if (!block) fail("not enough memory for %zu elements of %zu bytes", count, size);
    return block;
}

/* ---------------------------------------------------------------- the IDX format */

/* A file starts with a magic number, 0x0800 (for bytes) plus the number of dimensions, and the size of each dimension,
 * all as big-endian 32-bit integers. Then come the bytes, last dimension fastest. */
typedef struct {
    size_t sizes[3];
    uint8_t *bytes;
} idx;

static uint32_t read_number(FILE *file, const char *path) {
    uint8_t b[4];
    if (fread(b, 1, 4, file) != 4) fail("%s ends within its header", path);
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static idx read_idx(const char *folder, const char *set, const char *what, uint32_t dimensions) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s-%s-ubyte", folder, set, what);
    FILE *file = fopen(path, "rb");
    if (!file) fail("cannot open %s (compressed files must be unpacked first)", path);
    const uint32_t magic = read_number(file, path);
    if (magic != 0x0800 + dimensions)
        fail("%s starts with 0x%08x instead of 0x%08x: it is no IDX file of bytes in %u dimensions%s", path, magic,
             0x0800 + dimensions, dimensions, magic >> 16 == 0x1F8B ? ", but compressed by gzip" : "");
    idx x = {{1, 1, 1}, NULL};
    size_t expected = 1; /* each size is below 2^32, so it is enough to stop growing at 2^31 */
    for (uint32_t i = 0; i < dimensions; i++) {
        x.sizes[i] = read_number(file, path);
        if (x.sizes[i] == 0 || x.sizes[i] > INT32_MAX / expected)
            fail("%s has an impossible size, %zu", path, x.sizes[i]);
        expected *= x.sizes[i];
    }
    /* The header may lie: see how much there is before making room for it. */
    const long begin = ftell(file), end = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (begin < 0 || end < begin || (size_t)(end - begin) != expected)
        fail("%s should have %zu bytes after its header, but has %ld", path, expected, end - begin);
    x.bytes = allocate(expected, 1);
    if (fseek(file, begin, SEEK_SET) != 0 || fread(x.bytes, 1, expected, file) != expected)
        fail("%s cannot be read", path);
    fclose(file);
    return x;
}

/* ---------------------------------------------------------------- data */

typedef struct {
    idx images; /* the library borrows them: they must outlive `data` */
    mnc_data *data;
    size_t rows;
} dataset;

static dataset load(mnc_context *context, const char *folder, const char *prefix) {
    mnc_error err;
    dataset set = {.images = read_idx(folder, prefix, "images-idx3", 3)};
    const idx labels = read_idx(folder, prefix, "labels-idx1", 1);
    set.rows = set.images.sizes[0];
    if (labels.sizes[0] != set.rows) fail("%zu images, but %zu labels (%s-*)", set.rows, labels.sizes[0], prefix);
    if (set.images.sizes[1] != 28 || set.images.sizes[2] != 28)
        fail("images of %zu x %zu pixels instead of 28 x 28", set.images.sizes[1], set.images.sizes[2]);
    /* Pixels stay bytes; the network sees pixel / 255. */
    check(mnc_data_create(&set.data, context, MNC_FLOAT32, MNC_UINT8, set.images.bytes, set.rows, 28 * 28, NULL, NULL,
                          &err),
          &err);
    int32_t *classes = allocate(set.rows, sizeof *classes);
    for (size_t i = 0; i < set.rows; i++) classes[i] = labels.bytes[i];
    check(mnc_data_set_labels(set.data, classes, CLASSES, &err), &err);
    free(classes);
    free(labels.bytes);
    return set;
}

/* ---------------------------------------------------------------- network */

static mnc_model *make_model(mnc_context *context) {
    mnc_error err;
    mnc_layer layers[3];
    static const size_t units[3] = {128, 64, CLASSES};
    for (int i = 0; i < 3; i++) {
        mnc_layer_defaults(&layers[i], MNC_DENSE); /* Glorot-uniform weights, zero biases */
        layers[i].units = units[i];
        if (i == 2) break; /* softmax belongs to the loss, so the last layer is linear */
        layers[i].activation = MNC_RELU;
        layers[i].dropout = 0.2;
    }
    mnc_spec spec;
    mnc_spec_defaults(&spec); /* softmax and cross-entropy */
    spec.inputs = 28 * 28;
    spec.layers = layers;
    spec.n_layers = 3;
    spec.seed = SEED;
    mnc_model *model = NULL;
    check(mnc_model_create(&model, context, &spec, &err), &err);
    mnc_optimizer adam;
    mnc_optimizer_defaults(&adam, MNC_ADAM);
    check(mnc_model_set_optimizer(model, &adam, NULL, &err), &err);
    return model;
}

/* One pass over the first `rows` rows in a new order. Returns loss and accuracy in the job. */
static mnc_job train_epoch(mnc_model *model, const dataset *set, size_t rows, uint32_t *order) {
    mnc_error err;
    mnc_progress progress = mnc_model_progress(model);
    mnc_permutation(SEED, progress.epoch++, rows, order);
    mnc_model_set_progress(model, progress); /* mnc_fit counts the steps; epochs are ours to count */
    mnc_job job = {.data = set->data, .order = order, .n = rows, .batch_size = BATCH_SIZE, .rate = 1e-3};
    check(mnc_fit(model, &job, &err), &err);
    return job;
}

typedef struct {
    double loss, accuracy;
} score;

/* Mean loss and share of right answers on rows first ... first + n - 1. */
static score evaluate(mnc_model *model, const dataset *set, size_t first, size_t n) {
    mnc_error err;
    uint64_t correct = 0;
    double *losses = allocate(n, sizeof *losses);
    check(mnc_evaluate(model, set->data, first, n, NULL, losses, &correct, &err), &err);
    const score s = {mnc_sum(losses, n) / (double)n, (double)correct / (double)n};
    free(losses);
    return s;
}

int main(int argc, char **argv) {
    mnc_error err;
    mnc_context *context = NULL;
    if (argc < 2 || argc > 3) fail("usage: train FOLDER [THREADS]");
    check(mnc_context_create(&context, NULL, argc == 3 ? strtoul(argv[2], NULL, 10) : 2, &err), &err);
    dataset train = load(context, argv[1], "train"), test = load(context, argv[1], "t10k");
    mnc_model *model = make_model(context);
    const size_t rows = train.rows * 4 / 5, rest = train.rows - rows;
    if (rows == 0) fail("%zu training images are too few", train.rows);
    uint32_t *order = allocate(rows, sizeof *order);
    printf("%zu training images, %zu for validation, %zu for the test; %zu threads, %s\n", rows, rest, test.rows,
           mnc_context_threads(context), mnc_context_isa(context));

    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        const mnc_job job = train_epoch(model, &train, rows, order);
        const double n = (double)job.rows_done;
        const score validation = evaluate(model, &train, rows, rest);
        printf("epoch %2d/%d  loss %.4f  accuracy %.4f  val_loss %.4f  val_accuracy %.4f\n", epoch, EPOCHS,
               job.loss_sum / n, (double)job.correct / n, validation.loss, validation.accuracy);
        fflush(stdout);
    }
    /* The hash is the same on every machine, for any number of threads. */
    printf("hash of the weights %016llx\n", (unsigned long long)mnc_model_hash(model));
    const score final = evaluate(model, &test, 0, test.rows);
    printf("test loss %.4f, test accuracy %.4f\n", final.loss, final.accuracy);

    free(order);
    mnc_model_destroy(model);
    mnc_data_destroy(train.data);
    mnc_data_destroy(test.data);
    mnc_context_destroy(context);
    free(train.images.bytes);
    free(test.images.bytes);
    return 0;
}
