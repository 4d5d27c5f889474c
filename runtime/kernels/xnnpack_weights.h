/* XNNPACK's packed weights: packed once when the model is opened, read by the operators
 * of all its sessions.
 *
 * XNNPACK asks a weights cache provider where packed weights are and whether it must
 * pack. Its own provider looks weights up by the address and content of the unpacked
 * ones, which we want to release. Ours belongs to one operator and knows the place of its
 * weights. */
#ifndef LIBRESNET_RUNTIME_KERNELS_XNNPACK_WEIGHTS_H
#define LIBRESNET_RUNTIME_KERNELS_XNNPACK_WEIGHTS_H

#include <xnnpack.h>

#include "runtime/plan/plan.h"

/* One for each operator, at an address that stays valid as long as the operator. */
typedef struct weights_provider {
  struct xnn_weights_cache_provider provider;
  memory *memory; /* allocator while packing; NULL: `packed` is complete, read-only */
  plan_packed_weights *packed;
  size_t *measured; /* receives the size that XNNPACK asks for; NULL unless measuring */
} weights_provider;

/* Prepare for measuring: creating an operator with the provider sets *size to the bytes
 * of its packed weights, and then fails for lack of memory. */
void weights_provider_measure(weights_provider *p, size_t *size);

/* Prepare for packing: creating an operator with the provider fills *packed. */
void weights_provider_pack(weights_provider *p, memory *m, plan_packed_weights *packed);

/* Prepare for running: an operator created with the provider reads *packed. */
void weights_provider_read(weights_provider *p, const plan_packed_weights *packed);

#endif
