/* Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four random words as a pure
 * function of a key and a counter. Nothing to store, nothing to share between threads. */
#ifndef MNC_BASE_RNG_H
#define MNC_BASE_RNG_H

#include "base/status.h"

#define MNC_PHILOX_M0 0xD2511F53u
#define MNC_PHILOX_M1 0xCD9E8D57u
#define MNC_PHILOX_W0 0x9E3779B9u
#define MNC_PHILOX_W1 0xBB67AE85u
#define MNC_PHILOX_ROUNDS 10

/* Purposes: the low byte of counter word c3. ARCHITECTURE.md has the table. */
enum { MNC_STREAM_INIT = 1, MNC_STREAM_SHUFFLE = 2, MNC_STREAM_DROPOUT = 3, MNC_STREAM_NOISE = 4 };

void mnc_philox(uint64_t seed, const uint32_t counter[4], uint32_t out[4]);

/* Initial values in double, elements first ... first + n - 1 (row-major) of a tensor: uniform in (0, 1). */
void mnc_random_uniform(uint64_t seed, size_t tensor, size_t first, size_t n, double *out);
/* The point below which a standard normal variable lies with probability p (Wichura's AS 241 without its far tails:
 * 1.4e-11 <= p <= 1 - 1.4e-11, and no u above is nearer to 0 or 1 than 1.1e-10). */
double mnc_normal_quantile(double p);

#endif
