/* Large blocks, cut from chunks of mapped memory.
 *
 * glibc takes large blocks from its own heap, where they leave holes, once one was
 * released (mallopt(3), M_MMAP_THRESHOLD). Mapping each block by itself costs a page
 * fault for every 4 KiB: opening a model spent a third of its time so. Blocks of one
 * chunk share huge pages, and a new block reuses the pages of a released one. */
#ifndef LIBRESNET_LOADER_BASE_HEAP_H
#define LIBRESNET_LOADER_BASE_HEAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_chunk;

/* Thread-safe. Holds memory only while it has blocks, or keeps pages. */
typedef struct memory_heap {
  pthread_mutex_t lock;
  size_t page; /* unit of blocks, in bytes: a page of the system */
  struct heap_chunk *chunks;
  size_t mapped;     /* bytes of all chunks */
  size_t used, peak; /* bytes of blocks */
  size_t kept;       /* bytes of released blocks whose pages are kept */
  bool keeps;
  bool small_pages; /* no huge pages: part of the last one would be wasted */
} memory_heap;

void mem_heap_init(memory_heap *h);

/* Return a block of `size` bytes at the start of a page; NULL: no memory. It is zero if
 * `cleared`. */
void *mem_heap_take(memory_heap *h, size_t size, bool cleared);

/* Release a block of mem_heap_take, of the same size. Its pages return to the system,
 * unless the heap keeps them for the next block. */
void mem_heap_give(memory_heap *h, void *block, size_t size);

/* Keep the pages of released blocks for new ones from now on, as far as this does not
 * raise the peak of memory; false: return them to the system. */
void mem_heap_keep(memory_heap *h, bool keeps);

#endif
