/* Cost of shortcuts, fused as in the plan and as separate ops. */
#ifndef RESNET_CLI_COMPARE_COSTS_H
#define RESNET_CLI_COMPARE_COSTS_H

#include "cli/compare/comparison.h"

/* Fill shortcut_ms, shortcut_interval, unfused_ms, shortcut_bytes and unfused_bytes of
 * every block of every model; a block without a shortcut gets NAN and 0. On failure print
 * the reason.
 *
 * Runs use one image of random values and one thread. Times are medians over cost_runs
 * runs of each variant. The variants alternate, so that other load on the machine affects
 * all of them equally.
 *   shortcut_ms: time of the block's ops, projection included, minus their time with
 *     RESNET_SKIP_SHORTCUT in the same turn. NAN if it is not measurable: its interval is
 *     not above 0.
 *   shortcut_interval: 99.9 % interval of that median, from the spread of the runs.
 *   unfused_ms: time of a separate addition, with the ReLU after it, and of making the
 *     projection or the tensor of option A.
 *   shortcut_bytes: computed from the shapes. The fused addition reads the shortcut.
 *   unfused_bytes: the separate addition reads both branches and writes their sum. The
 *     tensor of option A is written first.
 * Both byte counts include the projection: its input, weights and output. */
bool compare_costs(comparison *c);

#endif
