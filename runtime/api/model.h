/* The model behind the public handle: immutable once open. */
#ifndef LIBRESNET_RUNTIME_API_MODEL_H
#define LIBRESNET_RUNTIME_API_MODEL_H

#include "runtime/plan_file/read.h"

struct resnet_model {
  /* the one allocator: of the model and of its sessions; thread-safe */
  memory *memory;
  plan plan;
  char *name, *producer;
  uint32_t opset;
  char **labels; /* one for each class, or NULL */
  uint32_t label_count;
  resnet_finding *findings; /* warnings first; their messages are the model's */
  uint32_t finding_count;
  resnet_preprocess preprocess;
  resnet_preprocess_source preprocess_source;
  /* its weights besides the plan's: mapped, or kept to be saved */
  plan_file file;
  plan_options options; /* with which the plan was built */
  char notice[RESNET_ERROR_MESSAGE_SIZE];
};

/* Make a model of `g`, which was allocated from `m` and is still to be released by the
 * caller. On success the model owns `m`; on failure the caller does. `options` is
 * complete and checked. */
resnet_status model_from_graph(memory *m, graph *g, const resnet_model_options *options,
                               resnet_model **out, resnet_error *error);

/* Copy options given by a caller that may have been built with an older, shorter struct:
 * `to` keeps its defaults where `from` ends. Fails when struct_size, the first field of
 * both, is none that this library knows. */
resnet_status options_copy(void *to, size_t to_size, const void *from, const char *what,
                           resnet_error *error);

#endif
