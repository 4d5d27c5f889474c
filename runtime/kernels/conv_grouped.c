/* Convolutions of several groups, depthwise ones included, + bias + clamp
 * (simd/grouped.h).
 *
 * A unit is as many groups as fit a vector, at least one. Its inputs are spread once for
 * all its outputs. A task computes some rows of some units: it goes down strips of
 * columns, and keeps the spread rows that a window reaches in a ring. */
#include "runtime/kernels/conv_grouped.h"
#include "runtime/kernels/table.h"

#include <string.h>

#include "runtime/kernels/check.h"
#include "runtime/kernels/describe.h"
#include "runtime/kernels/workspace.h"

enum {
  /* These keep the tables of a window and a thread's ring small. */
  MAX_REACH = 64, /* rows or columns from a window's first tap to its last */
  MAX_STRIDE = 8,
  /* one pixel's spread vectors: with more, a narrow strip's ring does not fit L1 */
  SPREAD_BYTES = 512,
  /* a thread's ring: what an L1 of 32 KiB holds beside the weights */
  RING_BYTES = 25 * 1024,
  MAX_TILE = 14, /* columns of a narrow strip, and those read behind a wide one */
  /* A task's inputs, which are read again for each unit: a fraction of any L2. */
  INPUT_BYTES = 256 * 1024,
  /* With fewer rows, most of the rows that a task spreads are those of its neighbours. */
  MIN_ROWS = 8,
  TASKS_PER_THREAD = 4 /* enough to balance threads of different speeds */
};

static size_t reach(size_t taps, size_t dilation) { return (taps - 1) * dilation + 1; }

bool kernel_grouped_applies(const plan_op *op) {
  const graph_window *w = &op->window;
  const size_t inputs = op->in.c / op->groups;
  return op->kernel == KERNEL_CONV && op->groups > 1 && inputs <= GROUPED_MAX_INPUTS &&
         w->stride_h <= MAX_STRIDE && w->stride_w <= MAX_STRIDE &&
         reach(w->kernel_h, w->dilation_h) <= MAX_REACH &&
         reach(w->kernel_w, w->dilation_w) <= MAX_REACH;
}

/* How one op is computed with one instruction set. */
typedef struct grouped_layout {
  grouped_spread spread;
  size_t width;             /* floats of a vector */
  size_t in, out;           /* channels of a group */
  size_t unit_in, unit_out; /* channels in a unit; the last one may have fewer */
  size_t units, vectors;    /* vectors of a unit's outputs */
  size_t taps;
  size_t run_count; /* runs in a row of taps */
  grouped_taps runs[MAX_REACH];
  size_t tap_at[MAX_REACH]; /* the taps of all runs, in order */
  size_t strip;             /* columns of outputs whose inputs fit the ring */
  size_t columns;           /* inputs that leave the same remainder by the stride */
  size_t channel;           /* floats from one input channel to the next, in the ring */
  size_t row, ring_rows;    /* floats of a ring's row */
} grouped_layout;

/* Return how many groups of inputs and outputs fit a vector; at least 1. Groups of
 * several channels share a vector only with GROUPED_PERMUTE. */
static size_t groups_of_unit(const grouped_layout *l, const simd_set *simd, size_t groups) {
  const size_t max_channels = l->in > l->out ? l->in : l->out;
  const bool shares = max_channels == 1 || simd->grouped->permutes;
  return shares && max_channels < l->width ? min_size(l->width / max_channels, groups) : 1;
}

static grouped_spread choose_spread(const grouped_layout *l, size_t unit_groups) {
  if (l->in == 1 && l->out == 1) return GROUPED_COPY;
  if (unit_groups > 1) return GROUPED_PERMUTE;
  return l->in * l->width * sizeof(float) <= SPREAD_BYTES ? GROUPED_BROADCAST : GROUPED_PIXELS;
}

/* Append the run of taps that begins with `tap`, if that is in none yet. */
static void append_run(grouped_layout *l, const graph_window *w, size_t tap, bool *taken,
                       size_t *count) {
  if (taken[tap]) return;
  const size_t place = tap * w->dilation_w;
  const size_t column = place % w->stride_w * l->columns + place / w->stride_w;
  grouped_taps *run = &l->runs[l->run_count++];
  run->place = column * (l->spread == GROUPED_PIXELS ? GROUPED_PITCH : l->width);
  run->count = 0;
  for (size_t next = tap; next < w->kernel_w && run->count < GROUPED_MAX_RUN; next++) {
    if (taken[next] || next * w->dilation_w != place + run->count * w->stride_w) continue;
    taken[next] = true;
    l->tap_at[(*count)++] = next;
    run->count++;
  }
}

static void find_runs(grouped_layout *l, const graph_window *w) {
  bool taken[MAX_REACH] = {false};
  size_t count = 0;
  for (size_t tap = 0; tap < w->kernel_w; tap++) append_run(l, w, tap, taken, &count);
}

/* Return the columns of outputs whose inputs fit the ring, at most all. */
static size_t strip_columns(const grouped_layout *l, const plan_op *op) {
  const graph_window *w = &op->window;
  const size_t pixel =
      l->spread == GROUPED_PIXELS ? round_up(l->in, KERNEL_LINE) : l->in * l->width;
  const size_t fitting = RING_BYTES / sizeof(float) / pixel / l->ring_rows,
               around = reach(w->kernel_w, w->dilation_w) - 1;
  return fitting > around ? min_size((fitting - around) / w->stride_w, op->shape.w) : 0;
}

static grouped_layout layout_of(const simd_set *simd, const plan_op *op) {
  const graph_window *w = &op->window;
  grouped_layout l = {.width = simd->panel / 2,
                      .in = op->in.c / op->groups,
                      .out = op->shape.c / op->groups,
                      .taps = (size_t)w->kernel_h * w->kernel_w,
                      .ring_rows = reach(w->kernel_h, w->dilation_h)};
  const size_t groups = groups_of_unit(&l, simd, op->groups);
  l.unit_in = groups * l.in;
  l.unit_out = groups * l.out;
  l.units = (op->groups + groups - 1) / groups;
  l.vectors = (l.unit_out + l.width - 1) / l.width;
  l.spread = choose_spread(&l, groups);
  l.strip = strip_columns(&l, op);
  l.columns = (l.strip < op->shape.w ? 0 : l.strip) + MAX_TILE +
              (reach(w->kernel_w, w->dilation_w) - 1) / w->stride_w;
  const size_t columns = w->stride_w * l.columns;
  const bool pixels = l.spread == GROUPED_PIXELS;
  l.channel = pixels ? 1 : columns * l.width;
  l.row = round_up(pixels ? columns * GROUPED_PITCH : l.in * l.channel, KERNEL_LINE);
  find_runs(&l, w);
  return l;
}

/* ---- weights: units x vectors x rows x runs x (in,taps of the run,width), then the bias
 * of whole vectors ---- */

static size_t vector_floats(const grouped_layout *l) { return l->taps * l->in * l->width; }

static size_t packed_columns(const grouped_layout *l) { return l->units * l->vectors * l->width; }

static size_t packed_size_grouped(const plan_op *op) {
  const grouped_layout l = layout_of(simd_fastest(), op);
  return packed_columns(&l) * (l.taps * l.in + 1) * sizeof(float);
}

static resnet_status check_grouped(const plan_op *op, resnet_error *error) {
  const grouped_layout l = layout_of(simd_fastest(), op);
  return kernel_check_packed_weights(op, packed_columns(&l), l.taps * l.in + 1, error);
}

/* Pack the weights of one output channel as a lane of vectors. */
static void pack_filter(const grouped_layout *l, const plan_op *op, const float *filter,
                        float *packed) {
  for (size_t row = 0; row < op->window.kernel_h; row++, filter += op->window.kernel_w * l->in)
    for (size_t i = 0, first = 0; i < l->run_count; first += l->runs[i++].count)
      for (size_t k = 0; k < l->in; k++)
        for (size_t tap = 0; tap < l->runs[i].count; tap++, packed += l->width)
          *packed = filter[l->tap_at[first + tap] * l->in + k];
}

static resnet_status pack_grouped(plan_op *op, memory *m, resnet_error *error) {
  const grouped_layout l = layout_of(simd_fastest(), op);
  const size_t size = packed_size_grouped(op);
  float *packed = mem_allocate(m, size, 1);
  if (!packed) return err_no_memory(error, "packed weights");
  float *bias = packed + packed_columns(&l) * l.taps * l.in;
  for (size_t filter = 0; filter < op->shape.c; filter++) {
    const size_t unit = filter / l.unit_out, within = filter % l.unit_out;
    const size_t vector = unit * l.vectors + within / l.width, lane = within % l.width;
    pack_filter(&l, op, op->weights + filter * l.taps * l.in,
                packed + vector * vector_floats(&l) + lane);
    bias[vector * l.width + lane] = op->bias[filter];
  }
  op->packed = (plan_packed_weights){.data = packed, .size = size};
  plan_op_release_weights(op, m);
  return RESNET_OK;
}

/* ---- running ---- */

static resnet_status shape_grouped(kernel_call *call, resnet_error *error) {
  const grouped_layout l = layout_of(call->simd, call->op);
  return kernel_size_workspace(call, 0, l.ring_rows * l.row, error);
}

/* One run of one convolution. Tasks are numbered sample by sample, band of rows by band,
 * slice of units by slice. */
typedef struct grouped_run {
  const kernel_call *call;
  grouped_layout layout;
  size_t band_rows, bands;
  size_t slice_units, slices;
  int32_t first[KERNEL_LINE]; /* as in grouped_pixels */
} grouped_run;

/* Set the first input channel of each lane's group. */
static void set_lanes(grouped_run *r) {
  const grouped_layout *l = &r->layout;
  for (size_t i = 0; i < l->unit_out && i < l->width; i++)
    r->first[i] = (int32_t)(i / l->out * l->in);
}

/* Columns of a strip's inputs whose place in the padded row leaves the same remainder by
 * the stride. */
typedef struct phase {
  size_t count;       /* columns */
  size_t before, end; /* the columns inside the image: before <= i < end */
  size_t x;           /* where the first of them begins in a row of the input */
} phase;

/* A strip of some columns: those of one unit in one sample. */
typedef struct strip {
  const grouped_run *run;
  const float *input; /* the unit's first channel of the sample's first pixel */
  float *ring;
  size_t unit;
  size_t column, columns; /* outputs */
  phase phases[MAX_STRIDE];
} strip;

/* Return how many of a phase's `count` columns, of which the first is at `start` in the
 * padded row, are before `end`. */
static size_t columns_before(size_t start, size_t end, size_t stride, size_t count) {
  return start >= end ? 0 : min_size((end - start + stride - 1) / stride, count);
}

/* Set the strip's columns and phases. */
static void set_strip(strip *s, size_t column, size_t columns) {
  const kernel_call *call = s->run->call;
  const graph_window *w = &call->op->window;
  const size_t in_w = call->op->in.w, stride = w->stride_w;
  s->column = column;
  s->columns = columns;
  for (size_t i = 0; i < stride; i++) {
    phase *p = &s->phases[i];
    const size_t start = column * stride + i;
    p->count = call->simd->grouped->padded_columns(columns) +
               (reach(w->kernel_w, w->dilation_w) - 1) / stride;
    p->before = columns_before(start, w->pad_left, stride, p->count);
    p->end = columns_before(start, w->pad_left + in_w, stride, p->count);
    p->x = p->end > p->before ? (start + p->before * stride - w->pad_left) * call->op->in.c : 0;
  }
}

/* Set `count` columns of a ring's row to zero, from `first` on. */
static void clear_columns(const grouped_layout *l, float *row, size_t first, size_t count) {
  if (count == 0) return;
  if (l->spread == GROUPED_PIXELS) {
    memset(row + first * GROUPED_PITCH, 0, count * GROUPED_PITCH * sizeof *row);
    return;
  }
  for (size_t k = 0; k < l->in; k++)
    memset(row + k * l->channel + first * l->width, 0, count * l->width * sizeof *row);
}

/* Clear the columns beside the image, which no row writes. */
static void clear_sides(const strip *s) {
  const grouped_layout *l = &s->run->layout;
  for (size_t row = 0; row < l->ring_rows; row++)
    for (size_t i = 0; i < s->run->call->op->window.stride_w; i++) {
      const phase *p = &s->phases[i];
      clear_columns(l, s->ring + row * l->row, i * l->columns, p->before);
      clear_columns(l, s->ring + row * l->row, i * l->columns + p->end, p->count - p->end);
    }
}

/* Spread the row at `place` of the padded input. */
static void spread_row(const strip *s, size_t place, float *to) {
  const grouped_layout *l = &s->run->layout;
  const plan_op *op = s->run->call->op;
  const size_t row = place - op->window.pad_top; /* wraps around above the image */
  const size_t column = l->spread == GROUPED_PIXELS ? GROUPED_PITCH : l->width;
  grouped_pixels pixels = {.step = op->window.stride_w * op->in.c,
                           .in = l->in,
                           .first = s->run->first,
                           .channel = l->channel};
  for (size_t i = 0; i < op->window.stride_w; i++) {
    const phase *p = &s->phases[i];
    if (p->end <= p->before) continue;
    const size_t first = i * l->columns + p->before;
    if (row >= op->in.h) {
      clear_columns(l, to, first, p->end - p->before);
      continue;
    }
    pixels.x = s->input + row * op->in.w * op->in.c + p->x;
    pixels.count = p->end - p->before;
    pixels.ahead = row + 1 < op->in.h ? op->in.w * op->in.c : 0;
    pixels.to = to + first * column;
    s->run->call->simd->grouped->spread(&pixels, l->spread);
  }
}

/* Return the tile of the strip's outputs in one row, without what depends on the row. */
static grouped_tile make_tile(const strip *s, const float *const *rows) {
  const grouped_layout *l = &s->run->layout;
  const plan_op *op = s->run->call->op;
  const float *packed = op->packed.data, *bias = packed + packed_columns(l) * l->taps * l->in;
  const size_t first = s->unit * l->vectors;
  return (grouped_tile){.rows = rows,
                        .row_count = op->window.kernel_h,
                        .runs = l->runs,
                        .run_count = l->run_count,
                        .in = l->in,
                        .channel = l->channel,
                        .pixels = l->spread == GROUPED_PIXELS,
                        .weights = packed + first * vector_floats(l),
                        .bias = bias + first * l->width,
                        .step = op->shape.c,
                        .columns = s->columns,
                        .low = op->clamp_min,
                        .high = op->clamp_max};
}

/* Compute all vectors of the unit's outputs in one row of the strip. */
static void convolve_row(const strip *s, grouped_tile tile, float *out) {
  const grouped_layout *l = &s->run->layout;
  const plan_op *op = s->run->call->op;
  const size_t channel = s->unit * l->unit_out,
               channels = min_size(l->unit_out, op->shape.c - channel);
  tile.out = out + s->column * op->shape.c + channel;
  for (size_t done = 0; done < channels; done += l->width) {
    tile.channels = min_size(l->width, channels - done);
    s->run->call->simd->grouped->convolve(&tile);
    tile.weights += vector_floats(l);
    tile.bias += l->width;
    tile.out += l->width;
  }
}

static void run_strip(const strip *s, float *out, size_t first_row, size_t end_row) {
  const grouped_layout *l = &s->run->layout;
  const plan_op *op = s->run->call->op;
  const graph_window *w = &op->window;
  const size_t ring_rows = l->ring_rows, step = w->stride_h % ring_rows;
  const float *rows[MAX_REACH];
  const grouped_tile tile = make_tile(s, rows);
  size_t place = first_row * w->stride_h; /* the next row to spread */
  size_t slot = 0;                        /* where the window's first row is */
  clear_sides(s);
  for (size_t row = first_row; row < end_row; row++) {
    const size_t start = row * w->stride_h;
    if (place < start) place = start;
    for (; place < start + ring_rows; place++) {
      const size_t at = slot + place - start;
      spread_row(s, place, s->ring + (at < ring_rows ? at : at - ring_rows) * l->row);
    }
    for (size_t i = 0; i < w->kernel_h; i++) {
      const size_t at = slot + i * w->dilation_h;
      rows[i] = s->ring + (at < ring_rows ? at : at - ring_rows) * l->row;
    }
    convolve_row(s, tile, out + row * op->shape.w * op->shape.c);
    slot = slot + step < ring_rows ? slot + step : slot + step - ring_rows;
  }
}

/* Compute one unit: in one strip of all columns, or in narrow ones. */
static void run_unit(strip *s, float *out, size_t first_row, size_t end_row) {
  const kernel_call *call = s->run->call;
  const size_t w = call->op->shape.w;
  size_t columns;
  for (size_t column = 0; column < w; column += columns) {
    columns = s->run->layout.strip;
    if (columns < w) columns = call->simd->grouped->next_columns(w - column, columns);
    set_strip(s, column, columns);
    run_strip(s, out, first_row, end_row);
  }
}

static void run_grouped_task(void *context, size_t thread, size_t index) {
  const grouped_run *r = context;
  const grouped_layout *l = &r->layout;
  const kernel_call *call = r->call;
  const plan_op *op = call->op;
  const size_t slice = index % r->slices, band = index / r->slices % r->bands,
               sample = index / r->slices / r->bands;
  const size_t first_row = band * r->band_rows,
               end_row = min_size(first_row + r->band_rows, op->shape.h),
               end_unit = min_size((slice + 1) * r->slice_units, l->units);
  const float *input = call->input[0] + sample * plan_shape_floats(op->in);
  float *out = call->output + sample * plan_shape_floats(op->shape);
  strip s = {.run = r, .ring = (float *)call->workspace + thread * l->ring_rows * l->row};
  for (s.unit = slice * r->slice_units; s.unit < end_unit; s.unit++) {
    s.input = input + s.unit * l->unit_in;
    run_unit(&s, out, first_row, end_row);
  }
}

/* Choose rows and units of a task: rows that fit L2, and tasks for all threads. */
static void set_tasks(grouped_run *r) {
  const kernel_call *call = r->call;
  const plan_op *op = call->op;
  const size_t row_floats = (size_t)op->in.w * op->in.c * op->window.stride_h;
  const size_t fitting = INPUT_BYTES / sizeof(float) / row_floats,
               rows = min_size(fitting > MIN_ROWS ? fitting : MIN_ROWS, op->shape.h);
  r->bands = (op->shape.h + rows - 1) / rows;
  r->band_rows = (op->shape.h + r->bands - 1) / r->bands;
  r->bands = (op->shape.h + r->band_rows - 1) / r->band_rows;
  const size_t threads = pthreadpool_get_threads_count(call->pool), tasks = call->batch * r->bands,
               wanted = threads == 1 ? 1 : TASKS_PER_THREAD * threads;
  const size_t slices = min_size((wanted + tasks - 1) / tasks, r->layout.units);
  r->slice_units = (r->layout.units + slices - 1) / slices;
  r->slices = (r->layout.units + r->slice_units - 1) / r->slice_units;
}

static void run_grouped(const kernel_call *call) {
  grouped_run r = {.call = call, .layout = layout_of(call->simd, call->op)};
  set_lanes(&r);
  set_tasks(&r);
  pthreadpool_parallelize_1d_with_thread(call->pool, run_grouped_task, &r,
                                         call->batch * r.bands * r.slices, POOL_FLAGS);
}

static void describe_grouped(const plan_op *op, char *text, size_t size) {
  describe_window(op, text, size);
  if (op->groups == op->in.c && op->groups == op->shape.c)
    describe_append(text, size, " depthwise");
  else
    describe_append(text, size, " groups %u", op->groups);
  describe_clamp(op, text, size);
}

const kernel kernel_grouped = {.name = "grouped",
                               .is_convolution = true,
                               .loads_past = true,
                               .check = check_grouped,
                               .packed_size = packed_size_grouped,
                               .pack = pack_grouped,
                               .shape = shape_grouped,
                               .run = run_grouped,
                               .describe = describe_grouped};
