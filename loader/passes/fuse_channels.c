/* A selection moves behind what its only reader does to each channel alike, until it
 * meets a convolution. Scales and shifts then act on the channels before the selection:
 * on the input, the runtime finds the normalisation there. */
#include "loader/passes/fuse_channels.h"

#include <string.h>

#include "loader/import/nodes.h"
#include "loader/import/op_channels.h"

/* Compute the scales and shifts of the channels before a selection from those behind it.
 * Return false if copies of one channel differ. */
static bool move_affine(const channel_map *map, const pending_affine *behind,
                        const pending_affine *before) {
  bool seen[CHANNELS_MAX] = {false};
  for (uint32_t i = 0; i < map->count; i++) {
    const uint32_t k = map->from[i];
    if (seen[k] && memcmp(&before->scale[k], &behind->scale[i], sizeof(double)) != 0) return false;
    if (seen[k] && memcmp(&before->shift[k], &behind->shift[i], sizeof(double)) != 0) return false;
    before->scale[k] = behind->scale[i];
    before->shift[k] = behind->shift[i];
    seen[k] = true;
  }
  return true;
}

/* Let the affine node `reader` act before the selection. *moved is false where it
 * cannot. */
static resnet_status settle_affine(import_context *ctx, uint32_t selection, uint32_t reader,
                                   bool *moved) {
  const uint32_t channels = node_at(ctx, node_at(ctx, selection)->input[0])->shape.c;
  const pending_affine before = {.scale = import_scratch(ctx, channels, sizeof(double)),
                                 .shift = import_scratch(ctx, channels, sizeof(double))};
  if (!before.scale || !before.shift) return err_no_memory(ctx->error, "a normalisation");
  for (uint32_t k = 0; k < channels; k++) before.scale[k] = 1;
  *moved = move_affine(ctx->selections[selection], &ctx->affines[reader], &before);
  if (*moved) ctx->affines[reader] = before;
  return RESNET_OK;
}

/* Exchange a selection and its reader, whose inputs and shapes follow. */
static void exchange(import_context *ctx, uint32_t selection, uint32_t reader) {
  graph_node *a = node_at(ctx, selection), *b = node_at(ctx, reader);
  const uint32_t source = a->input[0], channels = node_at(ctx, source)->shape.c;
  const graph_shape behind = {b->shape.h, b->shape.w, a->shape.c};
  const graph_node moved = *a;
  char *output = b->output;
  *a = *b;
  *b = moved;
  a->input[0] = source;
  a->shape.c = channels;
  a->output = moved.output;
  a->output[0] = '\0'; /* it now equals no tensor of the file */
  b->input[0] = selection;
  b->shape = behind;
  b->output = output;
  ctx->selections[reader] = ctx->selections[selection];
  ctx->selections[selection] = NULL;
  const pending_affine none = {.scale = NULL};
  ctx->affines[selection] = ctx->affines[reader];
  ctx->affines[reader] = none;
}

/* Add up the weights of the copies of each channel. */
static resnet_status fold_weights(import_context *ctx, graph_node *conv, const channel_map *map,
                                  uint32_t channels) {
  const size_t rows = conv->weight_count / map->count;
  float *weights = mem_allocate(ctx->memory, rows * channels, sizeof *weights);
  if (!weights) return err_no_memory(ctx->error, "weights");
  for (size_t row = 0; row < rows; row++) {
    double sums[CHANNELS_MAX] = {0};
    for (uint32_t i = 0; i < map->count; i++)
      sums[map->from[i]] += (double)conv->weights[row * map->count + i];
    for (uint32_t k = 0; k < channels; k++) weights[row * channels + k] = (float)sums[k];
  }
  mem_release(ctx->memory, conv->weights);
  conv->weights = weights;
  conv->weight_count = rows * channels;
  return graph_all_finite(weights, conv->weight_count)
             ? RESNET_OK
             : err_fail(ctx->error, RESNET_ERROR_FORMAT,
                        "node '%.80s': its weights overflow once equal channels are added up: "
                        "train or export again",
                        conv->name);
}

static resnet_status fold_into(import_context *ctx, uint32_t selection, uint32_t reader) {
  const uint32_t source = node_at(ctx, selection)->input[0];
  graph_node *conv = node_at(ctx, reader);
  conv->input[0] = source;
  ctx->readers[selection] = 0;
  return fold_weights(ctx, conv, ctx->selections[selection], node_at(ctx, source)->shape.c);
}

/* Move the selection towards a convolution, as far as it gets. */
static resnet_status push(import_context *ctx, uint32_t index, const uint32_t *reader_of) {
  while (ctx->readers[index] == 1 && index != ctx->graph->output) {
    const uint32_t reader = reader_of[index];
    const graph_node *n = node_at(ctx, reader);
    bool moves = n->op == GRAPH_CLAMP || n->op == GRAPH_PAD;
    resnet_status status = RESNET_OK;
    if (n->op == GRAPH_CONV && n->groups == 1 && !ctx->selections[reader])
      return fold_into(ctx, index, reader);
    if (n->op == GRAPH_AFFINE) status = settle_affine(ctx, index, reader, &moves);
    if (status != RESNET_OK || !moves) return status;
    exchange(ctx, index, reader);
    index = reader;
  }
  return RESNET_OK;
}

resnet_status fuse_channels(import_context *ctx) {
  const uint32_t count = ctx->graph->node_count;
  uint32_t *reader_of = import_scratch(ctx, count, sizeof *reader_of);
  if (!reader_of) return err_no_memory(ctx->error, "the graph's nodes");
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t k = 0; k < node_at(ctx, i)->input_count && ctx->readers[i]; k++)
      reader_of[node_at(ctx, i)->input[k]] = i;
  resnet_status status = RESNET_OK;
  for (uint32_t i = count; i-- > 0 && status == RESNET_OK;)
    if (ctx->selections[i] && ctx->readers[i]) status = push(ctx, i, reader_of);
  return status;
}
