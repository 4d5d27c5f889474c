/* Attributes of the node being lowered. Types are those of
 * AttributeProto.AttributeType. */
#include <stdio.h>
#include <string.h>

#include "loader/import/import.h"
#include "loader/onnx/onnx_parse.h"

enum {
  TYPE_FLOAT = 1,
  TYPE_INT = 2,
  TYPE_STRING = 3,
  TYPE_TENSOR = 4,
  TYPE_FLOATS = 6,
  TYPE_INTS = 7
};

static const Onnx__AttributeProto *find(const lowering *l, const char *name) {
  for (size_t i = 0; i < l->node->n_attribute; i++)
    if (strcmp(onnx_text(l->node->attribute[i]->name), name) == 0) return l->node->attribute[i];
  return NULL;
}

bool has_attribute(const lowering *l, const char *name) { return find(l, name) != NULL; }

/* `has_value`: a field for it is set; files before IR 3 and some after leave the type
 * out. */
static resnet_status check_type(const lowering *l, const Onnx__AttributeProto *a, int32_t type,
                                bool has_value) {
  if (a->has_type ? a->type != type : !has_value)
    return invalid(l, "attribute '%.40s' has type %d, ONNX asks for %d: export the model again",
                   a->name, a->has_type ? a->type : 0, type);
  return RESNET_OK;
}

resnet_status get_int(const lowering *l, const char *name, int64_t fallback, int64_t *out) {
  const Onnx__AttributeProto *a = find(l, name);
  *out = a ? a->i : fallback;
  return a ? check_type(l, a, TYPE_INT, a->has_i) : RESNET_OK;
}

resnet_status get_float(const lowering *l, const char *name, float fallback, float *out) {
  const Onnx__AttributeProto *a = find(l, name);
  *out = a ? a->f : fallback;
  return a ? check_type(l, a, TYPE_FLOAT, a->has_f) : RESNET_OK;
}

resnet_status get_ints(const lowering *l, const char *name, const int64_t **values, size_t *count) {
  const Onnx__AttributeProto *a = find(l, name);
  *values = a ? a->ints : NULL;
  *count = a ? a->n_ints : 0;
  return a ? check_type(l, a, TYPE_INTS, a->n_ints > 0) : RESNET_OK;
}

resnet_status get_floats(const lowering *l, const char *name, const float **values, size_t *count) {
  const Onnx__AttributeProto *a = find(l, name);
  *values = a ? a->floats : NULL;
  *count = a ? a->n_floats : 0;
  return a ? check_type(l, a, TYPE_FLOATS, a->n_floats > 0) : RESNET_OK;
}

resnet_status get_word(const lowering *l, const char *name, const char *const *words,
                       size_t fallback, size_t *out) {
  const Onnx__AttributeProto *a = find(l, name);
  *out = fallback;
  if (!a) return RESNET_OK;
  resnet_status status = check_type(l, a, TYPE_STRING, a->has_s);
  if (status != RESNET_OK) return status;
  for (*out = 0; words[*out]; (*out)++)
    if (strlen(words[*out]) == a->s.len && memcmp(words[*out], a->s.data, a->s.len) == 0)
      return RESNET_OK;
  int length = a->s.len < 40 ? (int)a->s.len : 40;
  return invalid(l, "attribute %s is '%.*s': accepted are %s%s%s%s%s", name, length,
                 (const char *)a->s.data, words[0], words[1] ? ", " : "", words[1] ? words[1] : "",
                 words[1] && words[2] ? ", " : "", words[1] && words[2] ? "..." : "");
}

resnet_status get_type(const lowering *l, int64_t *type) {
  static const char *const words[] = {"FLOAT", "FLOAT16", "DOUBLE", "INT32", "INT64", "BOOL", NULL};
  static const int64_t types[] = {1, 10, 11, 6, 7, 9}; /* TensorProto.DataType */
  size_t word;
  if (l->opset >= 6) return get_int(l, "to", 0, type);
  resnet_status status = get_word(l, "to", words, 0, &word);
  if (status == RESNET_OK) *type = types[word];
  return status;
}

resnet_status get_tensor(lowering *l, const char *name, tensor **out) {
  const Onnx__AttributeProto *a = find(l, name);
  *out = NULL;
  if (!a) return RESNET_OK;
  resnet_status status = check_type(l, a, TYPE_TENSOR, a->t != NULL);
  if (status != RESNET_OK) return status;
  if (!a->t) return invalid(l, "attribute '%s' holds no tensor: export the model again", name);
  status = tensor_check(l, a->t);
  return status == RESNET_OK ? tensor_read(l, a->t, out) : status;
}

static bool list_contains(const char *list, const char *name) {
  size_t length = strlen(name);
  if (length == 0 || strchr(name, ' ')) return false;
  for (const char *at = strstr(list, name); at; at = strstr(at + 1, name))
    if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) return true;
  return false;
}

/* What the attribute says, for messages: "3" or the like. */
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

static resnet_status refuse_attribute(const lowering *l, const Onnx__AttributeProto *a,
                                      const char *accepted) {
  char given[48];
  describe_value(a, given, sizeof given);
  return unsupported(l, "attribute '%.40s' (%s) is not accepted at this opset; accepted are: %s",
                     onnx_text(a->name), given, accepted[0] ? accepted : "none");
}

resnet_status check_attributes(const lowering *l, const char *accepted) {
  for (size_t i = 0; i < l->node->n_attribute; i++) {
    const Onnx__AttributeProto *a = l->node->attribute[i];
    const char *name = onnx_text(a->name);
    if (a->g || a->n_graphs)
      return unsupported(
          l,
          "attribute '%.40s' holds a subgraph: control flow is not accepted; export the model "
          "without branches and loops",
          name);
    if (onnx_text(a->ref_attr_name)[0])
      return unsupported(
          l, "attribute '%.40s' refers to a function's: inline the model's functions", name);
    if (!list_contains(accepted, name)) return refuse_attribute(l, a, accepted);
    if (find(l, name) != a)
      return invalid(l, "attribute '%.40s' is given twice: export the model again", name);
  }
  return RESNET_OK;
}
