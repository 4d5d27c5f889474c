#include "loader/import/padding.h"

#include "loader/import/nodes.h"

bool padding_is_deferred(const value *v) {
  return (v->pad_top | v->pad_left | v->pad_bottom | v->pad_right) != 0;
}

static resnet_status refuse_lowest(const import_context *ctx, const value *v) {
  return unsupported(
      ctx, "reads the padding of node '%.60s' with the lowest number: only a MaxPool may do so",
      v->pad_node_name);
}

resnet_status padding_grow_shape(const import_context *ctx, graph_shape *s, uint64_t top,
                                 uint64_t left, uint64_t bottom, uint64_t right) {
  const uint64_t h = s->h + top + bottom, w = s->w + left + right;
  if (h > GRAPH_MAX_SIDE || w > GRAPH_MAX_SIDE)
    return unsupported(ctx,
                       "its padding makes (h %u, w %u) larger than %d: less padding is accepted",
                       s->h, s->w, GRAPH_MAX_SIDE);
  s->h = (uint32_t)h;
  s->w = (uint32_t)w;
  return RESNET_OK;
}

resnet_status padding_materialize(import_context *ctx, value *v) {
  resnet_status status;
  graph_shape s = value_shape(ctx, v);
  if (v->pad_lowest) return refuse_lowest(ctx, v);
  status = padding_grow_shape(ctx, &s, v->pad_top, v->pad_left, v->pad_bottom, v->pad_right);
  if (status != RESNET_OK) return status;
  const bool last = value_channel_axis(ctx, v) == 3;
  graph_node *n = node_append(ctx, GRAPH_PAD, v->node, s, v->pad_node_name, v->name, &status);
  if (!n) return status;
  n->window = (graph_window){.pad_top = v->pad_top,
                             .pad_left = v->pad_left,
                             .pad_bottom = v->pad_bottom,
                             .pad_right = v->pad_right};
  v->node = ctx->graph->node_count - 1;
  v->pad_top = v->pad_left = v->pad_bottom = v->pad_right = 0;
  v->channels_last = last; /* it had no meaning if v was a single pixel */
  v->dims[last ? 1 : 2] = s.h;
  v->dims[last ? 2 : 3] = s.w;
  return RESNET_OK;
}
