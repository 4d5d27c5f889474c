/* The PNG decoder, on libpng. */
#include "support/image_png.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "support/error.h"
#include "support/image.h"
#include "support/image_depth.h"
#include "support/image_exif.h"

/* Limits for chunks that are not used here, such as text and profiles, when unpacked. */
enum { MAX_CHUNK_BYTES = 8 << 20, MAX_CHUNKS = 1000 };

/* State that must survive libpng's longjmp. */
typedef struct png_reader {
  png_structp png;
  png_infop info;
  const uint8_t *at;
  size_t left;
  const image_options *options;
  uint8_t *deep; /* 16-bit colours of the whole image, or NULL */
  resnet_error *error;
} png_reader;

_Noreturn static void stop(png_structp png, png_const_charp message) {
  png_reader *reader = png_get_error_ptr(png);
  (void)error_set(reader->error, RESNET_ERROR_FORMAT, "damaged PNG: %s", message);
  png_longjmp(png, 1);
}

/* Warnings concern chunks that do not affect the pixels. */
static void ignore_warning(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static void take_bytes(png_structp png, png_bytep out, size_t size) {
  png_reader *reader = png_get_io_ptr(png);
  if (size > reader->left) {
    (void)error_set(reader->error, RESNET_ERROR_FORMAT, "truncated PNG: its data end too early");
    png_longjmp(png, 1);
  }
  memcpy(out, reader->at, size);
  reader->at += size;
  reader->left -= size;
}

/* Note in out->depth what the file has. Return the number of 16-bit channels that
 * image_depth_reduce converts: 1, 3, or 0 if libpng makes all of them 8-bit. */
static unsigned count_deep(const png_reader *reader, image_rgb *out) {
  const int type = png_get_color_type(reader->png, reader->info);
  const bool colour = type & PNG_COLOR_MASK_COLOR, alpha = type & PNG_COLOR_MASK_ALPHA;
  if (png_get_bit_depth(reader->png, reader->info) != 16) return 0;
  out->depth = (image_depth){.bits = 16, .channels = colour || alpha ? 3 : 1};
  const bool as_pillow = reader->options->depth16 == IMAGE_DEPTH16_CLIP;
  if (as_pillow && out->depth.channels == 3) return 0;
  return colour ? 3 : 1;
}

static void choose_rgb(const png_reader *reader) {
  png_structp png = reader->png;
  int type = png_get_color_type(png, reader->info);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  if (!(type & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png);
}

/* Read the rows; interlaced images take several passes. */
static void read_rows(const png_reader *reader, const image_rgb *out, int passes) {
  const size_t row = (size_t)out->width * (reader->deep ? 6 : 3);
  uint8_t *first = reader->deep ? reader->deep : out->pixels;
  for (int pass = 0; pass < passes; pass++)
    for (uint32_t y = 0; y < out->height; y++) png_read_row(reader->png, first + y * row, NULL);
}

static int saved_orientation(const png_reader *reader) {
  png_uint_32 size = 0;
  png_bytep exif = NULL;
  if (!png_get_eXIf_1(reader->png, reader->info, &size, &exif)) return 1;
  return image_exif_orientation(exif, size);
}

static bool read_pixels(png_reader *reader, image_rgb *out, int *orientation) {
  png_structp png = reader->png;
  png_set_read_fn(png, reader, take_bytes);
  /* image_allocate checks the size, with a better message. */
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_chunk_malloc_max(png, MAX_CHUNK_BYTES);
  png_set_chunk_cache_max(png, MAX_CHUNKS);
  /* A palette index beyond the palette is black, as in Pillow. */
  png_set_check_for_invalid_index(png, 0);
  png_read_info(png, reader->info);
  uint32_t width = png_get_image_width(png, reader->info),
           height = png_get_image_height(png, reader->info);
  if (!image_allocate(out, width, height, reader->error)) return false;
  const unsigned deep = count_deep(reader, out);
  if (deep)
    png_set_strip_alpha(png);
  else
    choose_rgb(reader);
  if (deep == 3) {
    reader->deep = malloc((size_t)width * height * 6);
    if (!reader->deep)
      return error_set(reader->error, RESNET_ERROR_MEMORY, "no memory for the pixels");
  }
  int passes = png_set_interlace_handling(png);
  png_read_update_info(png, reader->info);
  if (png_get_rowbytes(png, reader->info) != (size_t)width * (deep ? 2 * deep : 3))
    png_error(png, "unexpected row size");
  read_rows(reader, out, passes);
  png_read_end(png, reader->info);
  if (deep) image_depth_reduce(deep == 3 ? reader->deep : out->pixels, deep, reader->options, out);
  *orientation = saved_orientation(reader);
  return true;
}

/* Only this function returns from setjmp twice. It uses only its parameters and *reader.
 */
static bool read_guarded(png_reader *reader, image_rgb *out, int *orientation) {
  if (setjmp(png_jmpbuf(reader->png))) return false;
  return read_pixels(reader, out, orientation);
}

static uint32_t big_endian(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Return true if every chunk up to the last is complete in the file. libpng allocates the
 * claimed size of a text chunk, up to 2 GiB, before it reads any of it. A chunk is its
 * length, its type, that many bytes, and a checksum. */
static bool chunks_are_whole(const uint8_t *bytes, size_t size) {
  enum { SIGNATURE = 8, HEADER = 8, CHECKSUM = 4 };
  size_t at = SIGNATURE;
  while (at < size && size - at >= HEADER) {
    const uint32_t length = big_endian(bytes + at);
    if (memcmp(bytes + at + 4, "IEND", 4) == 0) break;
    if (length > size - at - HEADER) return false;
    at += HEADER + (size_t)length + CHECKSUM;
  }
  return true;
}

bool image_decode_png(const uint8_t *bytes, size_t size, const image_options *options,
                      image_rgb *out, int *orientation, resnet_error *error) {
  png_reader reader = {.at = bytes, .left = size, .options = options, .error = error};
  bool ok = false;
  if (!chunks_are_whole(bytes, size))
    return error_set(error, RESNET_ERROR_FORMAT, "truncated PNG: its data end too early");
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, stop, ignore_warning);
  if (reader.png) reader.info = png_create_info_struct(reader.png);
  if (reader.info)
    ok = read_guarded(&reader, out, orientation);
  else
    (void)error_set(error, RESNET_ERROR_MEMORY, "no memory for the PNG decoder");
  png_destroy_read_struct(&reader.png, &reader.info, NULL);
  free(reader.deep);
  return ok;
}
