/* The speed of each op of a plan, beside the most that this CPU can do. */
#ifndef RESNET_CLI_COMMANDS_OP_SPEED_H
#define RESNET_CLI_COMMANDS_OP_SPEED_H

#include "cli/model.h"
#include "cli/options.h"
#include "cli/plan.h"
#include "support/json.h"

/* One op: the minimum of all runs. */
typedef struct op_speed {
  double seconds;
  double share;        /* seconds / the sum of all ops */
  double flops;        /* operations a second that the kernel computes */
  double direct_flops; /* operations a second of a direct convolution in that time */
  double bytes;        /* a second: weights, inputs and the output, each once */
  double peak_share;   /* flops / the CPU's; 0: not measured */
  const char *bound;   /* "arithmetic", "weights", "memory", or "" if none is near */
} op_speed;

typedef struct plan_speed {
  op_speed *ops;  /* by op of the plan */
  double seconds; /* sum of all ops */
  uint32_t runs;
  /* with --peak, else NULL and 0: the best of as many loops, one after each run */
  const char *instructions;
  double peak_flops, peak_bytes; /* a second, of one thread */
} plan_speed;

/* Run the model on random input and one thread. On failure print the reason; release *p
 * in any case. */
bool op_speed_measure(const settings *s, const loaded_model *m, const cli_plan *plan,
                      plan_speed *p);
void op_speed_release(plan_speed *p);

/* Print the table, or write the JSON keys of the document and of one op. */
void op_speed_print(const cli_plan *plan, const plan_speed *p);
void op_speed_write(const plan_speed *p, json *j);
void op_speed_write_op(const plan_speed *p, uint32_t index, json *j);

#endif
