/* Convolutions as matrix products of pixels and weights + bias + shortcut + clamp, for
 * any window and for fully connected layers. A table of pointers leads to the pixels of
 * each tap, so that nothing is copied. Groups are products of their own. */
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/table.h"

#include <string.h>

#include "runtime/kernels/check.h"
#include "runtime/kernels/describe.h"
#include "runtime/kernels/workspace.h"

enum {
  /* a task's pixels, which are read again for each panel: a fraction of any L2 */
  INPUT_BYTES = 128 * 1024,
  /* with fewer pixels, reading the weights for each task costs more than L2 saves */
  MIN_ROWS = 64,
  MAX_ROWS = 256,
  /* a task's pointers; more taps than MAX_TAPS would leave too few rows */
  TABLE_BYTES = 64 * 1024,
  MAX_TAPS = 1024,
  /* weights up to this size stay in L2 from one task to the next */
  CACHED_BYTES = 256 * 1024,
  TASKS_PER_THREAD = 4, /* enough to balance threads of different speeds */
  MIN_GROUP = 4         /* output channels: the shortest vector of all sets */
};

_Static_assert(TABLE_BYTES / sizeof(float *) / MAX_TAPS >= 8, "a table of at least one tile");

static size_t count_taps(const plan_op *op) {
  return (size_t)op->window.kernel_h * op->window.kernel_w;
}

bool kernel_gemm_applies(const plan_op *op) {
  return op->kernel == KERNEL_CONV && count_taps(op) <= MAX_TAPS &&
         (op->groups == 1 || op->shape.c / op->groups >= MIN_GROUP);
}

/* ---- weights: groups x panels x taps x (c,columns), then the bias ---- */

/* The sizes of one group. */
typedef struct group_sizes {
  size_t c, o;    /* input and output channels */
  size_t k;       /* products of a sum: taps x c */
  size_t columns; /* in a panel */
  size_t panels;
} group_sizes;

static group_sizes sizes_of(const plan_op *op, size_t panel) {
  group_sizes g = {.c = op->in.c / op->groups, .o = op->shape.c / op->groups};
  g.k = count_taps(op) * g.c;
  g.columns = g.o <= panel / 2 ? panel / 2 : panel;
  g.panels = (g.o + g.columns - 1) / g.columns;
  return g;
}

static size_t weight_floats(const plan_op *op, const group_sizes *g) {
  return op->groups * g->panels * g->columns * g->k;
}

static size_t packed_size_gemm(const plan_op *op) {
  const group_sizes g = sizes_of(op, simd_fastest()->panel);
  return (weight_floats(op, &g) + op->shape.c) * sizeof(float);
}

static resnet_status check_gemm(const plan_op *op, resnet_error *error) {
  const group_sizes g = sizes_of(op, simd_fastest()->panel);
  return kernel_check_packed_weights(op, op->groups * g.panels * g.columns, g.k, error);
}

/* Pack `count` filters of k floats as one panel. */
static void pack_panel(const group_sizes *g, const float *filters, size_t count, float *packed) {
  for (size_t k = 0; k < g->k; k++)
    for (size_t o = 0; o < count; o++) packed[k * g->columns + o] = filters[o * g->k + k];
}

static resnet_status pack_gemm(plan_op *op, memory *m, resnet_error *error) {
  const group_sizes g = sizes_of(op, simd_fastest()->panel);
  float *packed = mem_allocate(m, packed_size_gemm(op), 1), *panel = packed;
  if (!packed) return err_no_memory(error, "packed weights");
  for (size_t group = 0; group < op->groups; group++)
    for (size_t o = 0; o < g.o; o += g.columns, panel += g.columns * g.k)
      pack_panel(&g, op->weights + (group * g.o + o) * g.k, min_size(g.o - o, g.columns), panel);
  memcpy(panel, op->bias, op->shape.c * sizeof *packed);
  op->packed = (plan_packed_weights){.data = packed, .size = packed_size_gemm(op)};
  plan_op_release_weights(op, m);
  return RESNET_OK;
}

/* ---- the table of pointers: (taps,rows) ---- */

/* Return true if the output's pixels are the input's, in order: no table is needed. */
static bool is_pointwise(const plan_op *op) {
  return count_taps(op) == 1 && op->window.stride_h == 1 && op->window.stride_w == 1 &&
         op->in.h == op->shape.h && op->in.w == op->shape.w;
}

/* Return the output pixels of a task, whole tiles. */
static size_t task_rows(const plan_op *op, size_t tile) {
  const graph_window *w = &op->window;
  const size_t fresh = min_size(w->kernel_h, w->stride_h) * min_size(w->kernel_w, w->stride_w);
  const size_t rows = INPUT_BYTES / sizeof(float) / op->in.c / fresh,
               pointers = TABLE_BYTES / sizeof(float *) / count_taps(op);
  const size_t wanted = rows < MIN_ROWS ? MIN_ROWS : min_size(rows, MAX_ROWS);
  return is_pointwise(op) || wanted <= pointers ? round_up(wanted, tile)
                                                : round_up(pointers - tile + 1, tile);
}

/* The workspace starts with a pixel of zeros, for taps outside the image. For each thread
 * follow a table and the sums of a panel, whole lines. */
static size_t table_floats(const kernel_call *call, size_t rows) {
  const size_t pointers = is_pointwise(call->op) ? 0 : count_taps(call->op) * rows;
  return round_up(pointers * sizeof(float *) / sizeof(float), KERNEL_LINE);
}

static size_t thread_floats(const kernel_call *call) {
  const size_t rows = task_rows(call->op, call->simd->gemm->rows);
  return table_floats(call, rows) + rows * call->simd->panel;
}

static resnet_status shape_gemm(kernel_call *call, resnet_error *error) {
  return kernel_size_workspace(call, kernel_pixel_floats(call->op), thread_floats(call), error);
}

/* Write the pointers of one output pixel, `rows` apart. */
static void find_taps(const plan_op *op, const float *image, size_t row, size_t column,
                      const float *zeros, size_t rows, const float **pointers) {
  const graph_window *w = &op->window;
  /* both wrap around where they are negative, and are then outside the image, too */
  const size_t top = row * w->stride_h - w->pad_top, left = column * w->stride_w - w->pad_left;
  for (size_t i = 0; i < w->kernel_h; i++) {
    const size_t y = top + i * w->dilation_h;
    const bool inside = y < op->in.h;
    const float *line = inside ? image + y * op->in.w * op->in.c : zeros;
    for (size_t j = 0; j < w->kernel_w; j++, pointers += rows) {
      const size_t x = left + j * w->dilation_w;
      *pointers = inside && x < op->in.w ? line + x * op->in.c : zeros;
    }
  }
}

/* Write the table of `rows` output pixels from `first` on, in all samples' order. */
static void fill_table(const kernel_call *call, size_t first, size_t rows, const float **table) {
  const plan_op *op = call->op;
  const size_t pixels = (size_t)op->shape.h * op->shape.w;
  size_t sample = first / pixels, row = first % pixels / op->shape.w, column = first % op->shape.w;
  for (size_t r = 0; r < rows; r++) {
    find_taps(op, call->input[0] + sample * plan_shape_floats(op->in), row, column, call->workspace,
              rows, table + r);
    if (++column < op->shape.w) continue;
    column = 0;
    if (++row < op->shape.h) continue;
    row = 0;
    sample++;
  }
}

/* ---- tasks: some pixels, some panels ---- */

typedef struct gemm_task {
  const kernel_call *call;
  group_sizes g;
  size_t pixels, rows;       /* in the batch; in a task */
  size_t all_panels, panels; /* in all groups; in a task */
} gemm_task;

/* Multiply the rows of `a` by `panels` panels of one group, from `panel` on. */
static void multiply_group(const gemm_task *t, simd_product product, size_t row, size_t rows,
                           size_t group, size_t panel, size_t panels) {
  const kernel_call *call = t->call;
  const plan_op *op = call->op;
  const float *packed = op->packed.data;
  const size_t first = panel * t->g.columns, channel = group * t->g.o + first;
  const size_t at = row * op->shape.c + channel;
  product.a += group * t->g.c;
  product.rows_offset = group * t->g.c;
  product.packed = packed + (group * t->g.panels + panel) * t->g.columns * t->g.k;
  product.o = min_size(panels * t->g.columns, t->g.o - first);
  product.out = call->output + at;
  const simd_epilogue epilogue = {
      .bias = packed + weight_floats(op, &t->g) + channel,
      .shortcut = op->input_count == 2 ? call->input[1] + at : NULL,
      .low = op->clamp_min,
      .high = op->clamp_max,
  };
  call->simd->gemm->multiply_epilogue(&product, &epilogue, rows);
}

static void run_gemm_task(void *context, size_t thread, size_t row_task, size_t panel_task) {
  const gemm_task *t = context;
  const kernel_call *call = t->call;
  const plan_op *op = call->op;
  const size_t row = row_task * t->rows, rows = min_size(t->rows, t->pixels - row);
  const size_t end = min_size((panel_task + 1) * t->panels, t->all_panels);
  simd_product product = {
      .a = call->input[0],
      .a_stride = op->in.c,
      .c = t->g.c,
      .out_stride = op->shape.c,
      .fetch = op->packed.size > CACHED_BYTES,
      .taps = count_taps(op),
      .rows_stride = rows,
      .half_panel = t->g.columns < call->simd->panel,
  };
  float *own = call->workspace;
  own += kernel_pixel_floats(op) + thread * thread_floats(call);
  product.sums = own + table_floats(call, task_rows(op, call->simd->gemm->rows));
  if (is_pointwise(op)) {
    product.a += row * op->in.c;
  } else {
    const float **table = (const float **)(void *)own;
    fill_table(call, row, rows, table);
    product.rows = table;
  }
  for (size_t panel = panel_task * t->panels, count; panel < end; panel += count) {
    const size_t inside = panel % t->g.panels;
    count = min_size(t->g.panels - inside, end - panel);
    multiply_group(t, product, row, rows, panel / t->g.panels, inside, count);
  }
}

/* Split the output by pixels. If these make too few tasks, split by channels too, so that
 * each weight is still read by only one thread. */
static void run_gemm(const kernel_call *call) {
  const plan_op *op = call->op;
  const size_t threads = pthreadpool_get_threads_count(call->pool);
  const size_t tile = call->simd->gemm->rows, max_rows = task_rows(op, tile);
  gemm_task t = {.call = call,
                 .g = sizes_of(op, call->simd->panel),
                 .pixels = call->batch * op->shape.h * op->shape.w};
  const size_t row_tasks = (t.pixels + max_rows - 1) / max_rows,
               wanted = threads == 1 ? 1 : TASKS_PER_THREAD * threads;
  const size_t panel_tasks = (wanted + row_tasks - 1) / row_tasks;
  /* tasks of about the same size */
  t.rows = min_size(round_up((t.pixels + row_tasks - 1) / row_tasks, tile), max_rows);
  t.all_panels = op->groups * t.g.panels;
  t.panels = (t.all_panels + panel_tasks - 1) / panel_tasks;
  if (!is_pointwise(op)) memset(call->workspace, 0, kernel_pixel_floats(op) * sizeof(float));
  pthreadpool_parallelize_2d_with_thread(call->pool, run_gemm_task, &t,
                                         (t.pixels + t.rows - 1) / t.rows,
                                         (t.all_panels + t.panels - 1) / t.panels, POOL_FLAGS);
}

static void describe_gemm(const plan_op *op, char *text, size_t size) {
  describe_convolution(op, text, size);
  if (op->input_count == 2) describe_append(text, size, " + %s", describe_shortcut(op));
  describe_clamp(op, text, size);
}

const kernel kernel_gemm = {.name = "gemm",
                            .is_convolution = true,
                            .adds_shortcut = true,
                            .in_place = 2,
                            .check = check_gemm,
                            .packed_size = packed_size_gemm,
                            .pack = pack_gemm,
                            .shape = shape_gemm,
                            .run = run_gemm,
                            .describe = describe_gemm};
