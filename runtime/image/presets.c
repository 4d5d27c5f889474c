#include "runtime/image/presets.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/image/pixels.h"

typedef struct preset {
  const char *name;
  resnet_preprocess value;
} preset;

/* ImageNet's mean and standard deviation are torchvision's; the means for BGR are those
 * of Caffe's and Keras' ResNets; CIFAR-10's are computed from its 50,000 training
 * images. */
#define IMAGENET_STATISTICS                                                                        \
  {0.485f, 0.456f, 0.406f}, { 0.229f, 0.224f, 0.225f }

static const preset presets[] = {
    {"imagenet", {256, 224, RESNET_ORDER_RGB, 255.0f, IMAGENET_STATISTICS}},
    {"imagenet-v2", {232, 224, RESNET_ORDER_RGB, 255.0f, IMAGENET_STATISTICS}},
    {"cifar10",
     {32, 32, RESNET_ORDER_RGB, 255.0f, {0.4914f, 0.4822f, 0.4465f}, {0.2470f, 0.2435f, 0.2616f}}},
    {"keras-caffe",
     {256, 224, RESNET_ORDER_BGR, 1.0f, {103.939f, 116.779f, 123.68f}, {1.0f, 1.0f, 1.0f}}},
    {"keras-tf", {256, 224, RESNET_ORDER_RGB, 127.5f, {1.0f, 1.0f, 1.0f}, {1.0f, 1.0f, 1.0f}}},
    {"none", {0, 0, RESNET_ORDER_RGB, 1.0f, {0.0f, 0.0f, 0.0f}, {1.0f, 1.0f, 1.0f}}},
};

resnet_status resnet_preprocess_preset(const char *name, resnet_preprocess *out,
                                       resnet_error *error) {
  if (!name || !out)
    return err_fail(error, RESNET_ERROR_ARGUMENT, "resnet_preprocess_preset: %s is NULL",
                    name ? "out" : "name");
  for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++)
    if (strcmp(name, presets[i].name) == 0) {
      *out = presets[i].value;
      return err_clear(error);
    }
  memset(out, 0, sizeof *out);
  return err_fail(error, RESNET_ERROR_ARGUMENT,
                  "no preprocessing is named '%.40s': use one of imagenet, imagenet-v2, cifar10, "
                  "keras-caffe, keras-tf, none",
                  name);
}

void image_guess_preprocess(uint32_t height, uint32_t width, resnet_preprocess *out) {
  const bool cifar = height == 32 && width == 32;
  (void)resnet_preprocess_preset(cifar ? "cifar10" : "imagenet", out, NULL);
  if (height != width || cifar || height == 224) return;
  /* torchvision scales the shorter side to 256 for a crop of 224: keep the ratio */
  out->crop = height;
  out->resize = (uint32_t)((uint64_t)height * 256 / 224);
}

static resnet_status check_channel(const resnet_preprocess *preprocess, int channel,
                                   resnet_error *error) {
  float mean = preprocess->mean[channel], deviation = preprocess->std[channel];
  if (!isfinite(mean))
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "preprocessing: mean[%d] is %g: it must be finite", channel, (double)mean);
  if (!isfinite(deviation) || deviation <= 0.0f)
    return err_fail(
        error, RESNET_ERROR_ARGUMENT,
        "preprocessing: std[%d] is %g: it divides, so it must be finite and greater than 0",
        channel, (double)deviation);
  return RESNET_OK;
}

resnet_status image_check_preprocess(const resnet_preprocess *preprocess, resnet_error *error) {
  if (!preprocess) return err_fail(error, RESNET_ERROR_ARGUMENT, "the preprocessing is NULL");
  if (preprocess->resize > IMAGE_SIDE_MAX || preprocess->crop > IMAGE_SIDE_MAX)
    return err_fail(
        error, RESNET_ERROR_ARGUMENT,
        "preprocessing: resize is %u and crop is %u: both must be 0 (none) to %d pixels",
        (unsigned)preprocess->resize, (unsigned)preprocess->crop, IMAGE_SIDE_MAX);
  if (preprocess->order != RESNET_ORDER_RGB && preprocess->order != RESNET_ORDER_BGR)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "preprocessing: order is %d: use RESNET_ORDER_RGB (0) or RESNET_ORDER_BGR (1)",
                    (int)preprocess->order);
  if (!isfinite(preprocess->scale) || preprocess->scale <= 0.0f)
    return err_fail(
        error, RESNET_ERROR_ARGUMENT,
        "preprocessing: scale is %g: it divides, so it must be finite and greater than 0 "
        "(255 for 0..1)",
        (double)preprocess->scale);
  for (int channel = 0; channel < 3; channel++) {
    resnet_status status = check_channel(preprocess, channel, error);
    if (status != RESNET_OK) return status;
  }
  return RESNET_OK;
}
