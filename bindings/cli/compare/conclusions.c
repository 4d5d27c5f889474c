/* What the numbers say, in plain sentences, one a line: see report.h. Each number comes
 * from the comparison, and each expectation of "Deep Residual Learning" is said to hold,
 * not to hold, or why neither can be said. */
#include "cli/compare/conclusions.h"

#include <math.h>
#include <stdlib.h>

#include "cli/compare/comparison.h"
#include "cli/compare/derived.h"
#include "cli/format.h"
#include "cli/memory.h"
#include "cli/plan.h"

/* McNemar's p below which two models are said to differ. */
static const double significant = 0.05;

enum { MAX_SENTENCES = 12 };

static const char *title_of(const comparison *c, uint32_t model) { return c->models[model].title; }

static uint32_t depth_of(const comparison *c, uint32_t model) {
  return c->models[model].loaded.info.conv_layers;
}

static const char *kind_of(bool residual) { return residual ? "residual" : "plain"; }

/* "p = 0.03", "p < 0.0001". */
static void write_p(FILE *out, double p) {
  if (p < 0.0001)
    (void)fputs("p < 0.0001", out);
  else
    (void)fprintf(out, "p = %.2g", p);
}

/* ---- accuracy ---- */

static const pair_summary *pair_of(const comparison *c, uint32_t a, uint32_t b) {
  for (uint32_t i = 0; i < c->pair_count; i++) {
    const pair_summary *p = &c->pairs[i];
    if ((p->a == a && p->b == b) || (p->a == b && p->b == a)) return p;
  }
  return NULL;
}

static bool may_be_chance(const comparison *c, uint32_t a, uint32_t b) {
  const pair_summary *p = pair_of(c, a, b);
  return p && !(p->mcnemar_p < significant);
}

static void compare_depths(const comparison *c, uint32_t shallow, uint32_t deep, FILE *out) {
  double before = compare_top1(&c->models[shallow]), after = compare_top1(&c->models[deep]);
  const pair_summary *p = pair_of(c, shallow, deep);
  bool chance = may_be_chance(c, shallow, deep), residual = c->models[deep].residual;
  (void)fprintf(
      out, "The deeper of the %s models %s and %s gets %.2f %% right and the shallower %.2f %%",
      kind_of(residual), title_of(c, shallow), title_of(c, deep), 100 * after, 100 * before);
  if (p) {
    (void)fputs(" (McNemar's ", out);
    write_p(out, p->mcnemar_p);
    (void)fputc(')', out);
  }
  if (chance)
    (void)fputs(": a difference that may be chance, so that neither degradation nor gain by depth "
                "can be said.\n",
                out);
  else if (after < before && !residual)
    (void)fputs(": depth makes it worse, the degradation that the paper starts from.\n", out);
  else if (after < before)
    (void)fputs(": depth makes it worse, which shortcuts should prevent; the paper's finding does "
                "not hold here.\n",
                out);
  else if (after > before && residual)
    (void)fputs(": depth makes it better, as in the paper.\n", out);
  else if (after > before)
    (void)fputs(": depth makes it better; the paper's degradation does not show here.\n", out);
  else
    (void)fputs(": no difference.\n", out);
}

static void compare_neighbours(const comparison *c, bool residual,
                               void (*say)(const comparison *, uint32_t, uint32_t, FILE *),
                               FILE *out) {
  uint32_t *order = cli_allocate(c->model_count, sizeof *order),
           count = compare_models_by_depth(c, residual, order);
  for (uint32_t i = 1, said = 0; i < count && said < MAX_SENTENCES; i++) {
    if (depth_of(c, order[i - 1]) == depth_of(c, order[i])) continue;
    say(c, order[i - 1], order[i], out);
    said++;
  }
  free(order);
}

void compare_conclude_accuracy(const comparison *c, FILE *out) {
  uint32_t best = RESNET_NO_INDEX;
  for (uint32_t i = 0; i < c->model_count; i++)
    if (c->models[i].images &&
        (best == RESNET_NO_INDEX || compare_top1(&c->models[i]) > compare_top1(&c->models[best])))
      best = i;
  if (best == RESNET_NO_INDEX) {
    (void)fputs("No image could be evaluated: nothing can be said about accuracy.\n", out);
    return;
  }
  const model_summary *n = &c->models[best];
  char images[FORMAT_SIZE];
  (void)fprintf(out,
                "%s%s gets %.2f %% of %s images right (95 %% interval: %.2f %% to %.2f %%)%s.\n",
                c->model_count > 1 ? "The most accurate model, " : "", n->title,
                100 * compare_top1(n), cli_format_grouped(images, n->images),
                100 * n->top1_interval.low, 100 * n->top1_interval.high,
                c->model_count > 1 ? "" : "; with one model there is nothing to compare it to");
  compare_neighbours(c, false, compare_depths, out);
  compare_neighbours(c, true, compare_depths, out);
}

/* ---- layer responses ---- */

/* Ratios of a residual model to a plain one, layer by layer. */
static void compare_to_plain(const comparison *c, uint32_t plain, uint32_t residual, FILE *out) {
  const model_summary *p = &c->models[plain], *r = &c->models[residual];
  uint32_t count = compare_figure_layers(r), smaller = 0;
  double *ratios = cli_allocate(count, sizeof *ratios);
  for (uint32_t i = 0; i < count; i++) {
    ratios[i] = compare_layer_std(r, i) / compare_layer_std(p, i);
    smaller += ratios[i] < 1;
  }
  double median = compare_median(ratios, count);
  free(ratios);
  if (!isfinite(median)) return;
  (void)fprintf(out,
                "%s's layer responses are %.2f times those of %s in the median layer (layers "
                "compared one by one), and "
                "smaller in %u of %u layers: ",
                r->title, median, p->title, smaller, count);
  (void)fputs(median < 1 ? "the paper's order, plain above residual, holds.\n"
                         : "the paper's order, plain above residual, does not hold.\n",
              out);
}

static uint32_t compare_equal_depths(const comparison *c, FILE *out) {
  uint32_t said = 0;
  for (uint32_t r = 0; r < c->model_count; r++) {
    for (uint32_t p = 0; p < c->model_count && said < MAX_SENTENCES; p++) {
      const model_summary *plain = &c->models[p], *residual = &c->models[r];
      if (plain->residual || !residual->residual || compare_figure_layers(plain) == 0 ||
          compare_figure_layers(plain) != compare_figure_layers(residual))
        continue;
      compare_to_plain(c, p, r, out);
      said++;
    }
  }
  return said;
}

static void compare_layer_depths(const comparison *c, uint32_t shallow, uint32_t deep, FILE *out) {
  double before = compare_median_layer_std(&c->models[shallow]),
         after = compare_median_layer_std(&c->models[deep]);
  if (!isfinite(before) || !isfinite(after)) return;
  (void)fprintf(
      out, "The deeper of %s and %s has %s responses: median standard deviation %.3g against %.3g",
      title_of(c, shallow), title_of(c, deep),
      after < before   ? "smaller"
      : after > before ? "larger"
                       : "equal",
      after, before);
  (void)fputs(after < before ? "; the paper's order, deeper below shallower, holds.\n"
                             : "; the paper's order, deeper below shallower, does not hold.\n",
              out);
}

static bool any_layers(const comparison *c) {
  for (uint32_t i = 0; i < c->model_count; i++)
    if (isfinite(compare_median_layer_std(&c->models[i]))) return true;
  return false;
}

void compare_conclude_layers(const comparison *c, FILE *out) {
  uint32_t *order = cli_allocate(c->model_count, sizeof *order);
  uint32_t plain = compare_models_by_depth(c, false, order),
           residual = compare_models_by_depth(c, true, order);
  if (!any_layers(c))
    (void)fputs("Layer responses were not observed: nothing can be said about them.\n", out);
  else if (plain == 0 || residual == 0)
    (void)fprintf(out,
                  "No %s model is among those compared: whether plain models have larger responses "
                  "than residual ones "
                  "cannot be said.\n",
                  kind_of(plain > 0));
  else if (compare_equal_depths(c, out) == 0)
    (void)fputs("No plain model has as many layers as a residual one: their responses cannot be "
                "compared layer by layer.\n",
                out);
  if (any_layers(c)) {
    if (residual < 2 || depth_of(c, order[0]) == depth_of(c, order[residual - 1]))
      (void)fputs("Fewer than two residual models of different depth are compared: whether deeper "
                  "ones have smaller "
                  "responses cannot be said.\n",
                  out);
    compare_neighbours(c, true, compare_layer_depths, out);
  }
  free(order);
}

/* ---- residual branches ---- */

static void say_ratios(const model_summary *n, FILE *out) {
  uint32_t min = RESNET_NO_INDEX, max = RESNET_NO_INDEX;
  for (uint32_t i = 0; i < n->plan.block_count; i++) {
    double ratio = n->blocks[i].ratio;
    if (!cli_plan_has_shortcut(&n->plan, i) || !isfinite(ratio)) continue;
    if (min == RESNET_NO_INDEX || ratio < n->blocks[min].ratio) min = i;
    if (max == RESNET_NO_INDEX || ratio > n->blocks[max].ratio) max = i;
  }
  if (min == RESNET_NO_INDEX) return;
  (void)fprintf(out,
                "In the median block of %s the residual branch varies %.2f times as much as the "
                "shortcut; least in %s "
                "(%.2f), most in %s (%.2f).\n",
                n->title, compare_median_ratio(n), n->plan.blocks[min].name, n->blocks[min].ratio,
                n->plan.blocks[max].name, n->blocks[max].ratio);
}

static void compare_ratios(const comparison *c, uint32_t shallow, uint32_t deep, FILE *out) {
  double before = compare_median_ratio(&c->models[shallow]),
         after = compare_median_ratio(&c->models[deep]);
  if (!isfinite(before) || !isfinite(after)) return;
  (void)fprintf(
      out,
      "The deeper of %s and %s changes the signal %s per block: median ratio %.2f against %.2f%s",
      title_of(c, shallow), title_of(c, deep),
      after < before   ? "less"
      : after > before ? "more"
                       : "as much",
      after, before,
      after < before ? ", as the paper argues.\n"
                     : "; what the paper argues does not hold here.\n");
}

void compare_conclude_blocks(const comparison *c, FILE *out) {
  uint32_t *order = cli_allocate(c->model_count, sizeof *order),
           residual = compare_models_by_depth(c, true, order), said = 0;
  for (uint32_t i = 0; i < residual; i++) {
    const model_summary *n = &c->models[order[i]];
    if (!isfinite(compare_median_ratio(n)) || said >= MAX_SENTENCES) continue;
    say_ratios(n, out);
    said++;
  }
  free(order);
  if (residual == 0)
    (void)fputs(
        "None of the models has shortcuts: there are no residual branches to compare with them.\n",
        out);
  else if (said == 0)
    (void)fputs("Responses were not observed: how large residual branches are cannot be said.\n",
                out);
  compare_neighbours(c, true, compare_ratios, out);
}

/* ---- ablations ---- */

static void say_block_ablation(const model_summary *n, FILE *out) {
  double *costs = cli_allocate(n->plan.block_count, sizeof *costs), whole = compare_whole_error(n);
  uint32_t count = 0, worst = 0;
  for (uint32_t i = 0; i < n->plan.block_count; i++) {
    if (!n->blocks[i].can_ablate || !isfinite(n->blocks[i].ablated_top1)) continue;
    if (count == 0 || n->blocks[i].ablated_top1 < n->blocks[worst].ablated_top1) worst = i;
    costs[count++] = 1 - n->blocks[i].ablated_top1 - whole;
  }
  double median = compare_median(costs, count);
  free(costs);
  if (count == 0) {
    (void)fprintf(out,
                  "No block of %s can be left out: each changes the shape of what it is given.\n",
                  n->title);
    return;
  }
  (void)fprintf(out,
                "Leaving out one block of %s raises its error by %.1f points in the median of %u "
                "blocks, and by %.1f at "
                "worst (%s), from %.1f %%.\n",
                n->title, 100 * median, count, 100 * (1 - n->blocks[worst].ablated_top1 - whole),
                n->plan.blocks[worst].name, 100 * whole);
}

void compare_conclude_block_ablation(const comparison *c, FILE *out) {
  uint32_t said = 0;
  for (uint32_t i = 0; i < c->model_count && said < MAX_SENTENCES; i++) {
    if (c->models[i].ablation_images == 0) continue;
    say_block_ablation(&c->models[i], out);
    said++;
  }
  if (said == 0)
    (void)fputs("No ablations were tried: what single blocks are worth cannot be said.\n", out);
}

/* How many blocks can be gone before the mean error is halfway from the whole model's to
 * that of the most removed. */
static void say_ablation(const model_summary *n, FILE *out) {
  const ablation_summary *last = &n->ablations[n->ablation_count - 1];
  double whole = compare_whole_error(n), end = 1 - last->mean;
  (void)fprintf(out,
                "With %u blocks of %s left out, the mean error is %.1f %% (%.1f %% to %.1f %% by "
                "choice of blocks) against "
                "%.1f %% of the whole model",
                last->removed, n->title, 100 * end, 100 * (1 - last->max), 100 * (1 - last->min),
                100 * whole);
  for (uint32_t i = 0; i < n->ablation_count; i++) {
    if (1 - n->ablations[i].mean < (whole + end) / 2) continue;
    (void)fprintf(out, "; half of that rise is reached with %u left out", n->ablations[i].removed);
    break;
  }
  (void)fputs(".\n", out);
}

void compare_conclude_ablation(const comparison *c, FILE *out) {
  uint32_t said = 0;
  for (uint32_t i = 0; i < c->model_count && said < MAX_SENTENCES; i++) {
    if (c->models[i].ablation_count == 0) continue;
    say_ablation(&c->models[i], out);
    said++;
  }
  if (said == 0)
    (void)fputs("Leaving out several blocks was not tried: nothing can be said about it.\n", out);
}

/* ---- what shortcuts cost ---- */

typedef struct shortcut_costs {
  uint32_t shortcuts, lost; /* lost: those whose time is smaller than the noise */
  double ms, unfused_ms;
  uint64_t bytes, unfused_bytes;
} shortcut_costs;

static shortcut_costs add_costs(const model_summary *n) {
  shortcut_costs sum = {0};
  for (uint32_t i = 0; n->blocks && i < n->plan.block_count; i++) {
    if (!cli_plan_has_shortcut(&n->plan, i)) continue;
    sum.shortcuts++;
    if (isfinite(n->blocks[i].shortcut_ms))
      sum.ms += n->blocks[i].shortcut_ms;
    else
      sum.lost++;
    sum.unfused_ms += n->blocks[i].unfused_ms;
    sum.bytes += n->blocks[i].shortcut_bytes;
    sum.unfused_bytes += n->blocks[i].unfused_bytes;
  }
  return sum;
}

static void say_times(const model_summary *n, const shortcut_costs *sum, FILE *out) {
  double share = sum->ms / n->latency_median_ms, unfused = sum->unfused_ms / n->latency_median_ms;
  if (sum->lost == sum->shortcuts)
    (void)fprintf(out, "What the %u shortcuts of %s take of its %.3g ms is lost in the noise",
                  sum->shortcuts, n->title, n->latency_median_ms);
  else
    (void)fprintf(out, "The %u shortcuts of %s take %.3g ms of its %.3g ms (%.1f %%)",
                  sum->shortcuts, n->title, sum->ms, n->latency_median_ms, 100 * share);
  if (sum->lost > 0 && sum->lost < sum->shortcuts)
    (void)fprintf(out, ", not counting %u whose time is lost in the noise", sum->lost);
  if (!isfinite(sum->unfused_ms))
    (void)fputs("; what they would take as operations of their own was not measured.\n", out);
  else if (sum->unfused_ms > sum->ms)
    (void)fprintf(out,
                  "; as operations of their own they would take %.3g ms (%.1f %%): fusing them "
                  "saves %.1f %%.\n",
                  sum->unfused_ms, 100 * unfused, 100 * (unfused - share));
  else
    (void)fprintf(
        out,
        "; as operations of their own they would take %.3g ms: fusing them saves nothing here.\n",
        sum->unfused_ms);
}

void compare_conclude_shortcut_times(const comparison *c, FILE *out) {
  uint32_t said = 0, with = 0;
  for (uint32_t i = 0; i < c->model_count && said < MAX_SENTENCES; i++) {
    shortcut_costs sum = add_costs(&c->models[i]);
    with += sum.shortcuts > 0;
    bool measured = sum.lost < sum.shortcuts || (sum.shortcuts > 0 && isfinite(sum.unfused_ms));
    if (!measured || !(c->models[i].latency_median_ms > 0)) continue;
    say_times(&c->models[i], &sum, out);
    said++;
  }
  if (said == 0 && with > 0) (void)fputs("What shortcuts cost in time was not measured.\n", out);
  if (with == 0) (void)fputs("None of the models has shortcuts: they cost nothing.\n", out);
}

void compare_conclude_shortcut_bytes(const comparison *c, FILE *out) {
  uint32_t said = 0, with = 0;
  for (uint32_t i = 0; i < c->model_count && said < MAX_SENTENCES; i++) {
    shortcut_costs sum = add_costs(&c->models[i]);
    with += sum.shortcuts > 0;
    if (sum.shortcuts == 0 || sum.unfused_bytes == 0) continue;
    char fused[FORMAT_SIZE], unfused[FORMAT_SIZE];
    (void)fprintf(out,
                  "For the %u shortcuts of %s, %s have to be read and written for each image; as "
                  "operations of their "
                  "own, %s",
                  sum.shortcuts, c->models[i].title, cli_format_bytes(fused, sum.bytes),
                  cli_format_bytes(unfused, sum.unfused_bytes));
    if (sum.bytes > 0 && sum.unfused_bytes != sum.bytes)
      (void)fprintf(out, ", %.2f times as much", (double)sum.unfused_bytes / (double)sum.bytes);
    (void)fputs(".\n", out);
    said++;
  }
  if (said == 0 && with > 0) (void)fputs("The memory traffic of shortcuts is not known.\n", out);
  if (with == 0)
    (void)fputs("None of the models has shortcuts: they take no memory traffic.\n", out);
}

/* ---- confusions and calibration ---- */

void compare_conclude_confusions(const comparison *c, FILE *out) {
  uint32_t said = 0;
  for (uint32_t i = 0; i < c->model_count && said < MAX_SENTENCES; i++) {
    const model_summary *n = &c->models[i];
    confusion_cell worst;
    char truth[CLASS_NAME_SIZE], answer[CLASS_NAME_SIZE], images[FORMAT_SIZE], all[FORMAT_SIZE];
    if (compare_largest_confusions(n, &worst, 1) == 0) {
      if (n->images) (void)fprintf(out, "%s makes no mistake.\n", n->title);
      said += n->images > 0;
      continue;
    }
    uint64_t of_class = 0;
    for (size_t j = 0; j < n->loaded.info.classes; j++)
      of_class += n->confusion[worst.truth * (size_t)n->loaded.info.classes + j];
    (void)fprintf(out,
                  "%s most often takes \xe2\x80\x9c%s\xe2\x80\x9d for \xe2\x80\x9c%s\xe2\x80\x9d: "
                  "%s of %s images.\n",
                  n->title, compare_class_name(c, n, worst.truth, truth),
                  compare_class_name(c, n, worst.answer, answer),
                  cli_format_grouped(images, worst.images), cli_format_grouped(all, of_class));
    said++;
  }
  if (said == 0) (void)fputs("No image could be evaluated: there is nothing to confuse.\n", out);
}

void compare_conclude_calibration(const comparison *c, FILE *out) {
  uint32_t said = 0;
  for (uint32_t i = 0; i < c->model_count && said < MAX_SENTENCES; i++) {
    const model_summary *n = &c->models[i];
    if (n->images == 0) continue;
    double confidence = 0;
    for (size_t b = 0; b < CALIBRATION_BINS; b++) confidence += n->calibration[b].confidence;
    confidence /= (double)n->images;
    double over = confidence - compare_top1(n);
    (void)fprintf(out,
                  "%s is on average %.1f %% sure and %.1f %% right: %s. Its expected calibration "
                  "error is %.1f points.\n",
                  n->title, 100 * confidence, 100 * compare_top1(n),
                  fabs(over) < 0.005 ? "neither over- nor underconfident"
                  : over > 0         ? "overconfident"
                                     : "underconfident",
                  100 * n->calibration_error);
    said++;
  }
  if (said == 0)
    (void)fputs("No image could be evaluated: nothing can be said about confidence.\n", out);
}

/* ---- pairs and dead units ---- */

void compare_conclude_pair(const comparison *c, const pair_summary *p, FILE *out) {
  const char *a = title_of(c, p->a), *b = title_of(c, p->b);
  if (p->images == 0) {
    (void)fprintf(out, "There is no image that both %s and %s could evaluate.\n", a, b);
    return;
  }
  char only_a[FORMAT_SIZE], only_b[FORMAT_SIZE];
  (void)fprintf(out,
                "%s and %s give the same answer to %.1f %% of the images. %s alone is right on "
                "%s, %s alone on %s: ",
                a, b, 100 * (double)p->agree / (double)p->images, a,
                cli_format_grouped(only_a, p->only_a), b, cli_format_grouped(only_b, p->only_b));
  bool differs = p->mcnemar_p < significant;
  (void)fputs(differs ? "a larger difference than chance explains (McNemar's "
                      : "a difference that may be chance (McNemar's ",
              out);
  write_p(out, p->mcnemar_p);
  (void)fputs(").\n", out);
}

void compare_conclude_dead(const comparison *c, FILE *out) {
  uint32_t said = 0;
  for (uint32_t i = 0; i < c->model_count && said < MAX_SENTENCES; i++) {
    const model_summary *n = &c->models[i];
    uint64_t channels, dead = compare_dead_channels(n, &channels);
    char text[FORMAT_SIZE], all[FORMAT_SIZE];
    if (channels == 0) continue;
    said++;
    if (dead == 0)
      (void)fprintf(out, "None of the %s channels of %s is dead.\n",
                    cli_format_grouped(all, channels), n->title);
    else
      (void)fprintf(out, "%s of the %s channels of %s %s above 0 for no image at no pixel.\n",
                    cli_format_grouped(text, dead), cli_format_grouped(all, channels), n->title,
                    dead == 1 ? "is" : "are");
  }
  if (said == 0)
    (void)fputs("Layer responses were not observed: whether channels are dead cannot be said.\n",
                out);
}
