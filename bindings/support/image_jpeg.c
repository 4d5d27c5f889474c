/* The JPEG decoder, on libjpeg-turbo. */
#include "support/image_jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "support/error.h"
#include "support/image.h"
#include "support/image_exif.h"

/* Limits of progressive scans: a file of a few kilobytes can ask for thousands of passes
 * over a large image. Encoders write about ten scans. The largest image may have twice
 * that, smaller ones more. */
enum { MAX_SCANS = 500, MAX_SCANS_OF_LARGEST = 20, MARKER_EXIF = JPEG_APP0 + 1 };

/* All state that must survive longjmp is in one object, so that no local variable is
 * clobbered. */
typedef struct jpeg_reader {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf stopped;
  resnet_error *error;
} jpeg_reader;

_Noreturn static void stop(j_common_ptr jpeg) {
  jpeg_reader *reader = jpeg->client_data;
  char text[JMSG_LENGTH_MAX];
  jpeg->err->format_message(jpeg, text);
  (void)error_set(reader->error, RESNET_ERROR_FORMAT, "damaged JPEG: %s", text);
  longjmp(reader->stopped, 1);
}

/* Treat missing or damaged data as a failure. libjpeg only warns and fills them in, but a
 * label for half an image is wrong. Other warnings, e.g. about stray bytes between
 * markers, do not affect the pixels. */
static void handle_warning(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  jpeg_reader *reader = jpeg->client_data;
  switch (jpeg->err->msg_code) {
  case JWRN_JPEG_EOF:
  case JWRN_HIT_MARKER:
    (void)error_set(reader->error, RESNET_ERROR_FORMAT, "truncated JPEG: its data end too early");
    longjmp(reader->stopped, 1);
  case JWRN_HUFF_BAD_CODE:
  case JWRN_BOGUS_PROGRESSION:
  case JWRN_MUST_RESYNC:
    stop(jpeg);
  default:
    return;
  }
}

static void count_scans(j_common_ptr common) {
  j_decompress_ptr jpeg = (j_decompress_ptr)common;
  jpeg_reader *reader = common->client_data;
  uint64_t scans = (uint64_t)jpeg->input_scan_number;
  uint64_t pixels = (uint64_t)jpeg->image_width * jpeg->image_height;
  if (scans <= MAX_SCANS && scans * pixels <= (uint64_t)MAX_SCANS_OF_LARGEST * IMAGE_MAX_PIXELS)
    return;
  (void)error_set(reader->error, RESNET_ERROR_LIMIT,
                  "the JPEG has too many scans: %llu of %llu pixels", (unsigned long long)scans,
                  (unsigned long long)pixels);
  longjmp(reader->stopped, 1);
}

static int saved_orientation(const jpeg_reader *reader) {
  static const uint8_t tag[] = {'E', 'x', 'i', 'f', 0, 0};
  for (jpeg_saved_marker_ptr marker = reader->jpeg.marker_list; marker; marker = marker->next)
    if (marker->data_length > sizeof tag && memcmp(marker->data, tag, sizeof tag) == 0)
      return image_exif_orientation(marker->data + sizeof tag, marker->data_length - sizeof tag);
  return 1;
}

/* Return a * b / 255, rounded like Pillow's MULDIV255. */
static uint32_t multiply_255(uint32_t a, uint32_t b) {
  uint32_t product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/* Convert inverted CMYK to RGB with Pillow's formula: white minus black minus the scaled
 * ink. */
static void cmyk_to_rgb(const uint8_t *cmyk, uint8_t *rgb, uint32_t width) {
  for (uint32_t x = 0; x < width; x++, cmyk += 4, rgb += 3) {
    uint32_t light = cmyk[3];
    for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)(light - multiply_255(255u - cmyk[c], light));
  }
}

static void read_rows(jpeg_reader *reader, image_rgb *out) {
  j_decompress_ptr jpeg = &reader->jpeg;
  size_t stride = (size_t)out->width * 3;
  bool inked = jpeg->out_color_space == JCS_CMYK;
  JSAMPROW inks = NULL;
  if (inked) inks = jpeg->mem->alloc_large((j_common_ptr)jpeg, JPOOL_IMAGE, (size_t)out->width * 4);
  while (jpeg->output_scanline < jpeg->output_height) {
    uint8_t *row = out->pixels + jpeg->output_scanline * stride;
    JSAMPROW target = inked ? inks : row;
    (void)jpeg_read_scanlines(jpeg, &target, 1);
    if (inked) cmyk_to_rgb(inks, row, out->width);
  }
}

static bool choose_colours(jpeg_reader *reader) {
  j_decompress_ptr jpeg = &reader->jpeg;
  int channels = jpeg->num_components;
  if (channels != 1 && channels != 3 && channels != 4)
    return error_set(reader->error, RESNET_ERROR_UNSUPPORTED,
                     "the JPEG has %d channels; 1, 3 and 4 are accepted", channels);
  jpeg->out_color_space = channels == 4 ? JCS_CMYK : JCS_RGB;
  return true;
}

static void set_up(jpeg_reader *reader) {
  reader->jpeg.err = jpeg_std_error(&reader->errors);
  reader->errors.error_exit = stop;
  reader->errors.emit_message = handle_warning;
  reader->jpeg.client_data = reader;
}

static bool read_pixels(jpeg_reader *reader, image_rgb *out, int *orientation) {
  j_decompress_ptr jpeg = &reader->jpeg;
  reader->progress.progress_monitor = count_scans;
  jpeg->progress = &reader->progress;
  jpeg_save_markers(jpeg, MARKER_EXIF, 0xffff);
  (void)jpeg_read_header(jpeg, TRUE);
  *orientation = saved_orientation(reader);
  if (!choose_colours(reader)) return false;
  if (!image_allocate(out, jpeg->image_width, jpeg->image_height, reader->error)) return false;
  (void)jpeg_start_decompress(jpeg);
  read_rows(reader, out);
  /* Read up to the end marker: a file cut after its last row counts as truncated. */
  (void)jpeg_finish_decompress(jpeg);
  return true;
}

/* Only this function returns from setjmp twice. It uses only its parameters and *reader.
 */
static bool read_guarded(jpeg_reader *reader, const uint8_t *bytes, size_t size, image_rgb *out,
                         int *orientation) {
  if (setjmp(reader->stopped)) return false;
  jpeg_create_decompress(&reader->jpeg);
  jpeg_mem_src(&reader->jpeg, bytes, (unsigned long)size);
  return read_pixels(reader, out, orientation);
}

bool image_decode_jpeg(const uint8_t *bytes, size_t size, const image_options *options,
                       image_rgb *out, int *orientation, resnet_error *error) {
  (void)options; /* JPEG has 8 bits a channel here */
  jpeg_reader reader;
  memset(&reader, 0, sizeof reader);
  reader.error = error;
  set_up(&reader);
  bool ok = read_guarded(&reader, bytes, size, out, orientation);
  jpeg_destroy_decompress(&reader.jpeg);
  return ok;
}
