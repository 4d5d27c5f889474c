/* The WebP decoder, on libwebp. */
#include "support/image_webp.h"

#include "support/error.h"
#include "support/image_format.h"

#ifdef RESNET_WEBP
#include <string.h>

#include <webp/decode.h>

#include "support/image_exif.h"

/* Return the orientation in the chunk "EXIF", which a few programs begin as in JPEG. A
 * chunk is its type, its length, and that many bytes, padded to an even number. */
static int saved_orientation(const uint8_t *bytes, size_t size) {
  enum { FIRST = 12, HEADER = 8 };
  for (size_t at = FIRST; at < size && size - at >= HEADER;) {
    const size_t length = image_little_endian(bytes + at + 4), left = size - at - HEADER;
    const uint8_t *body = bytes + at + HEADER;
    if (length > left) return 1;
    if (memcmp(bytes + at, "EXIF", 4) == 0) {
      const size_t prefix = length >= 6 && memcmp(body, "Exif\0\0", 6) == 0 ? 6 : 0;
      return image_exif_orientation(body + prefix, length - prefix);
    }
    at += HEADER + length + length % 2;
  }
  return 1;
}

static bool fail(VP8StatusCode status, resnet_error *error) {
  switch (status) {
  case VP8_STATUS_NOT_ENOUGH_DATA:
  case VP8_STATUS_SUSPENDED:
    return error_set(error, RESNET_ERROR_FORMAT, "truncated WebP: its data end too early");
  case VP8_STATUS_OUT_OF_MEMORY:
    return error_set(error, RESNET_ERROR_MEMORY, "no memory for the WebP decoder");
  default:
    return error_set(error, RESNET_ERROR_FORMAT, "damaged WebP");
  }
}

bool image_decode_webp(const uint8_t *bytes, size_t size, const image_options *options,
                       image_rgb *out, int *orientation, resnet_error *error) {
  (void)options; /* WebP has 8 bits a channel */
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config))
    return error_set(error, RESNET_ERROR_SYSTEM, "libwebp is older than its header");
  const VP8StatusCode found = WebPGetFeatures(bytes, size, &config.input);
  if (found != VP8_STATUS_OK) return fail(found, error);
  if (config.input.has_animation)
    return error_set(error, RESNET_ERROR_UNSUPPORTED,
                     "is an animated WebP image: save one of its frames as PNG");
  if (!image_allocate(out, (uint64_t)config.input.width, (uint64_t)config.input.height, error))
    return false;
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = out->pixels;
  config.output.u.RGBA.stride = config.input.width * 3;
  config.output.u.RGBA.size = (size_t)out->width * out->height * 3;
  const VP8StatusCode decoded = WebPDecode(bytes, size, &config);
  WebPFreeDecBuffer(&config.output);
  if (decoded != VP8_STATUS_OK) return fail(decoded, error);
  *orientation = saved_orientation(bytes, size);
  return true;
}
#else
bool image_decode_webp(const uint8_t *bytes, size_t size, const image_options *options,
                       image_rgb *out, int *orientation, resnet_error *error) {
  (void)options;
  (void)out;
  (void)orientation;
  return image_format_refuse(bytes, size, error);
}
#endif
