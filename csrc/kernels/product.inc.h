/* The three matrix products of a dense layer, on one micro-kernel.
 *
 * Parameters: MNC_MR x MNC_NP accumulators of 16 lanes must fit the registers beside MNC_NP operands and one broadcast:
 *   AVX-512  8 x 2 = 16 of 32 registers (two FMA units with latency 4 need 8 chains), AVX2 4 x 1 (two halves) = 8 of 16,
 *   with doubles 2 x 1 (four quarters).
 *
 *            lanes            broadcast          chain over
 *   forward  16 outputs       x[row, k]          k
 *   delta    16 samples       w[k, j]            j
 *   gradient 16 outputs       x[row, k]          rows
 * Lanes are always different elements of the result, so a chain is the same for every instruction set and tile. */

/* acc[i][j] = fma(a[i a_row + k a_step], b[k b_step + j b_panel ... + 15], acc[i][j]) for k = 0 ... count - 1. */
MNC_INLINE void tile(const int m, const int n, size_t count, const MNC_REAL *a, size_t a_row, size_t a_step,
                     const MNC_REAL *b, size_t b_step, size_t b_panel, vf acc[MNC_MR][MNC_NP]) {
    for (size_t k = 0; k < count; k++, a += a_step, b += b_step) {
        vf vb[MNC_NP];
#pragma GCC unroll 8
        for (int j = 0; j < n; j++) vb[j] = vf_load(b + (size_t)j * b_panel);
#pragma GCC unroll 16
        for (int i = 0; i < m; i++) {
            const vf va = vf_set1(a[(size_t)i * a_row]);
#pragma GCC unroll 8
            for (int j = 0; j < n; j++) acc[i][j] = vf_fma(va, vb[j], acc[i][j]);
        }
    }
}

/* How many rows or panels of those left the next tile takes: `full`, else 4, 2 or 1. */
MNC_INLINE int tile_size(size_t left, int full) {
    return left >= (size_t)full ? full : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/* CALL(m) with m as a constant, so that each size is unrolled. */
#define WITH_CONSTANT_M(m, CALL)                  \
    switch (m) {                                  \
    case 1: CALL(1); break;                       \
    case 2: CALL(2); break;                       \
    case 4: CALL(MNC_MR < 4 ? MNC_MR : 4); break; \
    default: CALL(MNC_MR);                        \
    }

/* ---------------------------------------------------------------- forward */
MNC_INLINE void forward_tile(const int m, const int n, const mnc_product *p, const MNC_REAL *x, size_t ldx, size_t row,
                             size_t panel) {
    const MNC_REAL *w = (const MNC_REAL *)p->weights + panel * p->panel_size;
    MNC_REAL *z = (MNC_REAL *)p->z + row * p->ldz + panel * MNC_PANEL;
    const vf zero = vf_set1(0);
    vf acc[MNC_MR][MNC_NP];
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 8
        for (int j = 0; j < n; j++) acc[i][j] = zero;
    tile(m, n, p->inputs, x + row * ldx, ldx, 1, w, MNC_PANEL, p->panel_size, acc);
#pragma GCC unroll 8
    for (int j = 0; j < n; j++) {
        const vf bias = p->bias ? vf_load(w + (size_t)j * p->panel_size + p->inputs * MNC_PANEL) : zero;
#pragma GCC unroll 16
        for (int i = 0; i < m; i++)
            vf_store(z + (size_t)i * p->ldz + j * MNC_PANEL, vf_add(vf_add(acc[i][j], bias), zero));
    }
}

static void MNC_K(dense_forward)(const mnc_product *p, const mnc_real *x, size_t ldx) {
    for (size_t panel = p->panel0; panel < p->panel1;) {
        const int n = tile_size(p->panel1 - panel, MNC_NP);
        for (size_t row = p->row0; row < p->row1;) {
            const int m = tile_size(p->row1 - row, MNC_MR);
#define CALL(M) n == MNC_NP ? forward_tile(M, MNC_NP, p, x, ldx, row, panel) : forward_tile(M, 1, p, x, ldx, row, panel)
            WITH_CONSTANT_M(m, CALL)
#undef CALL
            row += (size_t)m;
        }
        panel += (size_t)n;
    }
}

/* ---------------------------------------------------------------- delta */
/* dx[row0 + s, k ... k + m - 1] for `samples` <= 16 n samples s, whose deltas lie transposed: dt[j][16 MNC_NP]. The
 * weights of one k lie far apart, a vector in each panel; `ahead` asks for those of the next m while these are in use. */
MNC_INLINE void delta_tile(const int m, const int n, const mnc_product *p, const MNC_REAL *dt, size_t outputs,
                           const MNC_REAL *f, size_t row0, size_t samples, size_t k, bool ahead) {
    const vf zero = vf_set1(0);
    MNC_REAL lanes[MNC_MR][MNC_NP * 16];
    vf acc[MNC_MR][MNC_NP];
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 8
        for (int j = 0; j < n; j++) acc[i][j] = zero;
    for (size_t panel = 0, j0 = 0; j0 < outputs; panel++, j0 += MNC_PANEL) {
        const MNC_REAL *w = (const MNC_REAL *)p->weights + panel * p->panel_size + k * MNC_PANEL;
        const size_t count = outputs - j0 < MNC_PANEL ? outputs - j0 : MNC_PANEL;
        for (int i = m; ahead && i < 2 * m; i++) __builtin_prefetch(w + i * MNC_PANEL);
        tile(m, n, count, w, MNC_PANEL, 1, dt + j0 * 16 * MNC_NP, 16 * MNC_NP, 16, acc);
    }
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 8
        for (int j = 0; j < n; j++) vf_store(lanes[i] + j * 16, acc[i][j]);
    for (size_t s = 0; s < samples; s++) {
        MNC_REAL *dx = (MNC_REAL *)p->z + (row0 + s) * p->ldz + k;
        const MNC_REAL *factor = f ? f + (row0 + s) * p->ldz + k : NULL;
        for (int i = 0; i < m; i++) dx[i] = factor ? lanes[i][s] * factor[i] : lanes[i][s];
    }
}

/* All blocks of samples pass by m rows of weights before the next m are read: wide layers do not fit any cache. */
MNC_INLINE void delta_rows(const mnc_product *p, MNC_REAL *dt, const MNC_REAL *delta, size_t ldd, size_t outputs,
                           const MNC_REAL *f, size_t row0, size_t rows) {
    const size_t block = 16 * MNC_NP;
    for (size_t s = 0; s < rows; s++)
        for (size_t j = 0; j < outputs; j++)
            dt[(s / block * outputs + j) * block + s % block] = delta[(row0 + s) * ldd + j];
    for (size_t k = 0; k < p->inputs;) {
        const int m = tile_size(p->inputs - k, MNC_MR);
        for (size_t s = 0; s < rows; s += block) {
            const size_t samples = rows - s < block ? rows - s : block;
#define CALL(M)                                                                                         \
    samples > 16 ? delta_tile(M, MNC_NP, p, dt + s * outputs, outputs, f, row0 + s, samples, k, s == 0) \
                 : delta_tile(M, 1, p, dt + s * outputs, outputs, f, row0 + s, samples, k, s == 0)
            WITH_CONSTANT_M(m, CALL)
#undef CALL
        }
        k += (size_t)m;
    }
}

static void MNC_K(dense_delta)(const mnc_product *p, const mnc_real *delta, size_t ldd, size_t outputs,
                               const mnc_real *f, mnc_real *scratch) {
    for (size_t row = p->row0; row < p->row1; row += MNC_DELTA_ROWS) {
        const size_t left = p->row1 - row, rows = left < MNC_DELTA_ROWS ? left : MNC_DELTA_ROWS;
        delta_rows(p, scratch, delta, ldd, outputs, f, row, rows);
    }
}

/* ---------------------------------------------------------------- gradient */
MNC_INLINE void gradient_tile(const int m, const int n, MNC_REAL *g, size_t g_row, const MNC_REAL *x, size_t ldx,
                              const MNC_REAL *delta, size_t ldd, size_t rows) {
    vf acc[MNC_MR][MNC_NP];
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 8
        for (int j = 0; j < n; j++) acc[i][j] = vf_set1(0);
    tile(m, n, rows, x, 1, ldx, delta, ldd, MNC_PANEL, acc);
#pragma GCC unroll 8
    for (int j = 0; j < n; j++)
#pragma GCC unroll 16
        for (int i = 0; i < m; i++) vf_store(g + (size_t)i * g_row + j * MNC_PANEL, acc[i][j]);
}

static void MNC_K(dense_gradient)(mnc_real *g_, const mnc_real *x_, size_t ldx, size_t k0, size_t k1,
                                  const mnc_real *delta_, size_t ldd, size_t row0, size_t row1, size_t panel0,
                                  size_t panel1) {
    const MNC_REAL *x = (const MNC_REAL *)x_ + row0 * ldx, *delta = (const MNC_REAL *)delta_ + row0 * ldd;
    const size_t rows = row1 - row0, g_row = (panel1 - panel0) * MNC_PANEL;
    for (size_t panel = panel0; panel < panel1;) {
        const int n = tile_size(panel1 - panel, MNC_NP);
        const MNC_REAL *d = delta + panel * MNC_PANEL;
        for (size_t k = k0; k < k1;) {
            const int m = tile_size(k1 - k, MNC_MR);
            MNC_REAL *g = (MNC_REAL *)g_ + (k - k0) * g_row + (panel - panel0) * MNC_PANEL;
#define CALL(M)                                                                \
    n == MNC_NP ? gradient_tile(M, MNC_NP, g, g_row, x + k, ldx, d, ldd, rows) \
                : gradient_tile(M, 1, g, g_row, x + k, ldx, d, ldd, rows)
            WITH_CONSTANT_M(m, CALL)
#undef CALL
            k += (size_t)m;
        }
        panel += (size_t)n;
    }
}
#undef WITH_CONSTANT_M

static void MNC_K(bias_gradient)(mnc_real *g, const mnc_real *delta_, size_t ldd, size_t row0, size_t row1,
                                 size_t panel0, size_t panel1) {
    const MNC_REAL *delta = delta_;
    for (size_t panel = panel0; panel < panel1; panel++) {
        vf acc = vf_set1(0);
        for (size_t row = row0; row < row1; row++) acc = vf_add(acc, vf_load(delta + row * ldd + panel * MNC_PANEL));
        vf_store((MNC_REAL *)g + (panel - panel0) * MNC_PANEL, acc);
    }
}
