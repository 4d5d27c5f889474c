/* Blocks are found by walking from each addition back to the node where its two branches
 * fork. */
#include "loader/passes/find_blocks.h"

#include <stdio.h>
#include <string.h>

#include "loader/import/nodes.h"

typedef struct block_list {
  graph_block *blocks; /* in the order of their additions; without names */
  uint32_t count;
} block_list;

/* ---- finding blocks ---------------------------------------------------------------- */

/* One branch of an addition, back to `source` (graph_continues_branch). */
typedef struct branch {
  uint32_t end; /* input of the addition */
  uint32_t convs;
  bool is_free; /* none of its nodes belongs to a block */
} branch;

/* Return whether nothing but the product `n` reads its gate. The gate's nodes are then
 * claimed and placed with the product. */
static bool owns_gate(const import_context *ctx, const graph_node *n) {
  uint32_t i = n->input[1];
  while (i != n->input[0] && node_at(ctx, i)->input_count > 0 && ctx->readers[i] == 1) {
    (void)work_spend(ctx->work, 1, WORK_WALK);
    i = node_at(ctx, i)->input[0];
  }
  return i == n->input[0];
}

static bool ends_walk(const import_context *ctx, uint32_t index) {
  const graph_node *n = node_at(ctx, index);
  /* owns_gate first: it counts its steps, and bounds those of the other walk */
  return (n->op == GRAPH_SCALE && !owns_gate(ctx, n)) || !graph_continues_branch(ctx->graph, index);
}

/* Return the node where the branches that end in a and b fork, or RESNET_NO_INDEX. A
 * node's inputs come before it, so that the later of two nodes leads to the fork. */
static uint32_t find_branch_source(const import_context *ctx, uint32_t a, uint32_t b) {
  while (a != b) {
    uint32_t *later = a > b ? &a : &b;
    (void)work_spend(ctx->work, 1, WORK_WALK); /* collect_blocks checks it */
    if (ends_walk(ctx, *later)) return RESNET_NO_INDEX;
    *later = node_at(ctx, *later)->input[0];
  }
  return a;
}

/* Describe a branch. Gates do not count. */
static branch walk_branch(const import_context *ctx, uint32_t end, uint32_t source) {
  branch b = {.end = end, .is_free = true};
  for (uint32_t i = end; i != source; i = node_at(ctx, i)->input[0]) {
    const graph_node *n = node_at(ctx, i);
    b.convs += n->op == GRAPH_CONV;
    b.is_free = b.is_free && n->block == RESNET_NO_INDEX;
  }
  return b;
}

static void claim(import_context *ctx, uint32_t end, uint32_t source, uint32_t block) {
  for (uint32_t i = end; i != source; i = node_at(ctx, i)->input[0]) {
    const graph_node *n = node_at(ctx, i);
    node_at(ctx, i)->block = block;
    for (uint32_t k = n->input[1]; n->op == GRAPH_SCALE && k != n->input[0];
         k = node_at(ctx, k)->input[0])
      node_at(ctx, k)->block = block;
  }
}

/* Find a block at an addition. The branch with fewer convolutions is the shortcut; for
 * equal numbers, the second input is. */
static void find_residual_block(import_context *ctx, uint32_t add, block_list *list) {
  graph_node *n = node_at(ctx, add);
  uint32_t source = find_branch_source(ctx, n->input[0], n->input[1]);
  if (source == RESNET_NO_INDEX) return;
  branch residual = walk_branch(ctx, n->input[0], source),
         shortcut = walk_branch(ctx, n->input[1], source);
  if (shortcut.convs > residual.convs) {
    branch swap = residual;
    residual = shortcut;
    shortcut = swap;
  }
  const resnet_shortcut kind = graph_shortcut_kind(ctx->graph, source, shortcut.end);
  if (!residual.convs || !residual.is_free || !shortcut.is_free || kind == RESNET_SHORTCUT_NONE)
    return;
  n->input[0] = residual.end;
  n->input[1] = shortcut.end;
  claim(ctx, residual.end, source, list->count);
  claim(ctx, shortcut.end, source, list->count);
  n->block = list->count;
  list->blocks[list->count++] = (graph_block){.shortcut = kind, .source = source, .add = add};
}

static bool equal_shapes(graph_shape a, graph_shape b) {
  return a.h == b.h && a.w == b.w && a.c == b.c;
}

/* Find the blocks of a plain network: after the stem, pairs of consecutive convolutions
 * with the same output shape. */
static void find_plain_pairs(import_context *ctx, block_list *list) {
  uint32_t first = RESNET_NO_INDEX; /* first convolution of an incomplete pair */
  bool after_stem = false;
  for (uint32_t i = 0; i < ctx->graph->node_count; i++) {
    graph_node *n = node_at(ctx, i);
    if (!ctx->readers[i] || n->op != GRAPH_CONV) continue;
    bool pair = first != RESNET_NO_INDEX && n->input[0] == first &&
                equal_shapes(n->shape, node_at(ctx, first)->shape);
    if (pair) {
      n->block = node_at(ctx, first)->block = list->count;
      list->blocks[list->count++] =
          (graph_block){.source = node_at(ctx, first)->input[0], .add = i};
    }
    first = after_stem && !pair ? i : RESNET_NO_INDEX;
    after_stem = true;
  }
}

static resnet_status collect_blocks(import_context *ctx, block_list *list) {
  uint32_t count = ctx->graph->node_count, additions = 0;
  list->blocks = import_scratch(ctx, count, sizeof *list->blocks);
  if (!list->blocks) return err_no_memory(ctx->error, "the graph's blocks");
  for (uint32_t i = 0; i < count; i++) {
    if (!ctx->readers[i] || node_at(ctx, i)->op != GRAPH_ADD) continue;
    additions++;
    find_residual_block(ctx, i, list);
    if (!work_is_left(ctx->work))
      return err_fail(ctx->error, RESNET_ERROR_LIMIT,
                      "node '%.60s' (Add): finding the residual blocks takes more work than a file "
                      "of this size may cause: no ResNet has such branches",
                      node_at(ctx, i)->name);
  }
  if (additions == 0) find_plain_pairs(ctx, list);
  return RESNET_OK;
}

/* ---- ordering nodes ---------------------------------------------------------------- */

typedef struct arrangement {
  uint32_t *order;  /* old index by new index */
  uint32_t *places; /* new index by old index */
  uint32_t count;
  uint32_t *block_order; /* old block index by new index */
  uint32_t block_count;
} arrangement;

static void place_node(arrangement *a, uint32_t index) {
  a->places[index] = a->count;
  a->order[a->count++] = index;
}

/* Place the nodes after `source`, up to `end`, in running order: backwards first, then
 * reversed. */
static void place_branch(const import_context *ctx, arrangement *a, uint32_t end, uint32_t source) {
  uint32_t first = a->count;
  for (uint32_t i = end; i != source; i = node_at(ctx, i)->input[0]) {
    const graph_node *n = node_at(ctx, i);
    place_node(a, i);
    for (uint32_t k = n->input[1]; n->op == GRAPH_SCALE && k != n->input[0];
         k = node_at(ctx, k)->input[0])
      place_node(a, k);
  }
  for (uint32_t low = first, high = a->count; low + 1 < high; low++) {
    uint32_t swap = a->order[low];
    a->order[low] = a->order[--high];
    a->order[high] = swap;
  }
  for (uint32_t i = first; i < a->count; i++) a->places[a->order[i]] = i;
}

/* Place a whole block where its first node was; it reads nothing from outside but its
 * source, which comes before. The shortcut's nodes come first, then the residual branch,
 * then the addition. */
static void place_block(const import_context *ctx, arrangement *a, const block_list *list,
                        uint32_t block) {
  const graph_block *b = &list->blocks[block];
  const graph_node *add = node_at(ctx, b->add);
  a->block_order[a->block_count++] = block;
  if (add->op == GRAPH_ADD) place_branch(ctx, a, add->input[1], b->source);
  place_branch(ctx, a, add->input[0], b->source);
  place_node(a, b->add);
}

static resnet_status arrange(import_context *ctx, const block_list *list, arrangement *a) {
  uint32_t count = ctx->graph->node_count;
  a->order = import_scratch(ctx, count, sizeof *a->order);
  a->places = import_scratch(ctx, count, sizeof *a->places);
  a->block_order = import_scratch(ctx, list->count, sizeof *a->block_order);
  bool *placed = import_scratch(ctx, list->count, sizeof *placed);
  if (!a->order || !a->places || !a->block_order || !placed)
    return err_no_memory(ctx->error, "the graph's blocks");
  for (uint32_t i = 0; i < count; i++) {
    uint32_t block = node_at(ctx, i)->block;
    if (!ctx->readers[i]) continue;
    if (block == RESNET_NO_INDEX)
      place_node(a, i);
    else if (!placed[block])
      place_block(ctx, a, list, block);
    if (block != RESNET_NO_INDEX) placed[block] = true;
  }
  return RESNET_OK;
}

/* ---- the new graph ----------------------------------------------------------------- */

/* Copy the blocks in their new order and name them. A new stage begins where the output's
 * size or number of channels changes. */
static resnet_status make_blocks(import_context *ctx, const block_list *list,
                                 const arrangement *a) {
  graph *g = ctx->graph;
  uint32_t stage = 0, number = 0;
  graph_shape last = {0, 0, 0};
  g->blocks = mem_allocate(ctx->memory, a->block_count, sizeof *g->blocks);
  if (!g->blocks) return err_no_memory(ctx->error, "the graph's blocks");
  for (uint32_t i = 0; i < a->block_count; i++) {
    const graph_block *old = &list->blocks[a->block_order[i]];
    graph_shape shape = node_at(ctx, old->add)->shape;
    number = equal_shapes(shape, last) ? number + 1 : 1;
    stage += number == 1;
    last = shape;
    char name[48];
    int length = snprintf(name, sizeof name, "stage%u.block%u", stage, number);
    g->blocks[i] = (graph_block){.name = mem_copy_string(ctx->memory, name, (size_t)length),
                                 .shortcut = old->shortcut,
                                 .source = a->places[old->source],
                                 .add = a->places[old->add]};
    g->block_count = i + 1;
    if (!g->blocks[i].name) return err_no_memory(ctx->error, "a block's name");
  }
  return RESNET_OK;
}

static void renumber(graph_node *n, const arrangement *a, const uint32_t *block_places) {
  for (uint32_t k = 0; k < n->input_count; k++) n->input[k] = a->places[n->input[k]];
  if (n->block != RESNET_NO_INDEX) n->block = block_places[n->block];
}

/* Copy the nodes in their new order. Those that were fused into others are released. */
static resnet_status make_nodes(import_context *ctx, const arrangement *a) {
  graph *g = ctx->graph;
  uint32_t *block_places = import_scratch(ctx, a->block_count, sizeof *block_places);
  graph_node *nodes = mem_allocate(ctx->memory, a->count, sizeof *nodes);
  if (!block_places || !nodes) {
    mem_release(ctx->memory, nodes);
    return err_no_memory(ctx->error, "the graph's nodes");
  }
  for (uint32_t i = 0; i < a->block_count; i++) block_places[a->block_order[i]] = i;
  for (uint32_t i = 0; i < a->count; i++) {
    graph_node *old = node_at(ctx, a->order[i]);
    nodes[i] = *old;
    memset(old, 0, sizeof *old);
    renumber(&nodes[i], a, block_places);
  }
  graph_node *old = g->nodes;
  uint32_t old_count = g->node_count;
  g->nodes = nodes;
  g->node_count = a->count;
  g->output = a->places[g->output];
  graph_release_nodes(ctx->memory, old, old_count);
  return RESNET_OK;
}

resnet_status blocks_find(import_context *ctx) {
  block_list list = {0};
  arrangement a = {0};
  resnet_status status = collect_blocks(ctx, &list);
  if (status == RESNET_OK) status = arrange(ctx, &list, &a);
  if (status == RESNET_OK) status = make_blocks(ctx, &list, &a);
  return status == RESNET_OK ? make_nodes(ctx, &a) : status;
}
