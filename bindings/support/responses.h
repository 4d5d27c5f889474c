/* Statistics of responses, gathered as they are computed, picture by picture.
 *
 * Mean and standard deviation are of all values. Tiles of up to 256 pixels are summed
 * channel by channel in float, as differences from the tile's first pixel, four at a
 * time; tiles are merged in double precision (Chan, Golub, LeVeque 1979, "Updating
 * Formulae and a Pairwise Algorithm for Computing Sample Variances", equations 2.1). A
 * tile's sums are good to some 1e-6 of its own spread, and what is left of that does not
 * add up over tiles.
 *
 * Percentiles are of every value of a picture's up to 1024, else of every 127th, of
 * larger ones of every 509th, 2039th or 8191st: primes, so that all channels are met; the
 * first is one further in each picture. They are counted in bins as wide as 1/64 of the
 * power of two below, which is how far a percentile may be off: 1/64 of it, or 2^-24
 * where it is less than that. Values from 2^24 on share one bin.
 *
 * The same pictures in the same order give the same bits, however they are split into
 * batches.
 */
#ifndef RESNET_SUPPORT_RESPONSES_H
#define RESNET_SUPPORT_RESPONSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resnet.h"

enum { PERCENTILE_COUNT = 5 };

/* 1, 25, 50, 75, 99 */
extern const double percentile_ranks[PERCENTILE_COUNT];

/* One response over all pictures: every value at every pixel of every channel. */
typedef struct response_summary {
  uint32_t op;
  resnet_point point;
  /* place among the layers that the paper counts, from 1; 0: not one of them */
  uint32_t layer;
  uint32_t block; /* or RESNET_NO_INDEX */
  uint64_t values;
  double mean, std, least, most;
  double percentiles[PERCENTILE_COUNT]; /* of some of the values */
  /* share of values that a ReLU would make 0 */
  double negative;
  /* dead: channels that are above 0 for no picture at no pixel */
  uint32_t channels, dead;
} response_summary;

typedef struct response_sums {
  uint32_t channels;
  uint64_t next; /* number of the next picture among all, from 0 */
  uint64_t values;
  uint64_t low;            /* values up to 0 */
  double mean, deviations; /* deviations: sum of (value - mean)^2 */
  float least;
  float *most;     /* by channel */
  uint64_t *bins;  /* numbers of the values that percentiles are of */
  uint64_t binned; /* sum of bins */
  float *tile;     /* a tile's sums */
} response_sums;

/* Memory for a response of so many channels, of no picture yet; the caller's to release.
 * False, with *s all zero: there is none. Nothing else here allocates. */
bool response_sums_allocate(response_sums *s, uint32_t channels);
void response_sums_release(response_sums *s);

/* Forget all pictures; `next` is the number of the next one. */
void response_sums_clear(response_sums *s, uint64_t next);

/* `data`: (pictures,pixels,channels) */
void response_sums_add(response_sums *s, const float *data, size_t pictures, size_t pixels);

/* Pictures of a chunk, of so many in all: `resnet compare` sums each chunk for itself,
 * then merges the chunks in order. It depends on nothing else, so that neither do the
 * numbers. */
size_t response_chunk(size_t pictures);

/* Add what `other` has seen, after what *s has. */
void response_sums_merge(response_sums *s, const response_sums *other);

/* Fill what is counted, from `values` on. NAN where there are no values. */
void response_sums_summarise(const response_sums *s, response_summary *out);

#endif
