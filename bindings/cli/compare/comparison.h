/* The results of `resnet compare`. The sources of this folder fill them; the text output,
 * the JSON output, the report and the tables read them. */
#ifndef RESNET_CLI_COMPARE_COMPARISON_H
#define RESNET_CLI_COMPARE_COMPARISON_H

#include <time.h>

#include "cli/dataset.h"
#include "cli/model.h"
#include "cli/options.h"
#include "cli/plan.h"
#include "support/responses.h"
#include "support/statistics.h"

enum { CALIBRATION_BINS = 15 };

/* A block of one model. Times are for one image, the median of many runs. */
typedef struct block_summary {
  double branch_std; /* of the residual branch, just before the addition */
  double shortcut_std, output_std;
  double ratio;        /* branch_std / shortcut_std */
  bool can_ablate;     /* the shapes allow leaving out its residual branch */
  double ablated_top1; /* accuracy over the ablation images without this block */
  /* Time of the shortcut, fused as in the plan and as a separate op. NAN: not measured,
   * or not measurable because shortcut_interval is not above 0. */
  double shortcut_ms, unfused_ms;
  stats_interval shortcut_interval; /* 99.9 %; NAN to NAN: not measured */
  /* bytes read and written for the shortcut, in the same two cases */
  uint64_t shortcut_bytes, unfused_bytes;
} block_summary;

/* Accuracy over the ablation images with `removed` blocks left out: mean, minimum and
 * maximum over `choices` choices of blocks. */
typedef struct ablation_summary {
  uint32_t removed, choices;
  double mean, min, max;
} ablation_summary;

typedef struct calibration_bin {
  uint64_t images, right;
  double confidence; /* sum over the images */
} calibration_bin;

/* The result of one model on one image. */
typedef struct sample_result {
  uint32_t best;    /* index of the predicted class */
  float confidence; /* probability of the predicted class */
  float truth;      /* probability of the true class */
  bool top1, top5;
} sample_result;

typedef struct model_summary {
  loaded_model loaded;
  cli_plan plan;
  char sha256[65];
  /* the model's name; the file's name if model names are equal or missing */
  const char *title;
  bool residual; /* at least one block has a shortcut */
  uint32_t *class_of_folder;
  const char *class_rule;
  /* ---- accuracy */
  sample_result *results; /* by image; all zero for an image that failed */
  uint64_t images, top1, top5;
  stats_interval top1_interval, top5_interval; /* Wilson, 95 % */
  uint64_t *confusion;                         /* (classes,classes): truth, answer */
  calibration_bin calibration[CALIBRATION_BINS];
  /* expected calibration error: Naeini et al. 2015; Guo et al. 2017, equation 3 */
  double calibration_error;
  double cross_entropy; /* mean of -log(probability of the true class) */
  /* ---- cost, batch 1, one thread */
  double latency_median_ms, latency_p99_ms, latency_min_ms;
  uint32_t latency_runs;
  /* runs of each variant for the times of shortcuts; 0: not measured */
  uint32_t cost_runs;
  /* peak resident memory of a process that runs only this model, once; 0: unknown */
  uint64_t peak_bytes;
  /* ---- responses */
  response_summary *responses;
  uint32_t response_count;
  uint32_t *layers; /* by layer: index into responses, of its point RESPONSE */
  uint32_t layer_count;
  block_summary *blocks; /* by block of the plan */
  /* ---- ablations */
  /* images of the ablations, and how many of them the whole model gets right */
  uint64_t ablation_images, ablation_top1;
  ablation_summary *ablations;
  uint32_t ablation_count;
} model_summary;

/* Models a and b on the images that both evaluated. */
typedef struct pair_summary {
  uint32_t a, b;
  uint64_t images, agree;        /* same class */
  uint64_t both, only_a, only_b; /* images that both, only a, only b get right */
  /* with continuity correction; p is exact (binomial) if only_a + only_b < 25 */
  double mcnemar_chi2, mcnemar_p;
  double mcnemar_holm; /* p, adjusted for the number of pairs */
} pair_summary;

typedef struct comparison {
  const settings *settings;
  dataset data;
  char **failures; /* by image: why it could not be evaluated, or NULL */
  model_summary *models;
  uint32_t model_count;
  pair_summary *pairs;
  uint32_t pair_count;
  uint32_t workers;
  double seconds; /* that the evaluation of all images took */
  /* ---- the whole command */
  time_t started;
  double start_clock, total_seconds; /* total: up to the output */
} comparison;

#endif
