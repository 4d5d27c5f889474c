/* Labelling all pictures with all nets, observed.
 *
 * Sums of responses are rounded, so that their order matters. Pictures are cut into
 * chunks whose size depends on nothing but their number; a chunk is one worker's, with
 * sums of its own, and these are added to the totals in the chunks' order. Within a
 * chunk, pictures come in order, and it does not matter how they are split into batches.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "cli/compare/compare.h"
#include "cli/compare/sample_batch.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/workers.h"
#include "support/message.h"

enum { MOST_BEST = 5 };

/* What a session's observer adds to. */
typedef struct observation {
  const response_map *map;
  response_sums *sums;
} observation;

/* By net: */
typedef struct judge_worker {
  resnet_session **sessions;
  observation *observations;
  resnet_prediction *predictions; /* of a batch, every class of each picture */
} judge_worker;

typedef struct judging {
  comparison *comparison;
  const response_map *maps;
  uint32_t *batches; /* by net */
  judge_worker *workers;
  response_sums **totals; /* by net */
  size_t chunk;           /* pictures of one */
  atomic_size_t next;     /* first picture that no worker has taken */
  pthread_mutex_t adding; /* guards the totals and the following */
  pthread_cond_t added;
  size_t chunks_added;
  progress bar;
} judging;

static void observe(void *user, const resnet_response *response) {
  const observation *o = user;
  responses_add(o->map, o->sums, response);
}

/* ---- a chunk ----------------------------------------------------------------------- */

static void judge(net_summary *net, uint32_t truth, const resnet_prediction *best, verdict *v) {
  *v =
      (verdict){.best = best[0].index, .confidence = best[0].score, .top1 = best[0].index == truth};
  for (uint32_t i = 0; i < net->model.info.classes; i++) {
    if (best[i].index != truth) continue;
    v->truth = best[i].score;
    v->top5 = i < MOST_BEST;
  }
}

/* False: a picture was refused. */
static bool label_batch(comparison *c, net_summary *net, judge_worker *w, sample *samples,
                        const size_t *indices, size_t count) {
  const uint32_t classes = net->model.info.classes;
  const bool good =
      model_label(w->sessions[net - c->nets], samples, count, classes, w->predictions);
  for (size_t i = 0; i < count; i++) {
    if (samples[i].error.status != RESNET_OK)
      fail_picture(c, indices[i], net, &samples[i].error);
    else
      judge(net, net->class_of_folder[c->data.items[indices[i]].folder],
            w->predictions + i * classes, &net->verdicts[indices[i]]);
  }
  return good;
}

static bool label_group(judging *j, judge_worker *w, picture_group *g, bool alone) {
  comparison *c = j->comparison;
  bool good = true;
  for (uint32_t n = 0; n < c->net_count; n++) {
    const size_t batch = alone ? 1 : j->batches[n];
    for (size_t i = 0; i < g->count; i += batch) {
      const size_t left = g->count - i;
      if (!label_batch(c, &c->nets[n], w, g->samples + i, g->indices + i,
                       left < batch ? left : batch))
        good = false;
    }
  }
  return good;
}

/* False: a picture was refused by a net after others had met it. */
static bool label_chunk(judging *j, judge_worker *w, picture_group *g, size_t from, size_t end,
                        bool alone) {
  bool good = true;
  for (uint32_t n = 0; n < j->comparison->net_count; n++)
    responses_clear(&j->maps[n], w->observations[n].sums, from);
  while (from < end) {
    group_load(j->comparison, g, NULL, &from, end);
    if (!label_group(j, w, g, alone)) good = false;
    group_clear(g);
  }
  return good;
}

/* When those before are added. The worker of the first that is not never waits, so that
 * none does for ever. */
static void add_chunk(judging *j, const judge_worker *w, size_t chunk) {
  (void)pthread_mutex_lock(&j->adding);
  while (j->chunks_added < chunk) (void)pthread_cond_wait(&j->added, &j->adding);
  for (uint32_t n = 0; n < j->comparison->net_count; n++)
    responses_merge(&j->maps[n], j->totals[n], w->observations[n].sums);
  j->chunks_added++;
  (void)pthread_cond_broadcast(&j->added);
  (void)pthread_mutex_unlock(&j->adding);
}

static void work(void *context, uint32_t worker) {
  judging *j = context;
  judge_worker *w = &j->workers[worker];
  picture_group g = group_allocate(j->chunk);
  const size_t pictures = j->comparison->data.count;
  size_t from;
  while ((from = atomic_fetch_add(&j->next, j->chunk)) < pictures) {
    const size_t end = pictures - from < j->chunk ? pictures : from + j->chunk;
    /* Pictures that turned out to be no good must not count for any net: the chunk is
     * begun again without them. */
    for (bool alone = false; !label_chunk(j, w, &g, from, end, alone);) alone = true;
    add_chunk(j, w, from / j->chunk);
    progress_advance(&j->bar, end - from);
  }
  group_free(&g);
}

/* ---- workers ----------------------------------------------------------------------- */

static bool open_worker(judging *j, judge_worker *w) {
  const comparison *c = j->comparison;
  size_t predictions = 0;
  resnet_error error;
  w->sessions = allocate(c->net_count, sizeof *w->sessions);
  w->observations = allocate(c->net_count, sizeof *w->observations);
  for (uint32_t n = 0; n < c->net_count; n++) {
    const loaded_model *m = &c->nets[n].model;
    const size_t own = (size_t)j->batches[n] * m->info.classes;
    if (own > predictions) predictions = own;
    w->observations[n] = (observation){&j->maps[n], responses_allocate(&j->maps[n])};
    if (!model_open_session(m, 1, j->batches[n], RESNET_OBSERVE_RESPONSES, &w->sessions[n]))
      return false;
    if (resnet_session_observe(w->sessions[n], observe, &w->observations[n], &error) != RESNET_OK) {
      complain(m->file, error.message);
      return false;
    }
  }
  w->predictions = allocate(predictions, sizeof *w->predictions);
  return true;
}

static void close_worker(const judging *j, judge_worker *w) {
  for (uint32_t n = 0; w->sessions && n < j->comparison->net_count; n++) {
    resnet_session_close(&w->sessions[n]);
    responses_release(&j->maps[n], w->observations[n].sums);
  }
  free(w->sessions);
  free(w->observations);
  free(w->predictions);
}

static void label_all(judging *j) {
  comparison *c = j->comparison;
  progress_start(&j->bar, c->data.count, c->net_count > 1 ? "pictures by all nets" : "pictures",
                 c->settings->quiet);
  const double start = clock_seconds();
  workers_run(c->workers, work, j);
  c->seconds = clock_seconds() - start;
  progress_finish(&j->bar);
  for (uint32_t n = 0; n < c->net_count; n++)
    responses_summarise(&c->nets[n], &j->maps[n], j->totals[n]);
}

static void prepare(judging *j) {
  comparison *c = j->comparison;
  j->chunk = response_chunk(c->data.count);
  j->batches = allocate(c->net_count, sizeof *j->batches);
  j->totals = allocate(c->net_count, sizeof *j->totals);
  j->workers = allocate(c->workers, sizeof *j->workers);
  c->failures = allocate(c->data.count, sizeof *c->failures);
  for (uint32_t n = 0; n < c->net_count; n++) {
    net_summary *net = &c->nets[n];
    j->batches[n] = c->settings->batch ? c->settings->batch : model_automatic_batch(&net->model);
    j->totals[n] = responses_allocate(&j->maps[n]);
    net->verdicts = allocate(c->data.count, sizeof *net->verdicts);
  }
}

bool compare_judge(comparison *c, const response_map *maps) {
  judging j = {.comparison = c,
               .maps = maps,
               .adding = PTHREAD_MUTEX_INITIALIZER,
               .added = PTHREAD_COND_INITIALIZER};
  bool good = true;
  prepare(&j);
  for (uint32_t i = 0; i < c->workers && good; i++) good = open_worker(&j, &j.workers[i]);
  if (good) label_all(&j);
  for (uint32_t i = 0; i < c->workers; i++) close_worker(&j, &j.workers[i]);
  for (uint32_t n = 0; n < c->net_count; n++) responses_release(&maps[n], j.totals[n]);
  free(j.totals);
  free(j.batches);
  free(j.workers);
  (void)pthread_cond_destroy(&j.added);
  (void)pthread_mutex_destroy(&j.adding);
  return good;
}
