/* Walks over the elements of a constant, for operators that move them. */
#ifndef LIBRESNET_LOADER_IMPORT_STRIDED_COPY_H
#define LIBRESNET_LOADER_IMPORT_STRIDED_COPY_H

#include "loader/import/constants.h"

enum { STRIDED_RANK = 2 * MAX_RANK };

/* Loops over `rank` axes, the last one innermost: position (i0,i1,...) is the element
 * sum of i * steps. Steps may be 0 or negative. */
typedef struct strided_walk {
  uint32_t rank;
  int64_t dims[STRIDED_RANK], steps[STRIDED_RANK];
} strided_walk;

/* Compute the distance in elements between neighbours along each axis of `t`; 0 for all
 * if it has no elements. */
void strided_steps(const constant *t, int64_t steps[MAX_RANK]);

/* Fill `to` in order with the elements of `from` that the walk visits from `base` on. The
 * walk has as many positions as `to` has elements, and stays inside of `from`. */
resnet_status strided_copy(import_context *ctx, constant *to, const constant *from, int64_t base,
                           const strided_walk *walk);

/* Fill `to` with the one element of `from`. */
resnet_status strided_fill(import_context *ctx, constant *to, const constant *from);

#endif
