/* The ablation study: accuracy with blocks removed (Veit et al. 2016, "Residual Networks
 * Behave Like Ensembles of Relatively Shallow Networks", sections 4.1 and 4.2). */
#ifndef RESNET_CLI_COMPARE_ABLATION_H
#define RESNET_CLI_COMPARE_ABLATION_H

#include "cli/compare/comparison.h"

/* Number of images if the settings name none. */
enum { DEFAULT_ABLATION_IMAGES = 1000 };

/* Fill ablation_images, ablation_top1 and ablations of every model, and can_ablate and
 * ablated_top1 of every block. On failure print the reason.
 *
 * N images are chosen at even distances, so their classes have the same shares as in the
 * data. Images that failed do not count. Among the blocks that can be left out, these are
 * left out: each block alone; then the first 2, 4, 8, ... of each of ABLATION_ORDERS
 * random orders; then all. The orders come from splitmix64, seeded with the order's
 * number, so they are the same in every run. The numbers depend neither on the number of
 * workers nor on timing. */
bool compare_ablation(comparison *c);

#endif
