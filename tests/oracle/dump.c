/* Writes what a model computes; Python tests compare it with onnxruntime.
 *
 *     dump MODEL INPUT OUTPUT [--threads N] [--batch N] [--scores] [--output NAME]
 *          [--external-data] [--height H] [--width W]
 *
 * INPUT contains float32 samples (n,c,h,w). OUTPUT is a sequence of records in the
 * machine's byte order: uint32 op, samples, height, width, channels and length of the
 * tensor's name; the name; the floats (n,h,w,c). There is one record for every op of
 * every batch (none with --scores), then one with op UINT32_MAX for the scores of all
 * samples.
 *
 * Stdout has a line "net" with height, width and channels of the input, classes and
 * depth; a line "block" for every block: name, number of the shortcut, tensor of its
 * output; a line "finding" for every diagnostic: severity, message. A refusal is printed
 * on stderr and begins with the status. */
#include <resnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "read_samples.h"

#define SCORES_RECORD UINT32_MAX

typedef struct settings {
  const char *model, *input, *output;
  uint32_t threads, batch, conv;
  int scores_only;
  resnet_model_options options;
} settings;

typedef struct number_option {
  const char *name;
  uint32_t *value;
} number_option;

typedef struct recorder {
  const resnet_model *model;
  FILE *file;
  int failed;
} recorder;

static int complain(const char *what, const char *message) {
  fprintf(stderr, "dump: %s: %s\n", what, message);
  return 1;
}

/* Return the value of option `name` at argv[*i] and advance *i to it, or NULL if there is
 * another option. */
static const char *option_value(int argc, char **argv, int *i, const char *name) {
  return *i + 1 < argc && strcmp(argv[*i], name) == 0 ? argv[++*i] : NULL;
}

static int parse_option(int argc, char **argv, int *i, settings *s) {
  const number_option numbers[] = {{"--threads", &s->threads},
                                   {"--batch", &s->batch},
                                   {"--conv", &s->conv},
                                   {"--height", &s->options.input_height},
                                   {"--width", &s->options.input_width}};
  for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
    const char *value = option_value(argc, argv, i, numbers[k].name);
    if (value) *numbers[k].value = (uint32_t)strtoul(value, NULL, 10);
    if (value) return 0;
  }
  if (strcmp(argv[*i], "--scores") == 0) {
    s->scores_only = 1;
  } else if (strcmp(argv[*i], "--external-data") == 0) {
    s->options.external_data = 1;
  } else {
    s->options.output = option_value(argc, argv, i, "--output");
    if (!s->options.output) return complain("unknown option", argv[*i]);
  }
  return 0;
}

static int parse_settings(int argc, char **argv, settings *s) {
  *s = (settings){.threads = 1, .batch = 1};
  resnet_model_options_init(&s->options);
  if (argc < 4) return complain("usage", "dump MODEL INPUT OUTPUT [OPTION...]");
  s->model = argv[1];
  s->input = argv[2];
  s->output = argv[3];
  for (int i = 4; i < argc; i++) {
    if (parse_option(argc, argv, &i, s) != 0) return 1;
  }
  s->options.conv = (resnet_conv)s->conv;
  return 0;
}

static void write_record(recorder *r, const uint32_t header[5], const char *name,
                         const float *data) {
  const uint32_t length = (uint32_t)strlen(name);
  const size_t floats = (size_t)header[1] * header[2] * header[3] * header[4];
  if (fwrite(header, sizeof(uint32_t), 5, r->file) != 5 ||
      fwrite(&length, sizeof length, 1, r->file) != 1 ||
      fwrite(name, 1, length, r->file) != length ||
      fwrite(data, sizeof(float), floats, r->file) != floats) {
    r->failed = 1;
  }
}

static void on_response(void *user, const resnet_response *response) {
  recorder *r = user;
  resnet_op op = {.struct_size = sizeof op};
  if (resnet_plan_op(r->model, response->op, &op, NULL) != RESNET_OK ||
      op.height != response->height || op.width != response->width ||
      op.channels != response->channels) {
    r->failed = 1;
    return;
  }
  const uint32_t header[5] = {response->op, response->batch, response->height, response->width,
                              response->channels};
  write_record(r, header, op.output, response->data);
}

static int print_blocks(const resnet_model *model, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    resnet_error error;
    resnet_block block = {.struct_size = sizeof block};
    resnet_op op = {.struct_size = sizeof op};
    if (resnet_plan_block(model, i, &block, &error) != RESNET_OK ||
        resnet_plan_op(model, block.last_op, &op, &error) != RESNET_OK) {
      return complain("block", error.message);
    }
    printf("block %s %d %s\n", block.name, (int)block.shortcut, op.output);
  }
  return 0;
}

static void print_network(const resnet_model_info *info) {
  printf("net %u %u %u %u %u\n", info->input_height, info->input_width, info->input_channels,
         info->classes, info->conv_layers);
  for (uint32_t i = 0; i < info->finding_count; i++)
    printf("finding %d %s\n", (int)info->findings[i].severity, info->findings[i].message);
}

/* Run all samples and write the records. */
static int run(const settings *s, recorder *r, resnet_session *session,
               const resnet_model_info *info) {
  resnet_error error;
  const size_t floats = (size_t)info->input_channels * info->input_height * info->input_width;
  const samples input = read_samples(s->input, floats);
  float *scores = input.data ? calloc(input.count * info->score_count, sizeof(float)) : NULL;
  int result =
      scores ? 0 : complain(s->input, "not a whole number of samples, or not enough memory");
  if (result == 0 &&
      resnet_run(session, input.data, RESNET_LAYOUT_NCHW, input.count, scores, &error) != RESNET_OK)
    result = complain("run", error.message);
  if (result == 0) {
    const uint32_t header[5] = {SCORES_RECORD, (uint32_t)input.count, 1, 1, info->score_count};
    write_record(r, header, "", scores);
    if (r->failed)
      result = complain(s->output, "could not be written, or a response's shape is not its op's");
  }
  free(scores);
  free(input.data);
  return result;
}

static int dump(const settings *s, const resnet_model *model) {
  resnet_error error;
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_model_info info = {.struct_size = sizeof info};
  recorder r = {.model = model};
  resnet_session_options_init(&options);
  options.threads = s->threads;
  options.batch = s->batch;
  options.observe = RESNET_OBSERVE_OPS;
  if (resnet_model_get_info(model, &info, &error) != RESNET_OK)
    return complain("info", error.message);
  print_network(&info);
  if (print_blocks(model, info.block_count) != 0) return 1;
  if (resnet_session_open(model, &options, &session, &error) != RESNET_OK)
    return complain("session", error.message);
  int result = 1;
  r.file = fopen(s->output, "wb");
  if (!r.file) {
    complain(s->output, "cannot be written");
  } else if (!s->scores_only &&
             resnet_session_observe(session, on_response, &r, &error) != RESNET_OK) {
    complain("observe", error.message);
  } else {
    result = run(s, &r, session, &info);
  }
  if (r.file && fclose(r.file) != 0) result = complain(s->output, "could not be written");
  resnet_session_close(&session);
  return result;
}

int main(int argc, char **argv) {
  settings s;
  resnet_error error;
  resnet_model *model = NULL;
  if (parse_settings(argc, argv, &s) != 0) return 2;
  if (resnet_model_open(s.model, &s.options, &model, &error) != RESNET_OK)
    return complain(resnet_status_string(error.status), error.message);
  const int result = dump(&s, model);
  resnet_model_close(&model);
  return result;
}
