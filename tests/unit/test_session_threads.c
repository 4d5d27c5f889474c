/* One model and eight threads with a session each, at the same time: the bits are those
 * of one thread alone. Idle threads of a session cost nothing. */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "every_kernel.h"

enum { THREADS = 8, ROUNDS = 3, SAMPLES = 3, MAX_FLOATS = 3 * 32 * 32, MAX_SCORES = 512 };

static const char *const model_path = SOURCE_DIR "/tests/models/resnet8_option_a.onnx";

typedef struct worker {
  const resnet_model *model;
  uint32_t threads, batch; /* of its session */
  /* keep the session from round to round, while others open and close theirs */
  bool keeps;
  resnet_session *session;
  float input[SAMPLES * MAX_FLOATS];
  float expected[SAMPLES * MAX_SCORES], scores[SAMPLES * MAX_SCORES];
  resnet_status status;
  int differing; /* rounds whose scores are not `expected` */
} worker;

/* Fill with numbers in [-1,1), another sequence for every seed. */
static void fill(float *values, size_t count, uint32_t seed) {
  uint32_t x = seed * 2654435761u + 1;
  for (size_t i = 0; i < count; i++) {
    x = x * 1664525u + 1013904223u;
    values[i] = (float)(x >> 8) / (float)(1 << 23) - 1;
  }
}

static resnet_status run(worker *w, float *scores) {
  resnet_session_options options;
  resnet_session_options_init(&options);
  options.threads = w->threads;
  options.batch = w->batch;
  resnet_status status =
      w->session ? RESNET_OK : resnet_session_open(w->model, &options, &w->session, NULL);
  if (status == RESNET_OK)
    status = resnet_run(w->session, w->input, RESNET_LAYOUT_NCHW, SAMPLES, scores, NULL);
  if (!w->keeps) resnet_session_close(&w->session);
  return status;
}

static void *work(void *user) {
  worker *w = user;
  for (int round = 0; round < ROUNDS && w->status == RESNET_OK; round++) {
    memset(w->scores, 0, sizeof w->scores);
    w->status = run(w, w->scores);
    w->differing += memcmp(w->scores, w->expected, sizeof w->scores) != 0;
  }
  resnet_session_close(&w->session);
  return NULL;
}

/* Compute the worker's scores alone on one thread, one sample at a time. */
static void expect(worker *w, const resnet_model *model, uint32_t seed) {
  memset(w, 0, sizeof *w);
  w->model = model;
  w->threads = w->batch = 1;
  fill(w->input, SAMPLES * MAX_FLOATS, seed);
  assert_int_equal(run(w, w->expected), RESNET_OK);
}

static void check_model(const buffer *file) {
  static worker workers[THREADS];
  pthread_t threads[THREADS];
  resnet_model *model = plan_open(file, NULL);
  const resnet_model_info info = plan_info(model);
  assert_in_range(info.score_count, 1, MAX_SCORES);
  assert_in_range(info.input_channels * info.input_height * info.input_width, 1, MAX_FLOATS);
  for (uint32_t i = 0; i < THREADS; i++) {
    expect(&workers[i], model, i);
    /* more would spend the time waiting for a CPU */
    workers[i].threads = i % 4 == 1 ? 2 : 1;
    workers[i].batch = 1 + i % 3;
    workers[i].keeps = i % 4 < 2;
  }
  assert_memory_not_equal(workers[0].expected, workers[1].expected, sizeof workers[0].expected);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(workers[i].status, RESNET_OK);
    assert_int_equal(workers[i].differing, 0);
  }
  resnet_model_close(&model);
}

static void eight_threads_give_the_bits_of_one(void **state) {
  (void)state;
  for (size_t i = 0; i < EVERY_KERNEL_FILES; i++) {
    buffer file = every_kernel_file(i);
    check_model(&file);
    buffer_release(&file);
  }
}

static void *open_and_close(void *user) {
  resnet_model *model = NULL;
  resnet_status *status = user;
  *status = resnet_model_open(model_path, NULL, &model, NULL);
  resnet_model_close(&model);
  return NULL;
}

static void models_open_on_eight_threads_at_once(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  resnet_status statuses[THREADS];
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, &statuses[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(statuses[i], RESNET_OK);
  }
}

static double now(clockid_t clock) {
  struct timespec t;
  assert_int_equal(clock_gettime(clock, &t), 0);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Return the CPU time of all threads of this process while this one sleeps, as a share of
 * the time that passes. */
static double cpu_while_asleep(long milliseconds) {
  const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
  const double cpu = now(CLOCK_PROCESS_CPUTIME_ID), begin = now(CLOCK_MONOTONIC);
  assert_int_equal(nanosleep(&time, NULL), 0);
  return (now(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (now(CLOCK_MONOTONIC) - begin);
}

/* A worker that waits awake takes a whole CPU; one that spins for a million iterations
 * takes a quarter of it here. */
static const double idle_share = 0.05;

static void run_some(resnet_session *session, int count) {
  static float input[MAX_FLOATS], scores[MAX_SCORES];
  for (int i = 0; i < count; i++)
    assert_int_equal(resnet_run(session, input, RESNET_LAYOUT_NCHW, 1, scores, NULL), RESNET_OK);
}

static void a_session_without_work_costs_no_cpu(void **state) {
  (void)state;
  resnet_model *model = NULL;
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_session_options_init(&options);
  options.threads = 2;
  assert_int_equal(resnet_model_open(model_path, NULL, &model, NULL), RESNET_OK);
  assert_int_equal(resnet_session_open(model, &options, &session, NULL), RESNET_OK);
  assert_true(cpu_while_asleep(500) < idle_share); /* as opened */
  /* as from a camera: no spinning between images */
  for (int frame = 0; frame < 5; frame++) {
    run_some(session, 1);
    assert_true(cpu_while_asleep(100) < idle_share);
  }
  /* one run after the other: the threads stay awake for the next run, but not forever */
  run_some(session, 20);
  (void)cpu_while_asleep(500);
  assert_true(cpu_while_asleep(500) < idle_share);
  resnet_session_close(&session);
  resnet_model_close(&model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(eight_threads_give_the_bits_of_one),
      cmocka_unit_test(models_open_on_eight_threads_at_once),
      cmocka_unit_test(a_session_without_work_costs_no_cpu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
