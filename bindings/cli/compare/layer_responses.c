#include "cli/compare/layer_responses.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/terminal.h"

enum { POINTS = RESNET_POINT_CLASS_MAP + 1 };

/* ---- which responses --------------------------------------------------------------- */

static uint32_t *place_of(const response_map *map, uint32_t op, resnet_point point) {
  return &map->place[(size_t)op * POINTS + (size_t)point];
}

/* The place of a response, which is named once. */
static uint32_t add_response(net_summary *net, response_map *map, uint32_t op, resnet_point point,
                             uint32_t block) {
  uint32_t *place = place_of(map, op, point);
  if (*place != RESNET_NO_INDEX) return *place;
  *place = net->response_count++;
  map->source[*place] = *place;
  net->responses[*place] = (response_summary){
      .op = op, .point = point, .block = block, .channels = net->plan.ops[op].channels};
  return *place;
}

/* Where the block's residual branch ends, just before the addition: in the op that adds,
 * where that is a layer, or in the op that it is taken from. *op is RESNET_NO_INDEX where
 * there is none. */
static resnet_point branch_end(const net_summary *net, uint32_t block, uint32_t *op) {
  const resnet_block *b = &net->plan.blocks[block];
  *op = b->last_op;
  if (net->plan.ops[*op].layer) return RESNET_POINT_RESPONSE;
  *op = b->shortcut == RESNET_SHORTCUT_NONE ? RESNET_NO_INDEX : net->plan.ops[*op].input[0];
  return RESNET_POINT_OUTPUT;
}

static void add_branch(net_summary *net, response_map *map, uint32_t block) {
  uint32_t op;
  const resnet_point point = branch_end(net, block, &op);
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

static void add_layers(net_summary *net, response_map *map) {
  for (uint32_t i = 0; i < net->plan.op_count; i++) {
    const resnet_op *op = &net->plan.ops[i];
    if (!op->layer) continue;
    const uint32_t place = add_response(net, map, i, RESNET_POINT_RESPONSE, op->block);
    net->layers[net->layer_count++] = place;
    net->responses[place].layer = op->layer;
  }
}

void responses_name(net_summary *net, response_map *map) {
  const plan *p = &net->plan;
  *map = (response_map){.net = net};
  map->place = allocate((size_t)p->op_count * POINTS, sizeof *map->place);
  map->source = allocate((size_t)p->op_count * POINTS, sizeof *map->source);
  for (size_t i = 0; i < (size_t)p->op_count * POINTS; i++) map->place[i] = RESNET_NO_INDEX;
  net->responses = allocate((size_t)p->op_count * POINTS, sizeof *net->responses);
  net->layers = allocate(p->op_count, sizeof *net->layers);
  net->blocks = allocate(p->block_count ? p->block_count : 1, sizeof *net->blocks);
  add_layers(net, map);
  for (uint32_t i = 0; i < p->block_count; i++) {
    add_branch(net, map, i);
    add_shortcut(net, map, i);
    (void)add_response(net, map, p->blocks[i].last_op, RESNET_POINT_OUTPUT, i);
  }
}

void response_map_release(response_map *map) {
  free(map->place);
  free(map->source);
  *map = (response_map){0};
}

/* ---- sums -------------------------------------------------------------------------- */

static bool has_sums(const response_map *map, uint32_t response) {
  return map->source[response] == response;
}

response_sums *responses_allocate(const response_map *map) {
  response_sums *sums = allocate(map->net->response_count, sizeof *sums);
  for (uint32_t i = 0; i < map->net->response_count; i++)
    if (has_sums(map, i) && !response_sums_allocate(&sums[i], map->net->responses[i].channels))
      out_of_memory();
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
  response_sums_add(&sums[place], response->data, response->batch,
                    (size_t)response->height * response->width);
}

/* ---- what came out ----------------------------------------------------------------- */

static double deviation_at(const net_summary *net, const response_map *map, uint32_t op,
                           resnet_point point) {
  const uint32_t place = op == RESNET_NO_INDEX ? RESNET_NO_INDEX : *place_of(map, op, point);
  return place == RESNET_NO_INDEX ? NAN : net->responses[place].std;
}

static void summarise_block(net_summary *net, const response_map *map, uint32_t block) {
  const resnet_block *b = &net->plan.blocks[block];
  uint32_t op;
  const resnet_point point = branch_end(net, block, &op);
  const double branch = deviation_at(net, map, op, point);
  const double shortcut = deviation_at(net, map, b->last_op, RESNET_POINT_SHORTCUT);
  net->blocks[block] =
      (block_summary){.branch_std = branch,
                      .shortcut_std = shortcut,
                      .ratio = branch / shortcut,
                      .output_std = deviation_at(net, map, b->last_op, RESNET_POINT_OUTPUT),
                      .skipped_top1 = NAN,
                      .shortcut_ms = NAN,
                      .unfused_ms = NAN};
}

void responses_summarise(net_summary *net, const response_map *map, const response_sums *sums) {
  for (uint32_t i = 0; i < net->response_count; i++)
    response_sums_summarise(&sums[map->source[i]], &net->responses[i]);
  for (uint32_t i = 0; i < net->plan.block_count; i++) summarise_block(net, map, i);
}
