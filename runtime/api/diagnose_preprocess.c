#include "runtime/api/diagnose_preprocess.h"

#include <string.h>

/* Pixels, prepared, have about zero mean and unit variance, or run from 0 to 1, -1 to 1
 * or -128 to 255: whatever nets are trained with, zero lies among them or next to them,
 * and they are neither all alike nor thousands. */
static const double NARROWEST = 0.25, WIDEST = 600, FARTHEST = 1;

typedef struct range {
  double low, high;
} range;

static range range_of(const resnet_preprocess *p, size_t channel) {
  const double mean = (double)p->mean[channel], std = (double)p->std[channel];
  return (range){-mean / std, (255.0 / (double)p->scale - mean) / std};
}

static range apply(range r, double scale, double shift) {
  const double a = scale * r.low + shift, b = scale * r.high + shift;
  return (range){a < b ? a : b, a < b ? b : a};
}

static bool is_plausible(range r) {
  const double width = r.high - r.low;
  return width >= NARROWEST && width <= WIDEST && r.low <= FARTHEST && r.high >= -FARTHEST;
}

/* The normalisation that the net itself begins with, as MXNet's do; NULL: none. */
static const plan_op *own_normalisation(const plan *p) {
  const plan_op *op = p->op_count > 1 ? &p->ops[1] : NULL;
  return op && op->kernel == KERNEL_AFFINE && op->input[0] == 0 && op->weights && op->bias ? op
                                                                                           : NULL;
}

static const char *source_of(const resnet_model *model) {
  static const char *const names[] = {[RESNET_PREPROCESS_FROM_MODEL] = "the file's metadata",
                                      [RESNET_PREPROCESS_FROM_OPTIONS] = "the options",
                                      [RESNET_PREPROCESS_GUESSED] = "a guess from the input size"};
  return names[model->preprocess_source];
}

static resnet_status find_implausible(const resnet_model *model, graph *g, resnet_error *error) {
  const plan_op *own = own_normalisation(&model->plan);
  for (size_t c = 0; c < 3; c++) {
    range r = range_of(&model->preprocess, c);
    const range given = r;
    if (own) r = apply(r, (double)own->weights[c], (double)own->bias[c]);
    if (is_plausible(r)) continue;
    if (own && is_plausible(given))
      return graph_add_diagnostic(g, error, RESNET_WARNING,
                                  "node '%.50s' normalises the picture, but %s did before: channel "
                                  "%zu comes out as %.3g to "
                                  "%.3g; --preprocess none leaves it to the net",
                                  own->name, source_of(model), c, r.low, r.high);
    return graph_add_diagnostic(
        g, error, RESNET_WARNING,
        "%s makes channel %zu of pictures %.4g to %.4g, which no net is trained with: mean and std "
        "are in units of pixel / scale; name another with --preprocess",
        source_of(model), c, r.low, r.high);
  }
  return RESNET_OK;
}

resnet_status find_preprocess_faults(const resnet_model *model, graph *g, resnet_error *error) {
  const uint32_t channels = model->plan.ops[0].shape.c;
  if (channels != 3)
    return graph_add_diagnostic(
        g, error, RESNET_NOTE,
        "the input has %u channels: pictures have 3, so that only resnet_run can use this net",
        channels);
  const uint32_t found = g->diagnostic_count;
  resnet_status status = find_implausible(model, g, error);
  const bool keras =
      strncmp(g->producer, "tf2onnx", 7) == 0 || strncmp(g->producer, "keras2onnx", 10) == 0;
  if (status != RESNET_OK || !keras || model->preprocess_source != RESNET_PREPROCESS_GUESSED ||
      g->diagnostic_count > found)
    return status;
  return graph_add_diagnostic(
      g, error, RESNET_WARNING,
      "%.20s wrote this file, and nothing says how its pictures are prepared: not as guessed, most "
      "likely; "
      "nets of Keras take --preprocess keras-caffe (ResNet) or keras-tf (ResNetV2)",
      g->producer);
}
