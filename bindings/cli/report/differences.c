#include "cli/report/differences.h"

#include <stdlib.h>

#include "cli/compare/comparison.h"
#include "cli/compare/derived.h"
#include "cli/format.h"
#include "cli/memory.h"
#include "cli/report/markup.h"
#include "cli/report/thumbnails.h"

enum { MAX_THUMBNAILS = 12 };

typedef struct candidate {
  size_t index;
  uint32_t folder, round; /* round: rank of the confidence within the folder */
  float confidence;
} candidate;

static int by_confidence(const candidate *a, const candidate *b) {
  if (a->confidence > b->confidence || a->confidence < b->confidence)
    return a->confidence > b->confidence ? -1 : 1;
  return (a->index > b->index) - (a->index < b->index);
}

static int compare_folders(const void *a, const void *b) {
  const candidate *left = a, *right = b;
  if (left->folder != right->folder) return left->folder < right->folder ? -1 : 1;
  return by_confidence(left, right);
}

static int compare_rounds(const void *a, const void *b) {
  const candidate *left = a, *right = b;
  if (left->round != right->round) return left->round < right->round ? -1 : 1;
  return by_confidence(left, right);
}

static int compare_confidences(const void *a, const void *b) { return by_confidence(a, b); }

static size_t list_candidates(const comparison *c, const model_summary *right,
                              const model_summary *wrong, candidate *all) {
  size_t count = 0;
  for (size_t i = 0; i < c->data.count; i++) {
    if ((c->failures && c->failures[i]) || !right->results[i].top1 || wrong->results[i].top1)
      continue;
    all[count++] = (candidate){
        .index = i, .folder = c->data.items[i].folder, .confidence = right->results[i].confidence};
  }
  return count;
}

/* Move the images to show to the front, in their order. Return their number. */
static size_t choose(candidate *all, size_t count) {
  const size_t shown = count < MAX_THUMBNAILS ? count : MAX_THUMBNAILS;
  qsort(all, count, sizeof *all, compare_folders);
  for (size_t i = 1; i < count; i++)
    if (all[i].folder == all[i - 1].folder) all[i].round = all[i - 1].round + 1;
  qsort(all, count, sizeof *all, compare_rounds);
  qsort(all, shown, sizeof *all, compare_confidences);
  return shown;
}

static size_t write_image(comparison *c, size_t index, const model_summary *right,
                          const model_summary *wrong, FILE *out) {
  const dataset_item *item = &c->data.items[index];
  char name[CLASS_NAME_SIZE];
  uint32_t truth = right->class_of_folder[item->folder];
  (void)fputs("<li><figure>", out);
  size_t bytes = report_write_thumbnail(c, index, out);
  (void)fputs("<figcaption><b>", out);
  markup_html_text(out, compare_class_name(c, right, truth, name));
  (void)fputs("</b> ", out);
  markup_html_shortened(out, cli_base_name(item->path), 16);
  (void)fprintf(out, "<br>&#10003; %.0f&nbsp;%%<br>&#10007; ",
                100 * (double)right->results[index].confidence);
  markup_html_text(out, compare_class_name(c, wrong, wrong->results[index].best, name));
  (void)fprintf(out, ", %.0f&nbsp;%%</figcaption></figure></li>\n",
                100 * (double)wrong->results[index].confidence);
  return bytes;
}

void report_write_differences(comparison *c, const model_summary *right, const model_summary *wrong,
                              size_t budget, FILE *out) {
  candidate *all = cli_allocate(c->data.count, sizeof *all);
  const size_t count = list_candidates(c, right, wrong, all), chosen = choose(all, count);
  size_t used = 0, shown = 0;
  char number[FORMAT_SIZE];
  if (count > 0) {
    (void)fputs("<h4>Only ", out);
    markup_html_text(out, right->title);
    (void)fputs(" is right</h4>\n<ul class=\"images\">\n", out);
    for (; shown < chosen && used < budget; shown++)
      used += write_image(c, all[shown].index, right, wrong, out);
    (void)fputs("</ul>\n", out);
  }
  if (shown < count)
    (void)fprintf(out, "<p class=\"note\">%zu of %s images; --tables lists all of them.</p>\n",
                  shown, cli_format_grouped(number, count));
  free(all);
}
