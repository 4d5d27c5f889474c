#include "cli/compare/layer_responses.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare/comparison.h"
#include "cli/memory.h"
#include "cli/plan.h"
#include "support/responses.h"

enum { POINTS = RESNET_POINT_CLASS_MAP + 1 };

/* ---- choosing responses ---- */

static uint32_t *place_of(const response_map *map, uint32_t op, resnet_point point) {
  return &map->place[(size_t)op * POINTS + (size_t)point];
}

/* Add a response unless it is there already. Return its index. */
static uint32_t add_response(model_summary *model, response_map *map, uint32_t op,
                             resnet_point point, uint32_t block) {
  uint32_t *place = place_of(map, op, point);
  if (*place != RESNET_NO_INDEX) return *place;
  *place = model->response_count++;
  map->source[*place] = *place;
  model->responses[*place] = (response_summary){
      .op = op, .point = point, .block = block, .channels = model->plan.ops[op].channels};
  return *place;
}

/* Return the point where the block's residual branch ends, just before the addition,
 * and set *op to its op: the op that adds if that is a layer, else the op that it
 * reads. *op is RESNET_NO_INDEX if there is none. */
static resnet_point branch_end(const model_summary *model, uint32_t block, uint32_t *op) {
  const resnet_block *b = &model->plan.blocks[block];
  *op = b->last_op;
  if (model->plan.ops[*op].layer) return RESNET_POINT_RESPONSE;
  *op = b->shortcut == RESNET_SHORTCUT_NONE ? RESNET_NO_INDEX : model->plan.ops[*op].input[0];
  return RESNET_POINT_OUTPUT;
}

static void add_branch(model_summary *model, response_map *map, uint32_t block) {
  uint32_t op;
  const resnet_point point = branch_end(model, block, &op);
  if (op != RESNET_NO_INDEX) (void)add_response(model, map, op, point, block);
}

static void add_shortcut(model_summary *model, response_map *map, uint32_t block) {
  const resnet_block *b = &model->plan.blocks[block];
  if (b->shortcut == RESNET_SHORTCUT_NONE) return;
  const uint32_t added = add_response(model, map, b->last_op, RESNET_POINT_SHORTCUT, block);
  const uint32_t input = model->plan.ops[b->last_op].input[1];
  if (b->shortcut != RESNET_SHORTCUT_IDENTITY || block == 0 || input != b[-1].last_op) return;
  map->source[added] = *place_of(map, input, RESNET_POINT_OUTPUT);
}

static void add_layers(model_summary *model, response_map *map) {
  for (uint32_t i = 0; i < model->plan.op_count; i++) {
    const resnet_op *op = &model->plan.ops[i];
    if (!op->layer) continue;
    const uint32_t place = add_response(model, map, i, RESNET_POINT_RESPONSE, op->block);
    model->layers[model->layer_count++] = place;
    model->responses[place].layer = op->layer;
  }
}

void compare_responses_list(model_summary *model, response_map *map) {
  const cli_plan *p = &model->plan;
  *map = (response_map){.model = model};
  map->place = cli_allocate((size_t)p->op_count * POINTS, sizeof *map->place);
  map->source = cli_allocate((size_t)p->op_count * POINTS, sizeof *map->source);
  for (size_t i = 0; i < (size_t)p->op_count * POINTS; i++) map->place[i] = RESNET_NO_INDEX;
  model->responses = cli_allocate((size_t)p->op_count * POINTS, sizeof *model->responses);
  model->layers = cli_allocate(p->op_count, sizeof *model->layers);
  model->blocks = cli_allocate(p->block_count ? p->block_count : 1, sizeof *model->blocks);
  add_layers(model, map);
  for (uint32_t i = 0; i < p->block_count; i++) {
    add_branch(model, map, i);
    add_shortcut(model, map, i);
    (void)add_response(model, map, p->blocks[i].last_op, RESNET_POINT_OUTPUT, i);
  }
}

void compare_responses_map_release(response_map *map) {
  free(map->place);
  free(map->source);
  *map = (response_map){0};
}

/* ---- sums ---- */

static bool has_sums(const response_map *map, uint32_t response) {
  return map->source[response] == response;
}

response_sums *compare_responses_allocate(const response_map *map) {
  response_sums *sums = cli_allocate(map->model->response_count, sizeof *sums);
  for (uint32_t i = 0; i < map->model->response_count; i++)
    if (has_sums(map, i) && !response_sums_allocate(&sums[i], map->model->responses[i].channels))
      cli_out_of_memory();
  return sums;
}

void compare_responses_release(const response_map *map, response_sums *sums) {
  if (!sums) return;
  for (uint32_t i = 0; i < map->model->response_count; i++) response_sums_release(&sums[i]);
  free(sums);
}

void compare_responses_clear(const response_map *map, response_sums *sums, uint64_t next_image) {
  for (uint32_t i = 0; i < map->model->response_count; i++)
    if (has_sums(map, i)) response_sums_clear(&sums[i], next_image);
}

void compare_responses_merge(const response_map *map, response_sums *sums,
                             const response_sums *other) {
  for (uint32_t i = 0; i < map->model->response_count; i++)
    if (has_sums(map, i)) response_sums_merge(&sums[i], &other[i]);
}

void compare_responses_add(const response_map *map, response_sums *sums,
                           const resnet_response *response) {
  const uint32_t place = *place_of(map, response->op, response->point);
  if (place == RESNET_NO_INDEX || !has_sums(map, place)) return;
  response_sums_add(&sums[place], response->data, response->batch,
                    (size_t)response->height * response->width);
}

/* ---- results ---- */

static double deviation_at(const model_summary *model, const response_map *map, uint32_t op,
                           resnet_point point) {
  const uint32_t place = op == RESNET_NO_INDEX ? RESNET_NO_INDEX : *place_of(map, op, point);
  return place == RESNET_NO_INDEX ? NAN : model->responses[place].std;
}

static void summarise_block(model_summary *model, const response_map *map, uint32_t block) {
  const resnet_block *b = &model->plan.blocks[block];
  uint32_t op;
  const resnet_point point = branch_end(model, block, &op);
  const double branch = deviation_at(model, map, op, point);
  const double shortcut = deviation_at(model, map, b->last_op, RESNET_POINT_SHORTCUT);
  model->blocks[block] =
      (block_summary){.branch_std = branch,
                      .shortcut_std = shortcut,
                      .ratio = branch / shortcut,
                      .output_std = deviation_at(model, map, b->last_op, RESNET_POINT_OUTPUT),
                      .ablated_top1 = NAN,
                      .shortcut_ms = NAN,
                      .shortcut_interval = {NAN, NAN},
                      .unfused_ms = NAN};
}

void compare_responses_summarise(model_summary *model, const response_map *map,
                                 const response_sums *sums) {
  for (uint32_t i = 0; i < model->response_count; i++)
    response_sums_summarise(&sums[map->source[i]], &model->responses[i]);
  for (uint32_t i = 0; i < model->plan.block_count; i++) summarise_block(model, map, i);
}
