/* Pictures: the program's decoder behind types that ctypes knows. */
#include "support/image.h"

#include "resnet_python.h"
#include "support/error.h"

/* The decoder fills an error when it fails only. */
static resnet_status finish(bool good, const resnet_error *failure, image_rgb *pixels,
                            resnet_python_picture *out, resnet_error *error) {
  if (error) *error = good ? (resnet_error){RESNET_OK, ""} : *failure;
  if (!good) return failure->status;
  *out = (resnet_python_picture){pixels->pixels, pixels->width, pixels->height};
  return RESNET_OK;
}

static resnet_status missing(resnet_error *error, const char *what) {
  resnet_error failure;
  (void)error_set(&failure, RESNET_ERROR_ARGUMENT, "%s is NULL", what);
  return finish(false, &failure, NULL, NULL, error);
}

resnet_status resnet_python_picture_read(const char *path, resnet_python_picture *out,
                                         resnet_error *error) {
  resnet_error failure = {RESNET_OK, ""};
  image_rgb pixels;
  if (!out) return missing(error, "out");
  *out = (resnet_python_picture){0};
  if (!path) return missing(error, "path");
  const bool good = image_read(path, &pixels, &failure);
  return finish(good, &failure, &pixels, out, error);
}

resnet_status resnet_python_picture_decode(const void *bytes, size_t size,
                                           resnet_python_picture *out, resnet_error *error) {
  resnet_error failure = {RESNET_OK, ""};
  image_rgb pixels;
  if (!out) return missing(error, "out");
  *out = (resnet_python_picture){0};
  if (!bytes && size) return missing(error, "bytes");
  const bool good = image_decode(bytes, size, &pixels, &failure);
  return finish(good, &failure, &pixels, out, error);
}

void resnet_python_picture_release(resnet_python_picture *out) {
  if (!out) return;
  image_rgb pixels = {out->pixels, out->width, out->height};
  image_release(&pixels);
  *out = (resnet_python_picture){0};
}
