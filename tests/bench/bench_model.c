/* Opens and runs a model on request, so that other runtimes can be timed in between: see
 * common.py.
 *
 *     bench_model MODEL THREADS BATCH INPUT [normal|small]
 *
 * INPUT contains BATCH samples as the model reads them: float32, (n,c,h,w). The last
 * argument is the memory option. Prints "started", then answers every line on stdin by
 * one line on stdout:
 *
 *     open
 *         opens the model and runs it once: {"load_ms": both together, ...}
 *     run WARM TIMED
 *         runs WARM times, then TIMED times: the milliseconds of each of these
 *     scores FILE
 *         runs once and writes the scores, float32: "written"
 *
 * peer_worker.py answers the same for the other runtimes. */
#include <resnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct bench {
  const char *path;
  resnet_model_options model_options;
  resnet_session_options session_options;
  resnet_model *model;
  resnet_session *session;
  float *input;  /* (n,c,h,w) */
  size_t floats; /* in input */
  float *scores; /* (n,classes) */
  uint32_t classes;
} bench;

static int complain(const char *what, const char *message) {
  fprintf(stderr, "bench_model: %s: %s\n", what, message);
  return 0;
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int read_input(bench *b, const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) return complain(path, "cannot be read");
  fseek(file, 0, SEEK_END);
  const long bytes = ftell(file);
  rewind(file);
  b->floats = bytes > 0 ? (size_t)bytes / sizeof(float) : 0;
  b->input = malloc(b->floats * sizeof(float) + 1);
  const int ok = b->input && fread(b->input, sizeof(float), b->floats, file) == b->floats;
  fclose(file);
  return ok ? 1 : complain(path, "cannot be read whole");
}

static int run_once(bench *b) {
  resnet_error error;
  if (resnet_run(b->session, b->input, RESNET_LAYOUT_NCHW, b->session_options.batch, b->scores,
                 &error) == RESNET_OK)
    return 1;
  return complain("run", error.message);
}

static int open_model(bench *b, resnet_model_info *info) {
  resnet_error error;
  if (resnet_model_open(b->path, &b->model_options, &b->model, &error) != RESNET_OK ||
      resnet_session_open(b->model, &b->session_options, &b->session, &error) != RESNET_OK ||
      resnet_model_get_info(b->model, info, &error) != RESNET_OK)
    return complain(b->path, error.message);
  const size_t sample = (size_t)info->input_channels * info->input_height * info->input_width;
  if (sample * b->session_options.batch != b->floats)
    return complain(b->path, "the input is not of the model's size");
  b->classes = info->score_count;
  b->scores = malloc(b->session_options.batch * info->score_count * sizeof(float));
  return b->scores ? run_once(b) : complain("scores", "out of memory");
}

static int answer_open(bench *b) {
  resnet_model_info info = {.struct_size = sizeof info};
  const double start = now_ms();
  if (!open_model(b, &info)) return 0;
  const double load_ms = now_ms() - start;
  /* A plan file was packed again: this is not what should be measured. */
  if (info.notice[0]) return complain(b->path, info.notice);
  printf("{\"load_ms\": %.6f, \"version\": \"%s\", \"precision\": \"%s\", \"macs\": %llu}\n",
         load_ms, resnet_version(), info.precision, (unsigned long long)info.macs);
  return 1;
}

static int answer_run(bench *b, unsigned warm, unsigned timed) {
  for (unsigned i = 0; i < warm; i++)
    if (!run_once(b)) return 0;
  for (unsigned i = 0; i < timed; i++) {
    const double start = now_ms();
    if (!run_once(b)) return 0;
    printf("%.6f ", now_ms() - start);
  }
  printf("\n");
  return 1;
}

static int answer_scores(bench *b, const char *path) {
  const size_t count = (size_t)b->session_options.batch * b->classes;
  if (!run_once(b)) return 0;
  FILE *file = fopen(path, "wb");
  if (!file) return complain(path, "cannot be written");
  const int ok = fwrite(b->scores, sizeof(float), count, file) == count;
  if (fclose(file) != 0 || !ok) return complain(path, "cannot be written whole");
  printf("written\n");
  return 1;
}

static int answer(bench *b, char *line) {
  unsigned warm, timed;
  line[strcspn(line, "\n")] = 0;
  if (!b->session && strcmp(line, "open") == 0) return answer_open(b);
  if (b->session && sscanf(line, "run %u %u", &warm, &timed) == 2)
    return answer_run(b, warm, timed);
  if (b->session && strncmp(line, "scores ", 7) == 0) return answer_scores(b, line + 7);
  return complain(line, "no such request, or not at this time");
}

static int answer_requests(bench *b) {
  char line[4096];
  int ok = 1;
  printf("started\n");
  fflush(stdout);
  while (ok && fgets(line, sizeof line, stdin)) {
    ok = answer(b, line);
    fflush(stdout);
  }
  return ok;
}

int main(int argc, char **argv) {
  bench b = {0};
  const char *memory = argc == 6 ? argv[5] : "normal";
  if (argc < 5 || argc > 6 || (strcmp(memory, "normal") != 0 && strcmp(memory, "small") != 0)) {
    complain("usage", "bench_model MODEL THREADS BATCH INPUT [normal|small]");
    return 2;
  }
  b.path = argv[1];
  resnet_model_options_init(&b.model_options);
  resnet_session_options_init(&b.session_options);
  b.session_options.threads = (uint32_t)strtoul(argv[2], NULL, 10);
  b.session_options.batch = (uint32_t)strtoul(argv[3], NULL, 10);
  b.model_options.batch = b.session_options.batch;
  b.model_options.memory =
      strcmp(memory, "small") == 0 ? RESNET_MEMORY_SMALL : RESNET_MEMORY_NORMAL;
  const int ok = read_input(&b, argv[4]) && answer_requests(&b);
  resnet_session_close(&b.session);
  resnet_model_close(&b.model);
  free(b.scores);
  free(b.input);
  return ok ? 0 : 1;
}
