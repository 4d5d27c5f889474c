#include "cli/compare/accuracy.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "cli/compare/comparison.h"
#include "cli/compare/significance.h"
#include "cli/memory.h"
#include "support/statistics.h"

static void add_result(model_summary *model, uint32_t truth, const sample_result *v) {
  const uint32_t classes = model->loaded.info.classes;
  const double place = ceil((double)v->confidence * CALIBRATION_BINS) - 1;
  const int bin = place > 0 ? place < CALIBRATION_BINS ? (int)place : CALIBRATION_BINS - 1 : 0;
  model->images++;
  model->top1 += v->top1;
  model->top5 += v->top5;
  model->confusion[(size_t)truth * classes + v->best]++;
  model->calibration[bin].images++;
  model->calibration[bin].right += v->top1;
  model->calibration[bin].confidence += (double)v->confidence;
  /* A probability that is rounded to 0 would make the mean infinite. */
  model->cross_entropy -= log((double)fmaxf(v->truth, FLT_MIN));
}

static void evaluate_model(const comparison *c, model_summary *model) {
  const size_t classes = model->loaded.info.classes;
  model->confusion = cli_allocate(classes * classes, sizeof *model->confusion);
  for (size_t i = 0; i < c->data.count; i++)
    if (!c->failures[i])
      add_result(model, model->class_of_folder[c->data.items[i].folder], &model->results[i]);
  const double images = model->images ? (double)model->images : NAN;
  model->top1_interval = stats_wilson_interval(model->top1, model->images);
  model->top5_interval = stats_wilson_interval(model->top5, model->images);
  model->cross_entropy /= images;
  /* A bin's weight, images of the bin / images, cancels the division by its images. */
  for (int i = 0; i < CALIBRATION_BINS; i++)
    model->calibration_error +=
        fabs((double)model->calibration[i].right - model->calibration[i].confidence) / images;
}

void compare_accuracy(comparison *c) {
  for (uint32_t n = 0; n < c->model_count; n++) evaluate_model(c, &c->models[n]);
}

uint32_t compare_predicted_folder(const comparison *c, const model_summary *model, uint32_t best) {
  uint32_t folder = 0;
  while (folder < c->data.folder_count && model->class_of_folder[folder] != best) folder++;
  return folder;
}

static void compare_pair(const comparison *c, pair_summary *p) {
  const model_summary *a = &c->models[p->a], *b = &c->models[p->b];
  for (size_t i = 0; i < c->data.count; i++) {
    if (c->failures[i]) continue;
    const sample_result *left = &a->results[i], *right = &b->results[i];
    p->images++;
    p->agree +=
        compare_predicted_folder(c, a, left->best) == compare_predicted_folder(c, b, right->best);
    p->both += left->top1 && right->top1;
    p->only_a += left->top1 && !right->top1;
    p->only_b += !left->top1 && right->top1;
  }
  p->mcnemar_chi2 = stats_mcnemar_chi2(p->only_a, p->only_b);
  p->mcnemar_p = stats_mcnemar_p(p->only_a, p->only_b);
}

void compare_pairs(comparison *c) {
  c->pairs = cli_allocate((size_t)c->model_count * c->model_count, sizeof *c->pairs);
  for (uint32_t a = 0; a < c->model_count; a++) {
    for (uint32_t b = a + 1; b < c->model_count; b++) {
      pair_summary *p = &c->pairs[c->pair_count++];
      *p = (pair_summary){.a = a, .b = b};
      compare_pair(c, p);
    }
  }
  compare_adjust_pairs(c);
}
