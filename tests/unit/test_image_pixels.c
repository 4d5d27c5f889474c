/* Rows of every pixel format as RGB, and the refusal of unreadable images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/image/pixels.h"

/* Return a copy in a block of exactly this size: AddressSanitizer sees a read of one byte
 * too many. */
static uint8_t *exact(const uint8_t *bytes, size_t size) {
  uint8_t *copy = malloc(size);
  assert_non_null(copy);
  memcpy(copy, bytes, size);
  return copy;
}

static void expect_row(const resnet_image *image, uint32_t y, uint32_t x, uint32_t count,
                       const uint8_t *expected) {
  uint8_t *buffer = malloc((size_t)count * 3);
  assert_non_null(buffer);
  assert_memory_equal(image_row_rgb(image, y, x, count, false, buffer), expected,
                      (size_t)count * 3);
  free(buffer);
}

/* Two rows of two pixels, with one byte of padding between them and none after the
 * last. */
static void packed_formats_become_rgb(void **state) {
  (void)state;
  static const uint8_t rgb[] = {1, 2, 3, 4, 5, 6, 99, 7, 8, 9, 10, 11, 12};
  static const uint8_t bgr[] = {3, 2, 1, 6, 5, 4, 99, 9, 8, 7, 12, 11, 10};
  static const uint8_t rgba[] = {1, 2, 3, 0, 4, 5, 6, 255, 99, 7, 8, 9, 0, 10, 11, 12, 50};
  static const uint8_t bgra[] = {3, 2, 1, 0, 6, 5, 4, 255, 99, 9, 8, 7, 0, 12, 11, 10, 50};
  static const struct {
    resnet_pixels format;
    size_t stride, size;
    const uint8_t *bytes;
  } cases[] = {
      {RESNET_PIXELS_RGB, 7, sizeof rgb, rgb},
      {RESNET_PIXELS_BGR, 7, sizeof bgr, bgr},
      {RESNET_PIXELS_RGBA, 9, sizeof rgba, rgba},
      {RESNET_PIXELS_BGRA, 9, sizeof bgra, bgra},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint8_t *pixels = exact(cases[i].bytes, cases[i].size);
    resnet_image image = {pixels, 2, 2, cases[i].stride, cases[i].format};
    assert_int_equal(image_check(&image, NULL), RESNET_OK);
    expect_row(&image, 0, 0, 2, (const uint8_t[]){1, 2, 3, 4, 5, 6});
    expect_row(&image, 1, 0, 2, (const uint8_t[]){7, 8, 9, 10, 11, 12});
    expect_row(&image, 1, 1, 1, (const uint8_t[]){10, 11, 12});
    free(pixels);
  }
}

static void rgb_is_not_copied(void **state) {
  (void)state;
  static const uint8_t pixels[6] = {1, 2, 3, 4, 5, 6};
  resnet_image image = {pixels, 2, 1, 6, RESNET_PIXELS_RGB};
  assert_ptr_equal(image_row_rgb(&image, 0, 1, 1, false, NULL), pixels + 3);
}

static void grey_is_repeated(void **state) {
  (void)state;
  uint8_t *pixels = exact((const uint8_t[]){0, 128, 255, 9, 1, 2, 3}, 7);
  resnet_image image = {pixels, 3, 2, 4, RESNET_PIXELS_GREY};
  expect_row(&image, 0, 1, 2, (const uint8_t[]){128, 128, 128, 255, 255, 255});
  expect_row(&image, 1, 2, 1, (const uint8_t[]){3, 3, 3});
  free(pixels);
}

/* The corners of BT.601's colour bars at full amplitude, within one step. Y, Cb, Cr are
 * as listed in the standard. */
static void yuv_gives_the_colour_bars(void **state) {
  (void)state;
  static const uint8_t bars[][6] = {
      {235, 128, 128, 255, 255, 255}, {210, 16, 146, 255, 255, 0},  {170, 166, 16, 0, 255, 255},
      {145, 54, 34, 0, 255, 0},       {106, 202, 222, 255, 0, 255}, {81, 90, 240, 255, 0, 0},
      {41, 240, 110, 0, 0, 255},      {16, 128, 128, 0, 0, 0},      {0, 128, 128, 0, 0, 0},
      {255, 128, 128, 255, 255, 255},
  };
  for (size_t i = 0; i < sizeof bars / sizeof bars[0]; i++) {
    uint8_t *pixels = exact(bars[i], 3), rgb[3];
    resnet_image image = {pixels, 1, 1, 1, RESNET_PIXELS_I420};
    assert_int_equal(image_check(&image, NULL), RESNET_OK);
    image_row_rgb(&image, 0, 0, 1, false, rgb);
    for (int channel = 0; channel < 3; channel++)
      assert_in_range(rgb[channel] + 1, bars[i][3 + channel], bars[i][3 + channel] + 2);
    free(pixels);
  }
}

/* 3 x 3 pixels: chroma has two rows and two columns, the second of each for one pixel
 * only. All luma is 128 (grey 130), so that the strongest red or blue shows which chroma
 * sample a pixel took. */
static const uint8_t red[3] = {255, 39, 130}, blue[3] = {130, 87, 255}, grey[3] = {130, 130, 130};

static void expect_chroma_places(const resnet_image *image) {
  assert_int_equal(image_check(image, NULL), RESNET_OK);
  uint8_t row[9];
  for (uint32_t y = 0; y < 3; y++)
    for (uint32_t x = 0; x < 3; x++) {
      image_row_rgb(image, y, x, 1, false, row);
      const uint8_t *expected = y < 2 ? (x < 2 ? red : grey) : (x < 2 ? grey : blue);
      assert_memory_equal(row, expected, 3);
    }
  image_row_rgb(image, 2, 0, 3, false, row);
  assert_memory_equal(row + 6, blue, 3);
}

static void i420_of_odd_size(void **state) {
  (void)state;
  static const uint8_t planes[] = {
      /* Y: stride 5 */
      128,
      128,
      128,
      9,
      9,
      128,
      128,
      128,
      9,
      9,
      128,
      128,
      128,
      9,
      9,
      /* Cb: stride 3 */
      128,
      128,
      9,
      128,
      240,
      9,
      /* Cr: no padding after the last row */
      240,
      128,
      9,
      128,
      128,
  };
  uint8_t *pixels = exact(planes, sizeof planes);
  resnet_image image = {pixels, 3, 3, 5, RESNET_PIXELS_I420};
  expect_chroma_places(&image);
  free(pixels);
}

static void nv12_of_odd_size(void **state) {
  (void)state;
  static const uint8_t planes[] = {
      /* Y: stride 4, the smallest that two pairs fit into */
      128, 128, 128, 9,   128, 128, 128, 9,   128, 128,
      128, 9,   128, 240, 128, 128, 128, 128, 240, 128, /* Cb Cr Cb Cr */
  };
  uint8_t *pixels = exact(planes, sizeof planes);
  resnet_image image = {pixels, 3, 3, 4, RESNET_PIXELS_NV12};
  expect_chroma_places(&image);
  free(pixels);
}

static void expect_refusal(resnet_image image, const char *named) {
  resnet_error error;
  assert_int_equal(image_check(&image, &error), RESNET_ERROR_ARGUMENT);
  assert_int_equal(error.status, RESNET_ERROR_ARGUMENT);
  if (!strstr(error.message, named)) fail_msg("'%s' does not say '%s'", error.message, named);
  assert_true(strlen(error.message) < RESNET_ERROR_MESSAGE_SIZE - 1);
}

static void malformed_images_are_refused(void **state) {
  (void)state;
  static const uint8_t p[64];
  expect_refusal((resnet_image){NULL, 4, 4, 12, RESNET_PIXELS_RGB}, "NULL");
  expect_refusal((resnet_image){p, 0, 4, 12, RESNET_PIXELS_RGB}, "4 x 0 pixels (height x width)");
  expect_refusal((resnet_image){p, 4, 0, 12, RESNET_PIXELS_RGB}, "0 x 4 pixels (height x width)");
  expect_refusal((resnet_image){p, 65536, 1, 65536 * 3, RESNET_PIXELS_RGB}, "1 x 65536");
  expect_refusal((resnet_image){p, 1, UINT32_MAX, 3, RESNET_PIXELS_RGB}, "1 to 65535");
  expect_refusal((resnet_image){p, 4, 4, 11, RESNET_PIXELS_RGB}, "at least 12");
  expect_refusal((resnet_image){p, 4, 4, 15, RESNET_PIXELS_BGRA}, "at least 16");
  expect_refusal((resnet_image){p, 4, 1, 3, RESNET_PIXELS_GREY}, "at least 4");
  expect_refusal((resnet_image){p, 3, 2, 3, RESNET_PIXELS_NV12}, "at least 4");
  expect_refusal((resnet_image){p, 3, 2, 2, RESNET_PIXELS_I420}, "at least 3");
  expect_refusal((resnet_image){p, 4, 4, 12, (resnet_pixels)7}, "format is 7");
  expect_refusal((resnet_image){p, 4, 65535, SIZE_MAX / 65535, RESNET_PIXELS_RGB}, "do not fit");
  expect_refusal((resnet_image){p, 4, 1, PTRDIFF_MAX, RESNET_PIXELS_RGB}, "do not fit");
  resnet_error error;
  assert_int_equal(image_check(NULL, &error), RESNET_ERROR_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(packed_formats_become_rgb),
      cmocka_unit_test(rgb_is_not_copied),
      cmocka_unit_test(grey_is_repeated),
      cmocka_unit_test(yuv_gives_the_colour_bars),
      cmocka_unit_test(i420_of_odd_size),
      cmocka_unit_test(nv12_of_odd_size),
      cmocka_unit_test(malformed_images_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
