/* Evaluation of all images by all models, with their responses.
 *
 * Sums of responses are rounded, so their order matters. Images are cut into chunks whose
 * size depends only on the number of images. One worker evaluates a chunk, in the order
 * of its images and with separate sums; the split into batches has no effect on these.
 * They are added to the totals in the order of the chunks. */
#include "cli/compare/evaluate.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "cli/compare/comparison.h"
#include "cli/compare/layer_responses.h"
#include "cli/compare/sample_batch.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/model.h"
#include "cli/progress.h"
#include "cli/system.h"
#include "cli/workers.h"
#include "support/responses.h"

enum { TOP5 = 5 };

/* The sums that a session's observer adds to. */
typedef struct observation {
  const response_map *map;
  response_sums *sums;
} observation;

typedef struct evaluation_worker {
  resnet_session **sessions;      /* by model */
  observation *observations;      /* by model */
  resnet_prediction *predictions; /* (batch,classes) */
} evaluation_worker;

typedef struct evaluation {
  comparison *comparison;
  const response_map *maps;
  uint32_t *batches; /* by model */
  evaluation_worker *workers;
  response_sums **totals; /* by model */
  size_t chunk;           /* images in a chunk */
  atomic_size_t next;     /* first image that no worker has taken */
  pthread_mutex_t adding; /* guards totals, added and chunks_added */
  pthread_cond_t added;
  size_t chunks_added;
  progress bar;
} evaluation;

static void observe(void *user, const resnet_response *response) {
  const observation *o = user;
  compare_responses_add(o->map, o->sums, response);
}

/* ---- a chunk ---- */

static void evaluate_sample(model_summary *model, uint32_t truth, const resnet_prediction *best,
                            sample_result *v) {
  *v = (sample_result){
      .best = best[0].index, .confidence = best[0].score, .top1 = best[0].index == truth};
  for (uint32_t i = 0; i < model->loaded.info.classes; i++) {
    if (best[i].index != truth) continue;
    v->truth = best[i].score;
    v->top5 = i < TOP5;
  }
}

/* Label a batch with one model. Return false if the model refused an image. */
static bool label_batch(comparison *c, model_summary *model, evaluation_worker *w, sample *samples,
                        const size_t *indices, size_t count) {
  const uint32_t classes = model->loaded.info.classes;
  const bool ok =
      cli_model_label(w->sessions[model - c->models], samples, count, classes, w->predictions);
  for (size_t i = 0; i < count; i++) {
    if (samples[i].error.status != RESNET_OK)
      compare_fail_sample(c, indices[i], model, &samples[i].error);
    else
      evaluate_sample(model, model->class_of_folder[c->data.items[indices[i]].folder],
                      w->predictions + i * classes, &model->results[indices[i]]);
  }
  return ok;
}

static bool label_group(evaluation *j, evaluation_worker *w, sample_batch *g, bool alone) {
  comparison *c = j->comparison;
  bool ok = true;
  for (uint32_t n = 0; n < c->model_count; n++) {
    const size_t batch = alone ? 1 : j->batches[n];
    for (size_t i = 0; i < g->count; i += batch) {
      const size_t left = g->count - i;
      if (!label_batch(c, &c->models[n], w, g->samples + i, g->indices + i,
                       left < batch ? left : batch))
        ok = false;
    }
  }
  return ok;
}

/* Label a chunk with all models. Return false if a model refused an image, which other
 * models may have counted by then. */
static bool label_chunk(evaluation *j, evaluation_worker *w, sample_batch *g, size_t from,
                        size_t end, bool alone) {
  bool ok = true;
  for (uint32_t n = 0; n < j->comparison->model_count; n++)
    compare_responses_clear(&j->maps[n], w->observations[n].sums, from);
  while (from < end) {
    compare_batch_load(j->comparison, g, NULL, &from, end);
    if (!label_group(j, w, g, alone)) ok = false;
    compare_batch_clear(g);
  }
  return ok;
}

/* Add the sums of a chunk once all earlier chunks are added. The worker of the earliest
 * missing chunk never waits, so there is no deadlock. */
static void add_chunk(evaluation *j, const evaluation_worker *w, size_t chunk) {
  (void)pthread_mutex_lock(&j->adding);
  while (j->chunks_added < chunk) (void)pthread_cond_wait(&j->added, &j->adding);
  for (uint32_t n = 0; n < j->comparison->model_count; n++)
    compare_responses_merge(&j->maps[n], j->totals[n], w->observations[n].sums);
  j->chunks_added++;
  (void)pthread_cond_broadcast(&j->added);
  (void)pthread_mutex_unlock(&j->adding);
}

static void worker_task(void *context, uint32_t worker) {
  evaluation *j = context;
  evaluation_worker *w = &j->workers[worker];
  sample_batch g = compare_batch_allocate(j->chunk);
  const size_t images = j->comparison->data.count;
  size_t from;
  while ((from = atomic_fetch_add(&j->next, j->chunk)) < images) {
    const size_t end = images - from < j->chunk ? images : from + j->chunk;
    /* An image that one model refuses must not count for any: repeat the chunk without
     * it. */
    for (bool alone = false; !label_chunk(j, w, &g, from, end, alone);) alone = true;
    add_chunk(j, w, from / j->chunk);
    cli_progress_advance(&j->bar, end - from);
  }
  compare_batch_free(&g);
}

/* ---- workers ---- */

static bool open_worker(evaluation *j, evaluation_worker *w) {
  const comparison *c = j->comparison;
  size_t predictions = 0;
  resnet_error error;
  w->sessions = cli_allocate(c->model_count, sizeof *w->sessions);
  w->observations = cli_allocate(c->model_count, sizeof *w->observations);
  for (uint32_t n = 0; n < c->model_count; n++) {
    const loaded_model *m = &c->models[n].loaded;
    const size_t own = (size_t)j->batches[n] * m->info.classes;
    if (own > predictions) predictions = own;
    w->observations[n] = (observation){&j->maps[n], compare_responses_allocate(&j->maps[n])};
    if (!cli_model_open_session(m, 1, j->batches[n], RESNET_OBSERVE_RESPONSES, &w->sessions[n]))
      return false;
    if (resnet_session_observe(w->sessions[n], observe, &w->observations[n], &error) != RESNET_OK) {
      cli_print_error(m->file, &error);
      return false;
    }
  }
  w->predictions = cli_allocate(predictions, sizeof *w->predictions);
  return true;
}

static void close_worker(const evaluation *j, evaluation_worker *w) {
  for (uint32_t n = 0; w->sessions && n < j->comparison->model_count; n++) {
    resnet_session_close(&w->sessions[n]);
    compare_responses_release(&j->maps[n], w->observations[n].sums);
  }
  free(w->sessions);
  free(w->observations);
  free(w->predictions);
}

static void label_all(evaluation *j) {
  comparison *c = j->comparison;
  cli_progress_start(&j->bar, c->data.count, c->model_count > 1 ? "images, all models" : "images",
                     c->settings->quiet);
  const double start = cli_clock_seconds();
  cli_workers_run(c->workers, worker_task, j);
  c->seconds = cli_clock_seconds() - start;
  cli_progress_finish(&j->bar);
  for (uint32_t n = 0; n < c->model_count; n++)
    compare_responses_summarise(&c->models[n], &j->maps[n], j->totals[n]);
}

static void prepare(evaluation *j) {
  comparison *c = j->comparison;
  j->chunk = response_chunk(c->data.count);
  j->batches = cli_allocate(c->model_count, sizeof *j->batches);
  j->totals = cli_allocate(c->model_count, sizeof *j->totals);
  j->workers = cli_allocate(c->workers, sizeof *j->workers);
  c->failures = cli_allocate(c->data.count, sizeof *c->failures);
  for (uint32_t n = 0; n < c->model_count; n++) {
    model_summary *model = &c->models[n];
    j->batches[n] =
        c->settings->batch ? c->settings->batch : cli_model_automatic_batch(&model->loaded);
    j->totals[n] = compare_responses_allocate(&j->maps[n]);
    model->results = cli_allocate(c->data.count, sizeof *model->results);
  }
}

bool compare_evaluate(comparison *c, const response_map *maps) {
  evaluation j = {.comparison = c,
                  .maps = maps,
                  .adding = PTHREAD_MUTEX_INITIALIZER,
                  .added = PTHREAD_COND_INITIALIZER};
  bool ok = true;
  prepare(&j);
  for (uint32_t i = 0; i < c->workers && ok; i++) ok = open_worker(&j, &j.workers[i]);
  if (ok) label_all(&j);
  for (uint32_t i = 0; i < c->workers; i++) close_worker(&j, &j.workers[i]);
  for (uint32_t n = 0; n < c->model_count; n++) compare_responses_release(&maps[n], j.totals[n]);
  free(j.totals);
  free(j.batches);
  free(j.workers);
  (void)pthread_cond_destroy(&j.added);
  (void)pthread_mutex_destroy(&j.adding);
  return ok;
}
