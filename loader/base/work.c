#include "loader/base/work.h"

static const uint64_t base_steps = UINT64_C(1) << 28; /* a quarter of a second */
static const uint64_t steps_per_byte = 64;
/* far from overflow, however much is spent at once */
static const uint64_t max_steps = UINT64_C(1) << 62;

static uint64_t multiply(uint64_t a, uint64_t b) {
  if ((a | b) <= INT32_MAX) return a * b; /* nearly always; a division is slow */
  return b != 0 && a > max_steps / b ? max_steps : a * b;
}

static uint64_t add(uint64_t a, uint64_t b) {
  return a > max_steps - b ? max_steps : a + b; /* b is at most max_steps */
}

void work_start(work_budget *w, uint64_t bytes) {
  *w = (work_budget){.limit = base_steps};
  work_add_bytes(w, bytes);
}

void work_add_bytes(work_budget *w, uint64_t bytes) {
  w->limit = add(w->limit, multiply(bytes, steps_per_byte));
}

bool work_spend(work_budget *w, uint64_t count, uint64_t steps) {
  w->spent = add(w->spent, multiply(count, steps));
  return work_is_left(w);
}

bool work_is_left(const work_budget *w) { return w->spent <= w->limit && w->spent < max_steps; }
