/* Opens random models of extreme structure, each within a second of CPU time. What opens
 * is saved, reopened and run: both must give the same scores.
 *
 *     fuzz_structure [FIRST COUNT]
 *     fuzz_structure --write NUMBER
 *
 * On failure, and by --write, the model is written to structure-NUMBER.onnx in the
 * current folder. */
#include <fcntl.h>
#include <resnet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../unit/sanitized.h"
#include "structure_network.h"

/* Seconds of CPU time for opening a file of at most 200 kB. */
#ifdef SANITIZED
static const double max_seconds = 8;
#else
static const double max_seconds = 1;
#endif

/* Do not run larger models: that they run slowly is their author's choice. */
static const uint64_t max_macs = 20000000, max_bytes = 16 << 20;

static buffer file;     /* at hand */
static uint32_t number; /* the file's */
static char plan_path[64];
static double longest_seconds; /* of one file */
static uint32_t longest;       /* that file's number */

static void keep_file(void) {
  char path[64];
  (void)snprintf(path, sizeof path, "structure-%u.onnx", number);
  const int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (out < 0) return;
  if (write(out, file.data, file.size) != (ssize_t)file.size) (void)unlink(path);
  (void)close(out);
}

static void give_up(const char *what, const char *message) {
  fprintf(stderr, "fuzz_structure: model %u: %s: %s\n", number, what, message);
  keep_file();
  (void)unlink(plan_path);
  exit(1);
}

/* The timer's signal: the library does not come back. */
static void stop(int signal_number) {
  (void)signal_number;
  static const char text[] = "fuzz_structure: opening takes too long\n";
  (void)!write(STDERR_FILENO, text, sizeof text - 1);
  keep_file();
  _exit(1);
}

static void set_timer(double seconds) {
  const struct itimerval timer = {
      .it_value = {(time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)}};
  (void)setitimer(ITIMER_PROF, &timer, NULL);
}

static double cpu_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

/* Run one sample. Return false if the model is too large to be run here. */
static int run(const resnet_model *model, float *scores, uint32_t count) {
  resnet_error error;
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_model_info info = {.struct_size = sizeof info};
  if (resnet_model_get_info(model, &info, &error) != RESNET_OK) give_up("info", error.message);
  if (info.macs > max_macs || info.arena_bytes > max_bytes || info.classes > count) return 0;
  resnet_session_options_init(&options);
  options.threads = 1;
  const size_t floats = (size_t)info.input_channels * info.input_height * info.input_width;
  float *input = malloc(floats * sizeof *input);
  if (!input) return 0;
  for (size_t i = 0; i < floats; i++) input[i] = random_float(7, i);
  const resnet_status opened = resnet_session_open(model, &options, &session, &error);
  if (opened != RESNET_OK && opened != RESNET_ERROR_LIMIT && opened != RESNET_ERROR_MEMORY)
    give_up("session", error.message);
  if (session && resnet_run(session, input, RESNET_LAYOUT_NCHW, 1, scores, &error) != RESNET_OK)
    give_up("run", error.message);
  resnet_session_close(&session);
  free(input);
  return opened == RESNET_OK;
}

static void save_and_reopen(const resnet_model *model, const resnet_model_options *options) {
  enum { COUNT = 1 << 16 };
  static float before[COUNT], after[COUNT];
  resnet_error error;
  resnet_model *again = NULL;
  memset(before, 0, sizeof before);
  memset(after, 0, sizeof after);
  const int ran = run(model, before, COUNT);
  if (resnet_model_save(model, plan_path, &error) != RESNET_OK) give_up("save", error.message);
  if (resnet_model_open(plan_path, options, &again, &error) != RESNET_OK)
    give_up("reopen", error.message);
  if (ran && !run(again, after, COUNT)) give_up("run", "the plan file's session does not open");
  if (memcmp(before, after, sizeof before) != 0) give_up("run", "the plan file's scores differ");
  resnet_model_close(&again);
}

/* Try one file. Return whether it opened. */
static int try_file(void) {
  resnet_error error;
  resnet_model *model = NULL;
  resnet_model_options options;
  resnet_model_options_init(&options);
  options.max_memory_bytes = UINT64_C(2) << 30;
  options.keep_weights = 1;
  const double start = cpu_seconds();
  set_timer(4 * max_seconds);
  const resnet_status status =
      resnet_model_open_memory(file.data, file.size, &options, &model, &error);
  set_timer(0);
  const double seconds = cpu_seconds() - start;
  if (seconds > max_seconds) give_up("opening", "took too long");
  if ((status == RESNET_OK) != (model != NULL)) give_up("opening", "status and model contradict");
  if (status != RESNET_OK && !error.message[0]) give_up("opening", "no message");
  if (seconds > longest_seconds) {
    longest_seconds = seconds;
    longest = number;
  }
  if (!model) return 0;
  set_timer(30 * max_seconds);
  save_and_reopen(model, &options);
  set_timer(0);
  resnet_model_close(&model);
  return 1;
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "--write") == 0) {
    number = (uint32_t)strtoul(argv[2], NULL, 10);
    file = structure_make(number);
    keep_file();
    buffer_release(&file);
    return 0;
  }
  const uint32_t first = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
  const uint32_t count = (uint32_t)strtoul(argc > 2 ? argv[2] : "2000", NULL, 10);
  uint32_t opened = 0;
  (void)snprintf(plan_path, sizeof plan_path, "/tmp/structure-%ld.resnet", (long)getpid());
  (void)signal(SIGPROF, stop);
  for (number = first; number < first + count; number++) {
    file = structure_make(number);
    opened += (uint32_t)try_file();
    buffer_release(&file);
  }
  (void)unlink(plan_path);
  printf("%u models, %u of them opened; the longest took %.3f s (model %u)\n", count, opened,
         longest_seconds, longest);
  return opened > count / 100 ? 0 : 1; /* fewer: the generator makes nothing useful */
}
