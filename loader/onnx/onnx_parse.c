#include "loader/onnx/onnx_parse.h"

#include <string.h>

#include "loader/onnx/wire_scan.h"

typedef struct allocation_watch {
  memory *memory;
  /* protobuf-c returns NULL for a failed allocation and for malformed bytes alike */
  bool failed;
} allocation_watch;

static void *watched_allocate(void *context, size_t size) {
  allocation_watch *watch = context;
  void *block = mem_allocate(watch->memory, size, 1);
  if (!block) watch->failed = true;
  return block;
}

static void watched_release(void *context, void *pointer) {
  mem_release(((allocation_watch *)context)->memory, pointer);
}

const char *onnx_text(const char *field) { return field ? field : ""; }

bool onnx_is_default_domain(const char *domain) {
  return onnx_text(domain)[0] == '\0' || strcmp(domain, "ai.onnx") == 0;
}

int64_t onnx_opset(const Onnx__ModelProto *model) {
  int64_t version = 0;
  for (size_t i = 0; i < model->n_opset_import; i++)
    if (onnx_is_default_domain(model->opset_import[i]->domain))
      version = model->opset_import[i]->version;
  return version;
}

static resnet_status check_opset(const Onnx__ModelProto *model, resnet_error *error) {
  size_t count = 0;
  for (size_t i = 0; i < model->n_opset_import; i++)
    count += onnx_is_default_domain(model->opset_import[i]->domain);
  long long opset = (long long)onnx_opset(model);
  if (count != 1)
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "opset_import names the default operator set %zu times instead of once: "
                    "export the model again",
                    count);
  if (opset < ONNX_OPSET_MIN)
    return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                    "opset %lld: %d to %d is accepted; convert with "
                    "onnx.version_converter.convert_version(model, 13)",
                    opset, ONNX_OPSET_MIN, ONNX_OPSET_MAX);
  if (opset > ONNX_OPSET_MAX)
    return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                    "opset %lld: %d to %d is accepted; export with opset_version=%d", opset,
                    ONNX_OPSET_MIN, ONNX_OPSET_MAX, ONNX_OPSET_MAX);
  return RESNET_OK;
}

/* Fail if a function replaces one of ONNX's own operators, as it changes their meaning.
 * Others do no harm: exporters leave functions behind that nothing calls, and a node that
 * calls one is refused by its domain. */
static resnet_status check_functions(const Onnx__ModelProto *model, resnet_error *error) {
  for (size_t i = 0; i < model->n_functions; i++)
    if (onnx_is_default_domain(model->functions[i]->domain))
      return err_fail(
          error, RESNET_ERROR_UNSUPPORTED,
          "has a function '%.60s' in place of ONNX's own operator: inline it, e.g. with "
          "onnx.inliner.inline_local_functions(model)",
          onnx_text(model->functions[i]->name));
  return RESNET_OK;
}

static resnet_status check_model(const Onnx__ModelProto *model, resnet_error *error) {
  if (!model->graph)
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "has no graph: it is not an ONNX model, or was written in parts");
  if (!model->has_ir_version)
    return err_fail(error, RESNET_ERROR_FORMAT, "has no ir_version: it is not an ONNX model");
  if (model->ir_version < ONNX_IR_MIN || model->ir_version > ONNX_IR_MAX)
    return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                    "IR version %lld: %d to %d is accepted; save it with another "
                    "version of the onnx package",
                    (long long)model->ir_version, ONNX_IR_MIN, ONNX_IR_MAX);
  resnet_status status = check_functions(model, error);
  return status == RESNET_OK ? check_opset(model, error) : status;
}

/* Move the payloads into the model, which releases them from now on. */
static void attach_payloads(Onnx__ModelProto *model, wire_skeleton *skeleton) {
  for (size_t i = 0; i < skeleton->payload_count; i++) {
    wire_payload *payload = &skeleton->payloads[i];
    Onnx__GraphProto *g = model->graph;
    Onnx__TensorProto *t = payload->in_node
                               ? g->node[payload->index]->attribute[payload->attribute]->t
                               : g->initializer[payload->index];
    if (payload->listed) {
      t->float_data = (float *)(void *)payload->data;
      t->n_float_data = payload->size / sizeof *t->float_data;
    } else {
      t->raw_data = (ProtobufCBinaryData){payload->size, payload->data};
    }
    payload->data = NULL;
  }
}

static resnet_status unpack(memory *m, wire_skeleton *skeleton, Onnx__ModelProto **model,
                            resnet_error *error) {
  allocation_watch watch = {m, false};
  ProtobufCAllocator allocator = {watched_allocate, watched_release, &watch};
  *model = onnx__model_proto__unpack(&allocator, skeleton->size, skeleton->bytes);
  if (!*model && watch.failed) return err_no_memory(error, "the decoded file");
  if (!*model)
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "not a well-formed ONNX file: fetch or export it again");
  attach_payloads(*model, skeleton);
  return check_model(*model, error);
}

resnet_status onnx_parse(byte_stream *stream, memory *m, Onnx__ModelProto **model,
                         resnet_error *error) {
  *model = NULL;
  wire_skeleton skeleton = {0};
  if (stream_ends(stream)) {
    resnet_status status = stream_status(stream);
    return status == RESNET_OK
               ? err_fail(error, RESNET_ERROR_FORMAT, "is empty: fetch or export it again")
               : status;
  }
  uint64_t used = atomic_load(&m->used);
  uint64_t left = m->budget > used ? m->budget - used : 1;
  resnet_status status = wire_scan(stream, m, m->budget ? left : 0, &skeleton, error);
  if (status == RESNET_OK) status = unpack(m, &skeleton, model, error);
  wire_skeleton_release(m, &skeleton);
  if (status != RESNET_OK) {
    onnx_release(*model, m);
    *model = NULL;
  }
  return status;
}

void onnx_release(Onnx__ModelProto *model, memory *m) {
  allocation_watch watch = {m, false};
  ProtobufCAllocator allocator = {watched_allocate, watched_release, &watch};
  if (model) onnx__model_proto__free_unpacked(model, &allocator);
}
