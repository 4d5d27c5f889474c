#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare/comparison.h"
#include "cli/compare/significance.h"
#include "cli/compare/write_json.h"
#include "cli/dataset.h"
#include "cli/memory.h"
#include "cli/options.h"
#include "fixture.h"
#include "support/json.h"
#include "support/responses.h"
#include "support/statistics.h"

enum { ITEMS = 400, MAX_NAME = 64 };

static const char hostile_name[] = "</title><script>alert(1)</script>\"'&\xff\xe2\x80\xae=1+1,\x01";

typedef struct kind {
  const char *name;
  uint32_t depth;
  bool residual;
  double accuracy, response, sureness;
} kind;

static kind kind_of(char letter, bool reversed) {
  static const kind kinds[] = {{"plain20", 20, false, 0.80, 1.6, 0.02},
                               {"resnet20", 20, true, 0.82, 1.0, 0.03},
                               {"plain56", 56, false, 0.68, 1.5, -0.06},
                               {"resnet56", 56, true, 0.90, 0.55, 0.05}};
  kind k = kinds[letter == 'p' ? 0 : letter == 'r' ? 1 : letter == 'P' ? 2 : 3];
  if (!reversed) return k;
  k.accuracy = 1.45 - k.accuracy - (letter == 'p' ? 0.1 : letter == 'P' ? -0.1 : 0);
  k.response = 1 / k.response;
  k.sureness = -k.sureness;
  return k;
}

/* Return a number from 0 to below 1 that depends only on the arguments. */
static double noise(uint64_t a, uint64_t b) {
  uint64_t x = (a + 1) * 0x9e3779b97f4a7c15u ^ (b + 1) * 0xc2b2ae3d27d4eb4fu;
  x ^= x >> 31;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 29;
  return (double)(x >> 11) / 9007199254740992.0;
}

/* ---- images ---- */

static void add_folders(comparison *c, uint32_t classes, bool hostile) {
  c->data.folders = cli_allocate(classes, sizeof *c->data.folders);
  for (uint32_t i = 0; i < classes; i++) {
    char name[MAX_NAME];
    (void)snprintf(name, sizeof name, "%s%02u", hostile ? hostile_name : "class", i);
    c->data.folders[c->data.folder_count++] = cli_copy_text(name);
  }
}

static void add_images(comparison *c, const fixture_options *o, uint32_t classes) {
  resnet_error error;
  if (o->images && cli_dataset_open(o->images, &c->data, &error)) return;
  add_folders(c, classes, o->hostile);
  c->data.items = cli_allocate(ITEMS, sizeof *c->data.items);
  for (uint32_t i = 0; i < ITEMS; i++) {
    dataset_item *item = &c->data.items[c->data.count++];
    char path[2 * MAX_NAME];
    item->folder = i * classes / ITEMS;
    (void)snprintf(path, sizeof path, "=absent/%s/%04u.png", c->data.folders[item->folder], i);
    item->path = cli_copy_text(path);
  }
}

/* ---- a model ---- */

static void fill_plan(model_summary *n, const kind *k) {
  uint32_t blocks = (k->depth - 2) / 2;
  n->plan.op_count = k->depth;
  n->plan.ops = cli_allocate(k->depth, sizeof *n->plan.ops);
  n->plan.block_count = blocks;
  n->plan.blocks = cli_allocate(blocks, sizeof *n->plan.blocks);
  for (uint32_t i = 0; i < k->depth; i++)
    n->plan.ops[i] = (resnet_op){
        .name = "a node", .height = i + 1 < k->depth ? 8 : 1, .width = i + 1 < k->depth ? 8 : 1};
  for (uint32_t i = 0; i < blocks; i++) {
    char name[MAX_NAME];
    uint32_t stage = i * 3 / blocks;
    (void)snprintf(name, sizeof name, "stage%u.block%u", stage + 1, i - stage * blocks / 3 + 1);
    n->plan.blocks[i].name = cli_copy_text(name);
    bool projects = i > 0 && i % (blocks / 3) == 0;
    if (k->residual)
      n->plan.blocks[i].shortcut = projects ? RESNET_SHORTCUT_OPTION_A : RESNET_SHORTCUT_IDENTITY;
  }
}

static void fill_responses(model_summary *n, const kind *k) {
  n->response_count = n->layer_count = k->depth;
  n->responses = cli_allocate(k->depth, sizeof *n->responses);
  n->layers = cli_allocate(k->depth, sizeof *n->layers);
  for (uint32_t i = 0; i < k->depth; i++) {
    response_summary *r = &n->responses[i];
    *r = (response_summary){
        .op = i, .point = RESNET_POINT_RESPONSE, .layer = i + 1, .values = 1000000, .channels = 64};
    r->block = i > 0 && i + 1 < k->depth ? (i - 1) / 2 : RESNET_NO_INDEX;
    r->std = k->response * (0.75 + 0.5 * noise(i, k->depth)) * (1.2 - 0.5 * i / k->depth);
    if (i + 1 == k->depth) r->std = 4.1 + k->response;
    r->mean = -0.3 * r->std;
    r->min = -5 * r->std;
    r->max = 6 * r->std;
    for (int j = 0; j < RESPONSE_PERCENTILES; j++) r->percentiles[j] = r->std * (j - 2);
    r->negative = 0.6;
    r->dead = !k->residual && i % 11 == 3 ? 2 : 0;
    n->layers[i] = i;
  }
}

static void fill_blocks(model_summary *n, const kind *k, bool measured) {
  for (uint32_t i = 0; i < n->plan.block_count; i++) {
    block_summary *b = &n->blocks[i];
    double bump = noise(i, 77);
    b->shortcut_ms = b->unfused_ms = NAN;
    b->shortcut_interval = (stats_interval){NAN, NAN};
    b->branch_std = k->response * (0.4 + bump);
    b->shortcut_std = k->residual ? 1.1 : NAN;
    b->ratio = b->branch_std / b->shortcut_std;
    b->output_std = 1.3;
    b->can_ablate = k->residual || i == 0 || i % (n->plan.block_count / 3) != 0;
    b->ablated_top1 = k->residual ? k->accuracy - 0.25 * bump * bump : 0.1 + 0.1 * bump;
    if (!k->residual) continue;
    if (!measured) continue;
    b->shortcut_bytes = 131072 >> (2 * (i * 3 / n->plan.block_count));
    b->unfused_bytes = b->shortcut_bytes * 3;
    b->shortcut_ms = 0.004 + 0.002 * bump;
    b->shortcut_interval = (stats_interval){0.003, 0.007};
    b->unfused_ms = 0.011 + 0.003 * bump;
  }
}

static void fill_ablation(model_summary *n, const kind *k) {
  n->ablation_images = 1000;
  n->ablation_top1 = (uint64_t)(1000 * k->accuracy);
  n->ablation_count = n->plan.block_count < 10 ? 5 : 10;
  n->ablations = cli_allocate(n->ablation_count, sizeof *n->ablations);
  for (uint32_t i = 0; i < n->ablation_count; i++) {
    double share = (i + 1.0) / n->plan.block_count * (k->residual ? 1.6 : 9);
    double mean = 0.1 + (k->accuracy - 0.1) * exp(-share * 2);
    n->ablations[i] =
        (ablation_summary){i + 1, 10, mean, fmax(0.08, mean - 0.1), fmin(k->accuracy, mean + 0.06)};
  }
}

static void evaluate_sample(comparison *c, model_summary *n, const kind *k, size_t index) {
  uint32_t truth = n->class_of_folder[c->data.items[index].folder],
           classes = n->loaded.info.classes;
  sample_result *v = &n->results[index];
  bool right = noise(index, k->depth * 2 + k->residual) < k->accuracy;
  v->best =
      right ? truth
            : (truth + 1 + (uint32_t)(noise(index, 5) * noise(index, 6) * (classes - 1))) % classes;
  v->top1 = v->best == truth;
  v->top5 = v->top1 || noise(index, 9) < 0.8;
  v->confidence =
      (float)fmin(0.9999, 0.3 + (right ? 0.7 : 0.55) * sqrt(noise(index, 11)) + k->sureness);
  n->images++;
  n->top1 += v->top1;
  n->top5 += v->top5;
  n->confusion[(size_t)truth * classes + v->best]++;
  calibration_bin *bin = &n->calibration[(size_t)((double)v->confidence * CALIBRATION_BINS)];
  bin->images++;
  bin->right += v->top1;
  bin->confidence += (double)v->confidence;
}

static void fill_accuracy(comparison *c, model_summary *n, const kind *k) {
  n->class_of_folder = cli_allocate(c->data.folder_count, sizeof *n->class_of_folder);
  for (uint32_t i = 0; i < c->data.folder_count; i++) n->class_of_folder[i] = i;
  n->class_rule = "folder order";
  n->results = cli_allocate(c->data.count, sizeof *n->results);
  n->confusion =
      cli_allocate((size_t)n->loaded.info.classes * n->loaded.info.classes, sizeof *n->confusion);
  for (size_t i = 0; i < c->data.count; i++) evaluate_sample(c, n, k, i);
  double p = (double)n->top1 / (double)n->images,
         half = 1.96 * sqrt(p * (1 - p) / (double)n->images);
  n->top1_interval = (stats_interval){p - half, p + half};
  for (int i = 0; i < CALIBRATION_BINS; i++)
    n->calibration_error +=
        fabs(n->calibration[i].confidence - (double)n->calibration[i].right) / (double)n->images;
  n->cross_entropy = 0.5;
}

static void fill_model(comparison *c, model_summary *n, const kind *k, const fixture_options *o) {
  char title[2 * MAX_NAME];
  (void)snprintf(title, sizeof title, "%s%s", k->name, o->hostile ? hostile_name : "");
  n->title = cli_copy_text(title);
  n->loaded.file = o->hostile ? "=cmd|' /C calc'!A0" : "models/a.onnx";
  (void)memset(n->sha256, 'a', sizeof n->sha256 - 1);
  n->residual = k->residual;
  n->loaded.info = (resnet_model_info){
      .name = n->title, .producer = "a test", .classes = o->classes ? o->classes : 10};
  n->loaded.info.conv_layers = k->depth;
  n->loaded.info.parameters = k->depth * 13500u;
  n->loaded.info.macs = k->depth * 2040000u;
  n->loaded.info.arena_bytes = 262144;
  n->loaded.info.weights_bytes = k->depth * 80000u;
  fill_plan(n, k);
  fill_accuracy(c, n, k);
  n->blocks = cli_allocate(n->plan.block_count, sizeof *n->blocks);
  fill_blocks(n, k, !o->without_ablation);
  n->latency_median_ms = n->latency_p99_ms = n->latency_min_ms = NAN;
  if (o->without_ablation) return;
  fill_responses(n, k);
  fill_ablation(n, k);
  n->latency_median_ms = k->depth * 0.05;
  n->latency_p99_ms = k->depth * 0.062;
  n->latency_min_ms = k->depth * 0.049;
  n->peak_bytes = 23 << 20;
}

/* ---- the comparison ---- */

static void fill_pair(const comparison *c, pair_summary *p) {
  const model_summary *a = &c->models[p->a], *b = &c->models[p->b];
  for (size_t i = 0; i < c->data.count; i++) {
    p->images++;
    p->agree += a->results[i].best == b->results[i].best;
    p->both += a->results[i].top1 && b->results[i].top1;
    p->only_a += a->results[i].top1 && !b->results[i].top1;
    p->only_b += !a->results[i].top1 && b->results[i].top1;
  }
  double only_a = (double)p->only_a, only_b = (double)p->only_b,
         difference = fmax(0, fabs(only_a - only_b) - 1);
  p->mcnemar_chi2 = only_a + only_b > 0 ? difference * difference / (only_a + only_b) : 0;
  p->mcnemar_p = erfc(sqrt(p->mcnemar_chi2 / 2));
}

comparison *fixture_make(const fixture_options *o) {
  comparison *c = cli_allocate(1, sizeof *c);
  settings *s = cli_allocate(1, sizeof *s);
  const char *letters = o->models ? o->models : "prPR";
  s->data = o->hostile ? hostile_name : "a folder";
  s->command_line = o->hostile
                        ? hostile_name
                        : "resnet compare a.onnx b.onnx --data 'a folder' --report page.html";
  c->settings = s;
  add_images(c, o, o->classes ? o->classes : 10);
  c->failures = cli_allocate(c->data.count, sizeof *c->failures);
  c->model_count = (uint32_t)strlen(letters);
  c->models = cli_allocate(c->model_count, sizeof *c->models);
  for (uint32_t i = 0; i < c->model_count; i++) {
    kind k = kind_of(letters[i], o->reversed);
    fill_model(c, &c->models[i], &k, o);
  }
  c->pairs = cli_allocate((size_t)c->model_count * c->model_count, sizeof *c->pairs);
  for (uint32_t a = 0; a < c->model_count; a++) {
    for (uint32_t b = a + 1; b < c->model_count; b++) {
      c->pairs[c->pair_count] = (pair_summary){.a = a, .b = b};
      fill_pair(c, &c->pairs[c->pair_count++]);
    }
  }
  compare_adjust_pairs(c);
  c->workers = 2;
  c->seconds = 12.3;
  c->total_seconds = 45.6;
  return c;
}

static void release_model(model_summary *n) {
  free((void *)n->title);
  for (uint32_t i = 0; i < n->plan.block_count; i++) free((void *)n->plan.blocks[i].name);
  free(n->plan.ops);
  free(n->plan.blocks);
  free(n->class_of_folder);
  free(n->results);
  free(n->confusion);
  free(n->responses);
  free(n->layers);
  free(n->blocks);
  free(n->ablations);
}

void fixture_release(comparison *c) {
  for (uint32_t i = 0; i < c->model_count; i++) release_model(&c->models[i]);
  free(c->models);
  free(c->pairs);
  free(c->failures);
  if (c->data.capacity) {
    cli_dataset_close(&c->data); /* it was opened */
  } else {
    for (size_t i = 0; i < c->data.count; i++) free(c->data.items[i].path);
    for (uint32_t i = 0; i < c->data.folder_count; i++) free(c->data.folders[i]);
    free(c->data.items);
    free(c->data.folders);
  }
  free((void *)c->settings);
  free(c);
}

/* Replace compare's function, which is not linked here. */
void compare_write_json(const comparison *c, json *j) {
  json_open_object(j, NULL);
  json_integer(j, "nets", c->model_count);
  json_close_object(j);
}
