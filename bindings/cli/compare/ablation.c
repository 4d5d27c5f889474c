#include "cli/compare/ablation.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare/comparison.h"
#include "cli/compare/sample_batch.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/model.h"
#include "cli/progress.h"
#include "cli/workers.h"
#include "support/statistics.h"

/* With five orders, a comparison of ResNet-20, ResNet-56 and the plain models of the same
 * depth takes 30 s in all, for 1000 images on two processors. */
enum { ABLATION_ORDERS = 5, MAX_STEPS = 32, SUB_BATCHES_PER_WORKER = 4, MAX_SUB_BATCH = 256 };

/* The blocks of a model that can be left out, and the number of images that it gets
 * right: as a whole, without each block, after each step of each order, and without
 * all blocks. */
typedef struct ablation_model {
  model_summary *summary;
  uint32_t *ablatable; /* (count): blocks that can be left out */
  uint32_t count;
  uint32_t *orders; /* (ABLATION_ORDERS,count): the same blocks in random orders */
  /* numbers of blocks left out, more than 1 and fewer than `count` */
  uint32_t steps[MAX_STEPS], step_count;
  atomic_uint_fast64_t images, whole, all;
  atomic_uint_fast64_t *single;  /* (count): without this block alone */
  atomic_uint_fast64_t *ordered; /* (ABLATION_ORDERS,step_count) */
} ablation_model;

typedef struct ablation_run {
  comparison *comparison;
  ablation_model *models;
  size_t images;
  size_t *order; /* (images): their indices in the data */
  size_t sub_batch;
  atomic_size_t next; /* first image that no worker has taken */
  atomic_bool failed;
  resnet_session **sessions; /* (workers,models) */
  progress bar;
} ablation_run;

/* ---- choosing blocks ---- */

/* Return the next number of splitmix64 (Steele, Lea, Flood 2014, "Fast Splittable
 * Pseudorandom Number Generators"). */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/* Shuffle with the algorithm of Fisher and Yates. */
static void shuffle(uint32_t *values, uint32_t count, uint64_t seed) {
  for (uint32_t left = count; left > 1; left--) {
    const uint32_t taken = (uint32_t)(next_random(&seed) % left), value = values[taken];
    values[taken] = values[left - 1];
    values[left - 1] = value;
  }
}

static void choose_ablations(ablation_model *n) {
  for (uint64_t step = 2; step < n->count && n->step_count < MAX_STEPS; step *= 2)
    n->steps[n->step_count++] = (uint32_t)step;
  n->orders = cli_allocate((size_t)ABLATION_ORDERS * n->count, sizeof *n->orders);
  for (uint32_t i = 0; i < ABLATION_ORDERS; i++) {
    uint32_t *order = n->orders + (size_t)i * n->count;
    memcpy(order, n->ablatable, n->count * sizeof *order);
    shuffle(order, n->count, i);
  }
  n->single = cli_allocate(n->count, sizeof *n->single);
  n->ordered = cli_allocate((size_t)ABLATION_ORDERS * n->step_count, sizeof *n->ordered);
}

/* Print the error and return false. */
static bool print_reason(const model_summary *n, const resnet_error *error) {
  cli_print_error(n->loaded.file, error);
  return false;
}

static bool ablate(const model_summary *n, resnet_session *session, uint32_t block) {
  resnet_error error;
  if (resnet_session_skip(session, block, RESNET_SKIP_BRANCH, 0, &error) == RESNET_OK) return true;
  return print_reason(n, &error);
}

static bool restore_all(const model_summary *n, resnet_session *session) {
  resnet_error error;
  if (resnet_session_skip(session, RESNET_NO_INDEX, RESNET_SKIP_NONE, 0, &error) == RESNET_OK)
    return true;
  return print_reason(n, &error);
}

/* Try each block, and list those that can be left out. */
static bool prepare_model(ablation_model *n, model_summary *summary) {
  resnet_session *session;
  n->summary = summary;
  n->ablatable = cli_allocate(summary->plan.block_count, sizeof *n->ablatable);
  if (!cli_model_open_session(&summary->loaded, 1, 1, RESNET_OBSERVE_RESPONSES, &session))
    return false;
  bool ok = true;
  for (uint32_t b = 0; b < summary->plan.block_count && ok; b++) {
    resnet_error error;
    const resnet_status status = resnet_session_skip(session, b, RESNET_SKIP_BRANCH, 0, &error);
    ok = status == RESNET_OK || status == RESNET_ERROR_UNSUPPORTED || print_reason(summary, &error);
    summary->blocks[b].can_ablate = status == RESNET_OK;
    summary->blocks[b].ablated_top1 = NAN;
    if (status == RESNET_OK) n->ablatable[n->count++] = b;
  }
  resnet_session_close(&session);
  choose_ablations(n);
  return ok;
}

/* Return how many times each image is evaluated. The whole model has evaluated it before
 * (compare_evaluate). */
static size_t runs_per_image(const ablation_model *n) {
  return n->count + (size_t)ABLATION_ORDERS * n->step_count + (n->count > 1);
}

/* ---- evaluating ---- */

static uint64_t count_right(ablation_run *run, const ablation_model *n, resnet_session *session,
                            sample_batch *g) {
  resnet_prediction *best = cli_allocate(g->count, sizeof *best);
  uint64_t right = 0;
  (void)cli_model_label(session, g->samples, g->count, 1, best);
  for (size_t i = 0; i < g->count; i++)
    right += g->samples[i].error.status == RESNET_OK &&
             best[i].index ==
                 n->summary->class_of_folder[run->comparison->data.items[g->indices[i]].folder];
  free(best);
  cli_progress_advance(&run->bar, g->count);
  return right;
}

/* Return how many images the whole model gets right. Ablations and observers change no
 * bit of its scores, so that they are not computed again. */
static uint64_t count_right_before(const ablation_model *n, const sample_batch *g) {
  uint64_t right = 0;
  for (size_t i = 0; i < g->count; i++) right += n->summary->results[g->indices[i]].top1;
  return right;
}

static bool evaluate_singles(ablation_run *run, ablation_model *n, resnet_session *session,
                             sample_batch *g) {
  for (uint32_t i = 0; i < n->count; i++) {
    if (!ablate(n->summary, session, n->ablatable[i])) return false;
    atomic_fetch_add(&n->single[i], count_right(run, n, session, g));
    if (!restore_all(n->summary, session)) return false;
  }
  return true;
}

static bool evaluate_order(ablation_run *run, ablation_model *n, resnet_session *session,
                           sample_batch *g, uint32_t order) {
  const uint32_t *blocks = n->orders + (size_t)order * n->count;
  uint32_t removed = 0;
  for (uint32_t step = 0; step < n->step_count; step++) {
    while (removed < n->steps[step])
      if (!ablate(n->summary, session, blocks[removed++])) return false;
    atomic_fetch_add(&n->ordered[(size_t)order * n->step_count + step],
                     count_right(run, n, session, g));
  }
  return restore_all(n->summary, session);
}

static bool evaluate_all_ablated(ablation_run *run, ablation_model *n, resnet_session *session,
                                 sample_batch *g) {
  if (n->count < 2) return true;
  for (uint32_t i = 0; i < n->count; i++)
    if (!ablate(n->summary, session, n->ablatable[i])) return false;
  atomic_fetch_add(&n->all, count_right(run, n, session, g));
  return restore_all(n->summary, session);
}

static bool evaluate_model(ablation_run *run, ablation_model *n, resnet_session *session,
                           sample_batch *g) {
  atomic_fetch_add(&n->images, g->count);
  atomic_fetch_add(&n->whole, count_right_before(n, g));
  bool ok = evaluate_singles(run, n, session, g);
  for (uint32_t i = 0; i < ABLATION_ORDERS && ok; i++) ok = evaluate_order(run, n, session, g, i);
  return ok && evaluate_all_ablated(run, n, session, g);
}

/* ---- workers ---- */

static void worker_task(void *context, uint32_t worker) {
  ablation_run *run = context;
  const uint32_t models = run->comparison->model_count;
  resnet_session **sessions = run->sessions + (size_t)worker * models;
  sample_batch g = compare_batch_allocate(run->sub_batch);
  size_t from;
  while (!atomic_load(&run->failed) &&
         (from = atomic_fetch_add(&run->next, run->sub_batch)) < run->images) {
    const size_t left = run->images - from,
                 end = from + (left < run->sub_batch ? left : run->sub_batch);
    while (from < end) {
      compare_batch_load(run->comparison, &g, run->order, &from, end);
      for (uint32_t n = 0; n < models && !atomic_load(&run->failed); n++)
        if (!evaluate_model(run, &run->models[n], sessions[n], &g))
          atomic_store(&run->failed, true);
      compare_batch_clear(&g);
    }
  }
  compare_batch_free(&g);
}

static bool run_ablations(ablation_run *run) {
  const comparison *c = run->comparison;
  const size_t count = (size_t)c->workers * c->model_count;
  bool ok = true;
  size_t total = 0;
  run->sessions = cli_allocate(count, sizeof(resnet_session *));
  for (size_t i = 0; i < count && ok; i++) {
    const loaded_model *m = &c->models[i % c->model_count].loaded;
    ok = cli_model_open_session(m, 1, cli_model_automatic_batch(m), RESNET_OBSERVE_RESPONSES,
                                &run->sessions[i]);
  }
  for (uint32_t i = 0; i < c->model_count; i++)
    total += runs_per_image(&run->models[i]) * run->images;
  if (ok) {
    cli_progress_start(&run->bar, total, "runs, blocks left out", c->settings->quiet);
    cli_workers_run(c->workers, worker_task, run);
    cli_progress_finish(&run->bar);
  }
  for (size_t i = 0; i < count; i++) resnet_session_close(&run->sessions[i]);
  free(run->sessions);
  return ok && !atomic_load(&run->failed);
}

/* ---- results ---- */

static void add_ablation(model_summary *s, uint32_t removed, const atomic_uint_fast64_t *right,
                         size_t stride, uint32_t choices) {
  ablation_summary r = {.removed = removed, .choices = choices, .min = INFINITY, .max = -INFINITY};
  for (uint32_t i = 0; i < choices; i++) {
    const double top1 = stats_share(atomic_load(&right[i * stride]), s->ablation_images);
    r.mean += top1 / choices;
    r.min = fmin(r.min, top1);
    r.max = fmax(r.max, top1);
  }
  s->ablations[s->ablation_count++] = r;
}

static void summarise(const ablation_model *n) {
  model_summary *s = n->summary;
  s->ablation_images = atomic_load(&n->images);
  s->ablation_top1 = atomic_load(&n->whole);
  for (uint32_t i = 0; i < n->count; i++)
    s->blocks[n->ablatable[i]].ablated_top1 =
        stats_share(atomic_load(&n->single[i]), s->ablation_images);
  s->ablations = cli_allocate((size_t)n->step_count + 2, sizeof *s->ablations);
  if (n->count == 0 || s->ablation_images == 0) return;
  add_ablation(s, 1, n->single, 1, n->count);
  for (uint32_t step = 0; step < n->step_count; step++)
    add_ablation(s, n->steps[step], n->ordered + step, n->step_count, ABLATION_ORDERS);
  if (n->count > 1) add_ablation(s, n->count, &n->all, 1, 1);
}

static void release_model(ablation_model *n) {
  free(n->ablatable);
  free(n->orders);
  free(n->single);
  free(n->ordered);
}

/* Return a size that gives each worker several sub-batches, so that no worker waits long
 * for the last one. */
static size_t choose_sub_batch(const ablation_run *run) {
  const size_t share_of_worker =
      run->images / ((size_t)run->comparison->workers * SUB_BATCHES_PER_WORKER);
  return share_of_worker < 1               ? 1
         : share_of_worker > MAX_SUB_BATCH ? MAX_SUB_BATCH
                                           : share_of_worker;
}

static void choose_images(ablation_run *run) {
  const comparison *c = run->comparison;
  const size_t wanted = c->settings->ablation_images.given ? c->settings->ablation_images.number
                                                           : DEFAULT_ABLATION_IMAGES;
  run->images = wanted < c->data.count ? wanted : c->data.count;
  run->order = cli_allocate(run->images, sizeof *run->order);
  for (size_t i = 0; i < run->images; i++)
    run->order[i] = (size_t)((uint64_t)i * c->data.count / run->images);
  run->sub_batch = choose_sub_batch(run);
}

bool compare_ablation(comparison *c) {
  ablation_run run = {.comparison = c, .models = cli_allocate(c->model_count, sizeof *run.models)};
  bool ok = true;
  choose_images(&run);
  for (uint32_t i = 0; i < c->model_count && ok; i++)
    ok = prepare_model(&run.models[i], &c->models[i]);
  ok = ok && (run.images == 0 || run_ablations(&run));
  for (uint32_t i = 0; i < c->model_count; i++) {
    if (ok) summarise(&run.models[i]);
    release_model(&run.models[i]);
  }
  free(run.models);
  free(run.order);
  return ok;
}
