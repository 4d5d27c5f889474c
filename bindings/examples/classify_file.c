/* classify_file MODEL.onnx IMAGE.ppm: label an image file.
 *
 * The library takes pixels, not files: use any decoder. Binary PPM (P6), as here, needs
 * none. */
#include <errno.h>
#include <resnet.h>
#include <stdio.h>
#include <string.h>

enum { TOP = 3 };

static uint8_t pixels[2048 * 2048 * 3];

/* Read the image into `pixels`. Return NULL, or what is wrong with the file. */
static const char *read_ppm(FILE *file, resnet_image *image) {
  if (fscanf(file, "P6 %4u %4u 255", &image->width, &image->height) != 2 || fgetc(file) == EOF)
    return "is no binary PPM (P6) with 8 bits a channel; convert it, e.g. with Pillow";
  size_t size = (size_t)image->width * image->height * 3;
  if (size == 0 || size > sizeof pixels) return "has no pixels, or more than 2048 x 2048";
  if (fread(pixels, 1, size, file) != size) return "ends before its last pixel";
  image->stride = (size_t)image->width * 3;
  return NULL;
}

static int open_ppm(const char *path, resnet_image *image) {
  FILE *file = fopen(path, "rb");
  const char *problem = file ? read_ppm(file, image) : strerror(errno);
  if (file) fclose(file);
  if (problem) fprintf(stderr, "classify_file: %s: %s\n", path, problem);
  return problem == NULL;
}

/* Return 1 if the call succeeded, else print its message and return 0. */
static int check(resnet_status status, const resnet_error *error) {
  if (status != RESNET_OK) fprintf(stderr, "classify_file: %s\n", error->message);
  return status == RESNET_OK;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fputs("usage: classify_file MODEL.onnx IMAGE.ppm\n", stderr);
    return 2;
  }
  resnet_model *model = NULL;
  resnet_session *session = NULL;
  resnet_error error;
  resnet_model_info info = {.struct_size = sizeof info};
  resnet_image image = {.pixels = pixels, .format = RESNET_PIXELS_RGB};
  resnet_prediction best[TOP];
  int ok = open_ppm(argv[2], &image) &&
           check(resnet_model_open(argv[1], NULL, &model, &error), &error) &&
           check(resnet_model_get_info(model, &info, &error), &error) &&
           check(resnet_session_open(model, NULL, &session, &error), &error);
  const uint32_t top = info.classes && info.classes < TOP ? info.classes : TOP;
  ok = ok && check(resnet_classify(session, &image, 1, top, best, &error), &error);
  for (uint32_t i = 0; ok && i < top; i++)
    printf("%5.1f %%  %s\n", (double)best[i].score * 100,
           best[i].label ? best[i].label : "no label");
  resnet_session_close(&session);
  resnet_model_close(&model);
  return !ok;
}
