#include "runtime/plan_file/settings.h"

#include <math.h>

#include "runtime/image/presets.h"

/* ---- writing ----------------------------------------------------------------------- */

static void put_three(serial_writer *w, const float numbers[3]) {
  for (size_t i = 0; i < 3; i++) serial_put_float(w, numbers[i]);
}

/* Append the preprocessing; zeros if there is none. */
static void put_preprocess(serial_writer *w, const resnet_preprocess *given) {
  const resnet_preprocess none = {0}, *p = given ? given : &none;
  serial_put_u32(w, given != NULL);
  serial_put_u32(w, p->fit);
  serial_put_u32(w, p->filter);
  serial_put_u32(w, p->resize_height);
  serial_put_u32(w, p->resize_width);
  serial_put_u32(w, p->crop_height);
  serial_put_u32(w, p->crop_width);
  serial_put_float(w, p->resize_ratio);
  serial_put_u32(w, p->order);
  serial_put_float(w, p->scale);
  put_three(w, p->mean);
  put_three(w, p->std);
}

static void put_evidence(serial_writer *w, const graph_evidence *e) {
  serial_put_u32(w, e->kind);
  serial_put_u32(w, e->bgr);
  serial_put_float(w, e->scale);
  put_three(w, e->mean);
  put_three(w, e->std);
  serial_put_text(w, e->text ? e->text : "");
}

void plan_file_put_settings(serial_writer *w, const plan_file_settings *settings) {
  put_preprocess(w, settings->preprocess);
  put_evidence(w, settings->evidence);
  serial_put_u32(w, settings->label_count);
  for (uint32_t i = 0; i < settings->label_count; i++) serial_put_text(w, settings->labels[i]);
}

/* ---- reading ----------------------------------------------------------------------- */

static resnet_status malformed(resnet_error *error, const char *what) {
  return err_fail(
      error, RESNET_ERROR_FORMAT,
      "the plan file is not well-formed (%s): compile the plan again from its .onnx file", what);
}

static void get_three(serial_reader *r, float numbers[3]) {
  for (size_t i = 0; i < 3; i++) numbers[i] = serial_get_float(r);
}

static resnet_status read_preprocess(serial_reader *r, graph *g, resnet_error *error) {
  const uint32_t has = serial_get_u32(r), channels = g->nodes[0].shape.c;
  resnet_preprocess *p = &g->preprocess;
  p->fit = (resnet_fit)serial_get_u32(r);
  p->filter = (resnet_filter)serial_get_u32(r);
  p->resize_height = serial_get_u32(r);
  p->resize_width = serial_get_u32(r);
  p->crop_height = serial_get_u32(r);
  p->crop_width = serial_get_u32(r);
  p->resize_ratio = serial_get_float(r);
  p->order = (resnet_channel_order)serial_get_u32(r);
  p->scale = serial_get_float(r);
  get_three(r, p->mean);
  get_three(r, p->std);
  if (r->failed || has > 1 || (has && image_check_preprocess(p, channels, NULL) != RESNET_OK))
    return malformed(error, "its preprocessing");
  g->has_preprocess = has == 1;
  return RESNET_OK;
}

/* Return whether the values make a valid preprocessing. */
static bool is_valid(const graph_evidence *e) {
  if (e->kind != GRAPH_EVIDENCE_VALUES) return true;
  resnet_preprocess p = {0};
  image_apply_evidence(e, 3, &p);
  return image_check_preprocess(&p, 3, NULL) == RESNET_OK;
}

static resnet_status read_evidence(serial_reader *r, graph *g, resnet_error *error) {
  graph_evidence *e = &g->evidence;
  const uint32_t kind = serial_get_u32(r), bgr = serial_get_u32(r);
  e->scale = serial_get_float(r);
  get_three(r, e->mean);
  get_three(r, e->std);
  if (r->failed || kind > GRAPH_EVIDENCE_UNKNOWN || bgr > 1)
    return malformed(error, "its input's values");
  e->kind = (graph_evidence_kind)kind;
  e->bgr = bgr == 1;
  e->text = serial_get_text(r, g->memory);
  if (r->failed || !is_valid(e)) return malformed(error, "its input's values");
  return e->text ? RESNET_OK : err_no_memory(error, "the plan file's graph");
}

static resnet_status read_labels(serial_reader *r, graph *g, resnet_error *error) {
  const uint32_t count = serial_get_u32(r);
  if (count && g->scores == RESNET_SCORES_EMBEDDING) graph_take_as_classes(g, count);
  const uint32_t classes = graph_class_count(g->scores, g->nodes[g->output].shape.c);
  if (r->failed || (count != 0 && count != classes)) return malformed(error, "its labels");
  if (count == 0) return RESNET_OK;
  graph_release_labels(g);
  g->labels = mem_allocate(g->memory, count, sizeof *g->labels);
  if (!g->labels) return err_no_memory(error, "the labels");
  while (g->label_count < count) {
    char *label = serial_get_text(r, g->memory);
    if (r->failed) return malformed(error, "its labels");
    if (!label) return err_no_memory(error, "the labels");
    g->labels[g->label_count++] = label;
  }
  g->labels_replaced = true;
  return RESNET_OK;
}

resnet_status plan_file_read_settings(serial_reader *r, graph *g, resnet_error *error) {
  resnet_status status = read_preprocess(r, g, error);
  if (status == RESNET_OK) status = read_evidence(r, g, error);
  return status == RESNET_OK ? read_labels(r, g, error) : status;
}
