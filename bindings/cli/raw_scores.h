/* The numbers that a model gives for images, as they are. */
#ifndef RESNET_CLI_RAW_SCORES_H
#define RESNET_CLI_RAW_SCORES_H

#include <stddef.h>

#include "cli/model.h"
#include "resnet.h"

/* Buffers for up to `batch` images. */
typedef struct raw_scores {
  const loaded_model *model;
  resnet_session *session;
  float *input;  /* (batch,inputs) */
  float *scores; /* (batch,score_count); of sample i: scores + i * score_count */
} raw_scores;

void cli_raw_open(raw_scores *r, const loaded_model *m, resnet_session *session, size_t batch);
void cli_raw_close(raw_scores *r);

/* Run the model on the samples without an error. A sample that cannot be prepared gets an
 * error. */
void cli_raw_run(raw_scores *r, sample *samples, size_t count);

#endif
