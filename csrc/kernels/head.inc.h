/* The end of the network: softmax, losses, deltas. Lanes are 16 samples, so that sums over classes are chains in
 * ascending order, and a sample's result does not depend on its place in the batch. */

/* Rows row0 ... row0 + n - 1 of a, transposed to z[j][16]; unused lanes repeat the last row. */
MNC_INLINE void head_load(const mnc_head_args *h, size_t row0, size_t n, MNC_REAL *z) {
    for (size_t s = 0; s < 16; s++) {
        const MNC_REAL *row = (const MNC_REAL *)h->a + (row0 + (s < n ? s : n - 1)) * h->ld;
        for (size_t j = 0; j < h->classes; j++) z[j * 16 + s] = row[j];
    }
}

MNC_INLINE size_t head_id(const mnc_head_args *h, size_t row) {
    return h->ids ? h->ids[h->first + row] : h->first + row;
}

/* Targets, transposed to y[j][16]. */
MNC_INLINE void head_targets(const mnc_head_args *h, size_t row0, size_t n, MNC_REAL *y) {
    if (h->labels) memset(y, 0, h->classes * 16 * sizeof *y);
    for (size_t s = 0; s < 16; s++) {
        const size_t id = head_id(h, row0 + (s < n ? s : n - 1));
        if (h->labels)
            y[(size_t)h->labels[id] * 16 + s] = 1;
        else
            for (size_t j = 0; j < h->classes; j++) y[j * 16 + s] = ((const MNC_REAL *)h->targets)[id * h->classes + j];
    }
}

/* z becomes z - max z; e becomes exp of it; returns the sum of e. */
MNC_INLINE vf head_softmax(size_t classes, MNC_REAL *z, MNC_REAL *e) {
    vf max = vf_load(z), sum = vf_set1(0);
    for (size_t j = 1; j < classes; j++) {
        const vf x = vf_load(z + j * 16);
        max = vf_select(vf_lt(max, x), x, max);
    }
    for (size_t j = 0; j < classes; j++) {
        const vf x = vf_sub(vf_load(z + j * 16), max), ex = v_exp(x);
        vf_store(z + j * 16, x);
        vf_store(e + j * 16, ex);
        sum = vf_add(sum, ex);
    }
    return sum;
}

/* One block of at most 16 samples: t[j][16] is scratch holding y on entry and delta on return; the loss is returned. */
MNC_INLINE vf head_cross_entropy(const mnc_head_args *h, MNC_REAL *z, MNC_REAL *e, MNC_REAL *t, vf sum, vf scale) {
    const vf zero = vf_set1(0), log_sum = v_log(sum);
    const vf keep = vf_set1((MNC_REAL)(1 - h->smoothing)),
             share = vf_set1((MNC_REAL)(h->smoothing / (double)h->classes));
    vf loss = zero;
    for (size_t j = 0; j < h->classes; j++) {
        vf y = vf_load(t + j * 16);
        if (h->smoothing != 0) y = vf_fma(y, keep, share);
        loss = vf_fma(vf_sub(zero, y), vf_sub(vf_load(z + j * 16), log_sum), loss);
        const vf p = vf_div(vf_load(e + j * 16), sum);
        vf_store(e + j * 16, p);
        vf_store(t + j * 16, vf_mul(vf_sub(p, y), scale));
    }
    return loss;
}

MNC_INLINE vf head_squared_error(const mnc_head_args *h, const MNC_REAL *z, MNC_REAL *t, vf scale) {
    const vf two_over_c = vf_set1((MNC_REAL)(2.0 / (double)h->classes));
    vf loss = vf_set1(0);
    for (size_t j = 0; j < h->classes; j++) {
        const vf d = vf_sub(vf_load(z + j * 16), vf_load(t + j * 16));
        loss = vf_fma(d, d, loss);
        vf_store(t + j * 16, vf_mul(vf_mul(d, two_over_c), scale));
    }
    return vf_div(loss, vf_set1((MNC_REAL)h->classes));
}

/* Each output says yes or no by itself. The difference (z < 0 ? 0 : z) - y z is exact where it matters, where p is near
 * a y of 0 or 1, and log(1 + exp(-|z|)) is the loss then. e[j][16] holds p. */
MNC_INLINE vf head_binary(const mnc_head_args *h, const MNC_REAL *z, const MNC_REAL *e, MNC_REAL *t, vf scale) {
    const vf zero = vf_set1(0), keep = vf_set1((MNC_REAL)(1 - h->smoothing)),
             half = vf_set1((MNC_REAL)(h->smoothing / 2));
    const vf one_over_c = vf_set1((MNC_REAL)(1 / (double)h->classes));
    vf loss = zero;
    for (size_t j = 0; j < h->classes; j++) {
        const vf x = vf_load(z + j * 16);
        vf y = vf_load(t + j * 16);
        if (h->smoothing != 0) y = vf_fma(y, keep, half);
        const vf rest = v_log1p(v_exp(vf_sub(zero, vf_abs(x))));
        loss = vf_add(loss, vf_add(vf_fma(vf_sub(zero, y), x, vf_select(vf_lt(x, zero), zero, x)), rest));
        vf_store(t + j * 16, vf_mul(vf_mul(vf_sub(vf_load(e + j * 16), y), one_over_c), scale));
    }
    return vf_div(loss, vf_set1((MNC_REAL)h->classes));
}

MNC_INLINE vf head_sigmoid(size_t classes, const MNC_REAL *z, MNC_REAL *e) {
    for (size_t j = 0; j < classes; j++) vf_store(e + j * 16, v_sigmoid(vf_load(z + j * 16)));
    return vf_set1(1); /* what outputs are divided by */
}

MNC_INLINE vf head_inner_product(const mnc_head_args *h, const MNC_REAL *z, MNC_REAL *t, vf weight) {
    vf loss = vf_set1(0);
    for (size_t j = 0; j < h->classes; j++) {
        const vf y = vf_load(t + j * 16);
        loss = vf_fma(vf_load(z + j * 16), y, loss);
        vf_store(t + j * 16, vf_mul(y, weight));
    }
    return vf_mul(loss, vf_set1((MNC_REAL)h->batch));
}

/* In each lane the first j with the largest x[j][16], or, if there is but one, whether it is above `half`. */
MNC_INLINE vf head_answer(size_t classes, const MNC_REAL *x, MNC_REAL half, bool binary) {
    vf max = vf_load(x), best = vf_set1(0);
    if (binary && classes == 1) return vf_select(vf_lt(vf_set1(half), max), vf_set1(1), best);
    for (size_t j = 1; j < classes; j++) {
        const vf next = vf_load(x + j * 16);
        const vm above = vf_lt(max, next);
        max = vf_select(above, next, max);
        best = vf_select(above, vf_set1((MNC_REAL)j), best);
    }
    return best;
}

/* Are answers those that t[j][16] asks for? A label's answer is itself. */
MNC_INLINE void head_compare(const mnc_head_args *h, size_t row0, size_t n, vf answer, const MNC_REAL *t) {
    const bool binary = h->head == MNC_HEAD_BINARY_CROSS_ENTROPY;
    MNC_REAL given[16], right[16];
    vf_store(given, answer);
    if (!h->labels) vf_store(right, head_answer(h->classes, t, (MNC_REAL)0.5, binary));
    for (size_t s = 0; s < n; s++) {
        const MNC_REAL wanted = h->labels ? (MNC_REAL)h->labels[head_id(h, row0 + s)] : right[s];
        h->correct[row0 + s] = h->head != MNC_HEAD_INNER_PRODUCT && given[s] == wanted;
    }
}

/* Deltas of n samples from t[j][16] to rows, times f. */
MNC_INLINE void head_store_delta(const mnc_head_args *h, size_t row0, size_t n, const MNC_REAL *t) {
    for (size_t s = 0; s < n; s++) {
        MNC_REAL *delta = (MNC_REAL *)h->delta + (row0 + s) * h->ld;
        const MNC_REAL *f = h->f ? (const MNC_REAL *)h->f + (row0 + s) * h->ld : NULL;
        for (size_t j = 0; j < h->classes; j++) delta[j] = f ? t[j * 16 + s] * f[j] : t[j * 16 + s];
    }
}

/* e / sum, by way of t[j][16]. */
MNC_INLINE void head_store_outputs(const mnc_head_args *h, size_t row0, size_t n, const MNC_REAL *e, MNC_REAL *t,
                                   vf sum) {
    for (size_t j = 0; j < h->classes; j++) vf_store(t + j * 16, vf_div(vf_load(e + j * 16), sum));
    for (size_t s = 0; s < n; s++) {
        MNC_REAL *out = (MNC_REAL *)h->outputs + (row0 + s) * h->classes;
        for (size_t j = 0; j < h->classes; j++) out[j] = t[j * 16 + s];
    }
}

static void head_raw_outputs(const mnc_head_args *h) {
    for (size_t row = h->row0; row < h->row1; row++)
        memcpy((MNC_REAL *)h->outputs + row * h->classes, (const MNC_REAL *)h->a + row * h->ld,
               h->classes * sizeof(MNC_REAL));
}

static void MNC_K(head)(const mnc_head_args *h) {
    MNC_REAL *const z = h->scratch, *const e = z + h->classes * 16, *const t = e + h->classes * 16;
    const bool softmax = h->head == MNC_HEAD_SOFTMAX_CROSS_ENTROPY, binary = h->head == MNC_HEAD_BINARY_CROSS_ENTROPY;
    const bool raw = h->raw_outputs || !(softmax || binary), scored = h->labels || h->targets;
    if (h->outputs && raw) head_raw_outputs(h);
    for (size_t row = h->row0; row < h->row1; row += 16) {
        const size_t n = h->row1 - row < 16 ? h->row1 - row : 16;
        vf sum = vf_set1(0), loss = sum;
        head_load(h, row, n, z);
        const vf answer = scored ? head_answer(h->classes, z, 0, binary) : loss; /* before z changes */
        if (softmax) sum = head_softmax(h->classes, z, e);
        if (binary) sum = head_sigmoid(h->classes, z, e);
        if (h->outputs && !raw) head_store_outputs(h, row, n, e, t, sum);
        if (!scored) continue;
        MNC_REAL weight[16], losses[16];
        for (size_t s = 0; s < 16; s++)
            weight[s] = h->weights && s < n ? ((const MNC_REAL *)h->weights)[head_id(h, row + s)] : 1;
        const vf w = vf_load(weight), scale = vf_div(w, vf_set1((MNC_REAL)h->batch));
        head_targets(h, row, n, t);
        head_compare(h, row, n, answer, t);
        switch (h->head) {
        case MNC_HEAD_SOFTMAX_CROSS_ENTROPY: loss = head_cross_entropy(h, z, e, t, sum, scale); break;
        case MNC_HEAD_MEAN_SQUARED_ERROR: loss = head_squared_error(h, z, t, scale); break;
        case MNC_HEAD_BINARY_CROSS_ENTROPY: loss = head_binary(h, z, e, t, scale); break;
        case MNC_HEAD_INNER_PRODUCT: loss = head_inner_product(h, z, t, w); break;
        }
        vf_store(losses, loss);
        for (size_t s = 0; s < n; s++) h->losses[row + s] = (double)weight[s] * (double)losses[s];
        if (h->delta) head_store_delta(h, row, n, t);
    }
}
