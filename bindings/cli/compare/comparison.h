/* What `resnet compare` finds out: filled by compare_*.c, read by what prints it (text,
 * JSON, report, tables). */
#ifndef RESNET_CLI_COMPARE_COMPARISON_H
#define RESNET_CLI_COMPARE_COMPARISON_H

#include "cli/dataset.h"
#include "cli/model.h"
#include "cli/options.h"
#include "cli/plan.h"
#include "support/responses.h"
#include "support/statistics.h"

enum { CALIBRATION_BINS = 15 };

/* A block of one model. Times are of one image, the least of many; NAN: not measured. */
typedef struct block_summary {
  double branch_std; /* of the residual branch, just before the addition */
  double shortcut_std, output_std;
  double ratio;        /* branch_std / shortcut_std */
  bool can_ablate;     /* shapes allow to remove its residual branch */
  double ablated_top1; /* accuracy over the ablation images without this block */
  /* time of the shortcut as the plan computes it, and as an op of its own */
  double shortcut_ms, unfused_ms;
  /* bytes read and written for the shortcut, likewise */
  uint64_t shortcut_bytes, unfused_bytes;
} block_summary;

/* Accuracy over the ablation images with `removed` blocks left out, over some random
 * choices of them. */
typedef struct ablation_summary {
  uint32_t removed, choices;
  double mean, min, max;
} ablation_summary;

typedef struct calibration_bin {
  uint64_t images, right;
  double confidence; /* sum of the probabilities of the best class */
} calibration_bin;

/* The result of one model on one image. */
typedef struct sample_result {
  uint32_t best;    /* class of the model */
  float confidence; /* its probability */
  float truth;      /* probability of the image's own class */
  bool top1, top5;
} sample_result;

typedef struct model_summary {
  loaded_model loaded;
  cli_plan plan;
  char sha256[65];
  /* what it is called in tables: its name, or its file's where names are equal or
   * missing */
  const char *title;
  bool residual; /* at least one block has a shortcut */
  uint32_t *class_of_folder;
  const char *class_rule;
  /* ---- accuracy */
  sample_result *results; /* by image; those of unreadable images are zero */
  uint64_t images, top1, top5;
  stats_interval top1_interval, top5_interval; /* Wilson, 95 % */
  uint64_t *confusion;                         /* (classes,classes): truth, answer */
  calibration_bin calibration[CALIBRATION_BINS];
  /* expected: Naeini et al. 2015, Guo et al. 2017, equation 3 */
  double calibration_error;
  double cross_entropy; /* mean of -log(probability of the truth) */
  /* ---- cost, batch 1, one thread */
  double latency_median_ms, latency_p99_ms, latency_min_ms;
  uint32_t latency_runs;
  /* runs of each variant over which times of shortcuts are minima; 0: not measured */
  uint32_t cost_runs;
  /* peak resident memory of a process that opens only this model and runs it once; 0:
   * unknown */
  uint64_t peak_bytes;
  /* ---- responses */
  response_summary *responses;
  uint32_t response_count;
  /* indices into responses: points RESPONSE of layers, in order of layer */
  uint32_t *layers;
  uint32_t layer_count;
  block_summary *blocks; /* by block of the plan */
  /* ---- ablations */
  /* images that ablations were tried on, and how many the whole model gets right */
  uint64_t ablation_images, ablation_top1;
  ablation_summary *ablations;
  uint32_t ablation_count;
} model_summary;

/* Models a and b on the images that both could evaluate. */
typedef struct pair_summary {
  uint32_t a, b;
  uint64_t images, agree;        /* same class */
  uint64_t both, only_a, only_b; /* that are right */
  /* with continuity correction; exact binomial where only_a + only_b < 25 */
  double mcnemar_chi2, mcnemar_p;
} pair_summary;

typedef struct comparison {
  const settings *settings;
  dataset data;
  char **failures; /* by image: why it could not be read, or NULL */
  model_summary *models;
  uint32_t model_count;
  pair_summary *pairs;
  uint32_t pair_count;
  uint32_t workers;
  double seconds;
} comparison;

#endif
