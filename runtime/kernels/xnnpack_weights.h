/* Packed weights: packed once when the model is opened, read by the XNNPACK operators of
 * all its sessions.
 *
 * XNNPACK asks a weights cache provider where packed weights are and whether it must
 * pack. Its own provider keys on the address and content of the unpacked weights, which
 * we want to release; ours belongs to one operator and knows the slot that the operator's
 * weights live in.
 */
#ifndef LIBRESNET_RUNTIME_KERNELS_XNNPACK_WEIGHTS_H
#define LIBRESNET_RUNTIME_KERNELS_XNNPACK_WEIGHTS_H

#include <xnnpack.h>

#include "runtime/plan/plan.h"

/* One for each operator, at an address that stays as long as the operator. */
typedef struct weights_provider {
  struct xnn_weights_cache_provider provider;
  /* where to allocate while packing; NULL: the slot is packed and read-only */
  memory *memory;
  plan_packed_weights *slot;
  /* where to leave the size that was asked for; NULL unless measuring */
  size_t *measured;
} weights_provider;

/* For measuring: an operator created with it fails for want of memory, having told `size`
 * what packing would take. */
void weights_provider_measure(weights_provider *p, size_t *size);

/* For packing: the operator created with it writes the slot. */
void weights_provider_pack(weights_provider *p, memory *m, plan_packed_weights *slot);

/* For running: the operator created with it reads the slot. */
void weights_provider_read(weights_provider *p, const plan_packed_weights *slot);

#endif
