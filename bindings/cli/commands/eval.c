/* resnet eval: accuracy over labelled images. The workers share the model; each has a
 * session with one thread. Every image has its own outcome, so that the results depend
 * neither on the number of workers nor on their timing. */
#include "cli/commands/eval.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/classes.h"
#include "cli/dataset.h"
#include "cli/exit_status.h"
#include "cli/image_input.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/model.h"
#include "cli/model_text.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/shell_message.h"
#include "cli/system.h"
#include "cli/terminal.h"
#include "cli/workers.h"
#include "support/error.h"
#include "support/image.h"
#include "support/json.h"
#include "support/statistics.h"

enum { TOP5 = 5 };

typedef struct outcome {
  uint8_t top1, top5;
  char *failure; /* why the image was not evaluated, or NULL */
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
  atomic_size_t next; /* first image that no worker has taken */
  progress bar;
  double seconds;
} evaluation;

typedef struct totals {
  uint64_t images, failures, top1, top5;
  stats_interval top1_interval;
} totals;

static void evaluate_sample(evaluation *e, size_t index, const sample *s,
                            const resnet_prediction *best) {
  outcome *o = &e->outcomes[index];
  if (s->error.status != RESNET_OK) {
    o->failure = cli_copy_text(s->error.message);
    return;
  }
  uint32_t truth = e->class_of_folder[e->data.items[index].folder];
  o->top1 = best[0].index == truth;
  for (uint32_t i = 0; i < e->best; i++) o->top5 |= best[i].index == truth;
}

static void worker_task(void *context, uint32_t worker) {
  evaluation *e = context;
  sample *samples = cli_allocate(e->batch, sizeof *samples);
  resnet_prediction *best = cli_allocate((size_t)e->batch * e->best, sizeof *best);
  size_t start;
  while ((start = atomic_fetch_add(&e->next, e->batch)) < e->data.count) {
    size_t left = e->data.count - start, count = left < e->batch ? left : e->batch;
    for (size_t i = 0; i < count; i++) {
      samples[i] = (sample){0};
      (void)cli_dataset_decode(&e->data, start + i, &samples[i].pixels, &samples[i].error);
    }
    (void)cli_model_label(e->sessions[worker], samples, count, e->best, best);
    for (size_t i = 0; i < count; i++) {
      evaluate_sample(e, start + i, &samples[i], best + i * e->best);
      image_release(&samples[i].pixels);
    }
    cli_progress_advance(&e->bar, count);
  }
  free(samples);
  free(best);
}

static void label_all(evaluation *e) {
  cli_progress_start(&e->bar, e->data.count, "images", e->settings->quiet);
  double start = cli_clock_seconds();
  cli_workers_run(e->workers, worker_task, e);
  e->seconds = cli_clock_seconds() - start;
  cli_progress_finish(&e->bar);
}

static bool evaluate_all(evaluation *e) {
  bool ok = true;
  e->sessions = cli_allocate(e->workers, sizeof *e->sessions);
  for (uint32_t i = 0; i < e->workers && ok; i++)
    ok = cli_model_open_session(&e->model, 1, e->batch, RESNET_OBSERVE_RESPONSES, &e->sessions[i]);
  if (ok) label_all(e);
  for (uint32_t i = 0; i < e->workers; i++) resnet_session_close(&e->sessions[i]);
  free(e->sessions);
  return ok;
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
  t.top1_interval = stats_wilson_interval(t.top1, t.images);
  return t;
}

static void write_json_failures(const evaluation *e, json *j) {
  char text[SHELL_MESSAGE_SIZE];
  json_open_array(j, "errors");
  for (size_t i = 0; i < e->data.count; i++) {
    if (!e->outcomes[i].failure) continue;
    json_open_object(j, NULL);
    json_text(j, "file", e->data.items[i].path);
    json_text(j, "message", cli_shell_message(e->outcomes[i].failure, text));
    json_close_object(j);
  }
  json_close_array(j);
}

static void write_json(const evaluation *e, const totals *t) {
  json j = {.out = stdout};
  json_open_object(&j, NULL);
  cli_model_write_json(&e->model, &j);
  json_text(&j, "data", e->settings->data);
  json_text(&j, "classes_by", e->class_rule);
  json_integer(&j, "folders", e->data.folder_count);
  json_integer(&j, "images", t->images);
  json_number(&j, "top1", stats_share(t->top1, t->images));
  json_number(&j, "top5", stats_share(t->top5, t->images));
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
  if (!e->settings->quiet) cli_model_print(&e->model);
  (void)fputs("data        ", stdout);
  cli_print_masked(stdout, e->settings->data);
  (void)printf(": %llu images in %u folders, classes by %s\n", (unsigned long long)t->images,
               e->data.folder_count, e->class_rule);
  if (t->images) {
    (void)printf("top-1       %s%.2f %%%s (95 %%: %.2f to %.2f)\n", cli_bold(),
                 100 * stats_share(t->top1, t->images), cli_plain(), 100 * t->top1_interval.low,
                 100 * t->top1_interval.high);
    if (e->model.info.classes > TOP5)
      (void)printf("top-5       %.2f %%\n", 100 * stats_share(t->top5, t->images));
  }
  (void)printf("speed       %.0f images/s (%.2f s, threads %u, batch %u)\n",
               (double)t->images / e->seconds, e->seconds, e->workers, e->batch);
  if (t->failures)
    (void)printf("unreadable  %llu images, not counted\n", (unsigned long long)t->failures);
}

static void report(const evaluation *e, const totals *t) {
  for (size_t i = 0; i < e->data.count; i++)
    if (e->outcomes[i].failure) cli_print_warning(e->data.items[i].path, e->outcomes[i].failure);
  cli_image_print_depths(e->settings, cli_dataset_count_cut(&e->data));
  if (e->settings->json)
    write_json(e, t);
  else
    print_text(e, t);
}

static bool prepare(evaluation *e) {
  const settings *s = e->settings;
  resnet_error error = {RESNET_OK, ""};
  if (e->model.info.classes == 0) {
    (void)error_set(&error, RESNET_ERROR_UNSUPPORTED,
                    "has no classes to rank: its output is an embedding of %u numbers",
                    e->model.info.score_count);
    cli_print_error(e->model.file, &error);
    return false;
  }
  if (!cli_dataset_open(s->data, &e->data, &error)) {
    cli_print_error(s->data, &error);
    return false;
  }
  e->data.options = s->image;
  e->class_of_folder = cli_allocate(e->data.folder_count, sizeof *e->class_of_folder);
  if (!cli_classes_match(&e->data, &e->model, e->class_of_folder, &e->class_rule, &error)) {
    cli_print_error(s->data, &error);
    return false;
  }
  e->workers = s->threads ? s->threads : cli_processor_count();
  e->batch = s->batch ? s->batch : cli_model_automatic_batch(&e->model);
  e->best = e->model.info.classes < TOP5 ? e->model.info.classes : TOP5;
  e->outcomes = cli_allocate(e->data.count, sizeof *e->outcomes);
  atomic_init(&e->next, 0);
  return true;
}

int command_eval(const settings *s) {
  evaluation e = {.settings = s};
  int code = EXIT_INPUT;
  if (!cli_model_open(s, &e.model)) return e.model.exit_code;
  cli_model_print_guess(s, &e.model);
  if (prepare(&e) && evaluate_all(&e)) {
    totals t = add_up(&e);
    report(&e, &t);
    if (t.failures == 0) code = EXIT_OK;
  }
  for (size_t i = 0; e.outcomes && i < e.data.count; i++) free(e.outcomes[i].failure);
  free(e.outcomes);
  free(e.class_of_folder);
  cli_dataset_close(&e.data);
  cli_model_close(&e.model);
  return code;
}
