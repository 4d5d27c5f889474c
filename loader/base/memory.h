/* The allocator of loader and runtime: checked sizes, a budget, the caller's hooks. */
#ifndef LIBRESNET_LOADER_BASE_MEMORY_H
#define LIBRESNET_LOADER_BASE_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/heap.h"
#include "resnet.h"

/* Thread-safe. Must outlive everything allocated from it. */
typedef struct memory {
  resnet_allocator hooks; /* zero: malloc and free, and the heap for large blocks */
  memory_heap heap;
  uint64_t budget;             /* bytes that may be allocated at once; 0: no limit */
  _Atomic uint64_t used, peak; /* bytes */
  _Atomic uint64_t refusals;   /* allocations that the budget did not allow */
} memory;

void mem_init(memory *m, const resnet_allocator *hooks, uint64_t budget);

/* Allocate an allocator with `hooks`; NULL on failure. Release it with mem_destroy, after
 * everything allocated from it. */
memory *mem_create(const resnet_allocator *hooks, uint64_t budget);
void mem_destroy(memory *m);

/* Allocate count * size bytes, zeroed, 64-byte aligned. Return NULL if the product
 * overflows, the budget is used up or the allocation fails. A count or size of 0 gives a
 * valid pointer. */
void *mem_allocate(memory *m, size_t count, size_t size);

/* Do the same without clearing, for memory that is overwritten completely. */
void *mem_allocate_unset(memory *m, size_t count, size_t size);

/* Count bytes that others allocate, e.g. XNNPACK, in the budget. Return false, and
 * count nothing, if it does not allow them. */
bool mem_reserve(memory *m, uint64_t bytes);

/* End a reservation of so many bytes. */
void mem_unreserve(memory *m, uint64_t bytes);

/* Release the result of mem_allocate or mem_allocate_unset; NULL is allowed. */
void mem_release(memory *m, void *pointer);

/* Copy the `size` bytes at `text` and append a NUL; NULL as above. */
char *mem_copy_string(memory *m, const char *text, size_t size);

/* Let large blocks reuse the pages of released ones while a model is opened; false:
 * return all free pages to the system. */
void mem_keep_pages(memory *m, bool keeps);

/* Ask the system for no huge pages from now on: less memory, and slower opening. */
void mem_use_small_pages(memory *m);

/* Multiply; return false, and leave *product unchanged, if a * b overflows. */
bool mem_size_multiply(size_t a, size_t b, size_t *product);

#endif
