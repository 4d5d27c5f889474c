/* Decoded images of a worker. Each is decoded once and passed to every model. */
#ifndef RESNET_CLI_COMPARE_SAMPLE_BATCH_H
#define RESNET_CLI_COMPARE_SAMPLE_BATCH_H

#include "cli/compare/comparison.h"
#include "cli/model.h"
#include "resnet.h"

typedef struct sample_batch {
  sample *samples;
  size_t *indices; /* of the images in the data */
  size_t count;
} sample_batch;

/* Return an empty batch with space for `max` images. */
sample_batch compare_batch_allocate(size_t max);
void compare_batch_free(sample_batch *g);

/* Decode the images at places *from to `end` - 1, or fewer if they need much memory,
 * and set *from to the first place that was not reached. order[place] is an image's
 * index in the data; order NULL: the place is the index. Skip images that failed
 * before, and record those that fail now. */
void compare_batch_load(comparison *c, sample_batch *g, const size_t *order, size_t *from,
                        size_t end);

/* Release the pixels. */
void compare_batch_clear(sample_batch *g);

/* Record why an image cannot be evaluated. `model` NULL: the reason is not a model's. */
void compare_fail_sample(comparison *c, size_t index, const model_summary *model,
                         const resnet_error *error);

#endif
