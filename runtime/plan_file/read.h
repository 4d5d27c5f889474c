/* A model's own weights, apart from its plan: in a plan file (plan_format.h) that is
 * mapped, or kept for writing one.
 */
#ifndef LIBRESNET_RUNTIME_PLAN_FILE_READ_H
#define LIBRESNET_RUNTIME_PLAN_FILE_READ_H

#include "runtime/plan/plan.h"
#include "runtime/plan_file/key.h"

/* Of one node that has weights. */
typedef struct plan_weights {
  float *weights, *bias; /* not written to where they are mapped */
  size_t weight_count, bias_count;
  /* as plan_weights_checksum has it; 0 where they are not from a file */
  uint64_t checksum;
} plan_weights;

/* What the file has for one op. */
typedef struct plan_packed {
  uint32_t kernel; /* crc32 of its name */
  size_t size;     /* 0: nothing */
  uint64_t checksum;
  uint8_t *data;
} plan_packed;

/* All zero: a model from an .onnx file that was not asked to keep its weights. Immutable
 * once its model is open. */
typedef struct plan_file {
  memory *memory; /* all below was allocated from it */
  /* the whole file, read-only unless it was copied; NULL: there is none, `weights` owns
   * its arrays */
  uint8_t *bytes;
  size_t size;
  bool mapped, borrowed;
  /* as graph_write writes it; part of `bytes`, if there are any */
  uint8_t *graph;
  size_t graph_size;
  plan_weights *weights; /* of the nodes that have any, in their order */
  uint32_t weights_count;
  plan_packed *packed; /* by op; NULL without a file */
  uint32_t packed_count;
  plan_key key; /* under which it was packed */
} plan_file;

/* Map the regular file `path` if it is a plan file, else leave *f all zero: other
 * models are for the loader to open. Fails where it cannot be opened or has more than
 * max_bytes. */
resnet_status plan_file_map(plan_file *f, memory *m, const char *path, uint64_t max_bytes,
                            resnet_error *error);

/* The same for bytes in memory. A copy is taken of them, unless `borrow` says that they
 * stay and they are aligned. */
resnet_status plan_file_take(plan_file *f, memory *m, const void *bytes, size_t size, bool borrow,
                             uint64_t max_bytes, resnet_error *error);

/* Check all of the file but its weights, and make its graph, whose nodes borrow their
 * weights from it. On failure *g is all zero and *f still to be released. */
resnet_status plan_file_read(plan_file *f, graph *g, resnet_error *error);

/* For resnet_model_save: keep `g` as it is and take over its weights, which its nodes
 * borrow from now on. */
resnet_status plan_file_keep(plan_file *f, memory *m, graph *g, resnet_error *error);

/* Release all and zero it; an all-zero one is allowed. Nothing may still use its
 * weights. */
void plan_file_release(plan_file *f);

/* Give each op of the plan its packed weights: the file's where they were packed under
 * this key, else packed here, which `notice` then tells where there is a file. All
 * weights used are verified. */
resnet_status plan_pack(plan *p, const plan_file *f, const plan_options *options, char *notice,
                        size_t size, resnet_error *error);

/* The weights of one node in a file are what they were when it was written, and
 * finite. */
resnet_status plan_weights_verify(const plan_weights *w, resnet_error *error);

/* Over the checksum of the weights and that of the biases. */
uint64_t plan_weights_checksum(const plan_weights *w);

/* Bytes of a node's weights in a file: weights, zeros, bias. False on overflow. */
bool plan_weights_size(const plan_weights *w, uint64_t *size);

/* crc32 of the name of the op's kernel. */
uint32_t plan_kernel_crc(const plan_op *op);

#endif
