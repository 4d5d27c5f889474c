/* Attributes of the ONNX node at hand. */
#ifndef LIBRESNET_LOADER_IMPORT_ATTRIBUTES_H
#define LIBRESNET_LOADER_IMPORT_ATTRIBUTES_H

#include "loader/import/constants.h"

bool attr_exists(const import_context *ctx, const char *name);

/* Get a number; `fallback` if the attribute is absent. */
resnet_status attr_get_int(const import_context *ctx, const char *name, int64_t fallback,
                           int64_t *out);
resnet_status attr_get_float(const import_context *ctx, const char *name, float fallback,
                             float *out);

/* Get a list; *values is NULL and *count 0 if the attribute is absent. */
resnet_status attr_get_ints(const import_context *ctx, const char *name, const int64_t **values,
                            size_t *count);
resnet_status attr_get_floats(const import_context *ctx, const char *name, const float **values,
                              size_t *count);

/* Get the index of a string in the NULL-terminated list `words`; refuse other strings. */
resnet_status attr_get_word(const import_context *ctx, const char *name, const char *const *words,
                            size_t fallback, size_t *out);

/* Read a tensor; *out is NULL if the attribute is absent. */
resnet_status attr_get_constant(import_context *ctx, const char *name, constant **out);

/* Get the element type in `to` of Cast: a number, or a string before opset 6. */
resnet_status attr_get_type(const import_context *ctx, int64_t *type);

/* Refuse names outside of the list `accepted` (separated by blanks), and duplicates. */
resnet_status attr_check_names(const import_context *ctx, const char *accepted);

#endif
