/* The names in an ONNX graph and what they stand for. */
#include <math.h>
#include <string.h>

#include "loader/import/import.h"
#include "loader/onnx/onnx_parse.h"

static int compare(const value *a, const value *b) {
  int order = strcmp(a->name, b->name);
  return order ? order : (a->origin > b->origin) - (a->origin < b->origin);
}

static void sift_down(value **heap, size_t root, size_t count) {
  for (size_t child = 2 * root + 1; child < count; root = child, child = 2 * root + 1) {
    if (child + 1 < count && compare(heap[child], heap[child + 1]) < 0) child++;
    if (compare(heap[root], heap[child]) >= 0) return;
    value *swap = heap[root];
    heap[root] = heap[child];
    heap[child] = swap;
  }
}

/* Heapsort: n log n for any names, and no memory of its own (qsort may take some behind
 * the allocator's back). */
static void sort_by_name(value **values, size_t count) {
  for (size_t i = count / 2; i-- > 0;) sift_down(values, i, count);
  for (size_t end = count; end-- > 1;) {
    value *largest = values[0];
    values[0] = values[end];
    values[end] = largest;
    sift_down(values, 0, end);
  }
}

static const char *describe_origin(const lowering *l, size_t origin) {
  if (origin == ORIGIN_INITIALIZER) return "an initialiser";
  if (origin == ORIGIN_INPUT) return "a graph input";
  return node_name(l->source->node[origin - ORIGIN_NODE]);
}

/* An initialiser may also be listed as a graph input (IR 3): then it is its default
 * value, and stays. */
static resnet_status check_unique(const lowering *l) {
  for (size_t i = 1; i < l->value_count; i++) {
    const value *a = l->by_name[i - 1], *b = l->by_name[i];
    bool is_default = a->origin == ORIGIN_INITIALIZER && b->origin == ORIGIN_INPUT;
    if (strcmp(a->name, b->name) == 0 && !is_default)
      return err_fail(
          l->error, RESNET_ERROR_FORMAT,
          "tensor '%.60s' is defined twice, by %.50s and by %.50s: export the model again", a->name,
          describe_origin(l, a->origin), describe_origin(l, b->origin));
  }
  return RESNET_OK;
}

static void add_value(lowering *l, const char *name, size_t origin,
                      Onnx__TensorProto *initializer) {
  if (onnx_text(name)[0] == '\0') return;
  value *v = &l->values[l->value_count];
  v->name = name;
  v->origin = origin;
  v->initializer = initializer;
  l->by_name[l->value_count++] = v;
}

static void count_readers(const lowering *l) {
  for (size_t i = 0; i < l->source->n_node; i++) {
    const Onnx__NodeProto *node = l->source->node[i];
    for (size_t j = 0; j < node->n_input; j++) {
      value *v = values_find(l, node->input[j]);
      if (v) v->readers++;
    }
  }
}

resnet_status values_collect(lowering *l) {
  const Onnx__GraphProto *g = l->source;
  size_t count = g->n_initializer + g->n_input;
  for (size_t i = 0; i < g->n_node; i++) count += g->node[i]->n_output;
  l->values = scratch_allocate(l, count, sizeof *l->values);
  l->by_name = scratch_allocate(l, count, sizeof(value *));
  if (!l->values || !l->by_name) return err_no_memory(l->error, "the tensors' names");
  for (size_t i = 0; i < g->n_initializer; i++)
    add_value(l, g->initializer[i]->name, ORIGIN_INITIALIZER, g->initializer[i]);
  for (size_t i = 0; i < g->n_input; i++) add_value(l, g->input[i]->name, ORIGIN_INPUT, NULL);
  for (size_t i = 0; i < g->n_node; i++)
    for (size_t j = 0; j < g->node[i]->n_output; j++)
      add_value(l, g->node[i]->output[j], ORIGIN_NODE + i, NULL);
  sort_by_name(l->by_name, l->value_count);
  count_readers(l);
  return check_unique(l);
}

value *values_find(const lowering *l, const char *name) {
  size_t low = 0, high = l->value_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(l->by_name[middle]->name, name) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low < l->value_count && strcmp(l->by_name[low]->name, name) == 0 ? l->by_name[low] : NULL;
}

bool has_input(const lowering *l, size_t index) {
  return index < l->node->n_input && l->node->input[index][0] != '\0';
}

static resnet_status refuse_unknown(const lowering *l, const value *v) {
  size_t producer = v->origin - ORIGIN_NODE;
  if (producer == l->node_index)
    return invalid(l, "reads its own output '%.60s': export the model again", v->name);
  const char *name = node_name(l->source->node[producer]);
  if (producer > l->node_index)
    return invalid(
        l, "reads '%.50s', which node '%.50s' computes from it: a cycle; export the model again",
        v->name, name);
  return unsupported(
      l,
      "reads '%.50s', an output of node '%.50s' that is not computed here: only first outputs are",
      v->name, name);
}

resnet_status get_value(lowering *l, size_t index, value **out) {
  if (!has_input(l, index))
    return invalid(l, "input %zu is missing: export the model again", index);
  const char *name = l->node->input[index];
  value *v = *out = values_find(l, name);
  if (!v)
    return invalid(l, "reads tensor '%.60s', which nothing defines: export the model again", name);
  if (v->kind == VALUE_UNKNOWN && v->initializer) {
    resnet_status status = tensor_read(l, v->initializer, &v->tensor);
    if (status != RESNET_OK) return status;
    v->kind = VALUE_TENSOR;
    v->tensor->name = v->name;
  }
  return v->kind == VALUE_UNKNOWN ? refuse_unknown(l, v) : RESNET_OK;
}

resnet_status check_batchless(const lowering *l, const value *v) {
  if (v->kind != VALUE_TENSOR || !v->tensor->for_batch) return RESNET_OK;
  return unsupported(
      l, "reads '%.50s', a constant with the batch for a dimension: only a Concat may", v->name);
}

resnet_status get_constant(lowering *l, size_t index, const char *what, const tensor **out) {
  *out = NULL;
  if (!has_input(l, index)) return RESNET_OK;
  value *v;
  resnet_status status = get_value(l, index, &v);
  if (status != RESNET_OK) return status;
  if (v->kind != VALUE_TENSOR)
    return unsupported(l, "its %s ('%.50s') are computed from the picture: they must be constants",
                       what, v->name);
  status = check_batchless(l, v);
  if (status == RESNET_OK) *out = v->tensor;
  return status;
}

resnet_status get_integers(lowering *l, size_t index, const char *what, const tensor **out) {
  resnet_status status = get_constant(l, index, what, out);
  if (status != RESNET_OK || !*out) return status;
  const tensor *t = *out;
  if (t->is_float || t->rank > 1) return invalid(l, "its %s must be a list of integers", what);
  if (tensor_has_batch(t))
    return unsupported(l, "its %s depend on the batch size: export with a fixed one", what);
  return RESNET_OK;
}

graph_shape value_shape(const lowering *l, const value *v) {
  return l->graph->nodes[v->node].shape;
}

bool has_borders(const value *v) {
  return (v->pad_top | v->pad_left | v->pad_bottom | v->pad_right) != 0;
}

static resnet_status get_view(lowering *l, size_t index, value **out) {
  resnet_status status = get_value(l, index, out);
  if (status != RESNET_OK || (*out)->kind == VALUE_ACTIVATION) return status;
  return unsupported(l, "input %zu ('%.50s') is a constant: an activation is accepted there", index,
                     (*out)->name);
}

resnet_status get_waiting(lowering *l, size_t index, value **out) {
  resnet_status status = get_view(l, index, out);
  if (status != RESNET_OK || !(*out)->expanded) return status;
  return unsupported(l, "reads '%.50s', which Expand made larger: only Mul and Expand may",
                     (*out)->name);
}

resnet_status get_factor(lowering *l, size_t index, value **out) {
  resnet_status status = get_view(l, index, out);
  return status == RESNET_OK && has_borders(*out) ? put_borders(l, *out) : status;
}

resnet_status get_activation(lowering *l, size_t index, value **out) {
  resnet_status status = get_waiting(l, index, out);
  return status == RESNET_OK && has_borders(*out) ? put_borders(l, *out) : status;
}

/* The view has a picture's dimensions, in the order of its elements. */
static bool is_planar(graph_shape s, const value *v) {
  return v->rank == 4 && v->dims[1] == s.c && v->dims[2] == s.h && v->dims[3] == s.w &&
         (!v->channels_last || s.h * s.w == 1 || s.c == 1);
}

static bool is_interleaved(graph_shape s, const value *v) {
  return v->rank == 4 && v->dims[1] == s.h && v->dims[2] == s.w && v->dims[3] == s.c &&
         (v->channels_last || s.h * s.w == 1 || s.c == 1);
}

static resnet_status get_viewed(lowering *l, size_t index, bool allow_last, bool allow_pads,
                                value **out) {
  resnet_status status = get_waiting(l, index, out);
  if (status != RESNET_OK) return status;
  value *v = *out;
  graph_shape s = value_shape(l, v);
  if (!is_planar(s, v) && !is_interleaved(s, v))
    return unsupported(l,
                       "input '%.50s' has rank %u or was reshaped: a picture (n,c,h,w) is accepted",
                       v->name, v->rank);
  if (!is_planar(s, v) && !allow_last)
    return unsupported(
        l, "input '%.50s' is (n,h,w,c) here: this operator takes (n,c,h,w); export the model again",
        v->name);
  return allow_pads || !has_borders(v) ? RESNET_OK : put_borders(l, v);
}

resnet_status get_image(lowering *l, size_t index, bool allow_pads, value **out) {
  return get_viewed(l, index, false, allow_pads, out);
}

resnet_status get_picture(lowering *l, size_t index, bool allow_pads, value **out) {
  return get_viewed(l, index, true, allow_pads, out);
}

uint32_t picture_channels(const lowering *l, const value *v) {
  return is_planar(value_shape(l, v), v) ? 1 : 3;
}

bool seen_alike(const lowering *l, const value *a, const value *b) {
  graph_shape s = value_shape(l, a), t = value_shape(l, b);
  bool alike =
      s.h == t.h && s.w == t.w && s.c == t.c && a->rank == b->rank && a->expanded == b->expanded;
  for (uint32_t i = 1; alike && i < a->rank; i++) alike = a->dims[i] == b->dims[i];
  return alike;
}

bool of_one_order(const lowering *l, const value *a, const value *b) {
  graph_shape s = value_shape(l, a);
  return a->channels_last == b->channels_last || s.h * s.w == 1 || s.c == 1;
}

/* One pixel's channels are the one axis that holds them all, whatever the order: the
 * first, where c is 1. */
bool find_channels(const lowering *l, const value *v, uint32_t *axis) {
  graph_shape s = value_shape(l, v);
  if (v->rank < 2) return false;
  *axis = v->channels_last ? v->rank - 1 : 1;
  if (s.h * s.w == 1 && !v->expanded)
    for (*axis = 1; *axis + 1 < v->rank && v->dims[*axis] != s.c;) ++*axis;
  else if (s.c == 1 && v->dims[*axis] != 1) /* then the orders are one */
    *axis = v->channels_last ? 1 : v->rank - 1;
  return v->dims[*axis] == s.c;
}

/* Node outputs are unique and were collected: the search finds it. */
value *get_result(const lowering *l) {
  if (l->node->n_output == 0 || l->node->output[0][0] == '\0') return NULL;
  return values_find(l, l->node->output[0]);
}

resnet_status set_tensor(lowering *l, tensor *t) {
  value *v = get_result(l);
  if (!v) return RESNET_OK;
  v->kind = VALUE_TENSOR;
  v->tensor = t;
  if (!t->name) t->name = v->name;
  return RESNET_OK;
}

resnet_status set_activation(lowering *l, uint32_t index) {
  value *v = get_result(l);
  if (!v) return RESNET_OK;
  graph_shape s = l->graph->nodes[index].shape;
  v->kind = VALUE_ACTIVATION;
  v->node = index;
  v->rank = 4;
  v->dims[1] = s.c;
  v->dims[2] = s.h;
  v->dims[3] = s.w;
  v->channels_last = false;
  return RESNET_OK;
}

resnet_status set_view(lowering *l, const value *from, uint32_t rank, const int64_t *dims) {
  value *v = get_result(l);
  if (!v) return RESNET_OK;
  v->kind = VALUE_ACTIVATION;
  v->node = from->node;
  v->rank = rank;
  v->channels_last = from->channels_last;
  memcpy(v->dims, dims, rank * sizeof *dims);
  return RESNET_OK;
}

resnet_status set_same(lowering *l, const value *from) {
  value *v = get_result(l);
  if (!v) return RESNET_OK;
  value same = *from;
  same.name = v->name;
  same.origin = v->origin;
  same.readers = v->readers;
  same.live = v->live;
  *v = same;
  if (v->kind == VALUE_TENSOR && v->tensor->block) v->tensor->block->users++;
  return RESNET_OK;
}

static bool shape_fits(graph_shape s) {
  return s.h >= 1 && s.w >= 1 && s.c >= 1 && s.h <= GRAPH_MAX_SIDE && s.w <= GRAPH_MAX_SIDE &&
         s.c <= GRAPH_MAX_SIDE && (uint64_t)s.h * s.w * s.c <= GRAPH_MAX_ACTIVATION;
}

graph_node *append_node(lowering *l, graph_op op, uint32_t input, graph_shape shape,
                        const char *name, const char *output, resnet_status *status) {
  graph *g = l->graph;
  if (!shape_fits(shape)) {
    *status = unsupported(
        l, "its output (h %u, w %u, c %u) is too large: up to %d each and 2^31 elements", shape.h,
        shape.w, shape.c, GRAPH_MAX_SIDE);
    return NULL;
  }
  if (g->node_count == l->node_capacity) {
    *status = unsupported(l, "the graph has more nodes than %u", l->node_capacity);
    return NULL;
  }
  graph_node *n = &g->nodes[g->node_count];
  n->op = op;
  n->input[0] = input;
  n->input[1] = RESNET_NO_INDEX;
  n->input_count = input == RESNET_NO_INDEX ? 0 : 1;
  n->shape = shape;
  n->clamp_min = -INFINITY;
  n->clamp_max = INFINITY;
  n->block = RESNET_NO_INDEX;
  g->node_count++;
  n->name = mem_copy_string(l->memory, name, strlen(name));
  n->output = mem_copy_string(l->memory, output, strlen(output));
  *status = n->name && n->output ? RESNET_OK : err_no_memory(l->error, "a node's name");
  return *status == RESNET_OK ? n : NULL;
}

graph_node *add_node(lowering *l, graph_op op, uint32_t input, graph_shape shape,
                     resnet_status *status) {
  const char *output = l->node->n_output ? l->node->output[0] : "";
  graph_node *n = append_node(l, op, input, shape, node_name(l->node), output, status);
  if (n) (void)set_activation(l, l->graph->node_count - 1);
  return n;
}

graph_node *add_elementwise(lowering *l, graph_op op, const value *x, resnet_status *status) {
  value view = *x;
  graph_node *n = add_node(l, op, x->node, value_shape(l, x), status);
  if (!n) return NULL;
  view.node = l->graph->node_count - 1;
  *status = set_view(l, &view, view.rank, view.dims);
  return n;
}

graph_node *add_pictured(lowering *l, graph_op op, const value *x, graph_shape shape,
                         resnet_status *status) {
  const bool last = picture_channels(l, x) == 3;
  graph_node *n = add_node(l, op, x->node, shape, status);
  value *v = get_result(l);
  if (!n || !v || !last) return n;
  v->channels_last = true;
  v->dims[1] = shape.h;
  v->dims[2] = shape.w;
  v->dims[3] = shape.c;
  return n;
}
