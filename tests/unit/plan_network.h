/* Networks for the tests of plan files, compiled in memory. */
#ifndef LIBRESNET_TESTS_PLAN_NETWORK_H
#define LIBRESNET_TESTS_PLAN_NETWORK_H

#include "loader_network.h"

/* Return a network of every operator that has weights, and of most others: whole,
 * depthwise and grouped convolutions, option A, a normalisation that cannot be folded,
 * pools, softmax; with labels and preprocessing. */
buffer plan_mixed_network(void);

/* Return a network of every convolution of our own: the stem, all forms of 3x3, products
 * that add a shortcut, and one whose weights forbid them. */
buffer plan_own_kernels_network(void);

/* Return a network with weights of 12 MB in two layers: more than are packed on one
 * thread, and than most caches hold. */
buffer plan_large_network(void);

/* Return a file's content. */
buffer plan_read(const char *path);
void plan_write(const char *path, const buffer *file);

/* Return a path in a folder of this test program's own. */
const char *plan_path(const char *name);

/* Return the plan file of an .onnx file that is opened with these options (NULL: the
 * defaults). */
buffer plan_compile(const buffer *onnx, const resnet_model_options *options);

/* Open bytes that must open. */
resnet_model *plan_open(const buffer *file, const resnet_model_options *options);

/* Run the model once in a session of its own. */
resnet_status plan_run(const resnet_model *model, resnet_error *error);

/* Open the file and run it once. Return the status of the first step that failed. */
resnet_status plan_try(const buffer *file, resnet_error *error);

/* Check that opening or the first run fails with this status and every fragment of the
 * message, separated by '|'. */
void plan_refuse(const buffer *file, resnet_status status, const char *fragments);

/* Return the model's scores for an input of its own size; the caller frees them. */
float *plan_scores(const resnet_model *model, size_t *count);

/* Check that two models compute the same bits. */
void plan_assert_same(const resnet_model *a, const resnet_model *b);

resnet_model_info plan_info(const resnet_model *model);

#endif
