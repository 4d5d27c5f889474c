/* The program's image decoder, with types that ctypes can use. */
#include "support/image.h"

#include "resnet_python.h"
#include "support/error.h"

/* Report the result of the decoder, which sets an error only when it fails. */
static resnet_status finish(bool ok, const resnet_error *failure, image_rgb *pixels,
                            resnet_python_depth depth, resnet_python_image *out,
                            resnet_error *error) {
  if (error) *error = ok ? (resnet_error){RESNET_OK, ""} : *failure;
  if (!ok) return failure->status;
  *out = (resnet_python_image){pixels->pixels, pixels->width, pixels->height,
                               depth == RESNET_PYTHON_CLIP && image_was_cut(pixels)};
  return RESNET_OK;
}

static resnet_status missing(resnet_error *error, const char *what) {
  resnet_error failure;
  (void)error_set(&failure, RESNET_ERROR_ARGUMENT, "%s is NULL", what);
  return finish(false, &failure, NULL, RESNET_PYTHON_CLIP, NULL, error);
}

/* Set the decoder's options. Fail if the range is empty. */
static bool set_depth(resnet_python_depth depth, uint32_t low, uint32_t high, image_options *out,
                      resnet_error *failure) {
  *out = (image_options){.depth16 = IMAGE_DEPTH16_CLIP};
  if (depth == RESNET_PYTHON_AUTO) out->depth16 = IMAGE_DEPTH16_AUTO;
  if (depth != RESNET_PYTHON_RANGE) return true;
  if (low >= high || high > UINT16_MAX)
    return error_set(failure, RESNET_ERROR_ARGUMENT,
                     "the range is %u to %u: use 0 <= low < high <= 65535", low, high);
  *out = (image_options){IMAGE_DEPTH16_RANGE, (uint16_t)low, (uint16_t)high};
  return true;
}

resnet_status resnet_python_image_read(const char *path, resnet_python_depth depth, uint32_t low,
                                       uint32_t high, resnet_python_image *out,
                                       resnet_error *error) {
  image_options options;
  resnet_error failure = {RESNET_OK, ""};
  image_rgb pixels;
  if (!out) return missing(error, "out");
  *out = (resnet_python_image){0};
  if (!path) return missing(error, "path");
  const bool ok = set_depth(depth, low, high, &options, &failure) &&
                  image_read(path, &options, &pixels, &failure);
  return finish(ok, &failure, &pixels, depth, out, error);
}

resnet_status resnet_python_image_decode(const void *bytes, size_t size, resnet_python_depth depth,
                                         uint32_t low, uint32_t high, resnet_python_image *out,
                                         resnet_error *error) {
  image_options options;
  resnet_error failure = {RESNET_OK, ""};
  image_rgb pixels;
  if (!out) return missing(error, "out");
  *out = (resnet_python_image){0};
  if (!bytes && size) return missing(error, "bytes");
  const bool ok = set_depth(depth, low, high, &options, &failure) &&
                  image_decode(bytes, size, &options, &pixels, &failure);
  return finish(ok, &failure, &pixels, depth, out, error);
}

void resnet_python_image_release(resnet_python_image *out) {
  if (!out) return;
  image_rgb pixels = {.pixels = out->pixels, .width = out->width, .height = out->height};
  image_release(&pixels);
  *out = (resnet_python_image){0};
}
