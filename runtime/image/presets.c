#include "runtime/image/presets.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/image/pixels.h"

enum { MAX_RATIO = 16 };

typedef struct preset {
  const char *name;
  resnet_preprocess value;
} preset;

/* ImageNet's mean and standard deviation are torchvision's; the means for BGR are those
 * of Caffe's and Keras' ResNets; CIFAR-10's are computed from its 50,000 training
 * images. */
#define IMAGENET_STATISTICS .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}

/* Sizes of a preset. A photograph's border is cut off; small images are used whole. */
#define CUT(bordered, whole) .fit = RESNET_FIT_CROP, .resize_ratio = (float)(bordered) / (whole)
#define WHOLE .fit = RESNET_FIT_CROP, .resize_ratio = 1
#define NO_SIZE                                                                                    \
  .resize_height = RESNET_SIZE_NONE, .resize_width = RESNET_SIZE_NONE,                             \
  .crop_height = RESNET_SIZE_NONE, .crop_width = RESNET_SIZE_NONE
#define ZERO_TO_ONE(colours) .order = (colours), .scale = 255, .std = {1, 1, 1}

static const preset presets[] = {
    {"imagenet", {CUT(256, 224), .scale = 255, IMAGENET_STATISTICS}},
    {"imagenet-v2", {CUT(232, 224), .scale = 255, IMAGENET_STATISTICS}},
    {"timm", {CUT(256, 224), .filter = RESNET_FILTER_BICUBIC, .scale = 255, IMAGENET_STATISTICS}},
    {"cifar10",
     {WHOLE, .scale = 255, .mean = {0.4914f, 0.4822f, 0.4465f},
      .std = {0.2470f, 0.2435f, 0.2616f}}},
    {"unit", {CUT(256, 224), ZERO_TO_ONE(RESNET_ORDER_RGB)}},
    {"keras-caffe",
     {CUT(256, 224), .order = RESNET_ORDER_BGR, .scale = 1, .mean = {103.939f, 116.779f, 123.68f},
      .std = {1, 1, 1}}},
    {"keras-tf", {CUT(256, 224), .scale = 127.5f, .mean = {1, 1, 1}, .std = {1, 1, 1}}},
    {"keras-stretch",
     {.fit = RESNET_FIT_STRETCH, .filter = RESNET_FILTER_NEAREST, ZERO_TO_ONE(RESNET_ORDER_RGB)}},
    {"grey", {WHOLE, ZERO_TO_ONE(RESNET_ORDER_GREY)}},
    {"none", {NO_SIZE, .scale = 1, .std = {1, 1, 1}}},
};

resnet_status resnet_preprocess_preset(const char *name, resnet_preprocess *out,
                                       resnet_error *error) {
  if (!name) return err_null(error, "resnet_preprocess_preset", "name");
  if (!out) return err_null(error, "resnet_preprocess_preset", "out");
  for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++)
    if (strcmp(name, presets[i].name) == 0) {
      *out = presets[i].value;
      return err_clear(error);
    }
  memset(out, 0, sizeof *out);
  return err_fail(error, RESNET_ERROR_ARGUMENT,
                  "no preprocessing is named '%.40s': use one of imagenet, imagenet-v2, timm, "
                  "cifar10, unit, keras-caffe, keras-tf, keras-stretch, grey, none",
                  name);
}

void image_guess_preprocess(uint32_t height, uint32_t width, uint32_t channels,
                            resnet_preprocess *out) {
  const bool cifar = height == 32 && width == 32;
  const char *name = channels == 1 ? "grey" : cifar ? "cifar10" : "imagenet";
  (void)resnet_preprocess_preset(name, out, NULL);
  if (height == width) return;
  /* persons, number plates: a crop would lose most of them */
  out->fit = RESNET_FIT_STRETCH;
  out->resize_ratio = 1;
}

void image_apply_evidence(const graph_evidence *evidence, uint32_t channels, resnet_preprocess *p) {
  p->scale = evidence->scale;
  p->order = channels == 1   ? RESNET_ORDER_GREY
             : evidence->bgr ? RESNET_ORDER_BGR
                             : RESNET_ORDER_RGB;
  memcpy(p->mean, evidence->mean, sizeof p->mean);
  memcpy(p->std, evidence->std, sizeof p->std);
}

/* ---- check ---- */

static bool is_size(uint32_t height, uint32_t width) {
  if (height == RESNET_SIZE_NONE || width == RESNET_SIZE_NONE) return height == width;
  return height <= IMAGE_SIDE_MAX && width <= IMAGE_SIDE_MAX;
}

static resnet_status check_sizes(const resnet_preprocess *p, resnet_error *error) {
  if (!is_size(p->resize_height, p->resize_width) || !is_size(p->crop_height, p->crop_width))
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "preprocessing: resize is %u x %u and crop is %u x %u (height x width): use 0 "
                    "(automatic) to %d pixels, or RESNET_SIZE_NONE for both sides",
                    (unsigned)p->resize_height, (unsigned)p->resize_width, (unsigned)p->crop_height,
                    (unsigned)p->crop_width, IMAGE_SIDE_MAX);
  if (p->resize_ratio == 0 || (p->resize_ratio >= 1 && p->resize_ratio <= MAX_RATIO))
    return RESNET_OK;
  return err_fail(error, RESNET_ERROR_ARGUMENT,
                  "preprocessing: resize_ratio is %g: use 1 to %d, or 0 for 1",
                  (double)p->resize_ratio, MAX_RATIO);
}

static resnet_status check_enums(const resnet_preprocess *p, resnet_error *error) {
  if ((unsigned)p->fit > RESNET_FIT_STRETCH)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "preprocessing: fit is %d: use RESNET_FIT_CROP (0) or RESNET_FIT_STRETCH (1)",
                    (int)p->fit);
  if ((unsigned)p->filter > RESNET_FILTER_NEAREST)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "preprocessing: filter is %d: use RESNET_FILTER_BILINEAR (0), "
                    "RESNET_FILTER_BICUBIC (1) or RESNET_FILTER_NEAREST (2)",
                    (int)p->filter);
  if ((unsigned)p->order > RESNET_ORDER_GREY)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "preprocessing: order is %d: use RESNET_ORDER_RGB (0), RESNET_ORDER_BGR (1) or "
                    "RESNET_ORDER_GREY (2)",
                    (int)p->order);
  return RESNET_OK;
}

static resnet_status check_channel(const resnet_preprocess *preprocess, uint32_t channel,
                                   resnet_error *error) {
  float mean = preprocess->mean[channel], deviation = preprocess->std[channel];
  if (!isfinite(mean))
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "preprocessing: mean[%u] is %g: it must be finite", channel, (double)mean);
  if (!isfinite(deviation) || deviation <= 0.0f)
    return err_fail(
        error, RESNET_ERROR_ARGUMENT,
        "preprocessing: std[%u] is %g: it divides, so it must be finite and greater than 0",
        channel, (double)deviation);
  return RESNET_OK;
}

resnet_status image_check_preprocess(const resnet_preprocess *preprocess, uint32_t channels,
                                     resnet_error *error) {
  if (!preprocess) return err_fail(error, RESNET_ERROR_ARGUMENT, "the preprocessing is NULL");
  resnet_status status = check_sizes(preprocess, error);
  if (status == RESNET_OK) status = check_enums(preprocess, error);
  if (status != RESNET_OK) return status;
  if (!isfinite(preprocess->scale) || preprocess->scale <= 0.0f)
    return err_fail(
        error, RESNET_ERROR_ARGUMENT,
        "preprocessing: scale is %g: it divides, so it must be finite and greater than 0 "
        "(255 for 0..1)",
        (double)preprocess->scale);
  const uint32_t used = channels == 1 || preprocess->order == RESNET_ORDER_GREY ? 1 : 3;
  for (uint32_t channel = 0; channel < used && status == RESNET_OK; channel++)
    status = check_channel(preprocess, channel, error);
  return status;
}

/* ---- sizes for a model ---- */

/* Return side * ratio, rounded down. A ratio such as 29/28 is not a float: a result that
 * misses an integer by less than its error is that integer. */
static uint32_t scaled_side(uint32_t side, float ratio) {
  const double scaled = (double)side * (double)(ratio != 0 ? ratio : 1) + 1.0 / 128;
  return scaled < IMAGE_SIDE_MAX ? (uint32_t)scaled : IMAGE_SIDE_MAX;
}

static uint32_t resolved_resize(uint32_t resize, uint32_t crop, uint32_t input, float ratio) {
  if (resize) return resize;
  return crop == RESNET_SIZE_NONE ? input : scaled_side(crop, ratio);
}

void image_resolve_preprocess(resnet_preprocess *p, uint32_t height, uint32_t width,
                              uint32_t channels) {
  if (!p->crop_height) p->crop_height = height;
  if (!p->crop_width) p->crop_width = width;
  p->resize_height = resolved_resize(p->resize_height, p->crop_height, height, p->resize_ratio);
  p->resize_width = resolved_resize(p->resize_width, p->crop_width, width, p->resize_ratio);
  if (channels == 1) p->order = RESNET_ORDER_GREY;
  if (p->order != RESNET_ORDER_GREY) return;
  for (int i = 1; i < 3; i++) {
    p->mean[i] = p->mean[0];
    p->std[i] = p->std[0];
  }
}
