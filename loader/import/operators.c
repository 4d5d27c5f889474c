/* Each operator has one row, or several if an opset changed its inputs or attributes. */
#include "loader/import/operators.h"

#include <string.h>

#include "loader/import/attributes.h"
#include "loader/import/fold_arithmetic.h"
#include "loader/import/fold_constants.h"
#include "loader/import/fold_reduce.h"
#include "loader/import/op_channels.h"
#include "loader/import/op_conv.h"
#include "loader/import/op_elementwise.h"
#include "loader/import/op_gate.h"
#include "loader/import/op_norm.h"
#include "loader/import/op_pad.h"
#include "loader/import/op_pool.h"
#include "loader/import/op_view.h"
#include "loader/import/values.h"
#include "loader/onnx/onnx_parse.h"

enum {
  ANY = INT32_MAX, /* inputs of Concat, Sum, Mean, Max and Min */
  OLDEST = 1,
  NEWEST = ONNX_OPSET_MAX
};

#define CONV_ATTRIBUTES "auto_pad dilations group kernel_shape pads strides"
#define POOL_ATTRIBUTES "auto_pad ceil_mode dilations kernel_shape pads storage_order strides"
#define BATCH_NORM_ATTRIBUTES "epsilon momentum spatial is_test consumed_inputs"

/* Defaults and meanings by opset: onnx/docs/Changelog.md. */
static const op_row rows[] = {
    {"Abs", OLDEST, NEWEST, 1, 1, op_abs, fold_function, "consumed_inputs"},

    {"Add", OLDEST, 6, 2, 2, op_arithmetic, fold_arithmetic, "axis broadcast consumed_inputs"},
    {"Add", 7, NEWEST, 2, 2, op_arithmetic, fold_arithmetic, ""},
    {"And", 7, NEWEST, 2, 2, NULL, fold_arithmetic, ""},
    {"AveragePool", OLDEST, NEWEST, 1, 1, op_average_pool, NULL,
     "auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides"},
    {"BatchNormalization", OLDEST, 13, 5, 5, op_batch_normalization, NULL, BATCH_NORM_ATTRIBUTES},
    {"BatchNormalization", 14, NEWEST, 5, 5, op_batch_normalization, NULL,
     BATCH_NORM_ATTRIBUTES " training_mode"},
    {"Cast", OLDEST, 18, 1, 1, op_cast, fold_cast, "to"},
    {"Cast", 19, NEWEST, 1, 1, op_cast, fold_cast, "to saturate round_mode"},
    {"CastLike", 15, NEWEST, 2, 2, op_cast_like, fold_cast_like, "saturate round_mode"},
    {"Ceil", OLDEST, NEWEST, 1, 1, NULL, fold_function, "consumed_inputs"},
    {"Clip", OLDEST, 10, 1, 1, op_clip, fold_clip, "min max consumed_inputs"},
    {"Clip", 11, NEWEST, 1, 3, op_clip, fold_clip, ""},
    {"Concat", OLDEST, NEWEST, 1, ANY, op_concat, fold_concat, "axis"},
    {"Constant", OLDEST, NEWEST, 0, 0, NULL, fold_constant,
     "value value_float value_floats value_int value_ints"},
    {"ConstantOfShape", 9, NEWEST, 1, 1, NULL, fold_constant_of_shape, "value"},
    {"Conv", OLDEST, NEWEST, 2, 3, op_conv, NULL, CONV_ATTRIBUTES},
    {"Div", OLDEST, 6, 2, 2, op_arithmetic, fold_arithmetic, "axis broadcast consumed_inputs"},
    {"Div", 7, NEWEST, 2, 2, op_arithmetic, fold_arithmetic, ""},
    {"Dropout", OLDEST, 11, 1, 1, op_dropout, op_identity, "ratio is_test consumed_inputs"},
    {"Dropout", 12, NEWEST, 1, 3, op_dropout, op_identity, "seed"},
    {"Equal", 7, NEWEST, 2, 2, NULL, fold_arithmetic, ""},
    {"Exp", OLDEST, NEWEST, 1, 1, NULL, fold_function, "consumed_inputs"},
    {"Expand", 8, NEWEST, 2, 2, op_expand, fold_expand, ""},
    {"Flatten", OLDEST, NEWEST, 1, 1, op_flatten, NULL, "axis"},
    {"Floor", OLDEST, NEWEST, 1, 1, NULL, fold_function, "consumed_inputs"},
    {"Gather", OLDEST, NEWEST, 2, 2, op_gather, fold_gather, "axis"},
    {"GatherND", 11, 11, 2, 2, op_gather_nd, NULL, ""},
    {"GatherND", 12, NEWEST, 2, 2, op_gather_nd, NULL, "batch_dims"},
    {"Gemm", OLDEST, 6, 3, 3, op_gemm, NULL, "alpha beta broadcast transA transB"},
    {"Gemm", 7, NEWEST, 2, 3, op_gemm, NULL, "alpha beta transA transB"},
    {"GlobalAveragePool", OLDEST, NEWEST, 1, 1, op_global_average_pool, NULL, ""},
    {"GlobalMaxPool", OLDEST, NEWEST, 1, 1, op_global_max_pool, NULL, ""},
    {"Greater", 7, NEWEST, 2, 2, NULL, fold_arithmetic, ""},
    {"GreaterOrEqual", 12, NEWEST, 2, 2, NULL, fold_arithmetic, ""},
    {"HardSigmoid", OLDEST, NEWEST, 1, 1, op_hard_sigmoid, NULL, "alpha beta consumed_inputs"},
    {"HardSwish", 14, NEWEST, 1, 1, op_hard_swish, NULL, ""},
    {"Identity", OLDEST, NEWEST, 1, 1, op_identity, op_identity, ""},
    {"LeakyRelu", OLDEST, 5, 1, 1, op_leaky_relu, NULL, "alpha consumed_inputs"},
    {"LeakyRelu", 6, NEWEST, 1, 1, op_leaky_relu, NULL, "alpha"},
    {"Less", 7, NEWEST, 2, 2, NULL, fold_arithmetic, ""},
    {"LessOrEqual", 12, NEWEST, 2, 2, NULL, fold_arithmetic, ""},
    {"Log", OLDEST, NEWEST, 1, 1, op_log, fold_function, "consumed_inputs"},
    {"LogSoftmax", OLDEST, NEWEST, 1, 1, op_softmax, NULL, "axis"},
    {"LpNormalization", OLDEST, NEWEST, 1, 1, op_lp_normalization, NULL, "axis p"},
    {"MatMul", OLDEST, NEWEST, 2, 2, op_matmul, NULL, ""},
    {"Max", OLDEST, NEWEST, 1, ANY, op_min_max, fold_arithmetic, "consumed_inputs"},
    {"MaxPool", OLDEST, NEWEST, 1, 1, op_max_pool, NULL, POOL_ATTRIBUTES},
    {"Mean", OLDEST, NEWEST, 1, ANY, op_mean, fold_arithmetic, "consumed_inputs"},
    {"Min", OLDEST, NEWEST, 1, ANY, op_min_max, fold_arithmetic, "consumed_inputs"},
    {"Mod", 10, NEWEST, 2, 2, NULL, fold_arithmetic, "fmod"},
    {"Mul", OLDEST, 6, 2, 2, op_arithmetic, fold_arithmetic, "axis broadcast consumed_inputs"},
    {"Mul", 7, NEWEST, 2, 2, op_arithmetic, fold_arithmetic, ""},
    {"Neg", OLDEST, NEWEST, 1, 1, op_neg, fold_function, "consumed_inputs"},
    {"Not", OLDEST, NEWEST, 1, 1, NULL, fold_not, ""},
    {"Or", 7, NEWEST, 2, 2, NULL, fold_arithmetic, ""},
    {"PRelu", OLDEST, 5, 2, 2, op_prelu, NULL, "consumed_inputs"},
    {"PRelu", 6, NEWEST, 2, 2, op_prelu, NULL, ""},
    {"Pad", OLDEST, 1, 1, 1, op_pad, NULL, "mode paddings value"},
    {"Pad", 2, 10, 1, 1, op_pad, NULL, "mode pads value"},
    {"Pad", 11, NEWEST, 2, 4, op_pad, NULL, "mode"},
    {"Pow", 7, NEWEST, 2, 2, op_pow, fold_arithmetic, ""},
    {"Range", 11, NEWEST, 3, 3, NULL, fold_range, "stash_type"},
    {"Reciprocal", OLDEST, NEWEST, 1, 1, op_pow, fold_function, "consumed_inputs"},
    {"ReduceL2", OLDEST, 17, 1, 1, op_reduce_norm, fold_reduce, "axes keepdims"},
    {"ReduceL2", 18, NEWEST, 1, 2, op_reduce_norm, fold_reduce, "keepdims noop_with_empty_axes"},
    {"ReduceMax", OLDEST, 17, 1, 1, op_reduce, fold_reduce, "axes keepdims"},
    {"ReduceMax", 18, NEWEST, 1, 2, op_reduce, fold_reduce, "keepdims noop_with_empty_axes"},
    {"ReduceMean", OLDEST, 17, 1, 1, op_reduce, fold_reduce, "axes keepdims"},
    {"ReduceMean", 18, NEWEST, 1, 2, op_reduce, fold_reduce, "keepdims noop_with_empty_axes"},
    {"ReduceMin", OLDEST, 17, 1, 1, NULL, fold_reduce, "axes keepdims"},
    {"ReduceMin", 18, NEWEST, 1, 2, NULL, fold_reduce, "keepdims noop_with_empty_axes"},
    {"ReduceProd", OLDEST, 17, 1, 1, NULL, fold_reduce, "axes keepdims"},
    {"ReduceProd", 18, NEWEST, 1, 2, NULL, fold_reduce, "keepdims noop_with_empty_axes"},
    {"ReduceSum", OLDEST, 12, 1, 1, op_reduce, fold_reduce, "axes keepdims"},
    {"ReduceSum", 13, NEWEST, 1, 2, op_reduce, fold_reduce, "keepdims noop_with_empty_axes"},
    {"ReduceSumSquare", OLDEST, 17, 1, 1, op_reduce_norm, fold_reduce, "axes keepdims"},
    {"ReduceSumSquare", 18, NEWEST, 1, 2, op_reduce_norm, fold_reduce,
     "keepdims noop_with_empty_axes"},
    {"Relu", OLDEST, 5, 1, 1, op_relu, fold_function, "consumed_inputs"},
    {"Relu", 6, NEWEST, 1, 1, op_relu, fold_function, ""},
    {"Reshape", OLDEST, 4, 1, 1, op_reshape, op_reshape, "shape consumed_inputs"},
    {"Reshape", 5, NEWEST, 2, 2, op_reshape, op_reshape, "allowzero"},
    {"Round", 11, NEWEST, 1, 1, NULL, fold_function, ""},
    {"Shape", OLDEST, 14, 1, 1, fold_shape, fold_shape, ""},
    {"Shape", 15, NEWEST, 1, 1, fold_shape, fold_shape, "start end"},
    {"Sigmoid", OLDEST, 5, 1, 1, op_sigmoid, fold_function, "consumed_inputs"},
    {"Sigmoid", 6, NEWEST, 1, 1, op_sigmoid, fold_function, ""},
    {"Slice", OLDEST, 9, 1, 1, op_slice, fold_slice, "axes ends starts"},
    {"Slice", 10, NEWEST, 3, 5, op_slice, fold_slice, ""},
    {"Softmax", OLDEST, NEWEST, 1, 1, op_softmax, NULL, "axis"},
    {"Split", OLDEST, 12, 1, 1, op_split, NULL, "axis split"},
    {"Split", 13, 17, 1, 2, op_split, NULL, "axis"},
    {"Split", 18, NEWEST, 1, 2, op_split, NULL, "axis num_outputs"},
    {"Sqrt", OLDEST, NEWEST, 1, 1, op_pow, fold_function, "consumed_inputs"},
    {"Squeeze", OLDEST, 12, 1, 1, op_squeeze, op_squeeze, "axes"},
    {"Squeeze", 13, NEWEST, 1, 2, op_squeeze, op_squeeze, ""},
    {"Sub", OLDEST, 6, 2, 2, op_arithmetic, fold_arithmetic, "axis broadcast consumed_inputs"},
    {"Sub", 7, NEWEST, 2, 2, op_arithmetic, fold_arithmetic, ""},
    {"Sum", OLDEST, 5, 1, ANY, op_sum, fold_arithmetic, "consumed_inputs"},
    {"Sum", 6, NEWEST, 1, ANY, op_sum, fold_arithmetic, ""},
    {"Tanh", OLDEST, NEWEST, 1, 1, NULL, fold_function, "consumed_inputs"},
    {"Tile", 6, NEWEST, 2, 2, op_tile, fold_tile, ""},
    {"Transpose", OLDEST, NEWEST, 1, 1, op_transpose, fold_transpose, "perm"},
    {"Unsqueeze", OLDEST, 12, 1, 1, op_unsqueeze, op_unsqueeze, "axes"},
    {"Unsqueeze", 13, NEWEST, 2, 2, op_unsqueeze, op_unsqueeze, ""},
    {"Where", 9, NEWEST, 3, 3, NULL, fold_where, ""},
};

#define OTHER_ACTIVATION                                                                           \
  "this activation function is not accepted: ReLU, ReLU6 (Clip), LeakyRelu, PRelu, SiLU (x "       \
  "Sigmoid(x)), HardSigmoid and HardSwish are"
#define AFTER_SCORES                                                                               \
  "the model must end in its scores, of all classes: name the tensor with the scores as the "      \
  "output (options.output)"

#define INSIDE                                                                                     \
  "preprocessing inside the model is not accepted: use the file without it, and describe the "     \
  "preprocessing in the options or the metadata"

enum { ROW_COUNT = sizeof rows / sizeof *rows };

const op_row *op_table(size_t *count) {
  *count = ROW_COUNT;
  return rows;
}

/* Operators that are common in ResNet files but not accepted, with advice for each. */
static const struct {
  const char *name, *advice;
} known_refusals[] = {
    {"QuantizeLinear", "int8 models are not accepted yet: use the fp32 file"},
    {"DequantizeLinear", "int8 models are not accepted yet: use the fp32 file"},
    {"DynamicQuantizeLinear", "int8 models are not accepted yet: use the fp32 file"},
    {"QLinearConv", "int8 models are not accepted yet: use the fp32 file"},
    {"QLinearMatMul", "int8 models are not accepted yet: use the fp32 file"},
    {"ConvInteger", "int8 models are not accepted: use the fp32 file"},
    {"MatMulInteger", "int8 models are not accepted: use the fp32 file"},
    {"If", "control flow is not accepted: export the model without branches"},
    {"Loop", "control flow is not accepted: export the model without loops"},
    {"Scan", "control flow is not accepted: export the model without loops"},
    {"SequenceMap", INSIDE},
    {"CenterCropPad", INSIDE},
    {"ArgMax", AFTER_SCORES},
    {"TopK", AFTER_SCORES},
    {"Elu", OTHER_ACTIVATION},
    {"Celu", OTHER_ACTIVATION},
    {"Selu", OTHER_ACTIVATION},
    {"Gelu", OTHER_ACTIVATION},
    {"Erf", OTHER_ACTIVATION},
    {"Tanh", OTHER_ACTIVATION},
    {"Softplus", OTHER_ACTIVATION},
    {"Mish", OTHER_ACTIVATION},
    {"Swish", OTHER_ACTIVATION},
    {"ThresholdedRelu", OTHER_ACTIVATION},
    {"InstanceNormalization", "group and instance normalisation (BiT, ResNetV2 of TensorFlow Hub) "
                              "are not accepted: use a model with batch normalisation"},
    {"GroupNormalization",
     "group normalisation is not accepted: use a model with batch normalisation"},
    {"LayerNormalization", "layer normalisation (ConvNeXt, transformers) is not accepted: plain "
                           "and residual convolutional models are"},
};

/* Refuse Resize and Upsample: of the input it is preprocessing, of a layer a decoder. */
static resnet_status refuse_resize(const import_context *ctx) {
  const value *x = ctx->node->n_input ? value_find(ctx, ctx->node->input[0]) : NULL;
  if (x && x->kind == VALUE_ACTIVATION && op_comes_from_input(ctx, x->node))
    return unsupported(ctx, "%s", INSIDE);
  return unsupported(ctx,
                     "resizes '%.50s', the output of a layer, as networks for segmentation and "
                     "detection do (U-Net, FPN): those that only get smaller are accepted",
                     x ? x->name : "");
}

/* Return what is known about an operator that is not accepted on activations, or NULL. */
static const char *find_advice(const char *name) {
  for (size_t i = 0; i < sizeof known_refusals / sizeof *known_refusals; i++)
    if (strcmp(known_refusals[i].name, name) == 0) return known_refusals[i].advice;
  return NULL;
}

static resnet_status refuse_unknown_operator(const import_context *ctx) {
  const char *name = onnx_text(ctx->node->op_type), *domain = onnx_text(ctx->node->domain);
  if (!name[0]) return invalid(ctx, "it names no operator: export the model again");
  if (strcmp(name, "Resize") == 0 || strcmp(name, "Upsample") == 0) return refuse_resize(ctx);
  const char *advice = find_advice(name);
  if (advice) return unsupported(ctx, "%s", advice);
  if (strcmp(domain, "com.microsoft") == 0)
    return unsupported(ctx,
                       "operator of domain 'com.microsoft', onnxruntime's own: use the file from "
                       "before its optimiser, or save with ORT_ENABLE_BASIC, without fusion");
  if (!onnx_is_default_domain(domain))
    return unsupported(ctx,
                       "operator of domain '%.40s': only ONNX's own are accepted; inline a "
                       "function of the file (onnx.inliner.inline_local_functions), or export a "
                       "fused one with opset %d or less, without fusion",
                       domain, ONNX_OPSET_MAX);
  return unsupported(ctx, "this operator is not accepted: only those of plain and residual "
                          "convolutional models are; try onnxsim, or export in eval mode");
}

static resnet_status find_row(const import_context *ctx, const op_row **found) {
  const op_row *other = NULL;
  if (!onnx_is_default_domain(ctx->node->domain)) return refuse_unknown_operator(ctx);
  for (size_t i = 0; i < ROW_COUNT; i++) {
    if (strcmp(rows[i].name, onnx_text(ctx->node->op_type)) != 0) continue;
    other = &rows[i];
    if (ctx->opset < rows[i].since || ctx->opset > rows[i].until) continue;
    *found = &rows[i];
    return RESNET_OK;
  }
  if (other)
    return unsupported(ctx,
                       "the model's opset has no such operator (ONNX has it since opset %d): "
                       "export the model again",
                       other->since);
  return refuse_unknown_operator(ctx);
}

/* Find whether all inputs are constants, and whether one is a norm. */
static resnet_status read_kinds(import_context *ctx, bool *constants, bool *norm) {
  *constants = true;
  *norm = false;
  for (size_t i = 0; i < ctx->node->n_input; i++) {
    if (!value_has_input(ctx, i)) continue;
    value *v;
    resnet_status status = value_get(ctx, i, &v);
    if (status != RESNET_OK) return status;
    if (v->kind != VALUE_CONSTANT) *constants = false;
    if (v->kind == VALUE_NORM) *norm = true;
  }
  return RESNET_OK;
}

static resnet_status refuse_input_count(const import_context *ctx, size_t count,
                                        const op_row *row) {
  const char *plural = count == 1 ? "" : "s";
  if (row->inputs_min == row->inputs_max)
    return invalid(ctx, "has %zu input%s: it takes %zu at this opset", count, plural,
                   row->inputs_min);
  return invalid(ctx, "has %zu input%s: %zu to %zu are accepted at this opset", count, plural,
                 row->inputs_min, row->inputs_max);
}

static resnet_status check_input_count(const import_context *ctx, const op_row *row) {
  size_t count = ctx->node->n_input;
  if (count < row->inputs_min || count > row->inputs_max)
    return refuse_input_count(ctx, count, row);
  return RESNET_OK;
}

/* Refuse an operator that takes activations only, or constants only. */
static resnet_status refuse_kind(const import_context *ctx, bool constants) {
  if (constants)
    return unsupported(
        ctx, "reads constants only: it is accepted on activations; run onnxsim on the file");
  const char *advice = find_advice(ctx->node->op_type);
  return unsupported(
      ctx, "%s",
      advice ? advice
             : "is accepted on constants and shapes only, not on activations; try onnxsim");
}

resnet_status op_import_node(import_context *ctx) {
  const op_row *row = NULL;
  bool constants = false, norm = false;
  resnet_status status = import_spend(ctx, ctx->node->n_input + 1, WORK_NODE);
  if (status == RESNET_OK) status = find_row(ctx, &row);
  if (status == RESNET_OK) status = attr_check_names(ctx, row->attributes);
  if (status == RESNET_OK) status = check_input_count(ctx, row);
  if (status == RESNET_OK) status = read_kinds(ctx, &constants, &norm);
  if (status != RESNET_OK) return status;
  if (norm) return op_continue_norm(ctx);
  op_handler handler = constants ? row->fold : row->import;
  if (!handler) return refuse_kind(ctx, constants);
  status = handler(ctx);
  return status == RESNET_OK ? import_spend(ctx, 0, 0) : status;
}
