#include "cli/raw_scores.h"

#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"

static size_t count_inputs(const loaded_model *m) {
  return (size_t)m->info.input_height * m->info.input_width * m->info.input_channels;
}

void cli_raw_open(raw_scores *r, const loaded_model *m, resnet_session *session, size_t batch) {
  *r = (raw_scores){.model = m, .session = session};
  r->input = cli_allocate(batch * count_inputs(m), sizeof *r->input);
  r->scores = cli_allocate(batch * m->info.score_count, sizeof *r->scores);
}

void cli_raw_close(raw_scores *r) {
  free(r->input);
  free(r->scores);
  *r = (raw_scores){0};
}

/* Prepare the samples without an error, one behind the other. Return their number. */
static size_t prepare(raw_scores *r, sample *samples, size_t count) {
  const size_t inputs = count_inputs(r->model);
  size_t good = 0;
  for (size_t i = 0; i < count; i++) {
    sample *s = &samples[i];
    if (s->error.status != RESNET_OK) continue;
    const resnet_image image = cli_model_image_of(s);
    resnet_error error;
    if (resnet_prepare(r->session, &image, 1, RESNET_LAYOUT_NHWC, r->input + good * inputs,
                       &error) == RESNET_OK)
      good++;
    else
      s->error = error;
  }
  return good;
}

/* Move the scores of the good samples to the places of their samples, last first. */
static void spread(raw_scores *r, const sample *samples, size_t count, size_t good) {
  const size_t columns = r->model->info.score_count;
  for (size_t i = count; i-- > 0 && good > 0;)
    if (samples[i].error.status == RESNET_OK)
      (void)memmove(r->scores + i * columns, r->scores + --good * columns,
                    columns * sizeof *r->scores);
}

void cli_raw_run(raw_scores *r, sample *samples, size_t count) {
  resnet_error error;
  const size_t good = prepare(r, samples, count);
  if (good == 0) return;
  if (resnet_run(r->session, r->input, RESNET_LAYOUT_NHWC, good, r->scores, &error) == RESNET_OK) {
    spread(r, samples, count, good);
    return;
  }
  for (size_t i = 0; i < count; i++)
    if (samples[i].error.status == RESNET_OK) samples[i].error = error;
}
