#include "cli/model.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/builtin_model.h"
#include "cli/exit_status.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/shell_message.h"
#include "cli/standard_input.h"
#include "cli/system.h"
#include "support/error.h"
#include "support/json.h"

enum { MAX_AUTOMATIC_BATCH = 8 };

/* The library's limit for a file, see resnet_model_options.max_file_bytes. */
#define MAX_MODEL_BYTES ((size_t)2 << 30)

static const uint64_t cache_bytes = (uint64_t)1 << 20;

/* Open the built-in model. A Python wheel holds that model as a file of its own; the
 * program then opens this file, to save a second copy of 1 MB. */
static resnet_status open_own(const resnet_model_options *options, resnet_model **model,
                              resnet_error *error) {
  if (cli_builtin_model_size > 0)
    return resnet_model_open_memory(cli_builtin_model, cli_builtin_model_size, options, model,
                                    error);
#ifdef RESNET_MODEL_BESIDE
  char path[4096 + sizeof RESNET_MODEL_BESIDE];
  ssize_t length = readlink("/proc/self/exe", path, 4096);
  while (length > 0 && path[length - 1] != '/') length--;
  if (length > 0) {
    (void)memcpy(path + length, RESNET_MODEL_BESIDE, sizeof RESNET_MODEL_BESIDE);
    return resnet_model_open(path, options, model, error);
  }
#endif
  (void)error_set(error, RESNET_ERROR_ARGUMENT,
                  "this program was built without a model: name a file with --model");
  return error->status;
}

/* Open the model from standard input. Its bytes are read once and kept. */
static resnet_status open_stream(const resnet_model_options *options, loaded_model *m,
                                 resnet_error *error) {
  const size_t limit = options->max_file_bytes ? (size_t)options->max_file_bytes : MAX_MODEL_BYTES;
  if (!m->bytes && !cli_standard_input_read(limit, &m->bytes, &m->size, error))
    return error->status;
  return resnet_model_open_memory(m->bytes, m->size, options, &m->model, error);
}

static resnet_status open_file(const settings *s, const resnet_preprocess *preprocess,
                               loaded_model *m, resnet_error *error) {
  resnet_model_options options;
  resnet_model_options_init(&options);
  options.preprocess = preprocess;
  options.conv = (resnet_conv)s->conv;
  options.memory = (resnet_memory)s->memory;
  options.batch = s->plan_batch;
  options.keep_weights = s->output != NULL;
  options.external_data = s->external_data;
  options.output = s->scores;
  options.input_height = s->size.height;
  options.input_width = s->size.width;
  options.max_file_bytes = (uint64_t)s->max_file << 30;
  options.max_memory_bytes = (uint64_t)s->max_memory << 30;
  if (cli_is_standard_input(s->model)) return open_stream(&options, m, error);
  return s->model ? resnet_model_open(s->model, &options, &m->model, error)
                  : open_own(&options, &m->model, error);
}

static resnet_status get_info(loaded_model *m, resnet_error *error) {
  m->info.struct_size = sizeof m->info;
  return resnet_model_get_info(m->model, &m->info, error);
}

/* Open the model again with the sides that --resize and --crop set. They modify the
 * preprocessing that it has: its own, the preset or a guess. */
static resnet_status reopen_with_sides(const settings *s, loaded_model *m, resnet_error *error) {
  resnet_preprocess changed = m->info.preprocess;
  if (s->resize.given)
    changed.resize_height = changed.resize_width =
        s->resize.side ? s->resize.side : RESNET_SIZE_NONE;
  if (s->crop.given)
    changed.crop_height = changed.crop_width = s->crop.side ? s->crop.side : RESNET_SIZE_NONE;
  resnet_model_close(&m->model);
  resnet_status status = open_file(s, &changed, m, error);
  return status == RESNET_OK ? get_info(m, error) : status;
}

static resnet_status open_as_asked(const settings *s, loaded_model *m, resnet_error *error) {
  resnet_preprocess preset;
  if (s->preprocess) {
    resnet_status known = resnet_preprocess_preset(s->preprocess, &preset, error);
    if (known != RESNET_OK) return known;
  }
  double start = cli_clock_seconds();
  resnet_status status = open_file(s, s->preprocess ? &preset : NULL, m, error);
  m->load_ms = (cli_clock_seconds() - start) * 1e3;
  if (status == RESNET_OK) status = get_info(m, error);
  if (status == RESNET_OK && (s->resize.given || s->crop.given))
    status = reopen_with_sides(s, m, error);
  return status;
}

static const char *order_name(resnet_channel_order order) {
  return order == RESNET_ORDER_GREY ? "GREY" : order == RESNET_ORDER_BGR ? "BGR" : "RGB";
}

static void format_preprocess(const resnet_preprocess *p, char *out, size_t size) {
  char resize[40] = "no resize", crop[40] = "no crop";
  if (p->resize_height != RESNET_SIZE_NONE && p->fit == RESNET_FIT_STRETCH)
    (void)snprintf(resize, sizeof resize, "stretched to %u x %u", p->resize_width,
                   p->resize_height);
  else if (p->resize_height != RESNET_SIZE_NONE && p->resize_height != p->resize_width)
    (void)snprintf(resize, sizeof resize, "scaled to cover %u x %u", p->resize_width,
                   p->resize_height);
  else if (p->resize_height != RESNET_SIZE_NONE)
    (void)snprintf(resize, sizeof resize, "shorter side to %u", p->resize_height);
  if (p->crop_height != RESNET_SIZE_NONE)
    (void)snprintf(crop, sizeof crop, "centre crop %u x %u", p->crop_width, p->crop_height);
  (void)snprintf(out, size, "%s, %s, (%s / %g - (%g, %g, %g)) / (%g, %g, %g)", resize, crop,
                 order_name(p->order), (double)p->scale, (double)p->mean[0], (double)p->mean[1],
                 (double)p->mean[2], (double)p->std[0], (double)p->std[1], (double)p->std[2]);
}

static const char *source_name(resnet_preprocess_source source) {
  switch (source) {
  case RESNET_PREPROCESS_FROM_MODEL:
    return "model";
  case RESNET_PREPROCESS_FROM_OPTIONS:
    return "options";
  case RESNET_PREPROCESS_GUESSED:
    return "guessed";
  case RESNET_PREPROCESS_FROM_GRAPH:
    return "graph";
  }
  return "unknown";
}

bool cli_model_try_open(const settings *s, loaded_model *m, resnet_error *error) {
  *m = (loaded_model){.file = s->model ? cli_input_name(s->model) : "built-in model"};
  const resnet_status status = open_as_asked(s, m, error);
  free(m->bytes);
  m->bytes = NULL;
  if (status == RESNET_OK) return true;
  resnet_model_close(&m->model);
  /* The library calls an argument wrong that came from an option. */
  m->exit_code = status == RESNET_ERROR_ARGUMENT ? EXIT_USAGE : EXIT_INPUT;
  return false;
}

bool cli_model_open(const settings *s, loaded_model *m) {
  resnet_error error = {RESNET_OK, ""};
  if (!cli_model_try_open(s, m, &error)) {
    cli_print_error(m->file, &error);
    return false;
  }
  if (m->info.notice[0] && !s->quiet) cli_print_warning(m->file, m->info.notice);
  for (uint32_t i = 0; i < m->info.finding_count && !s->quiet; i++)
    if (m->info.findings[i].severity == RESNET_WARNING)
      cli_print_warning(m->file, m->info.findings[i].message);
  return true;
}

static const char *severity_name(resnet_severity severity) {
  return severity == RESNET_WARNING ? "warning" : "note";
}

void cli_model_print_diagnostics(const loaded_model *m) {
  char text[SHELL_MESSAGE_SIZE];
  for (uint32_t i = 0; i < m->info.finding_count; i++) {
    (void)printf("%-8s ", severity_name(m->info.findings[i].severity));
    cli_print_masked(stdout, cli_shell_message(m->info.findings[i].message, text));
    (void)fputc('\n', stdout);
  }
  if (m->info.finding_count == 0) (void)puts("nothing found");
}

void cli_model_write_diagnostics(const loaded_model *m, json *j) {
  char text[SHELL_MESSAGE_SIZE];
  json_open_array(j, "findings");
  for (uint32_t i = 0; i < m->info.finding_count; i++) {
    json_open_object(j, NULL);
    json_text(j, "severity", severity_name(m->info.findings[i].severity));
    json_text(j, "message", cli_shell_message(m->info.findings[i].message, text));
    json_close_object(j);
  }
  json_close_array(j);
}

bool cli_model_has_warnings(const loaded_model *m) {
  for (uint32_t i = 0; i < m->info.finding_count; i++)
    if (m->info.findings[i].severity == RESNET_WARNING) return true;
  return false;
}

void cli_model_print_guess(const settings *s, const loaded_model *m) {
  if (m->info.preprocess_source != RESNET_PREPROCESS_GUESSED || s->quiet) return;
  cli_print_note(
      "%s has no preprocessing settings: guessed from its input size; use --preprocess to set "
      "them",
      m->file);
}

bool cli_model_open_session(const loaded_model *m, uint32_t threads, uint32_t batch,
                            resnet_observe observe, resnet_session **session) {
  resnet_session_options options;
  resnet_error error;
  resnet_session_options_init(&options);
  options.threads = threads;
  options.batch = batch;
  options.observe = observe;
  if (resnet_session_open(m->model, &options, session, &error) == RESNET_OK) return true;
  cli_print_error(m->file, &error);
  return false;
}

uint32_t cli_model_automatic_batch(const loaded_model *m) {
  const uint64_t fitting = m->info.arena_bytes ? cache_bytes / m->info.arena_bytes : 1;
  return fitting < 1 ? 1 : fitting > MAX_AUTOMATIC_BATCH ? MAX_AUTOMATIC_BATCH : (uint32_t)fitting;
}

/* xorshift32 (G. Marsaglia, 2003) */
void cli_model_random_input(float *values, size_t count) {
  uint32_t state = 2463534242u;
  for (size_t i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    values[i] = (float)(state >> 8) / (float)(1 << 23) - 1;
  }
}

void cli_model_print(const loaded_model *m) {
  static const char *const said[] = {"from the file", "from the command line",
                                     "guessed from the input size", "from the graph"};
  const resnet_model_info *info = &m->info;
  char text[256];
  (void)fputs("model       ", stdout);
  cli_print_masked(stdout, m->file);
  if (info->name[0]) {
    (void)fputs(": ", stdout);
    cli_print_masked(stdout, info->name);
  }
  (void)printf(", %u layers, %u classes, input %u x %u\n", info->conv_layers, info->classes,
               info->input_width, info->input_height);
  format_preprocess(&info->preprocess, text, sizeof text);
  (void)printf("images      %s (%s)\n", text, said[info->preprocess_source]);
}

/* Write one number for equal sides, null for none, else [height, width]. */
static void write_size(json *j, const char *key, uint32_t height, uint32_t width) {
  if (height == RESNET_SIZE_NONE) {
    json_text(j, key, NULL);
    return;
  }
  if (height == width) {
    json_integer(j, key, height);
    return;
  }
  json_open_array(j, key);
  json_integer(j, NULL, height);
  json_integer(j, NULL, width);
  json_close_array(j);
}

static void write_preprocess(const resnet_model_info *info, json *j) {
  const resnet_preprocess *p = &info->preprocess;
  json_open_object(j, "preprocess");
  json_text(j, "source", source_name(info->preprocess_source));
  write_size(j, "resize", p->resize_height, p->resize_width);
  write_size(j, "crop", p->crop_height, p->crop_width);
  json_text(j, "order", order_name(p->order));
  json_float(j, "scale", p->scale);
  json_open_array(j, "mean");
  for (int c = 0; c < 3; c++) json_float(j, NULL, p->mean[c]);
  json_close_array(j);
  json_open_array(j, "std");
  for (int c = 0; c < 3; c++) json_float(j, NULL, p->std[c]);
  json_close_array(j);
  json_close_object(j);
}

void cli_model_write_json(const loaded_model *m, json *j) {
  const resnet_model_info *info = &m->info;
  json_open_object(j, "model");
  json_text(j, "file", m->file);
  json_text(j, "name", info->name);
  json_integer(j, "classes", info->classes);
  json_integer(j, "input_height", info->input_height);
  json_integer(j, "input_width", info->input_width);
  json_close_object(j);
  json_text(j, "notice", info->notice[0] ? info->notice : NULL);
  write_preprocess(info, j);
}

const char *cli_model_class_label(const loaded_model *m, uint32_t index) {
  return m->info.labels && index < m->info.classes ? m->info.labels[index] : NULL;
}

static resnet_image image_of(const sample *s) {
  return (resnet_image){s->pixels.pixels, s->pixels.width, s->pixels.height,
                        (size_t)s->pixels.width * 3, RESNET_PIXELS_RGB};
}

static void label_alone(resnet_session *session, sample *s, uint32_t k,
                        resnet_prediction *predictions) {
  resnet_image image = image_of(s);
  resnet_error error;
  if (resnet_classify(session, &image, 1, k, predictions, &error) != RESNET_OK) s->error = error;
}

/* Return true if all samples are ok and were labelled by one call. */
static bool label_together(resnet_session *session, const sample *samples, size_t count, uint32_t k,
                           resnet_prediction *predictions) {
  resnet_image *images = cli_allocate(count, sizeof *images);
  bool ok = true;
  for (size_t i = 0; i < count; i++) {
    images[i] = image_of(&samples[i]);
    ok = ok && samples[i].error.status == RESNET_OK;
  }
  ok = ok && resnet_classify(session, images, count, k, predictions, NULL) == RESNET_OK;
  free(images);
  return ok;
}

bool cli_model_label(resnet_session *session, sample *samples, size_t count, uint32_t k,
                     resnet_prediction *predictions) {
  if (count > 1 && label_together(session, samples, count, k, predictions)) return true;
  for (size_t i = 0; i < count; i++)
    if (samples[i].error.status == RESNET_OK)
      label_alone(session, &samples[i], k, predictions + i * k);
  return count == 1 && samples[0].error.status == RESNET_OK;
}
