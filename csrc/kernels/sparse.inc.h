/* The first layer's products over the index of non-zero inputs: the chains of product.inc.h without their zero terms.
 * Four fifths of an MNIST image are zero, so this is five times less work.
 *
 * Parameter: MNC_SPARSE_CHAINS accumulators of 16 lanes that a forward product keeps going side by side. */

/* ---------------------------------------------------------------- forward */
/* What the rows of one product over the blocks block0 ... block1 - 1 share; w and z are those of the first panel. */
typedef struct {
    const mnc_product *p;
    const mnc_sparse *x;
    const MNC_REAL *w;
    MNC_REAL *z;
    size_t blocks, block0, block1;
} sparse_job;

enum { MOST_STREAMS = 4 };

/* A row on its way: the entries still to come, and its chains. */
typedef struct {
    const mnc_sparse_row *at;
    const MNC_REAL *dense; /* the row itself, unless there is a table */
    size_t left, row;
    vf acc[MNC_SPARSE_PANELS];
} sparse_stream;

/* Records lie in memory in another order than they are used in, and no CPU guesses where the next one is. */
MNC_INLINE void sparse_prefetch(const sparse_job *job, size_t row) {
    enum { AHEAD = 4, LINES = 12 }; /* a record of MNIST has 167 words on average */
    if (row + AHEAD >= job->p->row1) return;
    const char *record = (const char *)job->x->rows[row + AHEAD];
#pragma GCC unroll 12
    for (int line = 0; line < LINES; line++) __builtin_prefetch(record + 64 * line);
}

MNC_INLINE void sparse_start(const int n, const bool coded, const sparse_job *job, size_t row, sparse_stream *s) {
    const mnc_sparse_row *record = job->x->rows[row];
    const size_t begin = job->block0 ? record[job->block0 - 1] : 0;
    const vf zero = vf_set1(0);
    if (coded && job->block0 == 0) sparse_prefetch(job, row);
    s->row = row;
    s->at = record + job->blocks + begin;
    s->dense = coded ? NULL : (const MNC_REAL *)job->x->dense + row * job->x->ld;
    s->left = record[job->block1 - 1] - begin;
#pragma GCC unroll 8
    for (int j = 0; j < n; j++) s->acc[j] = job->block0 ? vf_load(job->z + row * job->p->ldz + j * MNC_PANEL) : zero;
}

MNC_INLINE void sparse_entry(const int n, const bool coded, const sparse_job *job, size_t i, sparse_stream *s) {
    const mnc_sparse_row entry = s->at[i];
    const vf x = vf_set1(coded ? ((const MNC_REAL *)job->x->table)[entry & 255] : s->dense[entry >> 8]);
    const MNC_REAL *w = job->w + (size_t)(entry >> 8) * MNC_PANEL;
#pragma GCC unroll 8
    for (int j = 0; j < n; j++) s->acc[j] = vf_fma(x, vf_load(w + (size_t)j * job->p->panel_size), s->acc[j]);
}

/* Harmless if it was done before. */
MNC_INLINE void sparse_finish(const int n, const sparse_job *job, const sparse_stream *s) {
    const mnc_product *p = job->p;
    const vf zero = vf_set1(0);
#pragma GCC unroll 8
    for (int j = 0; j < n; j++) {
        const MNC_REAL *bias = job->w + (size_t)j * p->panel_size + p->inputs * MNC_PANEL;
        const vf sum = vf_add(vf_add(s->acc[j], p->bias ? vf_load(bias) : zero), zero);
        vf_store(job->z + s->row * p->ldz + j * MNC_PANEL, job->block1 == job->blocks ? sum : s->acc[j]);
    }
}

/* A chain of fused multiply-adds waits for its own latency, and where a row ends no branch predictor knows. So m rows go
 * side by side until one of them ends; the next row takes its place. There are at least m rows. */
MNC_INLINE void sparse_forward_rows(const int n, const int m, const bool coded, const sparse_job *job) {
    const size_t end = job->p->row1;
    size_t next = job->p->row0;
    sparse_stream s[MOST_STREAMS];
#pragma GCC unroll 4
    for (int r = 0; r < m; r++) sparse_start(n, coded, job, next++, &s[r]);
    for (bool more = true; more;) {
        size_t common = s[0].left;
#pragma GCC unroll 4
        for (int r = 1; r < m; r++) common = s[r].left < common ? s[r].left : common;
        for (size_t i = 0; i < common; i++)
#pragma GCC unroll 4
            for (int r = 0; r < m; r++) sparse_entry(n, coded, job, i, &s[r]);
#pragma GCC unroll 4
        for (int r = 0; r < m; r++) {
            s[r].at += common;
            s[r].left -= common;
            if (s[r].left) continue;
            sparse_finish(n, job, &s[r]);
            if (next < end)
                sparse_start(n, coded, job, next++, &s[r]);
            else
                more = false;
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < m; r++) {
        for (size_t i = 0; i < s[r].left; i++) sparse_entry(n, coded, job, i, &s[r]);
        sparse_finish(n, job, &s[r]);
    }
}

/* n panels, in passes over as many blocks as keep the weights in use close. */
MNC_INLINE void sparse_forward_panels(const int n, const bool coded, const mnc_product *p, const mnc_sparse *x,
                                      size_t panel) {
    const int most = MNC_SPARSE_CHAINS / n < MOST_STREAMS ? MNC_SPARSE_CHAINS / n : MOST_STREAMS,
              m = most < 1 ? 1 : most;
    const size_t blocks = mnc_feature_blocks(p->inputs), span = (size_t)(MNC_FORWARD_BLOCKS / n);
    sparse_job job = {.p = p,
                      .x = x,
                      .w = (const MNC_REAL *)p->weights + panel * p->panel_size,
                      .z = (MNC_REAL *)p->z + panel * MNC_PANEL,
                      .blocks = blocks};
    for (; job.block0 < blocks; job.block0 += span) {
        job.block1 = blocks - job.block0 < span ? blocks : job.block0 + span;
        if (p->row1 - p->row0 >= (size_t)m)
            sparse_forward_rows(n, m, coded, &job);
        else if (p->row0 < p->row1)
            sparse_forward_rows(n, 1, coded, &job);
    }
}

MNC_INLINE void sparse_forward_all(const bool coded, const mnc_product *p, const mnc_sparse *x) {
    size_t panel = p->panel0;
    for (; panel + 4 <= p->panel1; panel += 4) sparse_forward_panels(4, coded, p, x, panel);
    for (; panel + 2 <= p->panel1; panel += 2) sparse_forward_panels(2, coded, p, x, panel);
    for (; panel < p->panel1; panel++) sparse_forward_panels(1, coded, p, x, panel);
}

static void MNC_K(sparse_forward)(const mnc_product *p, const mnc_sparse *x) {
    if (x->table)
        sparse_forward_all(true, p, x);
    else
        sparse_forward_all(false, p, x);
}

/* ---------------------------------------------------------------- gradient */
/* g lies as [feature][panel][16], so that one address serves the panels of an entry. */
MNC_INLINE void sparse_gradient_panels(const int n, MNC_REAL *g, const mnc_sparse *in, size_t blocks, size_t block0,
                                       size_t block1, const MNC_REAL *delta, size_t ldd, size_t row0, size_t row1) {
    const MNC_REAL *table = in->table;
    const size_t first = block0 * MNC_FEATURE_BLOCK;
    for (size_t row = row0; row < row1; row++) {
        const mnc_sparse_row *record = in->rows[row], *entries = record + blocks;
        const mnc_sparse_row *entry = entries + (block0 ? record[block0 - 1] : 0), *end = entries + record[block1 - 1];
        vf d[MNC_SPARSE_PANELS];
#pragma GCC unroll 8
        for (int j = 0; j < n; j++) d[j] = vf_load(delta + row * ldd + (size_t)j * MNC_PANEL);
        for (; entry < end; entry++) {
            const vf x = vf_set1(table[*entry & 255]);
            MNC_REAL *sum = g + ((*entry >> 8) - first) * (size_t)(n * MNC_PANEL);
#pragma GCC unroll 8
            for (int j = 0; j < n; j++) vf_store(sum + j * MNC_PANEL, vf_fma(x, d[j], vf_load(sum + j * MNC_PANEL)));
        }
    }
}

static void MNC_K(sparse_gradient)(mnc_real *g, const mnc_sparse *x, size_t blocks, size_t block0, size_t block1,
                                   size_t width, const mnc_real *delta, size_t ldd, size_t row0, size_t row1,
                                   size_t panel0, size_t panel1) {
    const size_t n = panel1 - panel0;
    const MNC_REAL *d = (const MNC_REAL *)delta + panel0 * MNC_PANEL;
    memset(g, 0, n * width * MNC_PANEL * sizeof(MNC_REAL));
#define CASE(n) sparse_gradient_panels(n, g, x, blocks, block0, block1, d, ldd, row0, row1)
    switch (n) {
    case 1: CASE(1); break;
    case 2: CASE(2); break;
    case 3: CASE(3); break;
    default: CASE(4);
    }
#undef CASE
}

/* What the lists of one group of rows share; g is that of feature 0. */
typedef struct {
    MNC_REAL *g;
    const uint16_t *entries;
    const uint32_t *begin, *end;
    const MNC_REAL *table, *delta;
    bool first; /* else the chains go on from g */
} column_job;

/* A list on its way: the entries still to come, and its chains. */
typedef struct {
    const uint16_t *at;
    size_t left;
    vf sum[MNC_SPARSE_PANELS];
} column_stream;

MNC_INLINE void column_entry(const int n, const column_job *job, size_t i, column_stream *s) {
    const vf x = vf_set1(job->table[s->at[i] & 255]);
    const MNC_REAL *d = job->delta + (size_t)(s->at[i] >> 8) * (size_t)(n * MNC_PANEL);
#pragma GCC unroll 8
    for (int j = 0; j < n; j++) s->sum[j] = vf_fma(x, vf_load(d + j * MNC_PANEL), s->sum[j]);
}

/* The lists of m features side by side, as long as all of them last: few chains would wait for their own latency. */
MNC_INLINE void column_lists(const int n, const int m, const column_job *job, size_t k) {
    column_stream s[MNC_SPARSE_CHAINS];
    size_t common = SIZE_MAX;
#pragma GCC unroll 8
    for (int r = 0; r < m; r++) {
        s[r].at = job->entries + job->begin[k + (size_t)r];
        s[r].left = job->end[k + (size_t)r] - job->begin[k + (size_t)r];
        common = s[r].left < common ? s[r].left : common;
#pragma GCC unroll 8
        for (int j = 0; j < n; j++)
            s[r].sum[j] =
                job->first ? vf_set1(0) : vf_load(job->g + (k + (size_t)r) * (size_t)(n * MNC_PANEL) + j * MNC_PANEL);
    }
    for (size_t i = 0; i < common; i++)
#pragma GCC unroll 8
        for (int r = 0; r < m; r++) column_entry(n, job, i, &s[r]);
#pragma GCC unroll 8
    for (int r = 0; r < m; r++) {
        for (size_t i = common; i < s[r].left; i++) column_entry(n, job, i, &s[r]);
#pragma GCC unroll 8
        for (int j = 0; j < n; j++)
            vf_store(job->g + (k + (size_t)r) * (size_t)(n * MNC_PANEL) + j * MNC_PANEL, s[r].sum[j]);
    }
}

MNC_INLINE void column_panels(const int n, MNC_REAL *g, const mnc_columns *c, const MNC_REAL *table, size_t k0,
                              size_t k1, const MNC_REAL *delta, size_t rows) {
    const int m = MNC_SPARSE_CHAINS / n < 1 ? 1 : MNC_SPARSE_CHAINS / n;
    for (size_t row = 0; row < rows; row += c->rows) {
        const size_t group = row / c->rows * c->features + k0;
        const column_job job = {.g = g,
                                .entries = c->entries,
                                .begin = c->begin + group,
                                .end = c->end + group,
                                .table = table,
                                .delta = delta + row * (size_t)(n * MNC_PANEL),
                                .first = row == 0};
        size_t k = 0;
        for (; k + (size_t)m <= k1 - k0; k += (size_t)m) column_lists(n, m, &job, k);
        for (; k < k1 - k0; k++) column_lists(n, 1, &job, k);
    }
}

static void MNC_K(column_gradient)(mnc_real *g, const mnc_columns *c, const mnc_real *table, size_t k0, size_t k1,
                                   const mnc_real *delta, size_t rows, size_t panels) {
#define CASE(n) column_panels(n, g, c, table, k0, k1, delta, rows)
    switch (panels) {
    case 1: CASE(1); break;
    case 2: CASE(2); break;
    case 3: CASE(3); break;
    default: CASE(4);
    }
#undef CASE
}
