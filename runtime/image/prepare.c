#include "runtime/image/prepare.h"

#include <string.h>

#include "runtime/image/geometry.h"
#include "runtime/image/pixels.h"
#include "runtime/image/presets.h"
#include "runtime/image/resample.h"

/* ---- scratch ---- */

enum scratch_block { SCRATCH_COLUMNS, SCRATCH_ROWS, SCRATCH_RING, SCRATCH_ROW };

void image_scratch_release(image_scratch *scratch) {
  for (size_t i = 0; i < sizeof scratch->block / sizeof scratch->block[0]; i++) {
    mem_release(scratch->memory, scratch->block[i]);
    scratch->block[i] = NULL;
    scratch->size[i] = 0;
  }
}

/* Return a block of at least count * size bytes, contents unset, or NULL without
 * memory. */
static void *scratch_take(image_scratch *scratch, enum scratch_block which, size_t count,
                          size_t size) {
  size_t bytes;
  if (!mem_size_multiply(count, size, &bytes)) return NULL;
  if (bytes <= scratch->size[which]) return scratch->block[which];
  mem_release(scratch->memory, scratch->block[which]);
  scratch->block[which] = mem_allocate(scratch->memory, bytes, 1);
  scratch->size[which] = scratch->block[which] ? bytes : 0;
  return scratch->block[which];
}

/* ---- scaling, row by row ---- */

/* State of resizing one image. Only source pixels that the output needs are converted and
 * resampled. With the column pass first, source rows scaled to the output's width stay in
 * a ring until no output row needs them; with the row pass first nothing is kept. */
typedef struct scaler {
  const resnet_image *image;
  resample_axis columns, rows;
  bool grey; /* the three channels of a pixel are its luma */
  bool rows_first;
  uint32_t origin, width; /* source columns that the output needs */
  int32_t *sums;          /* (max(width,columns.count),3) */
  uint8_t *pixels;        /* (width,3): a row as RGB */
  uint8_t *row;           /* (columns.count,3), for the caller */
  /* (ring_rows,columns.count,3): source row y is at y % ring_rows */
  uint8_t *ring;
  uint32_t ring_rows;
  uint32_t next; /* first source row that is not yet in the ring */
} scaler;

static bool take_axis(resample_axis *axis, const resample_range *range, image_scratch *scratch,
                      enum scratch_block which) {
  uint32_t taps = image_resample_taps(range);
  size_t size = sizeof(resample_span) + taps * sizeof(int32_t);
  resample_span *spans = scratch_take(scratch, which, range->count, size);
  if (!spans) return false;
  int32_t *weights = (int32_t *)(spans + range->count);
  image_resample_weights(range, spans, weights);
  *axis = (resample_axis){range->count, taps, spans, weights};
  return true;
}

static bool take_rows(scaler *s, image_scratch *scratch) {
  size_t widest = s->width > s->columns.count ? s->width : s->columns.count;
  size_t sums_bytes = widest * 3 * sizeof *s->sums;
  s->ring_rows = s->rows.taps < s->image->height ? s->rows.taps : s->image->height;
  if (s->rows_first) s->ring_rows = 0;
  s->ring = scratch_take(scratch, SCRATCH_RING, s->ring_rows, (size_t)s->columns.count * 3);
  s->sums = scratch_take(scratch, SCRATCH_ROW, 1, sums_bytes + 2 * widest * 3);
  if (!s->sums || (!s->ring && s->ring_rows)) return false;
  s->pixels = (uint8_t *)s->sums + sums_bytes;
  s->row = s->pixels + widest * 3;
  return true;
}

/* Return whether Pillow 13 runs the row pass first, where it saves the column pass much
 * work; up to version 12 it never did. With proportions kept, that is the case when an
 * image more than twice as tall as wide is scaled down. */
static bool takes_rows_first(const resample_range *columns, const resample_range *rows) {
  int64_t narrower = (int64_t)columns->in_size - columns->out_size;
  int64_t lower = (int64_t)rows->in_size - rows->out_size;
  return lower > 0 && lower > 2 * narrower;
}

static resnet_status scaler_open(scaler *s, const resnet_image *image, bool grey,
                                 const resample_range *columns, const resample_range *rows,
                                 image_scratch *scratch, resnet_error *error) {
  *s = (scaler){.image = image, .grey = grey, .rows_first = takes_rows_first(columns, rows)};
  if (!take_axis(&s->columns, columns, scratch, SCRATCH_COLUMNS) ||
      !take_axis(&s->rows, rows, scratch, SCRATCH_ROWS))
    return err_no_memory(error, "the resize weights of an image");
  const resample_span *last = &s->columns.spans[columns->count - 1];
  s->origin = s->columns.spans[0].first;
  s->width = last->first + last->count - s->origin;
  s->next = s->rows.spans[0].first;
  return take_rows(s, scratch) ? RESNET_OK : err_no_memory(error, "the rows of an image");
}

/* Write source row y, scaled to the output's width. */
static void scale_width(const scaler *s, uint32_t y, uint8_t *out) {
  const uint8_t *in = image_row_rgb(s->image, y, s->origin, s->width, s->grey, s->pixels);
  image_resample_columns(&s->columns, in, s->origin, out);
}

/* Return source row y as the row pass reads it. */
static const uint8_t *input_row(scaler *s, uint32_t y) {
  if (s->rows_first) return image_row_rgb(s->image, y, s->origin, s->width, s->grey, s->pixels);
  size_t bytes = (size_t)s->columns.count * 3;
  for (; s->next <= y; s->next++) scale_width(s, s->next, s->ring + s->next % s->ring_rows * bytes);
  return s->ring + y % s->ring_rows * bytes;
}

/* Write output row `index`, counted from the first one requested. Call it in order. */
static void scaler_row(scaler *s, uint32_t index, uint8_t *out) {
  const resample_span *span = &s->rows.spans[index];
  if (s->rows.taps == 1) {
    scale_width(s, span->first, out);
    return;
  }
  const int32_t *weights = s->rows.weights + (size_t)index * s->rows.taps;
  size_t size = (size_t)(s->rows_first ? s->width : s->columns.count) * 3;
  uint8_t *mean = s->rows_first ? s->pixels : out;
  image_resample_rows_begin(s->sums, size);
  for (uint32_t i = 0; i < span->count; i++)
    image_resample_rows_add(s->sums, size, input_row(s, span->first + i), weights[i]);
  image_resample_rows_end(s->sums, size, mean);
  if (s->rows_first) image_resample_columns(&s->columns, mean, s->origin, out);
}

resnet_status image_resize_rgb(const uint8_t *in, uint32_t width, uint32_t height, uint8_t *out,
                               uint32_t out_width, uint32_t out_height, resnet_filter filter,
                               image_scratch *scratch, resnet_error *error) {
  resnet_image image = {in, width, height, (size_t)width * 3, RESNET_PIXELS_RGB};
  resnet_status status = image_check(&image, error);
  if (status != RESNET_OK) return status;
  if (out_width < 1 || out_width > IMAGE_SIDE_MAX || out_height < 1 || out_height > IMAGE_SIDE_MAX)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "an image cannot be resized to %u x %u: both must be 1 to %d pixels",
                    (unsigned)out_width, (unsigned)out_height, IMAGE_SIDE_MAX);
  scaler s;
  resample_range columns = {width, out_width, 0, out_width, filter},
                 rows = {height, out_height, 0, out_height, filter};
  status = scaler_open(&s, &image, false, &columns, &rows, scratch, error);
  if (status != RESNET_OK) return status;
  for (uint32_t i = 0; i < out_height; i++) scaler_row(&s, i, out + (size_t)i * out_width * 3);
  return err_clear(error);
}

/* ---- values ---- */

/* The normalised value of each 8-bit value, by output channel, and the channel of RGB
 * that each output channel is read from. */
typedef struct normaliser {
  float values[3][256];
  uint32_t source[3];
} normaliser;

static void normaliser_init(normaliser *n, const resnet_preprocess *preprocess) {
  for (uint32_t channel = 0; channel < 3; channel++) {
    const uint32_t from = preprocess->order == RESNET_ORDER_GREY ? 0 : channel;
    n->source[channel] = preprocess->order == RESNET_ORDER_BGR ? 2 - channel : channel;
    for (int pixel = 0; pixel < 256; pixel++) {
      float unit = (float)pixel / preprocess->scale;
      n->values[channel][pixel] = (unit - preprocess->mean[from]) / preprocess->std[from];
    }
  }
}

/* Write the values of a row; one channel of `rgb` is grey's if all are equal. */
static void normalise(const normaliser *n, const uint8_t *rgb, uint32_t count, uint32_t channels,
                      float *out) {
  if (channels == 1) {
    for (uint32_t i = 0; i < count; i++) out[i] = n->values[0][rgb[i * 3]];
    return;
  }
  for (uint32_t i = 0; i < count; i++, rgb += 3, out += 3) {
    out[0] = n->values[0][rgb[n->source[0]]];
    out[1] = n->values[1][rgb[n->source[1]]];
    out[2] = n->values[2][rgb[n->source[2]]];
  }
}

resnet_status image_prepare(const resnet_image *image, const resnet_preprocess *preprocess,
                            uint32_t height, uint32_t width, uint32_t channels, float *out,
                            image_scratch *scratch, resnet_error *error) {
  scaler s;
  normaliser n;
  resample_range columns, rows;
  resnet_status status = image_check(image, error);
  if (status == RESNET_OK) status = image_check_preprocess(preprocess, channels, error);
  if (status == RESNET_OK)
    status = image_fit(image, preprocess, height, width, &columns, &rows, error);
  if (status != RESNET_OK) return status;
  const bool grey = channels == 1 || preprocess->order == RESNET_ORDER_GREY;
  status = scaler_open(&s, image, grey, &columns, &rows, scratch, error);
  if (status != RESNET_OK) return status;
  normaliser_init(&n, preprocess);
  for (uint32_t i = 0; i < height; i++) {
    scaler_row(&s, i, s.row);
    normalise(&n, s.row, width, channels, out + (size_t)i * width * channels);
  }
  return err_clear(error);
}
