#include "cli/commands/op_speed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/format.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/system.h"
#include "cli/table.h"
#include "support/peak.h"

/* As many runs as take MAX_SECONDS, within these limits. The first ones warm up. */
enum { MIN_RUNS = 5, MAX_RUNS = 300, WARM_UP_RUNS = 2 };
static const double max_seconds = 3;

/* A loop of 24 operations a round takes 0.1 ms: shorter than a scheduler's turn. Reading
 * more than any last-level cache takes some ms. */
enum { PEAK_ROUNDS = 20000, READ_NUMBERS = 12 << 20, READS = 5 };

/* An op that reaches this share of a limit is bound by it. */
static const double bound_share = 0.6;

typedef struct measurement {
  const cli_plan *plan;
  plan_speed *speed;
  resnet_session *session;
  float *input, *scores;
  uint64_t *numbers; /* (READ_NUMBERS); NULL: do not measure the peak */
  uint64_t mixed;
} measurement;

/* ---- measuring ---- */

/* Keep the shortest time of the op. */
static void keep_op(void *user, const resnet_response *response) {
  const plan_speed *p = user;
  op_speed *op = &p->ops[response->op];
  op->seconds = fmin(op->seconds, (double)response->nanoseconds / 1e9);
}

static void keep_peak(plan_speed *p) {
  const double start = cli_clock_seconds();
  const uint64_t operations = peak_multiply(PEAK_ROUNDS);
  p->peak_flops = fmax(p->peak_flops, (double)operations / (cli_clock_seconds() - start));
}

static void keep_read(measurement *m) {
  const double start = cli_clock_seconds();
  m->mixed ^= peak_read(m->numbers, READ_NUMBERS);
  m->speed->peak_bytes = fmax(m->speed->peak_bytes, (double)READ_NUMBERS * sizeof *m->numbers /
                                                        (cli_clock_seconds() - start));
}

static bool run_all(measurement *m, const char *file) {
  plan_speed *p = m->speed;
  resnet_error error;
  const double start = cli_clock_seconds();
  while (p->runs < MIN_RUNS + WARM_UP_RUNS ||
         (p->runs < MAX_RUNS && cli_clock_seconds() - start < max_seconds)) {
    if (resnet_run(m->session, m->input, RESNET_LAYOUT_NHWC, 1, m->scores, &error) != RESNET_OK) {
      cli_print_error(file, &error);
      return false;
    }
    if (m->numbers) keep_peak(p);
    if (m->numbers && p->runs < READS) keep_read(m);
    p->runs++;
  }
  return true;
}

/* Return the bytes that the op reads and writes, each once. */
static double moved_bytes(const cli_plan *plan, const resnet_op *op) {
  double bytes = (double)op->weights_bytes + (double)op->output_bytes;
  for (int i = 0; i < 2; i++)
    if (op->input[i] != RESNET_NO_INDEX) bytes += (double)plan->ops[op->input[i]].output_bytes;
  return bytes;
}

/* Return what bounds the op, or "". Weights come from memory, activations often from a
 * cache. So only weights, or an op that multiplies nothing, can be bound by memory. */
static const char *find_bound(const plan_speed *p, const op_speed *op, const resnet_op *from,
                              double moved) {
  if (!p->instructions) return "";
  if (op->peak_share >= bound_share) return "arithmetic";
  if (op->bytes < bound_share * p->peak_bytes) return "";
  if ((double)from->weights_bytes > moved / 2) return "weights";
  return from->macs == 0 ? "memory" : "";
}

static void conclude(const cli_plan *plan, plan_speed *p) {
  for (uint32_t i = 0; i < plan->op_count; i++) {
    if (!isfinite(p->ops[i].seconds)) p->ops[i].seconds = 0;
    p->seconds += p->ops[i].seconds;
  }
  for (uint32_t i = 0; i < plan->op_count; i++) {
    const resnet_op *from = &plan->ops[i];
    op_speed *op = &p->ops[i];
    const double moved = moved_bytes(plan, from), seconds = op->seconds;
    op->share = p->seconds > 0 ? seconds / p->seconds : 0;
    op->flops = seconds > 0 ? 2 * (double)from->multiplications / seconds : 0;
    op->direct_flops = seconds > 0 ? 2 * (double)from->macs / seconds : 0;
    op->bytes = seconds > 0 ? moved / seconds : 0;
    op->peak_share = p->peak_flops > 0 ? op->flops / p->peak_flops : 0;
    op->bound = find_bound(p, op, from, moved);
  }
}

bool op_speed_measure(const settings *s, const loaded_model *model, const cli_plan *plan,
                      plan_speed *p) {
  measurement m = {.plan = plan, .speed = p};
  const resnet_model_info *info = &model->info;
  const size_t values = (size_t)info->input_height * info->input_width * info->input_channels;
  *p = (plan_speed){.ops = cli_allocate(plan->op_count, sizeof *p->ops)};
  for (uint32_t i = 0; i < plan->op_count; i++) p->ops[i].seconds = INFINITY;
  if (s->peak) {
    p->instructions = peak_instructions();
    m.numbers = cli_allocate(READ_NUMBERS, sizeof *m.numbers);
    for (size_t i = 0; i < READ_NUMBERS; i++) m.numbers[i] = i;
  }
  m.input = cli_allocate(values, sizeof *m.input);
  m.scores = cli_allocate(info->score_count, sizeof *m.scores);
  cli_model_random_input(m.input, values);
  bool ok = cli_model_open_session(model, 1, 1, RESNET_OBSERVE_OPS, &m.session);
  ok = ok && resnet_session_observe(m.session, keep_op, p, NULL) == RESNET_OK &&
       run_all(&m, model->file);
  if (ok) conclude(plan, p);
  resnet_session_close(&m.session);
  free(m.numbers);
  free(m.input);
  free(m.scores);
  return ok;
}

void op_speed_release(plan_speed *p) { free(p->ops); }

/* ---- output ---- */

static void add_number(table *t, const char *format, double number, bool known) {
  char text[FORMAT_SIZE];
  (void)snprintf(text, sizeof text, format, number);
  cli_table_add(t, known ? text : "-");
}

static void add_row(table *t, const cli_plan *plan, const plan_speed *p, uint32_t index) {
  const resnet_op *op = &plan->ops[index];
  const op_speed *speed = &p->ops[index];
  const bool multiplies = op->macs > 0 && speed->seconds > 0;
  cli_table_add_number(t, index);
  cli_table_add(t, op->kernel);
  cli_table_add(t, op->detail);
  add_number(t, "%.1f", speed->seconds * 1e6, true);
  add_number(t, "%.1f", 100 * speed->share, true);
  add_number(t, "%.1f", speed->flops / 1e9, multiplies);
  add_number(t, "%.1f", speed->direct_flops / 1e9, multiplies);
  add_number(t, "%.1f", speed->bytes / 1e9, speed->seconds > 0);
  if (p->instructions) {
    add_number(t, "%.0f %%", 100 * speed->peak_share, multiplies);
    cli_table_add(t, speed->bound);
  }
  cli_table_add(t, op->name);
}

void op_speed_print(const cli_plan *plan, const plan_speed *p) {
  static const char *const plain[] = {"op",      "kernel", "detail", "us",  "%",
                                      "GFLOP/s", "direct", "GB/s",   "node"};
  static const char *const peak[] = {"op",     "kernel", "detail", "us",    "%",   "GFLOP/s",
                                     "direct", "GB/s",   "peak",   "bound", "node"};
  const char *const *heading = p->instructions ? peak : plain;
  table t = {.columns = p->instructions ? sizeof peak / sizeof *peak : sizeof plain / sizeof *plain,
             .alignment = p->instructions ? "rllrrrrrrll" : "rllrrrrrl"};
  for (size_t i = 0; i < t.columns; i++) cli_table_add(&t, heading[i]);
  for (uint32_t i = 0; i < plan->op_count; i++) add_row(&t, plan, p, i);
  (void)fputc('\n', stdout);
  cli_table_print(&t);
  (void)printf("\nsum         %.3f ms on one thread (each op: its minimum of %u runs)\n",
               p->seconds * 1e3, p->runs);
  if (p->instructions)
    (void)printf("peak        %.1f GFLOP/s (%s), %.1f GB/s read from memory, measured between "
                 "the runs\n",
                 p->peak_flops / 1e9, p->instructions, p->peak_bytes / 1e9);
}

void op_speed_write(const plan_speed *p, json *j) {
  json_open_object(j, "speed");
  json_integer(j, "threads", 1);
  json_integer(j, "runs", p->runs);
  json_number(j, "nanoseconds", p->seconds * 1e9);
  if (p->instructions) {
    json_text(j, "instructions", p->instructions);
    json_number(j, "peak_gflops", p->peak_flops / 1e9);
    json_number(j, "peak_gbytes", p->peak_bytes / 1e9);
  }
  json_close_object(j);
}

void op_speed_write_op(const plan_speed *p, uint32_t index, json *j) {
  const op_speed *op = &p->ops[index];
  json_number(j, "nanoseconds", op->seconds * 1e9);
  json_number(j, "share", op->share);
  json_number(j, "gflops", op->flops / 1e9);
  json_number(j, "direct_gflops", op->direct_flops / 1e9);
  json_number(j, "gbytes", op->bytes / 1e9);
  if (!p->instructions) return;
  json_number(j, "peak_share", op->peak_share);
  json_text(j, "bound", op->bound);
}
