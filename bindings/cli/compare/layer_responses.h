/* Which responses `resnet compare` gathers of a model, and what it makes of them. */
#ifndef RESNET_CLI_COMPARE_LAYER_RESPONSES_H
#define RESNET_CLI_COMPARE_LAYER_RESPONSES_H

#include "cli/compare/comparison.h"
#include "resnet.h"
#include "support/responses.h"

/* Where a model's responses go. Read by all workers. */
typedef struct response_map {
  const model_summary *model;
  /* (ops,points): index of the response, or RESNET_NO_INDEX: not gathered */
  uint32_t *place;
  /* by response: which one's sums it has: its own, but for an identity shortcut, which is
   * the output of the block before */
  uint32_t *source;
} response_map;

/* Name the model's responses: of every layer that the paper counts its RESPONSE; of every
 * block its OUTPUT, its SHORTCUT and, where no layer ends it, the OUTPUT that its
 * residual branch ends in. Fills model->responses, model->layers and model->blocks, whose
 * numbers are left for later. */
void compare_responses_list(model_summary *model, response_map *map);
void compare_responses_map_release(response_map *map);

/* A set of sums, one for each response of the model. */
response_sums *compare_responses_allocate(const response_map *map);
void compare_responses_release(const response_map *map, response_sums *sums);
void compare_responses_clear(const response_map *map, response_sums *sums, uint64_t next_image);
void compare_responses_merge(const response_map *map, response_sums *sums,
                             const response_sums *other);

/* Add a response, as passed to an observer. */
void compare_responses_add(const response_map *map, response_sums *sums,
                           const resnet_response *response);

/* Fill the numbers of model->responses and the deviations of model->blocks. */
void compare_responses_summarise(model_summary *model, const response_map *map,
                                 const response_sums *sums);

#endif
