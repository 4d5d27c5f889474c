#include "loader/base/sort.h"

#include <stdint.h>

typedef struct heap {
  uint8_t *items;
  size_t size; /* bytes of an item */
  int (*compare)(const void *, const void *);
} heap;

static uint8_t *item_at(const heap *h, size_t index) { return h->items + index * h->size; }

static void swap_items(const heap *h, size_t a, size_t b) {
  uint8_t *x = item_at(h, a), *y = item_at(h, b);
  for (size_t i = 0; i < h->size; i++) {
    const uint8_t byte = x[i];
    x[i] = y[i];
    y[i] = byte;
  }
}

/* Move the item at `root` down until both of its children are at most as large. */
static void sift_down(const heap *h, size_t root, size_t count) {
  for (size_t child = 2 * root + 1; child < count; root = child, child = 2 * root + 1) {
    if (child + 1 < count && h->compare(item_at(h, child), item_at(h, child + 1)) < 0) child++;
    if (h->compare(item_at(h, root), item_at(h, child)) >= 0) return;
    swap_items(h, root, child);
  }
}

/* Heapsort. */
void sort_items(void *items, size_t count, size_t size,
                int (*compare)(const void *, const void *)) {
  const heap h = {items, size, compare};
  for (size_t i = count / 2; i-- > 0;) sift_down(&h, i, count);
  for (size_t end = count; end-- > 1;) {
    swap_items(&h, 0, end);
    sift_down(&h, 0, end);
  }
}
