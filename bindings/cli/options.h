/* Commands and options: one table of each, from which parsing and help are both made. */
#ifndef RESNET_CLI_OPTIONS_H
#define RESNET_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A side in pixels that may be "none". */
typedef struct side_option {
  bool given;
  uint32_t side; /* 0: none */
} side_option;

/* A number of which 0 says something else than nothing. */
typedef struct number_option {
  bool given;
  uint32_t number;
} number_option;

/* An image's size in pixels; 0 x 0: the model's own. */
typedef struct size_option {
  uint32_t height, width;
} size_option;

/* What the command line said; 0 or NULL where it said nothing. */
typedef struct settings {
  const char *command_line; /* all of it, as a shell takes it; NULL: not known */
  const char *model;        /* NULL: the one built into the program */
  const char *data;
  const char *output;          /* NULL: the model is not to be saved */
  const char *cam;             /* NULL: no class activation map */
  const char *cam_class;       /* label or index of its class; NULL: the best */
  const char *report, *tables; /* NULL: not to be written */
  const char *preprocess;
  const char *scores; /* name of the output to take; NULL: the only one */
  size_option size;
  side_option resize, crop;
  number_option ablation_images; /* images that blocks are left out on */
  uint32_t best;                 /* predictions of each image */
  uint32_t threads, batch, runs;
  uint32_t
      /* images at once that the model is opened for; bench's own: elsewhere answers
       * depend on no batch */
      plan_batch;
  uint32_t conv;   /* resnet_conv */
  uint32_t memory; /* resnet_memory */
  bool external_data;
  bool per_op, check, json, quiet;
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
  COMMAND_ALL = 63
} command_id;

/* What a command's operands are. */
typedef enum takes { TAKES_IMAGES, TAKES_MODEL, TAKES_MODELS } takes;

typedef struct command {
  command_id id;
  const char *name;
  const char *operands; /* as shown in the usage line */
  const char *summary;
  const char *details;
  const char *example;
  takes takes;
  int (*run)(const settings *s);
} command;

/* The arguments as a shell takes them, the caller's to free. */
char *cli_join_command_line(int argc, char **argv);

/* Parse the arguments after the command's name (argv[0]). True: *s is filled and the
 * command may run. False: it is all over, with *exit_code (help was printed, or what is
 * wrong). */
bool cli_options_parse(const command *c, int argc, char **argv, settings *s, int *exit_code);

#endif
