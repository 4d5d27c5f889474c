/* Check protobuf bytes before protobuf-c decodes them.
 *
 * protobuf-c has no limit on nesting, allocates for every unknown field, copies every
 * weight, and trusts lengths and varints too much for files from strangers. So it gets a
 * skeleton: the same message, rewritten without unknown fields and without the data of
 * large tensors. Those are read from the stream into the memory that they stay in. */
#ifndef LIBRESNET_LOADER_ONNX_WIRE_SCAN_H
#define LIBRESNET_LOADER_ONNX_WIRE_SCAN_H

#include "loader/base/error.h"
#include "loader/base/memory.h"
#include "loader/onnx/byte_stream.h"

/* The raw_data or float_data of a tensor. That field of the skeleton is empty. */
typedef struct wire_payload {
  bool in_node;     /* in a node's attribute; false: an initialiser */
  size_t index;     /* of the node or initialiser in the graph */
  size_t attribute; /* index of the attribute in the node */
  bool listed;      /* float_data; false: raw_data */
  uint8_t *data;
  size_t size; /* bytes */
} wire_payload;

typedef struct wire_skeleton {
  uint8_t *bytes;
  size_t size, capacity;
  wire_payload *payloads;
  size_t payload_count, payload_capacity;
} wire_skeleton;

/* Read the whole stream and check that it is one well-formed ModelProto: every tag, wire
 * type, varint and length. Limit nesting, the number of fields, and an estimate of the
 * decoded size to `budget` bytes; 0: no limit. *out must be all zero; the caller releases
 * it with wire_skeleton_release, on failure too. */
resnet_status wire_scan(byte_stream *stream, memory *m, uint64_t budget, wire_skeleton *out,
                        resnet_error *error);

/* Return whether this machine has the byte order of numbers in a protobuf file. */
bool wire_host_is_little_endian(void);

/* Release what the skeleton owns, and zero it. */
void wire_skeleton_release(memory *m, wire_skeleton *skeleton);

#endif
