/* What all of the import shares: scratch memory and refusals. */
#include "loader/import/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loader/onnx/onnx_parse.h"

enum { SCRATCH_HEADER = 64 /* keeps the alignment of mem_allocate */ };

void *import_scratch(import_context *ctx, size_t count, size_t size) {
  size_t bytes;
  if (!mem_size_multiply(count, size, &bytes) || bytes > SIZE_MAX - SCRATCH_HEADER) return NULL;
  char *block = mem_allocate(ctx->memory, bytes + SCRATCH_HEADER, 1);
  if (!block) return NULL;
  memcpy(block, &ctx->scratch, sizeof ctx->scratch);
  ctx->scratch = block;
  return block + SCRATCH_HEADER;
}

void import_release(import_context *ctx) {
  for (const float_block *block = ctx->blocks; block; block = block->next)
    mem_release(ctx->memory, block->floats);
  ctx->blocks = NULL;
  while (ctx->scratch) {
    void *block = ctx->scratch;
    memcpy(&ctx->scratch, block, sizeof ctx->scratch);
    mem_release(ctx->memory, block);
  }
}

resnet_status import_refuse(const import_context *ctx, resnet_status status, const char *format,
                            ...) {
  char problem[RESNET_ERROR_MESSAGE_SIZE];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(problem, sizeof problem, format, arguments);
  va_end(arguments);
  return err_fail(ctx->error, status, "node '%.60s' (%.24s, opset %d): %s",
                  import_node_name(ctx->node), onnx_text(ctx->node->op_type), (int)ctx->opset,
                  problem);
}

const char *import_node_name(const Onnx__NodeProto *node) {
  if (onnx_text(node->name)[0]) return node->name;
  return node->n_output ? node->output[0] : "";
}

resnet_status import_spend(const import_context *ctx, uint64_t count, uint64_t steps) {
  if (work_spend(ctx->work, count, steps)) return RESNET_OK;
  static const char what[] = "opening the file takes more work than one of its size may cause "
                             "(%llu steps): run onnxsim on it, or export it again";
  const unsigned long long limit = (unsigned long long)ctx->work->limit;
  return ctx->node ? import_refuse(ctx, RESNET_ERROR_LIMIT, what, limit)
                   : err_fail(ctx->error, RESNET_ERROR_LIMIT, what, limit);
}
