/* Images of a comparison's data that a worker holds decoded: each is decoded once, for
 * all that is done with it. */
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

/* With room for `most` images. */
sample_batch compare_batch_allocate(size_t max);
void compare_batch_free(sample_batch *g);

/* Decode the images at places *from on, up to `end`, or as many as may be held at once;
 * *from is the first that was not looked at. order[place] is the index in the data; NULL:
 * the place is. Images that have failed are left out, and those that fail now noted. */
void compare_batch_load(comparison *c, sample_batch *g, const size_t *order, size_t *from,
                        size_t end);

/* Let go of the pixels. */
void compare_batch_clear(sample_batch *g);

/* Note why an image cannot be evaluated, by a model unless that is NULL. */
void compare_fail_sample(comparison *c, size_t index, const model_summary *model,
                         const resnet_error *error);

#endif
