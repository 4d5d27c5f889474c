/* Opens a model from an attacker and, if it opens, runs it once.
 *
 *     try_model FILE MAX_MEMORY_BYTES MAX_FILE_BYTES [--external-data]
 *         print the status and the message of opening FILE and of the run: the first that
 *         fails, if any; only a damaged plan file may open and fail to run
 *     try_model --prefixes FILE
 *         check that every proper prefix of FILE is refused and that FILE opens
 *     try_model --compile MODEL PLAN
 *         write MODEL's plan file
 *
 * Exit status 0: the library kept its promises, whether or not the model opened. */
#include <resnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Do not run larger models: they are slow, not hostile. */
#define MAX_MACS 1000000000u

static int complain(const char *what, const char *message) {
  printf("BROKEN\n%s: %s\n", what, message);
  return 1;
}

/* Check the promises about errors: status and message agree, and the message is one
 * printable line. */
static int check_error(const resnet_error *error, resnet_status status) {
  const size_t length = strnlen(error->message, sizeof error->message);
  if (error->status != status) return complain("error", "its status is not the returned one");
  if (length == sizeof error->message) return complain("error", "no NUL in its message");
  if ((status == RESNET_OK) != (length == 0))
    return complain("error", "an empty message must mean success");
  for (size_t i = 0; i < length; i++) {
    const unsigned char c = (unsigned char)error->message[i];
    if (c < 0x20 || c == 0x7f) return complain("error", "a control character in its message");
  }
  return 0;
}

/* Run the model once. Leave in *error the refusal of a damaged plan file. */
static int run_session(const resnet_model *model, const resnet_model_info *info,
                       resnet_error *error) {
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_session_options_init(&options);
  options.threads = 1;
  if (resnet_session_open(model, &options, &session, error) != RESNET_OK)
    return complain("session", error->message);
  const size_t floats = (size_t)info->input_channels * info->input_height * info->input_width;
  float *input = calloc(floats, sizeof(float));
  float *scores = malloc(info->score_count * sizeof(float));
  int result = input && scores ? 0 : complain("run", "not enough memory");
  if (result == 0) {
    const resnet_status status = resnet_run(session, input, RESNET_LAYOUT_NCHW, 1, scores, error);
    result = check_error(error, status);
    if (status != RESNET_OK && !strstr(error->message, "plan file is damaged"))
      result = complain("run", error->message);
  }
  free(scores);
  free(input);
  resnet_session_close(&session);
  return result;
}

static int run_model(const resnet_model *model, resnet_error *error) {
  resnet_model_info info = {.struct_size = sizeof info};
  if (resnet_model_get_info(model, &info, error) != RESNET_OK)
    return complain("info", error->message);
  return info.macs <= MAX_MACS ? run_session(model, &info, error) : 0;
}

static int try_file(const char *path, const char *max_memory, const char *max_file,
                    int external_data) {
  resnet_error error;
  resnet_model *model = NULL;
  resnet_model_options options;
  resnet_model_options_init(&options);
  options.max_memory_bytes = strtoull(max_memory, NULL, 10);
  options.max_file_bytes = strtoull(max_file, NULL, 10);
  options.external_data = external_data != 0;
  const resnet_status status = resnet_model_open(path, &options, &model, &error);
  if (check_error(&error, status) != 0) return 1;
  if ((status == RESNET_OK) != (model != NULL))
    return complain("open", "a model without success, or none with it");
  if (model && run_model(model, &error) != 0) return 1;
  resnet_model_close(&model);
  printf("%s\n%s\n", resnet_status_string(error.status), error.message);
  return 0;
}

/* Open a copy in a block of its own size: a sanitizer sees the first byte read beyond
 * it. */
static resnet_status open_copy(const unsigned char *bytes, size_t size, resnet_model **model,
                               resnet_error *error) {
  unsigned char *copy = malloc(size ? size : 1);
  if (!copy) return RESNET_ERROR_MEMORY;
  memcpy(copy, bytes, size);
  const resnet_status status = resnet_model_open_memory(copy, size, NULL, model, error);
  free(copy);
  return status;
}

static int try_prefixes_of(const unsigned char *bytes, size_t size) {
  for (size_t length = 0; length <= size; length++) {
    resnet_error error;
    resnet_model *model = NULL;
    const resnet_status status = open_copy(bytes, length, &model, &error);
    resnet_model_close(&model);
    if (check_error(&error, status) != 0) return 1;
    if ((status == RESNET_OK) != (length == size)) {
      fprintf(stderr, "%zu of %zu bytes: %s\n", length, size, error.message);
      return complain("prefix", "accepted, or the whole refused");
    }
  }
  printf("%zu prefixes refused\n", size);
  return 0;
}

static int try_prefixes(const char *path) {
  static unsigned char bytes[1 << 20];
  FILE *file = fopen(path, "rb");
  if (!file) return complain(path, "cannot be opened");
  const size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  return try_prefixes_of(bytes, size);
}

static int compile(const char *path, const char *to) {
  resnet_error error;
  resnet_model *model = NULL;
  resnet_model_options options;
  resnet_model_options_init(&options);
  options.keep_weights = 1;
  if (resnet_model_open(path, &options, &model, &error) != RESNET_OK)
    return complain("open", error.message);
  const resnet_status status = resnet_model_save(model, to, &error);
  resnet_model_close(&model);
  return status == RESNET_OK ? 0 : complain("save", error.message);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--prefixes") == 0) return try_prefixes(argv[2]);
  if (argc == 4 && strcmp(argv[1], "--compile") == 0) return compile(argv[2], argv[3]);
  const int external_data = argc == 5 && strcmp(argv[4], "--external-data") == 0;
  if (argc == 4 || external_data) return try_file(argv[1], argv[2], argv[3], external_data);
  return complain("usage", "try_model FILE MAX_MEMORY_BYTES MAX_FILE_BYTES [--external-data] | "
                           "try_model --prefixes FILE | "
                           "try_model --compile MODEL PLAN");
}
