/* The settings in a plan file's front (format.h): how images become inputs; labels. */
#ifndef LIBRESNET_RUNTIME_PLAN_FILE_SETTINGS_H
#define LIBRESNET_RUNTIME_PLAN_FILE_SETTINGS_H

#include "loader/base/serial.h"
#include "loader/graph/graph.h"

typedef struct plan_file_settings {
  const resnet_preprocess *preprocess; /* of file or caller; NULL: none */
  const graph_evidence *evidence;
  const char *const *labels; /* the caller's */
  uint32_t label_count;
} plan_file_settings;

/* Append the settings. */
void plan_file_put_settings(serial_writer *w, const plan_file_settings *settings);

/* Read the settings into `g`, whose nodes are complete. */
resnet_status plan_file_read_settings(serial_reader *r, graph *g, resnet_error *error);

#endif
