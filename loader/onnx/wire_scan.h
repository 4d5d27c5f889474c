/* Protobuf bytes before protobuf-c sees them. protobuf-c has no limit on nesting,
 * allocates for every field it does not know, copies every weight, and trusts lengths and
 * varints further than a file from a stranger deserves. So it is given a skeleton: the
 * same message, written anew without what it does not know and without the data of large
 * tensors, which are read from the stream straight into the memory that they stay in. */
#ifndef LIBRESNET_LOADER_ONNX_WIRE_SCAN_H
#define LIBRESNET_LOADER_ONNX_WIRE_SCAN_H

#include "loader/base/error.h"
#include "loader/base/memory.h"
#include "loader/onnx/byte_stream.h"

/* The raw_data or float_data of a tensor; in the skeleton that field is empty. */
typedef struct wire_payload {
  bool in_node;     /* a node's attribute, else an initialiser */
  size_t index;     /* of the node or initialiser in the graph */
  size_t attribute; /* of the node */
  bool listed;      /* float_data */
  uint8_t *data;
  size_t size; /* bytes */
} wire_payload;

typedef struct wire_skeleton {
  uint8_t *bytes;
  size_t size, capacity;
  wire_payload *payloads;
  size_t payload_count, payload_capacity;
} wire_skeleton;

/* Read the whole stream and check that it is one well-formed ModelProto all the way down:
 * every tag, wire type, varint and length; nesting and the number of fields within
 * limits; decoded size (an estimate) within `budget` bytes, 0: no limit. *out must be all
 * zero before and given to wire_skeleton_release after, also on failure. */
resnet_status wire_scan(byte_stream *stream, memory *m, uint64_t budget, wire_skeleton *out,
                        resnet_error *error);

/* As the numbers in the file are. */
bool wire_host_is_little_endian(void);

void wire_skeleton_release(memory *m, wire_skeleton *skeleton);

#endif
