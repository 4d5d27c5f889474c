#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit_status.h"
#include "cli/image_input.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/standard_input.h"
#include "resnet.h"

typedef enum option_kind {
  OPTION_HELP,
  OPTION_FLAG,
  OPTION_NUMBER,
  OPTION_COUNT, /* a number for which 0 is allowed */
  OPTION_SIDE,
  OPTION_SIZE,
  OPTION_TEXT,
  OPTION_PRESET,  /* a name that resnet_preprocess_preset knows */
  OPTION_DEPTH16, /* clip, scale, auto or LOW:HIGH */
  OPTION_CHOICE
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
} option_row;

#define FIELD(name) offsetof(settings, name)

/* Commands that run the model, that decode images, and that depend on preprocessing. */
enum {
  RUN = COMMAND_CLASSIFY | COMMAND_EVAL | COMMAND_BENCH | COMMAND_COMPARE,
  DECODE = COMMAND_CLASSIFY | COMMAND_EVAL | COMMAND_COMPARE,
  TAKE_IMAGES =
      COMMAND_CLASSIFY | COMMAND_EVAL | COMMAND_INSPECT | COMMAND_COMPILE | COMMAND_COMPARE
};

static const option_row rows[] = {
    {"model", 'm', OPTION_TEXT, "MODEL", COMMAND_ALL & ~COMMAND_COMPARE, FIELD(model), 0, 0,
     "the .onnx, .onnx.gz or .resnet file; -: standard input (the built-in model)"},
    {"top", 'k', OPTION_NUMBER, "K", COMMAND_CLASSIFY, FIELD(best), 1, 100000,
     "how many labels to show for each image (3)"},
    {"cam", 0, OPTION_TEXT, "OUT.png", COMMAND_CLASSIFY, FIELD(cam), 0, 0,
     "also write the image with the class activation map over it; takes one image"},
    {"cam-class", 0, OPTION_TEXT, "LABEL|INDEX", COMMAND_CLASSIFY, FIELD(cam_class), 0, 0,
     "the class that --cam shows, instead of the best"},
    {"data", 'd', OPTION_TEXT, "DIR|ZIP", COMMAND_EVAL | COMMAND_COMPARE, FIELD(data), 0, 0,
     "labelled images: <class>/<image> in a folder or a .zip"},
    {"output", 'o', OPTION_TEXT, "OUT.resnet", COMMAND_COMPILE, FIELD(output), 0, 0,
     "the plan file to write"},
    {"report", 0, OPTION_TEXT, "OUT.html", COMMAND_COMPARE, FIELD(report), 0, 0,
     "also write one page with all plots and tables"},
    {"tables", 0, OPTION_TEXT, "DIR", COMMAND_COMPARE, FIELD(tables), 0, 0,
     "also write the data as CSV and the plots as SVG files into this folder"},
    {"lesions", 0, OPTION_COUNT, "N", COMMAND_COMPARE, FIELD(ablation_images), 0, 999999999,
     "how many images to remove blocks on; 0: none (1000)"},
    {"events", 0, OPTION_NUMBER, "FD", COMMAND_COMPARE, FIELD(events), 3, 65535,
     "write warnings, errors and progress as JSON lines to this file descriptor"},
    {"runs", 'r', OPTION_NUMBER, "R", COMMAND_BENCH, FIELD(runs), 1, 1000000,
     "how many runs to time (50)"},
    {"per-op", 0, OPTION_FLAG, NULL, COMMAND_BENCH, FIELD(per_op), 0, 0, "also time every op"},
    {"check", 0, OPTION_FLAG, NULL, COMMAND_INSPECT, FIELD(check), 0, 0,
     "only list what looks wrong in the file; exit status 1 if predictions are likely wrong"},
    {"threads", 't', OPTION_NUMBER, "N", RUN, FIELD(threads), 0, MAX_THREADS,
     "number of threads; 0: one for each processor (0)"},
    {"batch", 'b', OPTION_NUMBER, "B", RUN, FIELD(batch), 0, 4096,
     "images computed together; 0: chosen by the command (0)"},
    {"depth16", 0, OPTION_DEPTH16, "HOW", DECODE, FIELD(image), 0, UINT16_MAX,
     "16-bit images: clip (as Pillow), scale, auto (each its own range) or LOW:HIGH (clip)"},
    {"preprocess", 0, OPTION_PRESET, "NAME", TAKE_IMAGES, FIELD(preprocess), 0, 0,
     "imagenet, imagenet-v2, cifar10, keras-caffe, keras-tf or none, instead of the file's own"},
    {"resize", 0, OPTION_SIDE, "S|none", TAKE_IMAGES, FIELD(resize), 1, 65535,
     "scale the shorter side of an image to S pixels"},
    {"crop", 0, OPTION_SIDE, "C|none", TAKE_IMAGES, FIELD(crop), 1, 65535,
     "then crop the centre, C x C pixels"},
    {"size", 0, OPTION_SIZE, "S|HxW", COMMAND_ALL, FIELD(size), 1, 65535,
     "input size of the model, S x S or H x W pixels, instead of the size in the file"},
    {"scores", 0, OPTION_TEXT, "NAME", COMMAND_ALL, FIELD(scores), 0, 0,
     "which output of the file holds the scores, if there are several"},
    {"conv", 0, OPTION_CHOICE, "auto|direct|winograd", COMMAND_ALL, FIELD(conv), 0, 0,
     "how to compute convolutions; auto: what a cost model predicts to be faster (auto)"},
    {"memory", 0, OPTION_CHOICE, "normal|small", COMMAND_ALL, FIELD(memory), 0, 0,
     "small: keep no weights larger than the file's; implies direct convolutions (normal)"},
    {"max-memory", 0, OPTION_NUMBER, "GIB", COMMAND_ALL, FIELD(max_memory), 1, 1024,
     "most memory for a model and what runs it (6)"},
    {"max-file", 0, OPTION_NUMBER, "GIB", COMMAND_ALL, FIELD(max_file), 1, 1024,
     "largest file that is accepted as a model (2)"},
    {"external-data", 0, OPTION_FLAG, NULL, COMMAND_ALL, FIELD(external_data), 0, 0,
     "let the model read its weights from files in or below its folder"},
    {"json", 0, OPTION_FLAG, NULL, COMMAND_ALL, FIELD(json), 0, 0,
     "print one JSON document instead of text"},
    {"quiet", 'q', OPTION_FLAG, NULL, COMMAND_ALL, FIELD(quiet), 0, 0,
     "no notes and no progress bar"},
    {"help", 'h', OPTION_HELP, NULL, COMMAND_ALL, 0, 0, 0, "show this help"},
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

static void print_command_help(const command *c) {
  (void)printf("Usage: resnet %s [OPTION]... %s\n%s\n\nOptions:\n", c->name, c->operands,
               c->details);
  for (size_t i = 0; i < ROW_COUNT; i++) {
    const option_row *row = &rows[i];
    if (!(row->commands & (unsigned)c->id)) continue;
    char spelling[40];
    (void)snprintf(spelling, sizeof spelling, "--%s%s%s", row->name, row->argument ? " " : "",
                   row->argument ? row->argument : "");
    if (row->letter)
      (void)printf("  -%c, %-27s %s\n", row->letter, spelling, row->help);
    else
      (void)printf("      %-27s %s\n", spelling, row->help);
  }
  (void)printf("\nExample:\n  %s\n", c->example);
}

static bool wrong_usage(const command *c, int *exit_code) {
  (void)fprintf(stderr, "; see resnet %s --help\n", c->name);
  *exit_code = EXIT_USAGE;
  return false;
}

/* Parse a decimal integer. strtoul alone would accept "-1", "" and "3x". */
static bool parse_number(const char *text, uint32_t minimum, uint32_t maximum, uint32_t *value) {
  if (*text == '\0' || strspn(text, "0123456789") != strlen(text) || strlen(text) > 9) return false;
  unsigned long parsed = strtoul(text, NULL, 10);
  if (parsed < minimum || parsed > maximum) return false;
  *value = (uint32_t)parsed;
  return true;
}

/* Parse two numbers with a character between them, which is at `between`. */
static bool parse_pair(const char *text, const char *between, uint32_t minimum, uint32_t maximum,
                       uint32_t *first, uint32_t *second) {
  char before[12];
  const size_t length = (size_t)(between - text);
  if (length >= sizeof before) return false;
  memcpy(before, text, length);
  before[length] = '\0';
  return parse_number(before, minimum, maximum, first) &&
         parse_number(between + 1, minimum, maximum, second);
}

/* Parse "S" or "HxW". */
static bool parse_size(const char *text, uint32_t minimum, uint32_t maximum, size_option *size) {
  const char *x = strchr(text, 'x');
  if (x) return parse_pair(text, x, minimum, maximum, &size->height, &size->width);
  return parse_number(text, minimum, maximum, &size->height) &&
         parse_number(text, minimum, maximum, &size->width);
}

/* Set *value to the index of `text` among `words`, which are separated by '|'. */
static bool parse_choice(const char *text, const char *words, uint32_t *value) {
  const size_t length = strlen(text);
  for (*value = 0; words; ++*value) {
    const size_t word = strcspn(words, "|");
    if (word == length && strncmp(words, text, word) == 0) return true;
    words = words[word] ? words + word + 1 : NULL;
  }
  return false;
}

/* Parse "LOW:HIGH" or a word. */
static bool parse_depth16(const char *text, image_options *image) {
  const char *colon = strchr(text, ':');
  uint32_t low = 0, high = UINT16_MAX;
  if (strcmp(text, "clip") == 0) {
    image->depth16 = IMAGE_DEPTH16_CLIP;
  } else if (strcmp(text, "auto") == 0) {
    image->depth16 = IMAGE_DEPTH16_AUTO;
  } else if (strcmp(text, "scale") == 0 ||
             (colon && parse_pair(text, colon, 0, UINT16_MAX, &low, &high) && low < high)) {
    *image = (image_options){IMAGE_DEPTH16_RANGE, (uint16_t)low, (uint16_t)high};
  } else {
    return false;
  }
  return true;
}

/* Print which values parse_value accepts. */
static void say_accepted(const option_row *row, const char *text) {
  resnet_error error;
  (void)fprintf(stderr, "resnet: --%s '", row->name);
  cli_print_masked(stderr, text);
  switch (row->kind) {
  case OPTION_CHOICE:
    (void)fprintf(stderr, "': %s is accepted", row->argument);
    return;
  case OPTION_PRESET:
    (void)resnet_preprocess_preset(text, &(resnet_preprocess){0}, &error);
    (void)fputs("': ", stderr);
    cli_print_masked(stderr, error.message);
    return;
  case OPTION_DEPTH16:
    (void)fputs("': clip, scale, auto or LOW:HIGH is accepted, e.g. 0:4095", stderr);
    return;
  default:
    break;
  }
  (void)fprintf(stderr, "': %s%u to %u is accepted", row->kind == OPTION_SIDE ? "none or " : "",
                row->minimum, row->maximum);
  if (row->kind == OPTION_SIZE)
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
    return parse_depth16(text, field);
  case OPTION_NUMBER:
    return parse_number(text, row->minimum, row->maximum, field);
  case OPTION_COUNT: {
    number_option *count = field;
    count->given = true;
    return parse_number(text, row->minimum, row->maximum, &count->number);
  }
  case OPTION_SIDE: {
    side_option *side = field;
    side->given = true;
    side->side = 0;
    return strcmp(text, "none") == 0 || parse_number(text, row->minimum, row->maximum, &side->side);
  }
  case OPTION_SIZE:
    return parse_size(text, row->minimum, row->maximum, field);
  case OPTION_CHOICE:
    return parse_choice(text, row->argument, field);
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

/* The functions below print the first part of a message if they fail; wrong_usage ends
 * it. */
/* Take the first operand as the model if it is one and no other is named. */
static void take_first_model(settings *s) {
  if (s->model || s->operand_count == 0 || !cli_image_is_model(s->operands[0])) return;
  s->model = s->operands[0];
  s->operands++;
  s->operand_count--;
}

static bool check_images(const settings *s) {
  if (s->operand_count == 0)
    (void)fputs("resnet: no image is named", stderr);
  else if (s->cam && s->operand_count > 1)
    (void)fprintf(stderr, "resnet: --cam takes one image, and %zu are named", s->operand_count);
  else if (s->cam_class && !s->cam)
    (void)fputs("resnet: --cam-class needs --cam", stderr);
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
  for (size_t i = 0; i < s->operand_count; i++) named += cli_is_standard_input(s->operands[i]);
  if (named > 1)
    (void)fputs("resnet: standard input can be read once, but is named twice", stderr);
  else if (named && c->takes == TAKES_MODELS)
    (void)fputs("resnet: compare reads its models several times: name files, not standard input",
                stderr);
  else
    return true;
  return false;
}

static bool take_operands(const command *c, int argc, char **argv, settings *s) {
  s->operands = argv + optind;
  s->operand_count = (size_t)(argc - optind);
  if (c->takes == TAKES_IMAGES) take_first_model(s);
  if (c->takes == TAKES_IMAGES) return check_images(s) && check_standard_input(c, s);
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
  return take_operands(c, argc, argv, s) || wrong_usage(c, exit_code);
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
