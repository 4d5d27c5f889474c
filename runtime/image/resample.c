#include "runtime/image/resample.h"

#include <math.h>
#include <string.h>

/* A fused multiply-add rounds once where Pillow's builds round twice. gcc does not fuse
 * under -std=c11. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

/* ---- weights ---- */

static double input_per_output(const resample_range *range) {
  return (double)range->in_size / range->out_size;
}

/* Return half the triangle's width in input pixels. */
static double support(double scale) { return scale < 1.0 ? 1.0 : scale; }

uint32_t image_resample_taps(const resample_range *range) {
  if (range->in_size == range->out_size) return 1;
  return (uint32_t)ceil(support(input_per_output(range))) * 2 + 1;
}

static double triangle(double x) {
  if (x < 0.0) x = -x;
  return x < 1.0 ? 1.0 - x : 0.0;
}

/* Return the inputs whose centres may be under the triangle. Conversion to an integer
 * truncates, as in Pillow. */
static resample_span span_at(double centre, double half_width, uint32_t in_size) {
  double low = centre - half_width + 0.5;
  double high = centre + half_width + 0.5;
  uint32_t first = low > 0.0 ? (uint32_t)low : 0;
  uint32_t end = high < (double)in_size ? (uint32_t)high : in_size;
  return (resample_span){first, end - first};
}

/* The sum is never 0: the input nearest to an output's centre is at most half a pixel
 * away. */
static void normalised_weights(resample_span span, double centre, double half_width,
                               uint32_t *weights) {
  double narrowing = 1.0 / half_width, sum = 0.0;
  for (uint32_t i = 0; i < span.count; i++)
    sum += triangle(((double)(span.first + i) - centre + 0.5) * narrowing);
  for (uint32_t i = 0; i < span.count; i++) {
    double weight = triangle(((double)(span.first + i) - centre + 0.5) * narrowing) / sum;
    weights[i] = (uint32_t)(0.5 + weight * RESAMPLE_ONE);
  }
}

void image_resample_weights(const resample_range *range, resample_span *spans, uint32_t *weights) {
  if (range->in_size == range->out_size) {
    for (uint32_t i = 0; i < range->count; i++) {
      spans[i] = (resample_span){range->first + i, 1};
      weights[i] = RESAMPLE_ONE;
    }
    return;
  }
  double scale = input_per_output(range);
  double half_width = support(scale);
  uint32_t taps = image_resample_taps(range);
  for (uint32_t i = 0; i < range->count; i++) {
    double centre = ((double)(range->first + i) + 0.5) * scale;
    spans[i] = span_at(centre, half_width, range->in_size);
    normalised_weights(spans[i], centre, half_width, weights + (size_t)i * taps);
  }
}

/* ---- passes ----
 * Nothing overflows, and no result exceeds 255, so that Pillow's clipping is not needed:
 * 255 times the excess of an output's rounded weights over RESAMPLE_ONE stays below
 * RESAMPLE_ONE / 2. Each weight adds at most half a unit to the excess, which is not
 * enough for up to 16,384 taps. With more taps neighbouring weights differ by less than
 * 1/16 unit, and their roundings cancel. The largest excess found is 682 units, for 4,096
 * taps whose fractions can all be one half. */

static uint8_t rounded(uint32_t sum) { return (uint8_t)(sum >> RESAMPLE_BITS); }

static void resample_pixel(const uint8_t *in, const uint32_t *weights, uint32_t count,
                           uint8_t *out) {
  uint32_t red = RESAMPLE_ONE / 2, green = red, blue = red;
  for (uint32_t i = 0; i < count; i++, in += 3) {
    red += in[0] * weights[i];
    green += in[1] * weights[i];
    blue += in[2] * weights[i];
  }
  out[0] = rounded(red);
  out[1] = rounded(green);
  out[2] = rounded(blue);
}

void image_resample_columns(const resample_axis *axis, const uint8_t *in, uint32_t origin,
                            uint8_t *out) {
  if (axis->taps == 1) {
    memcpy(out, in + (size_t)(axis->spans[0].first - origin) * 3, (size_t)axis->count * 3);
    return;
  }
  for (uint32_t i = 0; i < axis->count; i++, out += 3) {
    const resample_span *span = &axis->spans[i];
    resample_pixel(in + (size_t)(span->first - origin) * 3, axis->weights + (size_t)i * axis->taps,
                   span->count, out);
  }
}

void image_resample_rows_begin(uint32_t *sums, size_t size) {
  for (size_t i = 0; i < size; i++) sums[i] = RESAMPLE_ONE / 2;
}

void image_resample_rows_add(uint32_t *restrict sums, size_t size, const uint8_t *restrict in,
                             uint32_t weight) {
  for (size_t i = 0; i < size; i++) sums[i] += in[i] * weight;
}

void image_resample_rows_end(const uint32_t *restrict sums, size_t size, uint8_t *restrict out) {
  for (size_t i = 0; i < size; i++) out[i] = rounded(sums[i]);
}
