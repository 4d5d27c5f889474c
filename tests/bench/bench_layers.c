/* Times single convolutions by every algorithm of the library, for calibrate.py.
 *
 *     bench_layers ROUNDS EVICT_BYTES
 *
 * Reads layers from stdin, a line each: height width channels outputs kernel stride pad
 * groups. Answers each by one line of JSON for each algorithm that applies:
 *
 *     name        of the algorithm; "addition": a separate one behind XNNPACK's layer
 *     hot         nanoseconds when all data may be in the caches, the minimum of ROUNDS
 *     cold        the same when the weights come from memory
 *     cost, bytes as the cost model predicts with its constants
 *     base        the predicted cost when all constants below are 0
 *     terms       what multiplies each constant
 *
 * The algorithms of a layer take turns, so that a slow phase of the machine meets all of
 * them. The first line names the instruction set and the constants of its class. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_network.h"
#include "runtime/api/session.h"
#include "runtime/kernels/simd/dispatch.h"
#include "runtime/plan/cost_constants.h"
#include "runtime/plan/cost_model.h"

enum { MAX_RUNS = 16, HOT_RUNS = 3 };

/* The constants that are fitted: those that costs depend on linearly. */
static const struct {
  const char *name;
  size_t offset;
} fitted[] = {
#define CONSTANT(name)                                                                             \
  { #name, offsetof(plan_cost_constants, name) }
    CONSTANT(product),   CONSTANT(tap),       CONSTANT(grouped), CONSTANT(spread),
    CONSTANT(depthwise), CONSTANT(transform), CONSTANT(split),   CONSTANT(addition),
    CONSTANT(weight),    CONSTANT(fetched),   CONSTANT(starved),
#undef CONSTANT
};
enum { FITTED = sizeof fitted / sizeof *fitted, OTHERS = 3 /* panel and two limits */ };
_Static_assert(sizeof(plan_cost_constants) ==
                   sizeof(const char *) + (FITTED + OTHERS) * sizeof(double),
               "a line for each constant");

static double *constant(plan_cost_constants *k, size_t index) {
  return (double *)(void *)((char *)k + fitted[index].offset);
}

typedef struct layer {
  graph_shape in;
  uint32_t out, groups;
  graph_window window;
} layer;

/* One algorithm's model of a layer. */
typedef struct run {
  uint32_t algorithm;
  bool adds; /* an addition follows, and is what is timed */
  plan_op op;
  resnet_model *model;
  resnet_session *session;
  double hot, cold; /* minimum nanoseconds */
  double last;
} run;

static void observe(void *user, const resnet_response *r) {
  run *one = user;
  if (r->op == (one->adds ? 2U : 1U)) one->last = (double)r->nanoseconds;
}

static void fail_on(resnet_status status, const resnet_error *error) {
  if (status == RESNET_OK) return;
  fprintf(stderr, "bench_layers: %s\n", error->message);
  exit(1);
}

static network make_network(const layer *l, bool adds) {
  network n = network_new(l->in);
  const uint32_t conv = network_add_conv(&n, 0, &l->window, l->groups, l->out);
  n.graph.nodes[conv].clamp_min = -INFINITY;
  n.graph.nodes[conv].clamp_max = INFINITY;
  if (!adds) return n;
  graph_node *sum = network_add_node(&n, GRAPH_ADD, conv, l->in);
  sum->input[1] = 0;
  sum->input_count = 2;
  return n;
}

static void open_run(run *one, const layer *l, uint32_t algorithm, bool adds) {
  *one = (run){.algorithm = algorithm, .adds = adds, .hot = INFINITY, .cold = INFINITY};
  network n = make_network(l, adds);
  resnet_model_options options;
  resnet_session_options settings;
  resnet_error error;
  resnet_model_options_init(&options);
  resnet_session_options_init(&settings);
  settings.threads = 1;
  settings.batch = 1;
  settings.observe = RESNET_OBSERVE_OPS;
  fail_on(model_from_graph_with(n.memory, &n.graph, &options, &algorithm, &one->model, &error),
          &error);
  fail_on(resnet_session_open(one->model, &settings, &one->session, &error), &error);
  fail_on(resnet_session_observe(one->session, observe, one, &error), &error);
  one->op = one->model->plan.ops[1];
  one->op.kernel = KERNEL_CONV;
  graph_release(&n.graph);
}

static void run_once(run *one, const float *input, float *scores) {
  resnet_error error;
  fail_on(resnet_run(one->session, input, RESNET_LAYOUT_NHWC, 1, scores, &error), &error);
}

/* Read bytes into the caches. */
static void touch(const volatile char *bytes, size_t size) {
  for (size_t i = 0; i < size; i += 64) (void)bytes[i];
}

/* A run whose weights were evicted by more bytes than the caches hold, then hot ones. */
static void time_once(run *one, const float *input, float *scores, const char *other, size_t size) {
  const executor *e = &one->session->executor;
  touch(other, size);
  touch((const char *)e->arena, one->model->plan.arena_floats * sizeof(float));
  touch(e->workspace, e->workspace_size);
  run_once(one, input, scores);
  one->cold = fmin(one->cold, one->last);
  for (int i = 0; i < HOT_RUNS; i++) {
    run_once(one, input, scores);
    one->hot = fmin(one->hot, one->last);
  }
}

static double predict(const run *one, const plan_cost_constants *k) {
  const plan_candidate c = plan_predict_with(k, one->algorithm, &one->op, one->adds, 1);
  return one->adds ? c.addition : c.cost;
}

static void report(const run *one) {
  const plan_cost_constants *today = plan_cost_constants_of(simd_fastest()->name);
  plan_cost_constants none = *today;
  for (size_t i = 0; i < FITTED; i++) *constant(&none, i) = 0.0;
  const double base = predict(one, &none);
  printf("{\"name\": \"%s\", \"hot\": %.0f, \"cold\": %.0f, \"cost\": %.6g, \"bytes\": %.0f, "
         "\"base\": %.6g, \"terms\": {",
         one->adds ? "addition" : plan_algorithm_name(one->algorithm), one->hot, one->cold,
         predict(one, today), plan_predict(one->algorithm, &one->op, false, 1).bytes, base);
  for (size_t i = 0; i < FITTED; i++) {
    plan_cost_constants single = none;
    *constant(&single, i) = 1.0;
    printf("%s\"%s\": %.6g", i ? ", " : "", fitted[i].name, predict(one, &single) - base);
  }
  printf("}}\n");
}

static bool read_layer(layer *l) {
  unsigned h, w, c, out, side, stride, pad, groups;
  if (scanf("%u %u %u %u %u %u %u %u", &h, &w, &c, &out, &side, &stride, &pad, &groups) != 8)
    return false;
  *l = (layer){.in = {h, w, c},
               .out = out,
               .groups = groups,
               .window = {side, side, stride, stride, 1, 1, pad, pad, pad, pad}};
  return true;
}

/* Open a model for each algorithm that applies to the layer, and one with an addition. */
static size_t open_runs(const layer *l, run runs[MAX_RUNS]) {
  size_t count = 0;
  open_run(&runs[count++], l, 0, false);
  for (uint32_t i = 1; i < plan_algorithm_count(); i++)
    if (plan_algorithm_applies(i, &runs[0].op)) open_run(&runs[count++], l, i, false);
  const graph_shape out = runs[0].op.shape, in = runs[0].op.in;
  if (out.h == in.h && out.w == in.w && out.c == in.c) open_run(&runs[count++], l, 0, true);
  return count;
}

static void bench(const layer *l, size_t rounds, const char *other, size_t size) {
  run runs[MAX_RUNS];
  const size_t count = open_runs(l, runs);
  const size_t floats = (size_t)l->in.h * l->in.w * l->in.c,
               results = plan_shape_floats(runs[0].op.shape);
  float *input = malloc(floats * sizeof *input), *scores = malloc(results * sizeof *scores);
  for (size_t i = 0; input && i < floats; i++) input[i] = random_unit();
  for (size_t round = 0; round < rounds; round++)
    for (size_t i = 0; i < count; i++) time_once(&runs[i], input, scores, other, size);
  for (size_t i = 0; i < count; i++) {
    report(&runs[i]);
    resnet_session_close(&runs[i].session);
    resnet_model_close(&runs[i].model);
  }
  free(input);
  free(scores);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const size_t rounds = strtoul(argv[1], NULL, 10), size = strtoul(argv[2], NULL, 10);
  char *other = malloc(size + 1);
  if (!other) return 1;
  memset(other, 1, size + 1);
  plan_cost_constants k = *plan_cost_constants_of(simd_fastest()->name);
  printf("{\"simd\": \"%s\", \"panel\": %g, \"starving_bytes\": %g, \"starving_rows\": %g",
         simd_fastest()->name, k.panel, k.starving_bytes, k.starving_rows);
  for (size_t i = 0; i < FITTED; i++) printf(", \"%s\": %g", fitted[i].name, *constant(&k, i));
  printf("}\n");
  for (layer l; read_layer(&l);) {
    bench(&l, rounds, other, size);
    printf("{}\n");
    fflush(stdout);
  }
  free(other);
  return 0;
}
