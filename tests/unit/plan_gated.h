/* A model with operators that no ONNX file of the unit tests has, for the tests of plan
 * files. */
#ifndef LIBRESNET_TESTS_PLAN_GATED_H
#define LIBRESNET_TESTS_PLAN_GATED_H

#include "runtime/api/model.h"

/* Its nodes: gates by squeeze-and-excitation and along the channels, borders of each
 * mode, a shortcut that pools. */
enum {
  GATED_REFLECT = 1,
  GATED_STEM,
  GATED_POOL, /* the first block's shortcut */
  GATED_CONV,
  GATED_SQUEEZE,
  GATED_REDUCE,
  GATED_EXPAND,
  GATED_SCALE,
  GATED_ADD,
  GATED_CONSTANT, /* first node of the second block */
  GATED_CONV_2,
  GATED_SQUEEZE_2,
  GATED_CHANNELS,
  GATED_SIGMOID,
  GATED_SCALE_2,
  GATED_ADD_2,
  GATED_EDGE,
  GATED_HEAD,
  GATED_LINEAR,
  GATED_COUNT
};

/* Return a model that can be saved, with two notes and a warning between them. Opening it
 * adds a warning, because its producer is tf2onnx and its preprocessing is unknown. */
resnet_model *gated_model(void);

#endif
