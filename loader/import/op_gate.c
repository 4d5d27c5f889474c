/* Gates of squeeze-and-excitation and of ECA: what they are made of, and the product with
 * the picture. Hu et al. 2018, "Squeeze-and-Excitation Networks", section 3; Wang et al.
 * 2020, "ECA-Net", section 3.3. */
#include <math.h>

#include "loader/import/import.h"

resnet_status lower_sigmoid(lowering *l) {
  value *x;
  resnet_status status = get_activation(l, 0, &x);
  if (status == RESNET_OK) (void)add_elementwise(l, GRAPH_SIGMOID, x, &status);
  return status;
}

/* max(0, min(1, alpha x + beta)) */
static resnet_status add_hard_sigmoid(lowering *l, const value *x, double alpha, double beta) {
  resnet_status status;
  draft *d = add_affine(l, x, &status);
  if (!d) return status;
  for (uint32_t c = 0; c < value_shape(l, x).c; c++) {
    d->scale[c] = alpha;
    d->shift[c] = beta;
  }
  graph_node *n = &l->graph->nodes[l->graph->node_count - 1];
  n->clamp_min = 0;
  n->clamp_max = 1;
  return RESNET_OK;
}

resnet_status lower_hard_sigmoid(lowering *l) {
  value *x;
  float alpha, beta;
  resnet_status status = get_activation(l, 0, &x);
  if (status == RESNET_OK) status = get_float(l, "alpha", 0.2F, &alpha);
  if (status == RESNET_OK) status = get_float(l, "beta", 0.5F, &beta);
  if (status != RESNET_OK) return status;
  if (!isfinite(alpha) || !isfinite(beta))
    return invalid(l, "alpha is %g and beta %g: finite numbers are accepted", (double)alpha,
                   (double)beta);
  return add_hard_sigmoid(l, x, (double)alpha, (double)beta);
}

static resnet_status add_scale(lowering *l, const value *x, uint32_t gate) {
  resnet_status status;
  graph_node *n = add_elementwise(l, GRAPH_SCALE, x, &status);
  if (!n) return status;
  n->input[1] = gate;
  n->input_count = 2;
  return RESNET_OK;
}

/* x max(0, min(1, x / 6 + 1 / 2)), of which no tensor of the file is the second factor */
resnet_status lower_hard_swish(lowering *l) {
  value *x;
  resnet_status status = get_activation(l, 0, &x);
  if (status == RESNET_OK) status = add_hard_sigmoid(l, x, 1.0 / 6, 0.5);
  if (status != RESNET_OK) return status;
  const uint32_t gate = l->graph->node_count - 1;
  l->graph->nodes[gate].output[0] = '\0';
  return add_scale(l, x, gate);
}

/* One for each channel, and seen so that they meet the channels of x. */
static bool is_gate_of(const lowering *l, const value *gate, const value *x) {
  uint32_t own, other;
  graph_shape s = value_shape(l, gate);
  return s.h == 1 && s.w == 1 && s.c == value_shape(l, x).c && gate->rank == x->rank &&
         find_channels(l, gate, &own) && find_channels(l, x, &other) && own == other;
}

/* A picture times its gate, in either order; or two pictures of one shape. */
resnet_status lower_scale(lowering *l) {
  value *a, *b;
  resnet_status status = get_factor(l, 0, &a);
  if (status == RESNET_OK) status = get_factor(l, 1, &b);
  if (status != RESNET_OK) return status;
  const bool second = is_gate_of(l, b, a) && !a->expanded,
             first = is_gate_of(l, a, b) && !b->expanded;
  if (!first && !second) {
    /* it is the gate, then */
    const bool sigmoid_first = l->graph->nodes[a->node].op == GRAPH_SIGMOID;
    if (!a->expanded && seen_alike(l, a, b) && of_one_order(l, a, b))
      return sigmoid_first ? add_scale(l, b, a->node) : add_scale(l, a, b->node);
    return unsupported(
        l, "multiplies two activations: a picture and one factor for each of its channels, as in "
           "squeeze-and-excitation, or two of one shape are accepted");
  }
  const value *x = second ? a : b, *gate = second ? b : a;
  /* of another input size than the file's, sizes that stand in the file mean nothing, but
   * the picture must have its own
   */
  for (uint32_t i = 1; gate->expanded && i < x->rank; i++)
    if (gate->dims[i] != x->dims[i] && (!l->resized || x->dims[i] == 1))
      return invalid(l, "multiplies %lld and %lld along axis %u: export the model again",
                     (long long)gate->dims[i], (long long)x->dims[i], i);
  return add_scale(l, x, gate->node);
}

/* A gate is made as large as its picture: nothing is computed, Mul does that by
 * itself. */
resnet_status lower_expand(lowering *l) {
  value *x;
  const tensor *sizes;
  resnet_status status = get_factor(l, 0, &x);
  if (status == RESNET_OK) status = get_constant(l, 1, "sizes", &sizes);
  if (status != RESNET_OK) return status;
  if (!sizes || sizes->is_float || sizes->count > x->rank)
    return unsupported(
        l, "its sizes must be up to %u integers, as many as its input has dimensions", x->rank);
  int64_t dims[MAX_RANK] = {0};
  bool larger = false;
  for (uint32_t i = 1; i < x->rank; i++) {
    const size_t missing = x->rank - sizes->count;
    const int64_t own = x->dims[i], asked = i < missing ? 1 : sizes->ints[i - missing];
    if (asked < 1 || asked > GRAPH_MAX_SIDE || (own != asked && own != 1 && asked != 1))
      return invalid(l, "cannot expand %lld to %lld: export the model again", (long long)own,
                     (long long)asked);
    dims[i] = own == 1 ? asked : own;
    larger = larger || dims[i] != own;
  }
  if (sizes->count == x->rank && !tensor_is_batch(sizes, 0) && sizes->ints[0] != 1 &&
      sizes->ints[0] != l->batch)
    return unsupported(l, "makes %lld of a batch: its own size is accepted",
                       (long long)sizes->ints[0]);
  if (!larger) return set_same(l, x);
  graph_shape s = value_shape(l, x);
  uint32_t channels;
  if (s.h != 1 || s.w != 1 || !find_channels(l, x, &channels) || dims[channels] != s.c)
    return unsupported(l, "expands a picture of (h %u, w %u, c %u): a gate (n,c,1,1) is accepted",
                       s.h, s.w, s.c);
  if (channels != 1 && channels != x->rank - 1)
    return unsupported(
        l, "expands a gate whose channels are axis %u of %u: (n,c,1,1) and (n,1,1,c) are accepted",
        channels, x->rank);
  status = set_view(l, x, x->rank, dims);
  value *y = get_result(l);
  if (!y) return status;
  /* with one channel and one pixel, dimensions no longer tell which axis the channels
   * are */
  y->channels_last = channels != 1;
  y->expanded = true;
  return status;
}

/* ---- ECA's convolution along the channels ------------------------------------------ */

static resnet_status read_side(lowering *l, const char *name, int64_t accepted) {
  const int64_t *values;
  size_t count;
  resnet_status status = get_ints(l, name, &values, &count);
  if (status != RESNET_OK || !values) return status;
  if (count == 1 && values[0] == accepted) return RESNET_OK;
  return unsupported(l, "a 1-D convolution with %s %lld: %lld is accepted", name,
                     count ? (long long)values[0] : 0, (long long)accepted);
}

/* Pads before and after; they keep the number of channels. */
static resnet_status read_channel_pads(lowering *l, int64_t kernel, uint32_t *before) {
  const int64_t *pads;
  size_t count;
  auto_pad mode;
  resnet_status status = get_auto_pad(l, &mode);
  if (status == RESNET_OK) status = get_ints(l, "pads", &pads, &count);
  if (status != RESNET_OK) return status;
  if (count && count != 2)
    return invalid(l, "attribute pads has %zu numbers: 2 are accepted (1-D)", count);
  int64_t first = count ? pads[0] : 0, last = count ? pads[1] : 0;
  if (mode != PAD_NOTSET && (first || last))
    return invalid(l, "auto_pad %s contradicts its pads: export the model again",
                   auto_pad_names[mode]);
  if (mode == PAD_SAME_UPPER) first = (kernel - 1) / 2;
  if (mode == PAD_SAME_LOWER) first = kernel / 2;
  if (mode == PAD_SAME_UPPER || mode == PAD_SAME_LOWER) last = kernel - 1 - first;
  if (first < 0 || last < 0 || last != kernel - 1 - first)
    return unsupported(
        l,
        "a 1-D convolution that changes the number of channels (kernel %lld, pads %lld and %lld): "
        "ECA's keeps it",
        (long long)kernel, (long long)first, (long long)last);
  *before = (uint32_t)first;
  return RESNET_OK;
}

static resnet_status check_channel_weights(lowering *l, const value *x, const tensor *w) {
  graph_shape s = value_shape(l, x);
  if (s.h != 1 || s.w != 1 || x->rank != 3 || x->dims[1] != 1 || x->dims[2] != s.c ||
      w->dims[0] != 1 || w->dims[1] != 1)
    return unsupported(
        l,
        "a 1-D convolution: only that of ECA is accepted, over the channels of one pixel (n,1,c)");
  if (!w->is_float || w->dims[2] < 1 || w->dims[2] > GRAPH_MAX_WINDOW)
    return unsupported(l, "its weights '%.50s' have %lld taps: 1 to %d floats are accepted",
                       w->name, (long long)w->dims[2], GRAPH_MAX_WINDOW);
  return check_finite(l, w, "weights");
}

resnet_status lower_channel_conv(lowering *l, const tensor *w) {
  value *x;
  const tensor *bias;
  int64_t groups = 1;
  uint32_t before = 0;
  resnet_status status = get_activation(l, 0, &x);
  if (status == RESNET_OK) status = get_constant(l, 2, "bias", &bias);
  if (status == RESNET_OK) status = get_int(l, "group", 1, &groups);
  if (status == RESNET_OK && groups != 1)
    status = invalid(l, "group is %lld: it must be 1", (long long)groups);
  if (status == RESNET_OK) status = check_channel_weights(l, x, w);
  if (status == RESNET_OK) status = read_side(l, "strides", 1);
  if (status == RESNET_OK) status = read_side(l, "dilations", 1);
  if (status == RESNET_OK) status = read_side(l, "kernel_shape", w->dims[2]);
  if (status == RESNET_OK) status = read_channel_pads(l, w->dims[2], &before);
  graph_node *n = status == RESNET_OK ? add_elementwise(l, GRAPH_CHANNEL_CONV, x, &status) : NULL;
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
  n->weights = take_floats(l, 1);
  n->weight_count = kernel;
  if (!n->weights) return err_no_memory(l->error, "weights");
  return make_bias(l, n, bias, 1, 1);
}
