#include "runtime/api/diagnose_preprocess.h"

#include <string.h>

/* Prepared pixels have about zero mean and unit variance, or run from 0 to 1, from -1 to
 * 1 or from -128 to 255. So their range is neither tiny nor thousands wide, and zero is
 * in it or near it. */
static const double MIN_WIDTH = 0.25, MAX_WIDTH = 600, MAX_DISTANCE = 1; /* from 0 */

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
  return width >= MIN_WIDTH && width <= MAX_WIDTH && r.low <= MAX_DISTANCE &&
         r.high >= -MAX_DISTANCE;
}

/* Return the normalisation that the network itself begins with, as MXNet's do, or
 * NULL. */
static const plan_op *own_normalisation(const plan *p) {
  const plan_op *op = p->op_count > 1 ? &p->ops[1] : NULL;
  return op && op->kernel == KERNEL_AFFINE && op->input[0] == 0 && op->weights && op->bias ? op
                                                                                           : NULL;
}

static const char *source_of(const resnet_model *model) {
  static const char *const names[] = {[RESNET_PREPROCESS_FROM_MODEL] = "the file's metadata",
                                      [RESNET_PREPROCESS_FROM_OPTIONS] = "the options",
                                      [RESNET_PREPROCESS_GUESSED] = "a guess from the input size",
                                      [RESNET_PREPROCESS_FROM_GRAPH] = "the graph"};
  return names[model->preprocess_source];
}

static resnet_status diagnose_range(const resnet_model *model, graph *g, resnet_error *error) {
  const plan_op *own = own_normalisation(&model->plan);
  for (size_t c = 0; c < 3; c++) {
    range r = range_of(&model->preprocess, c);
    const range given = r;
    if (own) r = apply(r, (double)own->weights[c], (double)own->bias[c]);
    if (is_plausible(r)) continue;
    if (own && is_plausible(given))
      return graph_add_diagnostic(
          g, error, RESNET_WARNING,
          "node '%.50s' normalises the image, but %s already did: channel %zu "
          "becomes %.3g to %.3g; use --preprocess none to leave "
          "it to the model",
          own->name, source_of(model), c, r.low, r.high);
    return graph_add_diagnostic(
        g, error, RESNET_WARNING,
        "%s maps channel %zu of images to %.4g to %.4g, which no model is trained with: mean and "
        "std are in units of pixel / scale; choose another with --preprocess",
        source_of(model), c, r.low, r.high);
  }
  return RESNET_OK;
}

resnet_status model_diagnose_preprocess(const resnet_model *model, graph *g, resnet_error *error) {
  const uint32_t channels = model->plan.ops[0].shape.c;
  if (channels != 3)
    return graph_add_diagnostic(
        g, error, RESNET_NOTE,
        "the input has %u channels, but images have 3: only resnet_run can use this model",
        channels);
  const uint32_t found = g->diagnostic_count;
  resnet_status status = diagnose_range(model, g, error);
  const bool keras =
      strncmp(g->producer, "tf2onnx", 7) == 0 || strncmp(g->producer, "keras2onnx", 10) == 0;
  if (status != RESNET_OK || !keras || model->preprocess_source != RESNET_PREPROCESS_GUESSED ||
      g->diagnostic_count > found)
    return status;
  return graph_add_diagnostic(
      g, error, RESNET_WARNING,
      "%.20s wrote this file without its preprocessing, and the guess is probably wrong: models "
      "of Keras need --preprocess keras-caffe (ResNet) or keras-tf (ResNetV2)",
      g->producer);
}
