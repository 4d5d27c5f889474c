/* The colour map viridis: even steps look even, to the colour-blind as well, and in grey.
 *
 * By Nathaniel J. Smith, Stefan van der Walt and Eric Firing, 2015, who waived all rights
 * (CC0, https://bids.github.io/colormap/); the table is matplotlib's (_cm_listed.py),
 * rounded to 8 bits. */
#ifndef RESNET_CLI_COMMANDS_VIRIDIS_H
#define RESNET_CLI_COMMANDS_VIRIDIS_H

#include <stdint.h>

/* 0xRRGGBB, from least to most */
extern const uint32_t viridis_colours[256];

#endif
