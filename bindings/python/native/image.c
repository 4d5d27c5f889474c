/* The program's image decoder, with types that ctypes can use. */
#include "support/image.h"

#include "resnet_python.h"
#include "support/error.h"

/* Report the result of the decoder, which sets an error only when it fails. */
static resnet_status finish(bool ok, const resnet_error *failure, image_rgb *pixels,
                            resnet_python_image *out, resnet_error *error) {
  if (error) *error = ok ? (resnet_error){RESNET_OK, ""} : *failure;
  if (!ok) return failure->status;
  *out = (resnet_python_image){pixels->pixels, pixels->width, pixels->height};
  return RESNET_OK;
}

static resnet_status missing(resnet_error *error, const char *what) {
  resnet_error failure;
  (void)error_set(&failure, RESNET_ERROR_ARGUMENT, "%s is NULL", what);
  return finish(false, &failure, NULL, NULL, error);
}

resnet_status resnet_python_image_read(const char *path, resnet_python_image *out,
                                       resnet_error *error) {
  resnet_error failure = {RESNET_OK, ""};
  image_rgb pixels;
  if (!out) return missing(error, "out");
  *out = (resnet_python_image){0};
  if (!path) return missing(error, "path");
  const bool ok = image_read(path, NULL, &pixels, &failure);
  return finish(ok, &failure, &pixels, out, error);
}

resnet_status resnet_python_image_decode(const void *bytes, size_t size, resnet_python_image *out,
                                         resnet_error *error) {
  resnet_error failure = {RESNET_OK, ""};
  image_rgb pixels;
  if (!out) return missing(error, "out");
  *out = (resnet_python_image){0};
  if (!bytes && size) return missing(error, "bytes");
  const bool ok = image_decode(bytes, size, NULL, &pixels, &failure);
  return finish(ok, &failure, &pixels, out, error);
}

void resnet_python_image_release(resnet_python_image *out) {
  if (!out) return;
  image_rgb pixels = {.pixels = out->pixels, .width = out->width, .height = out->height};
  image_release(&pixels);
  *out = (resnet_python_image){0};
}
