/* Pictures of a comparison's data that a worker holds decoded: each is decoded once, for
 * all that is done with it. */
#ifndef RESNET_CLI_COMPARE_SAMPLE_BATCH_H
#define RESNET_CLI_COMPARE_SAMPLE_BATCH_H

#include "cli/compare/comparison.h"

typedef struct picture_group {
  sample *samples;
  size_t *indices; /* of the pictures in the data */
  size_t count;
} picture_group;

/* With room for `most` pictures. */
picture_group group_allocate(size_t most);
void group_free(picture_group *g);

/* Decode the pictures at places *from on, up to `end`, or as many as may be held at once;
 * *from is the first that was not looked at. order[place] is the index in the data; NULL:
 * the place is. Pictures that have failed are left out, and those that fail now noted. */
void group_load(comparison *c, picture_group *g, const size_t *order, size_t *from, size_t end);

/* Let go of the pixels. */
void group_clear(picture_group *g);

/* Note why a picture cannot be judged, by a net unless that is NULL. */
void fail_picture(comparison *c, size_t index, const net_summary *net, const resnet_error *error);

#endif
