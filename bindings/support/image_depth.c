#include "support/image_depth.h"

static uint32_t value_at(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }

/* The rows of one channel may be in place: `stride` bytes apart, as the pixels are. */
static void measure(const uint8_t *deep, size_t stride, unsigned channels, image_rgb *out,
                    uint32_t *smallest) {
  image_depth *d = &out->depth;
  const size_t values = (size_t)out->width * channels;
  *smallest = UINT16_MAX;
  for (uint32_t y = 0; y < out->height; y++) {
    const uint8_t *at = deep + y * stride;
    for (size_t i = 0; i < values; i++, at += 2) {
      const uint32_t value = value_at(at);
      if (value > d->largest) d->largest = (uint16_t)value;
      if (value < *smallest) *smallest = value;
      d->above_255 += value > 255;
    }
  }
}

/* The values that become 0 and 255; those between are scaled and rounded. */
typedef struct value_range {
  uint32_t low, high;
} value_range;

static uint8_t scale(uint32_t value, value_range r) {
  if (value <= r.low) return 0;
  if (value >= r.high) return 255;
  const uint32_t width = r.high - r.low;
  return (uint8_t)(((value - r.low) * 255u + width / 2) / width);
}

static value_range range_of(const image_options *options, uint32_t smallest, uint32_t largest) {
  switch (options->depth16) {
  case IMAGE_DEPTH16_CLIP:
    return (value_range){0, 255};
  case IMAGE_DEPTH16_RANGE:
    return (value_range){options->low, options->high};
  case IMAGE_DEPTH16_AUTO:
    return (value_range){smallest, largest};
  }
  return (value_range){0, UINT16_MAX};
}

/* Convert from the end of a row, so that one channel can be converted in place. */
static void convert_row(const uint8_t *deep, unsigned channels, value_range r, uint8_t *row,
                        uint32_t width) {
  for (size_t x = width; x-- > 0;) {
    const uint8_t *at = deep + 2 * channels * x;
    const uint8_t red = scale(value_at(at), r);
    row[3 * x] = row[3 * x + 1] = row[3 * x + 2] = red;
    for (unsigned c = 1; c < channels; c++) row[3 * x + c] = scale(value_at(at + 2 * c), r);
  }
}

void image_depth_reduce(const uint8_t *deep, unsigned channels, const image_options *options,
                        image_rgb *out) {
  const size_t row = (size_t)out->width * 3;
  const size_t stride = channels == 1 ? row : row * 2;
  uint32_t smallest;
  measure(deep, stride, channels, out, &smallest);
  const value_range r = range_of(options, smallest, out->depth.largest);
  for (uint32_t y = 0; y < out->height; y++)
    convert_row(deep + y * stride, channels, r, out->pixels + y * row, out->width);
}
