/* Files of other formats under the name of a model: each is named, with what to do. */
#include <stdio.h>
#include <string.h>

#include "loader_network.h"

#define ROW(bytes, what)                                                                           \
  { bytes, sizeof(bytes) - 1, what }

static const struct {
  const char *bytes;
  size_t size;
  const char *what;
} files[] = {
    ROW("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4\n",
        "is a Git LFS pointer|git lfs pull"),
    ROW("<!DOCTYPE html>\n<html><head>", "a web page (HTML)|failed download"),
    ROW("\n  <HTML lang=\"en\">", "a web page (HTML)"),
    ROW("<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code>", "error message of a server"),
    ROW("<?xml version=\"1.0\"?>\n<net name=\"resnet\" version=\"11\">", "an OpenVINO .xml file"),
    ROW("<?xml version=\"1.0\"?>\n<svg>", "an XML file"),
    ROW("{\"error\": \"not found\"}", "a JSON file"),
    ROW("[1, 2]", "a JSON file"),
    ROW("name: \"ResNet-50\"\nlayer {\n", "a Caffe .prototxt file"),
    ROW("cat\ndog\n", "a text file"),
    ROW("ir_version: 8\nproducer_name: \"pytorch\"\n", "an ONNX model as text|onnx.save"),
    ROW("PK\5\6\0\0\0\0\0\0\0\0\0\0", "an empty zip archive"),
    ROW("PK\3\4\24\0\0\0\0\0version1PK\3\4serialized_exported_program.json",
        "a PyTorch file|torch.onnx.export"),
    ROW("PK\3\4\24\0\0\0\0\0Manifest.json{}PK\3\4Data/model.mlmodelx", "a Core ML package"),
    ROW("PAR1\0\0\0\0\0\0\0\0", "a Parquet file"),
    ROW("\x81\xa6params\x81\0\0\0", "a Flax file (msgpack)"),
    ROW("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "a file of zeros|download it again"),
    ROW("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "not a well-formed ONNX file"),
    ROW("\xef\xbb\xbf\x08\x08\x12\x07pytorch", "the mark of UTF-8|binary file"),
    ROW("\n\x23\n\1x\n\2k0\n\2k1\x12\1t\x1a\4Conv\x22\4Conv",
        "an ONNX graph without its model|onnx.save"),
    ROW("\xef\xbb\xbf"
        "caf\xc3\xa9\n",
        "a text file"),
    ROW("7767517\n3 3\nInput data 0 1 data\n", "an ncnn .param file"),
    ROW("PK\3\4\0\0\10\10\0\0\0\0\0\0archive/data.pkl", "a PyTorch file|torch.onnx.export"),
    ROW("PK\3\4\24\0\0\0\0\0\0\0metadata.json{\"keras", "a Keras .keras file|tf2onnx"),
    ROW("PK\3\4\24\0\0\0\0\0\0\0weights.npy\x93NUMPY", "a NumPy .npz file"),
    ROW("PK\3\4\24\0\0\0\0\0\0\0model.onnx", "a zip archive|unpack it"),
    ROW("\x80\2\x8a\nl\xfc\x9c\x46\xf9\x20", "a Python pickle|torch.onnx.export"),
    ROW("\x40\1\0\0\0\0\0\0{\"conv1.weight\":{", "a safetensors file"),
    ROW("\x89HDF\r\n\x1a\n\0\0\0\0", "a Keras .h5 file (HDF5)|tf2onnx"),
    ROW("\x1c\0\0\0TFL3\x14\0", "a TensorFlow Lite model|tf2onnx --tflite"),
    ROW("\x18\0\0\0ORTM\x14\0", "onnxruntime's own .ort format"),
    ROW("\x08\1\x12\x96\1\n\x90\1\x12\5serve", "a TensorFlow SavedModel (.pb)"),
    ROW("\n\x2e\n\5input\x12\x0bPlaceholder", "a TensorFlow graph (.pb)"),
    ROW("\n\x09ResNet-50\xa2\6\x2b", "a Caffe model"),
    ROW("\x12\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "an MXNet .params file"),
    ROW("GGUF\3\0\0\0", "a GGUF file"),
    ROW("7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
    ROW("\xfd"
        "7zXZ\0\0\4",
        "an xz archive|gzip is accepted"),
    ROW("\x28\xb5\x2f\xfd\4\0", "a zstd archive"),
    ROW("BZh91AY&SY", "a bzip2 archive"),
    ROW("\x04\x22\x4d\x18\x64\x40\xa7", "an lz4 archive"),
    ROW("\x7f"
        "ELF\2\1\1\0",
        "an executable or a library (ELF)"),
    ROW("MZ\x90\0\3\0\0\0", "an executable or a library of Windows"),
    ROW("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG image|the model first"),
    ROW("\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image|the model first"),
    ROW("RIFF\x24\0\0\0WEBPVP8 ", "a WebP image"),
    ROW("GIF89a\1\0\1\0", "a GIF image"),
    ROW("BM\x36\0\0\0\0\0", "a BMP image"),
    ROW("II*\0\x08\0\0\0", "a TIFF image"),
    ROW("%PDF-1.7\n", "a PDF document"),
    ROW("\x93NUMPY\1\0v\0", "a NumPy array"),
};

static void refuse_bytes(const void *bytes, size_t size, const char *what) {
  const load_options options = {.max_file_bytes = 1 << 20};
  buffer file = {0};
  graph g;
  resnet_error error;
  char piece[64];
  put_bytes(&file, bytes, size);
  assert_int_equal(load_bytes(&file, &options, &g, &error), RESNET_ERROR_FORMAT);
  buffer_release(&file);
  for (const char *at = what; *at; at += strcspn(at, "|") + (at[strcspn(at, "|")] == '|')) {
    (void)snprintf(piece, sizeof piece, "%.*s", (int)strcspn(at, "|"), at);
    if (!strstr(error.message, piece)) fail_msg("'%s' lacks '%s'", error.message, piece);
  }
}

static void other_formats_are_named(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    refuse_bytes(files[i].bytes, files[i].size, files[i].what);
}

/* What is inside of gzip counts. */
static void packed_formats_are_named(void **state) {
  (void)state;
  char tar[512] = "resnet50.onnx";
  memcpy(tar + 257, "ustar", 5);
  refuse_bytes(tar, sizeof tar, "a tar archive|unpack it");
  buffer packed = gzip(tar, sizeof tar);
  refuse_bytes(packed.data, packed.size, "a tar archive|unpack it");
  buffer_release(&packed);
  buffer model = gzip("\x08\x08\x12\x07pytorch", 11), twice = gzip(model.data, model.size);
  refuse_bytes(twice.data, twice.size, "a gzip file that was packed twice|gunzip");
  buffer_release(&model);
  buffer_release(&twice);
  packed = gzip("\x89RESNET\n\1\2\3\4", 12);
  refuse_bytes(packed.data, packed.size, "a plan file that was packed again|gunzip");
  buffer_release(&packed);
}

/* Damaged models and numbers keep the message that says where. */
static void damage_is_not_mistaken(void **state) {
  (void)state;
  const float numbers[8] = {0.25F, -1, 3, 0.5F, 1e-3F, 7, 0, 2};
  refuse_bytes(numbers, sizeof numbers, "not a well-formed ONNX file");
  network n = {0};
  begin_network(&n);
  add(&n, "Relu", "c", "t", "");
  end_network(&n);
  buffer file = finish(&n);
  for (size_t size = 1; size < file.size; size += 7)
    if (size < 3 || size > 16) refuse_bytes(file.data, size, "");
  refuse_bytes(file.data, file.size - 1, "not a well-formed ONNX file");
  buffer_release(&file);
  refuse_bytes("", 0, "is empty");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(other_formats_are_named),
      cmocka_unit_test(packed_formats_are_named),
      cmocka_unit_test(damage_is_not_mistaken),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
