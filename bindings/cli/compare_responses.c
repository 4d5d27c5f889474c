#include "compare_responses.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "terminal.h"

enum { POINTS = RESNET_POINT_CLASS_MAP + 1 };

/* ---- which ops are layers --------------------------------------------------------------------------------------- */

/* A layer that adds the shortcut itself carries its kind, as a projection does, but has two inputs. */
static bool computes_like_layer(const resnet_op *op) {
  return op->macs > 0 && (op->shortcut == RESNET_SHORTCUT_NONE || op->input[1] != RESNET_NO_INDEX);
}

/* What leads from the features that a "scale" or "multiply" scales to the factors is no layer, but a gate. */
static void leave_out_gates(const plan *p, bool *is_layer) {
  for (uint32_t i = 0; i < p->op_count; i++) {
    const resnet_op *op = &p->ops[i];
    if (strcmp(op->kernel, "scale") != 0 && strcmp(op->kernel, "multiply") != 0) continue;
    uint32_t gate = op->input[1];
    while (gate != op->input[0] && gate != RESNET_NO_INDEX && p->ops[gate].input[1] == RESNET_NO_INDEX)
      gate = p->ops[gate].input[0];
    if (gate != op->input[0]) continue;
    for (gate = op->input[1]; gate != op->input[0]; gate = p->ops[gate].input[0]) is_layer[gate] = false;
  }
}

/* One filter for every channel, without biases, as blur filters have it; so do depthwise layers, of which nets with
 * blur filters have none. */
static bool may_blur(const resnet_op *op) {
  char groups[32];
  (void)snprintf(groups, sizeof groups, " groups %u", op->channels);
  return strstr(op->detail, groups) && op->macs == op->parameters * op->height * op->width;
}

static bool *find_layers(const plan *p, uint32_t expected) {
  bool *is_layer = allocate(p->op_count, sizeof *is_layer);
  uint32_t count = 0;
  for (uint32_t i = 0; i < p->op_count; i++) is_layer[i] = computes_like_layer(&p->ops[i]);
  leave_out_gates(p, is_layer);
  for (uint32_t i = 0; i < p->op_count; i++) count += is_layer[i];
  for (uint32_t i = 0; i < p->op_count && count > expected; i++) {
    if (!is_layer[i] || !may_blur(&p->ops[i])) continue;
    is_layer[i] = false;
    count--;
  }
  return is_layer;
}

/* ---- which responses -------------------------------------------------------------------------------------------- */

static uint32_t *place_of(const response_map *map, uint32_t op, resnet_point point) {
  return &map->place[(size_t)op * POINTS + (size_t)point];
}

/* The place of a response, which is named once. */
static uint32_t add_response(net_summary *net, response_map *map, uint32_t op, resnet_point point, uint32_t block) {
  uint32_t *place = place_of(map, op, point);
  if (*place != RESNET_NO_INDEX) return *place;
  *place = net->response_count++;
  map->source[*place] = *place;
  net->responses[*place] =
      (response_summary){.op = op, .point = point, .block = block, .channels = net->plan.ops[op].channels};
  return *place;
}

static bool is_layer_here(const response_map *map, uint32_t op) {
  return *place_of(map, op, RESNET_POINT_RESPONSE) != RESNET_NO_INDEX;
}

/* Where the block's residual branch ends, just before the addition: in the op that adds, where that is a layer, or in
 * the op that it is taken from. *op is RESNET_NO_INDEX where there is none. */
static resnet_point branch_end(const net_summary *net, const response_map *map, uint32_t block, uint32_t *op) {
  *op = net->plan.blocks[block].last_op;
  if (is_layer_here(map, *op)) return RESNET_POINT_RESPONSE;
  *op = net->plan.blocks[block].shortcut == RESNET_SHORTCUT_NONE ? RESNET_NO_INDEX : net->plan.ops[*op].input[0];
  if (*op == RESNET_NO_INDEX || !is_layer_here(map, *op)) return RESNET_POINT_OUTPUT;
  const char *detail = net->plan.ops[*op].detail;
  return strstr(detail, "relu") || strstr(detail, "clamp") ? RESNET_POINT_OUTPUT : RESNET_POINT_RESPONSE;
}

static void add_branch(net_summary *net, response_map *map, uint32_t block) {
  uint32_t op;
  const resnet_point point = branch_end(net, map, block, &op);
  if (op != RESNET_NO_INDEX) (void)add_response(net, map, op, point, block);
}

static void add_shortcut(net_summary *net, response_map *map, uint32_t block) {
  const resnet_block *b = &net->plan.blocks[block];
  if (b->shortcut == RESNET_SHORTCUT_NONE) return;
  const uint32_t added = add_response(net, map, b->last_op, RESNET_POINT_SHORTCUT, block);
  const uint32_t input = net->plan.ops[b->last_op].input[1];
  if (b->shortcut != RESNET_SHORTCUT_IDENTITY || block == 0 || input != b[-1].last_op) return;
  map->source[added] = *place_of(map, input, RESNET_POINT_OUTPUT);
}

static void add_layers(net_summary *net, response_map *map, const bool *is_layer) {
  for (uint32_t i = 0; i < net->plan.op_count; i++) {
    if (!is_layer[i]) continue;
    const uint32_t place = add_response(net, map, i, RESNET_POINT_RESPONSE, net->plan.ops[i].block);
    net->layers[net->layer_count++] = place;
    net->responses[place].layer = net->layer_count;
  }
}

void responses_name(net_summary *net, response_map *map) {
  const plan *p = &net->plan;
  bool *is_layer = find_layers(p, net->model.info.conv_layers);
  *map = (response_map){.net = net};
  map->place = allocate((size_t)p->op_count * POINTS, sizeof *map->place);
  map->source = allocate((size_t)p->op_count * POINTS, sizeof *map->source);
  for (size_t i = 0; i < (size_t)p->op_count * POINTS; i++) map->place[i] = RESNET_NO_INDEX;
  net->responses = allocate((size_t)p->op_count * POINTS, sizeof *net->responses);
  net->layers = allocate(p->op_count, sizeof *net->layers);
  net->blocks = allocate(p->block_count ? p->block_count : 1, sizeof *net->blocks);
  add_layers(net, map, is_layer);
  for (uint32_t i = 0; i < p->block_count; i++) {
    add_branch(net, map, i);
    add_shortcut(net, map, i);
    (void)add_response(net, map, p->blocks[i].last_op, RESNET_POINT_OUTPUT, i);
  }
  free(is_layer);
}

void response_map_release(response_map *map) {
  free(map->place);
  free(map->source);
  *map = (response_map){0};
}

/* ---- sums ------------------------------------------------------------------------------------------------------- */

static bool has_sums(const response_map *map, uint32_t response) { return map->source[response] == response; }

response_sums *responses_allocate(const response_map *map) {
  response_sums *sums = allocate(map->net->response_count, sizeof *sums);
  for (uint32_t i = 0; i < map->net->response_count; i++)
    if (has_sums(map, i)) response_sums_allocate(&sums[i], map->net->responses[i].channels);
  return sums;
}

void responses_release(const response_map *map, response_sums *sums) {
  if (!sums) return;
  for (uint32_t i = 0; i < map->net->response_count; i++) response_sums_release(&sums[i]);
  free(sums);
}

void responses_clear(const response_map *map, response_sums *sums, uint64_t next_picture) {
  for (uint32_t i = 0; i < map->net->response_count; i++)
    if (has_sums(map, i)) response_sums_clear(&sums[i], next_picture);
}

void responses_merge(const response_map *map, response_sums *sums, const response_sums *other) {
  for (uint32_t i = 0; i < map->net->response_count; i++)
    if (has_sums(map, i)) response_sums_merge(&sums[i], &other[i]);
}

void responses_add(const response_map *map, response_sums *sums, const resnet_response *response) {
  const uint32_t place = *place_of(map, response->op, response->point);
  if (place == RESNET_NO_INDEX || !has_sums(map, place)) return;
  response_sums_add(&sums[place], response->data, response->batch, (size_t)response->height * response->width);
}

/* ---- what came out ---------------------------------------------------------------------------------------------- */

static double deviation_at(const net_summary *net, const response_map *map, uint32_t op, resnet_point point) {
  const uint32_t place = op == RESNET_NO_INDEX ? RESNET_NO_INDEX : *place_of(map, op, point);
  return place == RESNET_NO_INDEX ? NAN : net->responses[place].std;
}

static void summarise_block(net_summary *net, const response_map *map, uint32_t block) {
  const resnet_block *b = &net->plan.blocks[block];
  uint32_t op;
  const resnet_point point = branch_end(net, map, block, &op);
  const double branch = deviation_at(net, map, op, point);
  const double shortcut = deviation_at(net, map, b->last_op, RESNET_POINT_SHORTCUT);
  net->blocks[block] = (block_summary){.branch_std = branch,
                                       .shortcut_std = shortcut,
                                       .ratio = branch / shortcut,
                                       .output_std = deviation_at(net, map, b->last_op, RESNET_POINT_OUTPUT),
                                       .skipped_top1 = NAN,
                                       .shortcut_ms = NAN,
                                       .unfused_ms = NAN};
}

void responses_summarise(net_summary *net, const response_map *map, const response_sums *sums) {
  for (uint32_t i = 0; i < net->response_count; i++) response_sums_summarise(&sums[map->source[i]], &net->responses[i]);
  for (uint32_t i = 0; i < net->plan.block_count; i++) summarise_block(net, map, i);
}
