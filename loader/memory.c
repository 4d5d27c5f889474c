#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

/* Stands right before each block that is handed out. */
typedef struct header {
  void *base;    /* what the hook returned */
  uint64_t size; /* bytes asked from the hook */
} header;

void memory_init(memory *m, const resnet_allocator *hooks, uint64_t budget) {
  memset(m, 0, sizeof *m);
  if (hooks) m->hooks = *hooks;
  m->budget = budget;
}

bool size_multiply(size_t a, size_t b, size_t *product) {
  if (b != 0 && a > SIZE_MAX / b) return false;
  *product = a * b;
  return true;
}

static bool reserve(memory *m, uint64_t size) {
  uint64_t used = atomic_fetch_add(&m->used, size) + size;
  if (m->budget && used > m->budget) {
    atomic_fetch_sub(&m->used, size);
    atomic_store(&m->over_budget, true);
    return false;
  }
  uint64_t peak = atomic_load(&m->peak);
  while (used > peak && !atomic_compare_exchange_weak(&m->peak, &peak, used)) {
  }
  return true;
}

void *memory_allocate(memory *m, size_t count, size_t size) {
  size_t bytes;
  if (!size_multiply(count, size, &bytes) || bytes > SIZE_MAX - ALIGNMENT - sizeof(header)) return NULL;
  size_t total = bytes + ALIGNMENT + sizeof(header);
  if (!reserve(m, total)) return NULL;
  /* calloc leaves large blocks to the kernel's zero pages; a hook's memory must be cleared here */
  void *base = m->hooks.allocate ? m->hooks.allocate(m->hooks.context, total) : calloc(1, total);
  if (!base) {
    atomic_fetch_sub(&m->used, total);
    return NULL;
  }
  if (m->hooks.allocate) memset(base, 0, total);
  uintptr_t start = ((uintptr_t)base + sizeof(header) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  header *h = (header *)(start - sizeof(header));
  h->base = base;
  h->size = total;
  return (void *)start;
}

void memory_release(memory *m, void *pointer) {
  if (!pointer) return;
  header h;
  memcpy(&h, (const char *)pointer - sizeof h, sizeof h);
  atomic_fetch_sub(&m->used, h.size);
  if (m->hooks.release)
    m->hooks.release(m->hooks.context, h.base);
  else
    free(h.base);
}

char *memory_copy_string(memory *m, const char *text, size_t size) {
  if (size == SIZE_MAX) return NULL;
  char *copy = memory_allocate(m, size + 1, 1);
  if (copy && size) memcpy(copy, text, size);
  return copy;
}

memory *memory_create(const resnet_allocator *hooks, uint64_t budget) {
  memory first;
  memory_init(&first, hooks, budget);
  memory *m = memory_allocate(&first, 1, sizeof *m);
  if (m) memory_init(m, hooks, budget);
  return m;
}

void memory_destroy(memory *m) {
  if (!m) return;
  memory last;
  memory_init(&last, &m->hooks, 0);
  memory_release(&last, m);
}
