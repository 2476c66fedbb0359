/* Batch normalisation (Ioffe and Szegedy 2015) with Keras's conventions. Lanes are features; chains run over rows. */

/* One panel's vector of a parameter, or a constant where there is none. */
MNC_INLINE vf norm_vector(const mnc_real *x, size_t panel, MNC_REAL otherwise) {
    return x ? vf_load((const MNC_REAL *)x + panel * MNC_PANEL) : vf_set1(otherwise);
}

static void MNC_K(moving_average)(size_t n, mnc_real *moving, const mnc_real *batch, double momentum) {
    const vf keep = vf_set1((MNC_REAL)momentum), rest = vf_set1((MNC_REAL)(1 - momentum));
    for (size_t i = 0; i < n; i += 16) {
        MNC_REAL *at = (MNC_REAL *)moving + i;
        vf_store(at, vf_fma(vf_load(at), keep, vf_mul(vf_load((const MNC_REAL *)batch + i), rest)));
    }
}

/* Mean over rows of x, or of (x - mean)^2. */
MNC_INLINE vf norm_mean(const mnc_norm *n, size_t panel, const bool squared, vf mean) {
    const MNC_REAL *x = (const MNC_REAL *)n->x + panel * MNC_PANEL;
    vf total = vf_set1(0);
    for (size_t row = 0; row < n->rows; row += n->cut) {
        const size_t end = n->rows - row < n->cut ? n->rows : row + n->cut;
        vf chain = vf_set1(0);
        for (size_t r = row; r < end; r++) {
            const vf v = vf_load(x + r * n->ld);
            const vf d = vf_sub(v, mean);
            chain = squared ? vf_fma(d, d, chain) : vf_add(chain, v);
        }
        total = vf_add(total, chain);
    }
    return vf_div(total, vf_set1((MNC_REAL)n->rows));
}

static void MNC_K(norm_train)(const mnc_norm *n) {
    for (size_t panel = n->panel0; panel < n->panel1; panel++) {
        const vf gamma = norm_vector(n->gamma, panel, 1), beta = norm_vector(n->beta, panel, 0);
        const vf mean = norm_mean(n, panel, false, vf_set1(0)), variance = norm_mean(n, panel, true, mean);
        const vf deviation = vf_sqrt(vf_add(variance, vf_set1((MNC_REAL)n->epsilon)));
        const vf inv = vf_div(vf_set1(1), deviation);
        vf_store((MNC_REAL *)n->inv + panel * MNC_PANEL, inv);
        vf_store((MNC_REAL *)n->mean + panel * MNC_PANEL, mean);
        vf_store((MNC_REAL *)n->variance + panel * MNC_PANEL, variance);
        for (size_t row = 0; row < n->rows; row++) {
            const size_t at = row * n->ld + panel * MNC_PANEL;
            const vf xhat = vf_mul(vf_sub(vf_load((const MNC_REAL *)n->x + at), mean), inv);
            vf_store((MNC_REAL *)n->xhat + at, xhat);
            vf_store((MNC_REAL *)n->y + at, vf_fma(xhat, gamma, beta));
        }
    }
}

/* With constant statistics nothing is summed over rows. */
static void MNC_K(norm_infer)(const mnc_norm *n) {
    for (size_t panel = n->panel0; panel < n->panel1; panel++) {
        const vf gamma = norm_vector(n->gamma, panel, 1), beta = norm_vector(n->beta, panel, 0);
        const vf mean = norm_vector(n->mean, panel, 0), variance = norm_vector(n->variance, panel, 1);
        const vf deviation = vf_sqrt(vf_add(variance, vf_set1((MNC_REAL)n->epsilon)));
        const vf s = vf_div(gamma, deviation), t = vf_fma(vf_sub(vf_set1(0), mean), s, beta);
        const vf inv = vf_div(vf_set1(1), deviation);
        if (n->xhat) vf_store((MNC_REAL *)n->inv + panel * MNC_PANEL, inv);
        for (size_t row = 0; row < n->rows; row++) {
            const size_t at = row * n->ld + panel * MNC_PANEL;
            const vf x = vf_load((const MNC_REAL *)n->x + at);
            vf_store((MNC_REAL *)n->y + at, vf_fma(x, s, t));
            if (n->xhat) vf_store((MNC_REAL *)n->xhat + at, vf_mul(vf_sub(x, mean), inv));
        }
    }
}

/* dbeta = sum of delta, dgamma = sum of delta xhat, both over rows;
 * dx = gamma inv (delta - dbeta / B - xhat dgamma / B), times f. */
static void MNC_K(norm_backward)(const mnc_norm *n) {
    const vf rows = vf_set1((MNC_REAL)n->rows);
    for (size_t panel = n->panel0; panel < n->panel1; panel++) {
        const MNC_REAL *delta = (const MNC_REAL *)n->delta + panel * MNC_PANEL;
        const MNC_REAL *xhat = (const MNC_REAL *)n->xhat + panel * MNC_PANEL;
        vf dbeta = vf_set1(0), dgamma = vf_set1(0);
        for (size_t row = 0; row < n->rows; row += n->cut) {
            const size_t end = n->rows - row < n->cut ? n->rows : row + n->cut;
            vf beta_chain = vf_set1(0), gamma_chain = vf_set1(0);
            for (size_t r = row; r < end; r++) {
                const vf d = vf_load(delta + r * n->ld);
                beta_chain = vf_add(beta_chain, d);
                gamma_chain = vf_fma(d, vf_load(xhat + r * n->ld), gamma_chain);
            }
            dbeta = vf_add(dbeta, beta_chain);
            dgamma = vf_add(dgamma, gamma_chain);
        }
        vf_store((MNC_REAL *)n->dbeta + panel * MNC_PANEL, dbeta);
        vf_store((MNC_REAL *)n->dgamma + panel * MNC_PANEL, dgamma);
        if (!n->dx) continue;
        const vf inv = norm_vector(n->inv, panel, 1), scale = vf_mul(norm_vector(n->gamma, panel, 1), inv);
        const vf zero = vf_set1(0);
        const vf mean_delta = n->frozen ? zero : vf_div(dbeta, rows);
        const vf mean_product = n->frozen ? zero : vf_div(dgamma, rows);
        for (size_t row = 0; row < n->rows; row++) {
            const size_t at = row * n->ld + panel * MNC_PANEL;
            const vf centred = vf_sub(vf_load((const MNC_REAL *)n->delta + at), mean_delta);
            vf dx = vf_mul(scale, vf_sub(centred, vf_mul(vf_load((const MNC_REAL *)n->xhat + at), mean_product)));
            if (n->f) dx = vf_mul(dx, vf_load((const MNC_REAL *)n->f + at));
            vf_store((MNC_REAL *)n->dx + at, dx);
        }
    }
}
