/* A file that is written whole or not at all: a temporary one beside it takes its place
 * when it is complete. */
#ifndef RESNET_CLI_OUTPUT_FILE_H
#define RESNET_CLI_OUTPUT_FILE_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "resnet.h"

typedef struct output_file {
  /* to write to; that something went wrong need not be checked before cli_output_commit */
  FILE *stream;
  const char *path;
  char *temporary;
  sigset_t before; /* signals that were held back already */
} output_file;

/* Create the temporary file; `path` must outlive *o. Until commit or abandon, one of
 * which must follow, Ctrl-C and its like wait, so that nothing half-written stays
 * behind. Fails, leaving nothing to abandon, where the folder can't be written to, and
 * where `path` is there and neither a regular file nor a link. Messages do not name
 * the path. */
bool cli_output_open(output_file *o, const char *path, resnet_error *error);

/* Put the file in its place. On failure it is gone, and `path` is as it was. */
bool cli_output_commit(output_file *o, resnet_error *error);

/* Remove the temporary file. */
void cli_output_abandon(output_file *o);

/* All three in one, of `size` bytes. */
bool cli_output_save(const char *path, const char *bytes, size_t size, resnet_error *error);

/* What would keep cli_output_open from writing there, to be found out before long work is
 * begun. */
bool cli_output_check(const char *path, resnet_error *error);

/* What would be replaced is not what is read: `input` (NULL: none), a `what` such as
 * "model". */
bool cli_output_is_other(const char *path, const char *input, const char *what,
                         resnet_error *error);

/* Make Ctrl-C and its like wait, in this thread, until cli_signals_release. */
void cli_signals_hold(sigset_t *before);
void cli_signals_release(const sigset_t *before);

#endif
