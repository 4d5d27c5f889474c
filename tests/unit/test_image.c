/* From image to network input: resize, crop, values, refusals, and the scratch's
 * memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/image/prepare.h"

/* An allocator that counts, and fails after `until_failure` allocations. */
typedef struct counting {
  size_t allocations, live, until_failure;
} counting;

static void *count_allocate(void *context, size_t size) {
  counting *c = context;
  if (c->allocations == c->until_failure) return NULL;
  c->allocations++;
  c->live++;
  return malloc(size);
}

static void count_release(void *context, void *pointer) {
  counting *c = context;
  c->live--;
  free(pointer);
}

typedef struct fixture {
  counting counter;
  memory m;
  image_scratch scratch;
  resnet_error error;
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  if (!f) return 1;
  f->counter.until_failure = SIZE_MAX;
  const resnet_allocator hooks = {&f->counter, count_allocate, count_release};
  mem_init(&f->m, &hooks, 0);
  f->scratch.memory = &f->m;
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  image_scratch_release(&f->scratch);
  size_t live = f->counter.live;
  free(f);
  return live != 0;
}

/* Return a preprocessing that keeps the pixel values, so that the output can be compared
 * as integers. 0: none. */
static resnet_preprocess plain(uint32_t resize, uint32_t crop) {
  resnet_preprocess preprocess;
  assert_int_equal(resnet_preprocess_preset("none", &preprocess, NULL), RESNET_OK);
  preprocess.resize_height = preprocess.resize_width = resize ? resize : RESNET_SIZE_NONE;
  preprocess.crop_height = preprocess.crop_width = crop ? crop : RESNET_SIZE_NONE;
  return preprocess;
}

/* Return an image whose grey value at (y,x) is 16 y + x, for sizes up to 16. */
static resnet_image grid(uint8_t *pixels, uint32_t width, uint32_t height) {
  for (uint32_t y = 0; y < height; y++)
    for (uint32_t x = 0; x < width; x++) pixels[y * width + x] = (uint8_t)(16 * y + x);
  return (resnet_image){pixels, width, height, width, RESNET_PIXELS_GREY};
}

/* ---- resize ------------------------------------------------------------------------ */

static void expect_row(fixture *f, const uint8_t *grey, uint32_t count, const uint8_t *expected,
                       uint32_t out_count) {
  uint8_t in[3 * 16], out[3 * 16];
  assert_true(count <= 16 && out_count <= 16);
  for (uint32_t i = 0; i < 3 * count; i++) in[i] = grey[i / 3];
  assert_int_equal(image_resize_rgb(in, count, 1, out, out_count, 1, RESNET_FILTER_BILINEAR,
                                    &f->scratch, &f->error),
                   RESNET_OK);
  for (uint32_t i = 0; i < 3 * out_count; i++) assert_int_equal(out[i], expected[i / 3]);
  assert_int_equal(image_resize_rgb(in, 1, count, out, 1, out_count, RESNET_FILTER_BILINEAR,
                                    &f->scratch, &f->error),
                   RESNET_OK);
  for (uint32_t i = 0; i < 3 * out_count; i++) assert_int_equal(out[i], expected[i / 3]);
}

/* Weights computed by hand from the triangle filter. */
static void resize_matches_hand_computed_rows(void **state) {
  fixture *f = *state;
  /* 4 to 2: weights 3, 3, 1 of 7 for the left pixel, mirrored for the right */
  expect_row(f, (const uint8_t[]){0, 70, 140, 210}, 4, (const uint8_t[]){50, 160}, 2);
  /* 2 to 4: at quarters between the two, ends kept; 25 and 75 of 0..100 */
  expect_row(f, (const uint8_t[]){0, 100}, 2, (const uint8_t[]){0, 25, 75, 100}, 4);
  /* 2 to 1: the mean, halves rounded up */
  expect_row(f, (const uint8_t[]){0, 255}, 2, (const uint8_t[]){128}, 1);
  /* 1 to many: repeat the one value */
  expect_row(f, (const uint8_t[]){77}, 1, (const uint8_t[]){77, 77, 77, 77, 77}, 5);
  /* same size: unchanged */
  expect_row(f, (const uint8_t[]){9, 200, 3}, 3, (const uint8_t[]){9, 200, 3}, 3);
}

static void resize_refuses_sizes_without_pixels(void **state) {
  fixture *f = *state;
  uint8_t in[3] = {0}, out[3];
  static const uint32_t sizes[][4] = {
      {0, 1, 1, 1}, {1, 0, 1, 1}, {1, 1, 0, 1}, {1, 1, 1, 0}, {1, 1, 65536, 1}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    const uint32_t *s = sizes[i];
    assert_int_equal(image_resize_rgb(in, s[0], s[1], out, s[2], s[3], RESNET_FILTER_BILINEAR,
                                      &f->scratch, &f->error),
                     RESNET_ERROR_ARGUMENT);
    assert_non_null(strstr(f->error.message, "1 to 65535"));
  }
}

/* ---- crop -------------------------------------------------------------------------- */

/* Where torchvision's CenterCrop starts: int(round((size - crop) / 2.0)), halves to
 * even. */
static void crop_starts_where_torchvisions_does(void **state) {
  fixture *f = *state;
  static const uint32_t cases[][3] = {{5, 5, 0}, {6, 5, 0},  {7, 5, 1}, {8, 5, 2},
                                      {9, 5, 2}, {10, 5, 2}, {12, 5, 4}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint32_t size = cases[i][0], crop = cases[i][1], start = cases[i][2];
    uint8_t pixels[16 * 16];
    float out[5 * 5 * 3];
    resnet_image image = grid(pixels, size, 5);
    resnet_preprocess preprocess = plain(0, crop);
    assert_int_equal(image_prepare(&image, &preprocess, crop, crop, 3, out, &f->scratch, &f->error),
                     RESNET_OK);
    assert_true(out[0] == (float)start);
    image = grid(pixels, 5, size);
    assert_int_equal(image_prepare(&image, &preprocess, crop, crop, 3, out, &f->scratch, &f->error),
                     RESNET_OK);
    assert_true(out[0] == (float)(16 * start));
    assert_true(out[5 * 5 * 3 - 1] == (float)(16 * (start + 4) + 4));
  }
}

/* A crop equals the same region of the whole resized image. */
static void crop_equals_part_of_the_whole_image(void **state) {
  fixture *f = *state;
  static const uint32_t sizes[][2] = {{61, 47}, {47, 61}, {20, 16}, {33, 90}, {400, 41}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    uint32_t width = sizes[i][0], height = sizes[i][1], shorter = width < height ? width : height;
    uint32_t whole_width = 30 * width / shorter, whole_height = 30 * height / shorter;
    size_t size = (size_t)width * height * 3;
    uint8_t *pixels = malloc(size);
    float *whole = malloc((size_t)whole_width * whole_height * 3 * sizeof *whole),
          part[24 * 24 * 3];
    assert_true(pixels && whole);
    for (size_t p = 0; p < size; p++) pixels[p] = (uint8_t)(p * p * 31 + p / 7);
    resnet_image image = {pixels, width, height, (size_t)width * 3, RESNET_PIXELS_RGB};
    resnet_preprocess uncut = plain(30, 0), cut = plain(30, 24);
    assert_int_equal(
        image_prepare(&image, &uncut, whole_height, whole_width, 3, whole, &f->scratch, &f->error),
        RESNET_OK);
    assert_int_equal(image_prepare(&image, &cut, 24, 24, 3, part, &f->scratch, &f->error),
                     RESNET_OK);
    uint32_t left = (whole_width - 24) / 2, top = (whole_height - 24) / 2;
    left += (whole_width - 24) % 2 & left % 2;
    top += (whole_height - 24) % 2 & top % 2;
    for (uint32_t y = 0; y < 24; y++)
      assert_memory_equal(part + (size_t)y * 72,
                          whole + ((size_t)(y + top) * whole_width + left) * 3, 72 * sizeof(float));
    free(pixels);
    free(whole);
  }
}

/* ---- values ------------------------------------------------------------------------ */

static void values_are_normalised_in_the_networks_order(void **state) {
  fixture *f = *state;
  static const uint8_t pixel[] = {10, 20, 255};
  resnet_image image = {pixel, 1, 1, 3, RESNET_PIXELS_RGB};
  resnet_preprocess preprocess = {
      .scale = 255.0f, .mean = {0.5f, 0.25f, 0.125f}, .std = {0.3f, 0.7f, 1.1f}};
  float out[3];
  assert_int_equal(image_prepare(&image, &preprocess, 1, 1, 3, out, &f->scratch, &f->error),
                   RESNET_OK);
  for (int i = 0; i < 3; i++) {
    volatile float unit = (float)pixel[i] / 255.0f;
    volatile float centred = unit - preprocess.mean[i];
    assert_true(out[i] == centred / preprocess.std[i]);
  }
  preprocess.order = RESNET_ORDER_BGR;
  assert_int_equal(image_prepare(&image, &preprocess, 1, 1, 3, out, &f->scratch, &f->error),
                   RESNET_OK);
  for (int i = 0; i < 3; i++) {
    volatile float unit = (float)pixel[2 - i] / 255.0f;
    volatile float centred = unit - preprocess.mean[i];
    assert_true(out[i] == centred / preprocess.std[i]);
  }
}

/* All formats that can represent the same image give the same input, resized and
 * cropped. */
static void formats_agree(void **state) {
  fixture *f = *state;
  enum { W = 13, H = 9 };
  uint8_t rgb[W * H * 3], other[W * H * 4];
  for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)(i * 37 + i / 5);
  resnet_image image = {rgb, W, H, W * 3, RESNET_PIXELS_RGB};
  resnet_preprocess preprocess = plain(8, 7);
  float expected[7 * 7 * 3], out[7 * 7 * 3];
  assert_int_equal(image_prepare(&image, &preprocess, 7, 7, 3, expected, &f->scratch, &f->error),
                   RESNET_OK);
  static const resnet_pixels formats[] = {RESNET_PIXELS_BGR, RESNET_PIXELS_RGBA,
                                          RESNET_PIXELS_BGRA};
  for (size_t i = 0; i < 3; i++) {
    size_t step = formats[i] == RESNET_PIXELS_BGR ? 3 : 4,
           red = formats[i] == RESNET_PIXELS_RGBA ? 0 : 2;
    memset(other, 0xee, sizeof other);
    for (size_t p = 0; p < W * H; p++) {
      other[p * step + red] = rgb[p * 3];
      other[p * step + 1] = rgb[p * 3 + 1];
      other[p * step + 2 - red] = rgb[p * 3 + 2];
    }
    image = (resnet_image){other, W, H, W * step, formats[i]};
    assert_int_equal(image_prepare(&image, &preprocess, 7, 7, 3, out, &f->scratch, &f->error),
                     RESNET_OK);
    assert_memory_equal(out, expected, sizeof out);
  }
}

static uint32_t next_random(uint32_t *state, uint32_t below) {
  *state = *state * 1664525u + 1013904223u;
  return (*state >> 8) % below;
}

/* Return the bytes from the first pixel to the last one of the last plane, without
 * padding after it. */
static size_t image_bytes(const resnet_image *image) {
  static const size_t pixel[] = {3, 3, 4, 4, 1};
  size_t columns = (image->width + 1) / 2, rows = (image->height + 1) / 2;
  if (image->format == RESNET_PIXELS_NV12)
    return image->stride * (image->height + rows - 1) + columns * 2;
  if (image->format == RESNET_PIXELS_I420)
    return image->stride * image->height + (image->stride + 1) / 2 * (2 * rows - 1) + columns;
  return image->stride * (image->height - 1) + image->width * pixel[image->format];
}

/* An image of one colour keeps that colour however it is cropped and scaled. Under
 * AddressSanitizer this also shows that nothing beyond the image's last byte is read. 128
 * is the grey level 130 in Y'CbCr. */
static void one_colour_stays_one_colour(void **state) {
  fixture *f = *state;
  uint32_t random = 1;
  for (int i = 0; i < 500; i++) {
    resnet_image image = {.width = 1 + next_random(&random, 70),
                          .height = 1 + next_random(&random, 70)};
    image.format = (resnet_pixels)next_random(&random, 7);
    image.stride = (size_t)(image.width + 1) / 2 * 8 + next_random(&random, 5);
    uint32_t shorter = image.width < image.height ? image.width : image.height;
    uint32_t resize = next_random(&random, 40),
             crop = 1 + next_random(&random, resize ? resize : shorter);
    size_t size = image_bytes(&image), count = (size_t)crop * crop * 3;
    uint8_t *pixels = malloc(size);
    float *out = malloc(count * sizeof *out);
    assert_true(pixels && out);
    memset(pixels, 128, size);
    image.pixels = pixels;
    resnet_preprocess preprocess = plain(resize, crop);
    preprocess.fit = (resnet_fit)next_random(&random, 2);
    preprocess.filter = (resnet_filter)next_random(&random, 3);
    if (resize) preprocess.resize_width += next_random(&random, 30);
    assert_int_equal(image_prepare(&image, &preprocess, crop, crop, 3, out, &f->scratch, &f->error),
                     RESNET_OK);
    float expected = image.format < RESNET_PIXELS_NV12 ? 128.0f : 130.0f;
    for (size_t j = 0; j < count; j++) assert_true(out[j] == expected);
    free(pixels);
    free(out);
  }
}

/* ---- refusals ---------------------------------------------------------------------- */

static void expect_refusal(fixture *f, const resnet_image *image,
                           const resnet_preprocess *preprocess, const char *named) {
  float out[4 * 4 * 3];
  assert_int_equal(image_prepare(image, preprocess, 4, 4, 3, out, &f->scratch, &f->error),
                   RESNET_ERROR_ARGUMENT);
  if (!strstr(f->error.message, named)) fail_msg("'%s' does not say '%s'", f->error.message, named);
  assert_true(strlen(f->error.message) < RESNET_ERROR_MESSAGE_SIZE - 1);
}

static void images_that_do_not_fit_are_refused(void **state) {
  fixture *f = *state;
  uint8_t pixels[16 * 16];
  resnet_image small = grid(pixels, 3, 9), wide = grid(pixels, 8, 4), square = grid(pixels, 4, 4);
  resnet_preprocess none = plain(0, 0), crop = plain(0, 4), shrink = plain(3, 4),
                    other = plain(0, 2);
  expect_refusal(f, &small, &crop,
                 "too small for the centre crop of 4 x 4; set the preprocessing's resize to");
  expect_refusal(f, &square, &shrink, "is 3 x 3 after resize 3 x 3");
  expect_refusal(f, &wide, &none,
                 "becomes 4 x 8 (resize none, crop none), but the model's input is 4 x 4");
  expect_refusal(f, &square, &other, "becomes 2 x 2");
  expect_refusal(f, &(resnet_image){NULL, 4, 4, 4, RESNET_PIXELS_GREY}, &none, "NULL");
  expect_refusal(f, &square, NULL, "NULL");
  assert_int_equal(f->counter.allocations, 0);
}

static void impossible_preprocessing_is_refused(void **state) {
  fixture *f = *state;
  uint8_t pixels[16];
  resnet_image image = grid(pixels, 4, 4);
  volatile float zero = 0.0f;
  float nan = zero / zero, infinity = 1.0f / zero;
  const float bad[] = {0.0f, -1.0f, nan, infinity};
  for (size_t i = 0; i < 4; i++) {
    resnet_preprocess scale = plain(0, 0), deviation = plain(0, 0);
    scale.scale = bad[i];
    deviation.std[2] = bad[i];
    expect_refusal(f, &image, &scale, "scale is");
    expect_refusal(f, &image, &deviation, "std[2] is");
  }
  resnet_preprocess mean = plain(0, 0), order = plain(0, 0), resize = plain(65536, 4),
                    crop = plain(4, UINT32_MAX - 1);
  mean.mean[1] = nan;
  order.order = (resnet_channel_order)3;
  expect_refusal(f, &image, &mean, "mean[1] is");
  expect_refusal(f, &image, &order, "order is 3");
  expect_refusal(f, &image, &resize, "resize is 65536");
  expect_refusal(f, &image, &crop, "crop is 4294967294");
}

/* ---- memory ------------------------------------------------------------------------ */

static resnet_status prepare_photo(fixture *f, uint32_t width, uint32_t height,
                                   resnet_pixels format) {
  size_t size = (size_t)width * height * 4;
  uint8_t *pixels = calloc(size, 1);
  float *out = malloc(224 * 224 * 3 * sizeof *out);
  assert_true(pixels && out);
  resnet_image image = {pixels, width, height,
                        (size_t)width * (format == RESNET_PIXELS_RGBA ? 4 : 2), format};
  resnet_preprocess preprocess = plain(256, 224);
  resnet_status status =
      image_prepare(&image, &preprocess, 224, 224, 3, out, &f->scratch, &f->error);
  free(pixels);
  free(out);
  return status;
}

/* Resized as a whole, these would have 256 x 16,776,960 pixels. */
static void thin_images_need_little_memory(void **state) {
  fixture *f = *state;
  assert_int_equal(prepare_photo(f, 1, 65535, RESNET_PIXELS_GREY), RESNET_OK);
  assert_int_equal(prepare_photo(f, 65535, 1, RESNET_PIXELS_GREY), RESNET_OK);
  assert_int_equal(prepare_photo(f, 3, 65535, RESNET_PIXELS_NV12), RESNET_OK);
  assert_int_equal(prepare_photo(f, 65535, 3, RESNET_PIXELS_I420), RESNET_OK);
  assert_true(f->m.peak < 64 * 1024);
}

static void scratch_grows_to_the_largest_image_and_is_reused(void **state) {
  fixture *f = *state;
  assert_int_equal(prepare_photo(f, 300, 260, RESNET_PIXELS_RGBA), RESNET_OK);
  size_t small = f->m.used, first = f->counter.allocations;
  assert_int_equal(prepare_photo(f, 900, 800, RESNET_PIXELS_RGBA), RESNET_OK);
  size_t large = f->m.used, second = f->counter.allocations;
  assert_true(large > small);
  assert_true(second > first);
  assert_int_equal(prepare_photo(f, 300, 260, RESNET_PIXELS_RGBA), RESNET_OK);
  assert_int_equal(prepare_photo(f, 900, 800, RESNET_PIXELS_GREY), RESNET_OK);
  assert_int_equal(f->m.used, large);
  assert_int_equal(f->counter.allocations, second);
  image_scratch_release(&f->scratch);
  assert_int_equal(f->m.used, 0);
  assert_int_equal(prepare_photo(f, 300, 260, RESNET_PIXELS_RGBA), RESNET_OK);
}

static void every_failed_allocation_is_reported(void **state) {
  fixture *f = *state;
  size_t needed = 0;
  for (f->counter.until_failure = 0;; f->counter.until_failure++) {
    f->counter.allocations = 0;
    resnet_status status = prepare_photo(f, 640, 480, RESNET_PIXELS_RGBA);
    if (status == RESNET_OK) break;
    assert_int_equal(status, RESNET_ERROR_MEMORY);
    assert_int_equal(f->error.status, RESNET_ERROR_MEMORY);
    assert_non_null(strstr(f->error.message, "of an image"));
    image_scratch_release(&f->scratch);
    assert_int_equal(f->counter.live, 0);
    needed++;
  }
  assert_int_equal(needed, 4);
}

/* A scratch that failed to grow still works for smaller images. */
static void scratch_survives_a_failure_to_grow(void **state) {
  fixture *f = *state;
  assert_int_equal(prepare_photo(f, 300, 260, RESNET_PIXELS_RGBA), RESNET_OK);
  f->m.budget = f->m.used + 1024;
  assert_int_equal(prepare_photo(f, 3000, 2600, RESNET_PIXELS_RGBA), RESNET_ERROR_MEMORY);
  assert_int_equal(prepare_photo(f, 300, 260, RESNET_PIXELS_RGBA), RESNET_OK);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(resize_matches_hand_computed_rows),
      TEST(resize_refuses_sizes_without_pixels),
      TEST(crop_starts_where_torchvisions_does),
      TEST(crop_equals_part_of_the_whole_image),
      TEST(values_are_normalised_in_the_networks_order),
      TEST(formats_agree),
      TEST(one_colour_stays_one_colour),
      TEST(images_that_do_not_fit_are_refused),
      TEST(impossible_preprocessing_is_refused),
      TEST(thin_images_need_little_memory),
      TEST(scratch_grows_to_the_largest_image_and_is_reused),
      TEST(every_failed_allocation_is_reported),
      TEST(scratch_survives_a_failure_to_grow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
