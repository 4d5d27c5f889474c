#include "runtime/api/session.h"

#include <string.h>
#include <time.h>

#include "runtime/api/observe.h"
#include "runtime/kernels/table.h"
#include "runtime/system/cpus.h"
#include "runtime/system/threads.h"

enum {
  CACHED_BYTES = 12 * 1024 * 1024, /* activations of one sub-batch */
  MAX_THREADS = 256,
  MAX_BATCH = 65536,
  LONG_PAUSE = 200000 /* ns between two runs; waking threads takes a fraction of it */
};

void resnet_session_options_init(resnet_session_options *options) {
  if (!options) return;
  memset(options, 0, sizeof *options);
  options->struct_size = sizeof *options;
}

uint64_t session_now(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void do_nothing(void *context, size_t index) {
  (void)context;
  (void)index;
}

/* Send the workers to sleep by an empty task with YIELD_WORKERS. Otherwise they spin for
 * the next task: on a Zen 4 for 0.1 ms with pthreadpool from tools/deps, for 25 ms with
 * others. */
static void rest_threads(const resnet_session *session) {
  if (session->pool)
    pthreadpool_parallelize_1d(session->pool, do_nothing, NULL, session->threads,
                               PTHREADPOOL_FLAG_YIELD_WORKERS);
}

static void run_ops(resnet_session *session, size_t batch) {
  observe_input(session, batch);
  for (uint32_t i = 1; i < session->executor.plan->op_count; i++) {
    const kernel_call call = executor_call(session, i, batch);
    if (session->observer)
      observe_run_op(session, i, &call);
    else
      kernel_table[call.op->kernel]->run(&call);
  }
}

/* Predict from the previous gap: a caller that returned within LONG_PAUSE will likely do
 * so again, so keep the workers spinning; otherwise let them sleep after the run. */
resnet_status session_run(resnet_session *session, size_t batch, resnet_error *error) {
  const bool paused = session_now() - session->run_end > LONG_PAUSE;
  resnet_status status = executor_shape(session, batch, error);
  if (status != RESNET_OK) return status;
  run_ops(session, batch);
  if (paused) rest_threads(session);
  session->run_end = session_now();
  return RESNET_OK;
}

static resnet_status start_threads(resnet_session *session, resnet_error *error) {
  if (session->threads == 1) return RESNET_OK;
  if (system_can_start_threads(session->threads - 1))
    session->pool = pthreadpool_create(session->threads);
  rest_threads(session);
  if (session->pool) return RESNET_OK;
  return err_fail(error, RESNET_ERROR_SYSTEM, "%u threads cannot be started: use fewer",
                  session->threads);
}

static resnet_status prepare(resnet_session *session, resnet_error *error) {
  const plan *p = &session->model->plan;
  session->scores = mem_allocate(session->memory, session->batch * p->ops[p->output].shape.c,
                                 sizeof *session->scores);
  session->ablations = mem_allocate(session->memory, p->block_count, sizeof *session->ablations);
  if (!session->scores || !session->ablations) return err_no_memory(error, "a session");
  resnet_status status = start_threads(session, error);
  return status == RESNET_OK ? executor_open(session, error) : status;
}

static uint32_t automatic_threads(void) {
  const uint32_t cpus = cpu_usable();
  return cpus < MAX_THREADS ? cpus : MAX_THREADS;
}

/* Return the samples of a sub-batch: about as many as have activations that fit a CPU's
 * last-level cache, and equally many for each thread. Larger ones take more memory and no
 * less time. Scores do not depend on it. */
static size_t sub_batch(const resnet_session *session, size_t batch) {
  const size_t bytes = session->model->plan.arena_floats * sizeof(float);
  size_t samples = CACHED_BYTES / (bytes ? bytes : 1);
  samples = (samples > 0 ? samples + session->threads - 1 : session->threads) / session->threads *
            session->threads;
  return batch < samples ? batch : samples;
}

resnet_status resnet_session_open(const resnet_model *model, const resnet_session_options *given,
                                  resnet_session **out, resnet_error *error) {
  if (!out) return err_fail(error, RESNET_ERROR_ARGUMENT, "resnet_session_open: `session` is NULL");
  *out = NULL;
  if (!model) return err_fail(error, RESNET_ERROR_ARGUMENT, "resnet_session_open: `model` is NULL");
  resnet_session_options options;
  resnet_session_options_init(&options);
  resnet_status status =
      model_copy_options(&options, sizeof options, given, "resnet_session_options", error);
  if (status != RESNET_OK) return status;
  if (options.threads > MAX_THREADS || options.batch > MAX_BATCH)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "%u threads, batch %u: use at most %d threads and a batch of %d",
                    options.threads, options.batch, MAX_THREADS, MAX_BATCH);
  if (options.observe != RESNET_OBSERVE_RESPONSES && options.observe != RESNET_OBSERVE_OPS)
    return err_fail(error, RESNET_ERROR_ARGUMENT, "observe is %d: use RESPONSES (0) or OPS (1)",
                    (int)options.observe);
  resnet_session *session = mem_allocate(model->memory, 1, sizeof *session);
  if (!session) return err_no_memory(error, "a session");
  session->model = model;
  session->memory = model->memory;
  session->scratch.memory = model->memory;
  session->threads = options.threads ? options.threads : automatic_threads();
  session->batch = sub_batch(session, options.batch ? options.batch : 1);
  session->simd = simd_fastest();
  session->observe = options.observe;
  status = prepare(session, error);
  if (status != RESNET_OK) {
    resnet_session_close(&session);
    return status;
  }
  *out = session;
  return err_clear(error);
}

void resnet_session_close(resnet_session **closed) {
  if (!closed || !*closed) return;
  resnet_session *session = *closed;
  executor_close(session);
  if (session->pool) pthreadpool_destroy(session->pool);
  image_scratch_release(&session->scratch);
  mem_release(session->memory, session->scores);
  mem_release(session->memory, session->ablations);
  mem_release(session->memory, session);
  *closed = NULL;
}

/* Copy the caller's samples into op 0's output, which is NHWC. */
static void fill_input(resnet_session *session, const float *input, resnet_layout layout,
                       size_t batch) {
  kernel_call call = executor_call(session, 0, batch);
  call.input[0] = input;
  const uint64_t start = session->observer ? session_now() : 0;
  if (layout == RESNET_LAYOUT_NCHW)
    kernel_table[KERNEL_INPUT]->run(&call);
  else
    memcpy(call.output, input, batch * plan_shape_floats(call.op->shape) * sizeof *input);
  if (session->observer) session->pending_ns = session_now() - start;
}

resnet_status resnet_run(resnet_session *session, const float *input, resnet_layout layout,
                         size_t batch, float *scores, resnet_error *error) {
  if (!session || !input || !scores || batch == 0)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "resnet_run: `session`, `input` or `scores` is NULL, or `batch` is 0");
  if (layout != RESNET_LAYOUT_NCHW && layout != RESNET_LAYOUT_NHWC)
    return err_fail(error, RESNET_ERROR_ARGUMENT, "resnet_run: layout %d: use NCHW (0) or NHWC (1)",
                    (int)layout);
  const plan *p = session->executor.plan;
  const size_t sample = plan_shape_floats(p->ops[0].shape), classes = p->ops[p->output].shape.c;
  for (size_t done = 0; done < batch;) {
    const size_t count = batch - done < session->batch ? batch - done : session->batch;
    fill_input(session, input + done * sample, layout, count);
    resnet_status status = session_run(session, count, error);
    if (status != RESNET_OK) return status;
    memcpy(scores + done * classes, executor_output(session, p->output),
           count * classes * sizeof *scores);
    done += count;
  }
  return err_clear(error);
}
