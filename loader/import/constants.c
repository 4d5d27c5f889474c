/* TensorProto to numbers. Where the data of each element type are found:
 * onnx/onnx.proto. */
#include "loader/import/constants.h"

#include <math.h>
#include <string.h>

#include "loader/import/element_types.h"
#include "loader/onnx/onnx_parse.h"
#include "loader/onnx/onnx_types.h"
#include "loader/onnx/wire_scan.h"

/* Return the number of elements in the typed list for t's type. */
static size_t listed_count(const Onnx__TensorProto *t) {
  switch (t->data_type) {
  case ONNX_FLOAT:
    return t->n_float_data;
  case ONNX_DOUBLE:
    return t->n_double_data;
  case ONNX_INT64:
    return t->n_int64_data;
  case ONNX_UINT32:
  case ONNX_UINT64:
    return t->n_uint64_data;
  default:
    return t->n_int32_data;
  }
}

bool constant_count(const int64_t *dims, size_t rank, size_t *count) {
  /* room for bytes, and for signed strides */
  static const size_t largest = SIZE_MAX / 32;
  size_t nonzero = 1;
  bool empty = false;
  for (size_t i = 0; i < rank; i++) {
    if (dims[i] < 0 || (uint64_t)dims[i] > largest) return false;
    empty = empty || dims[i] == 0;
    if (dims[i] > 0 && !mem_size_multiply(nonzero, (size_t)dims[i], &nonzero)) return false;
    if (nonzero > largest) return false;
  }
  *count = empty ? 0 : nonzero;
  return true;
}

static resnet_status check_dims(const Onnx__TensorProto *t, const char *name, size_t *count,
                                resnet_error *error) {
  if (t->n_dims > MAX_RANK)
    return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                    "tensor '%.80s' has %zu dimensions: up to %d are accepted", name, t->n_dims,
                    MAX_RANK);
  for (size_t i = 0; i < t->n_dims; i++)
    if (t->dims[i] < 0)
      return err_fail(error, RESNET_ERROR_FORMAT,
                      "tensor '%.80s' has a negative dimension (%lld): export the model again",
                      name, (long long)t->dims[i]);
  if (constant_count(t->dims, t->n_dims, count)) return RESNET_OK;
  return err_fail(error, RESNET_ERROR_FORMAT,
                  "tensor '%.80s' has dimensions whose product overflows", name);
}

static bool is_external(const Onnx__TensorProto *t) {
  return t->data_location == ONNX_LOCATION_EXTERNAL;
}

/* Check that the data are in exactly one place: raw_data, one typed list or another file;
 * and that their size agrees with the dimensions. */
static resnet_status check_data(const import_context *ctx, const Onnx__TensorProto *t,
                                const char *name, size_t count) {
  resnet_error *error = ctx->error;
  size_t raw = t->has_raw_data ? t->raw_data.len : 0, bytes;
  size_t all =
      t->n_float_data + t->n_int32_data + t->n_int64_data + t->n_double_data + t->n_uint64_data;
  if (is_external(t) ? raw || all : t->n_external_data > 0)
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "tensor '%.80s' has data inside the file and also names an external file for "
                    "them: export the model again",
                    name);
  if ((raw && all) || all != listed_count(t))
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "tensor '%.80s' has its data in two places (%zu raw bytes, %zu listed "
                    "numbers): export the model again",
                    name, raw, all);
  if (!mem_size_multiply(count, element_size(t->data_type), &bytes))
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "tensor '%.80s' has dimensions whose product overflows", name);
  if (is_external(t)) return external_check(ctx->files, t, bytes, error);
  if (all ? all != count : raw != bytes)
    return err_fail(error, RESNET_ERROR_FORMAT,
                    "tensor '%.80s' has %zu %s, but its dimensions ask for %zu: the file is "
                    "damaged, export it again",
                    name, all ? all : raw, all ? "numbers" : "bytes of data", all ? count : bytes);
  return RESNET_OK;
}

resnet_status constant_check(const import_context *ctx, const Onnx__TensorProto *t) {
  const char *name = onnx_text(t->name);
  if (!element_size(t->data_type))
    return err_fail(ctx->error, RESNET_ERROR_UNSUPPORTED,
                    "tensor '%.80s' has element type %d: accepted types: " ELEMENT_TYPES, name,
                    t->data_type);
  size_t count = 0;
  resnet_status status = check_dims(t, name, &count, ctx->error);
  return status == RESNET_OK ? check_data(ctx, t, name, count) : status;
}

/* Return element `index` of raw_data, which is always little-endian. */
static uint64_t raw_bits(const Onnx__TensorProto *t, size_t index, size_t size) {
  uint64_t bits = 0;
  for (size_t i = size; i-- > 0;) bits = bits << 8 | t->raw_data.data[index * size + i];
  return bits;
}

static bool is_raw(const Onnx__TensorProto *t) { return t->has_raw_data && t->raw_data.len; }

static float float_from_bits(uint32_t bits) {
  float number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

static uint16_t short_at(const Onnx__TensorProto *t, size_t i) {
  return is_raw(t) ? (uint16_t)raw_bits(t, i, 2) : (uint16_t)t->int32_data[i];
}

static float float_at(const Onnx__TensorProto *t, size_t i) {
  if (t->data_type == ONNX_FLOAT16) return element_from_half(short_at(t, i));
  if (t->data_type == ONNX_BFLOAT16) return element_from_bfloat(short_at(t, i));
  return is_raw(t) ? float_from_bits((uint32_t)raw_bits(t, i, 4)) : t->float_data[i];
}

static double double_at(const Onnx__TensorProto *t, size_t i) {
  if (!is_raw(t)) return t->double_data[i];
  const uint64_t bits = raw_bits(t, i, 8);
  double number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

static void decode_floats(const Onnx__TensorProto *t, constant *to) {
  for (size_t i = 0; i < to->count; i++)
    if (to->doubles)
      constant_set_float(to, i, double_at(t, i));
    else
      to->floats[i] = float_at(t, i);
}

static int64_t integer_at(const Onnx__TensorProto *t, size_t i) {
  const int32_t type = t->data_type;
  int64_t number;
  if (is_raw(t))
    number = (int64_t)raw_bits(t, i, element_size(type));
  else if (type == ONNX_INT64)
    number = t->int64_data[i];
  else
    number = type == ONNX_UINT32 ? (int64_t)t->uint64_data[i] : t->int32_data[i];
  return type == ONNX_BOOL && is_raw(t) ? number != 0 : element_wrap(type, number);
}

/* Take ownership of `floats`, on failure too. Returns NULL on failure or for NULL. */
static float_block *keep_floats(import_context *ctx, float *floats) {
  float_block *block = floats ? import_scratch(ctx, 1, sizeof *block) : NULL;
  if (!block) {
    mem_release(ctx->memory, floats);
    return NULL;
  }
  *block = (float_block){floats, 1, ctx->blocks};
  return ctx->blocks = block;
}

/* Allocate the numbers of `t`. False: no memory. */
static bool allocate_numbers(import_context *ctx, constant *t) {
  if (!t->is_float) {
    t->ints = import_scratch(ctx, t->count, sizeof *t->ints);
    return t->ints != NULL;
  }
  t->block = keep_floats(ctx, mem_allocate(ctx->memory, t->count, sizeof *t->floats));
  if (t->block) t->floats = t->block->floats;
  if (t->type == ONNX_DOUBLE) t->doubles = import_scratch(ctx, t->count, sizeof *t->doubles);
  return t->floats && (t->type != ONNX_DOUBLE || t->doubles);
}

constant *constant_new(import_context *ctx, int32_t type, uint32_t rank, const int64_t *dims,
                       resnet_status *status) {
  size_t count = 0;
  if (!constant_count(dims, rank, &count)) {
    *status = invalid(ctx, "makes a constant with a negative dimension, or whose size overflows");
    return NULL;
  }
  /* new pages cost the most: an integer takes 8 bytes, a double 12 */
  *status = import_spend(ctx, count, (type == ONNX_FLOAT ? 2 : 6) * WORK_MOVE);
  if (*status != RESNET_OK) return NULL;
  constant *t = import_scratch(ctx, 1, sizeof *t);
  if (t) {
    t->type = type;
    t->is_float = element_is_float(type);
    t->rank = rank;
    if (rank) memcpy(t->dims, dims, rank * sizeof *dims);
    t->count = count;
  }
  const bool done = t && allocate_numbers(ctx, t);
  *status = done ? RESNET_OK : err_no_memory(ctx->error, "a constant");
  return done ? t : NULL;
}

constant *constant_alias(import_context *ctx, const constant *t, uint32_t rank, const int64_t *dims,
                         resnet_status *status) {
  constant *alias = import_scratch(ctx, 1, sizeof *alias);
  *status = alias ? RESNET_OK : err_no_memory(ctx->error, "a constant");
  if (!alias) return NULL;
  *alias = *t;
  alias->rank = rank;
  if (rank) memcpy(alias->dims, dims, rank * sizeof *dims);
  if (alias->block) alias->block->users++;
  return alias;
}

/* Take the bytes out of the tensor: protobuf-c allocated them from ctx->memory. */
static void *take_raw(Onnx__TensorProto *proto) {
  void *data = proto->raw_data.data;
  proto->raw_data.data = NULL;
  proto->raw_data.len = 0;
  return data;
}

static float *take_listed(Onnx__TensorProto *proto) {
  float *floats = proto->float_data;
  proto->float_data = NULL;
  proto->n_float_data = 0;
  return floats;
}

/* Use floats in place if the file's bytes equal their representation in memory. */
static resnet_status move_floats(import_context *ctx, Onnx__TensorProto *proto, constant **out) {
  bool raw = is_raw(proto);
  constant whole = {.type = ONNX_FLOAT,
                    .is_float = true,
                    .count = raw ? proto->raw_data.len / sizeof(float) : proto->n_float_data};
  whole.block = keep_floats(ctx, raw ? take_raw(proto) : take_listed(proto));
  if (!whole.block) return err_no_memory(ctx->error, "a constant");
  whole.block->users = 0; /* the alias is the first user */
  whole.floats = whole.block->floats;
  resnet_status status;
  *out = constant_alias(ctx, &whole, (uint32_t)proto->n_dims, proto->dims, &status);
  return status;
}

/* Read external data into raw_data. */
static resnet_status fetch_external(import_context *ctx, Onnx__TensorProto *proto) {
  /* no overflow: constant_check multiplied the same numbers */
  size_t bytes = element_size(proto->data_type);
  for (size_t i = 0; i < proto->n_dims; i++) bytes *= (size_t)proto->dims[i];
  resnet_status status =
      external_read(ctx->files, ctx->memory, proto, bytes, &proto->raw_data.data, ctx->error);
  if (status != RESNET_OK) return status;
  work_add_bytes(ctx->work, bytes);
  proto->has_raw_data = true;
  proto->raw_data.len = bytes;
  return RESNET_OK;
}

resnet_status constant_read(import_context *ctx, Onnx__TensorProto *proto, constant **out) {
  int32_t type = proto->data_type;
  const bool is_float = element_is_float(type);
  if (!is_float && !element_is_integer(type))
    return unsupported(ctx,
                       "reads tensor '%.50s' of element type %d: accepted types: " ELEMENT_TYPES,
                       onnx_text(proto->name), type);
  resnet_status status = is_external(proto) ? fetch_external(ctx, proto) : RESNET_OK;
  if (status != RESNET_OK) return status;
  if (type == ONNX_FLOAT &&
      (is_raw(proto) ? wire_host_is_little_endian() : proto->n_float_data > 0))
    return move_floats(ctx, proto, out);
  constant *t = *out = constant_new(ctx, type, (uint32_t)proto->n_dims, proto->dims, &status);
  if (!t) return status;
  if (is_float)
    decode_floats(proto, t);
  else
    for (size_t i = 0; i < t->count; i++) t->ints[i] = integer_at(proto, i);
  mem_release(ctx->memory, take_raw(proto));
  return RESNET_OK;
}

bool constant_is_batch(const constant *t, size_t index) {
  return t->is_batch && t->is_batch[index];
}

bool constant_has_batch(const constant *t) {
  for (size_t i = 0; t->is_batch && i < t->count; i++)
    if (t->is_batch[i]) return true;
  return false;
}

void constant_set_float(constant *t, size_t index, double number) {
  if (t->doubles) t->doubles[index] = number;
  t->floats[index] = element_round(t->doubles ? ONNX_FLOAT : t->type, number);
}

/* Copy batch marks. False: no memory for the target's first mark. */
static bool copy_marks(import_context *ctx, constant *to, size_t to_index, const constant *from,
                       size_t from_index, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!from->is_batch[from_index + i]) continue;
    if (!to->is_batch) to->is_batch = import_scratch(ctx, to->count, sizeof *to->is_batch);
    if (!to->is_batch) return false;
    to->is_batch[to_index + i] = true;
  }
  return true;
}

bool constant_copy(import_context *ctx, constant *to, size_t to_index, const constant *from,
                   size_t from_index, size_t count) {
  if (count == 0) return true;
  if (!to->is_float) {
    memcpy(to->ints + to_index, from->ints + from_index, count * sizeof *to->ints);
    return !from->is_batch || copy_marks(ctx, to, to_index, from, from_index, count);
  }
  memcpy(to->floats + to_index, from->floats + from_index, count * sizeof *to->floats);
  if (to->doubles)
    memcpy(to->doubles + to_index, from->doubles + from_index, count * sizeof *to->doubles);
  return true;
}

bool constant_is_zero(const import_context *ctx, constant *t) {
  if (!t->is_float || t->zeros == CONSTANT_NOT_ZERO) return false;
  if (t->zeros == CONSTANT_ZERO) return true;
  (void)work_spend(ctx->work, t->count, WORK_CHECK); /* the node's end checks it */
  size_t i = 0;
  while (i < t->count && t->floats[i] <= 0 && t->floats[i] >= 0) i++;
  t->zeros = i == t->count ? CONSTANT_ZERO : CONSTANT_NOT_ZERO;
  return i == t->count;
}

resnet_status constant_check_finite(const import_context *ctx, const constant *t,
                                    const char *what) {
  const resnet_status status = import_spend(ctx, t->count, WORK_CHECK);
  if (status != RESNET_OK) return status;
  if (graph_all_finite(t->floats, t->count)) return RESNET_OK;
  size_t i = 0;
  while (isfinite(t->floats[i])) i++;
  return invalid(
      ctx,
      "its %s '%.50s' have %f at element %zu: every number must be finite; train or export again",
      what, t->name, (double)t->floats[i], i);
}
