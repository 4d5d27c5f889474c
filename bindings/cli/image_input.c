#include "cli/image_input.h"

#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "cli/standard_input.h"
#include "support/error.h"
#include "support/image_format.h"

/* Read a file. If it is a model, say how to name one. */
static bool read_file(const settings *s, const char *path, image_rgb *out, resnet_error *error) {
  if (image_read(path, &s->image, out, error)) return true;
  const size_t length = strlen(error->message);
  if (error->status == RESNET_ERROR_UNSUPPORTED && cli_image_is_model(path))
    (void)snprintf(error->message + length, sizeof error->message - length, ": name it %s--model",
                   s->model ? "instead of the other with " : "before the images or with ");
  return false;
}

bool cli_image_read(const settings *s, const char *path, image_rgb *out, resnet_error *error) {
  if (!cli_is_standard_input(path)) return read_file(s, path, out, error);
  uint8_t *bytes;
  size_t size;
  *out = (image_rgb){0};
  if (!cli_standard_input_read(IMAGE_MAX_FILE_BYTES, &bytes, &size, error)) return false;
  const bool ok = image_decode(bytes, size, &s->image, out, error);
  free(bytes);
  return ok;
}

static bool ends_with(const char *path, const char *end) {
  const size_t length = strlen(path), wanted = strlen(end);
  return length > wanted && strcmp(path + length - wanted, end) == 0;
}

bool cli_image_is_model(const char *path) {
  uint8_t bytes[IMAGE_FORMAT_BYTES];
  size_t size = 0;
  if (cli_is_standard_input(path)) return false;
  const bool named =
      ends_with(path, ".onnx") || ends_with(path, ".onnx.gz") || ends_with(path, ".resnet");
  if (!image_read_start(path, bytes, sizeof bytes, &size)) return named;
  switch (image_format_find(bytes, size).kind) {
  case IMAGE_FORMAT_MODEL:
    return true;
  case IMAGE_FORMAT_JPEG:
  case IMAGE_FORMAT_PNG:
  case IMAGE_FORMAT_WEBP:
  case IMAGE_FORMAT_IMAGE:
    return false;
  default:
    return named;
  }
}

static const char advice[] =
    "--depth16 scale uses 0 to 65535, auto the image's own range, LOW:HIGH another";

void cli_image_print_depths(const settings *s, size_t count) {
  if (s->quiet || s->depth16_given || count == 0) return;
  char text[RESNET_ERROR_MESSAGE_SIZE];
  (void)snprintf(text, sizeof text,
                 "%zu image%s 16 bits a channel, which were cut to 8 as in Pillow: grey values "
                 "above 255 are white; %s",
                 count, count == 1 ? " has" : "s have", advice);
  cli_print_warning(s->data, text);
}

void cli_image_print_depth(const settings *s, const char *path, const image_rgb *image) {
  const image_depth *d = &image->depth;
  if (s->quiet || s->depth16_given || !image_was_cut(image)) return;
  char text[RESNET_ERROR_MESSAGE_SIZE];
  if (d->channels != 1)
    (void)snprintf(text, sizeof text, "has 16 bits a channel, of which the upper 8 are used; %s",
                   advice);
  else
    (void)snprintf(text, sizeof text,
                   "has 16 bits: %.1f %% of its values are above 255 and became white, as in "
                   "Pillow; the largest is %u; %s",
                   100.0 * (double)d->above_255 / ((double)image->width * image->height),
                   d->largest, advice);
  cli_print_warning(cli_input_name(path), text);
}
