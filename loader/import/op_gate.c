/* Gates of squeeze-and-excitation (Hu et al. 2018, "Squeeze-and-Excitation Networks",
 * section 3) and of ECA (Wang et al. 2020, "ECA-Net", section 3.3). */
#include "loader/import/op_gate.h"

#include <math.h>

#include "loader/import/attributes.h"
#include "loader/import/nodes.h"
#include "loader/import/op_channels.h"
#include "loader/import/padding.h"
#include "loader/import/values.h"
#include "loader/import/windows.h"

resnet_status op_sigmoid(import_context *ctx) {
  value *x;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) (void)node_add_elementwise(ctx, GRAPH_SIGMOID, x, &status);
  return status;
}

/* Add max(0, min(1, alpha x + beta)). */
static resnet_status add_hard_sigmoid(import_context *ctx, const value *x, double alpha,
                                      double beta) {
  resnet_status status;
  pending_affine *d = node_add_affine(ctx, x, &status);
  if (!d) return status;
  for (uint32_t c = 0; c < value_shape(ctx, x).c; c++) {
    d->scale[c] = alpha;
    d->shift[c] = beta;
  }
  graph_node *n = &ctx->graph->nodes[ctx->graph->node_count - 1];
  n->clamp_min = 0;
  n->clamp_max = 1;
  return RESNET_OK;
}

resnet_status op_hard_sigmoid(import_context *ctx) {
  value *x;
  float alpha, beta;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) status = attr_get_float(ctx, "alpha", 0.2F, &alpha);
  if (status == RESNET_OK) status = attr_get_float(ctx, "beta", 0.5F, &beta);
  if (status != RESNET_OK) return status;
  if (!isfinite(alpha) || !isfinite(beta))
    return invalid(ctx, "alpha is %g and beta %g: finite numbers are accepted", (double)alpha,
                   (double)beta);
  return add_hard_sigmoid(ctx, x, (double)alpha, (double)beta);
}

static resnet_status add_scale(import_context *ctx, const value *x, uint32_t gate) {
  resnet_status status;
  graph_node *n = node_add_elementwise(ctx, GRAPH_SCALE, x, &status);
  if (!n) return status;
  n->input[1] = gate;
  n->input_count = 2;
  return RESNET_OK;
}

/* Add x max(0, min(1, x / 6 + 1 / 2)). The second factor equals no tensor of the file. */
resnet_status op_hard_swish(import_context *ctx) {
  value *x;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) status = add_hard_sigmoid(ctx, x, 1.0 / 6, 0.5);
  if (status != RESNET_OK) return status;
  const uint32_t gate = ctx->graph->node_count - 1;
  ctx->graph->nodes[gate].output[0] = '\0';
  return add_scale(ctx, x, gate);
}

/* Return whether `gate` has one number per channel and is viewed so that they meet the
 * channels of x. */
static bool is_gate_of(const import_context *ctx, const value *gate, const value *x) {
  uint32_t own, other;
  graph_shape s = value_shape(ctx, gate);
  return s.h == 1 && s.w == 1 && s.c == value_shape(ctx, x).c && gate->rank == x->rank &&
         value_find_channels(ctx, gate, &own) && value_find_channels(ctx, x, &other) &&
         own == other;
}

/* Multiply an image and its gate, in either order, or two images of one shape. */
resnet_status op_scale(import_context *ctx) {
  value *a, *b;
  resnet_status status = value_get_factor(ctx, 0, &a);
  if (status == RESNET_OK) status = value_get_factor(ctx, 1, &b);
  if (status == RESNET_OK && a == b && !a->expanded) status = node_flatten_vector(ctx, a);
  if (status != RESNET_OK) return status;
  const bool second = is_gate_of(ctx, b, a) && !a->expanded,
             first = is_gate_of(ctx, a, b) && !b->expanded;
  if (!first && !second) {
    /* if one factor is a sigmoid, it is the gate */
    const bool sigmoid_first = ctx->graph->nodes[a->node].op == GRAPH_SIGMOID;
    if (!a->expanded && value_same_shape_as_viewed(ctx, a, b) && value_same_layout(ctx, a, b))
      return sigmoid_first ? add_scale(ctx, b, a->node) : add_scale(ctx, a, b->node);
    return unsupported(ctx,
                       "multiplies two activations: an image and one factor for each of its "
                       "channels, as in squeeze-and-excitation, or two of one shape are accepted");
  }
  const value *x = second ? a : b, *gate = second ? b : a;
  /* If the caller resized the input, the sizes of the file's Expand are ignored, unless
   * the image has size 1 there. */
  for (uint32_t i = 1; gate->expanded && i < x->rank; i++)
    if (gate->dims[i] != x->dims[i] && (!ctx->resized || x->dims[i] == 1))
      return invalid(ctx, "multiplies %lld and %lld along axis %u: export the model again",
                     (long long)gate->dims[i], (long long)x->dims[i], i);
  return add_scale(ctx, x, gate->node);
}

/* Return whether Expand only repeats the one channel of an image: grey for colours. */
static bool repeats_grey(const import_context *ctx, const value *x, const int64_t *dims,
                         uint32_t *channels) {
  const graph_shape s = value_shape(ctx, x);
  if (s.c != 1 || s.h * s.w == 1 || padding_is_deferred(x) ||
      !value_find_channels(ctx, x, channels) || !op_can_select(ctx, x, *channels) ||
      dims[*channels] > CHANNELS_MAX)
    return false;
  for (uint32_t i = 1; i < x->rank; i++)
    if (i != *channels && dims[i] != x->dims[i]) return false;
  return true;
}

/* Expand a gate to the size of its image. This adds no node: Mul broadcasts the gate. */
resnet_status op_expand(import_context *ctx) {
  value *x;
  const constant *sizes;
  resnet_status status = value_get_factor(ctx, 0, &x);
  if (status == RESNET_OK) status = value_get_constant(ctx, 1, "sizes", &sizes);
  if (status != RESNET_OK) return status;
  if (!sizes || sizes->is_float || sizes->count > x->rank)
    return unsupported(
        ctx, "its sizes must be up to %u integers, as many as its input has dimensions", x->rank);
  int64_t dims[MAX_RANK] = {0};
  bool larger = false;
  for (uint32_t i = 1; i < x->rank; i++) {
    const size_t missing = x->rank - sizes->count;
    const int64_t own = x->dims[i], asked = i < missing ? 1 : sizes->ints[i - missing];
    if (asked < 1 || asked > GRAPH_MAX_SIDE || (own != asked && own != 1 && asked != 1))
      return invalid(ctx, "cannot expand %lld to %lld: export the model again", (long long)own,
                     (long long)asked);
    dims[i] = own == 1 ? asked : own;
    larger = larger || dims[i] != own;
  }
  if (sizes->count == x->rank && !constant_is_batch(sizes, 0) && sizes->ints[0] != 1 &&
      sizes->ints[0] != ctx->batch)
    return unsupported(ctx, "makes %lld of a batch: the batch's own size is accepted",
                       (long long)sizes->ints[0]);
  if (!larger) return value_set_same(ctx, x);
  graph_shape s = value_shape(ctx, x);
  uint32_t channels;
  if (repeats_grey(ctx, x, dims, &channels)) {
    const channel_map map = {.count = (uint32_t)dims[channels]};
    return op_select_channels(ctx, x, &map);
  }
  if (s.h != 1 || s.w != 1 || !value_find_channels(ctx, x, &channels) || dims[channels] != s.c)
    return unsupported(ctx, "expands an image of (h %u, w %u, c %u): a gate (n,c,1,1) is accepted",
                       s.h, s.w, s.c);
  if (channels != 1 && channels != x->rank - 1)
    return unsupported(
        ctx,
        "expands a gate whose channels are axis %u of %u: (n,c,1,1) and (n,1,1,c) are accepted",
        channels, x->rank);
  status = value_set_view(ctx, x, x->rank, dims);
  value *y = value_result(ctx);
  if (!y) return status;
  /* with one channel and one pixel, the dimensions cannot identify the channel axis */
  y->channels_last = channels != 1;
  y->expanded = true;
  return status;
}

/* ---- ECA's convolution along the channels ------------------------------------------ */

static resnet_status read_side(import_context *ctx, const char *name, int64_t accepted) {
  const int64_t *values;
  size_t count;
  resnet_status status = attr_get_ints(ctx, name, &values, &count);
  if (status != RESNET_OK || !values) return status;
  if (count == 1 && values[0] == accepted) return RESNET_OK;
  return unsupported(ctx, "a 1-D convolution with %s %lld: %lld is accepted", name,
                     count ? (long long)values[0] : 0, (long long)accepted);
}

/* Read the pads. They must keep the number of channels. */
static resnet_status read_channel_pads(import_context *ctx, int64_t kernel, uint32_t *before) {
  const int64_t *pads;
  size_t count;
  window_auto_pad mode;
  resnet_status status = window_get_auto_pad(ctx, &mode);
  if (status == RESNET_OK) status = attr_get_ints(ctx, "pads", &pads, &count);
  if (status != RESNET_OK) return status;
  if (count && count != 2)
    return invalid(ctx, "attribute pads has %zu numbers: 2 are accepted (1-D)", count);
  int64_t first = count ? pads[0] : 0, last = count ? pads[1] : 0;
  if (mode != PAD_NOTSET && (first || last))
    return invalid(ctx, "auto_pad %s contradicts its pads: export the model again",
                   window_auto_pad_names[mode]);
  if (mode == PAD_SAME_UPPER) first = (kernel - 1) / 2;
  if (mode == PAD_SAME_LOWER) first = kernel / 2;
  if (mode == PAD_SAME_UPPER || mode == PAD_SAME_LOWER) last = kernel - 1 - first;
  if (first < 0 || last < 0 || last != kernel - 1 - first)
    return unsupported(ctx,
                       "a 1-D convolution that changes the number of channels (kernel %lld, pads "
                       "%lld and %lld): that of ECA keeps it",
                       (long long)kernel, (long long)first, (long long)last);
  *before = (uint32_t)first;
  return RESNET_OK;
}

static resnet_status check_channel_weights(import_context *ctx, const value *x, const constant *w) {
  graph_shape s = value_shape(ctx, x);
  if (s.h != 1 || s.w != 1 || x->rank != 3 || x->dims[1] != 1 || x->dims[2] != s.c ||
      w->dims[0] != 1 || w->dims[1] != 1)
    return unsupported(
        ctx,
        "a 1-D convolution: only that of ECA is accepted, along the channels of one pixel (n,1,c)");
  if (!w->is_float || w->dims[2] < 1 || w->dims[2] > GRAPH_MAX_WINDOW)
    return unsupported(ctx, "its weights '%.50s' have %lld taps: 1 to %d floats are accepted",
                       w->name, (long long)w->dims[2], GRAPH_MAX_WINDOW);
  return constant_check_finite(ctx, w, "weights");
}

resnet_status op_channel_conv(import_context *ctx, const constant *w) {
  value *x;
  const constant *bias;
  int64_t groups = 1;
  uint32_t before = 0;
  resnet_status status = value_get_activation(ctx, 0, &x);
  if (status == RESNET_OK) status = value_get_constant(ctx, 2, "bias", &bias);
  if (status == RESNET_OK) status = attr_get_int(ctx, "group", 1, &groups);
  if (status == RESNET_OK && groups != 1)
    status = invalid(ctx, "group is %lld: it must be 1", (long long)groups);
  if (status == RESNET_OK) status = check_channel_weights(ctx, x, w);
  if (status == RESNET_OK) status = read_side(ctx, "strides", 1);
  if (status == RESNET_OK) status = read_side(ctx, "dilations", 1);
  if (status == RESNET_OK) status = read_side(ctx, "kernel_shape", w->dims[2]);
  if (status == RESNET_OK) status = read_channel_pads(ctx, w->dims[2], &before);
  graph_node *n =
      status == RESNET_OK ? node_add_elementwise(ctx, GRAPH_CHANNEL_CONV, x, &status) : NULL;
  if (!n) return status;
  const uint32_t kernel = (uint32_t)w->dims[2];
  n->window = (graph_window){.kernel_h = 1,
                             .kernel_w = kernel,
                             .stride_h = 1,
                             .stride_w = 1,
                             .dilation_h = 1,
                             .dilation_w = 1,
                             .pad_left = before,
                             .pad_right = kernel - 1 - before};
  n->weights = value_take_floats(ctx, 1);
  n->weight_count = kernel;
  if (!n->weights) return err_no_memory(ctx->error, "weights");
  return node_make_bias(ctx, n, bias, 1, 1);
}
