#include "loader/base/memory.h"

#include <stdlib.h>
#include <string.h>

enum {
  ALIGNMENT = 64,
  LARGE_BLOCK = 1 << 18 /* bytes from which a block is the heap's, not malloc's */
};

/* Is directly before each block that is handed out. */
typedef struct header {
  void *base;    /* the allocation */
  uint64_t size; /* bytes of the allocation */
  bool mapped;
} header;

void mem_init(memory *m, const resnet_allocator *hooks, uint64_t budget) {
  memset(m, 0, sizeof *m);
  if (hooks) m->hooks = *hooks;
  m->budget = budget;
  mem_heap_init(&m->heap);
}

void mem_keep_pages(memory *m, bool keeps) { mem_heap_keep(&m->heap, keeps); }

void mem_use_small_pages(memory *m) { m->heap.small_pages = true; }

bool mem_size_multiply(size_t a, size_t b, size_t *product) {
  if (b != 0 && a > SIZE_MAX / b) return false;
  *product = a * b;
  return true;
}

bool mem_reserve(memory *m, uint64_t bytes) {
  if (bytes > UINT64_MAX / 2) return false; /* the sum below would overflow */
  uint64_t used = atomic_fetch_add(&m->used, bytes) + bytes;
  if (m->budget && used > m->budget) {
    atomic_fetch_sub(&m->used, bytes);
    atomic_fetch_add(&m->refusals, 1);
    return false;
  }
  uint64_t peak = atomic_load(&m->peak);
  while (used > peak && !atomic_compare_exchange_weak(&m->peak, &peak, used)) {
  }
  return true;
}

void mem_unreserve(memory *m, uint64_t bytes) { atomic_fetch_sub(&m->used, bytes); }

/* AddressSanitizer finds reads beyond a block only if the block is from malloc. */
#if defined(__SANITIZE_ADDRESS__)
static const bool maps_blocks = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
static const bool maps_blocks = false;
#else
static const bool maps_blocks = true;
#endif
#else
static const bool maps_blocks = true;
#endif

static void *allocate_base(memory *m, size_t size, bool mapped, bool cleared) {
  if (mapped) return mem_heap_take(&m->heap, size, cleared);
  /* calloc uses the kernel's zero pages; a hook's memory must be cleared here */
  if (!m->hooks.allocate) return cleared ? calloc(1, size) : malloc(size);
  void *base = m->hooks.allocate(m->hooks.context, size);
  if (base && cleared) memset(base, 0, size);
  return base;
}

static void *allocate(memory *m, size_t count, size_t size, bool cleared) {
  size_t bytes;
  if (!mem_size_multiply(count, size, &bytes) || bytes > SIZE_MAX - ALIGNMENT - sizeof(header))
    return NULL;
  size_t total = bytes + ALIGNMENT + sizeof(header);
  if (!mem_reserve(m, total)) return NULL;
  bool mapped = maps_blocks && !m->hooks.allocate && total >= LARGE_BLOCK;
  void *base = allocate_base(m, total, mapped, cleared);
  if (!base) {
    mem_unreserve(m, total);
    return NULL;
  }
  uintptr_t start = ((uintptr_t)base + sizeof(header) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  header *h = (header *)(start - sizeof(header));
  h->base = base;
  h->size = total;
  h->mapped = mapped;
  return (void *)start;
}

void *mem_allocate(memory *m, size_t count, size_t size) { return allocate(m, count, size, true); }

void *mem_allocate_unset(memory *m, size_t count, size_t size) {
  return allocate(m, count, size, false);
}

void mem_release(memory *m, void *pointer) {
  if (!pointer) return;
  header h;
  memcpy(&h, (const char *)pointer - sizeof h, sizeof h);
  mem_unreserve(m, h.size);
  if (h.mapped)
    mem_heap_give(&m->heap, h.base, h.size);
  else if (m->hooks.release)
    m->hooks.release(m->hooks.context, h.base);
  else
    free(h.base);
}

char *mem_copy_string(memory *m, const char *text, size_t size) {
  if (size == SIZE_MAX) return NULL;
  char *copy = mem_allocate(m, size + 1, 1);
  if (copy && size) memcpy(copy, text, size);
  return copy;
}

memory *mem_create(const resnet_allocator *hooks, uint64_t budget) {
  memory first;
  mem_init(&first, hooks, budget);
  memory *m = mem_allocate(&first, 1, sizeof *m);
  if (m) mem_init(m, hooks, budget);
  return m;
}

void mem_destroy(memory *m) {
  if (!m) return;
  memory last;
  mem_init(&last, &m->hooks, 0);
  mem_release(&last, m);
}
