/* Weights in files beside the model: ONNX external data. File names come from the author
 * of the model, who may be hostile. Only regular files with one hard link are read, in or
 * below the model's folder, and reached through no symbolic link. So neither `..` nor a
 * planted link leads out of that folder. */
#ifndef LIBRESNET_LOADER_ONNX_EXTERNAL_DATA_H
#define LIBRESNET_LOADER_ONNX_EXTERNAL_DATA_H

#include "loader/base/error.h"
#include "loader/base/memory.h"
#include "onnx.pb-c.h"

/* Files that are open at once. Exporters write one file, or one for each tensor. */
enum { EXTERNAL_FILES_OPEN = 4 };

typedef enum external_access {
  EXTERNAL_FROM_MEMORY, /* a model in memory has no folder */
  EXTERNAL_OFF,
  EXTERNAL_ON
} external_access;

typedef struct external_file {
  ProtobufCBinaryData location; /* the name in a tensor, which owns the bytes */
  int descriptor;
  uint64_t size;
} external_file;

typedef struct external_files {
  external_access access;
  int folder;       /* the model's; negative: it could not be opened */
  int folder_error; /* errno of that failure */
  uint64_t max_file_bytes;
  external_file files[EXTERNAL_FILES_OPEN];
  /* number of files opened so far; a new one replaces the oldest in files[] */
  size_t opened;
} external_files;

/* Set *files up for the model at `model_path`; without `allowed` it may read none. On
 * success the caller closes *files with external_files_close. For a model in memory an
 * all-zero one is used, which need not be closed. */
resnet_status external_files_open(external_files *files, memory *m, const char *model_path,
                                  bool allowed, uint64_t max_file_bytes, resnet_error *error);
void external_files_close(external_files *files);

/* Check that the tensor names a place for its `bytes` bytes and may read it. The file is
 * not opened. */
resnet_status external_check(const external_files *files, const Onnx__TensorProto *t, size_t bytes,
                             resnet_error *error);

/* Read the bytes of a checked tensor; the caller releases *data with mem_release. The
 * tensor must outlive *files. */
resnet_status external_read(external_files *files, memory *m, const Onnx__TensorProto *t,
                            size_t bytes, uint8_t **data, resnet_error *error);

#endif
