#include "fuzz_model.h"

#include <resnet.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET (32u << 20)
/* Above these a net is opened but not run: the fuzzer's time is better spent on other files. */
#define MAX_MACS 1000000u
#define MAX_BYTES (4u << 20)

static void require(int condition) {
  if (!condition) abort();
}

static void check_error(const resnet_error *error, resnet_status status) {
  const size_t length = strnlen(error->message, sizeof error->message);
  require(error->status == status);
  require(length < sizeof error->message);
  require((status == RESNET_OK) == (length == 0));
  for (size_t i = 0; i < length; i++) require((unsigned char)error->message[i] >= 0x20);
}

static void read_plan(const resnet_model *model, const resnet_model_info *info) {
  resnet_error error;
  for (uint32_t i = 0; i < info->op_count; i++) {
    resnet_op op = {.struct_size = sizeof op};
    require(resnet_plan_op(model, i, &op, &error) == RESNET_OK && op.name && op.output && op.kernel && op.detail);
    require(op.block == RESNET_NO_INDEX || op.block < info->block_count);
  }
  for (uint32_t i = 0; i < info->block_count; i++) {
    resnet_block block = {.struct_size = sizeof block};
    require(resnet_plan_block(model, i, &block, &error) == RESNET_OK && block.name);
    require(block.first_op <= block.last_op && block.last_op < info->op_count);
  }
}

static void run(const resnet_model *model, const resnet_model_info *info) {
  resnet_error error;
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_session_options_init(&options);
  options.threads = 1;
  const resnet_status status = resnet_session_open(model, &options, &session, &error);
  check_error(&error, status);
  if (!session) return;
  const size_t floats = (size_t)info->input_channels * info->input_height * info->input_width;
  float *input = malloc(floats * sizeof(float));
  float *scores = malloc(info->classes * sizeof(float));
  if (input && scores) {
    for (size_t i = 0; i < floats; i++) input[i] = 0.5f;
    require(resnet_run(session, input, RESNET_LAYOUT_NCHW, 1, scores, &error) == RESNET_OK);
  }
  free(scores);
  free(input);
  resnet_session_close(&session);
}

bool fuzz_model(const uint8_t *data, size_t size) {
  resnet_error error;
  resnet_model *model = NULL;
  resnet_model_options options;
  resnet_model_options_init(&options);
  options.max_memory_bytes = BUDGET;
  const resnet_status status = resnet_model_open_memory(data, size, &options, &model, &error);
  check_error(&error, status);
  require((status == RESNET_OK) == (model != NULL));
  if (!model) return false;
  resnet_model_info info = {.struct_size = sizeof info};
  require(resnet_model_get_info(model, &info, &error) == RESNET_OK);
  read_plan(model, &info);
  if (info.macs <= MAX_MACS && info.arena_bytes <= MAX_BYTES && info.weights_bytes <= MAX_BYTES) run(model, &info);
  resnet_model_close(&model);
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_model(data, size);
  return 0;
}
