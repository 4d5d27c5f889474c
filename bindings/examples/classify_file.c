/* classify_file MODEL.onnx IMAGE.ppm: label an image file.
 *
 * The library takes pixels, not files: use any decoder. Binary PPM (P6), as here, needs
 * none. */
#include <resnet.h>
#include <stdio.h>

static uint8_t pixels[2048 * 2048 * 3];

/* Read the image into `pixels`. Return 1 if it fits, else 0. */
static int read_ppm(const char *path, resnet_image *image) {
  FILE *file = fopen(path, "rb");
  if (!file) return 0;
  int ok = fscanf(file, "P6 %4u %4u 255", &image->width, &image->height) == 2 && fgetc(file) != EOF;
  size_t size = (size_t)image->width * image->height * 3;
  ok = ok && size <= sizeof pixels && fread(pixels, 1, size, file) == size;
  fclose(file);
  return ok;
}

int main(int argc, char **argv) {
  resnet_model *model = NULL;
  resnet_session *session = NULL;
  resnet_error error = {RESNET_ERROR_IO, "usage: classify_file MODEL.onnx IMAGE.ppm"};
  resnet_image image = {.pixels = pixels, .format = RESNET_PIXELS_RGB};
  resnet_prediction best[3];
  int ok = argc == 3 && read_ppm(argv[2], &image);
  image.stride = (size_t)image.width * 3;
  ok = ok && resnet_model_open(argv[1], NULL, &model, &error) == RESNET_OK &&
       resnet_session_open(model, NULL, &session, &error) == RESNET_OK &&
       resnet_classify(session, &image, 1, 3, best, &error) == RESNET_OK;
  for (int i = 0; ok && i < 3; i++)
    printf("%5.1f %%  %s\n", (double)best[i].score * 100,
           best[i].label ? best[i].label : "no label");
  if (!ok) fprintf(stderr, "%s\n", error.message);
  resnet_session_close(&session);
  resnet_model_close(&model);
  return !ok;
}
