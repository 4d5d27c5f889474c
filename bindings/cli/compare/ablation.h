/* The ablation study: accuracy with blocks removed (Veit et al. 2016, "Residual Networks
 * Behave Like Ensembles of Relatively Shallow Networks", sections 4.1 and 4.2). */
#ifndef RESNET_CLI_COMPARE_ABLATION_H
#define RESNET_CLI_COMPARE_ABLATION_H

#include "cli/compare/comparison.h"

/* Images that ablations are tried on unless the settings name a number. */
enum { DEFAULT_ABLATION_IMAGES = 1000 };

/* Fill ablation_images, ablation_top1 and ablations of every model, and can_ablate and
 * ablated_top1 of every block.
 *
 * The images are every (count / N)-th, which takes as many of each class as the data
 * have; those that failed do not count. Blocks are left out one by one, then more and
 * more of them: 2, 4, 8, ... of each of ABLATION_ORDERS random orders, and all. One left
 * out is every choice there is, each once. Only blocks that can be left out are. The
 * orders are the same in every run: they come from splitmix64 (Steele, Lea, Flood 2014),
 * seeded with the order's number. Numbers depend neither on the workers nor on timing. On
 * failure says why on standard error.
 */
bool compare_ablation(comparison *c);

#endif
