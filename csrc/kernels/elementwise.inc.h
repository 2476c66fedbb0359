/* Activations, dropout, optimizer steps: everything that treats elements one by one. */

/* ---------------------------------------------------------------- random words */
/* Philox4x32-10 on 16 lanes: counters (c0 + lane, c1, c2, c3), words w[0] ... w[3]. */
MNC_INLINE void v_philox(uint64_t seed, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, vu w[4]) {
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    vu x0 = vu_iota(c0), x1 = vu_set1(c1), x2 = vu_set1(c2), x3 = vu_set1(c3);
#pragma GCC unroll 10
    for (int round = 0; round < MNC_PHILOX_ROUNDS; round++) {
        vu high0, high1;
        const vu low0 = vu_mul(x0, MNC_PHILOX_M0, &high0), low1 = vu_mul(x2, MNC_PHILOX_M1, &high1);
        x0 = vu_xor(vu_xor(high1, x1), vu_set1(k0));
        x2 = vu_xor(vu_xor(high0, x3), vu_set1(k1));
        x1 = low1;
        x3 = low0;
        k0 += MNC_PHILOX_W0;
        k1 += MNC_PHILOX_W1;
    }
    w[0] = x0, w[1] = x1, w[2] = x2, w[3] = x3;
}

/* The words of 64 units, four panels, of row `row` of the batch: word[j] belongs to panel 4 group + j. */
MNC_OUTLINE void unit_words(uint32_t stream, uint64_t seed, uint64_t step, uint32_t layer, size_t row, size_t group,
                            vu word[4]) {
    const uint32_t c3 = stream + (layer << 8) + ((uint32_t)(step >> 32) << 24);
    v_philox(seed, (uint32_t)(16 * group), (uint32_t)row, (uint32_t)step, c3, word);
}

/* ---------------------------------------------------------------- activations */
/* alpha (e^z - 1) where z is negative, else scale z. */
MNC_INLINE void v_elu(vf z, vf scale, vf alpha, vf *a, vf *f) {
    const vf zero = vf_set1(0), low = vf_select(vf_lt(z, zero), z, zero); /* exp of large z is not wanted */
    *a = vf_select(vf_lt(z, zero), vf_mul(alpha, v_expm1(low)), vf_mul(scale, z));
    *f = vf_select(vf_lt(zero, z), scale, vf_mul(alpha, v_exp(low)));
}

/* z -> (a, da / dz). Adding an activation: a case here and its line in MNC_ACTIVATIONS (mnc.h). */
MNC_INLINE void v_activation(const mnc_activation kind, vf slope, vf z, vf *a, vf *f) {
    const vf zero = vf_set1(0), one = vf_set1(1);
    switch (kind) {
    case MNC_LINEAR:
        *a = z;
        *f = one;
        break;
    case MNC_RELU:
        *a = vf_drop(vf_lt(z, zero), z);
        *f = vf_select(vf_lt(zero, z), one, zero);
        break;
    case MNC_LEAKY_RELU:
        *a = vf_select(vf_lt(z, zero), vf_mul(slope, z), z);
        *f = vf_select(vf_lt(zero, z), one, slope);
        break;
    case MNC_TANH:
        *a = v_tanh(z);
        *f = vf_fma(vf_sub(zero, *a), *a, one);
        break;
    case MNC_SIGMOID:
        *a = v_sigmoid(z);
        *f = vf_mul(*a, vf_sub(one, *a));
        break;
    case MNC_ELU: v_elu(z, one, slope, a, f); break;
    case MNC_SELU: { /* Klambauer et al. 2017; the second constant is the product of theirs */
        v_elu(z, vf_set1((MNC_REAL)1.0507009873554805), vf_set1((MNC_REAL)1.7580993408473766), a, f);
        break;
    }
    case MNC_GELU: { /* z times the share of a normal distribution below z */
        const vf share = v_normal(z);
        *a = vf_mul(z, share);
        *f = vf_fma(z, v_normal_density(z), share);
        break;
    }
    case MNC_GELU_TANH: { /* z times a sigmoid, (1 + tanh(u)) / 2 = sigmoid(2 u); 2 u = z (c + d z^2), c = sqrt(8 / pi) */
        const vf c = vf_set1((MNC_REAL)1.5957691216057308), d = vf_set1((MNC_REAL)0.07135481627260025);
        const vf most = vf_set1(400), all = vf_mul(z, z); /* beyond, the sigmoid is 0 or 1, and all^2 may overflow */
        const vf square = vf_select(vf_lt(most, all), most, all), s = v_sigmoid(vf_mul(z, vf_fma(square, d, c)));
        *a = vf_mul(z, s);
        *f = vf_fma(vf_mul(*a, vf_sub(one, s)), vf_fma(vf_mul(square, d), vf_set1(3), c), s);
        break;
    }
    case MNC_SILU: {
        const vf s = v_sigmoid(z);
        *a = vf_mul(z, s);
        *f = vf_fma(*a, vf_sub(one, s), s);
        break;
    }
    case MNC_SOFTPLUS:
        *a = v_softplus(z);
        *f = v_sigmoid(z);
        break;
    }
}

MNC_INLINE void activate_as(const mnc_activation kind, const mnc_map *m) {
    const vf slope = vf_set1((MNC_REAL)m->slope);
    const mnc_dropout *d = m->dropout;
    const vf scale = vf_set1(d ? (MNC_REAL)d->scale : 1);
    for (size_t row = m->row0; row < m->row1; row++) {
        vu word[4];
        for (size_t panel = m->panel0; panel < m->panel1; panel++) {
            MNC_REAL *at = (MNC_REAL *)m->a + row * m->ld + panel * MNC_PANEL;
            vf a, f;
            v_activation(kind, slope, vf_load(at), &a, &f);
            if (d) {
                if (panel == m->panel0 || panel % 4 == 0)
                    unit_words(MNC_STREAM_DROPOUT, d->seed, d->step, d->layer, d->first_row + row, panel / 4, word);
                const vm drop = vu_lt(word[panel % 4], vu_set1(d->threshold));
                a = vf_drop(drop, vf_mul(a, scale));
                f = vf_drop(drop, vf_mul(f, scale));
            }
            vf_store(at, a);
            if (m->f) vf_store((MNC_REAL *)m->f + row * m->ld + panel * MNC_PANEL, f);
        }
    }
}

static void MNC_K(activate)(const mnc_map *m) {
#define CASE(value, name) \
    case MNC_##value: activate_as(MNC_##value, m); break;
    switch (m->activation) { MNC_ACTIVATIONS(CASE) }
#undef CASE
}

static void MNC_K(add_noise)(const mnc_noise *n) {
    const vf stddev = vf_set1((MNC_REAL)n->stddev);
    for (size_t row = n->row0; row < n->row1; row++) {
        vu word[4];
        vf normal[4];
        for (size_t panel = n->panel0; panel < n->panel1; panel++) {
            MNC_REAL *at = (MNC_REAL *)n->a + row * n->ld + panel * MNC_PANEL;
            if (panel == n->panel0 || panel % 4 == 0) {
                unit_words(MNC_STREAM_NOISE, n->seed, n->step, n->layer, n->first_row + row, panel / 4, word);
                v_normals(word, normal);
                v_normals(word + 2, normal + 2);
            }
            vf_store(at, vf_fma(stddev, normal[panel % 4], vf_load(at)));
        }
    }
}

static void MNC_K(multiply)(mnc_real *out, const mnc_real *x, const mnc_real *f, size_t ld, size_t row0, size_t row1) {
    for (size_t i = row0 * ld; i < row1 * ld; i += 16) {
        const vf v = vf_load((const MNC_REAL *)x + i);
        vf_store((MNC_REAL *)out + i, f ? vf_mul(v, vf_load((const MNC_REAL *)f + i)) : v);
    }
}

/* ---------------------------------------------------------------- optimizers */
/* Slots below 2^-100 are stored as +0: Adam's first moment would otherwise decay into denormals and stay there, and
 * arithmetic on denormals is several times slower. */
MNC_INLINE vm v_vanishes(vf x) { return vf_lt(vf_abs(x), vf_set1((MNC_REAL)7.888609052210118e-31)); }
MNC_INLINE vf v_flush(vf x) { return vf_drop(v_vanishes(x), x); }

/* One vector of one optimizer step. Adding an optimizer: a case here, its constants in net/optimizer.c. */
MNC_INLINE vf v_update(const mnc_update_kind kind, const mnc_update *u, vf w, vf g, MNC_REAL *s0, MNC_REAL *s1,
                       MNC_REAL *s2) {
    const vf rate = vf_set1((MNC_REAL)u->rate), momentum = vf_set1((MNC_REAL)u->momentum), zero = vf_set1(0);
    const vf minus_rate_g = vf_mul(vf_sub(zero, rate), g);
    vf m, v;
    switch (kind) {
    case MNC_UPDATE_SGD: return vf_fma(vf_sub(zero, rate), g, w);
    case MNC_UPDATE_MOMENTUM:
    case MNC_UPDATE_NESTEROV:
        m = v_flush(vf_fma(momentum, vf_load(s0), minus_rate_g));
        vf_store(s0, m);
        return kind == MNC_UPDATE_MOMENTUM ? vf_add(w, m) : vf_add(w, vf_fma(momentum, m, minus_rate_g));
    case MNC_UPDATE_RMSPROP: {
        const vf rho = vf_set1((MNC_REAL)u->rho), rest = vf_set1((MNC_REAL)u->one_minus_rho);
        v = v_flush(vf_fma(rho, vf_load(s0), vf_mul(rest, vf_mul(g, g))));
        vf_store(s0, v);
        if (u->mean_slot >= 0) {
            MNC_REAL *const slot = u->mean_slot == 1 ? s1 : s2;
            const vf mean = v_flush(vf_fma(rho, vf_load(slot), vf_mul(rest, g)));
            vf_store(slot, mean);
            v = vf_fma(vf_sub(zero, mean), mean, v);
        }
        vf step = vf_div(vf_mul(rate, g), vf_sqrt(vf_add(v, vf_set1((MNC_REAL)u->epsilon))));
        if (u->momentum_slot >= 0) {
            step = v_flush(vf_fma(momentum, vf_load(s1), step));
            vf_store(s1, step);
        }
        return vf_sub(w, step);
    }
    case MNC_UPDATE_ADAM: {
        m = vf_load(s0), v = vf_load(s1);
        m = vf_fma(vf_sub(g, m), vf_set1((MNC_REAL)u->one_minus_beta1), m);
        v = v_flush(vf_fma(vf_fma(g, g, vf_sub(zero, v)), vf_set1((MNC_REAL)u->one_minus_beta2), v));
        const vm vanishes = v_vanishes(m);
        m = vf_drop(vanishes, m);
        vf_store(s0, m);
        vf_store(s1, v);
        if (vm_all(vanishes)) return w; /* of pixels that are hardly ever set: no root, no division */
        return vf_sub(w, vf_div(vf_mul(m, rate), vf_add(vf_sqrt(v), vf_set1((MNC_REAL)u->epsilon))));
    }
    case MNC_UPDATE_ADAGRAD:
        v = v_flush(vf_fma(g, g, vf_load(s0)));
        vf_store(s0, v);
        return vf_sub(w, vf_div(vf_mul(rate, g), vf_sqrt(vf_add(v, vf_set1((MNC_REAL)u->epsilon)))));
    }
    return w;
}

MNC_INLINE void update_as(const mnc_update_kind kind, const mnc_update *shared, size_t n, MNC_REAL *w,
                          mnc_real *const slots[3], const MNC_REAL *g, size_t stride) {
    const mnc_update constants = *shared, *const u = &constants; /* a copy that no store below can change */
    MNC_REAL *const s0 = slots[0], *const s1 = slots[1], *const s2 = slots[2];
    const vf zero = vf_set1(0), minus_decay = vf_set1(-(MNC_REAL)u->decay);
    for (size_t i = 0; i < n; i += 16, g += stride) {
        vf x = vf_load(w + i);
        if (u->decay != 0) x = vf_fma(minus_decay, x, x);
        /* + 0: a chain that underflowed to -0 is the same as one that did not (the sparse one skipped terms). */
        vf_store(w + i, v_update(kind, u, x, vf_add(vf_load(g), zero), s0 ? s0 + i : NULL, s1 ? s1 + i : NULL,
                                 s2 ? s2 + i : NULL));
    }
}

static void MNC_K(update)(const mnc_update *u, size_t n, mnc_real *w, mnc_real *const slots[3], const mnc_real *g,
                          size_t stride) {
    switch (u->kind) {
    case MNC_UPDATE_SGD: update_as(MNC_UPDATE_SGD, u, n, w, slots, g, stride); break;
    case MNC_UPDATE_MOMENTUM: update_as(MNC_UPDATE_MOMENTUM, u, n, w, slots, g, stride); break;
    case MNC_UPDATE_NESTEROV: update_as(MNC_UPDATE_NESTEROV, u, n, w, slots, g, stride); break;
    case MNC_UPDATE_RMSPROP: update_as(MNC_UPDATE_RMSPROP, u, n, w, slots, g, stride); break;
    case MNC_UPDATE_ADAM: update_as(MNC_UPDATE_ADAM, u, n, w, slots, g, stride); break;
    case MNC_UPDATE_ADAGRAD: update_as(MNC_UPDATE_ADAGRAD, u, n, w, slots, g, stride); break;
    }
}

/* ---------------------------------------------------------------- gradients and penalties */
static void MNC_K(accumulate)(size_t n, mnc_real *sum_, const mnc_real *g_, size_t stride, bool first) {
    MNC_REAL *sum = sum_;
    const MNC_REAL *g = g_;
    const vf zero = vf_set1(0);
    for (size_t i = 0; i < n; i += 16, g += stride)
        vf_store(sum + i, vf_add(first ? zero : vf_load(sum + i), vf_load(g)));
}

static void MNC_K(regularise)(size_t n, mnc_real *g_, size_t stride, const mnc_real *w_, double l1, double l2) {
    MNC_REAL *g = g_;
    const MNC_REAL *w = w_;
    const vf zero = vf_set1(0), plus = vf_set1((MNC_REAL)l1), minus = vf_set1(-(MNC_REAL)l1);
    const vf twice_l2 = vf_set1((MNC_REAL)(2 * l2));
    for (size_t i = 0; i < n; i += 16, g += stride) {
        const vf x = vf_load(w + i);
        vf sum = vf_add(vf_load(g), zero);
        if (l2 != 0) sum = vf_fma(twice_l2, x, sum);
        if (l1 != 0) sum = vf_add(sum, vf_select(vf_lt(x, zero), minus, vf_select(vf_lt(zero, x), plus, zero)));
        vf_store(g, sum);
    }
}

static void MNC_K(clip)(size_t n, mnc_real *g_, size_t stride, double scale, double most) {
    MNC_REAL *g = g_;
    const vf factor = vf_set1((MNC_REAL)scale), high = vf_set1((MNC_REAL)most), low = vf_set1(-(MNC_REAL)most);
    for (size_t i = 0; i < n; i += 16, g += stride) {
        vf x = vf_mul(vf_load(g), factor);
        if (most != 0) x = vf_select(vf_lt(high, x), high, vf_select(vf_lt(x, low), low, x));
        vf_store(g, x);
    }
}

static void MNC_K(squares)(size_t n, double *out, const mnc_real *x) {
    for (size_t i = 0; i < n; i++) out[i] = (double)((const MNC_REAL *)x)[i] * (double)((const MNC_REAL *)x)[i];
}

/* Sums of the squares and of the sizes of the columns of a panel, rows ascending. */
MNC_INLINE void column_sums(size_t n, const mnc_real *w_, double square[MNC_PANEL], double size[MNC_PANEL]) {
    typedef MNC_REAL reals __attribute__((vector_size(4 * sizeof(MNC_REAL))));
    typedef double four __attribute__((vector_size(32)));
    typedef int64_t bits __attribute__((vector_size(32)));
    four squares[4] = {{0}}, sizes[4] = {{0}};
    for (size_t i = 0; i < n; i += 16) {
#pragma GCC unroll 4
        for (int part = 0; part < 4; part++) {
            reals w;
            memcpy(&w, (const MNC_REAL *)w_ + i + 4 * part, sizeof w);
            const four x = __builtin_convertvector(w, four);
            squares[part] += x * x;
            sizes[part] += (four)((bits)x & INT64_MAX); /* |x| */
        }
    }
    memcpy(square, squares, sizeof squares);
    memcpy(size, sizes, sizeof sizes);
}

static void MNC_K(column_squares)(size_t n, double out[MNC_PANEL], const mnc_real *w) {
    double unused[MNC_PANEL];
    column_sums(n, w, out, unused);
}

static void MNC_K(scale_columns)(size_t n, mnc_real *w_, const double factors[MNC_PANEL]) {
    MNC_REAL *w = w_, factor[MNC_PANEL];
    for (size_t j = 0; j < MNC_PANEL; j++) factor[j] = (MNC_REAL)factors[j];
    const vf f = vf_load(factor);
    for (size_t i = 0; i < n; i += 16) vf_store(w + i, vf_mul(vf_load(w + i), f));
}

static double MNC_K(penalty)(size_t n, const mnc_real *w, double l1, double l2) {
    double square[MNC_PANEL], size[MNC_PANEL];
    column_sums(n, w, square, size);
    for (int half = 8; half; half /= 2)
        for (int lane = 0; lane < half; lane++) {
            square[lane] += square[lane + half];
            size[lane] += size[lane + half];
        }
    return l1 * size[0] + l2 * square[0];
}

static bool MNC_K(finite)(size_t n, const mnc_real *x_) {
    const MNC_REAL *x = x_;
    const vf zero = vf_set1(0);
    vf sum[4] = {zero, zero, zero, zero}; /* of x * 0: NaN as soon as one x is not finite */
    size_t i = 0;
    for (; i + 64 <= n; i += 64)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) sum[j] = vf_fma(vf_load(x + i + 16 * j), zero, sum[j]);
    for (; i < n; i += 16) sum[0] = vf_fma(vf_load(x + i), zero, sum[0]);
    MNC_REAL lane[16];
    vf_store(lane, vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3])));
    bool all = true;
    for (int j = 0; j < 16; j++) all &= lane[j] == 0;
    return all;
}

/* ---------------------------------------------------------------- inputs */
static void MNC_K(decode)(mnc_real *out, const uint8_t *codes, const mnc_real *table, size_t n) {
    for (size_t i = 0; i < n; i++) ((MNC_REAL *)out)[i] = ((const MNC_REAL *)table)[codes[i]];
}

static void MNC_K(convert)(mnc_real *out, mnc_element element, const void *x, size_t n) {
    MNC_REAL *r = out;
    if (element == MNC_REAL32)
        for (size_t i = 0; i < n; i++) r[i] = (MNC_REAL)((const float *)x)[i];
    else if (element == MNC_REAL64)
        for (size_t i = 0; i < n; i++) r[i] = (MNC_REAL)((const double *)x)[i];
}

static void MNC_K(scale_table)(mnc_real *out, const mnc_real *table, double scale, size_t n) {
    for (size_t i = 0; i < n; i++) ((MNC_REAL *)out)[i] = ((const MNC_REAL *)table)[i] * (MNC_REAL)scale;
}
