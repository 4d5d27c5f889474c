#include "runtime/image/pixels.h"

#include "loader/base/memory.h"

/* ---- checks ---- */

typedef struct pixel_format {
  const char *name;
  size_t bytes; /* of a pixel in the first plane */
} pixel_format;

static const pixel_format formats[] = {
    [RESNET_PIXELS_RGB] = {"RGB", 3},   [RESNET_PIXELS_BGR] = {"BGR", 3},
    [RESNET_PIXELS_RGBA] = {"RGBA", 4}, [RESNET_PIXELS_BGRA] = {"BGRA", 4},
    [RESNET_PIXELS_GREY] = {"GREY", 1}, [RESNET_PIXELS_NV12] = {"NV12", 1},
    [RESNET_PIXELS_I420] = {"I420", 1},
};

static uint32_t half_up(uint32_t size) { return size / 2 + size % 2; }

/* NV12's chroma rows have the stride of Y and hold two bytes for every two pixels, or for
 * the last odd one. */
static size_t min_stride(const resnet_image *image) {
  if (image->format == RESNET_PIXELS_NV12) return (size_t)half_up(image->width) * 2;
  return image->width * formats[image->format].bytes;
}

resnet_status image_check(const resnet_image *image, resnet_error *error) {
  if (!image || !image->pixels)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "the image's pixels are NULL: pass the address of its first row");
  if (image->width < 1 || image->width > IMAGE_SIDE_MAX || image->height < 1 ||
      image->height > IMAGE_SIDE_MAX)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "the image is %u x %u pixels (height x width): both must be 1 to %d",
                    (unsigned)image->height, (unsigned)image->width, IMAGE_SIDE_MAX);
  size_t format = (size_t)image->format;
  if (format >= sizeof formats / sizeof formats[0])
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "the image's pixel format is %d: use RESNET_PIXELS_RGB (0) to "
                    "RESNET_PIXELS_I420 (%d)",
                    (int)image->format, (int)RESNET_PIXELS_I420);
  size_t row = min_stride(image);
  if (image->stride < row)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "the image's stride is %zu bytes: a row of %u pixels of %s takes at least %zu, "
                    "and the stride is the distance in bytes from one row to the next",
                    image->stride, (unsigned)image->width, formats[format].name, row);
  /* Twice the height bounds all planes of every format. */
  size_t extent;
  if (!mem_size_multiply(image->stride, 2 * (size_t)image->height, &extent) || extent > PTRDIFF_MAX)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "the image's stride is %zu bytes: %u rows of that do not fit into memory; pass "
                    "the distance in bytes from one row to the next",
                    image->stride, (unsigned)image->height);
  return RESNET_OK;
}

/* ---- packed formats ---- */

static void rgb_from_bgr(const uint8_t *in, uint32_t count, uint8_t *out) {
  for (uint32_t i = 0; i < count; i++, in += 3, out += 3) {
    out[0] = in[2];
    out[1] = in[1];
    out[2] = in[0];
  }
}

static void rgb_from_rgba(const uint8_t *in, uint32_t count, uint8_t *out) {
  for (uint32_t i = 0; i < count; i++, in += 4, out += 3) {
    out[0] = in[0];
    out[1] = in[1];
    out[2] = in[2];
  }
}

static void rgb_from_bgra(const uint8_t *in, uint32_t count, uint8_t *out) {
  for (uint32_t i = 0; i < count; i++, in += 4, out += 3) {
    out[0] = in[2];
    out[1] = in[1];
    out[2] = in[0];
  }
}

static void rgb_from_grey(const uint8_t *in, uint32_t count, uint8_t *out) {
  for (uint32_t i = 0; i < count; i++, out += 3) out[0] = out[1] = out[2] = in[i];
}

/* ---- Y'CbCr ---- */

/* Round a 16.16 fixed-point value to 0..255. */
static uint8_t clip_fixed(int32_t value) {
  value += 1 << 15;
  if (value < 0) return 0;
  value >>= 16;
  return value > 255 ? 255 : (uint8_t)value;
}

/* ITU-R BT.601 limited range (Y 16..235, Cb and Cr 16..240), its luma weights 0.299,
 * 0.587, 0.114 solved for R, G, B:
 *   R = 255/219 (Y - 16) + 255/112 (1 - 0.299) (Cr - 128)
 *   G = 255/219 (Y - 16) - 255/112 (1 - 0.114) 0.114/0.587 (Cb - 128)
 *                        - 255/112 (1 - 0.299) 0.299/0.587 (Cr - 128)
 *   B = 255/219 (Y - 16) + 255/112 (1 - 0.114) (Cb - 128)
 * Factors are rounded to 1/65536, the sum to the nearest integer, half up. */
static void rgb_from_yuv(uint8_t y, uint8_t cb, uint8_t cr, uint8_t *out) {
  int32_t luma = 76309 * (y - 16), blue = cb - 128, red = cr - 128;
  out[0] = clip_fixed(luma + 104597 * red);
  out[1] = clip_fixed(luma - 25675 * blue - 53279 * red);
  out[2] = clip_fixed(luma + 132201 * blue);
}

/* Use each chroma sample for its 2 x 2 pixels without interpolation, since cameras do not
 * state where they sample. `step` is the distance from one sample of cb (or cr) to the
 * next. */
static void rgb_from_planes(const uint8_t *luma, const uint8_t *cb, const uint8_t *cr, size_t step,
                            uint32_t x, uint32_t count, uint8_t *out) {
  for (uint32_t i = x; i < x + count; i++, out += 3)
    rgb_from_yuv(luma[i], cb[i / 2 * step], cr[i / 2 * step], out);
}

static void rgb_from_nv12(const resnet_image *image, uint32_t y, uint32_t x, uint32_t count,
                          uint8_t *out) {
  const uint8_t *chroma = image->pixels + image->stride * image->height + image->stride * (y / 2);
  rgb_from_planes(image->pixels + image->stride * y, chroma, chroma + 1, 2, x, count, out);
}

static void rgb_from_i420(const resnet_image *image, uint32_t y, uint32_t x, uint32_t count,
                          uint8_t *out) {
  size_t stride = image->stride / 2 + image->stride % 2;
  const uint8_t *cb = image->pixels + image->stride * image->height;
  const uint8_t *cr = cb + stride * half_up(image->height);
  rgb_from_planes(image->pixels + image->stride * y, cb + stride * (y / 2), cr + stride * (y / 2),
                  1, x, count, out);
}

/* ---- rows ---- */

static const uint8_t *row_rgb(const resnet_image *image, uint32_t y, uint32_t x, uint32_t count,
                              uint8_t *buffer) {
  const uint8_t *in = image->pixels + image->stride * y + x * formats[image->format].bytes;
  switch (image->format) {
  case RESNET_PIXELS_RGB:
    return in;
  case RESNET_PIXELS_BGR:
    rgb_from_bgr(in, count, buffer);
    break;
  case RESNET_PIXELS_RGBA:
    rgb_from_rgba(in, count, buffer);
    break;
  case RESNET_PIXELS_BGRA:
    rgb_from_bgra(in, count, buffer);
    break;
  case RESNET_PIXELS_GREY:
    rgb_from_grey(in, count, buffer);
    break;
  case RESNET_PIXELS_NV12:
    rgb_from_nv12(image, y, x, count, buffer);
    break;
  case RESNET_PIXELS_I420:
    rgb_from_i420(image, y, x, count, buffer);
    break;
  }
  return buffer;
}

/* Pillow's convert("L"): ITU-R BT.601's luma weights in units of 1/65536, rounded. */
static void grey_from_rgb(const uint8_t *in, uint32_t count, uint8_t *out) {
  for (uint32_t i = 0; i < count; i++, in += 3, out += 3) {
    const uint32_t luma = in[0] * 19595u + in[1] * 38470u + in[2] * 7471u + 0x8000u;
    out[0] = out[1] = out[2] = (uint8_t)(luma >> 16);
  }
}

const uint8_t *image_row_rgb(const resnet_image *image, uint32_t y, uint32_t x, uint32_t count,
                             bool grey, uint8_t *buffer) {
  const uint8_t *row = row_rgb(image, y, x, count, buffer);
  if (!grey || image->format == RESNET_PIXELS_GREY) return row;
  grey_from_rgb(row, count, buffer);
  return buffer;
}
