/* Weights that stand in other files than the model's: ONNX external data. A file's name
 * comes from whoever wrote the model, so no more than regular files with one link are
 * read, in or below the folder that the model lies in, reached through no symbolic link:
 * neither `..` nor links that were planted there lead out of it. */
#ifndef LIBRESNET_LOADER_ONNX_EXTERNAL_DATA_H
#define LIBRESNET_LOADER_ONNX_EXTERNAL_DATA_H

#include "loader/base/error.h"
#include "loader/base/memory.h"
#include "onnx.pb-c.h"

enum { EXTERNAL_FILES_OPEN = 4 /* at once; exporters write one, or one for each tensor */ };

typedef enum external_access {
  EXTERNAL_FROM_MEMORY, /* a model in memory lies in no folder */
  EXTERNAL_OFF,
  EXTERNAL_ON
} external_access;

typedef struct external_file {
  ProtobufCBinaryData location; /* as a tensor names it, which holds the bytes */
  int descriptor;
  uint64_t size;
} external_file;

typedef struct external_files {
  external_access access;
  int folder;       /* that the model lies in; negative: it could not be opened, */
  int folder_error; /* for this reason (errno) */
  uint64_t max_file_bytes;
  external_file files[EXTERNAL_FILES_OPEN];
  /* so far: the last few are kept, each in the place of the oldest */
  size_t opened;
} external_files;

/* What the model at `model_path` may read; nothing where `allowed` is false. On success
 * the caller gives *files to external_files_close. All zero, it belongs to a model in
 * memory and needs no closing. */
resnet_status external_files_open(external_files *files, memory *m, const char *model_path,
                                  bool allowed, uint64_t max_file_bytes, resnet_error *error);
void external_files_close(external_files *files);

/* The tensor says where its `bytes` bytes are, and may; the file itself is not looked
 * at. */
resnet_status external_check(const external_files *files, const Onnx__TensorProto *t, size_t bytes,
                             resnet_error *error);

/* A checked tensor's bytes, to be given to mem_release. The tensor must live as long
 * as *files. */
resnet_status external_read(external_files *files, memory *m, const Onnx__TensorProto *t,
                            size_t bytes, uint8_t **data, resnet_error *error);

#endif
