/* What `resnet compare` makes of the nets' verdicts. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "cli/compare/compare.h"
#include "cli/terminal.h"

static void add_verdict(net_summary *net, uint32_t truth, const verdict *v) {
  const uint32_t classes = net->model.info.classes;
  const double place = ceil((double)v->confidence * CALIBRATION_BINS) - 1;
  const int bin = place > 0 ? place < CALIBRATION_BINS ? (int)place : CALIBRATION_BINS - 1 : 0;
  net->images++;
  net->top1 += v->top1;
  net->top5 += v->top5;
  net->confusion[(size_t)truth * classes + v->best]++;
  net->calibration[bin].pictures++;
  net->calibration[bin].right += v->top1;
  net->calibration[bin].confidence += (double)v->confidence;
  /* What a float cannot tell from 0 any more would make the mean infinite. */
  net->cross_entropy -= log((double)fmaxf(v->truth, FLT_MIN));
}

static void judge_net(const comparison *c, net_summary *net) {
  const size_t classes = net->model.info.classes;
  net->confusion = allocate(classes * classes, sizeof *net->confusion);
  for (size_t i = 0; i < c->data.count; i++)
    if (!c->failures[i])
      add_verdict(net, net->class_of_folder[c->data.items[i].folder], &net->verdicts[i]);
  const double images = net->images ? (double)net->images : NAN;
  net->top1_interval = wilson_interval(net->top1, net->images);
  net->top5_interval = wilson_interval(net->top5, net->images);
  net->cross_entropy /= images;
  for (int i = 0; i < CALIBRATION_BINS; i++)
    net->calibration_error +=
        /* weights cancel out */
        fabs((double)net->calibration[i].right - net->calibration[i].confidence) / images;
}

void compare_accuracy(comparison *c) {
  for (uint32_t n = 0; n < c->net_count; n++) judge_net(c, &c->nets[n]);
}

uint32_t folder_of_answer(const comparison *c, const net_summary *net, uint32_t best) {
  uint32_t folder = 0;
  while (folder < c->data.folder_count && net->class_of_folder[folder] != best) folder++;
  return folder;
}

static void compare_pair(const comparison *c, pair_summary *p) {
  const net_summary *a = &c->nets[p->a], *b = &c->nets[p->b];
  for (size_t i = 0; i < c->data.count; i++) {
    if (c->failures[i]) continue;
    const verdict *left = &a->verdicts[i], *right = &b->verdicts[i];
    p->images++;
    p->agree += folder_of_answer(c, a, left->best) == folder_of_answer(c, b, right->best);
    p->both += left->top1 && right->top1;
    p->only_a += left->top1 && !right->top1;
    p->only_b += !left->top1 && right->top1;
  }
  p->mcnemar_chi2 = mcnemar_chi2(p->only_a, p->only_b);
  p->mcnemar_p = mcnemar_p(p->only_a, p->only_b);
}

void compare_pairs(comparison *c) {
  c->pairs = allocate((size_t)c->net_count * c->net_count, sizeof *c->pairs);
  for (uint32_t a = 0; a < c->net_count; a++) {
    for (uint32_t b = a + 1; b < c->net_count; b++) {
      pair_summary *p = &c->pairs[c->pair_count++];
      *p = (pair_summary){.a = a, .b = b};
      compare_pair(c, p);
    }
  }
}
