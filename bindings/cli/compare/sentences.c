#include "cli/compare/sentences.h"

#include <stdlib.h>

#include "cli/compare/comparison.h"
#include "cli/compare/derived.h"
#include "cli/compare/significance.h"
#include "cli/memory.h"

const char *compare_title(const comparison *c, uint32_t model) { return c->models[model].title; }

uint32_t compare_depth(const comparison *c, uint32_t model) {
  return c->models[model].loaded.info.conv_layers;
}

const char *compare_plural(uint64_t count) { return count == 1 ? "" : "s"; }

const char *compare_kind(bool residual) { return residual ? "residual" : "plain"; }

void compare_write_p(FILE *out, double p) {
  if (p < 0.0001)
    (void)fputs("p < 0.0001", out);
  else
    (void)fprintf(out, "p = %.2g", p);
}

void compare_write_verdict(FILE *out, compare_order found, compare_order expected,
                           const char *claim) {
  if (found == COMPARE_UNKNOWN)
    (void)fputs(" No difference is shown.", out);
  else
    (void)fprintf(out, " This %s " COMPARE_PAPER ", where %s.",
                  found == expected ? "agrees with" : "disagrees with", claim);
}

void compare_neighbours(const comparison *c, bool residual, conclude_depths_function conclude,
                        FILE *out) {
  uint32_t *order = cli_allocate(c->model_count, sizeof *order),
           count = compare_models_by_depth(c, residual, order);
  for (uint32_t i = 1, written = 0; i < count && written < COMPARE_MAX_SENTENCES; i++) {
    if (compare_depth(c, order[i - 1]) == compare_depth(c, order[i])) continue;
    conclude(c, order[i - 1], order[i], out);
    written++;
  }
  free(order);
}
