#include "runtime/plan_file/key.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/kernels/table.h"
#include "runtime/plan/lower.h"
#include "runtime/plan_file/checksum.h"
#include "runtime/plan_file/format.h"

/* ---- the fingerprint --------------------------------------------------------------- */

/* Layers of a probe that is packed to find out how kernels pack: XNNPACK chooses that by
 * the CPU's instruction set and make, and reports neither. The probe has a stem, whole
 * panels and partial ones, fewer outputs than a panel, and groups. */
static const struct probe_layer {
  uint32_t kernel, stride, groups, outputs;
} probe_layers[] = {{7, 2, 1, 18}, {3, 1, 1, 66}, {1, 1, 1, 70},
                    {1, 1, 1, 6},  {3, 1, 2, 68}, {3, 2, 1, 3}};

enum {
  PROBE_LAYERS = sizeof probe_layers / sizeof *probe_layers,
  PROBE_NODES = PROBE_LAYERS + 1,
  PROBE_SIDE = 8
};

/* Return floats that differ from each other, so that a change of their order shows. */
static float *make_floats(memory *m, size_t count) {
  float *floats = mem_allocate(m, count, sizeof *floats);
  for (size_t i = 0; floats && i < count; i++) floats[i] = (float)(i + 1);
  return floats;
}

static bool fill_node(memory *m, graph_node *n, const graph_node *input,
                      const struct probe_layer *layer) {
  /* all kernels are odd, and the pads k / 2 */
  const uint32_t k = layer->kernel, side = (input->shape.h - 1) / layer->stride + 1;
  n->op = GRAPH_CONV;
  n->input_count = 1;
  n->shape = (graph_shape){side, side, layer->outputs};
  n->window = (graph_window){k, k, layer->stride, layer->stride, 1, 1, k / 2, k / 2, k / 2, k / 2};
  n->groups = layer->groups;
  n->weight_count = (size_t)layer->outputs * k * k * input->shape.c / layer->groups;
  n->bias_count = layer->outputs;
  n->weights = make_floats(m, n->weight_count);
  n->bias = make_floats(m, n->bias_count);
  return n->weights && n->bias;
}

static bool make_probe(graph *g, memory *m) {
  g->memory = m;
  g->nodes = mem_allocate(m, PROBE_NODES, sizeof *g->nodes);
  bool good = g->nodes != NULL;
  for (uint32_t i = 0; good && i < PROBE_NODES; i++) {
    graph_node *n = &g->nodes[g->node_count++];
    *n = (graph_node){.op = GRAPH_INPUT,
                      .shape = {PROBE_SIDE, PROBE_SIDE, 4},
                      .block = RESNET_NO_INDEX,
                      .clamp_min = -INFINITY,
                      .clamp_max = INFINITY,
                      .input = {i - 1, RESNET_NO_INDEX}};
    n->name = mem_copy_string(m, "probe", 5);
    n->output = mem_copy_string(m, "probe", 5);
    good = n->name && n->output && (i == 0 || fill_node(m, n, n - 1, &probe_layers[i - 1]));
  }
  g->output = PROBE_NODES - 1;
  return good;
}

/* Hash the weights that each op's kernel packs into *sum. */
static resnet_status pack_probe(plan *p, uint64_t *sum, resnet_error *error) {
  for (uint32_t i = 0; i < p->op_count; i++) {
    plan_op *op = &p->ops[i];
    const kernel *k = kernel_table[op->kernel];
    resnet_status status = k->pack ? k->pack(op, p->memory, error) : RESNET_OK;
    if (status != RESNET_OK) return status;
    const uint64_t both[2] = {
        *sum, op->packed.data ? plan_file_checksum(op->packed.data, op->packed.size) : 0};
    *sum = plan_file_checksum(both, sizeof both);
  }
  return RESNET_OK;
}

static resnet_status probe(memory *m, resnet_conv conv, uint64_t *sum, resnet_error *error) {
  const plan_options options = {.conv = conv, .batch = 1};
  graph g = {0};
  plan p = {0};
  resnet_status status = make_probe(&g, m)
                             ? plan_lower(&p, m, &g, &options, error)
                             : err_no_memory(error, "the fingerprint of this CPU's kernels");
  if (status == RESNET_OK) status = pack_probe(&p, sum, error);
  plan_release(&p);
  graph_release(&g);
  return status;
}

/* ---- the key ----------------------------------------------------------------------- */

resnet_status plan_file_key_make(plan_file_key *key, memory *m, const plan_options *options,
                                 resnet_error *error) {
  uint64_t sum = 0;
  memset(key, 0, sizeof *key);
  resnet_status status = probe(m, RESNET_CONV_XNNPACK, &sum, error);
  if (status == RESNET_OK) status = probe(m, RESNET_CONV_WINOGRAD, &sum, error);
  if (status != RESNET_OK) return status;
  key->options = *options;
  key->options.algorithms = NULL;
  (void)snprintf(key->cpu, sizeof key->cpu, "%s %016llx", simd_fastest()->name,
                 (unsigned long long)sum);
  (void)snprintf(key->build, sizeof key->build, "libresnet %s, packing %d, XNNPACK %s",
                 resnet_version(), PLAN_PACKING, RESNET_XNNPACK_ID);
  return RESNET_OK;
}

bool plan_file_key_differs(const plan_file_key *found, const plan_file_key *key, char *why,
                           size_t size) {
  if (strcmp(found->build, key->build) != 0)
    (void)snprintf(why, size, "it was made by %s; this is %s", found->build, key->build);
  else if (strcmp(found->cpu, key->cpu) != 0)
    (void)snprintf(why, size, "it was made for another CPU or other kernels (%s; here %s)",
                   found->cpu, key->cpu);
  else if (found->options.conv != key->options.conv ||
           found->options.memory != key->options.memory ||
           found->options.batch != key->options.batch)
    (void)snprintf(
        why, size,
        "it was made with conv %d, memory %d, batch %u; opened with conv %d, memory %d, batch %u",
        (int)found->options.conv, (int)found->options.memory, found->options.batch,
        (int)key->options.conv, (int)key->options.memory, key->options.batch);
  else
    return false;
  return true;
}
