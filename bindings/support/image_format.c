#include "support/image_format.h"

#include <string.h>

#include "support/error.h"

#ifdef RESNET_WEBP
#define ACCEPTED "JPEG, PNG and WebP images are accepted"
#else
#define ACCEPTED "JPEG and PNG images are accepted"
#endif

typedef struct magic_row {
  size_t offset;
  const char *magic;
  size_t length;
  image_format format;
} magic_row;

#define MAGIC(offset, text, kind, name)                                                            \
  {                                                                                                \
    offset, text, sizeof(text) - 1, { IMAGE_FORMAT_##kind, name }                                  \
  }

/* The first row that fits counts. */
static const magic_row rows[] = {
    MAGIC(0, "\xff\xd8\xff", JPEG, "a JPEG image"),
    MAGIC(0, "\x89PNG\r\n\x1a\n", PNG, "a PNG image"),
    MAGIC(0, "GIF87a", IMAGE, "a GIF image"),
    MAGIC(0, "GIF89a", IMAGE, "a GIF image"),
    MAGIC(0, "II*\0", IMAGE, "a TIFF image (or a camera's raw file)"),
    MAGIC(0, "MM\0*", IMAGE, "a TIFF image (or a camera's raw file)"),
    MAGIC(0, "II+\0", IMAGE, "a BigTIFF image"),
    MAGIC(0, "MM\0+", IMAGE, "a BigTIFF image"),
    MAGIC(0, "\xff\x0a", IMAGE, "a JPEG XL image"),
    MAGIC(0, "\0\0\0\x0cJXL \r\n\x87\n", IMAGE, "a JPEG XL image"),
    MAGIC(0, "\0\0\0\x0cjP  \r\n\x87\n", IMAGE, "a JPEG 2000 image"),
    MAGIC(0, "\xff\x4f\xff\x51", IMAGE, "a JPEG 2000 image"),
    MAGIC(0, "8BPS", IMAGE, "a Photoshop image (PSD)"),
    MAGIC(0, "gimp xcf", IMAGE, "a GIMP image (XCF)"),
    MAGIC(0, "qoif", IMAGE, "a QOI image"),
    MAGIC(0, "\x76\x2f\x31\x01", IMAGE, "an OpenEXR image"),
    MAGIC(0, "#?RADIANCE", IMAGE, "a Radiance HDR image"),
    MAGIC(0, "#?RGBE", IMAGE, "a Radiance HDR image"),
    MAGIC(0, "DDS ", IMAGE, "a DDS texture"),
    MAGIC(0, "\0\0\1\0", IMAGE, "an icon (ICO)"),
    MAGIC(0, "\0\0\2\0", IMAGE, "a cursor (CUR)"),
    MAGIC(0, "BPG\xfb", IMAGE, "a BPG image"),
    MAGIC(0, "FUJIFILMCCD-RAW", IMAGE, "a camera's raw file (RAF)"),
    MAGIC(0, "SIMPLE  =", IMAGE, "a FITS image"),
    MAGIC(128, "DICM", IMAGE, "a DICOM image"),
    MAGIC(0, "%PDF-", IMAGE, "a PDF document"),
    MAGIC(0, "%!PS", IMAGE, "a PostScript document"),
    MAGIC(0, "\x1a\x45\xdf\xa3", IMAGE, "a Matroska or WebM video"),
    MAGIC(0, "\x89RESNET\n", MODEL, "a plan file of resnet compile"),
    MAGIC(0, "\x1f\x8b", ARCHIVE, "a gzip file"),
    MAGIC(0, "PK\3\4", ARCHIVE, "a zip archive (or a .pt, .keras, .npz or .docx file)"),
    MAGIC(0, "PK\5\6", ARCHIVE, "an empty zip archive"),
    MAGIC(0, "BZh", ARCHIVE, "a bzip2 file"),
    MAGIC(0,
          "\xfd"
          "7zXZ\0",
          ARCHIVE, "an xz file"),
    MAGIC(0, "\x28\xb5\x2f\xfd", ARCHIVE, "a zstd file"),
    MAGIC(0, "7z\xbc\xaf\x27\x1c", ARCHIVE, "a 7-Zip archive"),
    MAGIC(0, "Rar!\x1a\x07", ARCHIVE, "a RAR archive"),
    MAGIC(257, "ustar", ARCHIVE, "a tar archive"),
    MAGIC(0, "\x89HDF\r\n\x1a\n", FOREIGN_MODEL, "an HDF5 file, e.g. a Keras model"),
    MAGIC(4, "TFL3", FOREIGN_MODEL, "a TensorFlow Lite model"),
    MAGIC(0, "\x80\2}q", FOREIGN_MODEL, "a Python pickle, e.g. a PyTorch model"),
    MAGIC(0, "\x80\2\x8a\x0a", FOREIGN_MODEL, "a PyTorch model"),
    MAGIC(8, "{\"", FOREIGN_MODEL, "a safetensors file"),
    MAGIC(0, "\x93NUMPY", DATA, "a NumPy array (.npy)"),
    MAGIC(0, "version https://git-lfs", POINTER, "a Git LFS pointer"),
    MAGIC(0,
          "\x7f"
          "ELF",
          DATA, "a program (ELF)"),
};

/* Return the brand of an ISO base media file (ISO 14496-12, section 4.3), or NULL. */
static const char *brand_of(const uint8_t *bytes, size_t size) {
  return size >= 12 && memcmp(bytes + 4, "ftyp", 4) == 0 ? (const char *)bytes + 8 : NULL;
}

static image_format find_brand(const char *brand) {
  static const char heic[] = "heic heix heim heis hevc hevx hevm hevs mif1 msf1 ";
  for (const char *at = heic; *at; at += 5)
    if (memcmp(brand, at, 4) == 0) return (image_format){IMAGE_FORMAT_IMAGE, "a HEIC image"};
  if (memcmp(brand, "avif", 4) == 0 || memcmp(brand, "avis", 4) == 0)
    return (image_format){IMAGE_FORMAT_IMAGE, "an AVIF image"};
  if (memcmp(brand, "crx ", 4) == 0)
    return (image_format){IMAGE_FORMAT_IMAGE, "a camera's raw file (CR3)"};
  return (image_format){IMAGE_FORMAT_IMAGE, "a video (MP4 or QuickTime)"};
}

static image_format find_riff(const uint8_t *bytes) {
  if (memcmp(bytes + 8, "WEBP", 4) == 0) return (image_format){IMAGE_FORMAT_WEBP, "a WebP image"};
  if (memcmp(bytes + 8, "AVI ", 4) == 0) return (image_format){IMAGE_FORMAT_IMAGE, "a video (AVI)"};
  return (image_format){IMAGE_FORMAT_DATA, "a RIFF file"};
}

uint32_t image_little_endian(const uint8_t *bytes) {
  return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Return true for "BM" and the size of a header that Windows or OS/2 defines. */
static bool is_bmp(const uint8_t *bytes, size_t size) {
  static const uint8_t headers[] = {12, 16, 40, 52, 56, 64, 108, 124};
  if (size < 18 || memcmp(bytes, "BM", 2) != 0) return false;
  const uint32_t header = image_little_endian(bytes + 14);
  return header < 128 && memchr(headers, (int)header, sizeof headers) != NULL;
}

/* Return true for netpbm's formats: P1 to P7, PF or Pf, then white space. */
static bool is_pnm(const uint8_t *bytes, size_t size) {
  return size >= 3 && bytes[0] == 'P' && memchr("1234567Ff", bytes[1], 9) &&
         memchr(" \t\r\n", bytes[2], 4);
}

/* Return true for the bytes that ONNX files begin with: ir_version, which is field 1 of
 * ModelProto, then another field. Protobuf has no magic number. */
static bool is_onnx(const uint8_t *bytes, size_t size) {
  static const uint8_t next[] = {0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42, 0x72};
  return size >= 4 && bytes[0] == 0x08 && bytes[1] >= 1 && bytes[1] < 0x80 &&
         memchr(next, bytes[2], sizeof next) != NULL;
}

/* Return true if `word`, in small letters, is within the text that the file begins with.
 */
static bool text_holds(const uint8_t *bytes, size_t size, const char *word) {
  const size_t length = strlen(word);
  for (size_t i = 0; i + length <= size; i++) {
    size_t same = 0;
    while (same < length) {
      const uint8_t byte = bytes[i + same];
      if ((byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte) != word[same]) break;
      same++;
    }
    if (same == length) return true;
  }
  return false;
}

static image_format find_markup(const uint8_t *bytes, size_t size) {
  size_t at = size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
  while (at < size && memchr(" \t\r\n", bytes[at], 4)) at++;
  if (at == size || bytes[at] != '<') return (image_format){IMAGE_FORMAT_UNKNOWN, NULL};
  if (text_holds(bytes, size, "<svg")) return (image_format){IMAGE_FORMAT_IMAGE, "an SVG drawing"};
  if (text_holds(bytes, size, "<!doctype html") || text_holds(bytes, size, "<html"))
    return (image_format){IMAGE_FORMAT_PAGE, "a web page (HTML)"};
  return (image_format){IMAGE_FORMAT_DATA, "an XML file"};
}

static bool is_all_zero(const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (bytes[i]) return false;
  return size > 0;
}

image_format image_format_find(const uint8_t *bytes, size_t size) {
  if (size > IMAGE_FORMAT_BYTES) size = IMAGE_FORMAT_BYTES;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const magic_row *row = &rows[i];
    if (size >= row->offset + row->length &&
        memcmp(bytes + row->offset, row->magic, row->length) == 0)
      return row->format;
  }
  if (brand_of(bytes, size)) return find_brand(brand_of(bytes, size));
  if (size >= 12 && memcmp(bytes, "RIFF", 4) == 0) return find_riff(bytes);
  if (is_bmp(bytes, size)) return (image_format){IMAGE_FORMAT_IMAGE, "a BMP image"};
  if (is_pnm(bytes, size)) return (image_format){IMAGE_FORMAT_IMAGE, "a netpbm image"};
  if (is_onnx(bytes, size)) return (image_format){IMAGE_FORMAT_MODEL, "an ONNX model"};
  if (is_all_zero(bytes, size)) return (image_format){IMAGE_FORMAT_EMPTY, "a file of zero bytes"};
  return find_markup(bytes, size);
}

static const char *advice_for(image_format_kind kind) {
  switch (kind) {
  case IMAGE_FORMAT_MODEL:
    return ", not an image";
  case IMAGE_FORMAT_FOREIGN_MODEL:
    return ", not an image; models are accepted as ONNX files";
  case IMAGE_FORMAT_ARCHIVE:
    return ", not an image: unpack it first";
  case IMAGE_FORMAT_PAGE:
    return ", not an image: a download gave this page instead; fetch the image itself";
  case IMAGE_FORMAT_POINTER:
    return ", not the image itself: fetch it with 'git lfs pull'";
  case IMAGE_FORMAT_EMPTY:
    return ": its content was never written, e.g. by a download that stopped; fetch it again";
  case IMAGE_FORMAT_DATA:
    return ", not an image: " ACCEPTED;
  default:
    return ": " ACCEPTED "; convert it, e.g. with ImageMagick: "
           "magick IMAGE out.png";
  }
}

bool image_format_refuse(const uint8_t *bytes, size_t size, resnet_error *error) {
  const image_format found = image_format_find(bytes, size);
  if (found.name)
    return error_set(error, RESNET_ERROR_UNSUPPORTED, "is %s%s", found.name,
                     advice_for(found.kind));
  return error_set(
      error, RESNET_ERROR_UNSUPPORTED,
      "is neither a JPEG nor a PNG image by its first bytes: convert it to one of them");
}
