/* The loader's two entries, which tie its steps together, and the release of what they
 * build. */
#include "loader/graph/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loader/import/import.h"
#include "loader/onnx/metadata.h"
#include "loader/onnx/byte_stream.h"
#include "loader/onnx/onnx_parse.h"

void graph_release_nodes(memory *m, graph_node *nodes, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    memory_release(m, nodes[i].name);
    memory_release(m, nodes[i].output);
    if (nodes[i].weights_borrowed) continue;
    memory_release(m, nodes[i].weights);
    memory_release(m, nodes[i].bias);
  }
  memory_release(m, nodes);
}

void graph_release(graph *g) {
  memory *m = g->memory;
  if (!m) return;
  graph_release_nodes(m, g->nodes, g->node_count);
  for (uint32_t i = 0; i < g->block_count; i++) memory_release(m, g->blocks[i].name);
  for (uint32_t i = 0; i < g->label_count; i++) memory_release(m, g->labels[i]);
  for (uint32_t i = 0; i < g->finding_count; i++) memory_release(m, g->findings[i].message);
  memory_release(m, g->findings);
  memory_release(m, g->blocks);
  memory_release(m, g->labels);
  memory_release(m, g->name);
  memory_release(m, g->producer);
  memset(g, 0, sizeof *g);
}

resnet_status graph_add_finding(graph *g, resnet_error *error, resnet_severity severity,
                                const char *format, ...) {
  char text[RESNET_ERROR_MESSAGE_SIZE];
  if (g->finding_count == GRAPH_MAX_FINDINGS) return RESNET_OK;
  if (!g->findings)
    g->findings = memory_allocate(g->memory, GRAPH_MAX_FINDINGS, sizeof *g->findings);
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  mask_control_characters(text);
  char *message = g->findings ? memory_copy_string(g->memory, text, strlen(text)) : NULL;
  if (!message) return fail_memory(error, "the findings");
  g->findings[g->finding_count++] = (graph_finding){severity, message};
  return RESNET_OK;
}

bool all_finite(const float *numbers, size_t count) {
  /* all ones: infinite or no number (IEEE 754) */
  static const uint32_t exponent = 0x7f800000;
  uint32_t others = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &numbers[i], sizeof bits);
    /* no way out of the loop: compilers make vectors of it */
    others |= (bits & exponent) == exponent;
  }
  return others == 0;
}

static resnet_status build(graph *g, memory *m, const Onnx__ModelProto *model,
                           const graph_options *options, external_files *files,
                           resnet_error *error) {
  lowering l = {.memory = m, .error = error, .options = options, .files = files, .graph = g};
  resnet_status status = lower_model(&l, model);
  if (status == RESNET_OK) status = fuse_nodes(&l);
  if (status == RESNET_OK) status = find_faults(&l);
  if (status == RESNET_OK) status = arrange_blocks(&l);
  lowering_release(&l);
  return status == RESNET_OK ? metadata_read(g, model, error) : status;
}

/* An allocation that the budget forbade is no lack of memory. */
static resnet_status explain_memory(memory *m, resnet_error *error) {
  if (!atomic_load(&m->over_budget)) return RESNET_ERROR_MEMORY;
  return fail(error, RESNET_ERROR_LIMIT,
              "loading takes more than the budget of %llu bytes: raise max_memory_bytes if you "
              "trust the file",
              (unsigned long long)m->budget);
}

/* Takes the stream over. */
static resnet_status read_model(graph *g, memory *m, byte_stream *stream,
                                const graph_options *options, external_files *files,
                                resnet_error *error) {
  Onnx__ModelProto *model = NULL;
  resnet_status status = onnx_parse(stream, m, &model, error);
  stream_close(stream);
  g->memory = m;
  if (status == RESNET_OK) status = build(g, m, model, options, files, error);
  onnx_release(model, m);
  if (status != RESNET_OK) graph_release(g);
  return status;
}

static resnet_status finish(memory *m, resnet_status status, resnet_error *error) {
  if (status == RESNET_OK) return succeed(error);
  return status == RESNET_ERROR_MEMORY ? explain_memory(m, error) : status;
}

resnet_status graph_read_memory(graph *out, memory *m, const void *bytes, size_t size,
                                const graph_options *options, resnet_error *error) {
  byte_stream *stream;
  external_files none = {0};
  memset(out, 0, sizeof *out);
  resnet_status status =
      stream_open_memory(bytes, size, m, options->max_file_bytes, &stream, error);
  if (status == RESNET_OK) status = read_model(out, m, stream, options, &none, error);
  return finish(m, status, error);
}

resnet_status graph_read_file(graph *out, memory *m, const char *path, const graph_options *options,
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
  return status == RESNET_OK ? status : fail_prefix(error, status, path);
}
