/* The colour map viridis. It is perceptually uniform, also for colour-blind readers and
 * in grey. By Nathaniel J. Smith, Stefan van der Walt and Eric Firing, 2015, who waived
 * all rights (CC0, https://bids.github.io/colormap/). The table is from matplotlib
 * (_cm_listed.py), rounded to 8 bits. */
#ifndef RESNET_CLI_COMMANDS_VIRIDIS_H
#define RESNET_CLI_COMMANDS_VIRIDIS_H

#include <stdint.h>

/* 0xRRGGBB, from minimum to maximum */
extern const uint32_t viridis_colours[256];

#endif
