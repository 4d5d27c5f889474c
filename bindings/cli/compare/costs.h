/* What shortcuts cost, and would cost if the plan did not fuse them. */
#ifndef RESNET_CLI_COMPARE_COSTS_H
#define RESNET_CLI_COMPARE_COSTS_H

#include "cli/compare/comparison.h"

/* Fill shortcut_ms, unfused_ms, shortcut_bytes and unfused_bytes of every block of every
 * model; a block without a shortcut gets NAN and 0. Runs use one image
 * of random values and one thread. Times are minima over cost_runs runs of each variant;
 * the variants alternate, so that other load on the machine affects all alike.
 *
 * shortcut_ms: what the block's ops take as the plan has them, less what they take with
 * RESNET_SKIP_SHORTCUT; a projection is among them. NAN: smaller than the noise, which is
 * how far the least times of even and of odd runs differ. It may be negative: then the
 * ops were faster with the shortcut. unfused_ms: what the addition takes as an op of its
 * own, with the ReLU behind it, and the projection or option A's tensor. Bytes go by the
 * shapes, activations and a projection's weights: fused, the addition reads the shortcut;
 * unfused, it reads both branches and writes their sum, and option A's tensor is written
 * first. What makes a projection is read and written both times. On failure says why on
 * standard error. */
bool compare_costs(comparison *c);

#endif
