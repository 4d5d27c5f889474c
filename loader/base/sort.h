#ifndef LIBRESNET_LOADER_BASE_SORT_H
#define LIBRESNET_LOADER_BASE_SORT_H

#include <stddef.h>

/* Sort `count` items of `size` bytes, as qsort does, in O(n log n) for any input and
 * without memory of its own. glibc's qsort may call malloc, past the caller's allocator
 * and budget. Not stable. */
void sort_items(void *items, size_t count, size_t size, int (*compare)(const void *, const void *));

#endif
