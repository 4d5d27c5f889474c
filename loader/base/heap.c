/* MAP_ANONYMOUS and madvise are not in POSIX. */
#define _DEFAULT_SOURCE
#include "loader/base/heap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
  MIN_PAGE = 4096, /* where the system does not tell its own */
  HUGE_PAGE = 1 << 21,
  /* bytes of the first chunk: a small model touches no huge page */
  SMALL_CHUNK = 1 << 22,
  /* The usual size. Few large chunks have few huge pages that are used in part, and pages
   * that are not used take no memory. */
  CHUNK = 1 << 27
};

/* A part of a chunk that is in no block. */
typedef struct heap_range {
  uint8_t *start;
  size_t size;
  bool dirty; /* not zero; its pages are kept */
} heap_range;

typedef struct heap_chunk {
  struct heap_chunk *next;
  uint8_t *start;
  size_t size, blocks;
  heap_range *free; /* by address */
  size_t free_count, capacity;
} heap_chunk;

void mem_heap_init(memory_heap *h) {
  memset(h, 0, sizeof *h);
  (void)pthread_mutex_init(&h->lock, NULL);
  const long page = sysconf(_SC_PAGESIZE);
  h->page = page > MIN_PAGE ? (size_t)page : MIN_PAGE;
}

static size_t whole_pages(const memory_heap *h, size_t size) {
  return (size + h->page - 1) / h->page * h->page;
}

/* ---- chunks ---- */

/* Map `size` bytes at a multiple of a huge page, and ask for huge pages. */
static uint8_t *map_huge(size_t size) {
  if (size > SIZE_MAX - HUGE_PAGE) return NULL;
  uint8_t *start =
      mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return NULL;
  const size_t before = (HUGE_PAGE - (uintptr_t)start % HUGE_PAGE) % HUGE_PAGE;
  if (before > 0) (void)munmap(start, before);
  if (before < HUGE_PAGE) (void)munmap(start + before + size, HUGE_PAGE - before);
#ifdef MADV_HUGEPAGE
  /* only advice: failure is no error */
  (void)madvise(start + before, size, MADV_HUGEPAGE);
#endif
  return start + before;
}

static uint8_t *map_small(size_t size) {
  void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return start == MAP_FAILED ? NULL : start;
}

/* Make room for one block more, so that releasing never fails: each block may become a
 * free range. Ranges of one gap do not join if they differ. */
static bool reserve_range(heap_chunk *c) {
  const size_t needed = c->free_count + c->blocks + 2;
  if (needed <= c->capacity) return true;
  heap_range *more = realloc(c->free, 2 * needed * sizeof *more);
  if (!more) return false;
  c->free = more;
  c->capacity = 2 * needed;
  return true;
}

static void unmap_chunk(memory_heap *h, heap_chunk *c) {
  heap_chunk **link = &h->chunks;
  while (*link != c) link = &(*link)->next;
  *link = c->next;
  for (size_t i = 0; i < c->free_count; i++)
    if (c->free[i].dirty) h->kept -= c->free[i].size;
  h->mapped -= c->size;
  (void)munmap(c->start, c->size);
  free(c->free);
  free(c);
}

/* Map a chunk with room for `size` bytes. */
static heap_chunk *map_chunk(memory_heap *h, size_t size) {
  const bool first = h->mapped == 0 && size <= SMALL_CHUNK, small = first || h->small_pages;
  const size_t usual = first ? SMALL_CHUNK : CHUNK;
  heap_chunk *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->size = size > usual ? size : usual;
  if (reserve_range(c)) c->start = small ? map_small(c->size) : map_huge(c->size);
  if (reserve_range(c) && !c->start) {
    /* addresses are limited (RLIMIT_AS) */
    c->size = size;
    c->start = map_small(size);
  }
  if (!c->start) {
    free(c->free);
    free(c);
    return NULL;
  }
  c->free[c->free_count++] = (heap_range){c->start, c->size, false};
  c->next = h->chunks;
  h->chunks = c;
  h->mapped += c->size;
  return c;
}

/* ---- taking ---- */

/* A free range with room for a block. */
typedef struct heap_place {
  heap_chunk *chunk; /* NULL: none */
  size_t index;
} heap_place;

/* Return true if a block fits `a` better than `b`: kept pages first, then the smaller. */
static bool is_better(const heap_range *a, const heap_range *b) {
  return a->dirty != b->dirty ? a->dirty : a->size < b->size;
}

static heap_place find_place(memory_heap *h, size_t size) {
  heap_place best = {0};
  for (heap_chunk *c = h->chunks; c; c = c->next)
    for (size_t i = 0; i < c->free_count; i++)
      if (c->free[i].size >= size &&
          (!best.chunk || is_better(&c->free[i], &best.chunk->free[best.index])))
        best = (heap_place){c, i};
  if (!best.chunk) best.chunk = map_chunk(h, size);
  return best;
}

/* Return pages to the system, which gives zeros in their place. Return false if it does
 * not. Outside Linux, MADV_DONTNEED may keep what they hold. */
static bool drop_pages(const heap_range *range) {
#if defined(__linux__)
  return madvise(range->start, range->size, MADV_DONTNEED) == 0;
#else
  return mmap(range->start, range->size, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
#endif
}

/* Drop a range's kept pages. */
static void clean(memory_heap *h, heap_range *range) {
  if (!range->dirty) return;
  range->dirty = !drop_pages(range);
  if (!range->dirty) h->kept -= range->size;
}

/* Count a new block. Return kept pages to the system until blocks and kept pages take no
 * more than blocks alone have taken before. */
static void count_block(memory_heap *h, size_t size) {
  h->used += size;
  if (h->used > h->peak) h->peak = h->used;
  for (heap_chunk *c = h->chunks; c; c = c->next)
    for (size_t i = 0; i < c->free_count && h->used + h->kept > h->peak; i++) clean(h, &c->free[i]);
}

/* Cut `size` bytes off the start of the range. */
static uint8_t *cut(memory_heap *h, heap_place place, size_t size, bool *dirty) {
  heap_chunk *c = place.chunk;
  heap_range *range = &c->free[place.index];
  uint8_t *block = range->start;
  *dirty = range->dirty;
  if (range->dirty) h->kept -= size;
  range->start += size;
  range->size -= size;
  c->blocks++;
  if (range->size > 0) return block;
  c->free_count--;
  memmove(range, range + 1, (c->free_count - place.index) * sizeof *range);
  return block;
}

void *mem_heap_take(memory_heap *h, size_t size, bool cleared) {
  bool dirty = false;
  if (size > SIZE_MAX - h->page) return NULL;
  (void)pthread_mutex_lock(&h->lock);
  const heap_place place = find_place(h, whole_pages(h, size));
  const bool fits = place.chunk && reserve_range(place.chunk);
  uint8_t *block = fits ? cut(h, place, whole_pages(h, size), &dirty) : NULL;
  if (block) count_block(h, whole_pages(h, size));
  if (!fits && place.chunk && place.chunk->blocks == 0) unmap_chunk(h, place.chunk);
  (void)pthread_mutex_unlock(&h->lock);
  if (block && dirty && cleared) memset(block, 0, size);
  return block;
}

/* ---- giving ---- */

static bool joins(const heap_range *a, const heap_range *b) {
  return a->dirty == b->dirty && a->start + a->size == b->start;
}

/* Merge range i of the chunk with the next one if they are adjacent and alike. */
static void merge(heap_chunk *c, size_t i) {
  if (i + 1 >= c->free_count || !joins(&c->free[i], &c->free[i + 1])) return;
  c->free[i].size += c->free[i + 1].size;
  c->free_count--;
  memmove(&c->free[i + 1], &c->free[i + 2], (c->free_count - i - 1) * sizeof *c->free);
}

static heap_chunk *chunk_of(const memory_heap *h, const uint8_t *block) {
  heap_chunk *c = h->chunks;
  while (block < c->start || block >= c->start + c->size) c = c->next;
  return c;
}

void mem_heap_give(memory_heap *h, void *block, size_t size) {
  (void)pthread_mutex_lock(&h->lock);
  heap_chunk *c = chunk_of(h, block);
  heap_range range = {block, whole_pages(h, size), true};
  h->used -= range.size;
  h->kept += range.size;
  if (!h->keeps) clean(h, &range);
  size_t at = 0;
  while (at < c->free_count && c->free[at].start < range.start) at++;
  memmove(&c->free[at + 1], &c->free[at], (c->free_count - at) * sizeof *c->free);
  c->free[at] = range;
  c->free_count++;
  c->blocks--;
  merge(c, at);
  if (at > 0) merge(c, at - 1);
  if (c->blocks == 0 && !h->keeps) unmap_chunk(h, c);
  (void)pthread_mutex_unlock(&h->lock);
}

void mem_heap_keep(memory_heap *h, bool keeps) {
  (void)pthread_mutex_lock(&h->lock);
  h->keeps = keeps;
  for (heap_chunk *c = h->chunks, *next; !keeps && c; c = next) {
    next = c->next;
    for (size_t i = 0; i < c->free_count; i++) {
      if (c->free[i].dirty)
        clean(h, &c->free[i]);
      else /* the rest of a huge page that a block uses in part */
        (void)drop_pages(&c->free[i]);
    }
    for (size_t i = c->free_count; i-- > 0;) merge(c, i);
    if (c->blocks == 0) unmap_chunk(h, c);
  }
  (void)pthread_mutex_unlock(&h->lock);
}
