/* Statistics of responses, gathered image by image while they are computed.
 *
 * Mean and standard deviation cover all values. Tiles of up to 256 pixels are summed
 * channel by channel in float, as differences from the tile's first pixel, four pixels at
 * a time. Tiles are merged in double precision (Chan, Golub, LeVeque 1979, "Updating
 * Formulae and a Pairwise Algorithm for Computing Sample Variances", equations 2.1). The
 * sums of a tile are accurate to about 1e-6 of its own standard deviation. These errors
 * do not accumulate over tiles.
 *
 * Percentiles use every value of a response of up to 1024 values. Larger responses use
 * every 127th, 509th, 2039th or 8191st value: primes, so that all channels are sampled.
 * The first sample moves by one value from image to image. Values are counted in bins
 * whose width is 1/64 of the power of two below. A percentile is therefore accurate to
 * 1/64 of its value, or to 2^-24 if that is more. Values from 2^24 on share one bin.
 *
 * The same images in the same order give the same bits, however they are split into
 * batches. */
#ifndef RESNET_SUPPORT_RESPONSES_H
#define RESNET_SUPPORT_RESPONSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resnet.h"

enum { RESPONSE_PERCENTILES = 5 };

/* 1, 25, 50, 75, 99 */
extern const double response_percentile_ranks[RESPONSE_PERCENTILES];

/* One response over all images: every value of every channel at every pixel. */
typedef struct response_summary {
  uint32_t op;
  resnet_point point;
  uint32_t layer; /* number among the layers that the paper counts, from 1; 0: not one */
  uint32_t block; /* or RESNET_NO_INDEX */
  uint64_t values;
  double mean, std, min, max;
  double percentiles[RESPONSE_PERCENTILES]; /* of a sample of the values */
  double negative;                          /* share of values that a ReLU would make 0 */
  uint32_t channels;
  uint32_t dead; /* channels that are never above 0, in any pixel of any image */
} response_summary;

typedef struct response_sums {
  uint32_t channels;
  uint64_t next; /* index of the next image among all, from 0 */
  uint64_t values;
  uint64_t low; /* values up to 0 */
  double mean;
  double deviations; /* sum of (value - mean)^2 */
  float min;
  float *max;      /* by channel */
  uint64_t *bins;  /* counts of the values used for percentiles */
  uint64_t binned; /* sum of bins */
  float *tile;     /* sums of the current tile */
} response_sums;

/* Allocate sums for a response of `channels` channels. The caller releases them. Return
 * false, with *s all zero, if there is no memory. No other function here allocates. */
bool response_sums_allocate(response_sums *s, uint32_t channels);
void response_sums_release(response_sums *s);

/* Forget all images; `next` is the index of the next one. */
void response_sums_clear(response_sums *s, uint64_t next);

/* Add the responses to `images` images. `data`: (images,pixels,channels) */
void response_sums_add(response_sums *s, const float *data, size_t images, size_t pixels);

/* Return the number of images in a chunk, given their number in all. `resnet compare`
 * sums each chunk separately, then merges the chunks in order. The chunk size depends on
 * nothing else, so that the results do not either. */
size_t response_chunk(size_t images);

/* Add the images of `other` after those of *s. */
void response_sums_merge(response_sums *s, const response_sums *other);

/* Fill the fields of *out from `values` on, except those that identify the response.
 * Numbers are NAN if there are no values. */
void response_sums_summarise(const response_sums *s, response_summary *out);

#endif
