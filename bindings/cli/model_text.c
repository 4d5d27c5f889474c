#include "cli/model_text.h"

#include <stdio.h>
#include <string.h>

#include "cli/message.h"
#include "cli/shell_message.h"

/* ---- scores ---- */

const char *cli_model_scores_name(resnet_scores scores) {
  switch (scores) {
  case RESNET_SCORES_LOGITS:
    return "logits";
  case RESNET_SCORES_PROBABILITIES:
    return "probabilities";
  case RESNET_SCORES_LOG_PROBABILITIES:
    return "log probabilities";
  case RESNET_SCORES_BINARY_LOGIT:
    return "binary logit";
  case RESNET_SCORES_BINARY_PROBABILITY:
    return "binary probability";
  case RESNET_SCORES_MULTI_LABEL:
    return "multi-label";
  case RESNET_SCORES_EMBEDDING:
    return "embedding";
  }
  return "unknown";
}

/* Return what a user must know to read the scores; NULL: nothing, they add up to 1. */
static const char *explain_scores(resnet_scores scores) {
  switch (scores) {
  case RESNET_SCORES_BINARY_LOGIT:
    return "binary: one logit, whose sigmoid is the probability of class 1 of two";
  case RESNET_SCORES_BINARY_PROBABILITY:
    return "binary: one sigmoid, the probability of class 1 of two";
  case RESNET_SCORES_MULTI_LABEL:
    return "multi-label: a probability for each class by itself; they do not add up to 1";
  case RESNET_SCORES_EMBEDDING:
    return "none: the output is an embedding or a feature map; use resnet embed";
  default:
    return NULL;
  }
}

/* ---- preprocessing ---- */

static const char *order_name(resnet_channel_order order) {
  return order == RESNET_ORDER_GREY ? "GREY" : order == RESNET_ORDER_BGR ? "BGR" : "RGB";
}

static const char *filter_name(resnet_filter filter) {
  return filter == RESNET_FILTER_BICUBIC   ? "bicubic"
         : filter == RESNET_FILTER_NEAREST ? "nearest"
                                           : "bilinear";
}

static const char *source_name(resnet_preprocess_source source) {
  switch (source) {
  case RESNET_PREPROCESS_FROM_MODEL:
    return "model";
  case RESNET_PREPROCESS_FROM_OPTIONS:
    return "options";
  case RESNET_PREPROCESS_GUESSED:
    return "guessed";
  case RESNET_PREPROCESS_FROM_GRAPH:
    return "graph";
  }
  return "unknown";
}

/* Return how sure the preprocessing is. */
static const char *certainty_of(resnet_preprocess_source source) {
  switch (source) {
  case RESNET_PREPROCESS_GUESSED:
    return "guess";
  case RESNET_PREPROCESS_FROM_GRAPH:
    return "evidence";
  default:
    return "stated";
  }
}

static const char *say_source(resnet_preprocess_source source) {
  switch (source) {
  case RESNET_PREPROCESS_FROM_MODEL:
    return "from the file";
  case RESNET_PREPROCESS_FROM_OPTIONS:
    return "from the command line";
  case RESNET_PREPROCESS_GUESSED:
    return "guessed from the input size";
  case RESNET_PREPROCESS_FROM_GRAPH:
    return "from the graph";
  }
  return "unknown";
}

static void print_resize(const resnet_preprocess *p) {
  if (p->resize_height == RESNET_SIZE_NONE)
    (void)fputs("no resize", stdout);
  else if (p->fit == RESNET_FIT_STRETCH)
    (void)printf("stretched to %u x %u", p->resize_height, p->resize_width);
  else if (p->resize_height != p->resize_width)
    (void)printf("scaled to cover %u x %u", p->resize_height, p->resize_width);
  else
    (void)printf("shorter side to %u", p->resize_height);
  if (p->resize_height != RESNET_SIZE_NONE && p->filter != RESNET_FILTER_BILINEAR)
    (void)printf(" (%s)", filter_name(p->filter));
}

static void print_crop(const resnet_preprocess *p) {
  const bool whole = p->fit == RESNET_FIT_STRETCH && p->crop_height == p->resize_height &&
                     p->crop_width == p->resize_width;
  if (p->crop_height == RESNET_SIZE_NONE)
    (void)fputs(", no crop", stdout);
  else if (!whole)
    (void)printf(", centre crop %u x %u", p->crop_height, p->crop_width);
}

/* Print one number for grey, three in brackets for colours. */
static void print_numbers(const float *values, bool grey) {
  if (grey)
    (void)printf("%g", (double)values[0]);
  else
    (void)printf("(%g, %g, %g)", (double)values[0], (double)values[1], (double)values[2]);
}

static bool all_are(const float *values, float wanted, bool grey) {
  for (int c = 0; c < (grey ? 1 : 3); c++)
    if (values[c] < wanted || values[c] > wanted) return false;
  return true;
}

static void print_preprocess(const resnet_model_info *info) {
  const resnet_preprocess *p = &info->preprocess;
  const bool grey = p->order == RESNET_ORDER_GREY;
  (void)fputs("images      ", stdout);
  if (info->input_channels != 1 && info->input_channels != 3) {
    (void)printf("none: the input has %u channels\n", info->input_channels);
    return;
  }
  print_resize(p);
  print_crop(p);
  const bool plain = all_are(p->mean, 0, grey) && all_are(p->std, 1, grey);
  (void)printf(", %s%s / %g", plain ? "" : "(", grey ? "grey" : order_name(p->order),
               (double)p->scale);
  if (!plain) {
    (void)fputs(" - ", stdout);
    print_numbers(p->mean, grey);
    (void)fputs(") / ", stdout);
    print_numbers(p->std, grey);
  }
  (void)printf(" (%s)\n", say_source(info->preprocess_source));
}

void cli_model_print_guess(const settings *s, const loaded_model *m) {
  if (s->quiet) return;
  if (m->info.preprocess_source == RESNET_PREPROCESS_GUESSED)
    cli_print_note(
        "%s has no preprocessing settings: guessed from its input size; use --preprocess to set "
        "them",
        m->file);
  if (m->info.preprocess_source == RESNET_PREPROCESS_FROM_GRAPH)
    cli_print_note(
        "%s has no preprocessing settings, but normalises its input itself: the images' range and "
        "order follow its constants; 'resnet inspect --check' shows them",
        m->file);
}

/* ---- the model ---- */

void cli_model_print(const loaded_model *m) {
  const resnet_model_info *info = &m->info;
  (void)fputs("model       ", stdout);
  cli_print_masked(stdout, m->file);
  if (info->name[0]) {
    (void)fputs(": ", stdout);
    cli_print_masked(stdout, info->name);
  }
  (void)printf(", %u layers, ", info->conv_layers);
  if (info->scores == RESNET_SCORES_EMBEDDING)
    (void)printf("%u numbers", info->score_count);
  else
    (void)printf("%u classes", info->classes);
  (void)printf(", input %u x %u (height x width)%s\n", info->input_height, info->input_width,
               info->input_channels == 1 ? ", grey" : "");
  print_preprocess(info);
  const char *scores = explain_scores(info->scores);
  if (scores) (void)printf("scores      %s\n", scores);
  if (m->labels_source == LABELS_ASSUMED)
    (void)puts("names       ImageNet's, assumed: the model has its number of classes and no names");
}

/* Write one number for equal sides, null for none, else [height, width]. */
static void write_size(json *j, const char *key, uint32_t height, uint32_t width) {
  if (height == RESNET_SIZE_NONE) {
    json_null(j, key);
    return;
  }
  if (height == width) {
    json_integer(j, key, height);
    return;
  }
  json_open_array(j, key);
  json_integer(j, NULL, height);
  json_integer(j, NULL, width);
  json_close_array(j);
}

static void write_numbers(json *j, const char *key, const float *values, int count) {
  json_open_array(j, key);
  for (int c = 0; c < count; c++) json_float(j, NULL, values[c]);
  json_close_array(j);
}

static void write_preprocess(const resnet_model_info *info, json *j) {
  const resnet_preprocess *p = &info->preprocess;
  const int channels = p->order == RESNET_ORDER_GREY ? 1 : 3;
  json_open_object(j, "preprocess");
  json_text(j, "source", source_name(info->preprocess_source));
  json_text(j, "certainty", certainty_of(info->preprocess_source));
  json_text(j, "fit", p->fit == RESNET_FIT_STRETCH ? "stretch" : "crop");
  json_text(j, "filter", filter_name(p->filter));
  write_size(j, "resize", p->resize_height, p->resize_width);
  write_size(j, "crop", p->crop_height, p->crop_width);
  json_text(j, "order", order_name(p->order));
  json_float(j, "scale", p->scale);
  write_numbers(j, "mean", p->mean, channels);
  write_numbers(j, "std", p->std, channels);
  json_close_object(j);
}

void cli_model_write_json(const loaded_model *m, json *j) {
  static const char *const sources[] = {NULL, "model", "options", "assumed"};
  const resnet_model_info *info = &m->info;
  json_open_object(j, "model");
  json_text(j, "file", m->file);
  json_text(j, "name", info->name);
  json_integer(j, "classes", info->classes);
  json_integer(j, "score_count", info->score_count);
  json_integer(j, "input_height", info->input_height);
  json_integer(j, "input_width", info->input_width);
  json_integer(j, "input_channels", info->input_channels);
  json_close_object(j);
  json_text(j, "notice", info->notice[0] ? info->notice : NULL);
  json_text(j, "scores", cli_model_scores_name(info->scores));
  json_text(j, "labels_source", sources[m->labels_source]);
  write_preprocess(info, j);
}

/* ---- diagnostics ---- */

static const char *severity_name(resnet_severity severity) {
  return severity == RESNET_WARNING ? "warning" : "note";
}

void cli_model_print_diagnostics(const loaded_model *m) {
  char text[SHELL_MESSAGE_SIZE];
  for (uint32_t i = 0; i < m->info.finding_count; i++) {
    (void)printf("%-8s ", severity_name(m->info.findings[i].severity));
    cli_print_masked(stdout, cli_shell_message(m->info.findings[i].message, text));
    (void)fputc('\n', stdout);
  }
  if (m->info.finding_count == 0) (void)puts("nothing found");
}

void cli_model_write_diagnostics(const loaded_model *m, json *j) {
  char text[SHELL_MESSAGE_SIZE];
  json_open_array(j, "findings");
  for (uint32_t i = 0; i < m->info.finding_count; i++) {
    json_open_object(j, NULL);
    json_text(j, "severity", severity_name(m->info.findings[i].severity));
    json_text(j, "message", cli_shell_message(m->info.findings[i].message, text));
    json_close_object(j);
  }
  json_close_array(j);
}
