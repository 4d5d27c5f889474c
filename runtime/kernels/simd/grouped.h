/* Convolutions of few input channels a group, depthwise ones included.
 *
 * One vector holds output channels of one or several groups. Each product takes the same
 * input channel of every group, where it is one float for all outputs of its group:
 *
 *     4 channels a group, 8 floats a vector      group 0     group 1
 *     products of input channel 1                1 1 1 1     5 5 5 5
 *
 * A tap reads each pixel again. So inputs are spread once, row by row, into a buffer that
 * a core's L1 holds, and the products find their operand there. The buffer has the zeros
 * of the padding, too.
 *
 *     vectors: one for each input channel of a group and each pixel, as above
 *     pixels:  GROUPED_PITCH floats for each pixel, its channels in order. A product
 *              repeats the float itself.
 *
 * With stride s, pixels 0, s, 2s, ... of a row come first in the buffer, then 1, s + 1,
 * ...: neighbouring outputs read neighbours in the buffer for each tap. Taps whose
 * pixels are neighbours, too, form a run: an input is loaded once for all its taps.
 *
 * Each output is one sum in the order of the weights, independent of the outputs computed
 * beside it. Multiplications and additions may be fused, so instruction sets agree up to
 * rounding, not to the bit. */
#ifndef LIBRESNET_RUNTIME_KERNELS_SIMD_GROUPED_H
#define LIBRESNET_RUNTIME_KERNELS_SIMD_GROUPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  GROUPED_MAX_RUN = 3,      /* taps */
  GROUPED_MAX_INPUTS = 128, /* channels of a group */
  /* The last line keeps neighbouring pixels in different sets of a cache. */
  GROUPED_PITCH = GROUPED_MAX_INPUTS + 16
};

/* How a pixel's channels are spread. */
typedef enum grouped_spread {
  GROUPED_COPY,      /* vectors, one channel a group: the channels in order */
  GROUPED_PERMUTE,   /* vectors of several groups */
  GROUPED_BROADCAST, /* vectors of one group */
  GROUPED_PIXELS
} grouped_spread;

/* Pixels of one row of the input, to be spread. */
typedef struct grouped_pixels {
  const float *x; /* the first pixel's channels */
  size_t step;    /* floats from a pixel to the next */
  size_t ahead;   /* floats from a pixel to one to prefetch */
  size_t count;
  size_t in; /* channels of a group */
  /* GROUPED_PERMUTE: for each float of a vector, the first input channel of its group */
  const int32_t *first;
  float *to;
  size_t channel; /* vectors: floats from one input channel to the next */
} grouped_pixels;

/* Neighbouring taps of a row of taps. */
typedef struct grouped_taps {
  size_t place; /* where the first one's inputs begin in a row of the buffer, in floats */
  size_t count; /* 1 to GROUPED_MAX_RUN */
} grouped_taps;

/* A row of `columns` outputs of some channels. */
typedef struct grouped_tile {
  const float *const *rows; /* spread inputs of each row of taps */
  size_t row_count;
  const grouped_taps *runs; /* the same for each row of taps */
  size_t run_count;
  size_t in;            /* channels of a group */
  size_t channel;       /* floats from one input channel to the next */
  bool pixels;          /* the buffer holds pixels */
  const float *weights; /* (rows, runs, in, taps of the run, vector) */
  const float *bias;    /* a vector */
  float *out;
  size_t step; /* floats from one output pixel to the next */
  size_t columns, channels;
  float low, high;
} grouped_tile;

typedef struct simd_grouped {
  bool permutes; /* has GROUPED_PERMUTE */
  /* Spread pixels. This reads and writes whole vectors. */
  void (*spread)(const grouped_pixels *p, grouped_spread how);
  /* Return how many of `left` columns to compute at once, about `max_columns` if that is
   * not enough for all. */
  size_t (*next_columns)(size_t left, size_t max_columns);
  /* Return how many columns a tile of `columns` computes: the inputs of those behind the
   * tile are read, too. */
  size_t (*padded_columns)(size_t columns);
  /* out = clamp(sum over the taps + bias), for up to a vector of channels. */
  void (*convolve)(const grouped_tile *t);
} simd_grouped;

#endif
