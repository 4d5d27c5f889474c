/* Sentences about a comparison. For each claim of the paper they say whether a test of
 * the numbers agrees, disagrees or shows nothing, or why that is unknown. */
#include "cli/compare/conclusions.h"

#include <math.h>
#include <stdlib.h>

#include "cli/compare/comparison.h"
#include "cli/compare/derived.h"
#include "cli/compare/sentences.h"
#include "cli/compare/significance.h"
#include "cli/format.h"
#include "cli/memory.h"
#include "cli/plan.h"
#include "support/statistics.h"

/* ---- accuracy ---- */

static const pair_summary *pair_of(const comparison *c, uint32_t a, uint32_t b) {
  for (uint32_t i = 0; i < c->pair_count; i++) {
    const pair_summary *p = &c->pairs[i];
    if ((p->a == a && p->b == b) || (p->a == b && p->b == a)) return p;
  }
  return NULL;
}

/* Write "McNemar's p = 0.03; 0.06 after Holm's correction for 2 pairs". */
static void write_mcnemar(const comparison *c, const pair_summary *p, FILE *out) {
  (void)fputs("McNemar's ", out);
  compare_write_p(out, p->mcnemar_p);
  if (c->pair_count < 2) return;
  (void)fputs("; ", out);
  compare_write_p(out, p->mcnemar_holm);
  (void)fprintf(out, " after Holm's correction for %u pairs", c->pair_count);
}

static bool is_shown(const pair_summary *p) { return p && p->mcnemar_holm < COMPARE_SIGNIFICANT; }

/* Write the difference in accuracy from `from` to `to`, with its interval and test. */
static void write_difference(const comparison *c, const pair_summary *p, uint32_t to, FILE *out) {
  const bool turned = p->a != to;
  const stats_interval i = turned ? stats_paired_interval(p->only_b, p->only_a, p->images)
                                  : stats_paired_interval(p->only_a, p->only_b, p->images);
  (void)fprintf(out, " The difference is %+.2f percentage points (95 %% interval: %+.2f to %+.2f; ",
                100 *
                    (compare_top1(&c->models[to]) - compare_top1(&c->models[turned ? p->a : p->b])),
                100 * i.low, 100 * i.high);
  write_mcnemar(c, p, out);
  (void)fputs(").", out);
}

static const char *depth_verdict(double before, double after, bool residual) {
  if (after < before && !residual)
    return "Depth hurts here: this is the degradation that " COMPARE_PAPER " start from.";
  if (after < before)
    return "Depth hurts here. This disagrees with " COMPARE_PAPER
           ", where shortcuts prevent it (section 4.2).";
  if (residual) return "Depth helps here. This agrees with " COMPARE_PAPER " (section 4.2).";
  return "Depth helps here: the degradation that " COMPARE_PAPER " start from does not appear.";
}

static void compare_depths(const comparison *c, uint32_t shallow, uint32_t deep, FILE *out) {
  const double before = compare_top1(&c->models[shallow]), after = compare_top1(&c->models[deep]);
  const pair_summary *p = pair_of(c, shallow, deep);
  if (!p || p->images == 0) return;
  (void)fprintf(out,
                "The %s model %s is deeper than %s. It gets %.2f %% of the images right, and %s "
                "gets %.2f %%.",
                compare_kind(c->models[deep].residual), compare_title(c, deep),
                compare_title(c, shallow), 100 * after, compare_title(c, shallow), 100 * before);
  write_difference(c, p, deep, out);
  if (!compare_is_trained(&c->models[shallow]) || !compare_is_trained(&c->models[deep]))
    (void)fputc('\n', out);
  else if (!is_shown(p))
    (void)fputs(" The difference may be due to chance: it shows neither that depth helps nor that "
                "it hurts.\n",
                out);
  else
    (void)fprintf(out, " %s\n", depth_verdict(before, after, c->models[deep].residual));
}

/* Say from how many other models the best one is shown to differ. */
static void write_rivals(const comparison *c, uint32_t best, FILE *out) {
  uint32_t unclear = 0;
  for (uint32_t i = 0; i < c->model_count; i++)
    unclear += i != best && !is_shown(pair_of(c, best, i));
  if (unclear == 0) {
    (void)fputs(" Its difference from every other model is larger than chance explains.\n", out);
    return;
  }
  (void)fputs(" No difference is shown between it and ", out);
  for (uint32_t i = 0, written = 0; i < c->model_count; i++) {
    if (i == best || is_shown(pair_of(c, best, i))) continue;
    if (written == COMPARE_MAX_SENTENCES) {
      (void)fprintf(out, ", and %u more", unclear - written);
      break;
    }
    (void)fprintf(out, "%s%s", written++ ? ", " : "", compare_title(c, i));
  }
  (void)fputs(".\n", out);
}

static void write_best(const comparison *c, uint32_t best, FILE *out) {
  const model_summary *n = &c->models[best];
  char images[FORMAT_SIZE];
  uint32_t equal = 0;
  for (uint32_t i = 0; i < c->model_count; i++) equal += i != best && c->models[i].top1 == n->top1;
  (void)fprintf(out, "%s gets %.2f %% of %s image%s right", n->title, 100 * compare_top1(n),
                cli_format_grouped(images, n->images), compare_plural(n->images));
  if (equal)
    (void)fprintf(out, ", as does %u other model%s; none gets more", equal, compare_plural(equal));
  else if (c->model_count > 1)
    (void)fputs(", more than any other model", out);
  (void)fprintf(out, " (95 %% interval: %.2f %% to %.2f %%).", 100 * n->top1_interval.low,
                100 * n->top1_interval.high);
  if (c->model_count > 1)
    write_rivals(c, best, out);
  else
    (void)fputs(" There is no other model to compare it with.\n", out);
}

static void write_chance(const model_summary *n, FILE *out) {
  (void)fprintf(out, "%s gets %.2f %% of the image%s right. ", n->title, 100 * compare_top1(n),
                compare_plural(n->images));
  if (compare_chance(n) < 1) {
    (void)fprintf(
        out,
        "This is not shown to be better than the best constant answer, %.2f %% (one-sided "
        "binomial test: ",
        100 * compare_chance(n));
    compare_write_p(out, compare_chance_p(n));
    (void)fputs("). The model may be untrained, or the images too few", out);
  } else {
    (void)fputs("All images are of one class, so a constant answer may be as good", out);
  }
  (void)fputs(": it is not compared with " COMPARE_PAPER ".\n", out);
}

/* Name the models that may be untrained. */
static void write_untrained(const comparison *c, FILE *out) {
  for (uint32_t i = 0, written = 0; i < c->model_count && written < COMPARE_MAX_SENTENCES; i++) {
    if (c->models[i].images == 0 || compare_is_trained(&c->models[i])) continue;
    write_chance(&c->models[i], out);
    written++;
  }
}

void compare_conclude_accuracy(const comparison *c, FILE *out) {
  uint32_t best = RESNET_NO_INDEX;
  for (uint32_t i = 0; i < c->model_count; i++)
    if (c->models[i].images &&
        (best == RESNET_NO_INDEX || compare_top1(&c->models[i]) > compare_top1(&c->models[best])))
      best = i;
  if (best == RESNET_NO_INDEX) {
    (void)fputs("No image could be evaluated, so the accuracy is unknown.\n", out);
    return;
  }
  write_best(c, best, out);
  write_untrained(c, out);
  compare_neighbours(c, false, compare_depths, out);
  compare_neighbours(c, true, compare_depths, out);
}

/* ---- ablations ---- */

static void write_block_ablation(const model_summary *n, FILE *out) {
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
                  "No block of %s can be left out, because each changes the shape of its input.\n",
                  n->title);
    return;
  }
  const stats_interval i =
      stats_wilson_interval(n->ablation_images - n->ablation_top1, n->ablation_images);
  (void)fprintf(out,
                "The error of the whole model %s is %.1f %% (95 %% interval: %.1f %% to %.1f %%). "
                "Leaving out one block changes it by %+.1f percentage points (median of %u "
                "block%s), and by at most %+.1f (%s).\n",
                n->title, 100 * whole, 100 * i.low, 100 * i.high, 100 * median, count,
                compare_plural(count), 100 * (1 - n->blocks[worst].ablated_top1 - whole),
                n->plan.blocks[worst].name);
}

void compare_conclude_block_ablation(const comparison *c, FILE *out) {
  uint32_t written = 0;
  for (uint32_t i = 0; i < c->model_count && written < COMPARE_MAX_SENTENCES; i++) {
    if (c->models[i].ablation_images == 0) continue;
    write_block_ablation(&c->models[i], out);
    written++;
  }
  if (written == 0)
    (void)fputs("No blocks were left out, so the effect of single blocks is unknown.\n", out);
}

/* Write the error with most blocks left out, and how many blocks cause half of the
 * rise to it. */
static void write_ablation(const model_summary *n, FILE *out) {
  const ablation_summary *last = &n->ablations[n->ablation_count - 1];
  double whole = compare_whole_error(n), end = 1 - last->mean;
  (void)fprintf(out, "With %u block%s of %s left out, the %serror is %.1f %%", last->removed,
                compare_plural(last->removed), n->title, last->choices > 1 ? "mean " : "",
                100 * end);
  if (last->choices > 1)
    (void)fprintf(out, " (%.1f %% to %.1f %%, depending on the blocks)", 100 * (1 - last->max),
                  100 * (1 - last->min));
  (void)fprintf(out, ". The whole model has %.1f %%.", 100 * whole);
  if (!(end > whole)) (void)fputs(" Leaving blocks out does not raise the error.", out);
  for (uint32_t i = 0; i < n->ablation_count && end > whole; i++) {
    if (1 - n->ablations[i].mean < (whole + end) / 2) continue;
    (void)fprintf(out, " Half of the rise is reached with %u block%s left out.",
                  n->ablations[i].removed, compare_plural(n->ablations[i].removed));
    break;
  }
  (void)fputc('\n', out);
}

void compare_conclude_ablation(const comparison *c, FILE *out) {
  uint32_t written = 0;
  for (uint32_t i = 0; i < c->model_count && written < COMPARE_MAX_SENTENCES; i++) {
    if (c->models[i].ablation_count == 0) continue;
    write_ablation(&c->models[i], out);
    written++;
  }
  if (written == 0)
    (void)fputs("No blocks were left out together, so the combined effect is unknown.\n", out);
}

/* ---- cost of shortcuts ---- */

/* Sums over the shortcuts of a model. Times are sums over the measurable shortcuts. */
typedef struct shortcut_costs {
  uint32_t shortcuts, measurable;
  double ms, unfused_ms;
  double high_ms;        /* sum of the upper ends of the intervals */
  double all_unfused_ms; /* summed over all shortcuts */
  uint64_t bytes, unfused_bytes;
} shortcut_costs;

static shortcut_costs add_costs(const model_summary *n) {
  shortcut_costs sum = {0};
  for (uint32_t i = 0; n->blocks && i < n->plan.block_count; i++) {
    const block_summary *b = &n->blocks[i];
    if (!cli_plan_has_shortcut(&n->plan, i)) continue;
    sum.shortcuts++;
    sum.bytes += b->shortcut_bytes;
    sum.unfused_bytes += b->unfused_bytes;
    sum.all_unfused_ms += b->unfused_ms;
    if (!isfinite(b->shortcut_ms)) continue;
    sum.measurable++;
    sum.ms += b->shortcut_ms;
    sum.high_ms += b->shortcut_interval.high;
    sum.unfused_ms += b->unfused_ms;
  }
  return sum;
}

static void write_unfused(const model_summary *n, const shortcut_costs *sum, FILE *out) {
  const double share = 100 / n->latency_median_ms;
  if (!isfinite(sum->unfused_ms)) {
    (void)fputs(" The time as separate operations was not measured.\n", out);
    return;
  }
  (void)fprintf(out, " As separate operations %s would take %.3g ms (%.1f %%)",
                sum->measurable == 1               ? "it"
                : sum->measurable < sum->shortcuts ? "these"
                                                   : "they",
                sum->unfused_ms, share * sum->unfused_ms);
  if (sum->unfused_ms > sum->high_ms)
    (void)fprintf(out, ", so fusing saves %.1f %%.\n", share * (sum->unfused_ms - sum->ms));
  else
    (void)fputs(". That fusing saves time is not shown.\n", out);
}

static void write_times(const model_summary *n, const shortcut_costs *sum, FILE *out) {
  const uint32_t hidden = sum->shortcuts - sum->measurable;
  if (sum->measurable == 0) {
    (void)fprintf(
        out,
        "The time of the %u shortcut%s of %s is not measurable: it is inside the noise of "
        "%u runs. The model takes %.3g ms.",
        sum->shortcuts, compare_plural(sum->shortcuts), n->title, n->cost_runs,
        n->latency_median_ms);
    if (isfinite(sum->all_unfused_ms))
      (void)fprintf(out, " As separate operations, %s would take %.3g ms (%.1f %%).",
                    sum->shortcuts == 1 ? "it" : "they", sum->all_unfused_ms,
                    100 * sum->all_unfused_ms / n->latency_median_ms);
    (void)fputc('\n', out);
    return;
  }
  if (sum->measurable == 1)
    (void)fprintf(out, "The only %sshortcut of %s takes", hidden ? "measurable " : "", n->title);
  else
    (void)fprintf(out, "The %u %sshortcuts of %s take", sum->measurable,
                  hidden ? "measurable " : "", n->title);
  (void)fprintf(out, " %.3g ms of its %.3g ms (%.1f %%).", sum->ms, n->latency_median_ms,
                100 * sum->ms / n->latency_median_ms);
  if (hidden)
    (void)fprintf(out,
                  " %u of %u %s not measurable, inside the noise of %u runs, and not in this sum.",
                  hidden, sum->shortcuts, hidden == 1 ? "is" : "are", n->cost_runs);
  write_unfused(n, sum, out);
}

void compare_conclude_shortcut_times(const comparison *c, FILE *out) {
  uint32_t written = 0, with = 0;
  for (uint32_t i = 0; i < c->model_count && written < COMPARE_MAX_SENTENCES; i++) {
    shortcut_costs sum = add_costs(&c->models[i]);
    with += sum.shortcuts > 0;
    bool measured = sum.measurable > 0 || (sum.shortcuts > 0 && isfinite(sum.all_unfused_ms));
    if (!measured || !(c->models[i].latency_median_ms > 0)) continue;
    write_times(&c->models[i], &sum, out);
    written++;
  }
  if (written == 0 && with > 0) (void)fputs("The time of shortcuts was not measured.\n", out);
  if (with == 0) (void)fputs("None of the models has shortcuts.\n", out);
}

void compare_conclude_shortcut_bytes(const comparison *c, FILE *out) {
  uint32_t written = 0, with = 0;
  for (uint32_t i = 0; i < c->model_count && written < COMPARE_MAX_SENTENCES; i++) {
    shortcut_costs sum = add_costs(&c->models[i]);
    with += sum.shortcuts > 0;
    if (sum.shortcuts == 0 || sum.unfused_bytes == 0) continue;
    char fused[FORMAT_SIZE], unfused[FORMAT_SIZE];
    (void)fprintf(
        out,
        "For the %u shortcut%s of %s, %s are read and written for each image. As separate "
        "operations they would need %s",
        sum.shortcuts, compare_plural(sum.shortcuts), c->models[i].title,
        cli_format_bytes(fused, sum.bytes), cli_format_bytes(unfused, sum.unfused_bytes));
    if (sum.bytes > 0 && sum.unfused_bytes != sum.bytes)
      (void)fprintf(out, ", %.2f times as much", (double)sum.unfused_bytes / (double)sum.bytes);
    (void)fputs(".\n", out);
    written++;
  }
  if (written == 0 && with > 0) (void)fputs("The memory traffic of shortcuts is unknown.\n", out);
  if (with == 0) (void)fputs("None of the models has shortcuts.\n", out);
}

/* ---- confusions and calibration ---- */

static void write_confusion(const comparison *c, const model_summary *n, FILE *out) {
  confusion_cell worst[2];
  const size_t count = compare_largest_confusions(n, worst, 2);
  char truth[CLASS_NAME_SIZE], answer[CLASS_NAME_SIZE], images[FORMAT_SIZE], all[FORMAT_SIZE];
  if (count == 0) {
    (void)fprintf(out, "%s makes no mistake.\n", n->title);
    return;
  }
  const bool tied = count > 1 && worst[1].images == worst[0].images;
  uint64_t of_class = 0;
  for (size_t j = 0; j < n->loaded.info.classes; j++)
    of_class += n->confusion[worst->truth * (size_t)n->loaded.info.classes + j];
  (void)fprintf(out,
                "%s of %s is to label \xe2\x80\x9c%s\xe2\x80\x9d as "
                "\xe2\x80\x9c%s\xe2\x80\x9d: %s of %s image%s.\n",
                tied ? "One of the most frequent mistakes" : "The most frequent mistake", n->title,
                compare_class_name(c, n, worst->truth, truth),
                compare_class_name(c, n, worst->answer, answer),
                cli_format_grouped(images, worst->images), cli_format_grouped(all, of_class),
                compare_plural(of_class));
}

void compare_conclude_confusions(const comparison *c, FILE *out) {
  uint32_t written = 0;
  for (uint32_t i = 0; i < c->model_count && written < COMPARE_MAX_SENTENCES; i++) {
    if (c->models[i].images == 0) continue;
    write_confusion(c, &c->models[i], out);
    written++;
  }
  if (written == 0) (void)fputs("No image could be evaluated, so there are no confusions.\n", out);
}

/* Write the mean confidence and whether it is outside the interval of the accuracy. */
static void write_calibration(const model_summary *n, FILE *out) {
  const stats_interval i = stats_wilson_interval(n->top1, n->images);
  double confidence = 0;
  for (size_t b = 0; b < CALIBRATION_BINS; b++) confidence += n->calibration[b].confidence;
  confidence /= (double)n->images;
  (void)fprintf(out,
                "%s has a mean confidence of %.1f %% and an accuracy of %.1f %% (95 %% interval: "
                "%.1f %% to %.1f %%): %s. Its expected calibration error is %.1f percentage "
                "points.\n",
                n->title, 100 * confidence, 100 * compare_top1(n), 100 * i.low, 100 * i.high,
                confidence > i.high  ? "it is overconfident"
                : confidence < i.low ? "it is underconfident"
                                     : "neither over- nor underconfidence is shown",
                100 * n->calibration_error);
}

void compare_conclude_calibration(const comparison *c, FILE *out) {
  uint32_t written = 0;
  for (uint32_t i = 0; i < c->model_count && written < COMPARE_MAX_SENTENCES; i++) {
    if (c->models[i].images == 0) continue;
    write_calibration(&c->models[i], out);
    written++;
  }
  if (written == 0)
    (void)fputs("No image could be evaluated, so the confidence is unknown.\n", out);
}

/* ---- pairs ---- */

void compare_conclude_pair(const comparison *c, const pair_summary *p, FILE *out) {
  const char *a = compare_title(c, p->a), *b = compare_title(c, p->b);
  if (p->images == 0) {
    (void)fprintf(out, "No image was evaluated by both %s and %s.\n", a, b);
    return;
  }
  char only_a[FORMAT_SIZE], only_b[FORMAT_SIZE];
  (void)fprintf(out,
                "%s and %s give the same answer for %.1f %% of the images. Only %s is right on %s "
                "image%s, only %s on %s.",
                a, b, 100 * (double)p->agree / (double)p->images, a,
                cli_format_grouped(only_a, p->only_a), compare_plural(p->only_a), b,
                cli_format_grouped(only_b, p->only_b));
  write_difference(c, p, p->a, out);
  (void)fputs(is_shown(p) ? " It is larger than chance explains.\n" : " It may be due to chance.\n",
              out);
}
