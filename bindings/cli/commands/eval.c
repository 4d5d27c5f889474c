/* resnet eval: accuracy over labelled pictures. Workers with a session of one thread each
 * share the model; each picture's outcome has a place of its own, so that the numbers
 * depend neither on the workers nor on their timing. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/dataset.h"
#include "cli/model.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/workers.h"
#include "support/message.h"
#include "support/statistics.h"

enum { MOST_BEST = 5 };

typedef struct outcome {
  uint8_t top1, top5;
  char *failure; /* why the picture was not judged, or NULL */
} outcome;

typedef struct evaluation {
  const settings *settings;
  loaded_model model;
  dataset data;
  uint32_t *class_of_folder;
  const char *class_rule;
  uint32_t workers, batch, best;
  resnet_session **sessions; /* by worker */
  outcome *outcomes;
  atomic_size_t next; /* first picture that no worker has taken */
  progress bar;
  double seconds;
} evaluation;

typedef struct totals {
  uint64_t images, failures, top1, top5;
  interval top1_interval;
} totals;

static void judge(evaluation *e, size_t index, const sample *s, const resnet_prediction *best) {
  outcome *o = &e->outcomes[index];
  if (s->error.status != RESNET_OK) {
    o->failure = copy_text(s->error.message);
    return;
  }
  uint32_t truth = e->class_of_folder[e->data.items[index].folder];
  o->top1 = best[0].index == truth;
  for (uint32_t i = 0; i < e->best; i++) o->top5 |= best[i].index == truth;
}

static void work(void *context, uint32_t worker) {
  evaluation *e = context;
  sample *samples = allocate(e->batch, sizeof *samples);
  resnet_prediction *best = allocate((size_t)e->batch * e->best, sizeof *best);
  size_t start;
  while ((start = atomic_fetch_add(&e->next, e->batch)) < e->data.count) {
    size_t left = e->data.count - start, count = left < e->batch ? left : e->batch;
    for (size_t i = 0; i < count; i++) {
      samples[i] = (sample){0};
      (void)dataset_decode(&e->data, start + i, &samples[i].pixels, &samples[i].error);
    }
    (void)model_label(e->sessions[worker], samples, count, e->best, best);
    for (size_t i = 0; i < count; i++) {
      judge(e, start + i, &samples[i], best + i * e->best);
      picture_release(&samples[i].pixels);
    }
    progress_advance(&e->bar, count);
  }
  free(samples);
  free(best);
}

static void label_all(evaluation *e) {
  progress_start(&e->bar, e->data.count, "pictures", e->settings->quiet);
  double start = clock_seconds();
  workers_run(e->workers, work, e);
  e->seconds = clock_seconds() - start;
  progress_finish(&e->bar);
}

static bool evaluate(evaluation *e) {
  bool good = true;
  e->sessions = allocate(e->workers, sizeof *e->sessions);
  for (uint32_t i = 0; i < e->workers && good; i++)
    good = model_open_session(&e->model, 1, e->batch, RESNET_OBSERVE_RESPONSES, &e->sessions[i]);
  if (good) label_all(e);
  for (uint32_t i = 0; i < e->workers; i++) resnet_session_close(&e->sessions[i]);
  free(e->sessions);
  return good;
}

static totals add_up(const evaluation *e) {
  totals t = {0};
  for (size_t i = 0; i < e->data.count; i++) {
    const outcome *o = &e->outcomes[i];
    t.failures += o->failure != NULL;
    t.top1 += o->top1;
    t.top5 += o->top5;
  }
  t.images = e->data.count - t.failures;
  t.top1_interval = wilson_interval(t.top1, t.images);
  return t;
}

static void write_json_failures(const evaluation *e, json *j) {
  json_open_array(j, "errors");
  for (size_t i = 0; i < e->data.count; i++) {
    if (!e->outcomes[i].failure) continue;
    json_open_object(j, NULL);
    json_text(j, "file", e->data.items[i].path);
    json_text(j, "message", e->outcomes[i].failure);
    json_close_object(j);
  }
  json_close_array(j);
}

static void write_json(const evaluation *e, const totals *t) {
  json j = {.out = stdout};
  json_open_object(&j, NULL);
  model_write_json(&e->model, &j);
  json_text(&j, "data", e->settings->data);
  json_text(&j, "classes_by", e->class_rule);
  json_integer(&j, "folders", e->data.folder_count);
  json_integer(&j, "images", t->images);
  json_number(&j, "top1", share(t->top1, t->images));
  json_number(&j, "top5", share(t->top5, t->images));
  json_open_array(&j, "top1_ci95");
  json_number(&j, NULL, t->top1_interval.low);
  json_number(&j, NULL, t->top1_interval.high);
  json_close_array(&j);
  json_number(&j, "images_per_second", (double)t->images / e->seconds);
  json_number(&j, "seconds", e->seconds);
  json_integer(&j, "threads", e->workers);
  json_integer(&j, "batch", e->batch);
  write_json_failures(e, &j);
  json_close_object(&j);
}

static void print_text(const evaluation *e, const totals *t) {
  if (!e->settings->quiet) model_print(&e->model);
  (void)fputs("data        ", stdout);
  print_masked(stdout, e->settings->data);
  (void)printf(": %llu pictures in %u folders, classes by %s\n", (unsigned long long)t->images,
               e->data.folder_count, e->class_rule);
  if (t->images) {
    (void)printf("top-1       %s%.2f %%%s (95 %%: %.2f to %.2f)\n", bold(),
                 100 * share(t->top1, t->images), plain(), 100 * t->top1_interval.low,
                 100 * t->top1_interval.high);
    (void)printf("top-5       %.2f %%\n", 100 * share(t->top5, t->images));
  }
  (void)printf("speed       %.0f pictures/s (%.2f s, threads %u, batch %u)\n",
               (double)t->images / e->seconds, e->seconds, e->workers, e->batch);
  if (t->failures)
    (void)printf("unreadable  %llu pictures, not counted\n", (unsigned long long)t->failures);
}

static void report(const evaluation *e, const totals *t) {
  for (size_t i = 0; i < e->data.count; i++)
    if (e->outcomes[i].failure) complain(e->data.items[i].path, e->outcomes[i].failure);
  if (e->settings->json)
    write_json(e, t);
  else
    print_text(e, t);
}

static bool prepare(evaluation *e) {
  const settings *s = e->settings;
  resnet_error error = {RESNET_OK, ""};
  if (!dataset_open(s->data, &e->data, &error)) {
    complain(s->data, error.message);
    return false;
  }
  e->class_of_folder = allocate(e->data.folder_count, sizeof *e->class_of_folder);
  if (!classes_match(&e->data, &e->model.info, e->class_of_folder, &e->class_rule, &error)) {
    complain(s->data, error.message);
    return false;
  }
  e->workers = s->threads ? s->threads : processor_count();
  e->batch = s->batch ? s->batch : model_automatic_batch(&e->model);
  e->best = e->model.info.classes < MOST_BEST ? e->model.info.classes : MOST_BEST;
  e->outcomes = allocate(e->data.count, sizeof *e->outcomes);
  atomic_init(&e->next, 0);
  return true;
}

int command_eval(const settings *s) {
  evaluation e = {.settings = s};
  int code = EXIT_INPUT;
  if (!model_open(s, &e.model)) return code;
  model_note_guess(s, &e.model);
  if (prepare(&e) && evaluate(&e)) {
    totals t = add_up(&e);
    report(&e, &t);
    if (t.failures == 0) code = EXIT_GOOD;
  }
  for (size_t i = 0; e.outcomes && i < e.data.count; i++) free(e.outcomes[i].failure);
  free(e.outcomes);
  free(e.class_of_folder);
  dataset_close(&e.data);
  resnet_model_close(&e.model.model);
  return code;
}
