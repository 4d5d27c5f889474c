#include "cli/compare/sample_batch.h"

#include <stdlib.h>

#include "cli/terminal.h"

/* Decoded pictures that a worker holds at once, unless one has more. */
static const size_t group_bytes = (size_t)64 << 20;

picture_group group_allocate(size_t most) {
  return (picture_group){allocate(most, sizeof(sample)), allocate(most, sizeof(size_t)), 0};
}

void group_free(picture_group *g) {
  free(g->samples);
  free(g->indices);
  *g = (picture_group){0};
}

void fail_picture(comparison *c, size_t index, const net_summary *net, const resnet_error *error) {
  char text[2 * RESNET_ERROR_MESSAGE_SIZE];
  if (c->failures[index]) return;
  (void)snprintf(text, sizeof text, "%.200s%s%s", net ? net->model.file : "", net ? ": " : "",
                 error->message);
  c->failures[index] = copy_text(text);
}

void group_load(comparison *c, picture_group *g, const size_t *order, size_t *from, size_t end) {
  size_t held = 0;
  for (g->count = 0; *from < end && held < group_bytes; ++*from) {
    const size_t index = order ? order[*from] : *from;
    sample *s = &g->samples[g->count];
    *s = (sample){0};
    if (c->failures[index]) continue;
    if (!dataset_decode(&c->data, index, &s->pixels, &s->error)) {
      fail_picture(c, index, NULL, &s->error);
      continue;
    }
    held += (size_t)s->pixels.width * s->pixels.height * 3;
    g->indices[g->count++] = index;
  }
}

void group_clear(picture_group *g) {
  for (size_t i = 0; i < g->count; i++) picture_release(&g->samples[i].pixels);
  g->count = 0;
}
