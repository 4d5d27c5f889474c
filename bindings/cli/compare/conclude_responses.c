/* Sentences about responses. For each claim of the paper they say whether a test of the
 * numbers agrees, disagrees or shows nothing. */
#include "cli/compare/conclude_responses.h"

#include <math.h>
#include <stdlib.h>

#include "cli/compare/comparison.h"
#include "cli/compare/derived.h"
#include "cli/compare/sentences.h"
#include "cli/compare/significance.h"
#include "cli/format.h"
#include "cli/memory.h"
#include "cli/plan.h"

/* With fewer layers, no half can differ significantly. */
enum { MIN_LAYERS_FOR_HALVES = 14 };

static const char smaller_than_plain[] =
    "residual networks have generally smaller responses than plain ones (section 4.2, Fig. 7)";
static const char smaller_if_deeper[] =
    "deeper residual networks have smaller responses (section 4.2, Fig. 7)";
static const char less_change_if_deeper[] =
    "each layer of a deeper network changes the signal less (section 4.2)";

/* ---- layers ---- */

static void write_halves(const layer_comparison *l, FILE *out) {
  const layer_range *first = &l->halves[0], *second = &l->halves[1];
  (void)fprintf(out, " In the first half (layers %u to %u) they are smaller in %u of %u (",
                first->first, first->last, first->smaller, first->last - first->first + 1);
  compare_write_p(out, first->p);
  (void)fprintf(out, "), in the second half (layers %u to %u) in %u of %u (", second->first,
                second->last, second->smaller, second->last - second->first + 1);
  compare_write_p(out, second->p);
  (void)fputs(").", out);
}

/* Say what all layers show, and in which half the order is the other one. */
static void write_layer_verdict(const layer_comparison *l, bool halves, FILE *out) {
  static const char *const names[] = {"first", "second"};
  const compare_order first = l->halves[0].order, second = l->halves[1].order;
  if (halves && first != COMPARE_UNKNOWN && second == -first) {
    (void)fprintf(out,
                  " The order is reversed between the halves: in " COMPARE_PAPER
                  ", %s. Here this holds in the %s half only.",
                  smaller_than_plain, names[second == COMPARE_SMALLER]);
    return;
  }
  if (l->all.order == COMPARE_UNKNOWN)
    (void)fputs(" Over all layers, no difference is shown.", out);
  else
    compare_write_verdict(out, l->all.order, COMPARE_SMALLER, smaller_than_plain);
  for (int i = 0; i < 2 && halves; i++) {
    const compare_order own = l->halves[i].order;
    if (own == l->all.order) continue;
    (void)fprintf(out, " In the %s half alone, ", names[i]);
    if (own == COMPARE_UNKNOWN)
      (void)fputs("no difference is shown.", out);
    else
      (void)fprintf(out, "the responses of the residual model are %s.",
                    own == COMPARE_SMALLER ? "smaller" : "larger");
  }
}

/* Compare each layer of a residual model with the same layer of a plain one. */
static void compare_to_plain(const comparison *c, uint32_t plain, uint32_t residual, FILE *out) {
  const model_summary *p = &c->models[plain], *r = &c->models[residual];
  const layer_comparison l = compare_layers(r, p);
  const uint32_t ties = l.all.last - l.all.smaller - l.all.larger;
  const bool halves = l.all.last >= MIN_LAYERS_FOR_HALVES;
  if (!isfinite(l.median_ratio)) return;
  (void)fprintf(out,
                "Compared layer by layer, %s has smaller responses than %s in %u of %u layer%s",
                r->title, p->title, l.all.smaller, l.all.last, compare_plural(l.all.last));
  if (ties) (void)fprintf(out, " and equal ones in %u", ties);
  (void)fputs(" (two-sided sign test: ", out);
  compare_write_p(out, l.all.p);
  (void)fprintf(out, "). The median ratio of their standard deviations is %.2f.", l.median_ratio);
  if (halves) write_halves(&l, out);
  if (compare_is_trained(p) && compare_is_trained(r)) write_layer_verdict(&l, halves, out);
  (void)fputc('\n', out);
}

static uint32_t compare_equal_depths(const comparison *c, FILE *out) {
  uint32_t written = 0;
  for (uint32_t r = 0; r < c->model_count; r++) {
    for (uint32_t p = 0; p < c->model_count && written < COMPARE_MAX_SENTENCES; p++) {
      if (!compare_is_layer_pair(&c->models[p], &c->models[r])) continue;
      compare_to_plain(c, p, r, out);
      written++;
    }
  }
  return written;
}

static const char *order_name(const group_comparison *g, const char *less, const char *more,
                              const char *equal) {
  return g->a_median < g->b_median ? less : g->a_median > g->b_median ? more : equal;
}

/* Write the test of two groups and what it shows about a claim of the paper. */
static void write_group_test(const comparison *c, uint32_t shallow, uint32_t deep,
                             const group_comparison *g, const char *claim, FILE *out) {
  (void)fputs(" (rank-sum test: ", out);
  compare_write_p(out, g->p);
  (void)fputs(").", out);
  if (compare_is_trained(&c->models[shallow]) && compare_is_trained(&c->models[deep]))
    compare_write_verdict(out, g->order, COMPARE_SMALLER, claim);
  (void)fputc('\n', out);
}

static void compare_layer_depths(const comparison *c, uint32_t shallow, uint32_t deep, FILE *out) {
  const group_comparison g = compare_layer_groups(&c->models[deep], &c->models[shallow]);
  if (!isfinite(g.a_median) || !isfinite(g.b_median)) return;
  (void)fprintf(out,
                "%s is deeper than %s. The median standard deviation of its layers is %s: %.3g, "
                "against %.3g",
                compare_title(c, deep), compare_title(c, shallow),
                order_name(&g, "smaller", "larger", "equal"), g.a_median, g.b_median);
  write_group_test(c, shallow, deep, &g, smaller_if_deeper, out);
}

static bool any_layers(const comparison *c) {
  for (uint32_t i = 0; i < c->model_count; i++)
    if (isfinite(compare_median_layer_std(&c->models[i]))) return true;
  return false;
}

static void conclude_plain_and_residual(const comparison *c, uint32_t plain, uint32_t residual,
                                        FILE *out) {
  if (plain == 0 || residual == 0)
    (void)fprintf(out,
                  "There is no %s model, so the responses of plain and residual models cannot be "
                  "compared.\n",
                  compare_kind(plain > 0));
  else if (compare_equal_depths(c, out) == 0)
    (void)fputs("No plain model has as many layers as a residual one, so their responses cannot "
                "be compared layer by layer.\n",
                out);
}

void compare_conclude_layers(const comparison *c, FILE *out) {
  if (!any_layers(c)) {
    (void)fputs("Layer responses were not observed, so their size is unknown.\n", out);
    return;
  }
  uint32_t *order = cli_allocate(c->model_count, sizeof *order);
  const uint32_t plain = compare_models_by_depth(c, false, order),
                 residual = compare_models_by_depth(c, true, order);
  conclude_plain_and_residual(c, plain, residual, out);
  if (residual < 2 || compare_depth(c, order[0]) == compare_depth(c, order[residual - 1]))
    (void)fputs("No two residual models differ in depth, so the effect of depth on responses is "
                "unknown.\n",
                out);
  compare_neighbours(c, true, compare_layer_depths, out);
  free(order);
}

/* ---- residual branches ---- */

static void write_ratios(const model_summary *n, FILE *out) {
  uint32_t min = RESNET_NO_INDEX, max = RESNET_NO_INDEX, count = 0;
  for (uint32_t i = 0; i < n->plan.block_count; i++) {
    double ratio = n->blocks[i].ratio;
    if (!cli_plan_has_shortcut(&n->plan, i) || !isfinite(ratio)) continue;
    if (min == RESNET_NO_INDEX || ratio < n->blocks[min].ratio) min = i;
    if (max == RESNET_NO_INDEX || ratio > n->blocks[max].ratio) max = i;
    count++;
  }
  if (min == RESNET_NO_INDEX) return;
  if (count == 1) {
    (void)fprintf(out,
                  "The only residual branch of %s (%s) has %.2f times the standard deviation of "
                  "its shortcut.\n",
                  n->title, n->plan.blocks[min].name, n->blocks[min].ratio);
    return;
  }
  (void)fprintf(out,
                "The residual branches of %s have %.2f times the standard deviation of their "
                "shortcuts (median of %u blocks). The smallest ratio is %.2f (%s), the largest "
                "%.2f (%s).\n",
                n->title, compare_median_ratio(n), count, n->blocks[min].ratio,
                n->plan.blocks[min].name, n->blocks[max].ratio, n->plan.blocks[max].name);
}

static void compare_ratios(const comparison *c, uint32_t shallow, uint32_t deep, FILE *out) {
  const group_comparison g = compare_ratio_groups(&c->models[deep], &c->models[shallow]);
  if (!isfinite(g.a_median) || !isfinite(g.b_median)) return;
  (void)fprintf(out,
                "%s is deeper than %s. Its median block changes the signal %s: the ratio is %.2f, "
                "against %.2f",
                compare_title(c, deep), compare_title(c, shallow),
                order_name(&g, "less", "more", "as much"), g.a_median, g.b_median);
  write_group_test(c, shallow, deep, &g, less_change_if_deeper, out);
}

void compare_conclude_blocks(const comparison *c, FILE *out) {
  uint32_t *order = cli_allocate(c->model_count, sizeof *order),
           residual = compare_models_by_depth(c, true, order), written = 0;
  for (uint32_t i = 0; i < residual; i++) {
    const model_summary *n = &c->models[order[i]];
    if (!isfinite(compare_median_ratio(n)) || written >= COMPARE_MAX_SENTENCES) continue;
    write_ratios(n, out);
    written++;
  }
  free(order);
  if (residual == 0)
    (void)fputs("None of the models has shortcuts, so there are no residual branches to compare "
                "them with.\n",
                out);
  else if (written == 0)
    (void)fputs("Responses were not observed, so the size of residual branches is unknown.\n", out);
  compare_neighbours(c, true, compare_ratios, out);
}

/* ---- dead channels ---- */

static void write_dead(const model_summary *n, uint64_t dead, uint64_t channels, FILE *out) {
  char text[FORMAT_SIZE], all[FORMAT_SIZE], images[FORMAT_SIZE];
  (void)cli_format_grouped(all, channels);
  (void)cli_format_grouped(images, n->images);
  if (dead == 0)
    (void)fprintf(out,
                  "Each of the %s channels of %s is above 0 in some pixel of the %s image%s.\n",
                  all, n->title, images, compare_plural(n->images));
  else
    (void)fprintf(out,
                  "%s of the %s channels of %s %s never above 0 in any pixel of the %s image%s.\n",
                  cli_format_grouped(text, dead), all, n->title, dead == 1 ? "is" : "are", images,
                  compare_plural(n->images));
}

void compare_conclude_dead(const comparison *c, FILE *out) {
  uint32_t written = 0;
  for (uint32_t i = 0; i < c->model_count && written < COMPARE_MAX_SENTENCES; i++) {
    const model_summary *n = &c->models[i];
    uint64_t channels, dead = compare_dead_channels(n, &channels);
    if (channels == 0 || n->images == 0) continue;
    write_dead(n, dead, channels, out);
    written++;
  }
  if (written == 0)
    (void)fputs("Layer responses were not observed, so the number of dead channels is unknown.\n",
                out);
}
