/* Every algorithm, then the table of this instantiation. Parameters, set by kernels_<isa>.c before:
 *   vocabulary of simd/    MNC_REAL, MNC_REAL_IS_F64    MNC_MR, MNC_NP (product.inc.h)
 *   MNC_SPARSE_CHAINS (sparse.inc.h)
 *   MNC_ISA                suffix of the functions' names, so that a profile tells variants apart
 *   MNC_ISA_NAME, MNC_ISA_CPU */
#define MNC_JOIN2(a, b) a##_##b
#define MNC_JOIN(a, b) MNC_JOIN2(a, b)
#define MNC_K(name) MNC_JOIN(name, MNC_ISA)

#include "kernels/math.inc.h"
#include "kernels/product.inc.h"
#include "kernels/find.inc.h"
#include "kernels/sparse.inc.h"
#include "kernels/elementwise.inc.h"
#include "kernels/head.inc.h"
#include "kernels/norm.inc.h"

const mnc_kernels MNC_JOIN(mnc_kernels, MNC_ISA) = {
    .isa = MNC_ISA_NAME,
    .dtype = MNC_REAL_IS_F64 ? MNC_FLOAT64 : MNC_FLOAT32,
    .cpu = MNC_ISA_CPU,
    .real_size = sizeof(MNC_REAL),
    .dense_forward = MNC_K(dense_forward),
    .find_codes = MNC_K(find_codes),
    .find_floats = MNC_K(find_floats),
    .sparse_forward = MNC_K(sparse_forward),
    .dense_delta = MNC_K(dense_delta),
    .dense_gradient = MNC_K(dense_gradient),
    .sparse_gradient = MNC_K(sparse_gradient),
    .column_gradient = MNC_K(column_gradient),
    .bias_gradient = MNC_K(bias_gradient),
    .activate = MNC_K(activate),
    .add_noise = MNC_K(add_noise),
    .multiply = MNC_K(multiply),
    .head = MNC_K(head),
    .norm_train = MNC_K(norm_train),
    .norm_infer = MNC_K(norm_infer),
    .norm_backward = MNC_K(norm_backward),
    .moving_average = MNC_K(moving_average),
    .update = MNC_K(update),
    .accumulate = MNC_K(accumulate),
    .regularise = MNC_K(regularise),
    .clip = MNC_K(clip),
    .squares = MNC_K(squares),
    .column_squares = MNC_K(column_squares),
    .scale_columns = MNC_K(scale_columns),
    .penalty = MNC_K(penalty),
    .finite = MNC_K(finite),
    .decode = MNC_K(decode),
    .convert = MNC_K(convert),
    .scale_table = MNC_K(scale_table),
};
