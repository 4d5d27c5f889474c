/* look_inside MODEL.onnx: print the response of every layer to one image, and the
 * prediction without each block.
 *
 * The image is a ramp of greys, since only the comparison of the layers matters. */
#include <math.h>
#include <resnet.h>
#include <stdio.h>

enum { SIDE = 64 };

/* Print the standard deviation of a layer's response, after batch normalisation and
 * before ReLU and addition (Fig. 7 of "Deep Residual Learning"). */
static void print_response(void *user, const resnet_response *response) {
  const resnet_model *model = user;
  resnet_op op = {.struct_size = sizeof op};
  if (response->point != RESNET_POINT_RESPONSE ||
      resnet_plan_op(model, response->op, &op, NULL) != RESNET_OK)
    return;
  const size_t count =
      (size_t)response->batch * response->height * response->width * response->channels;
  double sum = 0, squares = 0;
  for (size_t i = 0; i < count; i++) {
    sum += (double)response->data[i];
    squares += (double)response->data[i] * (double)response->data[i];
  }
  const double mean = sum / (double)count;
  printf("%-24s std %.3f\n", op.name, sqrt(squares / (double)count - mean * mean));
}

static resnet_status look(resnet_model *model, resnet_session *session, const resnet_image *image,
                          resnet_error *error) {
  resnet_prediction best;
  resnet_model_info info = {.struct_size = sizeof info};
  resnet_status status = resnet_model_get_info(model, &info, error);
  if (status == RESNET_OK) status = resnet_session_observe(session, print_response, model, error);
  if (status == RESNET_OK) status = resnet_classify(session, image, 1, 1, &best, error);
  if (status == RESNET_OK) status = resnet_session_observe(session, NULL, NULL, error);
  for (uint32_t i = 0; status == RESNET_OK && i < info.block_count; i++) {
    resnet_block block = {.struct_size = sizeof block};
    status = resnet_plan_block(model, i, &block, error);
    if (status != RESNET_OK) break;
    if (resnet_session_skip(session, i, RESNET_SKIP_BRANCH, 0, error) != RESNET_OK) {
      /* a plain block that changes the shape of its input cannot be removed */
      printf("%s\n", error->message);
      continue;
    }
    status = resnet_classify(session, image, 1, 1, &best, error);
    if (status != RESNET_OK) break;
    printf("without %-16s %s, %.1f %%\n", block.name, best.label ? best.label : "",
           (double)best.score * 100);
    status = resnet_session_skip(session, i, RESNET_SKIP_NONE, 0, error);
  }
  return status;
}

int main(int argc, char **argv) {
  static uint8_t pixels[SIDE * SIDE];
  for (int i = 0; i < SIDE * SIDE; i++) pixels[i] = (uint8_t)(i * 255 / (SIDE * SIDE));
  const resnet_image image = {pixels, SIDE, SIDE, SIDE, RESNET_PIXELS_GREY};
  resnet_model *model = NULL;
  resnet_session *session = NULL;
  resnet_error error = {RESNET_ERROR_ARGUMENT, "usage: look_inside MODEL.onnx"};
  const int ok = argc == 2 && resnet_model_open(argv[1], NULL, &model, &error) == RESNET_OK &&
                 resnet_session_open(model, NULL, &session, &error) == RESNET_OK &&
                 look(model, session, &image, &error) == RESNET_OK;
  if (!ok) fprintf(stderr, "%s\n", error.message);
  resnet_session_close(&session);
  resnet_model_close(&model);
  return !ok;
}
