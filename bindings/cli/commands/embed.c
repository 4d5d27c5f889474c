/* resnet embed: write what a model gives for images, a row each, as a NumPy file. It is
 * written under a temporary name and then renamed: it is complete or not there. */
#include "cli/commands/embed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/exit_status.h"
#include "cli/image_input.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/model.h"
#include "cli/model_text.h"
#include "cli/npy.h"
#include "cli/output_file.h"
#include "cli/plan.h"
#include "cli/progress.h"
#include "cli/raw_scores.h"
#include "cli/shell_message.h"
#include "cli/standard_input.h"
#include "cli/system.h"
#include "support/error.h"
#include "support/json.h"

typedef struct embedding {
  const settings *settings;
  loaded_model model;
  char *tensor;
  resnet_session *session;
  raw_scores raw;
  output_file out;
  size_t rows;
  resnet_error *errors; /* one for each image */
  progress bar;
} embedding;

static void normalise(float *row, size_t columns) {
  double squares = 0;
  for (size_t i = 0; i < columns; i++) squares += (double)row[i] * (double)row[i];
  const double length = sqrt(squares);
  for (size_t i = 0; i < columns && length > 0; i++) row[i] = (float)((double)row[i] / length);
}

/* Write the rows of the good images. Return false, with *error set, if that fails. */
static bool write_rows(embedding *e, const sample *samples, size_t start, size_t count,
                       resnet_error *error) {
  const size_t columns = e->model.info.score_count;
  for (size_t i = 0; i < count; i++) {
    if (samples[i].error.status != RESNET_OK) {
      e->errors[start + i] = samples[i].error;
      cli_print_error(cli_input_name(e->settings->operands[start + i]), &samples[i].error);
      continue;
    }
    float *row = e->raw.scores + i * columns;
    if (e->settings->l2) normalise(row, columns);
    if (fwrite(row, sizeof *row, columns, e->out.stream) != columns)
      return error_set(error, RESNET_ERROR_IO, "cannot be written");
    e->rows++;
  }
  return true;
}

static bool embed_some(embedding *e, size_t start, size_t count, resnet_error *error) {
  const settings *s = e->settings;
  sample *samples = cli_allocate(count, sizeof *samples);
  for (size_t i = 0; i < count; i++) {
    const char *file = s->operands[start + i];
    if (cli_image_read(s, file, &samples[i].pixels, &samples[i].error))
      cli_image_print_depth(s, file, &samples[i].pixels);
  }
  cli_raw_run(&e->raw, samples, count);
  const bool ok = write_rows(e, samples, start, count, error);
  for (size_t i = 0; i < count; i++) image_release(&samples[i].pixels);
  free(samples);
  cli_progress_advance(&e->bar, count);
  return ok;
}

static size_t count_failures(const embedding *e) {
  size_t count = 0;
  for (size_t i = 0; i < e->settings->operand_count; i++) count += e->errors[i].status != RESNET_OK;
  return count;
}

static bool embed_all(embedding *e, resnet_error *error) {
  const settings *s = e->settings;
  const size_t batch = s->batch ? s->batch : 1;
  bool ok = cli_npy_write_header(e->out.stream, 0, e->model.info.score_count);
  if (!ok) (void)error_set(error, RESNET_ERROR_IO, "cannot be written");
  for (size_t start = 0; start < s->operand_count && ok; start += batch) {
    const size_t left = s->operand_count - start;
    ok = embed_some(e, start, left < batch ? left : batch, error);
  }
  if (ok && (fseek(e->out.stream, 0, SEEK_SET) != 0 ||
             !cli_npy_write_header(e->out.stream, e->rows, e->model.info.score_count)))
    ok = error_set(error, RESNET_ERROR_IO, "cannot be written");
  return ok;
}

static const char *output_name(const settings *s) {
  return cli_is_standard_output(s->output) ? "standard output" : s->output;
}

static bool open_output(embedding *e, resnet_error *error) {
  const char *path = e->settings->output;
  return cli_is_standard_output(path) ? cli_output_open_standard(&e->out, error)
                                      : cli_output_open(&e->out, path, error);
}

/* Write the file if all images were read, or if --skip-errors is given and one was. */
static bool write_file(embedding *e) {
  const settings *s = e->settings;
  resnet_error error;
  if (!open_output(e, &error)) {
    cli_print_error(output_name(s), &error);
    return false;
  }
  cli_progress_start(&e->bar, s->operand_count, "images", s->quiet);
  bool ok = embed_all(e, &error);
  cli_progress_finish(&e->bar);
  const size_t failures = count_failures(e);
  if (ok && failures && (!s->skip_errors || e->rows == 0))
    ok = error_set(&error, RESNET_ERROR_IO, "is not written, since %zu of %zu images failed%s",
                   failures, s->operand_count,
                   s->skip_errors ? "" : ": --skip-errors leaves them out");
  if (ok)
    ok = cli_output_commit(&e->out, &error);
  else
    cli_output_abandon(&e->out);
  if (!ok) cli_print_error(output_name(s), &error);
  return ok;
}

static void write_json(const embedding *e) {
  json j = {.out = stdout};
  char text[SHELL_MESSAGE_SIZE];
  const settings *s = e->settings;
  json_open_object(&j, NULL);
  cli_model_write_json(&e->model, &j);
  json_text(&j, "output", s->output);
  json_text(&j, "tensor", e->tensor);
  json_integer(&j, "rows", e->rows);
  json_integer(&j, "columns", e->model.info.score_count);
  json_bool(&j, "l2", s->l2);
  json_open_array(&j, "files");
  for (size_t i = 0; i < s->operand_count; i++)
    if (e->errors[i].status == RESNET_OK) json_text(&j, NULL, s->operands[i]);
  json_close_array(&j);
  json_open_array(&j, "errors");
  for (size_t i = 0; i < s->operand_count; i++) {
    if (e->errors[i].status == RESNET_OK) continue;
    json_open_object(&j, NULL);
    json_text(&j, "file", s->operands[i]);
    json_text(&j, "message", cli_shell_message(e->errors[i].message, text));
    json_close_object(&j);
  }
  json_close_array(&j);
  json_close_object(&j);
}

static void print_text(const embedding *e) {
  if (!e->settings->quiet) cli_model_print(&e->model);
  (void)fputs("written     ", stdout);
  cli_print_masked(stdout, e->settings->output);
  (void)printf(": %zu row%s of %u numbers from tensor '", e->rows, e->rows == 1 ? "" : "s",
               e->model.info.score_count);
  cli_print_masked(stdout, e->tensor);
  (void)printf("'%s\n", e->settings->l2 ? ", each divided by its length" : "");
}

/* Find the name of the tensor that the rows hold. */
static bool find_tensor(embedding *e) {
  cli_plan p;
  if (!cli_plan_read(&e->model, &p)) return false;
  e->tensor =
      cli_copy_text(e->settings->scores ? e->settings->scores : p.ops[p.op_count - 1].output);
  cli_plan_release(&p);
  return true;
}

static bool may_write(const settings *s) {
  resnet_error error;
  const bool standard = cli_is_standard_output(s->output);
  if (standard && isatty(STDOUT_FILENO)) {
    cli_print_note("standard output is a terminal: redirect it, or name a file to write");
    return false;
  }
  bool ok = standard || cli_output_is_other(s->output, s->model, "model", &error);
  for (size_t i = 0; i < s->operand_count && ok && !standard; i++)
    ok = cli_output_is_other(s->output, s->operands[i], "image", &error);
  if (!ok) cli_print_error(s->output, &error);
  return ok;
}

int command_embed(const settings *s) {
  embedding e = {.settings = s};
  settings opened = *s;
  opened.output = NULL; /* of compile: the model need not be saved */
  if (!may_write(s)) return EXIT_INPUT;
  if (!cli_model_open(&opened, &e.model)) return e.model.exit_code;
  cli_model_print_guess(s, &e.model);
  const uint32_t threads = s->threads ? s->threads : cli_processor_count();
  const uint32_t batch = s->batch ? s->batch : 1;
  e.errors = cli_allocate(s->operand_count, sizeof *e.errors);
  bool ok = find_tensor(&e) &&
            cli_model_open_session(&e.model, threads, batch, RESNET_OBSERVE_OPS, &e.session);
  if (ok) cli_raw_open(&e.raw, &e.model, e.session, batch);
  ok = ok && write_file(&e);
  if (ok && s->json)
    write_json(&e);
  else if (ok && !cli_is_standard_output(s->output))
    print_text(&e);
  ok = ok && count_failures(&e) == 0;
  cli_raw_close(&e.raw);
  resnet_session_close(&e.session);
  cli_model_close(&e.model);
  free(e.tensor);
  free(e.errors);
  return ok ? EXIT_OK : EXIT_INPUT;
}
