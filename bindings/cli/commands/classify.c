/* resnet classify: label images. */
#include "cli/commands/classify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands/class_map.h"
#include "cli/exit_status.h"
#include "cli/image_input.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/model.h"
#include "cli/model_text.h"
#include "cli/options.h"
#include "cli/output_file.h"
#include "cli/plan.h"
#include "cli/raw_scores.h"
#include "cli/shell_message.h"
#include "cli/standard_input.h"
#include "cli/system.h"
#include "cli/terminal.h"
#include "support/error.h"
#include "support/geometry.h"
#include "support/image.h"
#include "support/json.h"

enum { DEFAULT_BEST = 3 };

typedef struct classification {
  const settings *settings;
  loaded_model model;
  resnet_session *session;
  uint32_t best;
  raw_scores raw; /* only with --raw */
  json out;       /* only with --json */
  /* Only with --cam: */
  class_map map;
  uint32_t map_class; /* RESNET_NO_INDEX: the best class of the image */
  uint32_t cam_width, cam_height;
  bool cam_written;
  bool wrong_usage; /* an option has a value that this model does not have */
  struct failure {
    const char *file;
    resnet_error error;
  } *failures;
  size_t failure_count, failure_capacity;
} classification;

static void report_failure(classification *c, const char *file, const resnet_error *error) {
  cli_print_error(cli_input_name(file), error);
  c->failures = cli_grow(c->failures, c->failure_count, &c->failure_capacity, sizeof *c->failures);
  c->failures[c->failure_count++] = (struct failure){file, *error};
}

static void write_json_cam(classification *c) {
  json *j = &c->out;
  if (!c->cam_written) {
    json_null(j, "cam");
    return;
  }
  json_open_object(j, "cam");
  json_text(j, "file", c->settings->cam);
  json_integer(j, "class_index", c->map_class);
  json_text(j, "label", cli_model_class_label(&c->model, c->map_class));
  class_map_write_json(&c->map, c->map_class, j);
  json_close_object(j);
}

static void write_json_predictions(classification *c, const resnet_prediction *best) {
  json *j = &c->out;
  json_open_array(j, "predictions");
  for (uint32_t i = 0; i < c->best; i++) {
    json_open_object(j, NULL);
    json_integer(j, "index", best[i].index);
    json_text(j, "label", cli_model_class_label(&c->model, best[i].index));
    json_float(j, "score", best[i].score);
    json_close_object(j);
  }
  json_close_array(j);
}

static void write_json_raw(classification *c, const float *scores) {
  json_open_array(&c->out, "raw");
  for (uint32_t i = 0; i < c->model.info.score_count; i++) json_float(&c->out, NULL, scores[i]);
  json_close_array(&c->out);
}

static void write_json_result(classification *c, const char *file, const sample *s,
                              const resnet_prediction *best, const float *scores) {
  json *j = &c->out;
  json_open_object(j, NULL);
  json_text(j, "file", file);
  json_integer(j, "width", s->pixels.width);
  json_integer(j, "height", s->pixels.height);
  if (c->settings->raw)
    write_json_raw(c, scores);
  else
    write_json_predictions(c, best);
  if (c->settings->cam) write_json_cam(c);
  json_close_object(j);
}

/* Print how resnet_classify resized and cropped the image. */
static void print_geometry(const resnet_preprocess *p, uint32_t width, uint32_t height) {
  geometry_axis columns, rows;
  geometry_axes(p, width, height, &columns, &rows);
  (void)printf("%u x %u", height, width);
  if (columns.scaled != width || rows.scaled != height)
    (void)printf(", resized to %u x %u", rows.scaled, columns.scaled);
  if (columns.count != columns.scaled || rows.count != rows.scaled)
    (void)printf(", centre crop %u x %u", rows.count, columns.count);
}

static void print_class(const char *label, uint32_t index) {
  if (label)
    cli_print_masked(stdout, label);
  else
    (void)printf("class %u", index);
}

static void print_cam(const classification *c) {
  (void)printf("  class activation map for ");
  print_class(cli_model_class_label(&c->model, c->map_class), c->map_class);
  (void)fputs(": ", stdout);
  cli_print_masked(stdout, c->settings->cam);
  (void)printf(", %u x %u from %u x %u cells\n", c->cam_height, c->cam_width, c->map.height,
               c->map.width);
}

static void print_predictions(const classification *c, const resnet_prediction *best) {
  for (uint32_t i = 0; i < c->best; i++) {
    (void)printf("  %6.2f %%  ", (double)best[i].score * 100);
    print_class(cli_model_class_label(&c->model, best[i].index), best[i].index);
    (void)fputc('\n', stdout);
  }
}

/* Print the highest scores of classes, or the first numbers of an embedding. */
static void print_raw(const classification *c, const float *scores) {
  const uint32_t count = c->model.info.score_count, shown = c->best < count ? c->best : count;
  const bool ranked = c->model.info.classes == count;
  uint32_t last = UINT32_MAX;
  for (uint32_t i = 0; i < shown; i++) {
    uint32_t next = ranked ? UINT32_MAX : i;
    for (uint32_t k = 0; ranked && k < count; k++) {
      const bool is_left = last == UINT32_MAX || scores[k] < scores[last] ||
                           (!(scores[k] > scores[last]) && k > last);
      if (is_left && (next == UINT32_MAX || scores[k] > scores[next])) next = k;
    }
    if (next == UINT32_MAX) break; /* what is left is NaN */
    (void)printf("  %12.6g  ", (double)scores[next]);
    /* one score is that of class 1 of two */
    const uint32_t class_index = ranked ? next : 1;
    if (ranked || c->model.info.classes == 2)
      print_class(cli_model_class_label(&c->model, class_index), class_index);
    else
      (void)printf("number %u of %u", next, count);
    (void)fputc('\n', stdout);
    last = next;
  }
}

static void print_result(const classification *c, const char *file, const sample *s,
                         const resnet_prediction *best, const float *scores) {
  (void)fputs(cli_bold(), stdout);
  cli_print_masked(stdout, cli_input_name(file));
  (void)fputs(cli_plain(), stdout);
  if (!c->settings->quiet) {
    (void)fputs("  ", stdout);
    print_geometry(&c->model.info.preprocess, s->pixels.width, s->pixels.height);
  }
  (void)fputc('\n', stdout);
  if (c->settings->raw)
    print_raw(c, scores);
  else
    print_predictions(c, best);
  if (c->cam_written && !c->settings->quiet) print_cam(c);
}

/* ---- --cam ---- */

/* Find the class that --cam-class names by its label or else by its index. */
static bool find_map_class(classification *c) {
  const char *name = c->settings->cam_class;
  const resnet_model_info *info = &c->model.info;
  resnet_error error;
  c->map_class = RESNET_NO_INDEX;
  if (!name) return true;
  for (uint32_t i = 0; info->labels && i < info->classes; i++)
    if (strcmp(info->labels[i], name) == 0) {
      c->map_class = i;
      return true;
    }
  char *end;
  const unsigned long index = strtoul(name, &end, 10);
  if (name[0] >= '0' && name[0] <= '9' && *end == '\0' && index < info->classes) {
    c->map_class = (uint32_t)index;
    return true;
  }
  (void)error_set(
      &error, RESNET_ERROR_ARGUMENT,
      "'%.80s' is not a class of the model: %s 0 to %u is accepted; see resnet inspect --json",
      name, info->labels ? "one of its labels or" : "it has no labels;", info->classes - 1);
  cli_print_error("--cam-class", &error);
  c->wrong_usage = true;
  return false;
}

static bool prepare_cam(classification *c) {
  const settings *s = c->settings;
  resnet_error error;
  if (!cli_output_is_other(s->cam, s->operands[0], "image", &error) ||
      !cli_output_is_other(s->cam, s->model, "model", &error)) {
    cli_print_error(s->cam, &error);
    return false;
  }
  if (!find_map_class(c)) return false;
  if (resnet_session_observe(c->session, class_map_observe, &c->map, &error) == RESNET_OK)
    return true;
  cli_print_error(c->model.file, &error);
  return false;
}

/* Report which layers the model has in place of global pooling and one fully connected
 * layer. */
static void report_no_map(classification *c) {
  cli_plan p;
  resnet_error error;
  if (!cli_plan_read(&c->model, &p)) return;
  uint32_t last = p.op_count - 1;
  while (last > 0 && p.ops[last].macs == 0) last--;
  const uint32_t before = p.ops[last].input[0];
  (void)error_set(
      &error, RESNET_ERROR_UNSUPPORTED,
      "the last layer, '%.60s' (%s), follows %s: --cam needs one fully connected layer after "
      "global average pooling",
      p.ops[last].name, p.ops[last].kernel, before < p.op_count ? p.ops[before].kernel : "nothing");
  report_failure(c, c->model.file, &error);
  cli_plan_release(&p);
}

static void make_cam(classification *c, const sample *s, const resnet_prediction *best) {
  resnet_error error;
  if (!c->map.values) {
    report_no_map(c);
    return;
  }
  if (c->map_class == RESNET_NO_INDEX) c->map_class = best[0].index;
  c->cam_written =
      class_map_write_image(c->settings->cam, &s->pixels, &c->model.info.preprocess, &c->map,
                            c->map_class, &c->cam_width, &c->cam_height, &error);
  if (!c->cam_written) report_failure(c, c->settings->cam, &error);
}

/* Read, label and report `count` images, in order. */
static void classify_some(classification *c, char *const *files, size_t count) {
  sample *samples = cli_allocate(count, sizeof *samples);
  resnet_prediction *best = cli_allocate(count * c->best, sizeof *best);
  for (size_t i = 0; i < count; i++)
    (void)cli_image_read(c->settings, files[i], &samples[i].pixels, &samples[i].error);
  if (c->settings->raw)
    cli_raw_run(&c->raw, samples, count);
  else
    (void)cli_model_label(c->session, samples, count, c->best, best);
  for (size_t i = 0; i < count; i++) {
    const float *scores = c->settings->raw ? c->raw.scores + i * c->model.info.score_count : NULL;
    cli_image_print_depth(c->settings, files[i], &samples[i].pixels);
    if (c->settings->cam && samples[i].error.status == RESNET_OK)
      make_cam(c, &samples[i], best + i * c->best);
    if (samples[i].error.status != RESNET_OK)
      report_failure(c, files[i], &samples[i].error);
    else if (c->settings->json)
      write_json_result(c, files[i], &samples[i], best + i * c->best, scores);
    else
      print_result(c, files[i], &samples[i], best + i * c->best, scores);
    image_release(&samples[i].pixels);
  }
  free(samples);
  free(best);
}

static void classify_all(classification *c) {
  const settings *s = c->settings;
  size_t batch = s->batch ? s->batch : 1;
  for (size_t start = 0; start < s->operand_count && !cli_output_failed(); start += batch) {
    size_t left = s->operand_count - start;
    classify_some(c, s->operands + start, left < batch ? left : batch);
  }
}

static void write_json_failures(classification *c) {
  char text[SHELL_MESSAGE_SIZE];
  json_open_array(&c->out, "errors");
  for (size_t i = 0; i < c->failure_count; i++) {
    json_open_object(&c->out, NULL);
    json_text(&c->out, "file", c->failures[i].file);
    json_text(&c->out, "message", cli_shell_message(c->failures[i].error.message, text));
    json_close_object(&c->out);
  }
  json_close_array(&c->out);
}

static void classify_as_json(classification *c) {
  json_open_object(&c->out, NULL);
  cli_model_write_json(&c->model, &c->out);
  json_open_array(&c->out, "results");
  classify_all(c);
  json_close_array(&c->out);
  write_json_failures(c);
  json_close_object(&c->out);
}

/* Refuse a model without classes, unless its numbers are wanted as they are. */
static bool check_classes(const classification *c) {
  resnet_error error;
  if (c->settings->raw || c->model.info.classes > 0) return true;
  (void)error_set(&error, RESNET_ERROR_UNSUPPORTED,
                  "has no classes to rank: its output is an embedding of %u numbers; use resnet "
                  "embed, or --raw",
                  c->model.info.score_count);
  cli_print_error(c->model.file, &error);
  return false;
}

int command_classify(const settings *s) {
  classification c = {.settings = s, .out = {.out = stdout}};
  if (!cli_model_open(s, &c.model)) return c.model.exit_code;
  cli_model_print_guess(s, &c.model);
  c.best = s->best ? s->best : DEFAULT_BEST;
  if (c.best > c.model.info.classes && !s->raw) c.best = c.model.info.classes;
  uint32_t threads = s->threads ? s->threads : cli_processor_count();
  const uint32_t batch = s->batch ? s->batch : 1;
  bool ok = check_classes(&c) &&
            cli_model_open_session(&c.model, threads, batch, RESNET_OBSERVE_RESPONSES, &c.session);
  if (ok && s->raw) cli_raw_open(&c.raw, &c.model, c.session, batch);
  ok = ok && (!s->cam || prepare_cam(&c));
  if (ok && s->json)
    classify_as_json(&c);
  else if (ok) {
    if (!s->quiet) cli_model_print(&c.model);
    classify_all(&c);
  }
  resnet_session_close(&c.session);
  cli_model_close(&c.model);
  ok = ok && c.failure_count == 0;
  free(c.failures);
  class_map_release(&c.map);
  cli_raw_close(&c.raw);
  return ok ? EXIT_OK : c.wrong_usage ? EXIT_USAGE : EXIT_INPUT;
}
