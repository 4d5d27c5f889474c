#include "cli/compare/sample_batch.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/compare/comparison.h"
#include "cli/dataset.h"
#include "cli/memory.h"
#include "cli/model.h"
#include "support/image.h"

/* Limit for the decoded images that a worker holds; a single image may exceed it. */
static const size_t batch_bytes = (size_t)64 << 20;

sample_batch compare_batch_allocate(size_t max) {
  return (sample_batch){cli_allocate(max, sizeof(sample)), cli_allocate(max, sizeof(size_t)), 0};
}

void compare_batch_free(sample_batch *g) {
  free(g->samples);
  free(g->indices);
  *g = (sample_batch){0};
}

void compare_fail_sample(comparison *c, size_t index, const model_summary *model,
                         const resnet_error *error) {
  char text[2 * RESNET_ERROR_MESSAGE_SIZE];
  if (c->failures[index]) return;
  (void)snprintf(text, sizeof text, "%.200s%s%s", model ? model->loaded.file : "",
                 model ? ": " : "", error->message);
  c->failures[index] = cli_copy_text(text);
}

void compare_batch_load(comparison *c, sample_batch *g, const size_t *order, size_t *from,
                        size_t end) {
  size_t held = 0;
  for (g->count = 0; *from < end && held < batch_bytes; ++*from) {
    const size_t index = order ? order[*from] : *from;
    sample *s = &g->samples[g->count];
    *s = (sample){0};
    if (c->failures[index]) continue;
    if (!cli_dataset_decode(&c->data, index, &s->pixels, &s->error)) {
      compare_fail_sample(c, index, NULL, &s->error);
      continue;
    }
    held += (size_t)s->pixels.width * s->pixels.height * 3;
    g->indices[g->count++] = index;
  }
}

void compare_batch_clear(sample_batch *g) {
  for (size_t i = 0; i < g->count; i++) image_release(&g->samples[i].pixels);
  g->count = 0;
}
