/* The weights and the two passes of Pillow's antialiased resize of 8-bit RGB, bit for bit
 * (Pillow's src/libImaging/Resample.c).
 *
 * An output pixel is a weighted mean of the input pixels under a curve centred on it: a
 * triangle or a cubic. The curve's unit is one input pixel, or one output pixel when
 * scaling down. The nearest filter has one weight.
 *
 * Weights are computed in double, normalised to a sum of 1 and rounded to 22 fractional
 * bits. There is a pass over columns and one over rows. Each rounds its results to 8
 * bits, so their order matters; the caller chooses it. */
#ifndef LIBRESNET_RUNTIME_IMAGE_RESAMPLE_H
#define LIBRESNET_RUNTIME_IMAGE_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "resnet.h"

enum { RESAMPLE_BITS = 22, RESAMPLE_ONE = 1 << RESAMPLE_BITS };

/* One axis: outputs first to first + count - 1 of out_size are computed from in_size
 * inputs. */
typedef struct resample_range {
  uint32_t in_size;  /* 1 to 65535 */
  uint32_t out_size; /* 1 to 65535 * 65535 */
  uint32_t first, count;
  resnet_filter filter;
} resample_range;

/* Inputs first to first + count - 1 of one output; count is at least 1. */
typedef struct resample_span {
  uint32_t first, count;
} resample_span;

typedef struct resample_axis {
  uint32_t count; /* outputs */
  uint32_t taps;  /* upper bound of a span's count */
  const resample_span *spans;
  /* (count,taps), in units of 1 / RESAMPLE_ONE; only a span's count of each row is set */
  const int32_t *weights;
} resample_axis;

/* Return the maximum of input pixels that one output depends on. */
uint32_t image_resample_taps(const resample_range *range);

/* Compute spans (range->count) and weights (range->count, image_resample_taps(range)). */
void image_resample_weights(const resample_range *range, resample_span *spans, int32_t *weights);

/* Write one row, out (axis->count,3). The first pixel of `in` is input `origin`, which is
 * at most the first span's. */
void image_resample_columns(const resample_axis *axis, const uint8_t *in, uint32_t origin,
                            uint8_t *out);

/* Compute one row of `size` bytes as the weighted mean of several: begin, add each with
 * its weight, end. */
void image_resample_rows_begin(int32_t *sums, size_t size);
void image_resample_rows_add(int32_t *sums, size_t size, const uint8_t *in, int32_t weight);
void image_resample_rows_end(const int32_t *sums, size_t size, uint8_t *out);

#endif
