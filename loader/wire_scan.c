/* The wire format is that of protobuf.dev/programming-guides/encoding. */
#include "wire_scan.h"

#include <stdbool.h>
#include <stdio.h>

enum {
  MAX_DEPTH = 24,         /* a ResNet needs 7: model, graph, input, type, tensor, shape, dimension */
  MAX_FIELDS = 1000000,   /* ResNet-152 has fewer than 100,000 */
  ALLOCATION_BYTES = 128, /* what one small allocation costs, its header and alignment included */
};

typedef enum wire_type {
  WIRE_VARINT = 0,
  WIRE_64 = 1,
  WIRE_LENGTH = 2,
  WIRE_GROUP = 3,
  WIRE_END = 4,
  WIRE_32 = 5
} wire_type;

typedef struct frame {
  const ProtobufCMessageDescriptor *type;
  size_t end;    /* position behind the message */
  uint64_t seen; /* singular fields met so far, a bit for each number below 64 */
} frame;

typedef struct scan {
  const uint8_t *bytes;
  size_t position;
  frame frames[MAX_DEPTH];
  unsigned depth;
  uint64_t fields, decoded, budget;
  resnet_error *error;
} scan;

static frame *innermost(scan *s) { return &s->frames[s->depth - 1]; }

static resnet_status malformed(const scan *s, const char *problem) {
  return fail(s->error, RESNET_ERROR_FORMAT,
              "not a well-formed ONNX file: %s at byte %zu (in %s); it is damaged, cut off or something else: fetch or "
              "export it again",
              problem, s->position, s->depth ? s->frames[s->depth - 1].type->short_name : "the file");
}

/* At most `max_bytes` of 7 bits each, least significant first; refuses values that do not fit 64 bits. */
static bool read_varint(scan *s, size_t end, unsigned max_bytes, uint64_t *value) {
  uint64_t result = 0;
  for (unsigned i = 0; i < max_bytes && s->position < end; i++) {
    uint8_t byte = s->bytes[s->position++];
    if (i == 9 && byte > 1) return false;
    result |= (uint64_t)(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      *value = result;
      return true;
    }
  }
  return false;
}

static wire_type expected_wire_type(const ProtobufCFieldDescriptor *field) {
  switch (field->type) {
  case PROTOBUF_C_TYPE_FLOAT:
    return WIRE_32;
  case PROTOBUF_C_TYPE_DOUBLE:
    return WIRE_64;
  case PROTOBUF_C_TYPE_STRING:
  case PROTOBUF_C_TYPE_BYTES:
  case PROTOBUF_C_TYPE_MESSAGE:
    return WIRE_LENGTH;
  default:
    return WIRE_VARINT;
  }
}

static resnet_status add_decoded(scan *s, uint64_t bytes) {
  s->decoded += bytes; /* at most 9 for every byte of the file: no overflow */
  if (s->budget && s->decoded > s->budget)
    return fail(s->error, RESNET_ERROR_LIMIT,
                "decoding this file takes more than the %llu bytes that are left of the memory budget: raise "
                "max_memory_bytes if you trust it",
                (unsigned long long)s->budget);
  return RESNET_OK;
}

/* Elements of a packed field: 1 byte in the file can become 8 in memory. */
static resnet_status scan_packed(scan *s, wire_type element, size_t end) {
  uint64_t count = 0, ignored;
  if (element == WIRE_VARINT) {
    for (; s->position < end; count++)
      if (!read_varint(s, end, 10, &ignored)) return malformed(s, "an overlong number");
    return add_decoded(s, count * 8);
  }
  size_t width = element == WIRE_32 ? 4 : 8, length = end - s->position;
  if (length % width) return malformed(s, "a list whose length is no multiple of its elements'");
  s->position = end;
  return add_decoded(s, length);
}

static resnet_status enter_message(scan *s, const ProtobufCFieldDescriptor *field, size_t end) {
  if (s->depth == MAX_DEPTH)
    return fail(s->error, RESNET_ERROR_LIMIT,
                "messages nested more than %d deep at byte %zu: no ResNet needs that, the file is refused", MAX_DEPTH,
                s->position);
  const ProtobufCMessageDescriptor *type = field->descriptor;
  s->frames[s->depth++] = (frame){type, end, 0};
  return add_decoded(s, type->sizeof_message + ALLOCATION_BYTES);
}

static resnet_status scan_length_delimited(scan *s, const ProtobufCFieldDescriptor *field) {
  uint64_t length;
  size_t end = innermost(s)->end;
  if (!read_varint(s, end, 5, &length)) return malformed(s, "a broken length");
  if (length > end - s->position) return malformed(s, "a length that goes beyond the end");
  size_t field_end = s->position + (size_t)length;
  if (field && field->type == PROTOBUF_C_TYPE_MESSAGE) return enter_message(s, field, field_end);
  if (field && expected_wire_type(field) != WIRE_LENGTH) return scan_packed(s, expected_wire_type(field), field_end);
  s->position = field_end;
  return add_decoded(s, length + ALLOCATION_BYTES);
}

static resnet_status scan_value(scan *s, const ProtobufCFieldDescriptor *field, wire_type wire) {
  uint64_t ignored;
  size_t end = innermost(s)->end, width = wire == WIRE_32 ? 4 : 8;
  if (wire == WIRE_LENGTH) return scan_length_delimited(s, field);
  if (wire == WIRE_VARINT) {
    if (!read_varint(s, end, 10, &ignored)) return malformed(s, "an overlong number");
  } else {
    if (end - s->position < width) return malformed(s, "a number that is cut off");
    s->position += width;
  }
  return add_decoded(s, field ? sizeof(uint64_t) : ALLOCATION_BYTES);
}

/* protobuf-c merges a message that is given twice; no exporter writes such files. */
static resnet_status check_once(scan *s, const ProtobufCFieldDescriptor *field) {
  if (field->label == PROTOBUF_C_LABEL_REPEATED || field->id >= 64) return RESNET_OK;
  uint64_t bit = UINT64_C(1) << field->id;
  if (innermost(s)->seen & bit) {
    char problem[64];
    (void)snprintf(problem, sizeof problem, "field '%.30s' given twice", field->name);
    return malformed(s, problem);
  }
  innermost(s)->seen |= bit;
  return RESNET_OK;
}

static resnet_status scan_field(scan *s) {
  uint64_t tag;
  if (!read_varint(s, innermost(s)->end, 5, &tag) || tag > UINT32_MAX) return malformed(s, "a broken field tag");
  uint32_t number = (uint32_t)(tag >> 3);
  wire_type wire = (wire_type)(tag & 7);
  if (number == 0) return malformed(s, "field number 0");
  if (wire == WIRE_GROUP || wire == WIRE_END || wire > WIRE_32) return malformed(s, "an unknown wire type");
  if (++s->fields > MAX_FIELDS)
    return fail(s->error, RESNET_ERROR_LIMIT, "more than %d fields: no ResNet needs that many, the file is refused",
                MAX_FIELDS);
  const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(innermost(s)->type, number);
  if (field) {
    bool packed = field->label == PROTOBUF_C_LABEL_REPEATED && wire == WIRE_LENGTH;
    if (wire != expected_wire_type(field) && !packed) return malformed(s, "a field of the wrong wire type");
    resnet_status status = check_once(s, field);
    if (status != RESNET_OK) return status;
  }
  return scan_value(s, field, wire);
}

resnet_status wire_scan(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size, uint64_t budget,
                        resnet_error *error) {
  scan s = {.bytes = bytes, .frames = {{type, size, 0}}, .depth = 1, .budget = budget, .error = error};
  while (s.depth > 0) {
    if (s.position == innermost(&s)->end) {
      s.depth--;
      continue;
    }
    resnet_status status = scan_field(&s);
    if (status != RESNET_OK) return status;
  }
  return RESNET_OK;
}
