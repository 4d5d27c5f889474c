/* The PNG encoder, on libpng: 8-bit RGB, row by row. */
#include "support/image_png_write.h"

#include <setjmp.h>
#include <stdlib.h>

#include <png.h>

#include "support/error.h"
#include "support/image.h"

/* State that must survive libpng's longjmp. */
typedef struct png_writer {
  png_structp png;
  png_infop info;
  FILE *out;
  resnet_error *error;
} png_writer;

_Noreturn static void stop(png_structp png, png_const_charp message) {
  png_writer *writer = png_get_error_ptr(png);
  (void)error_set(writer->error, RESNET_ERROR_IO, "the PNG cannot be written: %s", message);
  png_longjmp(png, 1);
}

/* Write errors stay recorded in the stream; its owner reports them better. */
static void put_bytes(png_structp png, png_bytep bytes, size_t size) {
  const png_writer *writer = png_get_io_ptr(png);
  (void)fwrite(bytes, 1, size, writer->out);
}

static void flush_nothing(png_structp png) { (void)png; }

/* Only this function returns from setjmp twice. It uses only its parameters and what they
 * point to. */
static bool write_guarded(png_writer *writer, uint32_t width, uint32_t height,
                          image_row_maker make_row, void *user, uint8_t *row) {
  png_structp png = writer->png;
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_write_fn(png, writer, put_bytes, flush_nothing);
  png_set_user_limits(png, IMAGE_MAX_SIDE, IMAGE_MAX_SIDE);
  png_set_IHDR(png, writer->info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, writer->info);
  for (uint32_t y = 0; y < height; y++) {
    make_row(user, y, row);
    png_write_row(png, row);
  }
  png_write_end(png, NULL);
  return true;
}

bool image_write_png(FILE *out, uint32_t width, uint32_t height, image_row_maker make_row,
                     void *user, resnet_error *error) {
  png_writer writer = {.out = out, .error = error};
  uint8_t *row = malloc((size_t)width * 3);
  bool ok = false;
  if (row) writer.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &writer, stop, NULL);
  if (writer.png) writer.info = png_create_info_struct(writer.png);
  if (writer.info)
    ok = write_guarded(&writer, width, height, make_row, user, row);
  else
    (void)error_set(error, RESNET_ERROR_MEMORY, "no memory for the PNG encoder");
  png_destroy_write_struct(&writer.png, &writer.info);
  free(row);
  return ok;
}
