/* A file that is written completely or not at all. The data go to a temporary file beside
 * it, which is renamed when it is complete. */
#ifndef RESNET_CLI_OUTPUT_FILE_H
#define RESNET_CLI_OUTPUT_FILE_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "resnet.h"

typedef struct output_file {
  /* to write to; cli_output_commit checks for write errors */
  FILE *stream;
  const char *path; /* NULL: standard output, which gets the data when complete */
  char *temporary;
  sigset_t before; /* signals that were blocked before */
} output_file;

/* Create the temporary file. `path` must outlive *o. Ctrl-C and similar signals are
 * blocked until commit or abandon, one of which must follow, so that no temporary file is
 * left behind. Fail if the folder is not writable, or if `path` exists and is neither a
 * regular file nor a link; then there is nothing to abandon. Messages do not name the
 * path. */
bool cli_output_open(output_file *o, const char *path, resnet_error *error);

/* Return true for "-", "/dev/stdout" and the other names of descriptor 1. NULL: false. */
bool cli_is_standard_output(const char *path);

/* Like cli_output_open, for standard output: commit writes the data to it, abandon writes
 * nothing. */
bool cli_output_open_standard(output_file *o, resnet_error *error);

/* Rename the temporary file to `path`. On failure remove it; `path` is unchanged. */
bool cli_output_commit(output_file *o, resnet_error *error);

/* Remove the temporary file. */
void cli_output_abandon(output_file *o);

/* Open, write `size` bytes and commit. */
bool cli_output_save(const char *path, const char *bytes, size_t size, resnet_error *error);

/* Check, before long work begins, that cli_output_open will succeed. */
bool cli_output_check(const char *path, resnet_error *error);

/* Check that `path` is not the same file as `input` (NULL: none), described by `what`,
 * e.g. "model". */
bool cli_output_is_other(const char *path, const char *input, const char *what,
                         resnet_error *error);

/* Block Ctrl-C and similar signals in this thread until cli_signals_release. */
void cli_signals_hold(sigset_t *before);
void cli_signals_release(const sigset_t *before);

#endif
