/* The model behind the public handle: immutable once open. */
#ifndef LIBRESNET_RUNTIME_API_MODEL_H
#define LIBRESNET_RUNTIME_API_MODEL_H

#include "runtime/plan_file/read.h"

struct resnet_model {
  memory *memory; /* allocator of the model and its sessions; thread-safe */
  plan plan;
  char *name, *producer;
  uint32_t opset;
  resnet_scores scores;
  char **labels; /* one for each class, or NULL */
  uint32_t label_count;
  bool labels_replaced;     /* the labels are not those of the file */
  resnet_finding *findings; /* warnings first; their messages are the model's */
  uint32_t finding_count;
  resnet_preprocess preprocess;
  resnet_preprocess_source preprocess_source;
  graph_evidence evidence;
  plan_file file;       /* unpacked weights: mapped, or kept to be saved */
  plan_options options; /* of the plan */
  char notice[RESNET_ERROR_MESSAGE_SIZE];
  /* the caller's handle, and one for each open session */
  _Atomic uint32_t references;
};

/* Add a reference, or remove one; the last one releases the model and its allocator. A
 * model is immutable but for the count. */
const resnet_model *model_retain(const resnet_model *model);
void model_release(const resnet_model *model);

/* Make a model of `g`, which was allocated from `m`; the caller still releases `g`. On
 * success the model owns `m`, on failure the caller does. `options` is complete and
 * checked. */
resnet_status model_from_graph(memory *m, graph *g, const resnet_model_options *options,
                               resnet_model **out, resnet_error *error);

/* Do the same with these algorithms (runtime/plan/cost_model.h), one for each
 * convolution; NULL: the cost model chooses. */
resnet_status model_from_graph_with(memory *m, graph *g, const resnet_model_options *options,
                                    const uint32_t *algorithms, resnet_model **out,
                                    resnet_error *error);

/* Prefix the path of the model's plan file, if it is mapped, to a failure's message.
 * Return `status`. */
resnet_status model_name_file(const resnet_model *model, resnet_status status, resnet_error *error);

/* Return how many classes resnet_classify ranks: 0 for an embedding. */
uint32_t model_class_count(const resnet_model *model);

/* Copy options of a caller that may have been built with an older, shorter struct: `to`
 * keeps its defaults where `from` ends. Fail when from->struct_size, the first member, is
 * larger than this library's. NULL copies nothing. `what` names the struct. */
resnet_status model_copy_options(void *to, size_t to_size, const void *from, const char *what,
                                 resnet_error *error);

#endif
