#include "cli/model.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/builtin_model.h"
#include "cli/exit_status.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/preprocess_options.h"
#include "cli/standard_input.h"
#include "cli/system.h"
#include "support/error.h"

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
  options.labels = (const char *const *)m->labels.names;
  options.label_count = m->labels.count;
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

/* Open the model again with the preprocessing that it has, changed by the options. */
static resnet_status reopen_changed(const settings *s, loaded_model *m, resnet_error *error) {
  resnet_preprocess changed = m->info.preprocess;
  cli_preprocess_apply(s, &changed);
  resnet_model_close(&m->model);
  resnet_status status = open_file(s, &changed, m, error);
  return status == RESNET_OK ? get_info(m, error) : status;
}

static resnet_status open_as_asked(const settings *s, loaded_model *m, resnet_error *error) {
  resnet_preprocess preset;
  if (s->preprocess) {
    resnet_status known = resnet_preprocess_preset(s->preprocess, &preset, error);
    if (known != RESNET_OK) return known;
    cli_preprocess_apply(s, &preset);
  }
  double start = cli_clock_seconds();
  resnet_status status = open_file(s, s->preprocess ? &preset : NULL, m, error);
  m->load_ms = (cli_clock_seconds() - start) * 1e3;
  if (status == RESNET_OK) status = get_info(m, error);
  if (status == RESNET_OK && !s->preprocess && cli_preprocess_changes(s))
    status = reopen_changed(s, m, error);
  return status;
}

/* ---- names of classes ---- */

enum { IMAGENET_CLASSES = 1000 };

/* Name the classes of a model that has as many as ImageNet and no names. A class more is
 * the background, in front. */
static void assume_labels(loaded_model *m) {
  const uint32_t classes = m->info.classes;
  const bool background = classes == IMAGENET_CLASSES + 1;
  resnet_error error;
  if (m->info.labels || (classes != IMAGENET_CLASSES && !background)) return;
  if (!cli_label_file_lines((const char *)cli_imagenet_labels, cli_imagenet_labels_size, &m->labels,
                            &error) ||
      m->labels.count != IMAGENET_CLASSES)
    return;
  m->names = cli_allocate(classes, sizeof *m->names);
  if (background) m->names[0] = "background";
  for (uint32_t i = 0; i < IMAGENET_CLASSES; i++) m->names[i + background] = m->labels.names[i];
  m->info.labels = m->names;
  m->labels_source = LABELS_ASSUMED;
}

static void find_labels(const settings *s, loaded_model *m) {
  if (m->info.labels) m->labels_source = s->labels ? LABELS_FROM_OPTIONS : LABELS_FROM_MODEL;
  assume_labels(m);
}

static void release_sources(loaded_model *m) {
  free(m->bytes);
  m->bytes = NULL;
}

bool cli_model_try_open(const settings *s, loaded_model *m, resnet_error *error) {
  *m = (loaded_model){.file = s->model ? cli_input_name(s->model) : "built-in model"};
  if (s->labels && !cli_label_file_read(s->labels, &m->labels, error)) {
    m->wrong_labels = true;
    m->exit_code = EXIT_INPUT;
    return false;
  }
  const resnet_status status = open_as_asked(s, m, error);
  release_sources(m);
  if (status == RESNET_OK) {
    find_labels(s, m);
    return true;
  }
  cli_model_close(m);
  /* The library calls an argument wrong that came from an option, or from the file of
   * labels. */
  const bool of_labels = s->labels && strstr(error->message, "options.label");
  m->exit_code = status == RESNET_ERROR_ARGUMENT && !of_labels ? EXIT_USAGE : EXIT_INPUT;
  return false;
}

void cli_model_close(loaded_model *m) {
  resnet_model_close(&m->model);
  cli_label_file_release(&m->labels);
  free(m->names);
  m->names = NULL;
  m->info.labels = NULL;
}

bool cli_model_open(const settings *s, loaded_model *m) {
  resnet_error error = {RESNET_OK, ""};
  if (!cli_model_try_open(s, m, &error)) {
    cli_print_error(m->wrong_labels ? s->labels : m->file, &error);
    return false;
  }
  if (m->info.notice[0] && !s->quiet) cli_print_warning(m->file, m->info.notice);
  for (uint32_t i = 0; i < m->info.finding_count && !s->quiet; i++)
    if (m->info.findings[i].severity == RESNET_WARNING)
      cli_print_warning(m->file, m->info.findings[i].message);
  return true;
}

bool cli_model_has_warnings(const loaded_model *m) {
  for (uint32_t i = 0; i < m->info.finding_count; i++)
    if (m->info.findings[i].severity == RESNET_WARNING) return true;
  return false;
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

const char *cli_model_class_label(const loaded_model *m, uint32_t index) {
  return m->info.labels && index < m->info.classes ? m->info.labels[index] : NULL;
}

resnet_image cli_model_image_of(const sample *s) {
  return (resnet_image){s->pixels.pixels, s->pixels.width, s->pixels.height,
                        (size_t)s->pixels.width * 3, RESNET_PIXELS_RGB};
}

static void label_alone(resnet_session *session, sample *s, uint32_t k,
                        resnet_prediction *predictions) {
  resnet_image image = cli_model_image_of(s);
  resnet_error error;
  if (resnet_classify(session, &image, 1, k, predictions, &error) != RESNET_OK) s->error = error;
}

/* Return true if all samples are ok and were labelled by one call. */
static bool label_together(resnet_session *session, const sample *samples, size_t count, uint32_t k,
                           resnet_prediction *predictions) {
  resnet_image *images = cli_allocate(count, sizeof *images);
  bool ok = true;
  for (size_t i = 0; i < count; i++) {
    images[i] = cli_model_image_of(&samples[i]);
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
