/* What packed weights depend on besides the weights: where any of it differs, they are
 * packed anew. */
#ifndef LIBRESNET_RUNTIME_PLAN_FILE_KEY_H
#define LIBRESNET_RUNTIME_PLAN_FILE_KEY_H

#include "runtime/plan/plan.h"

enum { PLAN_KEY_TEXT = 96 };

typedef struct plan_key {
  plan_options options;
  /* our own kernels for this CPU, and a fingerprint of how all kernels pack on it */
  char cpu[PLAN_KEY_TEXT];
  /* versions of this library, of its packing and of XNNPACK */
  char build[PLAN_KEY_TEXT];
} plan_key;

/* The key of this library on this CPU with these options; XNNPACK is initialised. */
resnet_status plan_key_make(plan_key *key, memory *m, const plan_options *options,
                            resnet_error *error);

/* Why weights packed under `found` are of no use under `key`; false where they are. */
bool plan_key_differs(const plan_key *found, const plan_key *key, char *why, size_t size);

#endif
