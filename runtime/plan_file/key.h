/* The key of packed weights: everything that packing depends on, besides the weights. If
 * keys differ, weights are packed again. */
#ifndef LIBRESNET_RUNTIME_PLAN_FILE_KEY_H
#define LIBRESNET_RUNTIME_PLAN_FILE_KEY_H

#include "runtime/plan/plan.h"

enum { PLAN_KEY_TEXT = 96 };

typedef struct plan_file_key {
  plan_options options; /* without `algorithms` */
  /* instruction set of our own kernels, and a fingerprint of how all kernels pack here */
  char cpu[PLAN_KEY_TEXT];
  /* versions of this library, of its packing and of XNNPACK */
  char build[PLAN_KEY_TEXT];
} plan_file_key;

/* Make the key of this library on this CPU with these options. XNNPACK must be
 * initialised. */
resnet_status plan_file_key_make(plan_file_key *key, memory *m, const plan_options *options,
                                 resnet_error *error);

/* Return whether weights packed under `found` are useless under `key`. If so, write the
 * reason to `why`, of `size` bytes. */
bool plan_file_key_differs(const plan_file_key *found, const plan_file_key *key, char *why,
                           size_t size);

#endif
