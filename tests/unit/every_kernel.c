#include "every_kernel.h"

/* Return a network with gates of both kinds, a separate sigmoid, a product of two feature
 * maps and borders other than zeros. */
static buffer gated_network(void) {
  network n = {0};
  begin_network(&n);
  add(&n, "Relu", "c", "r", "");
  add(&n, "GlobalAveragePool", "r", "g1", "");
  add_random(&n, "w1", "2,4,1,1", 1);
  add(&n, "Conv", "g1,w1", "g2", "");
  add(&n, "Relu", "g2", "g3", "");
  add_random(&n, "w2", "4,2,1,1", 2);
  add(&n, "Conv", "g3,w2", "g4", "");
  add(&n, "Sigmoid", "g4", "g5", "");
  add(&n, "Mul", "r,g5", "s", "");
  add(&n, "GlobalAveragePool", "s", "e1", "");
  add_integers(&n, "row", "3", (int64_t[]){0, 1, 4});
  add(&n, "Reshape", "e1,row", "e2", "");
  add_random(&n, "w3", "1,1,3", 3);
  add(&n, "Conv", "e2,w3", "e3", "pads=1,1");
  add(&n, "Sigmoid", "e3", "e4", "");
  add_integers(&n, "column", "4", (int64_t[]){0, 4, 1, 1});
  add(&n, "Reshape", "e4,column", "e5", "");
  add(&n, "Mul", "s,e5", "t", "");
  add(&n, "Sigmoid", "t", "u1", "");
  add(&n, "Mul", "u1,u1", "u", ""); /* Mul(t,u1) would become one op */
  add_integers(&n, "borders", "8", (int64_t[]){0, 0, 1, 2, 0, 0, 2, 1});
  add(&n, "Pad", "u,borders", "v", "mode=reflect");
  add(&n, "GlobalAveragePool", "v", "p", "");
  add(&n, "Flatten", "p", "y", "");
  return finish(&n);
}

/* Return a network with a leaky ReLU, a PReLU, a separate clamp, a separate sub-sampling
 * and log-softmax. */
static buffer remaining_network(void) {
  network n = {0};
  begin_network(&n);
  add(&n, "LeakyRelu", "c", "l", "");
  add_random(&n, "slopes", "4,1,1", 2);
  add(&n, "PRelu", "l,slopes", "q", "");
  add(&n, "MaxPool", "q", "m", "kernel_shape=2,2");
  add_floats(&n, "low", "", (float[]){-0.5F});
  add_floats(&n, "high", "", (float[]){0.25F});
  add(&n, "Clip", "m,low,high", "k", "");
  add_integers(&n, "from", "2", (int64_t[]){0, 0});
  add_integers(&n, "to", "2", (int64_t[]){100, 100});
  add_integers(&n, "axes", "2", (int64_t[]){2, 3});
  add_integers(&n, "steps", "2", (int64_t[]){2, 2});
  add(&n, "Slice", "k,from,to,axes,steps", "half", "");
  add_integers(&n, "channels", "8", (int64_t[]){0, 1, 0, 0, 0, 1, 0, 0});
  add(&n, "Pad", "half,channels", "wide", "");
  add(&n, "GlobalAveragePool", "wide", "p", "");
  add(&n, "Flatten", "p", "f", "");
  add(&n, "LogSoftmax", "f", "y", "axis=1");
  return finish(&n);
}

/* Return a network that ends in a normalised vector of a map's square roots. */
static buffer embedding_network(void) {
  network n = {0};
  begin_network(&n);
  add(&n, "Sigmoid", "c", "s", "");
  add(&n, "Sqrt", "s", "r", "");
  add(&n, "Flatten", "r", "f", "");
  add(&n, "LpNormalization", "f", "y", "axis=1");
  return finish(&n);
}

buffer every_kernel_file(size_t index) {
  switch (index) {
  case 0:
    return plan_read(SOURCE_DIR "/tests/models/resnet8_option_a.onnx");
  case 1:
    return plan_read(SOURCE_DIR "/tests/models/resnet8_option_b.onnx");
  case 2:
    return plan_mixed_network();
  case 3:
    return plan_own_kernels_network();
  case 4:
    return remaining_network();
  case 5:
    return embedding_network();
  default:
    return gated_network();
  }
}

unsigned every_kernel_of(const resnet_model *model) {
  unsigned kernels = 0;
  for (uint32_t i = 0; i < model->plan.op_count; i++) kernels |= 1U << model->plan.ops[i].kernel;
  return kernels;
}
