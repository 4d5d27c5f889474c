#include "tests/unit/kernel_network.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/api/session.h"
#include "runtime/plan/cost_model.h"
#include "runtime/plan/lower.h"
#include "tests/unit/reference.h"

static uint64_t state = 1;

uint32_t random_below(uint32_t n) { /* xorshift64* (Vigna 2016) */
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)((state * UINT64_C(2685821657736338717)) >> 33) % n;
}

float random_unit(void) { return (float)random_below(20001) / 10000.0f - 1.0f; }

uint32_t pick(const uint32_t *from, uint32_t count) { return from[random_below(count)]; }

float *random_floats(memory *m, size_t count) {
  float *x = mem_allocate(m, count, sizeof *x);
  assert_non_null(x);
  for (size_t i = 0; i < count; i++) x[i] = random_unit();
  return x;
}

graph_node *network_add_node(network *n, graph_op op, uint32_t input, graph_shape shape) {
  graph_node *node = &n->graph.nodes[n->graph.node_count++];
  assert_true(n->graph.node_count <= MAX_NODES);
  *node = (graph_node){
      .op = op, .shape = shape, .block = RESNET_NO_INDEX, .groups = 1, .input = {input}};
  node->input_count = op == GRAPH_INPUT ? 0 : 1;
  node->clamp_min = random_below(2) ? 0.0f : -INFINITY;
  node->clamp_max = random_below(4) ? INFINITY : 0.75f;
  node->name = mem_copy_string(n->memory, "node", 4);
  /* its index, for `compare` */
  const char output[] = {(char)('0' + n->graph.node_count - 1), '\0'};
  node->output = mem_copy_string(n->memory, output, 1);
  n->graph.output = n->graph.node_count - 1;
  return node;
}

network network_new(graph_shape input) {
  network n = {.memory = mem_create(NULL, 0)};
  assert_non_null(n.memory);
  n.graph.memory = n.memory;
  n.graph.nodes = mem_allocate(n.memory, MAX_NODES, sizeof *n.graph.nodes);
  n.graph.name = mem_copy_string(n.memory, "", 0);
  n.graph.producer = mem_copy_string(n.memory, "", 0);
  (void)network_add_node(&n, GRAPH_INPUT, 0, input);
  return n;
}

/* Scale weights by their number per output, like trained ones: sums of any length then
 * stay near 1, and the tolerance measures rounding, not cancellation. */
void network_set_parameters(network *n, graph_node *node, size_t weights, size_t biases) {
  node->weights = random_floats(n->memory, weights);
  const float scale = 1.0f / sqrtf((float)(weights / biases));
  for (size_t i = 0; i < weights; i++) node->weights[i] *= scale;
  node->weight_count = weights;
  node->bias = random_floats(n->memory, biases);
  node->bias_count = biases;
}

static uint32_t out_size(uint32_t in, uint32_t taps, uint32_t stride, uint32_t dilation,
                         uint32_t pads) {
  return (in + pads - ((taps - 1) * dilation + 1)) / stride + 1;
}

graph_window random_window(graph_shape in) {
  const uint32_t kernels[] = {1, 1, 2, 3, 3, 5, 7};
  graph_window w = {.kernel_h = pick(kernels, 7), .kernel_w = pick(kernels, 7)};
  w.stride_h = 1 + random_below(3);
  w.stride_w = 1 + random_below(3);
  w.dilation_h = 1 + random_below(2);
  w.dilation_w = 1 + random_below(2);
  const uint32_t reach_h = (w.kernel_h - 1) * w.dilation_h + 1,
                 reach_w = (w.kernel_w - 1) * w.dilation_w + 1;
  w.pad_top = random_below(reach_h);
  w.pad_bottom = random_below(reach_h);
  w.pad_left = random_below(reach_w);
  w.pad_right = random_below(reach_w);
  while (in.h + w.pad_top + w.pad_bottom < reach_h) w.pad_top++;
  while (in.w + w.pad_left + w.pad_right < reach_w) w.pad_left++;
  return w;
}

graph_shape network_windowed(graph_shape in, const graph_window *w, uint32_t channels) {
  return (graph_shape){
      out_size(in.h, w->kernel_h, w->stride_h, w->dilation_h, w->pad_top + w->pad_bottom),
      out_size(in.w, w->kernel_w, w->stride_w, w->dilation_w, w->pad_left + w->pad_right),
      channels};
}

uint32_t network_add_conv(network *n, uint32_t input, const graph_window *w, uint32_t groups,
                          uint32_t channels) {
  const graph_shape in = n->graph.nodes[input].shape;
  graph_node *node = network_add_node(n, GRAPH_CONV, input, network_windowed(in, w, channels));
  node->window = *w;
  node->groups = groups;
  network_set_parameters(n, node, (size_t)channels * w->kernel_h * w->kernel_w * (in.c / groups),
                         channels);
  return n->graph.output;
}

uint32_t network_add_pad(network *n, uint32_t input, graph_pad_mode mode, const uint32_t pads[4]) {
  const graph_shape in = n->graph.nodes[input].shape;
  graph_node *node = network_add_node(
      n, GRAPH_PAD, input, (graph_shape){in.h + pads[0] + pads[2], in.w + pads[1] + pads[3], in.c});
  node->window = (graph_window){
      .pad_top = pads[0], .pad_left = pads[1], .pad_bottom = pads[2], .pad_right = pads[3]};
  node->pad_mode = mode;
  if (mode == GRAPH_PAD_CONSTANT) node->scalar = random_unit();
  return n->graph.output;
}

uint32_t network_add_channel_conv(network *n, uint32_t input, uint32_t taps, uint32_t pad) {
  graph_node *node = network_add_node(n, GRAPH_CHANNEL_CONV, input, n->graph.nodes[input].shape);
  node->window = (graph_window){1, taps, 1, 1, 1, 1, 0, pad, 0, taps - 1 - pad};
  network_set_parameters(n, node, taps, 1);
  return n->graph.output;
}

uint32_t network_add_scale(network *n, uint32_t input, uint32_t gate, bool sigmoid) {
  graph_node *node = network_add_node(n, GRAPH_SCALE, input, n->graph.nodes[input].shape);
  node->input[1] = gate;
  node->input_count = 2;
  node->sigmoid = sigmoid;
  return n->graph.output;
}

uint32_t network_add_pooled(network *n, uint32_t input) {
  (void)network_add_node(n, GRAPH_GLOBAL_AVERAGE_POOL, input,
                         (graph_shape){1, 1, n->graph.nodes[input].shape.c});
  return n->graph.output;
}

uint32_t network_add_sigmoid(network *n, uint32_t input) {
  (void)network_add_node(n, GRAPH_SIGMOID, input, n->graph.nodes[input].shape);
  return n->graph.output;
}

graph_shape random_shape(void) {
  const uint32_t sizes[] = {1, 2, 3, 5, 7, 8, 13, 16, 19},
                 channels[] = {1, 3, 8, 16, 17, 32, 36, 64};
  return (graph_shape){pick(sizes, 9), pick(sizes, 9), pick(channels, 8)};
}

/* The reference for one run of the library that observes every op. */
typedef struct comparison {
  float **values; /* of the reference, by node */
  const graph *graph;
  const resnet_model *model;
  uint32_t batch;
  double tolerance, worst; /* of an op's largest value */
  double min_largest;      /* replaces an op's largest value where that is smaller */
  size_t compared;
} comparison;

static void compare(void *user, const resnet_response *r) {
  comparison *c = user;
  const uint32_t node = (uint32_t)(c->model->plan.ops[r->op].output[0] - '0');
  const graph_shape s = c->graph->nodes[node].shape;
  assert_int_equal(r->height, s.h);
  assert_int_equal(r->width, s.w);
  assert_int_equal(r->channels, s.c);
  assert_int_equal(r->batch, c->batch);
  const float *want = c->values[node];
  double largest = c->min_largest, worst = 0.0;
  for (size_t i = 0; i < r->batch * plan_shape_floats(s); i++) {
    largest = fmax(largest, fabs((double)want[i]));
    worst = fmax(worst, fabs((double)want[i] - (double)r->data[i]));
    assert_true(r->data[i] == r->data[i]); /* no NaN */
  }
  if (worst > c->tolerance * largest) fail_msg("op %u: off by %g of %g", r->op, worst, largest);
  c->worst = fmax(c->worst, worst / largest);
  c->compared++;
}

unsigned network_kinds(const plan *p) {
  unsigned kinds = 0;
  for (uint32_t i = 0; i < p->op_count; i++) {
    const plan_op *op = &p->ops[i];
    if (op->kernel == KERNEL_WINOGRAD || op->kernel == KERNEL_STEM) kinds |= 1u << op->form;
    if (op->kernel == KERNEL_WINOGRAD_STRIDE2) kinds |= NETWORK_STRIDE2;
    if (op->kernel == KERNEL_GEMM) kinds |= NETWORK_GEMM;
    if (op->kernel == KERNEL_GEMM && op->input_count == 2) kinds |= NETWORK_GEMM_ADDS;
    if (op->kernel == KERNEL_WINOGRAD && op->input_count == 2) kinds |= NETWORK_WINOGRAD_ADDS;
  }
  return kinds;
}

static plan_kernel forced_kernel = KERNEL_COUNT;

void network_force(plan_kernel forced) { forced_kernel = forced; }

static uint32_t forced_algorithm(const plan_op *conv) {
  for (uint32_t i = 0; i < plan_algorithm_count(); i++) {
    const plan_candidate c = plan_predict(i, conv, false, 1);
    if (c.kernel == forced_kernel && plan_algorithm_applies(i, conv)) return i;
  }
  return plan_algorithm_of(conv);
}

/* Write the algorithm of each convolution. */
static void force_algorithms(const graph *g, uint32_t algorithms[MAX_NODES]) {
  for (uint32_t i = 0; i < g->node_count; i++) {
    const graph_node *node = &g->nodes[i];
    const plan_op conv = {.kernel = KERNEL_CONV,
                          .in = g->nodes[node->input[0]].shape,
                          .shape = node->shape,
                          .window = node->window,
                          .groups = node->groups};
    if (plan_selects_algorithm(node->op))
      *algorithms++ = node->op == GRAPH_CONV ? forced_algorithm(&conv) : plan_algorithm_of(&conv);
  }
}

resnet_model *network_model(network *n, resnet_conv conv) {
  uint32_t algorithms[MAX_NODES] = {0};
  const bool forced = forced_kernel != KERNEL_COUNT;
  if (forced) force_algorithms(&n->graph, algorithms);
  resnet_error error;
  resnet_model *model;
  resnet_model_options options;
  resnet_model_options_init(&options);
  options.conv = conv;
  if (model_from_graph_with(n->memory, &n->graph, &options, forced ? algorithms : NULL, &model,
                            &error) != RESNET_OK)
    fail_msg("%s", error.message);
  return model;
}

static void run_observed(const resnet_model *model, const float *input, uint32_t threads,
                         comparison *c) {
  resnet_error error;
  resnet_session *session;
  resnet_session_options settings = {.struct_size = sizeof settings,
                                     .threads = threads,
                                     .batch = c->batch,
                                     .observe = RESNET_OBSERVE_OPS};
  if (resnet_session_open(model, &settings, &session, &error) != RESNET_OK)
    fail_msg("%s", error.message);
  float *scores = random_floats(
      model->memory, c->batch * plan_shape_floats(c->graph->nodes[c->graph->output].shape));
  assert_int_equal(resnet_session_observe(session, compare, c, &error), RESNET_OK);
  assert_int_equal(resnet_run(session, input, RESNET_LAYOUT_NHWC, c->batch, scores, &error),
                   RESNET_OK);
  assert_int_equal(c->compared, model->plan.op_count);
  mem_release(model->memory, scores);
  resnet_session_close(&session);
}

/* Lowering the graph to a plan takes its weights and names: run the reference first. */
network_result network_measure(network *n, uint32_t batch, uint32_t threads, resnet_conv conv,
                               float scale, double tolerance) {
  graph *g = &n->graph;
  float *values[MAX_NODES];
  for (uint32_t i = 0; i < g->node_count; i++)
    values[i] = random_floats(n->memory, batch * plan_shape_floats(g->nodes[i].shape));
  for (size_t i = 0; i < batch * plan_shape_floats(g->nodes[0].shape); i++) values[0][i] *= scale;
  for (uint32_t i = 1; i < g->node_count; i++) reference_run_node(g, i, values, batch);

  resnet_model *model = network_model(n, conv);
  comparison c = {
      .values = values, .graph = g, .model = model, .batch = batch, .tolerance = tolerance};
  /* where a sum cancels, its rounding is that of its terms, which are about as large as
   * the input */
  c.min_largest = 1e-2 * (double)fminf(scale, 1.0f);
  run_observed(model, values[0], threads, &c);
  assert_true(model->plan.arena_floats >= model->plan.arena_lower_bound);
  const network_result result = {c.worst, network_kinds(&model->plan)};
  for (uint32_t i = 0; i < g->node_count; i++) mem_release(n->memory, values[i]);
  graph_release(g);
  resnet_model_close(&model);
  return result;
}

void network_check(network *n, uint32_t batch, uint32_t threads, resnet_conv conv) {
  (void)network_measure(n, batch, threads, conv, 1.0f, 2e-5);
}
