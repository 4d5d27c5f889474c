#include "loader/import/attributes.h"

#include <stdio.h>
#include <string.h>

#include "loader/onnx/onnx_parse.h"
#include "loader/onnx/onnx_types.h"

static const Onnx__AttributeProto *find_attribute(const import_context *ctx, const char *name) {
  for (size_t i = 0; i < ctx->node->n_attribute; i++)
    if (strcmp(onnx_text(ctx->node->attribute[i]->name), name) == 0) return ctx->node->attribute[i];
  return NULL;
}

bool attr_exists(const import_context *ctx, const char *name) {
  return find_attribute(ctx, name) != NULL;
}

/* Check an attribute's type. Files before IR 3, and some later ones, omit the type: then
 * `has_value`, whether the field for it is set, decides. */
static resnet_status check_type(const import_context *ctx, const Onnx__AttributeProto *a,
                                int32_t type, bool has_value) {
  if (a->has_type ? a->type != type : !has_value)
    return invalid(ctx, "attribute '%.40s' has type %d, ONNX asks for %d: export the model again",
                   a->name, a->has_type ? a->type : 0, type);
  return RESNET_OK;
}

resnet_status attr_get_int(const import_context *ctx, const char *name, int64_t fallback,
                           int64_t *out) {
  const Onnx__AttributeProto *a = find_attribute(ctx, name);
  *out = a ? a->i : fallback;
  return a ? check_type(ctx, a, ONNX_ATTRIBUTE_INT, a->has_i) : RESNET_OK;
}

resnet_status attr_get_float(const import_context *ctx, const char *name, float fallback,
                             float *out) {
  const Onnx__AttributeProto *a = find_attribute(ctx, name);
  *out = a ? a->f : fallback;
  return a ? check_type(ctx, a, ONNX_ATTRIBUTE_FLOAT, a->has_f) : RESNET_OK;
}

resnet_status attr_get_ints(const import_context *ctx, const char *name, const int64_t **values,
                            size_t *count) {
  const Onnx__AttributeProto *a = find_attribute(ctx, name);
  *values = a ? a->ints : NULL;
  *count = a ? a->n_ints : 0;
  return a ? check_type(ctx, a, ONNX_ATTRIBUTE_INTS, a->n_ints > 0) : RESNET_OK;
}

resnet_status attr_get_floats(const import_context *ctx, const char *name, const float **values,
                              size_t *count) {
  const Onnx__AttributeProto *a = find_attribute(ctx, name);
  *values = a ? a->floats : NULL;
  *count = a ? a->n_floats : 0;
  return a ? check_type(ctx, a, ONNX_ATTRIBUTE_FLOATS, a->n_floats > 0) : RESNET_OK;
}

resnet_status attr_get_word(const import_context *ctx, const char *name, const char *const *words,
                            size_t fallback, size_t *out) {
  const Onnx__AttributeProto *a = find_attribute(ctx, name);
  *out = fallback;
  if (!a) return RESNET_OK;
  resnet_status status = check_type(ctx, a, ONNX_ATTRIBUTE_STRING, a->has_s);
  if (status != RESNET_OK) return status;
  for (*out = 0; words[*out]; (*out)++)
    if (strlen(words[*out]) == a->s.len && memcmp(words[*out], a->s.data, a->s.len) == 0)
      return RESNET_OK;
  int length = a->s.len < 40 ? (int)a->s.len : 40;
  return invalid(ctx, "attribute %s is '%.*s': accepted values: %s%s%s%s%s", name, length,
                 (const char *)a->s.data, words[0], words[1] ? ", " : "", words[1] ? words[1] : "",
                 words[1] && words[2] ? ", " : "", words[1] && words[2] ? "..." : "");
}

resnet_status attr_get_type(const import_context *ctx, int64_t *type) {
  static const char *const words[] = {"FLOAT", "FLOAT16", "DOUBLE", "INT32", "INT64", "BOOL", NULL};
  static const int64_t types[] = {ONNX_FLOAT, ONNX_FLOAT16, ONNX_DOUBLE,
                                  ONNX_INT32, ONNX_INT64,   ONNX_BOOL};
  size_t word;
  if (ctx->opset >= 6) return attr_get_int(ctx, "to", 0, type);
  resnet_status status = attr_get_word(ctx, "to", words, 0, &word);
  if (status == RESNET_OK) *type = types[word];
  return status;
}

resnet_status attr_get_constant(import_context *ctx, const char *name, constant **out) {
  const Onnx__AttributeProto *a = find_attribute(ctx, name);
  *out = NULL;
  if (!a) return RESNET_OK;
  resnet_status status = check_type(ctx, a, ONNX_ATTRIBUTE_TENSOR, a->t != NULL);
  if (status != RESNET_OK) return status;
  if (!a->t) return invalid(ctx, "attribute '%s' holds no tensor: export the model again", name);
  status = constant_check(ctx, a->t);
  return status == RESNET_OK ? constant_read(ctx, a->t, out) : status;
}

static bool list_contains(const char *list, const char *name) {
  size_t length = strlen(name);
  if (length == 0 || strchr(name, ' ')) return false;
  for (const char *at = strstr(list, name); at; at = strstr(at + 1, name))
    if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) return true;
  return false;
}

/* Write the attribute's value as text for messages, e.g. "3". */
static void describe_value(const Onnx__AttributeProto *a, char *text, size_t size) {
  const int length = a->s.len < 24 ? (int)a->s.len : 24;
  if (a->has_i)
    (void)snprintf(text, size, "%lld", (long long)a->i);
  else if (a->has_f)
    (void)snprintf(text, size, "%g", (double)a->f);
  else if (a->has_s)
    (void)snprintf(text, size, "'%.*s'", length, (const char *)a->s.data);
  else
    (void)snprintf(text, size, "%zu numbers", a->n_ints + a->n_floats);
}

static resnet_status refuse_attribute(const import_context *ctx, const Onnx__AttributeProto *a,
                                      const char *accepted) {
  char given[48];
  describe_value(a, given, sizeof given);
  return unsupported(ctx, "attribute '%.40s' (%s) is not accepted at this opset; accepted: %s",
                     onnx_text(a->name), given, accepted[0] ? accepted : "none");
}

resnet_status attr_check_names(const import_context *ctx, const char *accepted) {
  for (size_t i = 0; i < ctx->node->n_attribute; i++) {
    const Onnx__AttributeProto *a = ctx->node->attribute[i];
    const char *name = onnx_text(a->name);
    if (a->g || a->n_graphs)
      return unsupported(ctx,
                         "attribute '%.40s' holds a subgraph: control flow is not accepted; export "
                         "the model without branches and loops",
                         name);
    if (onnx_text(a->ref_attr_name)[0])
      return unsupported(
          ctx,
          "attribute '%.40s' refers to an attribute of a function: inline the model's functions",
          name);
    if (!list_contains(accepted, name)) return refuse_attribute(ctx, a, accepted);
    if (find_attribute(ctx, name) != a)
      return invalid(ctx, "attribute '%.40s' is given twice: export the model again", name);
  }
  return RESNET_OK;
}
