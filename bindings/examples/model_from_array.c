/* model_from_array: run a model compiled into the program, e.g. on a device without a
 * file system.
 *
 * CMake converts the ONNX file to the array `resnet20` (resnet_embed_file in
 * cmake/EmbedFile.cmake); `xxd -i` works too. */
#include <resnet.h>
#include <stdio.h>

extern const unsigned char resnet20[];
extern const size_t resnet20_size;

static int describe(const resnet_model *model, resnet_error *error) {
  resnet_model_info info = {.struct_size = sizeof info};
  if (resnet_model_get_info(model, &info, error) != RESNET_OK) return 1;
  printf("%u layers, %u residual blocks, %llu parameters, input %u x %u x %u\n", info.conv_layers,
         info.block_count, (unsigned long long)info.parameters, info.input_height, info.input_width,
         info.input_channels);
  return 0;
}

/* Label a single grey pixel, which is enough to show a prediction. */
static int label_grey(resnet_session *session, resnet_error *error) {
  static const uint8_t grey = 128;
  resnet_image image = {&grey, 1, 1, 1, RESNET_PIXELS_GREY};
  resnet_prediction best;
  if (resnet_classify(session, &image, 1, 1, &best, error) != RESNET_OK) return 1;
  printf("plain grey looks most like: %s\n", best.label ? best.label : "no label");
  return 0;
}

int main(void) {
  resnet_model *model = NULL;
  resnet_session *session = NULL;
  resnet_error error;
  int failed =
      resnet_model_open_memory(resnet20, resnet20_size, NULL, &model, &error) != RESNET_OK ||
      resnet_session_open(model, NULL, &session, &error) != RESNET_OK || describe(model, &error) ||
      label_grey(session, &error);
  if (failed) fprintf(stderr, "%s\n", error.message);
  resnet_session_close(&session);
  resnet_model_close(&model);
  return failed;
}
