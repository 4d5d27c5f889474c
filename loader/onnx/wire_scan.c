/* The wire format: protobuf.dev/programming-guides/encoding */
#include "loader/onnx/wire_scan.h"

#include <stdio.h>
#include <string.h>

#include "onnx.pb-c.h"

enum {
  /* a ResNet needs 7: model, graph, input, type, tensor, shape, dimension */
  MAX_DEPTH = 24,
  MAX_FIELDS = 1000000, /* ResNet-152 has fewer than 100,000 */
  /* bytes of one small allocation with its header and alignment */
  ALLOCATION_BYTES = 128,
  INITIALIZER_DEPTH = 3, /* model, graph, tensor: other tensors have other depths */
  CONSTANT_DEPTH = 5,    /* model, graph, node, attribute, tensor: likewise */
  FLOAT_DATA = 4,        /* field number in TensorProto */
  RAW_DATA = 9,          /* field number in TensorProto */
  MIN_PAYLOAD = 4096,    /* bytes; smaller data are not worth a block of their own */
  MAX_VARINT = 10,       /* bytes */
  LENGTH_BYTES = 5       /* reserved for a length: a varint padded with zeros */
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
  size_t end;    /* position in the stream behind the message */
  size_t start;  /* offset in the skeleton of its first byte, after its length */
  uint64_t seen; /* fields so far: a bit for each number below 64 */
  uint32_t cut;  /* number of the list that became a payload; 0: none */
} frame;

typedef struct scan {
  byte_stream *stream;
  memory *memory;
  wire_skeleton *out;
  frame frames[MAX_DEPTH];
  unsigned depth;
  size_t initializers, nodes; /* begun so far in the graph */
  size_t attributes;          /* begun so far in the node */
  bool first;                 /* the current field occurs for the first time */
  uint64_t fields, decoded, budget;
  resnet_error *error;
} scan;

static frame *innermost(scan *s) { return &s->frames[s->depth - 1]; }

static size_t position(const scan *s) { return stream_position(s->stream); }

/* Fail with the stream's own error if it has one, since it is the cause; otherwise with
 * `problem`. */
static resnet_status malformed(const scan *s, const char *problem) {
  size_t at = position(s);
  if (stream_finish(s->stream) != RESNET_OK) return stream_status(s->stream);
  return err_fail(s->error, RESNET_ERROR_FORMAT,
                  "not a well-formed ONNX file: %s at byte %zu (in %s); it is damaged, cut off or "
                  "something else: fetch or export it again",
                  problem, at, s->depth ? s->frames[s->depth - 1].type->short_name : "the file");
}

static resnet_status too_much(const scan *s) {
  return err_fail(s->error, RESNET_ERROR_LIMIT,
                  "decoding this file takes more than the %llu bytes (%.4g GiB) that are left of "
                  "the memory budget: raise "
                  "max_memory_bytes if you trust it",
                  (unsigned long long)s->budget, (double)s->budget / 0x1p30);
}

static resnet_status add_decoded(scan *s, uint64_t bytes) {
  s->decoded += bytes; /* at most 9 for every byte of the file: no overflow */
  return s->budget && s->decoded > s->budget ? too_much(s) : RESNET_OK;
}

/* ---- writing the skeleton ---------------------------------------------------------- */

/* Make room for `size` more bytes. */
static resnet_status reserve(scan *s, size_t size) {
  wire_skeleton *out = s->out;
  if (size <= out->capacity - out->size) return RESNET_OK;
  size_t capacity = out->size + size; /* both below 2^32 */
  if (capacity < 2 * out->capacity) capacity = 2 * out->capacity;
  if (capacity < MIN_PAYLOAD) capacity = MIN_PAYLOAD;
  uint8_t *bytes = mem_allocate_unset(s->memory, capacity, 1);
  if (!bytes) return err_no_memory(s->error, "the decoded file");
  if (out->size) memcpy(bytes, out->bytes, out->size);
  mem_release(s->memory, out->bytes);
  out->bytes = bytes;
  out->capacity = capacity;
  return RESNET_OK;
}

static resnet_status write_varint(scan *s, uint64_t number) {
  resnet_status status = reserve(s, MAX_VARINT);
  if (status != RESNET_OK) return status;
  uint8_t *bytes = s->out->bytes;
  for (; number >= 0x80; number >>= 7) bytes[s->out->size++] = (uint8_t)(number | 0x80);
  bytes[s->out->size++] = (uint8_t)number;
  return RESNET_OK;
}

static resnet_status begin_length(scan *s, size_t *start) {
  resnet_status status = reserve(s, LENGTH_BYTES);
  if (status != RESNET_OK) return status;
  s->out->size += LENGTH_BYTES;
  *start = s->out->size;
  return RESNET_OK;
}

static void end_length(scan *s, size_t start) {
  size_t length = s->out->size - start;
  uint8_t *bytes = s->out->bytes + start - LENGTH_BYTES;
  for (size_t i = 0; i < LENGTH_BYTES; i++, length >>= 7)
    bytes[i] = (uint8_t)((length & 0x7f) | (i + 1 < LENGTH_BYTES ? 0x80 : 0));
}

static resnet_status copy_bytes(scan *s, size_t size) {
  resnet_status status = reserve(s, size);
  if (status != RESNET_OK) return status;
  if (!stream_read(s->stream, s->out->bytes + s->out->size, size))
    return malformed(s, "bytes that are cut off");
  s->out->size += size;
  return RESNET_OK;
}

/* ---- reading ----------------------------------------------------------------------- */

/* Read a varint of at most `max_bytes` bytes. Return false if it is longer, does not fit
 * 64 bits, or the stream or the message ends. */
static bool read_varint(scan *s, size_t end, unsigned max_bytes, uint64_t *value) {
  uint64_t result = 0;
  size_t left = end - position(s);
  for (unsigned i = 0; i < max_bytes && i < left; i++) {
    uint8_t byte;
    if (!stream_byte(s->stream, &byte) || (i == 9 && byte > 1)) return false;
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

/* Copy a packed list of varints. 1 byte in the file can become 8 in memory. */
static resnet_status scan_packed_varints(scan *s, size_t end) {
  size_t start = 0;
  resnet_status status = begin_length(s, &start);
  while (position(s) < end && status == RESNET_OK) {
    uint64_t number = 0;
    if (!read_varint(s, end, MAX_VARINT, &number)) return malformed(s, "an overlong number");
    status = add_decoded(s, sizeof number);
    if (status == RESNET_OK) status = write_varint(s, number);
  }
  if (status == RESNET_OK) end_length(s, start);
  return status;
}

static resnet_status scan_packed(scan *s, wire_type element, size_t length) {
  if (element == WIRE_VARINT) return scan_packed_varints(s, position(s) + length);
  if (length % (element == WIRE_32 ? 4 : 8))
    return malformed(s, "a list whose length is no multiple of its elements'");
  resnet_status status = add_decoded(s, length);
  if (status == RESNET_OK) status = write_varint(s, length);
  return status == RESNET_OK ? copy_bytes(s, length) : status;
}

static void count_message(scan *s, const ProtobufCMessageDescriptor *type) {
  if (s->depth == INITIALIZER_DEPTH && type == &onnx__tensor_proto__descriptor) s->initializers++;
  if (s->depth == CONSTANT_DEPTH - 1 && type == &onnx__attribute_proto__descriptor) s->attributes++;
  if (s->depth == CONSTANT_DEPTH - 2 && type == &onnx__node_proto__descriptor) {
    s->nodes++;
    s->attributes = 0;
  }
}

static resnet_status enter_message(scan *s, const ProtobufCMessageDescriptor *type, size_t length) {
  if (s->depth == MAX_DEPTH)
    return err_fail(
        s->error, RESNET_ERROR_LIMIT,
        "messages nested more than %d deep at byte %zu: no ResNet needs that, the file is refused",
        MAX_DEPTH, position(s));
  frame f = {.type = type, .end = position(s) + length};
  resnet_status status = begin_length(s, &f.start);
  s->frames[s->depth++] = f;
  count_message(s, type);
  return status == RESNET_OK ? add_decoded(s, type->sizeof_message + ALLOCATION_BYTES) : status;
}

bool wire_host_is_little_endian(void) {
  const uint16_t one = 1;
  return *(const uint8_t *)&one == 1;
}

static bool is_payload(scan *s, const ProtobufCFieldDescriptor *field, size_t length) {
  if (length < MIN_PAYLOAD || innermost(s)->type != &onnx__tensor_proto__descriptor) return false;
  if (s->depth != INITIALIZER_DEPTH && s->depth != CONSTANT_DEPTH) return false;
  return field->id == RAW_DATA || (field->id == FLOAT_DATA && s->first &&
                                   length % sizeof(float) == 0 && wire_host_is_little_endian());
}

/* Append a payload to the list and return it; NULL without memory. */
static wire_payload *add_payload(scan *s) {
  wire_skeleton *out = s->out;
  if (out->payload_count == out->payload_capacity) {
    size_t capacity = out->payload_capacity ? 2 * out->payload_capacity : 64;
    wire_payload *payloads = mem_allocate(s->memory, capacity, sizeof *payloads);
    if (!payloads) return NULL;
    if (out->payload_count) memcpy(payloads, out->payloads, out->payload_count * sizeof *payloads);
    mem_release(s->memory, out->payloads);
    out->payloads = payloads;
    out->payload_capacity = capacity;
  }
  return &out->payloads[out->payload_count++];
}

static resnet_status scan_payload(scan *s, const ProtobufCFieldDescriptor *field, size_t length) {
  resnet_status status = add_decoded(s, length + ALLOCATION_BYTES);
  if (status != RESNET_OK) return status;
  wire_payload *payload = add_payload(s);
  if (payload) {
    payload->in_node = s->depth == CONSTANT_DEPTH;
    payload->index = (payload->in_node ? s->nodes : s->initializers) - 1;
    payload->attribute = s->attributes - 1;
    payload->listed = field->id == FLOAT_DATA;
    payload->data = mem_allocate_unset(s->memory, length, 1);
    payload->size = length;
    if (payload->listed) innermost(s)->cut = field->id;
  }
  if (!payload || !payload->data) return err_no_memory(s->error, "weights");
  if (!stream_read(s->stream, payload->data, length))
    return malformed(s, "weights that are cut off");
  return write_varint(s, 0);
}

static resnet_status scan_bytes(scan *s, size_t length) {
  resnet_status status = add_decoded(s, length + ALLOCATION_BYTES);
  if (status != RESNET_OK) return status;
  status = write_varint(s, length);
  return status == RESNET_OK ? copy_bytes(s, length) : status;
}

static resnet_status scan_length_delimited(scan *s, const ProtobufCFieldDescriptor *field) {
  uint64_t length = 0;
  size_t end = innermost(s)->end;
  if (!read_varint(s, end, 5, &length)) return malformed(s, "a broken length");
  if (length > end - position(s) || !stream_may_hold(s->stream, length))
    return malformed(s, "a length that goes beyond the end");
  if (!field)
    return stream_read(s->stream, NULL, (size_t)length) ? RESNET_OK
                                                        : malformed(s, "bytes that are cut off");
  if (s->budget && length > s->budget) return too_much(s);
  if (field->type == PROTOBUF_C_TYPE_MESSAGE)
    return enter_message(s, field->descriptor, (size_t)length);
  if (is_payload(s, field, (size_t)length)) return scan_payload(s, field, (size_t)length);
  wire_type expected = expected_wire_type(field);
  return expected == WIRE_LENGTH ? scan_bytes(s, (size_t)length)
                                 : scan_packed(s, expected, (size_t)length);
}

static resnet_status scan_number(scan *s, const ProtobufCFieldDescriptor *field, wire_type wire) {
  uint64_t number = 0;
  size_t end = innermost(s)->end, width = wire == WIRE_32 ? 4 : 8;
  if (wire == WIRE_VARINT) {
    if (!read_varint(s, end, MAX_VARINT, &number)) return malformed(s, "an overlong number");
    return field ? write_varint(s, number) : RESNET_OK;
  }
  if (end - position(s) < width || !stream_may_hold(s->stream, width))
    return malformed(s, "a number that is cut off");
  if (field) return copy_bytes(s, width);
  return stream_read(s->stream, NULL, width) ? RESNET_OK : malformed(s, "a number that is cut off");
}

/* Fail if the field occurs twice. protobuf-c would merge two messages; no exporter writes
 * such files. A list may come in pieces, unless its first piece became a payload. */
static resnet_status check_once(scan *s, const ProtobufCFieldDescriptor *field) {
  uint64_t bit = field->id < 64 ? UINT64_C(1) << field->id : 0;
  s->first = !(innermost(s)->seen & bit);
  innermost(s)->seen |= bit;
  if (s->first || (field->label == PROTOBUF_C_LABEL_REPEATED && field->id != innermost(s)->cut))
    return RESNET_OK;
  char problem[64];
  (void)snprintf(problem, sizeof problem, "field '%.30s' given twice", field->name);
  return malformed(s, problem);
}

static resnet_status check_known(scan *s, const ProtobufCFieldDescriptor *field, wire_type wire) {
  bool packed = field->label == PROTOBUF_C_LABEL_REPEATED && wire == WIRE_LENGTH;
  if (wire != expected_wire_type(field) && !packed)
    return malformed(s, "a field of the wrong wire type");
  return check_once(s, field);
}

static resnet_status scan_field(scan *s) {
  uint64_t tag = 0;
  if (!read_varint(s, innermost(s)->end, 5, &tag) || tag > UINT32_MAX)
    return malformed(s, "a broken field tag");
  uint32_t number = (uint32_t)(tag >> 3);
  wire_type wire = (wire_type)(tag & 7);
  if (number == 0) return malformed(s, "field number 0");
  if (wire == WIRE_GROUP || wire == WIRE_END || wire > WIRE_32)
    return malformed(s, "an unknown wire type");
  if (++s->fields > MAX_FIELDS)
    return err_fail(s->error, RESNET_ERROR_LIMIT,
                    "more than %d fields: no ResNet needs that many, the file is refused",
                    MAX_FIELDS);
  const ProtobufCFieldDescriptor *field =
      protobuf_c_message_descriptor_get_field(innermost(s)->type, number);
  resnet_status status = field ? check_known(s, field, wire) : RESNET_OK;
  if (status == RESNET_OK && field) status = write_varint(s, tag);
  if (status == RESNET_OK && field && wire != WIRE_LENGTH)
    status = add_decoded(s, sizeof(uint64_t));
  if (status != RESNET_OK) return status;
  return wire == WIRE_LENGTH ? scan_length_delimited(s, field) : scan_number(s, field, wire);
}

static void leave_message(scan *s) {
  if (s->depth > 1) end_length(s, innermost(s)->start);
  s->depth--;
}

resnet_status wire_scan(byte_stream *stream, memory *m, uint64_t budget, wire_skeleton *out,
                        resnet_error *error) {
  /* the model ends with the stream, whose length is not known */
  const frame model = {.type = &onnx__model_proto__descriptor, .end = INT32_MAX};
  scan s = {.stream = stream,
            .memory = m,
            .out = out,
            .frames = {model},
            .depth = 1,
            .budget = budget,
            .error = error};
  while (s.depth > 0) {
    bool ends = s.depth > 1 ? position(&s) == innermost(&s)->end : stream_ends(stream);
    resnet_status status = RESNET_OK;
    if (ends)
      leave_message(&s);
    else
      status = scan_field(&s);
    if (status != RESNET_OK) return status;
  }
  return stream_status(stream);
}

void wire_skeleton_release(memory *m, wire_skeleton *skeleton) {
  for (size_t i = 0; i < skeleton->payload_count; i++) mem_release(m, skeleton->payloads[i].data);
  mem_release(m, skeleton->payloads);
  mem_release(m, skeleton->bytes);
  memset(skeleton, 0, sizeof *skeleton);
}
