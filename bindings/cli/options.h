/* Options of the command line. Parsing and help both use one table. */
#ifndef RESNET_CLI_OPTIONS_H
#define RESNET_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/option_values.h"
#include "support/image.h"

/* The limit of --threads: that of resnet_session_options.threads. */
enum { MAX_THREADS = 256 };

/* The parsed command line; 0 or NULL for what is not given. */
typedef struct settings {
  const char *command_line; /* complete, quoted for a shell; NULL: unknown */
  const char *model;        /* NULL: the built-in model */
  const char *data;
  const char *output;          /* of compile and embed */
  const char *cam;             /* NULL: no class activation map */
  const char *cam_class;       /* label or index of its class; NULL: the best */
  const char *report, *tables; /* NULL: do not write it */
  const char *preprocess;
  const char *scores; /* name of the tensor with the scores; NULL: the only output */
  const char *labels; /* a file of names for the classes; NULL: the model's own */
  size_option size;
  /* What changes the preprocessing; a choice is its index + 1, or 0. */
  uint32_t fit, filter, order;
  size_option resize, crop;
  numbers_option mean, std, scale; /* of scale only the first value counts */
  number_option ablation_images;   /* images on which blocks are removed */
  uint32_t best;                   /* predictions to show for each image */
  uint32_t threads, batch, runs;
  uint32_t max_file, max_memory; /* in GiB; 0: the library's limits */
  uint32_t events;               /* descriptor for events; 0: none */
  /* batch size to open the model for; only set by bench, so that scores do not depend on
   * it elsewhere */
  uint32_t plan_batch;
  uint32_t conv;       /* resnet_conv */
  uint32_t memory;     /* resnet_memory */
  image_options image; /* --depth16 */
  bool depth16_given;
  bool external_data;
  bool per_op, peak, check, json, quiet, raw, l2, skip_errors;
  char **operands;
  size_t operand_count;
} settings;

typedef enum command_id {
  COMMAND_CLASSIFY = 1 << 0,
  COMMAND_EVAL = 1 << 1,
  COMMAND_INSPECT = 1 << 2,
  COMMAND_BENCH = 1 << 3,
  COMMAND_COMPILE = 1 << 4,
  COMMAND_COMPARE = 1 << 5,
  COMMAND_EMBED = 1 << 6,
  COMMAND_ALL = 127
} command_id;

/* The operands of a command. */
typedef enum takes { TAKES_IMAGES, TAKES_MODEL, TAKES_MODELS } takes;

typedef struct command {
  command_id id;
  const char *name;
  const char *operands; /* for the usage line */
  const char *summary;
  const char *details;
  const char *example;
  takes takes;
  int (*run)(const settings *s);
} command;

/* Return the arguments, quoted for a shell; the caller frees the text. */
char *cli_join_command_line(int argc, char **argv);

/* Parse the arguments after the name of the command (argv[0]). Return true with *s filled
 * if the command may run. Otherwise help or an error was printed, and the program ends
 * with *exit_code. */
bool cli_options_parse(const command *c, int argc, char **argv, settings *s, int *exit_code);

#endif
