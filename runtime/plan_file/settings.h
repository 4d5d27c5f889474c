/* The part of a plan file's front (format.h) about how images become inputs, and the
 * labels of the caller. */
#ifndef LIBRESNET_RUNTIME_PLAN_FILE_SETTINGS_H
#define LIBRESNET_RUNTIME_PLAN_FILE_SETTINGS_H

#include "loader/base/serial.h"
#include "loader/graph/graph.h"

typedef struct plan_file_settings {
  const resnet_preprocess *preprocess; /* NULL: neither the file nor the caller names one */
  const graph_evidence *evidence;
  const char *const *labels; /* of the caller; they replace the graph's */
  uint32_t label_count;
} plan_file_settings;

/* Append the settings. */
void plan_file_put_settings(serial_writer *w, const plan_file_settings *settings);

/* Read the settings into `g`, whose nodes are complete. */
resnet_status plan_file_read_settings(serial_reader *r, graph *g, resnet_error *error);

#endif
