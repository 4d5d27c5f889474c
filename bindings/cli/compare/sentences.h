/* What the sentences about a comparison share. */
#ifndef RESNET_CLI_COMPARE_SENTENCES_H
#define RESNET_CLI_COMPARE_SENTENCES_H

#include <stdio.h>

#include "cli/compare/comparison.h"
#include "cli/compare/significance.h"

/* Number of similar sentences, e.g. one for each model. */
enum { COMPARE_MAX_SENTENCES = 12 };

/* How sentences cite the paper. */
#define COMPARE_PAPER "He et al. (2016)"
#define COMPARE_PAPER_TITLE "Deep Residual Learning for Image Recognition"

/* Write one conclusion to a line. If there is none, write the reason. */
typedef void (*conclude_function)(const comparison *c, FILE *out);

/* Write a sentence about two models of which `deep` is the deeper one. */
typedef void (*conclude_depths_function)(const comparison *c, uint32_t shallow, uint32_t deep,
                                         FILE *out);

const char *compare_title(const comparison *c, uint32_t model);
uint32_t compare_depth(const comparison *c, uint32_t model);

/* Return the ending of a noun: "" or "s". */
const char *compare_plural(uint64_t count);

/* "residual" or "plain" */
const char *compare_kind(bool residual);

/* Write "p = 0.03" or "p < 0.0001". */
void compare_write_p(FILE *out, double p);

/* Write whether an order agrees with the paper, in which `expected` is the order. `claim`
 * is the paper's finding. Without a clear order, say that no difference is shown. */
void compare_write_verdict(FILE *out, compare_order found, compare_order expected,
                           const char *claim);

/* Call `conclude` for each two models of a kind that are next in depth. */
void compare_neighbours(const comparison *c, bool residual, conclude_depths_function conclude,
                        FILE *out);

#endif
