#include "cli/shell_message.h"

#include <stddef.h>
#include <string.h>

/* The first row that fits counts: longer texts come before their parts. */
static const struct {
  const char *library, *shell;
} rows[] = {
    {"its weights are in another file: set options.external_data to read it, or merge both into "
     "one: onnx.save(onnx.load(path), path)",
     "the weights are in other files: add --external-data to read them, or make one file of all: "
     "python -c \"import onnx; onnx.save(onnx.load('model.onnx'), 'whole.onnx')\""},
    {"open it by its path, with external_data on", "name its path, and add --external-data"},
    {"with the scores in options.output", "with the scores by --scores NAME"},
    {"options.input_height, input_width", "--size"},
    {"max_memory_bytes", "--max-memory"},
    {"max_file_bytes", "--max-file"},
    {"options.label_count is", "--labels: the number of names is"},
    {"leave labels at NULL", "omit --labels"},
    {"options.output", "--scores"},
    {"options.threads", "--threads"},
    {"options.batch", "--batch"},
    {"options.conv", "--conv"},
    {"options.memory", "--memory"},
    {"options.preprocess", "--preprocess"},
    {"options.labels", "--labels"},
    {"options.external_data", "--external-data"},
    {"resnet_model_open: ", ""},
    {"resnet_model_open_memory: ", ""},
    {"resnet_model_save: ", ""},
    {"resnet_session_open: ", ""},
    {"resnet_classify: ", ""},
    {"resnet_prepare: ", ""},
    {"resnet_run: ", ""},
    {"resnet_classify", "resnet classify"},
    {"resnet_prepare", "resnet classify"},
    {"resnet_run", "resnet classify --raw"},
};

const char *cli_shell_message(const char *message, char out[SHELL_MESSAGE_SIZE]) {
  size_t used = 0;
  while (*message && used + 1 < SHELL_MESSAGE_SIZE) {
    size_t taken = 1, row = 0;
    const char *text = message;
    size_t length = 1;
    for (; row < sizeof rows / sizeof rows[0]; row++)
      if (strncmp(message, rows[row].library, strlen(rows[row].library)) == 0) break;
    if (row < sizeof rows / sizeof rows[0]) {
      taken = strlen(rows[row].library);
      text = rows[row].shell;
      length = strlen(text);
    }
    if (length > SHELL_MESSAGE_SIZE - 1 - used) length = SHELL_MESSAGE_SIZE - 1 - used;
    memcpy(out + used, text, length);
    used += length;
    message += taken;
  }
  out[used] = '\0';
  return out;
}
