/* Times a model on request, so that another library can be timed in between: see compare_ort.py.
 *
 *     bench_model MODEL THREADS BATCH
 *
 * Prints "ready", then for every line on stdin runs once and prints the milliseconds that it took.
 */
#include <resnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int complain(const char *what, const char *message) {
  fprintf(stderr, "bench_model: %s: %s\n", what, message);
  return 1;
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int answer_requests(resnet_session *session, const float *input, size_t batch, float *scores) {
  resnet_error error;
  char line[64];
  printf("ready\n");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    const double start = now_ms();
    if (resnet_run(session, input, RESNET_LAYOUT_NCHW, batch, scores, &error) != RESNET_OK)
      return complain("run", error.message);
    printf("%.6f\n", now_ms() - start);
    fflush(stdout);
  }
  return 0;
}

static int bench(const resnet_model *model, resnet_session *session, size_t batch) {
  resnet_error error;
  resnet_model_info info = {.struct_size = sizeof info};
  if (resnet_model_get_info(model, &info, &error) != RESNET_OK) return complain("info", error.message);
  const size_t floats = batch * info.input_channels * info.input_height * info.input_width;
  float *input = malloc(floats * sizeof(float));
  float *scores = malloc(batch * info.classes * sizeof(float));
  int result = 1;
  if (input && scores) {
    for (size_t i = 0; i < floats; i++) input[i] = (float)(i % 255) / 127.5f - 1;
    result = answer_requests(session, input, batch, scores);
  }
  free(scores);
  free(input);
  return result;
}

int main(int argc, char **argv) {
  resnet_error error;
  resnet_model *model = NULL;
  resnet_session *session = NULL;
  resnet_session_options options;
  if (argc != 4) return complain("usage", "bench_model MODEL THREADS BATCH");
  resnet_session_options_init(&options);
  options.threads = (uint32_t)strtoul(argv[2], NULL, 10);
  options.batch = (uint32_t)strtoul(argv[3], NULL, 10);
  int result = 1;
  if (resnet_model_open(argv[1], NULL, &model, &error) != RESNET_OK ||
      resnet_session_open(model, &options, &session, &error) != RESNET_OK) {
    complain(argv[1], error.message);
  } else {
    result = bench(model, session, options.batch);
  }
  resnet_session_close(&session);
  resnet_model_close(&model);
  return result;
}
