/* Opening a plan file (format.h), or keeping the weights of an ONNX file to write one. */
#ifndef LIBRESNET_RUNTIME_PLAN_FILE_READ_H
#define LIBRESNET_RUNTIME_PLAN_FILE_READ_H

#include <stdatomic.h>

#include "runtime/plan/plan.h"
#include "runtime/plan_file/key.h"

/* Weights of one node. */
typedef struct plan_file_weights {
  float *weights, *bias; /* read-only if they are mapped */
  size_t weight_count, bias_count;
  uint64_t checksum; /* in the file (plan_file_weights_checksum); 0 without a file */
} plan_file_weights;

/* Packed weights of one op in the file. */
typedef struct plan_file_packed {
  uint32_t kernel; /* CRC-32 of its name */
  size_t size;     /* bytes; 0: none */
  uint64_t checksum;
  uint8_t *data;
  /* the checksum was verified: plan_file_verify_packed. Several sessions may set it. */
  atomic_bool verified;
} plan_file_packed;

/* Weights of a model, unpacked. All zero: a model from an ONNX file that did not keep
 * them. Immutable once the model is open, except for plan_file_packed.verified. */
typedef struct plan_file {
  memory *memory; /* allocator of everything below */
  /* the whole file, read-only unless it was copied; NULL without a file: then `weights`
   * owns its arrays */
  uint8_t *bytes;
  size_t size;
  bool mapped, borrowed;
  char *path;     /* names the file in messages if it is mapped */
  uint8_t *graph; /* as written by graph_write; part of `bytes`, if there is a file */
  size_t graph_size;
  plan_file_weights *weights; /* of the nodes that have any, in their order */
  uint32_t weights_count;
  plan_file_packed *packed; /* by op; NULL without a file */
  uint32_t packed_count;
  plan_file_key key; /* of the packed weights */
  /* one for each convolution and fully connected layer, in the order of nodes
   * (cost_model.h); NULL without a file */
  uint32_t *algorithms;
} plan_file;

/* Map the regular file `path` if it is a plan file. Otherwise leave f->bytes NULL: the
 * loader opens other files, and reports what is wrong with them. Fail if the file cannot
 * be mapped or has more than max_bytes. */
resnet_status plan_file_map(plan_file *f, memory *m, const char *path, uint64_t max_bytes,
                            resnet_error *error);

/* Do the same for bytes in memory. Copy them, unless they are aligned and `borrow` states
 * that they outlive *f. */
resnet_status plan_file_take(plan_file *f, memory *m, const void *bytes, size_t size, bool borrow,
                             uint64_t max_bytes, resnet_error *error);

/* Check everything in the file except its weights, and make its graph, whose nodes borrow
 * their weights from the file. On failure *g is all zero; *f must still be released. */
resnet_status plan_file_read(plan_file *f, graph *g, resnet_error *error);

/* Keep `g` as it is for resnet_model_save. Take over its weights, which its nodes borrow
 * from now on. */
resnet_status plan_file_keep(plan_file *f, memory *m, graph *g, resnet_error *error);

/* Release everything and zero it; an all-zero one is allowed. Nothing may use its weights
 * any more. */
void plan_file_release(plan_file *f);

/* Compute the bytes of a node's weights in a file: weights, zeros, biases. Return false
 * on overflow. */
bool plan_file_weights_size(const plan_file_weights *w, uint64_t *size);

#endif
