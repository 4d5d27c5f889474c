#include "loader/import/values.h"

#include <math.h>
#include <string.h>

#include "loader/base/sort.h"
#include "loader/import/padding.h"
#include "loader/onnx/onnx_parse.h"

static int by_name_then_origin(const void *x, const void *y) {
  const value *a = *(value *const *)x, *b = *(value *const *)y;
  const int order = strcmp(a->name, b->name);
  return order ? order : (a->origin > b->origin) - (a->origin < b->origin);
}

static const char *describe_origin(const import_context *ctx, size_t origin) {
  if (origin == ORIGIN_INITIALIZER) return "an initialiser";
  if (origin == ORIGIN_INPUT) return "a graph input";
  return import_node_name(ctx->source->node[origin - ORIGIN_NODE]);
}

/* Refuse duplicates. An initialiser may also be listed as a graph input (IR 3): it is
 * then the input's default value, which is used. */
static resnet_status check_unique(const import_context *ctx) {
  for (size_t i = 1; i < ctx->value_count; i++) {
    const value *a = ctx->by_name[i - 1], *b = ctx->by_name[i];
    bool is_default = a->origin == ORIGIN_INITIALIZER && b->origin == ORIGIN_INPUT;
    if (strcmp(a->name, b->name) == 0 && !is_default)
      return err_fail(
          ctx->error, RESNET_ERROR_FORMAT,
          "tensor '%.60s' is defined twice, by %.50s and by %.50s: export the model again", a->name,
          describe_origin(ctx, a->origin), describe_origin(ctx, b->origin));
  }
  return RESNET_OK;
}

static void add_value(import_context *ctx, const char *name, size_t origin,
                      Onnx__TensorProto *initializer) {
  if (onnx_text(name)[0] == '\0') return;
  value *v = &ctx->values[ctx->value_count];
  v->name = name;
  v->origin = origin;
  v->initializer = initializer;
  ctx->by_name[ctx->value_count++] = v;
}

static void count_value_readers(const import_context *ctx) {
  for (size_t i = 0; i < ctx->source->n_node; i++) {
    const Onnx__NodeProto *node = ctx->source->node[i];
    for (size_t j = 0; j < node->n_input; j++) {
      value *v = value_find(ctx, node->input[j]);
      if (v) v->readers++;
    }
  }
}

resnet_status value_collect(import_context *ctx) {
  const Onnx__GraphProto *g = ctx->source;
  size_t count = g->n_initializer + g->n_input;
  for (size_t i = 0; i < g->n_node; i++) count += g->node[i]->n_output;
  ctx->values = import_scratch(ctx, count, sizeof *ctx->values);
  ctx->by_name = import_scratch(ctx, count, sizeof(value *));
  if (!ctx->values || !ctx->by_name) return err_no_memory(ctx->error, "the tensors' names");
  for (size_t i = 0; i < g->n_initializer; i++)
    add_value(ctx, g->initializer[i]->name, ORIGIN_INITIALIZER, g->initializer[i]);
  for (size_t i = 0; i < g->n_input; i++) add_value(ctx, g->input[i]->name, ORIGIN_INPUT, NULL);
  for (size_t i = 0; i < g->n_node; i++)
    for (size_t j = 0; j < g->node[i]->n_output; j++)
      add_value(ctx, g->node[i]->output[j], ORIGIN_NODE + i, NULL);
  sort_items(ctx->by_name, ctx->value_count, sizeof *ctx->by_name, by_name_then_origin);
  count_value_readers(ctx);
  return check_unique(ctx);
}

value *value_find(const import_context *ctx, const char *name) {
  size_t low = 0, high = ctx->value_count, compared = 1;
  for (; low < high; compared++) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(ctx->by_name[middle]->name, name) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  (void)work_spend(ctx->work, compared, WORK_WALK); /* op_import_node checks it */
  return low < ctx->value_count && strcmp(ctx->by_name[low]->name, name) == 0 ? ctx->by_name[low]
                                                                              : NULL;
}

bool value_has_input(const import_context *ctx, size_t index) {
  return index < ctx->node->n_input && ctx->node->input[index][0] != '\0';
}

static resnet_status refuse_unknown(const import_context *ctx, const value *v) {
  size_t producer = v->origin - ORIGIN_NODE;
  if (producer == ctx->node_index)
    return invalid(ctx, "reads its own output '%.60s': export the model again", v->name);
  const char *name = import_node_name(ctx->source->node[producer]);
  if (producer > ctx->node_index)
    return invalid(
        ctx, "reads '%.50s', which node '%.50s' computes from it: a cycle; export the model again",
        v->name, name);
  return unsupported(
      ctx, "reads '%.50s', an output of node '%.50s' that is not computed: only first outputs are",
      v->name, name);
}

resnet_status value_get(import_context *ctx, size_t index, value **out) {
  if (!value_has_input(ctx, index))
    return invalid(ctx, "input %zu is missing: export the model again", index);
  const char *name = ctx->node->input[index];
  value *v = *out = value_find(ctx, name);
  if (!v)
    return invalid(ctx, "reads tensor '%.60s', which nothing defines: export the model again",
                   name);
  if (v->kind == VALUE_UNKNOWN && v->initializer) {
    resnet_status status = constant_read(ctx, v->initializer, &v->constant);
    if (status != RESNET_OK) return status;
    v->kind = VALUE_CONSTANT;
    v->constant->name = v->name;
  }
  return v->kind == VALUE_UNKNOWN ? refuse_unknown(ctx, v) : RESNET_OK;
}

resnet_status value_check_no_batch(const import_context *ctx, const value *v) {
  if (v->kind != VALUE_CONSTANT || !v->constant->for_batch) return RESNET_OK;
  return unsupported(
      ctx, "reads '%.50s', a constant with the batch for a dimension: only a Concat may do so",
      v->name);
}

resnet_status value_get_constant(import_context *ctx, size_t index, const char *what,
                                 const constant **out) {
  *out = NULL;
  if (!value_has_input(ctx, index)) return RESNET_OK;
  value *v;
  resnet_status status = value_get(ctx, index, &v);
  if (status != RESNET_OK) return status;
  if (v->kind != VALUE_CONSTANT)
    return unsupported(ctx, "its %s ('%.50s') are computed from the image: they must be constants",
                       what, v->name);
  status = value_check_no_batch(ctx, v);
  if (status == RESNET_OK) *out = v->constant;
  return status;
}

resnet_status value_get_integers(import_context *ctx, size_t index, const char *what,
                                 const constant **out) {
  resnet_status status = value_get_constant(ctx, index, what, out);
  if (status != RESNET_OK || !*out) return status;
  const constant *t = *out;
  if (t->is_float || t->rank > 1) return invalid(ctx, "its %s must be a list of integers", what);
  if (constant_has_batch(t))
    return unsupported(ctx, "its %s depend on the batch size: export with a fixed one", what);
  return RESNET_OK;
}

graph_shape value_shape(const import_context *ctx, const value *v) {
  return ctx->graph->nodes[v->node].shape;
}

static resnet_status get_any_view(import_context *ctx, size_t index, value **out) {
  resnet_status status = value_get(ctx, index, out);
  if (status != RESNET_OK) return status;
  if ((*out)->kind != VALUE_ACTIVATION)
    return unsupported(ctx, "input %zu ('%.50s') is a constant: an activation is accepted there",
                       index, (*out)->name);
  if (!(*out)->exchanged) return RESNET_OK;
  return unsupported(ctx,
                     "reads '%.50s', which was transposed to (c,n,h,w): a GatherND of the input's "
                     "channels and a Transpose back to (n,c,h,w) or (n,h,w,c) are accepted",
                     (*out)->name);
}

static resnet_status get_view(import_context *ctx, size_t index, value **out) {
  resnet_status status = get_any_view(ctx, index, out);
  if (status != RESNET_OK || !(*out)->batch_last) return status;
  return unsupported(ctx,
                     "reads '%.50s', which was transposed to (features,n): a product with weights, "
                     "arithmetic with constants and a Transpose back to (n,features) are accepted",
                     (*out)->name);
}

resnet_status value_get_deferred(import_context *ctx, size_t index, value **out) {
  resnet_status status = get_view(ctx, index, out);
  if (status != RESNET_OK || !(*out)->expanded) return status;
  return unsupported(ctx, "reads '%.50s', which Expand made larger: only Mul and Expand may do so",
                     (*out)->name);
}

resnet_status value_get_transposed(import_context *ctx, size_t index, value **out) {
  resnet_status status = get_any_view(ctx, index, out);
  return status != RESNET_OK || (*out)->batch_last ? status : value_get_activation(ctx, index, out);
}

resnet_status value_get_factor(import_context *ctx, size_t index, value **out) {
  resnet_status status = get_view(ctx, index, out);
  return status == RESNET_OK && padding_is_deferred(*out) ? padding_materialize(ctx, *out) : status;
}

resnet_status value_get_activation(import_context *ctx, size_t index, value **out) {
  resnet_status status = value_get_deferred(ctx, index, out);
  return status == RESNET_OK && padding_is_deferred(*out) ? padding_materialize(ctx, *out) : status;
}

/* Return whether the view has the dimensions of an image (n,c,h,w), in the order of its
 * elements. */
static bool is_planar(graph_shape s, const value *v) {
  return v->rank == 4 && v->dims[1] == s.c && v->dims[2] == s.h && v->dims[3] == s.w &&
         (!v->channels_last || s.h * s.w == 1 || s.c == 1);
}

static bool is_interleaved(graph_shape s, const value *v) {
  return v->rank == 4 && v->dims[1] == s.h && v->dims[2] == s.w && v->dims[3] == s.c &&
         (v->channels_last || s.h * s.w == 1 || s.c == 1);
}

static resnet_status get_image_view(import_context *ctx, size_t index, bool allow_last,
                                    bool allow_pads, value **out) {
  resnet_status status = value_get_deferred(ctx, index, out);
  if (status != RESNET_OK) return status;
  value *v = *out;
  graph_shape s = value_shape(ctx, v);
  if (!is_planar(s, v) && !is_interleaved(s, v))
    return unsupported(ctx,
                       "input '%.50s' has rank %u or was reshaped: an image (n,c,h,w) is accepted",
                       v->name, v->rank);
  if (!is_planar(s, v) && !allow_last)
    return unsupported(
        ctx, "input '%.50s' is (n,h,w,c): this operator accepts (n,c,h,w); export the model again",
        v->name);
  return allow_pads || !padding_is_deferred(v) ? RESNET_OK : padding_materialize(ctx, v);
}

resnet_status value_get_nchw(import_context *ctx, size_t index, bool allow_pads, value **out) {
  return get_image_view(ctx, index, false, allow_pads, out);
}

resnet_status value_get_image(import_context *ctx, size_t index, bool allow_pads, value **out) {
  return get_image_view(ctx, index, true, allow_pads, out);
}

uint32_t value_channel_axis(const import_context *ctx, const value *v) {
  return is_planar(value_shape(ctx, v), v) ? 1 : 3;
}

bool value_same_shape_as_viewed(const import_context *ctx, const value *a, const value *b) {
  graph_shape s = value_shape(ctx, a), t = value_shape(ctx, b);
  bool alike =
      s.h == t.h && s.w == t.w && s.c == t.c && a->rank == b->rank && a->expanded == b->expanded;
  for (uint32_t i = 1; alike && i < a->rank; i++) alike = a->dims[i] == b->dims[i];
  return alike;
}

bool value_same_layout(const import_context *ctx, const value *a, const value *b) {
  graph_shape s = value_shape(ctx, a);
  return a->channels_last == b->channels_last || s.h * s.w == 1 || s.c == 1;
}

/* Find the channels. For a single pixel, any axis of c elements holds them; if c is 1,
 * the first. */
bool value_find_channels(const import_context *ctx, const value *v, uint32_t *axis) {
  graph_shape s = value_shape(ctx, v);
  if (v->rank < 2) return false;
  if (v->batch_last) *axis = 0;
  if (v->batch_last) return v->dims[0] == s.c;
  *axis = v->channels_last ? v->rank - 1 : 1;
  if (s.h * s.w == 1 && !v->expanded)
    for (*axis = 1; *axis + 1 < v->rank && v->dims[*axis] != s.c;) ++*axis;
  /* with one channel, both orders are the same */
  else if (s.c == 1 && v->dims[*axis] != 1)
    *axis = v->channels_last ? 1 : v->rank - 1;
  return v->dims[*axis] == s.c;
}

/* Return the node's first output. The search finds it: outputs are unique and were
 * collected. */
value *value_result(const import_context *ctx) {
  if (ctx->node->n_output == 0 || ctx->node->output[0][0] == '\0') return NULL;
  return value_find(ctx, ctx->node->output[0]);
}

resnet_status value_set_constant(import_context *ctx, constant *t) {
  value *v = value_result(ctx);
  if (!v) return RESNET_OK;
  v->kind = VALUE_CONSTANT;
  v->constant = t;
  if (!t->name) t->name = v->name;
  return RESNET_OK;
}

resnet_status value_set_activation(import_context *ctx, uint32_t index) {
  value *v = value_result(ctx);
  if (!v) return RESNET_OK;
  graph_shape s = ctx->graph->nodes[index].shape;
  v->kind = VALUE_ACTIVATION;
  v->node = index;
  v->rank = 4;
  v->dims[1] = s.c;
  v->dims[2] = s.h;
  v->dims[3] = s.w;
  v->channels_last = false;
  return RESNET_OK;
}

resnet_status value_set_view(import_context *ctx, const value *from, uint32_t rank,
                             const int64_t *dims) {
  value *v = value_result(ctx);
  if (!v) return RESNET_OK;
  v->kind = VALUE_ACTIVATION;
  v->node = from->node;
  v->rank = rank;
  v->channels_last = from->channels_last;
  v->batch_last = from->batch_last;
  memcpy(v->dims, dims, rank * sizeof *dims);
  return RESNET_OK;
}

resnet_status value_set_same(import_context *ctx, const value *from) {
  value *v = value_result(ctx);
  if (!v) return RESNET_OK;
  value same = *from;
  same.name = v->name;
  same.origin = v->origin;
  same.readers = v->readers;
  same.live = v->live;
  *v = same;
  if (v->kind == VALUE_CONSTANT && v->constant->block) v->constant->block->users++;
  return RESNET_OK;
}

bool value_node_is_live(const import_context *ctx, const Onnx__NodeProto *node) {
  for (size_t i = 0; i < node->n_output; i++) {
    const value *v = value_find(ctx, node->output[i]);
    if (v && v->live) return true;
  }
  return false;
}

float *value_take_floats(import_context *ctx, size_t index) {
  const value *v = value_find(ctx, ctx->node->input[index]);
  constant *t = v->constant;
  float *floats = t->floats;
  /* they may be copied, here or by the plan; the node's end checks the budget */
  (void)work_spend(ctx->work, t->count, WORK_MOVE);
  if (v->readers == 1 && t->block->users == 1) {
    t->block->floats = t->floats = NULL;
    return floats;
  }
  float *copy = mem_allocate_unset(ctx->memory, t->count, sizeof *copy);
  if (copy) memcpy(copy, floats, t->count * sizeof *copy);
  return copy;
}
