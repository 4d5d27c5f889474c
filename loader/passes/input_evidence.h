/* Finds how a graph expects its input from what it computes before the first layer. */
#ifndef LIBRESNET_LOADER_PASSES_INPUT_EVIDENCE_H
#define LIBRESNET_LOADER_PASSES_INPUT_EVIDENCE_H

#include "loader/import/context.h"

/* Set the graph's evidence. Follow what reads the input alone: affines, batch
 * normalisation, clamps, borders, and convolutions that only scale or exchange channels.
 * Call it before the fusion pass, which merges them into layers. */
resnet_status pass_find_input_evidence(import_context *ctx);

#endif
