/* Double-precision functions made of + - * / and bit moves only, so that schedules, bias corrections and initial
 * values have the same bits with every compiler and libm. Errors measured against libm: see each function. */
#ifndef MNC_BASE_MATH_H
#define MNC_BASE_MATH_H

#include "base/status.h"

double mnc_log(double x);               /* normal x > 0; within 2 ulp */
double mnc_exp(double x);               /* within 2 ulp; beyond +-708: 0, infinity */
double mnc_cos_pi(double x);            /* cos(pi x) for 0 <= x <= 1; absolute error below 4e-16 */
double mnc_power(double x, uint64_t n); /* x^n by squaring; relative error below n 2^-53 */

#endif
