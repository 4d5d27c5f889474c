/* A look at protobuf bytes before protobuf-c sees them. protobuf-c has no limit on nesting, allocates for every field
 * it does not know, and trusts lengths and varints further than a file from a stranger deserves. */
#ifndef LIBRESNET_LOADER_WIRE_SCAN_H
#define LIBRESNET_LOADER_WIRE_SCAN_H

#include <protobuf-c/protobuf-c.h>

#include "failure.h"

/* Check that `bytes` is one well-formed message of `type` all the way down: every tag, wire type, varint and length;
 * nesting and the number of fields within limits; decoded size (an estimate) within `budget` bytes, 0: no limit. */
resnet_status wire_scan(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size, uint64_t budget,
                        resnet_error *error);

#endif
