/* Writing a plan file (format.h). */
#ifndef LIBRESNET_RUNTIME_PLAN_FILE_WRITE_H
#define LIBRESNET_RUNTIME_PLAN_FILE_WRITE_H

#include "runtime/plan_file/read.h"
#include "runtime/plan_file/settings.h"

typedef struct plan_file_content {
  const plan_file *file; /* graph and weights, mapped or kept */
  const plan *plan;      /* whose ops are packed */
  const plan_options *options;
  plan_file_settings settings;
} plan_file_content;

/* Write a plan file to a temporary file beside `path`, and rename it: `path` is replaced
 * completely or not at all. Verify weights that come from a file. */
resnet_status plan_file_write(const plan_file_content *content, const char *path,
                              resnet_error *error);

#endif
