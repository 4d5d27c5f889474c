/* Statistics of responses, gathered as they are computed, picture by picture.
 *
 * Mean and standard deviation are of all values. Tiles of up to 128 pixels are summed channel by channel in float, as
 * differences from the tile's first pixel, four at a time; tiles are merged in double precision (Chan, Golub, LeVeque
 * 1979, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", equations 2.1). A tile's sums are
 * good to some 1e-6 of its own spread, and what is left of that does not add up over tiles.
 *
 * Percentiles are of every value of a picture's up to 1024, else of every 31st (of larger ones of every 127th, 509th or
 * 2039th: primes, so that all channels are met, as is also seen to by beginning one further with every picture). These
 * are counted in bins whose width is 1/64 of a power of two, 1/64 to 1/128 of the value, and a percentile lies in the
 * right bin: 1/64 of it is how far it may be off, or 2^-24 where it is less than that. From 2^24 on values are one.
 *
 * The same pictures in the same order give the same bits, however they are split into batches.
 */
#ifndef RESNET_CLI_RESPONSES_H
#define RESNET_CLI_RESPONSES_H

#include "comparison.h"

typedef struct response_sums {
  uint32_t channels;
  uint64_t pictures, values;
  uint64_t low;            /* values up to 0 */
  double mean, deviations; /* deviations: sum of (value - mean)^2 */
  float least;
  float *most;     /* by channel */
  uint32_t *bins;  /* numbers of the values that percentiles are of */
  uint64_t binned; /* sum of bins */
  float *tile;     /* a tile's sums */
} response_sums;

/* Memory for a response of so many channels, of no picture yet; the caller's to release. */
void response_sums_allocate(response_sums *s, uint32_t channels);
void response_sums_release(response_sums *s);

/* Forget all pictures. */
void response_sums_clear(response_sums *s);

/* `data`: (pictures,pixels,channels) */
void response_sums_add(response_sums *s, const float *data, size_t pictures, size_t pixels);

/* Add what `other` has seen, after what *s has. */
void response_sums_merge(response_sums *s, const response_sums *other);

/* Fill what is counted, from `values` on. NAN where there are no values. */
void response_sums_summarise(const response_sums *s, response_summary *out);

#endif
