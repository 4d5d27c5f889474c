/* What the page and the files beside it are made of. */
#ifndef RESNET_CLI_REPORT_REPORT_H
#define RESNET_CLI_REPORT_REPORT_H

#include "cli/compare/comparison.h"
#include "cli/report/sheet.h"
#include "cli/report/svg.h"

/* ---- report_findings.c: what the numbers say, one plain sentence a line, computed; or why nothing can be said ---
 */

typedef void (*find_function)(const comparison *c, FILE *out);

void find_accuracy(const comparison *c, FILE *out);
void find_layers(const comparison *c, FILE *out);
void find_blocks(const comparison *c, FILE *out);
void find_block_lesions(const comparison *c, FILE *out);
void find_removals(const comparison *c, FILE *out);
void find_shortcut_times(const comparison *c, FILE *out);
void find_shortcut_bytes(const comparison *c, FILE *out);
void find_confusions(const comparison *c, FILE *out);
void find_calibration(const comparison *c, FILE *out);
void find_pair(const comparison *c, const pair_summary *p, FILE *out);
void find_dead(const comparison *c, FILE *out);

/* ---- report_numbers.c: what several of them ask ------------------------------------
 */

/* reorders them; NANs at no place; NAN of none */
double median_of(double *values, size_t count);
double layer_std(const net_summary *n, uint32_t layer);
/* that Fig. 7 shows: all but a fully connected one at the end */
uint32_t figure_layers(const net_summary *n);
double median_layer_std(const net_summary *n); /* of those */
double median_ratio(const net_summary *n);     /* of residual branch to shortcut */
uint64_t dead_channels(const net_summary *n, uint64_t *channels);
/* over the lesion pictures; NAN where no lesions were tried */
double whole_error(const net_summary *n);
double top1_of(const net_summary *n);

/* Plain nets (`residual` false) or residual ones, least depth first. How many. */
uint32_t nets_by_depth(const comparison *c, bool residual, uint32_t *order);

/* Its label, else the folders' name, else "class 7". */
enum { CLASS_NAME_SIZE = 128 };
const char *class_name(const comparison *c, const net_summary *n, uint32_t index,
                       char out[CLASS_NAME_SIZE]);

/* The largest numbers off the diagonal of a confusion matrix, largest first. */
typedef struct confusion_cell {
  uint32_t truth, answer;
  uint64_t pictures;
} confusion_cell;
size_t largest_confusions(const net_summary *n, confusion_cell *cells, size_t most);

/* ---- report_sheets.c: tables -------------------------------------------------------
 */

typedef void (*sheet_function)(const comparison *c, sheet *s);

void sheet_nets(const comparison *c, sheet *s);
void sheet_layers(const comparison *c, sheet *s);
void sheet_blocks(const comparison *c, sheet *s);
void sheet_removals(const comparison *c, sheet *s);
void sheet_shortcuts(const comparison *c, sheet *s);
void sheet_confusions(const comparison *c, sheet *s);
void sheet_calibration(const comparison *c, sheet *s);
void sheet_pairs(const comparison *c, sheet *s);

/* ---- report_plots.c ---------------------------------------------------------------- */

typedef struct report_plot {
  const char *id, *title;
  const char *note; /* how to read it */
  find_function find;
  bool each_net; /* one for each net, else one for all */
  bool measured; /* differs from run to run */
  bool (*write)(const comparison *c, uint32_t net, const svg_place *place, const char *title,
                /* false, and nothing written, where there is nothing to see */
                const char *description);
} report_plot;

extern const report_plot plot_cost, plot_layers, plot_layers_sorted, plot_ratios, plot_lesions,
    plot_removals, plot_shortcut_times, plot_shortcut_bytes, plot_confusion, plot_calibration;

extern const report_plot *const report_plots[]; /* all of them, then NULL */

/* Write plot `p` of that net (0 where it is one for all), with its findings as
 * description. */
bool report_plot_write(const comparison *c, const report_plot *p, uint32_t net,
                       const svg_place *place);

/* ---- thumbnails.c ------------------------------------------------------------------ */

/* <img> of picture `index`, at most 64 pixels wide and high, PNG within the page; a mark
 * of its absence where it cannot be read. How many bytes that took. */
size_t thumbnail_write(comparison *c, size_t index, FILE *out);

#endif
