/* The one allocator of loader and runtime: checked sizes, a budget, the caller's
 * hooks. */
#ifndef LIBRESNET_LOADER_BASE_MEMORY_H
#define LIBRESNET_LOADER_BASE_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resnet.h"

/* Thread-safe. Must outlive all that was allocated from it. */
typedef struct memory {
  /* zero: malloc and free, large blocks from the kernel */
  resnet_allocator hooks;
  /* bytes that may be allocated at once; 0: no limit */
  uint64_t budget;
  _Atomic uint64_t used, peak; /* bytes */
  /* some allocation was refused because of the budget */
  _Atomic bool over_budget;
} memory;

void mem_init(memory *m, const resnet_allocator *hooks, uint64_t budget);

/* The same on the heap of `hooks`; NULL when that fails. For mem_destroy, after all
 * else was released. */
memory *mem_create(const resnet_allocator *hooks, uint64_t budget);
void mem_destroy(memory *m);

/* count * size bytes, zeroed, 64-byte aligned; NULL when the product overflows, the
 * budget is used up or the allocation fails. A count or size of 0 gives a valid
 * pointer. */
void *mem_allocate(memory *m, size_t count, size_t size);

/* The same, but not cleared: for what is overwritten whole. */
void *mem_allocate_unset(memory *m, size_t count, size_t size);

/* Release what either returned; NULL is allowed. */
void mem_release(memory *m, void *pointer);

/* A copy of the `size` bytes at `text` with a NUL behind them; NULL as above. */
char *mem_copy_string(memory *m, const char *text, size_t size);

/* False when a * b does not fit; *product is then unchanged. */
bool mem_size_multiply(size_t a, size_t b, size_t *product);

#endif
