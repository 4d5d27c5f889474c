#include "runtime/api/diagnose_preprocess.h"

#include <math.h>
#include <string.h>

#include "runtime/image/presets.h"

/* Prepared pixels have about zero mean and unit variance, or run from 0 to 1, from -1 to
 * 1 or from -128 to 255. So their range is neither tiny nor thousands wide, and zero is
 * in it or near it. */
static const double MIN_WIDTH = 0.25, MAX_WIDTH = 600, MAX_DISTANCE = 1; /* from 0 */

typedef struct range {
  double low, high;
} range;

static range range_of(const resnet_preprocess *p, size_t channel) {
  const double mean = (double)p->mean[channel], std = (double)p->std[channel];
  return (range){(0 - mean) / std, (255.0 / (double)p->scale - mean) / std};
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

/* ---- ranges ------------------------------------------------------------------------ */

static resnet_status diagnose_range(const resnet_model *model, graph *g, resnet_error *error) {
  const plan_op *own = own_normalisation(&model->plan);
  const uint32_t channels = model->plan.ops[0].shape.c;
  for (size_t c = 0; c < channels; c++) {
    range r = range_of(&model->preprocess, c);
    const range given = r;
    if (own) r = apply(r, (double)own->weights[c], (double)own->bias[c]);
    if (is_plausible(r)) continue;
    if (own && is_plausible(given))
      return graph_add_diagnostic(
          g, error, RESNET_WARNING,
          "node '%.50s' scales its input, which has %.4g to %.4g from %s: channel %zu becomes "
          "%.3g to %.3g, which no model is trained with; choose the values that the node "
          "expects with options.preprocess",
          own->name, given.low, given.high, source_of(model), c, r.low, r.high);
    return graph_add_diagnostic(
        g, error, RESNET_WARNING,
        "channel %zu of images becomes %.4g to %.4g by %s, which no model is trained with: mean "
        "and std are in units of pixel / scale; choose another with options.preprocess",
        c, r.low, r.high, source_of(model));
  }
  return RESNET_OK;
}

/* Return whether two ranges are about the same. */
static bool is_alike(range a, range b) {
  const double width = b.high - b.low;
  return fabs(a.low - b.low) < 0.25 * width && fabs(a.high - b.high) < 0.25 * width;
}

/* Warn if the chosen preprocessing gives other values than the graph expects. */
static resnet_status compare_with_graph(const resnet_model *model, graph *g, resnet_error *error) {
  const graph_shape input = model->plan.ops[0].shape;
  resnet_preprocess wanted = model->preprocess;
  image_apply_evidence(&model->evidence, input.c, &wanted);
  const range r = range_of(&model->preprocess, 0), expected = range_of(&wanted, 0);
  if (!is_alike(r, expected))
    return graph_add_diagnostic(
        g, error, RESNET_WARNING,
        "images become %.4g to %.4g by %s, but %.120s, which fits %.4g to %.4g: without a "
        "preprocessing in the options or the metadata, the graph decides",
        r.low, r.high, source_of(model), model->evidence.text, expected.low, expected.high);
  if (!model->evidence.bgr || model->preprocess.order != RESNET_ORDER_RGB) return RESNET_OK;
  return graph_add_diagnostic(g, error, RESNET_WARNING,
                              "the order is RGB by %s, but %.140s, which are known means of BGR: "
                              "choose the order bgr",
                              source_of(model), model->evidence.text);
}

/* ---- guesses ----------------------------------------------------------------------- */

static bool is_named(const plan *p, const char *fragment) {
  for (uint32_t i = 1; i < p->op_count; i++)
    if (strstr(p->ops[i].name, fragment) || strstr(p->ops[i].output, fragment)) return true;
  return false;
}

static bool is_of_keras(const graph *g) {
  return strncmp(g->producer, "tf2onnx", 7) == 0 || strncmp(g->producer, "keras2onnx", 10) == 0;
}

/* Keras's own ResNets have fixed names of layers, and one preprocessing for each version.
 * Other networks of Keras may have any, but rarely torchvision's. */
static resnet_status warn_keras(const resnet_model *model, graph *g, resnet_error *error) {
  const plan *p = &model->plan;
  if (!is_named(p, "conv2_block1_"))
    return graph_add_diagnostic(
        g, error, RESNET_WARNING,
        "%.20s wrote this file without its preprocessing, and the guess is probably wrong: choose "
        "what it was trained with, e.g. the preset unit (0 to 1), keras-stretch (0 to 1, "
        "stretched) or keras-tf (-1 to 1)",
        g->producer);
  const bool second = is_named(p, "_preact_bn");
  return graph_add_diagnostic(
      g, error, RESNET_WARNING,
      "%.20s wrote this file without its preprocessing, and the guess is probably wrong: the "
      "layers have the names of Keras's ResNet%s, which needs the preset %s (options.preprocess)",
      g->producer, second ? "V2" : "", second ? "keras-tf" : "keras-caffe");
}

static resnet_status diagnose_guess(const resnet_model *model, graph *g, resnet_error *error) {
  if (model->evidence.kind == GRAPH_EVIDENCE_UNKNOWN)
    return graph_add_diagnostic(
        g, error, RESNET_WARNING,
        "the preprocessing is a guess and may be wrong: %.130s, which fits no known mean and "
        "deviation; choose what it was trained with by options.preprocess",
        model->evidence.text);
  if (model->evidence.kind == GRAPH_EVIDENCE_NORMALISED)
    return graph_add_diagnostic(
        g, error, RESNET_NOTE,
        "the preprocessing is a guess, but likely: %.110s, as of images that were normalised "
        "before; options.preprocess replaces it",
        model->evidence.text);
  if (is_of_keras(g) && model->plan.ops[0].shape.c == 3) return warn_keras(model, g, error);
  return graph_add_diagnostic(
      g, error, RESNET_NOTE,
      "the preprocessing is a guess from the input's size alone: the file has no metadata about "
      "it, and no normalisation was found in the graph; if you know what it was trained with, "
      "choose it by options.preprocess");
}

static resnet_status note_graph(const resnet_model *model, graph *g, resnet_error *error) {
  const range r = range_of(&model->preprocess, 0);
  return graph_add_diagnostic(
      g, error, RESNET_NOTE,
      "the values of the preprocessing come from the graph, its sizes are a guess: %.120s, which "
      "fits images of %.4g to %.4g%s",
      model->evidence.text, r.low, r.high, model->evidence.bgr ? " in the order BGR" : "");
}

resnet_status model_diagnose_preprocess(const resnet_model *model, graph *g, resnet_error *error) {
  const uint32_t channels = model->plan.ops[0].shape.c, found = g->diagnostic_count;
  if (channels != 1 && channels != 3)
    return graph_add_diagnostic(
        g, error, RESNET_NOTE,
        "the input has %u channels, but images have 1 or 3: it takes floats only", channels);
  if (model->preprocess_source == RESNET_PREPROCESS_FROM_GRAPH) return note_graph(model, g, error);
  if (model->evidence.kind == GRAPH_EVIDENCE_VALUES) return compare_with_graph(model, g, error);
  resnet_status status = RESNET_OK;
  if (model->evidence.kind != GRAPH_EVIDENCE_UNKNOWN ||
      model->preprocess_source != RESNET_PREPROCESS_GUESSED)
    status = diagnose_range(model, g, error);
  if (status != RESNET_OK || g->diagnostic_count > found ||
      model->preprocess_source != RESNET_PREPROCESS_GUESSED)
    return status;
  return diagnose_guess(model, g, error);
}
