/* Fuzzes image files as the resnet program reads them: decode, turn upright and sometimes
 * classify with a small model. */
#include <resnet.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "image_pieces.h"
#include "support/image.h"

/* The fuzzer's time is better spent on small files. Decode one in RARELY files that claim
 * more than USUAL_PIXELS, and none that claims more than MAX_PIXELS, which would take
 * gigabytes. Always try files that claim more than the limit. */
enum {
  USUAL_PIXELS = 1 << 20,
  MAX_PIXELS = 1 << 24,
  LABELLED_PIXELS = 1 << 14,
  K = 3,
  RARELY = 256
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition) {
  if (!condition) abort();
}

/* Return the one session of this process. */
static resnet_session *shared_session(void) {
  static resnet_model *model;
  static resnet_session *session;
  if (session) return session;
  resnet_session_options options;
  resnet_session_options_init(&options);
  options.threads = 1;
  require(resnet_model_open(SOURCE_DIR "/tests/models/resnet8_option_a.onnx", NULL, &model, NULL) ==
          RESNET_OK);
  require(resnet_session_open(model, &options, &session, NULL) == RESNET_OK);
  return session;
}

/* Return width times height as the header claims; 0: there is no header. */
static uint64_t claimed_pixels(const uint8_t *data, size_t size) {
  static piece pieces[MAX_PIECES];
  if (is_png(data, size))
    return size >= 24 ? (uint64_t)big_endian(data + 16, 4) * big_endian(data + 20, 4) : 0;
  if (!is_jpeg(data, size)) return 0;
  const size_t count = find_segments(data, size, pieces);
  for (size_t i = 0; i < count; i++) {
    const uint8_t marker = data[pieces[i].start + 1], *body = data + pieces[i].body;
    if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xcc &&
        pieces[i].body_end - pieces[i].body >= 5)
      return (uint64_t)big_endian(body + 1, 2) * big_endian(body + 3, 2);
  }
  return 0;
}

static void label(const image_rgb *p) {
  resnet_error error;
  resnet_prediction best[K];
  const resnet_image image = {p->pixels, p->width, p->height, (size_t)p->width * 3,
                              RESNET_PIXELS_RGB};
  const resnet_status status = resnet_classify(shared_session(), &image, 1, K, best, &error);
  require(status == error.status && (status == RESNET_OK) == (error.message[0] == '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  resnet_error error = {0};
  image_rgb p;
  const uint32_t sum = (uint32_t)crc32(0, data, (uInt)size);
  const uint64_t claimed = claimed_pixels(data, size);
  if (claimed > USUAL_PIXELS && claimed <= IMAGE_MAX_PIXELS &&
      (claimed > MAX_PIXELS || sum % RARELY))
    return 0;
  /* the ways to make 16-bit channels 8-bit */
  const image_options options = {
      .depth16 = (image_depth16)(sum / 8 % 3), .low = 100, .high = 40000};
  const bool ok = image_decode(data, size, &options, &p, &error);
  require(ok == (p.pixels != NULL));
  if (!ok) {
    require(error.status != RESNET_OK && error.message[0] &&
            memchr(error.message, '\0', sizeof error.message));
    return 0;
  }
  const uint64_t pixels = (uint64_t)p.width * p.height;
  require(pixels > 0 && pixels <= IMAGE_MAX_PIXELS);
  /* a sanitizer checks that it exists */
  volatile uint8_t last = p.pixels[pixels * 3 - 1];
  (void)last;
  if (pixels <= LABELLED_PIXELS && sum % 8 == 0) label(&p);
  image_release(&p);
  return 0;
}
