/* classify_camera MODEL.onnx: label the frames of a camera.
 *
 * Frames are RGBA with rows padded to a stride; one session labels the whole stream. The
 * "camera" here paints a ship that sails along the horizon. */
#include <resnet.h>
#include <stdio.h>

enum { WIDTH = 320, HEIGHT = 240, STRIDE = WIDTH * 4 + 64, FRAMES = 3, HORIZON = 140 };

static uint8_t frame[STRIDE * HEIGHT];

typedef struct colour {
  uint8_t r, g, b;
} colour;

static void fill(int left, int top, int right, int bottom, colour c) {
  for (int y = top; y < bottom; y++) {
    for (int x = left; x < right; x++) {
      uint8_t *pixel = frame + (size_t)y * STRIDE + (size_t)x * 4;
      pixel[0] = c.r;
      pixel[1] = c.g;
      pixel[2] = c.b;
      pixel[3] = 255;
    }
  }
}

/* Paint a ship `x` pixels from the left edge: a hull, two decks and a funnel. */
static void paint_ship(int x) {
  for (int row = 0; row < 26; row++) {
    fill(x + row / 2, HORIZON - 6 + row, x + 210 - row, HORIZON - 5 + row, (colour){40, 44, 58});
  }
  fill(x + 30, HORIZON - 22, x + 180, HORIZON - 6, (colour){225, 228, 230});
  fill(x + 50, HORIZON - 40, x + 130, HORIZON - 22, (colour){240, 240, 238});
  fill(x + 84, HORIZON - 64, x + 104, HORIZON - 40, (colour){170, 50, 40});
}

/* Fill `frame` in place of a camera driver. */
static void next_frame(int number) {
  for (int y = 0; y < HEIGHT; y++) {
    uint8_t light = (uint8_t)(y / 4);
    colour sky = {(uint8_t)(150 + light), (uint8_t)(180 + light), 225};
    colour sea = {30, (uint8_t)(110 - light / 2), (uint8_t)(150 - light / 2)};
    fill(0, y, WIDTH, y + 1, y < HORIZON ? sky : sea);
  }
  paint_ship(40 + number * 15);
}

static int run(resnet_session *session, resnet_error *error) {
  for (int i = 0; i < FRAMES; i++) {
    resnet_image image = {frame, WIDTH, HEIGHT, STRIDE, RESNET_PIXELS_RGBA};
    resnet_prediction best;
    next_frame(i);
    if (resnet_classify(session, &image, 1, 1, &best, error) != RESNET_OK) return 1;
    printf("frame %d: %s, %.1f %%\n", i, best.label ? best.label : "no label",
           (double)best.score * 100);
  }
  return 0;
}

int main(int argc, char **argv) {
  resnet_model *model = NULL;
  resnet_session *session = NULL;
  resnet_error error = {RESNET_ERROR_ARGUMENT, "usage: classify_camera MODEL.onnx"};
  resnet_session_options options;
  resnet_session_options_init(&options);
  options.threads = 1; /* leave the other cores to other software */
  int failed = argc != 2 || resnet_model_open(argv[1], NULL, &model, &error) != RESNET_OK ||
               resnet_session_open(model, &options, &session, &error) != RESNET_OK ||
               run(session, &error);
  if (failed) fprintf(stderr, "%s\n", error.message);
  resnet_session_close(&session);
  resnet_model_close(&model);
  return failed;
}
