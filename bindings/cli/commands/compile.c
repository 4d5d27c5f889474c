/* resnet compile: write a plan file, which opens without decoding or packing anything. */
#include "cli/commands/compile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/exit_status.h"
#include "cli/format.h"
#include "cli/message.h"
#include "cli/model.h"
#include "cli/model_text.h"
#include "cli/options.h"
#include "cli/output_file.h"
#include "cli/system.h"
#include "support/error.h"
#include "support/json.h"
#include "support/sha256.h"

typedef struct compilation {
  const settings *settings;
  loaded_model model;
  double save_ms;
  uint64_t bytes;
  char sha256[SHA256_TEXT];
} compilation;

/* Refuse to replace anything but a regular file, or the model itself. */
static bool may_replace(const settings *s, resnet_error *error) {
  struct stat old;
  if (stat(s->output, &old) != 0) return true;
  if (!S_ISREG(old.st_mode))
    return error_set(error, RESNET_ERROR_ARGUMENT,
                     "exists and is not a regular file; name a file to write");
  return cli_output_is_other(s->output, s->model, "model", error);
}

/* Block Ctrl-C and similar signals until the file is complete: they would leave the
 * temporary file of the library behind. */
static bool save(compilation *c, resnet_error *error) {
  sigset_t before;
  cli_signals_hold(&before);
  double start = cli_clock_seconds();
  resnet_status status = resnet_model_save(c->model.model, c->settings->output, error);
  c->save_ms = (cli_clock_seconds() - start) * 1e3;
  cli_signals_release(&before);
  return status == RESNET_OK;
}

static bool hash_output(compilation *c, resnet_error *error) {
  if (sha256_file(c->settings->output, c->sha256, &c->bytes)) return true;
  return error_set(error, RESNET_ERROR_IO, "was written, but cannot be read back: %s",
                   strerror(errno));
}

static void write_json(const compilation *c) {
  json j = {.out = stdout};
  json_open_object(&j, NULL);
  cli_model_write_json(&c->model, &j);
  json_text(&j, "file", c->model.file);
  json_text(&j, "output", c->settings->output);
  json_integer(&j, "bytes", c->bytes);
  json_text(&j, "sha256", c->sha256);
  json_integer(&j, "weights_bytes", c->model.info.weights_bytes);
  json_number(&j, "load_ms", c->model.load_ms);
  json_number(&j, "save_ms", c->save_ms);
  json_close_object(&j);
}

static void print_text(const compilation *c) {
  char text[FORMAT_SIZE];
  if (!c->settings->quiet) cli_model_print(&c->model);
  (void)fputs("written     ", stdout);
  cli_print_masked(stdout, c->settings->output);
  (void)printf(": %s", cli_format_bytes(text, c->bytes));
  (void)printf(", of which %s are packed weights\n",
               cli_format_bytes(text, c->model.info.weights_bytes));
  (void)printf("sha256      %s\n", c->sha256);
  (void)printf("time        %.1f ms to load, %.1f ms to save\n", c->model.load_ms, c->save_ms);
}

static bool compile(compilation *c) {
  resnet_error error = {RESNET_OK, ""};
  if (save(c, &error) && hash_output(c, &error)) return true;
  /* a format error is the model's: a plan file whose weights are damaged */
  cli_print_error(error.status == RESNET_ERROR_FORMAT ? c->model.file : c->settings->output,
                  &error);
  return false;
}

int command_compile(const settings *s) {
  compilation c = {.settings = s};
  resnet_error error;
  if (!may_replace(s, &error)) {
    cli_print_error(s->output, &error);
    return EXIT_INPUT;
  }
  if (!cli_model_open(s, &c.model)) return c.model.exit_code;
  cli_model_print_guess(s, &c.model);
  bool ok = compile(&c);
  if (ok && s->json)
    write_json(&c);
  else if (ok)
    print_text(&c);
  cli_model_close(&c.model);
  return ok ? EXIT_OK : EXIT_INPUT;
}
