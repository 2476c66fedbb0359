/* Opens a region whose functions may use AVX2 and FMA; target_end.h closes it. Include immintrin.h before. */
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,popcnt")
#endif
