/* Records of the non-zero inputs of a row: sixteen inputs at a time, those that are not zero packed one behind the
 * other. Floats count as words, so that -0 is an entry, too; that changes nothing. */

/* x: codes or floats. room: entries that fit; more cannot come unless somebody changes x meanwhile. */
MNC_INLINE void find_as(const bool coded, mnc_sparse_row *record, const void *x, size_t n, uint8_t zero, size_t room) {
    const size_t blocks = mnc_feature_blocks(n), size = coded ? 1 : sizeof(uint32_t);
    const vu nothing = vu_set1(coded ? zero : 0);
    mnc_sparse_row *entries = record + blocks;
    vu high;
    const vu lanes = vu_mul(vu_iota(0), 256, &high);
    size_t count = 0;
    for (size_t k = 0; k < n; k += 16) {
        uint32_t rest[16], found[16];
        const void *at = (const char *)x + k * size;
        if (n - k < 16) { /* the last ones, filled up */
            memset(rest, coded ? zero : 0, sizeof rest);
            memcpy(rest, at, (n - k) * size);
            at = rest;
        }
        const vu a = coded ? vu_load_bytes(at) : vu_load(at);
        const vu entry = vu_xor(vu_xor(lanes, vu_set1((uint32_t)k << 8)), coded ? a : vu_set1(0));
        const vm nonzero = vu_lt(vu_set1(0), vu_xor(a, nothing));
        if (room - count >= 16) {
            count += vu_pack(entries + count, nonzero, entry);
        } else {
            const size_t all = vu_pack(found, nonzero, entry), some = all < room - count ? all : room - count;
            memcpy(entries + count, found, some * sizeof *found);
            count += some;
        }
        if ((k + 16) % MNC_FEATURE_BLOCK == 0 || n - k <= 16) record[k / MNC_FEATURE_BLOCK] = (uint32_t)count;
    }
}

static void MNC_K(find_codes)(mnc_sparse_row *record, const uint8_t *codes, size_t n, uint8_t zero, size_t room) {
    find_as(true, record, codes, n, zero, room);
}

static void MNC_K(find_floats)(mnc_sparse_row *record, const float *x, size_t n) { find_as(false, record, x, n, 0, n); }
