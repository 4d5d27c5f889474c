#include "cli/image_input.h"

#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "cli/standard_input.h"
#include "support/error.h"
#include "support/image_format.h"

/* Say how to name a model among the images. */
static bool refuse_model(const settings *s, resnet_error *error) {
  const size_t length = strlen(error->message);
  (void)snprintf(error->message + length, sizeof error->message - length, ": name it %s--model",
                 s->model ? "instead of the other with " : "before the images or with ");
  return false;
}

static bool is_model(const uint8_t *bytes, size_t size) {
  return image_format_find(bytes, size < IMAGE_FORMAT_BYTES ? size : IMAGE_FORMAT_BYTES).kind ==
         IMAGE_FORMAT_MODEL;
}

bool cli_image_read(const settings *s, const char *path, image_rgb *out, resnet_error *error) {
  if (!cli_is_standard_input(path))
    return image_read(path, &s->image, out, error) ||
           (error->status == RESNET_ERROR_UNSUPPORTED && cli_image_is_model(path) &&
            refuse_model(s, error));
  uint8_t *bytes;
  size_t size;
  *out = (image_rgb){0};
  if (!cli_standard_input_read(IMAGE_MAX_FILE_BYTES, &bytes, &size, error)) return false;
  const bool ok = image_decode(bytes, size, &s->image, out, error);
  if (!ok && is_model(bytes, size)) (void)refuse_model(s, error);
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
  const bool named =
      ends_with(path, ".onnx") || ends_with(path, ".onnx.gz") || ends_with(path, ".resnet");
  if (!(cli_is_standard_input(path) ? cli_standard_input_start(bytes, sizeof bytes, &size)
                                    : image_read_start(path, bytes, sizeof bytes, &size)))
    return named;
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
