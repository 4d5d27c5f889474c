/* Ops that work in place share a buffer; buffers whose lifetimes do not overlap share
 * addresses. Placement is greedy by size: the largest first, each at the lowest address
 * that is free during its lifetime (Pisarchyk & Lee 2020, "Efficient Memory Management
 * for Deep Neural Net Inference", section 5.2). */
#include "runtime/plan/arena.h"

#include <string.h>

#include "loader/base/sort.h"
#include "runtime/kernels/table.h"

enum { ALIGNMENT = 16 }; /* floats: 64 bytes */

typedef struct buffer {
  size_t size, offset;  /* floats per sample */
  uint32_t first, last; /* first op that writes it, last op that reads it */
  uint32_t index;
} buffer;

typedef struct layout {
  plan *plan;
  buffer *buffers; /* at most one for each op */
  uint32_t buffer_count;
  uint32_t *buffer_of;   /* by op */
  uint32_t *last_reader; /* by op */
  buffer *sorted;        /* copies of the buffers, the largest first */
  buffer *placed;        /* copies of those that have an offset, in order of it */
  uint32_t placed_count;
} layout;

static void find_last_readers(layout *l) {
  const plan *p = l->plan;
  for (uint32_t i = 0; i < p->op_count; i++) {
    l->last_reader[i] = i;
    for (uint32_t k = 0; k < p->ops[i].input_count; k++) l->last_reader[p->ops[i].input[k]] = i;
  }
  /* the scores are read after the last op */
  l->last_reader[p->output] = p->op_count;
}

/* Return the input whose buffer op i may overwrite, or RESNET_NO_INDEX. */
static uint32_t reusable_input(const layout *l, uint32_t i) {
  const plan_op *op = &l->plan->ops[i];
  const unsigned in_place = kernel_table[op->kernel]->in_place;
  for (uint32_t k = 0; k < op->input_count; k++) {
    const uint32_t source = op->input[k], own = l->buffer_of[source];
    /* a subsampled source is read at other positions than the output is written */
    const bool whole = k == 0 || !op->subsampled;
    const bool alone =
        op->input_count == 1 || in_place == 3 || l->buffer_of[op->input[1 - k]] != own;
    const bool dies = l->buffers[own].last == i;
    if ((in_place >> k & 1u) && whole && alone && dies &&
        plan_shape_floats(l->plan->ops[source].shape) == plan_shape_floats(op->shape))
      return source;
  }
  return RESNET_NO_INDEX;
}

/* Return the size of a buffer. Our own kernels load whole vectors, past the last pixel's
 * last channel where the channels do not fill them. The values are not used, but no other
 * buffer may begin there: its writers would race with the loads. `loads_past`: the
 * buffer has a reader that loads past it for any number of channels. */
static size_t buffer_floats(graph_shape shape, bool loads_past) {
  const size_t past = loads_past || shape.c % ALIGNMENT ? ALIGNMENT : 0;
  return (plan_shape_floats(shape) + past + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void assign_buffers(layout *l) {
  for (uint32_t i = 0; i < l->plan->op_count; i++) {
    const uint32_t source = reusable_input(l, i);
    if (source != RESNET_NO_INDEX) {
      l->buffer_of[i] = l->buffer_of[source];
    } else {
      const uint32_t own = l->buffer_of[i] = l->buffer_count++;
      l->buffers[own] =
          (buffer){.size = buffer_floats(l->plan->ops[i].shape, false), .first = i, .index = own};
    }
    l->buffers[l->buffer_of[i]].last = l->last_reader[i];
  }
}

/* Make room behind the buffers that a kernel reads past. */
static void add_room(layout *l) {
  for (uint32_t i = 0; i < l->plan->op_count; i++) {
    const plan_op *op = &l->plan->ops[i];
    if (!kernel_table[op->kernel]->loads_past) continue;
    const size_t floats = buffer_floats(op->in, true);
    buffer *b = &l->buffers[l->buffer_of[op->input[0]]];
    if (b->size < floats) b->size = floats;
  }
}

static bool lives_overlap(const buffer *a, const buffer *b) {
  return a->first <= b->last && b->first <= a->last;
}

/* Return the lowest offset at which b fits among placed buffers with overlapping
 * lifetimes. */
static size_t lowest_free(const layout *l, const buffer *b) {
  size_t offset = 0;
  for (uint32_t i = 0; i < l->placed_count; i++) {
    const buffer *other = &l->placed[i];
    if (!lives_overlap(b, other)) continue;
    if (offset + b->size <= other->offset) break;
    if (other->offset + other->size > offset) offset = other->offset + other->size;
  }
  return offset;
}

/* Insert into `placed`, sorted by offset so that lowest_free needs one pass. */
static void insert_placed(layout *l, const buffer *b) {
  uint32_t at = l->placed_count++;
  while (at > 0 && l->placed[at - 1].offset > b->offset) at--;
  memmove(&l->placed[at + 1], &l->placed[at], (l->placed_count - 1 - at) * sizeof *l->placed);
  l->placed[at] = *b;
}

/* The largest first; of equal ones the first. */
static int by_size(const void *x, const void *y) {
  const buffer *a = x, *b = y;
  if (a->size != b->size) return a->size > b->size ? -1 : 1;
  return (a->index > b->index) - (a->index < b->index);
}

static void place_buffers(layout *l) {
  if (l->buffer_count) memcpy(l->sorted, l->buffers, l->buffer_count * sizeof *l->sorted);
  sort_items(l->sorted, l->buffer_count, sizeof *l->sorted, by_size);
  for (uint32_t i = 0; i < l->buffer_count; i++) {
    buffer *b = &l->sorted[i];
    b->offset = lowest_free(l, b);
    l->buffers[b->index].offset = b->offset;
    insert_placed(l, b);
    if (b->offset + b->size > l->plan->arena_floats) l->plan->arena_floats = b->offset + b->size;
  }
  for (uint32_t i = 0; i < l->plan->op_count; i++)
    l->plan->ops[i].arena_offset = l->buffers[l->buffer_of[i]].offset;
}

/* Return the largest sum of buffers that live during one op. `ending` is all zero, with
 * room for one number for each op. */
static size_t largest_live_set(const layout *l, size_t *ending) {
  size_t largest = 0, live = 0;
  uint32_t next = 0; /* buffers are in the order of their first op */
  for (uint32_t i = 0; i < l->buffer_count; i++)
    if (l->buffers[i].last < l->plan->op_count) ending[l->buffers[i].last] += l->buffers[i].size;
  for (uint32_t op = 0; op < l->plan->op_count; op++) {
    for (; next < l->buffer_count && l->buffers[next].first == op; next++)
      live += l->buffers[next].size;
    if (live > largest) largest = live;
    live -= ending[op];
  }
  return largest;
}

resnet_status plan_assign_arena(plan *p, resnet_error *error) {
  memory *m = p->memory;
  layout l = {.plan = p};
  l.buffers = mem_allocate(m, p->op_count, sizeof *l.buffers);
  l.buffer_of = mem_allocate(m, p->op_count, sizeof *l.buffer_of);
  l.last_reader = mem_allocate(m, p->op_count, sizeof *l.last_reader);
  l.sorted = mem_allocate(m, p->op_count, sizeof *l.sorted);
  l.placed = mem_allocate(m, p->op_count, sizeof *l.placed);
  size_t *ending = mem_allocate(m, p->op_count, sizeof *ending);
  const bool allocated =
      l.buffers && l.buffer_of && l.last_reader && l.sorted && l.placed && ending;
  if (allocated) {
    find_last_readers(&l);
    assign_buffers(&l);
    add_room(&l);
    place_buffers(&l);
    p->arena_lower_bound = largest_live_set(&l, ending);
  }
  mem_release(m, l.buffers);
  mem_release(m, l.buffer_of);
  mem_release(m, l.last_reader);
  mem_release(m, l.sorted);
  mem_release(m, l.placed);
  mem_release(m, ending);
  return allocated ? RESNET_OK : err_no_memory(error, "the memory plan");
}
