#include "loader/load.h"

#include <string.h>

#include "loader/import/import.h"
#include "loader/onnx/byte_stream.h"
#include "loader/onnx/foreign.h"
#include "loader/onnx/metadata.h"
#include "loader/onnx/onnx_parse.h"
#include "loader/passes/diagnose.h"
#include "loader/passes/find_blocks.h"
#include "loader/passes/find_scores.h"
#include "loader/passes/fuse.h"
#include "loader/passes/input_evidence.h"

static resnet_status build(graph *g, memory *m, const Onnx__ModelProto *model,
                           const load_options *options, external_files *files, work_budget *work,
                           resnet_error *error) {
  import_context ctx = {.memory = m,
                        .work = work,
                        .error = error,
                        .options = {options->input_height, options->input_width, options->output},
                        .files = files,
                        .graph = g};
  resnet_status status = import_model(&ctx, model);
  if (status == RESNET_OK) status = scores_find(&ctx);
  if (status == RESNET_OK) status = pass_find_input_evidence(&ctx);
  if (status == RESNET_OK) status = fuse_graph(&ctx);
  /* labels may say what the scores are */
  if (status == RESNET_OK) status = metadata_read(g, model, error);
  if (status == RESNET_OK) status = diagnose_graph(&ctx);
  if (status == RESNET_OK) status = blocks_find(&ctx);
  import_release(&ctx);
  return status;
}

resnet_status load_explain_budget(const memory *m, resnet_status status, resnet_error *error) {
  if (status != RESNET_ERROR_MEMORY || atomic_load(&m->refusals) == 0) return status;
  return err_fail(
      error, RESNET_ERROR_LIMIT,
      "loading takes more than the budget of %llu bytes (%.4g GiB): raise max_memory_bytes if you "
      "trust the file",
      (unsigned long long)m->budget, (double)m->budget / 0x1p30);
}

/* Name the format of a file that is no ONNX model. A stream that failed has explained
 * itself. */
static resnet_status explain_format(const byte_stream *stream, resnet_status status,
                                    resnet_error *error) {
  size_t size;
  const uint8_t *start = stream_start(stream, &size);
  const bool read = stream_status(stream) == RESNET_OK && status == RESNET_ERROR_FORMAT;
  return read ? onnx_explain_foreign(start, size, status, error) : status;
}

/* Build the graph from `stream`, and close it. */
static resnet_status read_model(graph *g, memory *m, byte_stream *stream,
                                const load_options *options, external_files *files,
                                resnet_error *error) {
  Onnx__ModelProto *model = NULL;
  work_budget work;
  resnet_status status = onnx_parse(stream, m, &model, error);
  if (status != RESNET_OK) status = explain_format(stream, status, error);
  work_start(&work, stream_position(stream));
  stream_close(stream);
  g->memory = m;
  if (status == RESNET_OK) status = build(g, m, model, options, files, &work, error);
  onnx_release(model, m);
  if (status != RESNET_OK) graph_release(g);
  return status;
}

static resnet_status finish(const memory *m, resnet_status status, resnet_error *error) {
  return status == RESNET_OK ? err_clear(error) : load_explain_budget(m, status, error);
}

resnet_status load_memory(graph *out, memory *m, const void *bytes, size_t size,
                          const load_options *options, resnet_error *error) {
  byte_stream *stream;
  external_files none = {0};
  memset(out, 0, sizeof *out);
  resnet_status status =
      stream_open_memory(bytes, size, m, options->max_file_bytes, &stream, error);
  if (status == RESNET_OK) status = read_model(out, m, stream, options, &none, error);
  return finish(m, status, error);
}

resnet_status load_file(graph *out, memory *m, const char *path, const load_options *options,
                        resnet_error *error) {
  byte_stream *stream;
  external_files files;
  memset(out, 0, sizeof *out);
  resnet_status status =
      external_files_open(&files, m, path, options->external_data, options->max_file_bytes, error);
  if (status == RESNET_OK)
    status = stream_open_file(path, m, options->max_file_bytes, &stream, error);
  if (status == RESNET_OK) status = read_model(out, m, stream, options, &files, error);
  external_files_close(&files);
  status = finish(m, status, error);
  return status == RESNET_OK ? status : err_add_prefix(error, status, path);
}
