/* Windows of convolutions and pools: from attributes to a checked window and output
 * size. */
#ifndef LIBRESNET_LOADER_IMPORT_WINDOWS_H
#define LIBRESNET_LOADER_IMPORT_WINDOWS_H

#include "loader/import/values.h"

/* Attribute auto_pad, and its strings. */
typedef enum window_auto_pad {
  PAD_NOTSET,
  PAD_SAME_UPPER,
  PAD_SAME_LOWER,
  PAD_VALID
} window_auto_pad;
extern const char *const window_auto_pad_names[];
resnet_status window_get_auto_pad(const import_context *ctx, window_auto_pad *mode);

typedef struct window_request {
  /* height and width of the weights; NULL: attribute kernel_shape */
  const int64_t *kernel;
  bool accepts_dilation;
  /* NULL, or whether an average counts padding; window_read clears it where it
   * materialises the padding instead */
  bool *counts_padding;
} window_request;

/* Read kernel_shape, strides, dilations, pads, auto_pad and ceil_mode. Deferred padding
 * of `v`, which is the caller's copy, is added to the window's own. If a convolution pads
 * by more than its kernel reaches, the padding is materialised and `v` becomes its
 * output. */
resnet_status window_read(import_context *ctx, value *v, const window_request *request,
                          graph_window *window, graph_shape *out);

#endif
