/* Only asked about files that were refused as ONNX, so that no model is mistaken. */
#include "loader/onnx/foreign.h"

#include <stdbool.h>
#include <string.h>

#define EXPORT "export it as ONNX"
#define UNPACK "unpack it and give the .onnx file in it"
#define AN_IMAGE "give the model first, then images"

/* A format that begins with a mark of its own. */
typedef struct mark {
  uint16_t offset;
  uint8_t size;
  const char *bytes, *name, *advice;
} mark;

#define MARK(offset, bytes, name, advice)                                                          \
  { offset, sizeof(bytes) - 1, bytes, name, advice }

static const mark marks[] = {
    MARK(0, "version https://git-lfs", "a Git LFS pointer to the model",
         "run 'git lfs pull' in its repository, or download the file itself"),
    MARK(0, "\x89HDF\r\n\x1a\n", "a Keras .h5 file (HDF5)", "convert it with tf2onnx"),
    MARK(4, "TFL3", "a TensorFlow Lite model", "convert it with tf2onnx --tflite"),
    MARK(4, "ORTM", "a model in onnxruntime's own .ort format",
         "use the .onnx file it was made of"),
    MARK(0, "GGUF", "a GGUF file", "it holds no convolutional network in ONNX; " EXPORT),
    MARK(0, "7767517", "an ncnn .param file", "use the ONNX file it was made of"),
    MARK(0, "\x12\x01\0\0\0\0\0\0", "an MXNet .params file", "export the model as ONNX with MXNet"),
    MARK(0, "ptrt", "a TensorRT engine", "use the ONNX file it was made of"),
    MARK(0, "ftrt", "a TensorRT engine", "use the ONNX file it was made of"),
    MARK(0, "\x93NUMPY", "a NumPy array", "give the model first; an array is an input"),
    MARK(0, "\x89RESNET\n", "a plan file that was packed again with gzip", "unpack it with gunzip"),
    MARK(0, "\x1f\x8b\x08", "a gzip file that was packed twice", "unpack it once with gunzip"),
    MARK(0, "PK\5\6", "an empty zip archive", "fetch the .onnx file again"),
    MARK(0, "PAR1", "a Parquet file", "give the .onnx file"),
    MARK(0, "\x81\xa6params", "a Flax file (msgpack), weights without a network", EXPORT),
    MARK(0, "7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    MARK(0,
         "\xfd"
         "7zXZ\0",
         "an xz archive", "unpack it with unxz; gzip is accepted"),
    MARK(0, "\x28\xb5\x2f\xfd", "a zstd archive", "unpack it with unzstd; gzip is accepted"),
    MARK(0, "BZh", "a bzip2 archive", "unpack it with bunzip2; gzip is accepted"),
    MARK(0, "\x04\x22\x4d\x18", "an lz4 archive", "unpack it with unlz4; gzip is accepted"),
    MARK(0, "Rar!", "a rar archive", UNPACK),
    MARK(257, "ustar", "a tar archive", UNPACK),
    MARK(0,
         "\x7f"
         "ELF",
         "an executable or a library (ELF)", "give the .onnx file"),
    MARK(0, "MZ", "an executable or a library of Windows", "give the .onnx file"),
    MARK(0, "%PDF", "a PDF document", "give the .onnx file"),
    MARK(0, "SQLite format 3", "an SQLite database", "give the .onnx file"),
    MARK(0, "\x89PNG\r\n", "a PNG image", AN_IMAGE),
    MARK(0, "\xff\xd8\xff", "a JPEG image", AN_IMAGE),
    MARK(0, "GIF8", "a GIF image", AN_IMAGE),
    MARK(8, "WEBP", "a WebP image", AN_IMAGE),
    MARK(4, "ftyp", "an AVIF or HEIC image, or a video", AN_IMAGE),
    MARK(0, "II*\0", "a TIFF image", AN_IMAGE),
    MARK(0, "MM\0*", "a TIFF image", AN_IMAGE),
    MARK(0, "BM", "a BMP image", AN_IMAGE),
};

static const char torch_export[] = "export it with torch.onnx.export";

static bool has_mark(const uint8_t *bytes, size_t size, const mark *m) {
  return (size_t)m->offset + m->size <= size && memcmp(bytes + m->offset, m->bytes, m->size) == 0;
}

/* Return whether the bytes contain `text`, small letters for any. */
static bool contains(const uint8_t *bytes, size_t size, const char *text) {
  const size_t length = strlen(text);
  for (size_t i = 0; i + length <= size; i++) {
    size_t k = 0;
    while (k < length && ((uint8_t)text[k] == bytes[i + k] ||
                          (text[k] >= 'a' && text[k] <= 'z' && text[k] - 32 == bytes[i + k])))
      k++;
    if (k == length) return true;
  }
  return false;
}

/* ---- formats without a mark -------------------------------------------------------- */

static bool find_zip(const uint8_t *b, size_t size, mark *found) {
  if (size < 4 || memcmp(b, "PK\3\4", 4) != 0) return false;
  *found = (mark){.name = "a zip archive", .advice = UNPACK};
  if (contains(b, size, "data.pkl") || contains(b, size, "/version") ||
      contains(b, size, "constants.pkl") || contains(b, size, "format_version") ||
      contains(b, size, "serialized_exported_program"))
    *found = (mark){.name = "a PyTorch file (.pt, .pth or TorchScript)", .advice = torch_export};
  else if (contains(b, size, "manifest.json") && contains(b, size, ".mlmodel"))
    *found = (mark){.name = "a Core ML package", .advice = "use the model it was made of; " EXPORT};
  else if (contains(b, size, "metadata.json") || contains(b, size, "config.json"))
    *found = (mark){.name = "a Keras .keras file", .advice = "convert it with tf2onnx"};
  else if (contains(b, size, ".npy"))
    *found = (mark){.name = "a NumPy .npz file", .advice = "give the .onnx file"};
  return true;
}

static bool find_pickle(const uint8_t *b, size_t size, mark *found) {
  *found = (mark){.name = "a Python pickle, e.g. an old PyTorch .pth", .advice = torch_export};
  return size > 2 && b[0] == 0x80 && b[1] >= 2 && b[1] <= 5;
}

/* A little-endian length of 8 bytes, then JSON of that length. */
static bool find_safetensors(const uint8_t *b, size_t size, mark *found) {
  *found = (mark){.name = "a safetensors file, weights without a network",
                  .advice = "load them in PyTorch and export the model with torch.onnx.export"};
  return size > 10 && b[4] == 0 && b[5] == 0 && b[6] == 0 && b[7] == 0 && b[8] == '{' &&
         (b[9] == '"' || b[9] == '}' || b[9] == ' ');
}

/* Return the position behind a varint at `at`. */
static size_t skip_varint(const uint8_t *b, size_t size, size_t at) {
  while (at < size && b[at] & 0x80) at++;
  return at + 1;
}

/* SavedModel: schema version 1, then meta graphs. GraphDef: nodes, whose first field is
 * the name; ONNX's GraphProto: nodes, whose first field is an input, mostly of several.
 * NetParameter of Caffe: a name of letters. */
static bool find_protobuf(const uint8_t *b, size_t size, mark *found) {
  static const char advice[] = "convert it with tf2onnx (python -m tf2onnx.convert)";
  if (size < 8) return false;
  if (memcmp(b, "\x08\x01\x12", 3) == 0) {
    const size_t inner = skip_varint(b, size, 3);
    *found = (mark){.name = "a TensorFlow SavedModel (.pb)", .advice = advice};
    return inner < size && b[inner] == 0x0a;
  }
  if (b[0] != 0x0a) return false;
  const size_t inner = skip_varint(b, size, 1);
  if (inner >= size) return false;
  const size_t text = skip_varint(b, size, inner + 1);
  const size_t next = text <= size ? text + b[text - 1] : size; /* behind a short text */
  *found = (mark){.name = "an ONNX graph without its model",
                  .advice = "save the whole model with onnx.save"};
  if (b[inner] == 0x0a && next < size && b[next] == 0x0a) return true;
  *found = b[inner] == 0x0a ? (mark){.name = "a TensorFlow graph (.pb)", .advice = advice}
                            : (mark){.name = "a Caffe model or another protobuf file",
                                     .advice = "convert it to ONNX"};
  return true;
}

/* Return whether all bytes are those of text in ASCII or UTF-8. */
static bool is_text(const uint8_t *b, size_t size) {
  for (size_t i = 0; i < size; i++)
    if ((b[i] < 0x20 && b[i] != '\t' && b[i] != '\n' && b[i] != '\r') || b[i] == 0x7f ||
        b[i] == 0xff)
      return false;
  return size > 0;
}

static bool find_text(const uint8_t *b, size_t size, mark *found) {
  if (!is_text(b, size)) return false;
  size_t at = size >= 3 && memcmp(b, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
  while (at < size && (b[at] == ' ' || b[at] == '\n' || b[at] == '\r' || b[at] == '\t')) at++;
  const char first = at < size ? (char)b[at] : ' ';
  *found = (mark){.name = "a text file", .advice = "give the .onnx file"};
  if (contains(b, size, "<!doctype html") || contains(b, size, "<html"))
    *found = (mark){.name = "a web page (HTML), probably of a failed download",
                    .advice = "download the file itself ('raw', or after logging in)"};
  else if (first == '<' && contains(b, size, "<error"))
    *found = (mark){.name = "an error message of a server (XML)", .advice = "download it again"};
  else if (first == '<' && contains(b, size, "<net"))
    *found = (mark){.name = "an OpenVINO .xml file", .advice = "use the ONNX file it was made of"};
  else if (first == '<')
    *found = (mark){.name = "an XML file", .advice = "give the .onnx file"};
  else if (contains(b, size, "ir_version:"))
    *found = (mark){.name = "an ONNX model as text",
                    .advice = "load it with onnx.load and save it with onnx.save"};
  else if (first == '{' || first == '[')
    *found = (mark){.name = "a JSON file", .advice = "give the .onnx file"};
  else if (contains(b, size, "layer {") || contains(b, size, "layers {"))
    *found = (mark){.name = "a Caffe .prototxt file", .advice = "convert the model to ONNX"};
  return true;
}

/* What a broken download or an editor leaves. */
static bool find_damage(const uint8_t *b, size_t size, mark *found) {
  enum { ENOUGH = 16 };
  size_t zeros = 0;
  while (zeros < size && zeros < ENOUGH && b[zeros] == 0) zeros++;
  *found = (mark){.name = "a file of zeros, probably of a failed download",
                  .advice = "download it again"};
  if (zeros == ENOUGH) return true;
  *found = (mark){.name = "a binary file that was saved as text (it begins with the mark of UTF-8)",
                  .advice = "fetch it again as a binary file"};
  return size > 3 && memcmp(b, "\xef\xbb\xbf", 3) == 0;
}

typedef bool find_format(const uint8_t *bytes, size_t size, mark *found);

resnet_status onnx_explain_foreign(const uint8_t *bytes, size_t size, resnet_status status,
                                   resnet_error *error) {
  static find_format *const finders[] = {find_zip,  find_pickle,   find_safetensors,
                                         find_text, find_protobuf, find_damage};
  mark found = {0};
  for (size_t i = 0; i < sizeof marks / sizeof *marks && !found.name; i++)
    if (has_mark(bytes, size, &marks[i])) found = marks[i];
  for (size_t i = 0; i < sizeof finders / sizeof *finders && !found.name; i++)
    if (!finders[i](bytes, size, &found)) found = (mark){0};
  if (!found.name) return status;
  return err_fail(error, RESNET_ERROR_FORMAT, "is %s, not an ONNX model: %s", found.name,
                  found.advice);
}
