#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit_status.h"
#include "cli/image_input.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/option_values.h"
#include "cli/output_file.h"
#include "cli/standard_input.h"
#include "resnet.h"

typedef enum option_kind {
  OPTION_HELP,
  OPTION_FLAG,
  OPTION_NUMBER,
  OPTION_COUNT, /* a number for which 0 is allowed */
  OPTION_SIZE,
  OPTION_SIZE_OR_NONE,
  OPTION_TEXT,
  OPTION_PRESET,  /* a name that resnet_preprocess_preset knows */
  OPTION_DEPTH16, /* clip, scale, auto or LOW:HIGH */
  OPTION_CHOICE,  /* the index of a word */
  OPTION_WORD,    /* the index of a word, plus 1: 0 is "not given" */
  OPTION_NUMBERS, /* one or three numbers */
  OPTION_POSITIVES
} option_kind;

typedef struct option_row {
  const char *name;
  char letter; /* or 0 */
  option_kind kind;
  /* name in the help, or the words of a choice; NULL for flags */
  const char *argument;
  unsigned commands; /* commands that accept it */
  size_t field;      /* offset in settings */
  uint32_t minimum, maximum;
  const char *help;
  const char *heading; /* above this row in the help, or NULL */
} option_row;

#define FIELD(name) offsetof(settings, name)

enum {
  /* the commands that decode images */
  DECODE = COMMAND_CLASSIFY | COMMAND_EMBED | COMMAND_EVAL | COMMAND_COMPARE,
  /* and those that depend on the preprocessing */
  PREPROCESS = DECODE | COMMAND_INSPECT | COMMAND_COMPILE,
  RUN = DECODE | COMMAND_BENCH,
  MAX_SIDE = 65535
};

static const char presets[] =
    "imagenet, imagenet-v2, timm, cifar10, unit, keras-caffe, keras-tf, keras-stretch, grey, none";

static const option_row rows[] = {
    {"model", 'm', OPTION_TEXT, "MODEL", COMMAND_ALL & ~COMMAND_COMPARE, FIELD(model), 0, 0,
     "the .onnx, .onnx.gz or .resnet file; -: standard input (the built-in model)", "Options:"},
    {"output", 'o', OPTION_TEXT, "OUT.resnet", COMMAND_COMPILE, FIELD(output), 0, 0,
     "the plan file to write", NULL},
    {"output", 'o', OPTION_TEXT, "OUT.npy", COMMAND_EMBED, FIELD(output), 0, 0,
     "the NumPy file to write: float32 (rows, columns), a row for each image; -: standard output",
     NULL},
    {"data", 'd', OPTION_TEXT, "DIR|ZIP", COMMAND_EVAL | COMMAND_COMPARE, FIELD(data), 0, 0,
     "labelled images: <class>/<image> in a folder or a .zip", NULL},
    {"top", 'k', OPTION_NUMBER, "K", COMMAND_CLASSIFY, FIELD(best), 1, 100000,
     "how many labels to show for each image, at most all (3)", NULL},
    {"raw", 0, OPTION_FLAG, NULL, COMMAND_CLASSIFY, FIELD(raw), 0, 0,
     "show the numbers that the model gives, e.g. logits; with --json all of them", NULL},
    {"l2", 0, OPTION_FLAG, NULL, COMMAND_EMBED, FIELD(l2), 0, 0, "divide each row by its length",
     NULL},
    {"skip-errors", 0, OPTION_FLAG, NULL, COMMAND_EMBED, FIELD(skip_errors), 0, 0,
     "leave out images that cannot be read, instead of writing nothing; still exit status 1", NULL},
    {"cam", 0, OPTION_TEXT, "OUT.png", COMMAND_CLASSIFY, FIELD(cam), 0, 0,
     "also write the image with the class activation map over it; takes one image", NULL},
    {"cam-class", 0, OPTION_TEXT, "LABEL|INDEX", COMMAND_CLASSIFY, FIELD(cam_class), 0, 0,
     "the class that --cam shows, instead of the best", NULL},
    {"report", 0, OPTION_TEXT, "OUT.html", COMMAND_COMPARE, FIELD(report), 0, 0,
     "also write one page with all plots and tables", NULL},
    {"tables", 0, OPTION_TEXT, "DIR", COMMAND_COMPARE, FIELD(tables), 0, 0,
     "also write the data as CSV and the plots as SVG files into this folder", NULL},
    {"lesions", 0, OPTION_COUNT, "N", COMMAND_COMPARE, FIELD(ablation_images), 0, 999999999,
     "how many images to remove blocks on; 0: none (1000)", NULL},
    {"events", 0, OPTION_NUMBER, "FD", COMMAND_COMPARE, FIELD(events), 3, 65535,
     "write warnings, errors and progress as JSON lines to this file descriptor", NULL},
    {"runs", 'r', OPTION_NUMBER, "R", COMMAND_BENCH, FIELD(runs), 1, 1000000,
     "how many runs to time (50)", NULL},
    {"per-op", 0, OPTION_FLAG, NULL, COMMAND_BENCH | COMMAND_INSPECT, FIELD(per_op), 0, 0,
     "also time every op", NULL},
    {"peak", 0, OPTION_FLAG, NULL, COMMAND_INSPECT, FIELD(peak), 0, 0,
     "time every op, and compare it with the most that this CPU computes and reads", NULL},
    {"check", 0, OPTION_FLAG, NULL, COMMAND_INSPECT, FIELD(check), 0, 0,
     "only list what looks wrong in the file; exit status 1 if predictions are likely wrong", NULL},
    {"labels", 0, OPTION_TEXT, "FILE", PREPROCESS & ~COMMAND_EMBED, FIELD(labels), 0, 0,
     "names of the classes: one a line, or JSON (list, {\"0\": name}, id2label)", NULL},
    {"threads", 't', OPTION_NUMBER, "N", RUN, FIELD(threads), 0, MAX_THREADS,
     "number of threads; 0: one for each processor (0)", NULL},
    {"batch", 'b', OPTION_NUMBER, "B", RUN, FIELD(batch), 0, 4096,
     "images computed together; 0: chosen by the command (0)", NULL},
    {"json", 0, OPTION_FLAG, NULL, COMMAND_ALL, FIELD(json), 0, 0,
     "print one JSON document instead of text", NULL},
    {"quiet", 'q', OPTION_FLAG, NULL, COMMAND_ALL, FIELD(quiet), 0, 0,
     "no notes and no progress bar", NULL},
    {"help", 'h', OPTION_HELP, NULL, COMMAND_ALL, 0, 0, 0, "show this help", NULL},

    {"preprocess", 0, OPTION_PRESET, "NAME", PREPROCESS, FIELD(preprocess), 0, 0, presets,
     "How images become inputs, where that differs from the model's or the preset's settings:"},
    {"fit", 0, OPTION_WORD, "crop|stretch", PREPROCESS, FIELD(fit), 0, 0,
     "keep the proportions and crop the centre, or stretch to the input's size", NULL},
    {"resize", 0, OPTION_SIZE_OR_NONE, "S|HxW|none", PREPROCESS, FIELD(resize), 1, MAX_SIDE,
     "scale the shorter side to S pixels, or the image to cover (stretch: to be) H x W", NULL},
    {"crop", 0, OPTION_SIZE_OR_NONE, "C|HxW|none", PREPROCESS, FIELD(crop), 1, MAX_SIDE,
     "then crop the centre, C x C or H x W pixels", NULL},
    {"filter", 0, OPTION_WORD, "bilinear|bicubic|nearest", PREPROCESS, FIELD(filter), 0, 0,
     "how to scale, bit for bit as Pillow", NULL},
    {"order", 0, OPTION_WORD, "rgb|bgr|grey", PREPROCESS, FIELD(order), 0, 0,
     "channels of the input; --mean and --std are in this order", NULL},
    {"scale", 0, OPTION_POSITIVES, "S", PREPROCESS, FIELD(scale), 0, 0,
     "input = (pixel / S - mean) / std, for pixels of 0 to 255", NULL},
    {"mean", 0, OPTION_NUMBERS, "M|A,B,C", PREPROCESS, FIELD(mean), 0, 0,
     "one number, or one for each channel", NULL},
    {"std", 0, OPTION_POSITIVES, "D|A,B,C", PREPROCESS, FIELD(std), 0, 0,
     "one number, or one for each channel", NULL},
    {"depth16", 0, OPTION_DEPTH16, "HOW", DECODE, FIELD(image), 0, 0,
     "16-bit images: clip (as Pillow), scale, auto (each its own range) or LOW:HIGH (clip)", NULL},

    {"size", 0, OPTION_SIZE, "S|HxW", COMMAND_ALL, FIELD(size), 1, MAX_SIDE,
     "input size of the model in pixels, instead of the size in the file", "How the model runs:"},
    {"scores", 0, OPTION_TEXT, "NAME", COMMAND_ALL, FIELD(scores), 0, 0,
     "which output of the file holds the scores, or any inner tensor", NULL},
    {"conv", 0, OPTION_CHOICE, "auto|direct|winograd|xnnpack", COMMAND_ALL, FIELD(conv), 0, 0,
     "how to compute convolutions; auto: what a cost model predicts to be faster (auto)", NULL},
    {"memory", 0, OPTION_CHOICE, "normal|small", COMMAND_ALL, FIELD(memory), 0, 0,
     "small: keep no weights larger than the file's; implies direct convolutions (normal)", NULL},
    {"max-memory", 0, OPTION_NUMBER, "GIB", COMMAND_ALL, FIELD(max_memory), 1, 1024,
     "most memory for a model and what runs it (6)", NULL},
    {"max-file", 0, OPTION_NUMBER, "GIB", COMMAND_ALL, FIELD(max_file), 1, 1024,
     "largest file that is accepted as a model (2)", NULL},
    {"external-data", 0, OPTION_FLAG, NULL, COMMAND_ALL, FIELD(external_data), 0, 0,
     "let the model read its weights from files in or below its folder", NULL},
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

enum { SPELLING_WIDTH = 27, HELP_COLUMN = 6 + SPELLING_WIDTH + 1, HELP_WIDTH = 66 };

/* Print text from HELP_COLUMN on, broken between words. */
static void print_wrapped(const char *text) {
  while (strlen(text) > HELP_WIDTH) {
    int length = HELP_WIDTH;
    while (length > 0 && text[length] != ' ') length--;
    (void)printf("%.*s\n%*s", length, text, HELP_COLUMN, "");
    text += length + 1;
  }
  (void)puts(text);
}

/* Print the row of an option; a long spelling takes a line of its own. */
static void print_row(const option_row *row) {
  char spelling[48];
  const int length = snprintf(spelling, sizeof spelling, "--%s%s%s", row->name,
                              row->argument ? " " : "", row->argument ? row->argument : "");
  if (row->letter)
    (void)printf("  -%c, ", row->letter);
  else
    (void)fputs("      ", stdout);
  if (length > SPELLING_WIDTH)
    (void)printf("%s\n%*s", spelling, HELP_COLUMN, "");
  else
    (void)printf("%-*s ", SPELLING_WIDTH, spelling);
  print_wrapped(row->help);
}

static void print_command_help(const command *c) {
  (void)printf("Usage: resnet %s [OPTION]... %s\n%s\n", c->name, c->operands, c->details);
  const char *heading = NULL;
  for (size_t i = 0; i < ROW_COUNT; i++) {
    if (rows[i].heading) heading = rows[i].heading;
    if (!(rows[i].commands & (unsigned)c->id)) continue;
    if (heading) (void)printf("\n%s\n", heading);
    heading = NULL;
    print_row(&rows[i]);
  }
  (void)printf("\nExample:\n  %s\n", c->example);
}

static bool wrong_usage(const command *c, int *exit_code) {
  (void)fprintf(stderr, "; see resnet %s --help\n", c->name);
  *exit_code = EXIT_USAGE;
  return false;
}

/* Print which values parse_value accepts. */
static void say_accepted(const option_row *row, const char *text) {
  resnet_error error;
  (void)fprintf(stderr, "resnet: --%s '", row->name);
  cli_print_masked(stderr, text);
  (void)fputs("': ", stderr);
  switch (row->kind) {
  case OPTION_CHOICE:
  case OPTION_WORD:
    (void)fprintf(stderr, "%s is accepted", row->argument);
    return;
  case OPTION_PRESET:
    (void)resnet_preprocess_preset(text, &(resnet_preprocess){0}, &error);
    cli_print_masked(stderr, error.message);
    return;
  case OPTION_DEPTH16:
    (void)fputs("clip, scale, auto or LOW:HIGH is accepted, e.g. 0:4095", stderr);
    return;
  case OPTION_NUMBERS:
    (void)fputs("one number is accepted, or three with commas, e.g. 0.485,0.456,0.406", stderr);
    return;
  case OPTION_POSITIVES:
    (void)fputs("one number above 0 is accepted, or three with commas", stderr);
    return;
  default:
    break;
  }
  (void)fprintf(stderr, "%s%u to %u is accepted",
                row->kind == OPTION_SIZE_OR_NONE ? "none or " : "", row->minimum, row->maximum);
  if (row->kind == OPTION_SIZE || row->kind == OPTION_SIZE_OR_NONE)
    (void)fputs(", or two such numbers with an x between them, height first", stderr);
}

static bool parse_value(const option_row *row, const char *text, settings *s) {
  void *field = (char *)s + row->field;
  switch (row->kind) {
  case OPTION_FLAG:
    *(bool *)field = true;
    return true;
  case OPTION_TEXT:
    *(const char **)field = text;
    return true;
  case OPTION_PRESET:
    *(const char **)field = text;
    return resnet_preprocess_preset(text, &(resnet_preprocess){0}, NULL) == RESNET_OK;
  case OPTION_DEPTH16:
    s->depth16_given = true;
    return cli_value_depth16(text, field);
  case OPTION_NUMBER:
    return cli_value_number(text, row->minimum, row->maximum, field);
  case OPTION_COUNT: {
    number_option *count = field;
    count->given = true;
    return cli_value_number(text, row->minimum, row->maximum, &count->number);
  }
  case OPTION_SIZE:
  case OPTION_SIZE_OR_NONE:
    return cli_value_size(text, row->maximum, row->kind == OPTION_SIZE_OR_NONE, field);
  case OPTION_CHOICE:
    return cli_value_choice(text, row->argument, field);
  case OPTION_WORD: {
    uint32_t *index = field;
    const bool known = cli_value_choice(text, row->argument, index);
    *index += 1;
    return known;
  }
  case OPTION_NUMBERS:
  case OPTION_POSITIVES:
    return cli_value_numbers(text, row->kind == OPTION_POSITIVES, field);
  case OPTION_HELP:
    break;
  }
  return false;
}

/* getopt's tables for the options of command `c`. The value of a long option is its row
 * number, counted from 1. */
typedef struct getopt_tables {
  char letters[2 * ROW_COUNT + 2];
  struct option longs[ROW_COUNT + 1];
} getopt_tables;

static void fill_tables(const command *c, getopt_tables *tables) {
  memset(tables, 0, sizeof *tables);
  char *letter = tables->letters;
  struct option *entry = tables->longs;
  *letter++ = ':';
  for (int i = 0; i < ROW_COUNT; i++) {
    if (!(rows[i].commands & (unsigned)c->id)) continue;
    *entry++ = (struct option){rows[i].name, rows[i].argument ? required_argument : no_argument,
                               NULL, i + 1};
    if (!rows[i].letter) continue;
    *letter++ = rows[i].letter;
    if (rows[i].argument) *letter++ = ':';
  }
}

static const option_row *find_row(int found) {
  if (found >= 1 && found <= ROW_COUNT) return &rows[found - 1];
  for (size_t i = 0; i < ROW_COUNT; i++)
    if (rows[i].letter && rows[i].letter == found) return &rows[i];
  return NULL;
}

static unsigned count_standard_inputs(const settings *s) {
  unsigned named = cli_is_standard_input(s->labels);
  for (size_t i = 0; i < s->operand_count; i++) named += cli_is_standard_input(s->operands[i]);
  return named;
}

/* The functions below print the first part of a message if they fail; wrong_usage ends
 * it. */
/* Take the first operand as the model if it is one and no other is named. */
static void take_first_model(settings *s) {
  if (s->model || s->operand_count == 0) return;
  /* a pipe alone is an image: reading it here could wait for long */
  if (cli_is_standard_input(s->operands[0]) &&
      (s->operand_count == 1 || count_standard_inputs(s) > 1))
    return;
  if (!cli_image_is_model(s->operands[0])) return;
  s->model = s->operands[0];
  s->operands++;
  s->operand_count--;
}

static bool check_images(const command *c, const settings *s) {
  if (s->operand_count == 0)
    (void)fputs("resnet: no image is named", stderr);
  else if (s->cam && s->operand_count > 1)
    (void)fprintf(stderr, "resnet: --cam takes one image, and %zu are named", s->operand_count);
  else if (s->cam_class && !s->cam)
    (void)fputs("resnet: --cam-class needs --cam", stderr);
  else if (s->cam && s->raw)
    (void)fputs("resnet: --raw and --cam exclude each other", stderr);
  else if (c->id == COMMAND_EMBED && !s->output)
    (void)fputs("resnet: --output is missing", stderr);
  else
    return true;
  return false;
}

static bool take_model(settings *s) {
  size_t allowed = s->model ? 0 : 1;
  if (s->operand_count > allowed) {
    (void)fputs("resnet: unexpected argument '", stderr);
    cli_print_masked(stderr, s->operands[allowed]);
    (void)fputc('\'', stderr);
    return false;
  }
  if (s->operand_count == 1) s->model = s->operands[0];
  return true;
}

static bool check_models(const settings *s) {
  if (s->operand_count > 0) return true;
  (void)fputs("resnet: no model is named", stderr);
  return false;
}

static bool check_standard_input(const command *c, const settings *s) {
  unsigned named = cli_is_standard_input(s->model) && c->takes == TAKES_IMAGES;
  named += count_standard_inputs(s);
  if (named > 1)
    (void)fputs("resnet: standard input can be read once, but is named twice", stderr);
  else if (named && c->takes == TAKES_MODELS)
    (void)fputs("resnet: compare reads its models several times: name files, not standard input",
                stderr);
  else
    return true;
  return false;
}

/* Refuse "-" as a file to write, except for embed: its rows go to standard output. */
static bool check_standard_output(const command *c, const settings *s) {
  const struct {
    const char *name, *path;
  } written[] = {
      {"output", s->output}, {"cam", s->cam}, {"report", s->report}, {"tables", s->tables}};
  for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
    if (!cli_is_standard_output(written[i].path) || (c->id == COMMAND_EMBED && i == 0)) continue;
    (void)fprintf(stderr, "resnet: --%s cannot be standard output: name a file, e.g. ./-",
                  written[i].name);
    return false;
  }
  if (c->id != COMMAND_EMBED || !s->json || !cli_is_standard_output(s->output)) return true;
  (void)fputs("resnet: --json and the rows cannot both go to standard output", stderr);
  return false;
}

static bool take_operands(const command *c, int argc, char **argv, settings *s) {
  s->operands = argv + optind;
  s->operand_count = (size_t)(argc - optind);
  if (c->takes == TAKES_IMAGES) take_first_model(s);
  if (c->takes == TAKES_IMAGES) return check_images(c, s) && check_standard_input(c, s);
  if (!(c->takes == TAKES_MODELS ? check_models(s) : take_model(s))) return false;
  const char *missing = NULL;
  if ((c->id == COMMAND_EVAL || c->id == COMMAND_COMPARE) && !s->data) missing = "--data";
  if (c->id == COMMAND_COMPILE && !s->output) missing = "--output";
  if (missing) (void)fprintf(stderr, "resnet: %s is missing", missing);
  return !missing && check_standard_input(c, s);
}

/* Print the argument that getopt rejected. A letter may be in the middle of an argument,
 * hence optopt. */
static void say_unknown(char **argv, bool missing_value) {
  const char *word = argv[optind - 1];
  (void)fputs(missing_value ? "resnet: a value is missing after '" : "resnet: unknown option '",
              stderr);
  const char letter[] = {'-', (char)optopt, '\0'};
  const bool is_letter = !missing_value && optopt > ROW_COUNT && strncmp(word, "--", 2) != 0;
  cli_print_masked(stderr, is_letter ? letter : word);
  (void)fputc('\'', stderr);
}

bool cli_options_parse(const command *c, int argc, char **argv, settings *s, int *exit_code) {
  *s = (settings){0};
  getopt_tables tables;
  fill_tables(c, &tables);
  int found;
  while ((found = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
    const option_row *row = find_row(found);
    if (!row || found == '?' || found == ':') {
      say_unknown(argv, found == ':');
      return wrong_usage(c, exit_code);
    }
    if (row->kind == OPTION_HELP) {
      print_command_help(c);
      *exit_code = EXIT_OK;
      return false;
    }
    if (!parse_value(row, optarg, s)) {
      say_accepted(row, optarg);
      return wrong_usage(c, exit_code);
    }
  }
  return (take_operands(c, argc, argv, s) && check_standard_output(c, s)) ||
         wrong_usage(c, exit_code);
}

/* Write a word as a shell accepts it. Within single quotes only the quote is special. */
static void write_quoted(FILE *out, const char *word) {
  static const char plain_letters[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:=,+@%";
  if (*word && word[strspn(word, plain_letters)] == '\0') {
    (void)fputs(word, out);
    return;
  }
  (void)fputc('\'', out);
  for (; *word; word++)
    if (*word == '\'')
      (void)fputs("'\\''", out);
    else
      (void)fputc(*word, out);
  (void)fputc('\'', out);
}

char *cli_join_command_line(int argc, char **argv) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out) return cli_copy_text("");
  for (int i = 0; i < argc; i++) {
    if (i > 0) (void)fputc(' ', out);
    write_quoted(out, argv[i]);
  }
  (void)fclose(out);
  return text;
}
