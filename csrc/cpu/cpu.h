/* What this CPU can do. */
#ifndef MNC_CPU_CPU_H
#define MNC_CPU_CPU_H

#include "base/status.h"

enum { MNC_CPU_AVX2_FMA = 1, MNC_CPU_AVX512 = 2 };

/* Bits of the features that the CPU has and the operating system saves (the builtins look at XCR0). */
unsigned mnc_cpu_features(void);

/* Denormals kept, rounding to nearest, for the calling thread; returns what to give to mnc_cpu_restore. Another
 * library may have set flush-to-zero in this thread, which would change our bits. */
unsigned mnc_cpu_normalise(void);
void mnc_cpu_restore(unsigned state);

#endif
