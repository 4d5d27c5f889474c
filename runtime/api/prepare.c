/* resnet_prepare: images to the input of resnet_run. */
#include "runtime/api/prepare.h"

#include <stdio.h>

resnet_status session_check_images(const char *function, const resnet_session *session,
                                   const resnet_image *images, size_t count, resnet_error *error) {
  if (!session) return err_null(error, function, "session");
  if (!images) return err_null(error, function, "images");
  if (count == 0)
    return err_fail(error, RESNET_ERROR_ARGUMENT, "%s: `count` is 0: use 1 or more", function);
  const uint32_t channels = session->model->plan.ops[0].shape.c;
  if (channels == 1 || channels == 3) return RESNET_OK;
  return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                  "%s: the model takes %u channels, but images have 1 (grey) or 3: compute the "
                  "model's input yourself and run it on floats",
                  function, channels);
}

resnet_status session_prepare(resnet_session *session, const resnet_image *images, size_t count,
                              size_t first, float *input, resnet_error *error) {
  const graph_shape in = session->model->plan.ops[0].shape;
  for (size_t i = 0; i < count; i++) {
    const resnet_status status =
        image_prepare(&images[i], &session->model->preprocess, in.h, in.w, in.c,
                      input + i * plan_shape_floats(in), &session->scratch, error);
    if (status == RESNET_OK) continue;
    char which[32];
    (void)snprintf(which, sizeof which, "image %zu", first + i);
    return err_add_prefix(error, status, which);
  }
  return RESNET_OK;
}

/* Write a sample (h,w,c) as (c,h,w). */
static void write_planes(const float *in, graph_shape shape, float *out) {
  const size_t pixels = (size_t)shape.h * shape.w;
  for (size_t i = 0; i < pixels; i++)
    for (uint32_t c = 0; c < shape.c; c++) out[c * pixels + i] = in[i * shape.c + c];
}

resnet_status resnet_prepare(resnet_session *session, const resnet_image *images, size_t count,
                             resnet_layout layout, float *input, resnet_error *error) {
  resnet_status status = session_check_images("resnet_prepare", session, images, count, error);
  if (status != RESNET_OK) return status;
  if (!input) return err_null(error, "resnet_prepare", "input");
  if (layout != RESNET_LAYOUT_NCHW && layout != RESNET_LAYOUT_NHWC)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "resnet_prepare: layout %d: use NCHW (0) or NHWC (1)", (int)layout);
  const graph_shape in = session->model->plan.ops[0].shape;
  float *sample = executor_output(session, 0);
  for (size_t i = 0; i < count; i++) {
    float *out = input + i * plan_shape_floats(in);
    const bool planes = layout == RESNET_LAYOUT_NCHW;
    status = session_prepare(session, images + i, 1, i, planes ? sample : out, error);
    if (status != RESNET_OK) return status;
    if (planes) write_planes(sample, in, out);
  }
  return err_clear(error);
}
