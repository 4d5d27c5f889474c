#include "cli/compare/ablation.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare/sample_batch.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/workers.h"
#include "support/message.h"
#include "support/statistics.h"

/* Five orders of ResNet-56, ResNet-20 and the plain nets of their depth take, with all
 * else, half a minute for 1000 pictures on two processors. */
enum { REMOVAL_ORDERS = 5, MOST_STEPS = 32, PORTIONS_OF_WORKER = 4, MOST_OF_PORTION = 256 };

/* How many pictures a net gets right: whole, without each block, after each step of each
 * order, with all left out. */
typedef struct lesion_net {
  net_summary *summary;
  /* blocks that can be left out, in order */
  uint32_t *removable;
  uint32_t count; /* of them */
  /* (REMOVAL_ORDERS,count), of removable blocks */
  uint32_t *orders;
  /* numbers of blocks left out, above 1 and below all */
  uint32_t steps[MOST_STEPS], step_count;
  atomic_uint_fast64_t images, whole, all;
  atomic_uint_fast64_t *single;  /* by place in removable */
  atomic_uint_fast64_t *ordered; /* (REMOVAL_ORDERS,step_count) */
} lesion_net;

typedef struct lesions {
  comparison *comparison;
  lesion_net *nets;
  size_t pictures; /* to be judged */
  size_t *order;   /* their indices in the data */
  size_t portion;
  atomic_size_t next; /* first that no worker has taken */
  atomic_bool failed;
  resnet_session **sessions; /* (workers,nets) */
  progress bar;
} lesions;

/* ---- which blocks ---- */

/* splitmix64 (Steele, Lea, Flood 2014, "Fast Splittable Pseudorandom Number
 * Generators") */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/* Fisher and Yates' shuffle. */
static void shuffle(uint32_t *values, uint32_t count, uint64_t seed) {
  for (uint32_t left = count; left > 1; left--) {
    const uint32_t taken = (uint32_t)(next_random(&seed) % left), value = values[taken];
    values[taken] = values[left - 1];
    values[left - 1] = value;
  }
}

static void choose_removals(lesion_net *n) {
  for (uint64_t step = 2; step < n->count && n->step_count < MOST_STEPS; step *= 2)
    n->steps[n->step_count++] = (uint32_t)step;
  n->orders = allocate((size_t)REMOVAL_ORDERS * n->count, sizeof *n->orders);
  for (uint32_t i = 0; i < REMOVAL_ORDERS; i++) {
    uint32_t *order = n->orders + (size_t)i * n->count;
    memcpy(order, n->removable, n->count * sizeof *order);
    shuffle(order, n->count, i);
  }
  n->single = allocate(n->count, sizeof *n->single);
  n->ordered = allocate((size_t)REMOVAL_ORDERS * n->step_count, sizeof *n->ordered);
}

static bool say_why(const net_summary *n, const resnet_error *error) {
  complain(n->model.file, error->message);
  return false;
}

static bool leave_out(const net_summary *n, resnet_session *session, uint32_t block) {
  resnet_error error;
  if (resnet_session_skip(session, block, RESNET_SKIP_BRANCH, 0, &error) == RESNET_OK) return true;
  return say_why(n, &error);
}

static bool restore_all(const net_summary *n, resnet_session *session) {
  resnet_error error;
  if (resnet_session_skip(session, RESNET_NO_INDEX, RESNET_SKIP_NONE, 0, &error) == RESNET_OK)
    return true;
  return say_why(n, &error);
}

/* Find the blocks that can be left out by trying. */
static bool prepare_net(lesion_net *n, net_summary *summary) {
  resnet_session *session;
  n->summary = summary;
  n->removable = allocate(summary->plan.block_count, sizeof *n->removable);
  if (!model_open_session(&summary->model, 1, 1, RESNET_OBSERVE_RESPONSES, &session)) return false;
  bool good = true;
  for (uint32_t b = 0; b < summary->plan.block_count && good; b++) {
    resnet_error error;
    const resnet_status status = resnet_session_skip(session, b, RESNET_SKIP_BRANCH, 0, &error);
    good = status == RESNET_OK || status == RESNET_ERROR_UNSUPPORTED || say_why(summary, &error);
    summary->blocks[b].can_skip = status == RESNET_OK;
    summary->blocks[b].skipped_top1 = NAN;
    if (status == RESNET_OK) n->removable[n->count++] = b;
  }
  resnet_session_close(&session);
  choose_removals(n);
  return good;
}

/* Times that each picture is judged. */
static size_t rounds(const lesion_net *n) {
  return 1 + n->count + (size_t)REMOVAL_ORDERS * n->step_count + (n->count > 1);
}

/* ---- judging ---- */

static uint64_t count_right(lesions *l, const lesion_net *n, resnet_session *session,
                            picture_group *g) {
  resnet_prediction *best = allocate(g->count, sizeof *best);
  uint64_t right = 0;
  (void)model_label(session, g->samples, g->count, 1, best);
  for (size_t i = 0; i < g->count; i++)
    right += g->samples[i].error.status == RESNET_OK &&
             best[i].index ==
                 n->summary->class_of_folder[l->comparison->data.items[g->indices[i]].folder];
  free(best);
  progress_advance(&l->bar, g->count);
  return right;
}

static bool judge_singles(lesions *l, lesion_net *n, resnet_session *session, picture_group *g) {
  for (uint32_t i = 0; i < n->count; i++) {
    if (!leave_out(n->summary, session, n->removable[i])) return false;
    atomic_fetch_add(&n->single[i], count_right(l, n, session, g));
    if (!restore_all(n->summary, session)) return false;
  }
  return true;
}

static bool judge_order(lesions *l, lesion_net *n, resnet_session *session, picture_group *g,
                        uint32_t order) {
  const uint32_t *blocks = n->orders + (size_t)order * n->count;
  uint32_t removed = 0;
  for (uint32_t step = 0; step < n->step_count; step++) {
    while (removed < n->steps[step])
      if (!leave_out(n->summary, session, blocks[removed++])) return false;
    atomic_fetch_add(&n->ordered[(size_t)order * n->step_count + step],
                     count_right(l, n, session, g));
  }
  return restore_all(n->summary, session);
}

static bool judge_all_out(lesions *l, lesion_net *n, resnet_session *session, picture_group *g) {
  if (n->count < 2) return true;
  for (uint32_t i = 0; i < n->count; i++)
    if (!leave_out(n->summary, session, n->removable[i])) return false;
  atomic_fetch_add(&n->all, count_right(l, n, session, g));
  return restore_all(n->summary, session);
}

static bool judge_net(lesions *l, lesion_net *n, resnet_session *session, picture_group *g) {
  atomic_fetch_add(&n->images, g->count);
  atomic_fetch_add(&n->whole, count_right(l, n, session, g));
  bool good = judge_singles(l, n, session, g);
  for (uint32_t i = 0; i < REMOVAL_ORDERS && good; i++) good = judge_order(l, n, session, g, i);
  return good && judge_all_out(l, n, session, g);
}

/* ---- workers ---- */

static void work(void *context, uint32_t worker) {
  lesions *l = context;
  const uint32_t nets = l->comparison->net_count;
  resnet_session **sessions = l->sessions + (size_t)worker * nets;
  picture_group g = group_allocate(l->portion);
  size_t from;
  while (!atomic_load(&l->failed) &&
         (from = atomic_fetch_add(&l->next, l->portion)) < l->pictures) {
    const size_t left = l->pictures - from, end = from + (left < l->portion ? left : l->portion);
    while (from < end) {
      group_load(l->comparison, &g, l->order, &from, end);
      for (uint32_t n = 0; n < nets && !atomic_load(&l->failed); n++)
        if (!judge_net(l, &l->nets[n], sessions[n], &g)) atomic_store(&l->failed, true);
      group_clear(&g);
    }
  }
  group_free(&g);
}

static bool run_lesions(lesions *l) {
  const comparison *c = l->comparison;
  const size_t count = (size_t)c->workers * c->net_count;
  bool good = true;
  size_t total = 0;
  l->sessions = allocate(count, sizeof(resnet_session *));
  for (size_t i = 0; i < count && good; i++) {
    const loaded_model *m = &c->nets[i % c->net_count].model;
    good = model_open_session(m, 1, model_automatic_batch(m), RESNET_OBSERVE_RESPONSES,
                              &l->sessions[i]);
  }
  for (uint32_t i = 0; i < c->net_count; i++) total += rounds(&l->nets[i]) * l->pictures;
  if (good) {
    progress_start(&l->bar, total, "runs with blocks left out", c->settings->quiet);
    workers_run(c->workers, work, l);
    progress_finish(&l->bar);
  }
  for (size_t i = 0; i < count; i++) resnet_session_close(&l->sessions[i]);
  free(l->sessions);
  return good && !atomic_load(&l->failed);
}

/* ---- what came out ---- */

static void add_removal(net_summary *s, uint32_t removed, const atomic_uint_fast64_t *right,
                        size_t stride, uint32_t choices) {
  removal_summary r = {
      .removed = removed, .choices = choices, .least = INFINITY, .most = -INFINITY};
  for (uint32_t i = 0; i < choices; i++) {
    const double top1 = share(atomic_load(&right[i * stride]), s->lesion_images);
    r.mean += top1 / choices;
    r.least = fmin(r.least, top1);
    r.most = fmax(r.most, top1);
  }
  s->removals[s->removal_count++] = r;
}

static void summarise(const lesion_net *n) {
  net_summary *s = n->summary;
  s->lesion_images = atomic_load(&n->images);
  s->lesion_top1 = atomic_load(&n->whole);
  for (uint32_t i = 0; i < n->count; i++)
    s->blocks[n->removable[i]].skipped_top1 = share(atomic_load(&n->single[i]), s->lesion_images);
  s->removals = allocate((size_t)n->step_count + 2, sizeof *s->removals);
  if (n->count == 0 || s->lesion_images == 0) return;
  add_removal(s, 1, n->single, 1, n->count);
  for (uint32_t step = 0; step < n->step_count; step++)
    add_removal(s, n->steps[step], n->ordered + step, n->step_count, REMOVAL_ORDERS);
  if (n->count > 1) add_removal(s, n->count, &n->all, 1, 1);
}

static void release_net(lesion_net *n) {
  free(n->removable);
  free(n->orders);
  free(n->single);
  free(n->ordered);
}

/* As many for each worker that the last one to end does not keep the others waiting
 * long. */
static size_t portion_of(const lesions *l) {
  const size_t share_of_worker =
      l->pictures / ((size_t)l->comparison->workers * PORTIONS_OF_WORKER);
  return share_of_worker < 1                 ? 1
         : share_of_worker > MOST_OF_PORTION ? MOST_OF_PORTION
                                             : share_of_worker;
}

static void choose_pictures(lesions *l) {
  const comparison *c = l->comparison;
  const size_t wanted = c->settings->lesions.given ? c->settings->lesions.number : DEFAULT_LESIONS;
  l->pictures = wanted < c->data.count ? wanted : c->data.count;
  l->order = allocate(l->pictures, sizeof *l->order);
  for (size_t i = 0; i < l->pictures; i++)
    l->order[i] = (size_t)((uint64_t)i * c->data.count / l->pictures);
  l->portion = portion_of(l);
}

bool compare_lesions(comparison *c) {
  lesions l = {.comparison = c, .nets = allocate(c->net_count, sizeof *l.nets)};
  bool good = true;
  choose_pictures(&l);
  for (uint32_t i = 0; i < c->net_count && good; i++) good = prepare_net(&l.nets[i], &c->nets[i]);
  good = good && (l.pictures == 0 || run_lesions(&l));
  for (uint32_t i = 0; i < c->net_count; i++) {
    if (good) summarise(&l.nets[i]);
    release_net(&l.nets[i]);
  }
  free(l.nets);
  free(l.order);
  return good;
}
