/* The plots of a comparison. */
#ifndef RESNET_CLI_REPORT_PLOTS_H
#define RESNET_CLI_REPORT_PLOTS_H

#include "cli/compare/comparison.h"
#include "cli/compare/sentences.h"
#include "cli/report/svg.h"

typedef struct report_plot {
  const char *id, *title;
  const char *note;           /* how to read it */
  conclude_function conclude; /* NULL: none */
  bool each_model;            /* one plot for each model, else one for all */
  bool measured;              /* differs from run to run */
  /* Return false, with nothing written, if there is nothing to draw. */
  bool (*write)(const comparison *c, uint32_t model, const svg_place *place, const char *title,
                const char *description);
} report_plot;

extern const report_plot report_plot_cost, report_plot_layers, report_plot_layers_sorted,
    report_plot_ratios, report_plot_ablation, report_plot_ablations, report_plot_shortcut_times,
    report_plot_shortcut_bytes, report_plot_confusion, report_plot_calibration;

extern const report_plot *const report_plots[]; /* ends with NULL */

/* Write plot `p` of a model, with its conclusions as description. Return false if
 * there is nothing to draw. `model` is 0 for a plot of all models. */
bool report_plot_write(const comparison *c, const report_plot *p, uint32_t model,
                       const svg_place *place);

#endif
