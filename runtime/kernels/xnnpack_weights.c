#include "runtime/kernels/xnnpack_weights.h"

#include <string.h>

/* what XNNPACK takes for offsets: each provider holds one entry, at offset 0 */
enum { NOT_FOUND = -1, FOUND = 0 };

static size_t look_up(void *context, const struct xnn_weights_cache_look_up_key *key) {
  const weights_provider *p = context;
  (void)key;
  return p->memory || p->measured ? (size_t)NOT_FOUND : FOUND;
}

static void *reserve_space(void *context, size_t size) {
  weights_provider *p = context;
  if (p->measured) *p->measured = size;
  /* a session packs nothing: look_up found the weights */
  if (!p->memory) return NULL;
  p->packed->data = mem_allocate(p->memory, size, 1);
  p->packed->size = p->packed->data ? size : 0;
  return p->packed->data;
}

static size_t look_up_or_insert(void *context, const struct xnn_weights_cache_look_up_key *key,
                                void *data, size_t size) {
  (void)context, (void)key, (void)data, (void)size;
  return FOUND;
}

/* XNNPACK refuses to reshape operators over weights that may still move. */
static bool is_finalized(void *context) {
  const weights_provider *p = context;
  return p->memory == NULL;
}

static void *offset_to_address(void *context, size_t offset) {
  const weights_provider *p = context;
  (void)offset;
  return p->packed->data;
}

static enum xnn_status delete_cache(void *context) {
  (void)context;
  return xnn_status_success;
}

static void provider_init(weights_provider *p, memory *m, plan_packed_weights *packed) {
  p->memory = m;
  p->packed = packed;
  p->measured = NULL;
  p->provider = (struct xnn_weights_cache_provider){
      .context = p,
      .look_up = look_up,
      .reserve_space = reserve_space,
      .look_up_or_insert = look_up_or_insert,
      .is_finalized = is_finalized,
      .offset_to_addr = offset_to_address,
      .delete_cache = delete_cache,
  };
}

void weights_provider_measure(weights_provider *p, size_t *size) {
  provider_init(p, NULL, NULL);
  p->measured = size;
}

void weights_provider_pack(weights_provider *p, memory *m, plan_packed_weights *packed) {
  provider_init(p, m, packed);
}

void weights_provider_read(weights_provider *p, const plan_packed_weights *packed) {
  /* never written through: reserve_space refuses without a memory */
  provider_init(p, NULL, (plan_packed_weights *)(uintptr_t)packed);
}
