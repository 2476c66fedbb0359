/* Records of the non-zero inputs of a row: sixteen inputs at a time, those that are not zero packed one behind the
 * other. Most sixteens of an image are zero altogether. Floats count as words, so that -0 is an entry, too; that changes
 * nothing. */

/* As vu_pack, but at most `room` of them, and nothing is written behind. */
MNC_OUTLINE size_t pack_some(mnc_sparse_row *out, uint32_t bits, vu a, size_t room) {
    uint32_t found[16];
    const size_t all = vu_pack(found, bits, a), some = all < room ? all : room;
    memcpy(out, found, some * sizeof *found);
    return some;
}

/* Entries of inputs k ... k + 15, which lie at x: codes or floats. Returns how many, at most `room`. */
MNC_INLINE size_t find_sixteen(const bool coded, mnc_sparse_row *entries, const void *x, size_t k, uint8_t zero,
                               size_t room) {
    const uint32_t bits = coded ? vu_differ_bytes(x, zero) : vu_differ(vu_load(x), 0);
    vu high;
    if (!bits) return 0;
    const vu place = vu_xor(vu_mul(vu_iota(0), 256, &high), vu_set1((uint32_t)k << 8));
    const vu entry = coded ? vu_xor(place, vu_load_bytes(x)) : place;
    return room < 16 ? pack_some(entries, bits, entry, room) : vu_pack(entries, bits, entry);
}

/* room: entries that fit; more cannot come unless somebody changes x meanwhile. */
MNC_INLINE void find_as(const bool coded, mnc_sparse_row *record, const void *x, size_t n, uint8_t zero, size_t room) {
    const size_t size = coded ? 1 : sizeof(uint32_t);
    mnc_sparse_row *entries = record + mnc_feature_blocks(n);
    size_t count = 0;
    for (size_t begin = 0; begin < n; begin += MNC_FEATURE_BLOCK) {
        const size_t end = n - begin < MNC_FEATURE_BLOCK ? n : begin + MNC_FEATURE_BLOCK;
        size_t k = begin;
        for (; k + 16 <= end; k += 16)
            count += find_sixteen(coded, entries + count, (const char *)x + k * size, k, zero, room - count);
        if (k < end) { /* the last ones, filled up */
            uint32_t rest[16];
            memset(rest, coded ? zero : 0, sizeof rest);
            memcpy(rest, (const char *)x + k * size, (end - k) * size);
            count += find_sixteen(coded, entries + count, rest, k, zero, room - count);
        }
        record[begin / MNC_FEATURE_BLOCK] = (uint32_t)count;
    }
}

static void MNC_K(find_codes)(mnc_sparse_row *record, const uint8_t *codes, size_t n, uint8_t zero, size_t room) {
    find_as(true, record, codes, n, zero, room);
}

static void MNC_K(find_floats)(mnc_sparse_row *record, const float *x, size_t n) { find_as(false, record, x, n, 0, n); }
