/* Resizes or prepares raw pixels for test_pillow.py.
 *
 *     prepare_image resize WIDTH HEIGHT OUT_WIDTH OUT_HEIGHT FILTER
 *         8-bit RGB in, 8-bit RGB out
 *     prepare_image prepare WIDTH HEIGHT FORMAT STRIDE PRESET RESIZE CROP
 *                           [OUT_WIDTH OUT_HEIGHT]
 *         pixels in, float (h,w,3) out
 *
 *     prepare_image fit WIDTH HEIGHT FORMAT STRIDE FIT FILTER ORDER CHANNELS
 *                       RESIZE_HEIGHT RESIZE_WIDTH CROP_HEIGHT CROP_WIDTH
 *                       OUT_HEIGHT OUT_WIDTH
 *         pixels in, float (h,w,CHANNELS) of 0..255 out; sizes as in resnet_preprocess
 *
 * RESIZE and CROP replace the preset's. The output is CROP x CROP; with CROP 0 it has the
 * size of the resized image, OUT_WIDTH x OUT_HEIGHT. Images pass through stdin and
 * stdout. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/image/prepare.h"

static uint32_t number(const char *text) { return (uint32_t)strtoul(text, NULL, 10); }

static uint8_t *read_pixels(size_t size) {
  uint8_t *pixels = malloc(size ? size : 1);
  if (pixels && fread(pixels, 1, size, stdin) == size && getchar() == EOF) return pixels;
  free(pixels);
  fprintf(stderr, "prepare_image: stdin must hold exactly %zu bytes\n", size);
  return NULL;
}

static int finish(resnet_status status, const resnet_error *error, const void *out, size_t size) {
  if (status != RESNET_OK) {
    fprintf(stderr, "%s: %s\n", resnet_status_string(status), error->message);
    return 1;
  }
  return fwrite(out, 1, size, stdout) == size ? 0 : 1;
}

static int resize(char **argument, image_scratch *scratch) {
  uint32_t width = number(argument[0]), height = number(argument[1]);
  uint32_t out_width = number(argument[2]), out_height = number(argument[3]);
  size_t out_size = (size_t)out_width * out_height * 3;
  uint8_t *in = read_pixels((size_t)width * height * 3), *out = malloc(out_size);
  int result = 1;
  if (in && out) {
    resnet_error error;
    resnet_status status = image_resize_rgb(in, width, height, out, out_width, out_height,
                                            (resnet_filter)number(argument[4]), scratch, &error);
    result = finish(status, &error, out, out_size);
  }
  free(in);
  free(out);
  return result;
}

/* Return the bytes of all planes, counting rows with their full stride. */
static size_t image_bytes(const resnet_image *image) {
  size_t chroma_rows = (image->height + 1) / 2;
  if (image->format == RESNET_PIXELS_NV12) return image->stride * (image->height + chroma_rows);
  if (image->format == RESNET_PIXELS_I420)
    return image->stride * image->height + (image->stride + 1) / 2 * 2 * chroma_rows;
  return image->stride * image->height;
}

/* Read the pixels of `image` and write them prepared. */
static int write_prepared(resnet_image *image, const resnet_preprocess *p, uint32_t height,
                          uint32_t width, uint32_t channels, image_scratch *scratch) {
  resnet_error error;
  size_t out_size = (size_t)width * height * channels * sizeof(float);
  uint8_t *in = read_pixels(image_bytes(image));
  float *out = malloc(out_size);
  int result = 1;
  if (in && out) {
    image->pixels = in;
    result = finish(image_prepare(image, p, height, width, channels, out, scratch, &error), &error,
                    out, out_size);
  }
  free(in);
  free(out);
  return result;
}

static int fit(char **argument, image_scratch *scratch) {
  resnet_image image = {NULL, number(argument[0]), number(argument[1]), number(argument[3]),
                        (resnet_pixels)number(argument[2])};
  const resnet_preprocess p = {.fit = (resnet_fit)number(argument[4]),
                               .filter = (resnet_filter)number(argument[5]),
                               .order = (resnet_channel_order)number(argument[6]),
                               .resize_height = number(argument[8]),
                               .resize_width = number(argument[9]),
                               .crop_height = number(argument[10]),
                               .crop_width = number(argument[11]),
                               .scale = 1,
                               .std = {1, 1, 1}};
  return write_prepared(&image, &p, number(argument[12]), number(argument[13]), number(argument[7]),
                        scratch);
}

static int prepare(int count, char **argument, image_scratch *scratch) {
  resnet_image image = {NULL, number(argument[0]), number(argument[1]), number(argument[3]),
                        (resnet_pixels)number(argument[2])};
  resnet_error error;
  resnet_preprocess preprocess;
  if (resnet_preprocess_preset(argument[4], &preprocess, &error) != RESNET_OK)
    return finish(error.status, &error, NULL, 0);
  const uint32_t side = number(argument[5]), crop = number(argument[6]);
  preprocess.resize_height = preprocess.resize_width = side ? side : RESNET_SIZE_NONE;
  preprocess.crop_height = preprocess.crop_width = crop ? crop : RESNET_SIZE_NONE;
  uint32_t width = count == 9 ? number(argument[7]) : crop;
  uint32_t height = count == 9 ? number(argument[8]) : crop;
  return write_prepared(&image, &preprocess, height, width, 3, scratch);
}

int main(int argc, char **argv) {
  memory m;
  mem_init(&m, NULL, 0);
  image_scratch scratch = {.memory = &m};
  int result = 2;
  if (argc == 7 && strcmp(argv[1], "resize") == 0)
    result = resize(argv + 2, &scratch);
  else if ((argc == 9 || argc == 11) && strcmp(argv[1], "prepare") == 0)
    result = prepare(argc - 2, argv + 2, &scratch);
  else if (argc == 16 && strcmp(argv[1], "fit") == 0)
    result = fit(argv + 2, &scratch);
  else
    fprintf(stderr, "usage: see the top of tests/oracle/prepare_image.c\n");
  image_scratch_release(&scratch);
  return result;
}
