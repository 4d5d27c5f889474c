#include "support/responses.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/statistics.h"

/* Compile a function for AVX-512 and AVX2 too; the program picks one when it starts. This
 * halves the time on CPUs with wide vectors and gives the same bits. Not for sanitizers,
 * whose code cannot run yet when the choice is made. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(NDEBUG) &&                                \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WITH_WIDE_VECTORS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WITH_WIDE_VECTORS
#endif

const double response_percentile_ranks[RESPONSE_PERCENTILES] = {1, 25, 50, 75, 99};

/* Bins for percentiles: the upper bits of a float, i.e. sign, exponent and the first
 * STEP_BITS of the fraction. */
enum {
  STEP_BITS = 6,
  STEP_SHIFT = 23 - STEP_BITS,
  EXPONENTS = 24, /* exponents on each side of 1 */
  EXPONENT_OF_ONE = 127,
  FIRST_STEP = (EXPONENT_OF_ONE - EXPONENTS) << STEP_BITS,
  /* bins of one sign; the first also holds smaller values, the last larger ones */
  STEPS = (2 * EXPONENTS) << STEP_BITS,
  BINS = 2 * STEPS
};

enum { TILE_PIXELS = 256, ROWS = 4, TILE_SUMS = 4 };

/* Chunks are multiples of 8 images, the usual batch. A shorter batch at the end of each
 * chunk would set up the operators twice more. */
enum { MIN_CHUNK = 8, MAX_CHUNK = 160, CHUNKS = 64 };

/* The sums of a tile, by channel. */
typedef struct tile {
  float *sum, *squares; /* of the differences from the first pixel */
  float *min;
  float *low; /* count of values up to 0; exact, since at most TILE_PIXELS */
  float *max;
} tile;

static tile tile_of(const response_sums *s) {
  const size_t c = s->channels;
  return (tile){s->tile, s->tile + c, s->tile + 2 * c, s->tile + 3 * c, s->max};
}

bool response_sums_allocate(response_sums *s, uint32_t channels) {
  *s = (response_sums){.channels = channels};
  s->max = calloc(channels, sizeof *s->max);
  s->bins = calloc(BINS, sizeof *s->bins);
  s->tile = calloc(channels, TILE_SUMS * sizeof *s->tile);
  const bool ok = s->max && s->bins && s->tile;
  if (ok)
    response_sums_clear(s, 0);
  else
    response_sums_release(s);
  return ok;
}

void response_sums_release(response_sums *s) {
  free(s->max);
  free(s->bins);
  free(s->tile);
  *s = (response_sums){0};
}

void response_sums_clear(response_sums *s, uint64_t next) {
  s->next = next;
  s->values = s->low = s->binned = 0;
  s->mean = s->deviations = 0;
  s->min = INFINITY;
  for (uint32_t c = 0; c < s->channels; c++) s->max[c] = -INFINITY;
  memset(s->bins, 0, BINS * sizeof *s->bins);
}

/* ---- mean, deviation, extremes ----------------------------------------------------- */

static float lesser(float a, float b) { return a < b ? a : b; }
static float greater(float a, float b) { return a > b ? a : b; }

static inline void start_tile(const float *restrict first, size_t channels, const tile *t) {
  memset(t->sum, 0, channels * sizeof *t->sum);
  memset(t->squares, 0, channels * sizeof *t->squares);
  memset(t->low, 0, channels * sizeof *t->low);
  memcpy(t->min, first, channels * sizeof *t->min);
}

static inline void add_row(const float *restrict a, const float *restrict first, size_t channels,
                           const tile *t) {
  float *restrict sum = t->sum, *restrict squares = t->squares, *restrict min = t->min,
                  *restrict low = t->low, *restrict max = t->max;
  for (size_t c = 0; c < channels; c++) {
    const float x = a[c] - first[c];
    sum[c] += x;
    squares[c] += x * x;
    min[c] = lesser(min[c], a[c]);
    max[c] = greater(max[c], a[c]);
    low[c] += a[c] <= 0 ? 1.0f : 0.0f;
  }
}

/* Add four rows at once: the sums are loaded and stored a quarter as often, which saves a
 * third of the time. */
static inline void add_rows(const float *restrict a, const float *restrict first, size_t channels,
                            const tile *t) {
  const float *restrict b = a + channels, *restrict d = b + channels, *restrict e = d + channels;
  float *restrict sum = t->sum, *restrict squares = t->squares, *restrict min = t->min,
                  *restrict low = t->low, *restrict max = t->max;
  for (size_t c = 0; c < channels; c++) {
    const float x = a[c] - first[c], y = b[c] - first[c], z = d[c] - first[c], w = e[c] - first[c];
    sum[c] += (x + y) + (z + w);
    squares[c] += (x * x + y * y) + (z * z + w * w);
    min[c] = lesser(min[c], lesser(lesser(a[c], b[c]), lesser(d[c], e[c])));
    max[c] = greater(max[c], greater(greater(a[c], b[c]), greater(d[c], e[c])));
    low[c] += ((a[c] <= 0 ? 1.0f : 0.0f) + (b[c] <= 0 ? 1.0f : 0.0f)) +
              ((d[c] <= 0 ? 1.0f : 0.0f) + (e[c] <= 0 ? 1.0f : 0.0f));
  }
}

static void merge_moments(response_sums *s, uint64_t values, double mean, double deviations) {
  if (values == 0) return;
  const double n = (double)s->values, m = (double)values, difference = mean - s->mean;
  s->values += values;
  s->mean += difference * m / (n + m);
  s->deviations += deviations + difference * difference * n * m / (n + m);
}

/* Merge the sums of all channels: first compute the tile's mean, then the deviations from
 * it. */
static inline void merge_tile(response_sums *s, const float *first, size_t pixels, const tile *t) {
  const size_t channels = s->channels;
  const double n = (double)pixels;
  double mean = 0, deviations = 0, low = 0;
  for (size_t c = 0; c < channels; c++) mean += (double)first[c] + (double)t->sum[c] / n;
  mean /= (double)channels;
  for (size_t c = 0; c < channels; c++) {
    const double sum = (double)t->sum[c], difference = (double)first[c] + sum / n - mean;
    deviations += (double)t->squares[c] - sum * sum / n + n * difference * difference;
  }
  for (size_t c = 0; c < channels; c++) s->min = lesser(s->min, t->min[c]);
  for (size_t c = 0; c < channels; c++) low += (double)t->low[c];
  s->low += (uint64_t)low;
  merge_moments(s, (uint64_t)pixels * channels, mean, deviations);
}

/* The functions that it calls are inlined, so that they use the same vectors. */
WITH_WIDE_VECTORS static void add_tile(response_sums *s, const float *data, size_t pixels) {
  const tile t = tile_of(s);
  const size_t channels = s->channels;
  size_t pixel = 0;
  start_tile(data, channels, &t);
  for (; pixel + ROWS <= pixels; pixel += ROWS)
    add_rows(data + pixel * channels, data, channels, &t);
  for (; pixel < pixels; pixel++) add_row(data + pixel * channels, data, channels, &t);
  merge_tile(s, data, pixels, &t);
}

/* ---- percentiles ------------------------------------------------------------------- */

static uint32_t bin_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  uint32_t step = (bits & 0x7fffffffu) >> STEP_SHIFT;
  step = step < FIRST_STEP ? 0 : step - FIRST_STEP;
  step = step < STEPS ? step : STEPS - 1;
  return bits >> 31 ? STEPS - 1 - step : STEPS + step;
}

/* Return the start of a bin, which is also the end of the previous one. */
static double bin_start(uint32_t bin) {
  const uint32_t step = bin < STEPS ? STEPS - bin : bin - STEPS;
  const double fraction = (double)(step & ((1u << STEP_BITS) - 1)) / (1 << STEP_BITS);
  const double size = step == 0 ? 0 : ldexp(1 + fraction, (int)(step >> STEP_BITS) - EXPONENTS);
  return bin < STEPS ? -size : size;
}

static size_t stride_of(size_t values) {
  static const size_t strides[] = {1, 127, 509, 2039};
  static const size_t limits[] = {1024, 1 << 16, 1 << 18, 1 << 20};
  for (size_t i = 0; i < sizeof strides / sizeof strides[0]; i++)
    if (values <= limits[i]) return strides[i];
  return 8191;
}

static void count_bins(response_sums *s, const float *data, size_t values) {
  const size_t stride = stride_of(values);
  for (size_t i = s->next % stride; i < values; i += stride) {
    s->bins[bin_of(data[i])]++;
    s->binned++;
  }
}

static double percentile(const response_sums *s, double rank) {
  const double wanted = rank / 100 * (double)s->binned;
  double below = 0;
  uint32_t bin = 0;
  while (bin + 1 < BINS && below + (double)s->bins[bin] < wanted) below += (double)s->bins[bin++];
  const double start = bin_start(bin), end = bin_start(bin + 1);
  const double within = s->bins[bin] ? (wanted - below) / (double)s->bins[bin] : 0;
  return start + within * (end - start);
}

/* ---- all of it --------------------------------------------------------------------- */

void response_sums_add(response_sums *s, const float *data, size_t images, size_t pixels) {
  const size_t values = pixels * s->channels;
  for (size_t i = 0; i < images; i++) {
    const float *first = data + i * values;
    for (size_t pixel = 0; pixel < pixels; pixel += TILE_PIXELS) {
      const size_t left = pixels - pixel;
      add_tile(s, first + pixel * s->channels, left < TILE_PIXELS ? left : TILE_PIXELS);
    }
    count_bins(s, first, values);
    s->next++;
  }
}

size_t response_chunk(size_t images) {
  const size_t chunk = images / CHUNKS / MIN_CHUNK * MIN_CHUNK;
  return chunk > MAX_CHUNK ? MAX_CHUNK : chunk < MIN_CHUNK ? MIN_CHUNK : chunk;
}

void response_sums_merge(response_sums *s, const response_sums *other) {
  merge_moments(s, other->values, other->mean, other->deviations);
  s->low += other->low;
  s->binned += other->binned;
  s->min = lesser(s->min, other->min);
  for (uint32_t c = 0; c < s->channels; c++) s->max[c] = greater(s->max[c], other->max[c]);
  for (uint32_t i = 0; i < BINS; i++) s->bins[i] += other->bins[i];
}

void response_sums_summarise(const response_sums *s, response_summary *out) {
  float max = -INFINITY;
  out->values = s->values;
  out->channels = s->channels;
  out->dead = 0;
  for (uint32_t c = 0; c < s->channels; c++) {
    max = greater(max, s->max[c]);
    out->dead += s->values > 0 && s->max[c] <= 0;
  }
  out->mean = s->values ? s->mean : NAN;
  out->std = s->values ? sqrt((s->deviations < 0 ? 0 : s->deviations) / (double)s->values) : NAN;
  out->min = s->values ? (double)s->min : NAN;
  out->max = s->values ? (double)max : NAN;
  out->negative = stats_share(s->low, s->values);
  for (int i = 0; i < RESPONSE_PERCENTILES; i++)
    out->percentiles[i] =
        s->binned ? fmin(out->max, fmax(out->min, percentile(s, response_percentile_ranks[i])))
                  : NAN;
}
