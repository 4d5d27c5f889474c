#include "loader/import/op_channels.h"

#include <float.h>
#include <string.h>

#include "loader/import/attributes.h"
#include "loader/import/nodes.h"
#include "loader/import/padding.h"

/* The number of steps is limited, so that the walk takes no time. */
bool op_comes_from_input(const import_context *ctx, uint32_t index) {
  enum { MAX_STEPS = 64 };
  for (int steps = 0; steps < MAX_STEPS; steps++) {
    const graph_op op = node_at(ctx, index)->op;
    if (op == GRAPH_INPUT) return true;
    if (op != GRAPH_AFFINE && op != GRAPH_CLAMP && op != GRAPH_PAD && !ctx->selections[index])
      return false;
    index = node_at(ctx, index)->input[0];
  }
  return false;
}

bool op_can_select(const import_context *ctx, const value *x, uint32_t axis) {
  uint32_t channels;
  return x->rank == 4 && !x->expanded && !x->exchanged && value_shape(ctx, x).c <= CHANNELS_MAX &&
         value_find_channels(ctx, x, &channels) && channels == axis && (axis == 1 || axis == 3) &&
         op_comes_from_input(ctx, x->node);
}

/* ---- the node ---------------------------------------------------------------------- */

static void note_input(import_context *ctx, uint32_t node, const channel_map *map) {
  const uint32_t channels = node_at(ctx, node)->shape.c;
  bool keeps = map->count == channels;
  for (uint32_t i = 0; i < map->count && keeps; i++) keeps = map->from[i] == i;
  if (!keeps && map->count > 1) ctx->input_is_rearranged = true;
}

/* Set the weights of a 1x1 convolution that selects channels of its input. */
static resnet_status set_weights(import_context *ctx, uint32_t index, const channel_map *map) {
  graph_node *n = node_at(ctx, index);
  const uint32_t channels = node_at(ctx, n->input[0])->shape.c;
  channel_map *kept = import_scratch(ctx, 1, sizeof *kept);
  n->window = (graph_window){
      .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1};
  n->groups = 1;
  n->weight_count = (size_t)map->count * channels;
  n->bias_count = map->count;
  n->weights = mem_allocate(ctx->memory, n->weight_count, sizeof *n->weights);
  n->bias = mem_allocate(ctx->memory, n->bias_count, sizeof *n->bias);
  if (!kept || !n->weights || !n->bias) return err_no_memory(ctx->error, "weights");
  for (uint32_t i = 0; i < map->count; i++) n->weights[i * channels + map->from[i]] = 1;
  *kept = *map;
  ctx->selections[index] = kept;
  note_input(ctx, n->input[0], map);
  return RESNET_OK;
}

/* Make output `output` of the ONNX node the image x with the channels of `map`. */
static resnet_status select_output(import_context *ctx, const value *x, const channel_map *map,
                                   size_t output) {
  resnet_status status;
  const char *name = ctx->node->output[output];
  graph_shape s = value_shape(ctx, x);
  value *v = name[0] ? value_find(ctx, name) : NULL;
  if (!v) return RESNET_OK;
  s.c = map->count;
  if (!node_append(ctx, GRAPH_CONV, x->node, s, import_node_name(ctx->node), name, &status))
    return status;
  v->kind = VALUE_ACTIVATION;
  v->node = ctx->graph->node_count - 1;
  v->rank = x->rank;
  v->channels_last = value_channel_axis(ctx, x) == 3;
  memcpy(v->dims, x->dims, sizeof v->dims);
  v->dims[v->channels_last ? 3 : 1] = s.c;
  return set_weights(ctx, v->node, map);
}

resnet_status op_select_channels(import_context *ctx, const value *x, const channel_map *map) {
  return ctx->node->n_output ? select_output(ctx, x, map, 0) : RESNET_OK;
}

/* Return whether t has more than one number along axis `axis` of x, and along no
 * other. */
static bool lies_along(const value *x, const constant *t, uint32_t axis) {
  if (t->count < 2 || t->count > CHANNELS_MAX || t->rank > x->rank) return false;
  const uint32_t first = x->rank - t->rank;
  return axis >= first && t->dims[axis - first] == (int64_t)t->count;
}

resnet_status op_spread_channel(import_context *ctx, value *x, const constant *t) {
  uint32_t axis;
  if (x->rank != 4 || value_shape(ctx, x).c != 1 || !value_find_channels(ctx, x, &axis) ||
      !lies_along(x, t, axis) || !op_can_select(ctx, x, axis))
    return RESNET_OK;
  const channel_map map = {.count = (uint32_t)t->count};
  const resnet_status status = op_select_channels(ctx, x, &map);
  const value *result = value_result(ctx);
  if (status != RESNET_OK || !result) return status;
  *x = *result;
  node_at(ctx, x->node)->output[0] = '\0'; /* no tensor of the file */
  return RESNET_OK;
}

/* ---- Gather, GatherND, Slice, Tile ------------------------------------------------- */

/* Select the channels that `index` lists. */
static resnet_status select_listed(import_context *ctx, const value *x, const constant *index) {
  const int64_t channels = value_shape(ctx, x).c;
  channel_map map = {.count = (uint32_t)index->count};
  if (index->count < 1 || index->count > CHANNELS_MAX)
    return unsupported(ctx, "takes %zu channels: 1 to %d are accepted", index->count, CHANNELS_MAX);
  for (size_t i = 0; i < index->count; i++) {
    const int64_t at = index->ints[i] < 0 ? index->ints[i] + channels : index->ints[i];
    if (at < 0 || at >= channels)
      return invalid(ctx, "takes channel %lld of %lld: export the model again",
                     (long long)index->ints[i], (long long)channels);
    map.from[i] = (uint32_t)at;
  }
  return op_select_channels(ctx, x, &map);
}

resnet_status op_gather_channels(import_context *ctx, const value *x, const constant *index) {
  const uint32_t axis = value_channel_axis(ctx, x);
  resnet_status status = select_listed(ctx, x, index);
  value *v = value_result(ctx);
  if (status != RESNET_OK || index->rank == 1 || !v) return status;
  for (uint32_t i = axis; i < 3; i++) v->dims[i] = v->dims[i + 1];
  v->rank = 3;
  return RESNET_OK;
}

static resnet_status read_indices(import_context *ctx, const constant **index) {
  resnet_status status = value_get_constant(ctx, 1, "indices", index);
  if (status != RESNET_OK) return status;
  const constant *t = *index;
  if (!t || t->is_float || t->rank == 0)
    return invalid(ctx, "its indices must be integers: export the model again");
  if (constant_has_batch(t))
    return unsupported(ctx, "its indices depend on the batch size: export with a fixed one");
  return RESNET_OK;
}

/* Import GatherND of channels, as PyTorch writes x[:, [2,1,0]]: of (c,n,h,w), with one
 * index in each row. */
resnet_status op_gather_nd(import_context *ctx) {
  value *x;
  const constant *index;
  int64_t batch_dims;
  resnet_status status = value_get(ctx, 0, &x);
  if (status == RESNET_OK) status = read_indices(ctx, &index);
  if (status == RESNET_OK) status = attr_get_int(ctx, "batch_dims", 0, &batch_dims);
  if (status != RESNET_OK) return status;
  value image = *x;
  image.exchanged = false;
  const bool fits = x->exchanged && batch_dims == 0 && index->rank == 2 && index->dims[1] == 1;
  if (!fits || !op_can_select(ctx, &image, 1))
    return unsupported(ctx,
                       "takes elements of '%.40s': channels of the input are accepted, transposed "
                       "to (c,n,h,w), with indices (count,1) and batch_dims 0; reorder or select "
                       "others outside of the model",
                       x->name);
  status = select_listed(ctx, &image, index);
  value *v = value_result(ctx);
  if (status == RESNET_OK && v) v->exchanged = true;
  return status;
}

resnet_status op_slice_channels(import_context *ctx, const value *x, slice_range range) {
  const int64_t count = shape_resolve_slice(&range, value_shape(ctx, x).c);
  channel_map map = {.count = (uint32_t)count};
  if (count < 1) return invalid(ctx, "takes no channel: export the model again");
  for (int64_t i = 0; i < count; i++) map.from[i] = (uint32_t)(range.start + i * range.step);
  return op_select_channels(ctx, x, &map);
}

resnet_status op_tile(import_context *ctx) {
  value *x;
  const constant *repeats;
  resnet_status status = value_get_image(ctx, 0, false, &x);
  if (status == RESNET_OK) status = value_get_integers(ctx, 1, "repeats", &repeats);
  if (status != RESNET_OK) return status;
  const uint32_t axis = value_channel_axis(ctx, x), channels = value_shape(ctx, x).c;
  bool fits = repeats && repeats->count == 4 && op_can_select(ctx, x, axis);
  for (uint32_t i = 0; fits && i < 4; i++) fits = i == axis || repeats->ints[i] == 1;
  if (!fits || repeats->ints[axis] < 1 || repeats->ints[axis] > CHANNELS_MAX / channels)
    return unsupported(ctx,
                       "repeats '%.50s': channels of the input may be repeated, up to %d together; "
                       "layers and other axes not",
                       x->name, CHANNELS_MAX);
  channel_map map = {.count = channels * (uint32_t)repeats->ints[axis]};
  for (uint32_t i = 0; i < map.count; i++) map.from[i] = i % channels;
  return op_select_channels(ctx, x, &map);
}

/* ---- Split ------------------------------------------------------------------------- */

/* Read the sizes of the parts: attribute or input `split`, else equal parts. */
static resnet_status read_parts(import_context *ctx, uint32_t channels, int64_t *parts) {
  const size_t outputs = ctx->node->n_output;
  const int64_t *given = NULL;
  size_t count = 0;
  const constant *t = NULL;
  resnet_status status = ctx->opset < 13 ? attr_get_ints(ctx, "split", &given, &count)
                                         : value_get_integers(ctx, 1, "split", &t);
  if (status != RESNET_OK) return status;
  if (t) {
    given = t->ints;
    count = t->count;
  }
  const int64_t size = (int64_t)((channels + outputs - 1) / outputs);
  int64_t left = channels;
  for (size_t i = 0; i < outputs; i++) {
    parts[i] = count == outputs ? given[i] : size < left ? size : left;
    if (parts[i] < 1 || parts[i] > left || (count && count != outputs))
      return invalid(ctx, "splits %u channels into parts that do not fit: export the model again",
                     channels);
    left -= parts[i];
  }
  return left == 0
             ? RESNET_OK
             : invalid(ctx, "leaves %lld channels over: export the model again", (long long)left);
}

resnet_status op_split(import_context *ctx) {
  value *x;
  int64_t given, parts[CHANNELS_MAX];
  uint32_t axis;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) status = attr_get_int(ctx, "axis", 0, &given);
  if (status == RESNET_OK) status = shape_resolve_axis(ctx, given, x->rank, &axis);
  if (status != RESNET_OK) return status;
  if (!op_can_select(ctx, x, axis) || ctx->node->n_output > value_shape(ctx, x).c)
    return unsupported(ctx,
                       "splits '%.50s': models that split channels (Res2Net, SKNet, DLA) are not "
                       "accepted; the up to %d channels of the input may be split",
                       x->name, CHANNELS_MAX);
  status = read_parts(ctx, value_shape(ctx, x).c, parts);
  const value image = *x;
  uint32_t first = 0;
  for (size_t i = 0; i < ctx->node->n_output && status == RESNET_OK; i++) {
    channel_map map = {.count = (uint32_t)parts[i]};
    for (uint32_t k = 0; k < map.count; k++) map.from[k] = first + k;
    first += map.count;
    status = select_output(ctx, &image, &map, i);
  }
  return status;
}

/* ---- Concat ------------------------------------------------------------------------ */

/* Channels of one image, each scaled and shifted. */
typedef struct joined_channels {
  uint32_t source; /* RESNET_NO_INDEX: none so far */
  channel_map map;
  double scale[CHANNELS_MAX], shift[CHANNELS_MAX];
} joined_channels;

static bool is_clamped(const graph_node *n) {
  return n->clamp_min > -FLT_MAX || n->clamp_max < FLT_MAX;
}

/* Append the channels of v. Return false if they are not those of one image. */
static bool join_value(const import_context *ctx, const value *v, joined_channels *j) {
  const uint32_t channels = value_shape(ctx, v).c, first = j->map.count;
  if (channels > CHANNELS_MAX - first) return false;
  uint32_t index = v->node;
  for (uint32_t c = 0; c < channels; c++) {
    j->scale[first + c] = 1;
    j->shift[first + c] = 0;
    j->map.from[first + c] = c;
  }
  for (; node_at(ctx, index)->op == GRAPH_AFFINE; index = node_at(ctx, index)->input[0]) {
    if (is_clamped(node_at(ctx, index))) return false;
    const pending_affine *d = &ctx->affines[index];
    for (uint32_t c = 0; c < channels; c++) {
      j->shift[first + c] += j->scale[first + c] * d->shift[c];
      j->scale[first + c] *= d->scale[c];
    }
  }
  const channel_map *map = ctx->selections[index];
  for (uint32_t c = 0; map && c < channels; c++) j->map.from[first + c] = map->from[c];
  if (map) index = node_at(ctx, index)->input[0];
  j->map.count += channels;
  if (j->source == RESNET_NO_INDEX) j->source = index;
  return j->source == index;
}

/* Collect the channels of all inputs: images that differ in channels only. */
static bool join_all(import_context *ctx, joined_channels *j, value **first) {
  for (size_t i = 0; i < ctx->node->n_input; i++) {
    value *v;
    if (value_get(ctx, i, &v) != RESNET_OK || v->kind != VALUE_ACTIVATION || v->rank != 4 ||
        v->expanded || padding_is_deferred(v))
      return false;
    if (i == 0) *first = v;
    const uint32_t axis = value_channel_axis(ctx, v);
    if (!op_can_select(ctx, v, axis) || axis != value_channel_axis(ctx, *first)) return false;
    for (uint32_t k = 1; k < 4; k++)
      if (k != axis && v->dims[k] != (*first)->dims[k]) return false;
    if (!join_value(ctx, v, j)) return false;
  }
  return true;
}

/* Scale and shift the result's channels, unless that changes nothing. */
static resnet_status apply_affine(import_context *ctx, const joined_channels *j) {
  bool changes = false;
  for (uint32_t c = 0; c < j->map.count; c++)
    changes = changes || j->scale[c] < 1 || j->scale[c] > 1 || j->shift[c] < 0 || j->shift[c] > 0;
  value *v = value_result(ctx);
  if (!changes || !v) return RESNET_OK;
  resnet_status status;
  const value selected = *v;
  node_at(ctx, selected.node)->output[0] = '\0'; /* no tensor of the file */
  pending_affine *d = node_add_affine(ctx, &selected, &status);
  if (!d) return status;
  memcpy(d->scale, j->scale, j->map.count * sizeof *d->scale);
  memcpy(d->shift, j->shift, j->map.count * sizeof *d->shift);
  return status;
}

resnet_status op_join_channels(import_context *ctx, bool *done) {
  joined_channels j = {.source = RESNET_NO_INDEX};
  value *first = NULL;
  int64_t given;
  uint32_t axis;
  *done = false;
  resnet_status status = attr_get_int(ctx, "axis", 1, &given);
  if (status != RESNET_OK || ctx->node->n_input > CHANNELS_MAX || !join_all(ctx, &j, &first))
    return status;
  status = shape_resolve_axis(ctx, given, 4, &axis);
  if (status != RESNET_OK || axis != value_channel_axis(ctx, first)) return status;
  *done = true;
  value image = *first;
  image.channels_last = axis == 3;
  image.node = j.source;
  image.dims[axis] = value_shape(ctx, &image).c;
  status = op_select_channels(ctx, &image, &j.map);
  return status == RESNET_OK ? apply_affine(ctx, &j) : status;
}
