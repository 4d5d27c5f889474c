#include "runtime/image/resample.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { MAX_ADDED = 1 << 20 };

/* A fused multiply-add rounds once where Pillow's builds round twice. gcc does not fuse
 * under -std=c11. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

/* ---- weights ---- */

/* A filter's curve, and half its width in pixels of the smaller image. */
typedef struct curve {
  double (*at)(double x);
  double half_width;
} curve;

static double triangle(double x) {
  if (x < 0.0) x = -x;
  return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys 1981, "Cubic Convolution Interpolation for Digital Image Processing", with a =
 * -0.5. */
static double cubic(double x) {
  const double a = -0.5;
  if (x < 0.0) x = -x;
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
}

static const curve curves[] = {
    [RESNET_FILTER_BILINEAR] = {triangle, 1.0}, [RESNET_FILTER_BICUBIC] = {cubic, 2.0}};

static double input_per_output(const resample_range *range) {
  return (double)range->in_size / range->out_size;
}

/* Return the length in input pixels of one pixel of the smaller image. */
static double unit_of(double scale) { return scale < 1.0 ? 1.0 : scale; }

uint32_t image_resample_taps(const resample_range *range) {
  if (range->in_size == range->out_size || range->filter == RESNET_FILTER_NEAREST) return 1;
  const double unit = unit_of(input_per_output(range));
  return (uint32_t)ceil(curves[range->filter].half_width * unit) * 2 + 1;
}

/* Return the inputs whose centres may be under the curve. Conversion to an integer
 * truncates, as in Pillow. */
static resample_span span_at(double centre, double half_width, uint32_t in_size) {
  double low = centre - half_width + 0.5;
  double high = centre + half_width + 0.5;
  uint32_t first = low > 0.0 ? (uint32_t)low : 0;
  uint32_t end = high < (double)in_size ? (uint32_t)high : in_size;
  return (resample_span){first, end - first};
}

static int32_t fixed_point(double weight) {
  return (int32_t)((weight < 0 ? -0.5 : 0.5) + weight * RESAMPLE_ONE);
}

/* The sum is never 0: the input nearest to an output's centre is at most half a pixel
 * away. */
static void normalised_weights(const curve *c, resample_span span, double centre, double unit,
                               int32_t *weights) {
  double narrowing = 1.0 / unit, sum = 0.0;
  for (uint32_t i = 0; i < span.count; i++)
    sum += c->at(((double)(span.first + i) - centre + 0.5) * narrowing);
  for (uint32_t i = 0; i < span.count; i++)
    weights[i] = fixed_point(c->at(((double)(span.first + i) - centre + 0.5) * narrowing) / sum);
}

static void set_copies(const resample_range *range, resample_span *spans, int32_t *weights) {
  for (uint32_t i = 0; i < range->count; i++) {
    spans[i] = (resample_span){range->first + i, 1};
    weights[i] = RESAMPLE_ONE;
  }
}

/* Pillow adds up the positions, and their rounding errors (Geometry.c,
 * ImagingScaleAffine). Images too large for it need not wait for the sum. */
static void set_nearest(const resample_range *range, resample_span *spans, int32_t *weights) {
  const double scale = input_per_output(range);
  const bool adds = range->first <= MAX_ADDED;
  double at = scale * 0.5 + (adds ? 0 : scale * range->first);
  for (uint32_t i = 0; adds && i < range->first; i++) at += scale;
  for (uint32_t i = 0; i < range->count; i++, at += scale) {
    const uint32_t input = (uint32_t)at;
    spans[i] = (resample_span){input < range->in_size ? input : range->in_size - 1, 1};
    weights[i] = RESAMPLE_ONE;
  }
}

void image_resample_weights(const resample_range *range, resample_span *spans, int32_t *weights) {
  if (range->in_size == range->out_size) {
    set_copies(range, spans, weights);
    return;
  }
  if (range->filter == RESNET_FILTER_NEAREST) {
    set_nearest(range, spans, weights);
    return;
  }
  const curve *c = &curves[range->filter];
  double scale = input_per_output(range);
  double unit = unit_of(scale);
  uint32_t taps = image_resample_taps(range);
  for (uint32_t i = 0; i < range->count; i++) {
    double centre = ((double)(range->first + i) + 0.5) * scale;
    spans[i] = span_at(centre, c->half_width * unit, range->in_size);
    normalised_weights(c, spans[i], centre, unit, weights + (size_t)i * taps);
  }
}

/* ---- passes ----
 * No sum overflows: the weights of an output add up to about RESAMPLE_ONE, those above 0
 * to less than 1.3 times as much, and 1.3 * 255 * RESAMPLE_ONE is below 2^31. Each weight
 * is at most half a unit off, which stays far below the rest for 262,143 taps. Only
 * bicubic results need the clipping. */

static uint8_t rounded(int32_t sum) {
  const int32_t value = sum >> RESAMPLE_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

static void resample_pixel(const uint8_t *in, const int32_t *weights, uint32_t count,
                           uint8_t *out) {
  int32_t red = RESAMPLE_ONE / 2, green = red, blue = red;
  for (uint32_t i = 0; i < count; i++, in += 3) {
    red += in[0] * weights[i];
    green += in[1] * weights[i];
    blue += in[2] * weights[i];
  }
  out[0] = rounded(red);
  out[1] = rounded(green);
  out[2] = rounded(blue);
}

/* Copy one input for each output. If the first and the last are as far apart as outputs,
 * so are all between: steps are 0 and 1, or at least 1. */
static void copy_pixels(const resample_axis *axis, const uint8_t *in, uint32_t origin,
                        uint8_t *out) {
  const resample_span *spans = axis->spans;
  if (spans[axis->count - 1].first - spans[0].first == axis->count - 1) {
    memcpy(out, in + (size_t)(spans[0].first - origin) * 3, (size_t)axis->count * 3);
    return;
  }
  for (uint32_t i = 0; i < axis->count; i++, out += 3)
    memcpy(out, in + (size_t)(spans[i].first - origin) * 3, 3);
}

void image_resample_columns(const resample_axis *axis, const uint8_t *in, uint32_t origin,
                            uint8_t *out) {
  if (axis->taps == 1) {
    copy_pixels(axis, in, origin, out);
    return;
  }
  for (uint32_t i = 0; i < axis->count; i++, out += 3) {
    const resample_span *span = &axis->spans[i];
    resample_pixel(in + (size_t)(span->first - origin) * 3, axis->weights + (size_t)i * axis->taps,
                   span->count, out);
  }
}

void image_resample_rows_begin(int32_t *sums, size_t size) {
  for (size_t i = 0; i < size; i++) sums[i] = RESAMPLE_ONE / 2;
}

void image_resample_rows_add(int32_t *restrict sums, size_t size, const uint8_t *restrict in,
                             int32_t weight) {
  for (size_t i = 0; i < size; i++) sums[i] += in[i] * weight;
}

void image_resample_rows_end(const int32_t *restrict sums, size_t size, uint8_t *restrict out) {
  for (size_t i = 0; i < size; i++) out[i] = rounded(sums[i]);
}
