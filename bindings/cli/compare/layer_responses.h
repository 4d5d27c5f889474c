/* The responses of a model that `resnet compare` observes, and their statistics. */
#ifndef RESNET_CLI_COMPARE_LAYER_RESPONSES_H
#define RESNET_CLI_COMPARE_LAYER_RESPONSES_H

#include "cli/compare/comparison.h"
#include "resnet.h"
#include "support/responses.h"

/* Indices of a model's responses. All workers read it. */
typedef struct response_map {
  const model_summary *model;
  /* (ops,points): index of the response; RESNET_NO_INDEX: not observed */
  uint32_t *place;
  /* by response: index of the response whose sums it uses; another than its own for an
   * identity shortcut, which is the output of the block before */
  uint32_t *source;
} response_map;

/* List the responses to observe: the RESPONSE of each layer that the paper counts; the
 * OUTPUT and the SHORTCUT of each block; and, if a residual branch does not end in a
 * layer, the OUTPUT where it ends. Allocate model->responses, model->layers and
 * model->blocks; compare_responses_summarise fills their statistics. */
void compare_responses_list(model_summary *model, response_map *map);
void compare_responses_map_release(response_map *map);

/* Return sums for each response of the model, for the caller to release. */
response_sums *compare_responses_allocate(const response_map *map);
void compare_responses_release(const response_map *map, response_sums *sums);
void compare_responses_clear(const response_map *map, response_sums *sums, uint64_t next_image);
void compare_responses_merge(const response_map *map, response_sums *sums,
                             const response_sums *other);

/* Add a response that an observer received. */
void compare_responses_add(const response_map *map, response_sums *sums,
                           const resnet_response *response);

/* Fill the statistics of model->responses and the standard deviations of
 * model->blocks. */
void compare_responses_summarise(model_summary *model, const response_map *map,
                                 const response_sums *sums);

#endif
