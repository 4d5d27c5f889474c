/* resnet classify: label pictures. */
#include <stdio.h>
#include <stdlib.h>

#include "message.h"
#include "model.h"
#include "terminal.h"

enum { DEFAULT_BEST = 3 };

typedef struct classification {
  const settings *settings;
  loaded_model model;
  resnet_session *session;
  uint32_t best;
  json out; /* used with --json */
  struct failure {
    const char *file;
    resnet_error error;
  } *failures;
  size_t failure_count, failure_capacity;
} classification;

static void report_failure(classification *c, const char *file, const resnet_error *error) {
  complain(file, error->message);
  c->failures = grow(c->failures, c->failure_count, &c->failure_capacity, sizeof *c->failures);
  c->failures[c->failure_count++] = (struct failure){file, *error};
}

static void write_json_result(classification *c, const char *file, const sample *s, const resnet_prediction *best) {
  json *j = &c->out;
  json_open_object(j, NULL);
  json_text(j, "file", file);
  json_integer(j, "width", s->pixels.width);
  json_integer(j, "height", s->pixels.height);
  json_open_array(j, "predictions");
  for (uint32_t i = 0; i < c->best; i++) {
    json_open_object(j, NULL);
    json_integer(j, "index", best[i].index);
    json_text(j, "label", best[i].label);
    json_float(j, "score", best[i].score);
    json_close_object(j);
  }
  json_close_array(j);
  json_close_object(j);
}

/* What resnet_classify did to the picture: see resnet_preprocess. */
static void print_geometry(const resnet_preprocess *p, uint32_t width, uint32_t height) {
  uint64_t shorter = width < height ? width : height;
  (void)printf("%u x %u", width, height);
  if (p->resize && p->resize != shorter) {
    width = (uint32_t)((uint64_t)width * p->resize / shorter);
    height = (uint32_t)((uint64_t)height * p->resize / shorter);
    (void)printf(", resized to %u x %u", width, height);
  }
  if (p->crop && (width != p->crop || height != p->crop)) (void)printf(", centre crop %u x %u", p->crop, p->crop);
}

static void print_result(const classification *c, const char *file, const sample *s, const resnet_prediction *best) {
  (void)fputs(bold(), stdout);
  print_masked(stdout, file);
  (void)fputs(plain(), stdout);
  if (!c->settings->quiet) {
    (void)fputs("  ", stdout);
    print_geometry(&c->model.info.preprocess, s->pixels.width, s->pixels.height);
  }
  (void)fputc('\n', stdout);
  for (uint32_t i = 0; i < c->best; i++) {
    (void)printf("  %6.2f %%  ", (double)best[i].score * 100);
    if (best[i].label)
      print_masked(stdout, best[i].label);
    else
      (void)printf("class %u", best[i].index);
    (void)fputc('\n', stdout);
  }
}

/* Read, label and report some pictures, in their order. */
static void classify_some(classification *c, char *const *files, size_t count) {
  sample *samples = allocate(count, sizeof *samples);
  resnet_prediction *best = allocate(count * c->best, sizeof *best);
  for (size_t i = 0; i < count; i++) (void)picture_read(files[i], &samples[i].pixels, &samples[i].error);
  model_label(c->session, samples, count, c->best, best);
  for (size_t i = 0; i < count; i++) {
    if (samples[i].error.status != RESNET_OK)
      report_failure(c, files[i], &samples[i].error);
    else if (c->settings->json)
      write_json_result(c, files[i], &samples[i], best + i * c->best);
    else
      print_result(c, files[i], &samples[i], best + i * c->best);
    picture_release(&samples[i].pixels);
  }
  free(samples);
  free(best);
}

static void classify_all(classification *c) {
  const settings *s = c->settings;
  size_t batch = s->batch ? s->batch : 1;
  for (size_t start = 0; start < s->operand_count && !output_failed(); start += batch) {
    size_t left = s->operand_count - start;
    classify_some(c, s->operands + start, left < batch ? left : batch);
  }
}

static void write_json_failures(classification *c) {
  json_open_array(&c->out, "errors");
  for (size_t i = 0; i < c->failure_count; i++) {
    json_open_object(&c->out, NULL);
    json_text(&c->out, "file", c->failures[i].file);
    json_text(&c->out, "message", c->failures[i].error.message);
    json_close_object(&c->out);
  }
  json_close_array(&c->out);
}

static void classify_as_json(classification *c) {
  json_open_object(&c->out, NULL);
  model_write_json(&c->model, &c->out);
  json_open_array(&c->out, "results");
  classify_all(c);
  json_close_array(&c->out);
  write_json_failures(c);
  json_close_object(&c->out);
}

int command_classify(const settings *s) {
  classification c = {.settings = s, .out = {.out = stdout}};
  if (!model_open(s, &c.model)) return EXIT_INPUT;
  model_note_guess(s, &c.model);
  c.best = s->best ? s->best : DEFAULT_BEST;
  if (c.best > c.model.info.classes) c.best = c.model.info.classes;
  uint32_t threads = s->threads ? s->threads : processor_count();
  bool good = model_open_session(&c.model, threads, s->batch ? s->batch : 1, RESNET_OBSERVE_RESPONSES, &c.session);
  if (good && s->json)
    classify_as_json(&c);
  else if (good) {
    if (!s->quiet) model_print(&c.model);
    classify_all(&c);
  }
  resnet_session_close(&c.session);
  resnet_model_close(&c.model.model);
  good = good && c.failure_count == 0;
  free(c.failures);
  return good ? EXIT_GOOD : EXIT_INPUT;
}
