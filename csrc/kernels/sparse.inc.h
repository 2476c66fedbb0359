/* The first layer's products over the index of non-zero inputs: the chains of product.inc.h without their zero terms.
 * Four fifths of an MNIST image are zero, so this is five times less work; and a block of MNC_FEATURE_BLOCK features of
 * MNC_SPARSE_PANELS panels stays in the first-level cache while all rows pass over it. */

/* z of one row: continues the chains with the entries of one block. */
MNC_INLINE void sparse_row_forward(const int n, const mnc_sparse_row *entry, const mnc_sparse_row *end,
                                   const MNC_REAL *table, const MNC_REAL *w, size_t panel_size,
                                   vf acc[MNC_SPARSE_PANELS]) {
    for (; entry < end; entry++) {
        const vf x = vf_set1(table[*entry & 255]);
        const MNC_REAL *row = w + (size_t)(*entry >> 8) * MNC_PANEL;
#pragma GCC unroll 8
        for (int j = 0; j < n; j++) acc[j] = vf_fma(x, vf_load(row + (size_t)j * panel_size), acc[j]);
    }
}

MNC_INLINE void sparse_forward_panels(const int n, const mnc_product *p, const mnc_sparse_row *const *rows,
                                      const MNC_REAL *table, size_t panel) {
    const MNC_REAL *w = (const MNC_REAL *)p->weights + panel * p->panel_size;
    const size_t blocks = (p->inputs + MNC_FEATURE_BLOCK - 1) / MNC_FEATURE_BLOCK;
    const vf zero = vf_set1(0);
    vf bias[MNC_SPARSE_PANELS];
#pragma GCC unroll 8
    for (int j = 0; j < n; j++)
        bias[j] = p->bias ? vf_load(w + (size_t)j * p->panel_size + p->inputs * MNC_PANEL) : zero;
    for (size_t block = 0; block < blocks; block++) {
        const MNC_REAL *block_w = w + block * MNC_FEATURE_BLOCK * MNC_PANEL;
        for (size_t row = p->row0; row < p->row1; row++) {
            const mnc_sparse_row *record = rows[row], *entries = record + blocks;
            MNC_REAL *z = (MNC_REAL *)p->z + row * p->ldz + panel * MNC_PANEL;
            vf acc[MNC_SPARSE_PANELS];
#pragma GCC unroll 8
            for (int j = 0; j < n; j++) acc[j] = block ? vf_load(z + j * MNC_PANEL) : zero;
            sparse_row_forward(n, entries + (block ? record[block - 1] : 0), entries + record[block], table, block_w,
                               p->panel_size, acc);
#pragma GCC unroll 8
            for (int j = 0; j < n; j++)
                vf_store(z + j * MNC_PANEL, block + 1 < blocks ? acc[j] : vf_add(vf_add(acc[j], bias[j]), zero));
        }
    }
}

static void MNC_K(sparse_forward)(const mnc_product *p, const mnc_sparse_row *const *rows, const mnc_real *table) {
    size_t panel = p->panel0;
    for (; panel + 4 <= p->panel1; panel += 4) sparse_forward_panels(4, p, rows, table, panel);
    for (; panel + 2 <= p->panel1; panel += 2) sparse_forward_panels(2, p, rows, table, panel);
    for (; panel < p->panel1; panel++) sparse_forward_panels(1, p, rows, table, panel);
}

MNC_INLINE void sparse_gradient_panels(const int n, MNC_REAL *g, size_t g_panel, const mnc_sparse_row *const *rows,
                                       const MNC_REAL *table, size_t blocks, size_t block, const MNC_REAL *delta,
                                       size_t ldd, size_t row0, size_t row1) {
    for (size_t row = row0; row < row1; row++) {
        const mnc_sparse_row *record = rows[row], *entries = record + blocks;
        const mnc_sparse_row *entry = entries + (block ? record[block - 1] : 0), *end = entries + record[block];
        vf d[MNC_SPARSE_PANELS];
#pragma GCC unroll 8
        for (int j = 0; j < n; j++) d[j] = vf_load(delta + row * ldd + (size_t)j * MNC_PANEL);
        for (; entry < end; entry++) {
            const vf x = vf_set1(table[*entry & 255]);
            MNC_REAL *sum = g + (size_t)(*entry >> 8) * MNC_PANEL;
#pragma GCC unroll 8
            for (int j = 0; j < n; j++)
                vf_store(sum + (size_t)j * g_panel, vf_fma(x, d[j], vf_load(sum + (size_t)j * g_panel)));
        }
    }
}

static void MNC_K(sparse_gradient)(mnc_real *g, const mnc_sparse_row *const *rows, const mnc_real *table, size_t blocks,
                                   size_t block, size_t width, const mnc_real *delta, size_t ldd, size_t row0,
                                   size_t row1, size_t panel0, size_t panel1) {
    const size_t g_panel = width * MNC_PANEL, n = panel1 - panel0;
    const MNC_REAL *d = (const MNC_REAL *)delta + panel0 * MNC_PANEL;
    memset(g, 0, n * g_panel * sizeof(MNC_REAL));
    switch (n) {
    case 1: sparse_gradient_panels(1, g, g_panel, rows, table, blocks, block, d, ldd, row0, row1); break;
    case 2: sparse_gradient_panels(2, g, g_panel, rows, table, blocks, block, d, ldd, row0, row1); break;
    case 3: sparse_gradient_panels(3, g, g_panel, rows, table, blocks, block, d, ldd, row0, row1); break;
    default: sparse_gradient_panels(4, g, g_panel, rows, table, blocks, block, d, ldd, row0, row1);
    }
}
