#include "runtime/api/session.h"

#include <inttypes.h>
#include <string.h>

#include "runtime/kernels/table.h"
#include "runtime/system/clock.h"
#include "runtime/system/cpus.h"

enum {
  CACHED_BYTES = 12 * 1024 * 1024, /* activations of one sub-batch */
  MAX_BATCH = 65536
};

void resnet_session_options_init(resnet_session_options *options) {
  if (!options) return;
  memset(options, 0, sizeof *options);
  options->struct_size = sizeof *options;
}

resnet_status session_explain_budget(const resnet_session *session, resnet_status status,
                                     resnet_error *error) {
  const uint64_t refusals = atomic_load(&session->memory->refusals);
  if (status != RESNET_ERROR_MEMORY || refusals == session->refusals) return status;
  return err_fail(error, RESNET_ERROR_LIMIT,
                  "a session takes more than is left of max_memory_bytes (%" PRIu64
                  " bytes, %.4g GiB): allow more, %sor close other sessions",
                  session->memory->budget, (double)session->memory->budget / (1 << 30),
                  session->batch > 1 ? "use a smaller batch, " : "");
}

static resnet_status prepare(resnet_session *session, uint32_t threads, resnet_error *error) {
  const plan *p = &session->model->plan;
  session->probabilities = mem_allocate(
      session->memory, session->batch * model_class_count(session->model), sizeof(float));
  session->ablations = mem_allocate(session->memory, p->block_count, sizeof *session->ablations);
  if (!session->probabilities || !session->ablations) return err_no_memory(error, "a session");
  if (!system_pool_start(&session->pool, threads))
    return err_fail(error, RESNET_ERROR_SYSTEM, "%u threads cannot be started: use fewer", threads);
  return executor_open(session, error);
}

static uint32_t automatic_threads(void) {
  const uint32_t cpus = cpu_usable();
  return cpus < SYSTEM_MAX_THREADS ? cpus : SYSTEM_MAX_THREADS;
}

/* Return the samples of a sub-batch: about as many as have activations that fit a CPU's
 * last-level cache, and equally many for each thread. Larger ones take more memory and no
 * less time. Scores do not depend on it. */
static size_t sub_batch(const resnet_session *session, uint32_t threads, size_t batch) {
  const size_t bytes = session->model->plan.arena_floats * sizeof(float);
  size_t samples = CACHED_BYTES / (bytes ? bytes : 1);
  samples = (samples > 0 ? samples + threads - 1 : threads) / threads * threads;
  return batch < samples ? batch : samples;
}

static resnet_status check_options(const resnet_session_options *options, resnet_error *error) {
  if (options->threads > SYSTEM_MAX_THREADS)
    return err_fail(error, RESNET_ERROR_ARGUMENT, "options.threads is %u: use 0 (automatic) to %d",
                    options->threads, SYSTEM_MAX_THREADS);
  if (options->batch > MAX_BATCH)
    return err_fail(error, RESNET_ERROR_ARGUMENT, "options.batch is %u: use 0 (automatic) to %d",
                    options->batch, MAX_BATCH);
  if (options->observe != RESNET_OBSERVE_RESPONSES && options->observe != RESNET_OBSERVE_OPS)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "options.observe is %d: use RESPONSES (0) or OPS (1)", (int)options->observe);
  return RESNET_OK;
}

resnet_status resnet_session_open(const resnet_model *model, const resnet_session_options *given,
                                  resnet_session **out, resnet_error *error) {
  if (!out) return err_null(error, "resnet_session_open", "session");
  *out = NULL;
  if (!model) return err_null(error, "resnet_session_open", "model");
  resnet_session_options options;
  resnet_session_options_init(&options);
  resnet_status status =
      model_copy_options(&options, sizeof options, given, "resnet_session_options", error);
  if (status != RESNET_OK) return status;
  status = check_options(&options, error);
  if (status != RESNET_OK) return status;
  const uint64_t refusals = atomic_load(&model->memory->refusals);
  resnet_session *session = mem_allocate(model->memory, 1, sizeof *session);
  if (!session) {
    const resnet_session none = {.memory = model->memory, .refusals = refusals};
    return session_explain_budget(&none, err_no_memory(error, "a session"), error);
  }
  session->model = model_retain(model);
  session->memory = model->memory;
  session->refusals = refusals;
  session->scratch.memory = model->memory;
  const uint32_t threads = options.threads ? options.threads : automatic_threads();
  session->batch = sub_batch(session, threads, options.batch ? options.batch : 1);
  session->simd = simd_fastest();
  session->caches = system_find_caches();
  session->observe = options.observe;
  status = prepare(session, threads, error);
  if (status != RESNET_OK) {
    status = session_explain_budget(session, status, error);
    resnet_session_close(&session);
    return status;
  }
  *out = session;
  return err_clear(error);
}

void resnet_session_close(resnet_session **closed) {
  if (!closed || !*closed) return;
  resnet_session *session = *closed;
  const resnet_model *model = session->model;
  executor_close(session);
  system_pool_stop(&session->pool);
  image_scratch_release(&session->scratch);
  mem_release(session->memory, session->probabilities);
  mem_release(session->memory, session->ablations);
  mem_release(session->memory, session);
  model_release(model);
  *closed = NULL;
}

/* Copy the caller's samples into op 0's output, which is NHWC. */
static void fill_input(resnet_session *session, const float *input, resnet_layout layout,
                       size_t batch) {
  kernel_call call = executor_call(session, 0, batch);
  call.input[0] = input;
  const uint64_t start = session->observer ? system_now_ns() : 0;
  if (layout == RESNET_LAYOUT_NCHW)
    kernel_table[KERNEL_INPUT]->run(&call);
  else
    memcpy(call.output, input, batch * plan_shape_floats(call.op->shape) * sizeof *input);
  if (session->observer) session->pending_ns = system_now_ns() - start;
}

resnet_status resnet_run(resnet_session *session, const float *input, resnet_layout layout,
                         size_t batch, float *scores, resnet_error *error) {
  if (!session) return err_null(error, "resnet_run", "session");
  if (!input) return err_null(error, "resnet_run", "input");
  if (!scores) return err_null(error, "resnet_run", "scores");
  if (batch == 0)
    return err_fail(error, RESNET_ERROR_ARGUMENT, "resnet_run: `batch` is 0: use 1 or more");
  if (layout != RESNET_LAYOUT_NCHW && layout != RESNET_LAYOUT_NHWC)
    return err_fail(error, RESNET_ERROR_ARGUMENT, "resnet_run: layout %d: use NCHW (0) or NHWC (1)",
                    (int)layout);
  const plan *p = session->executor.plan;
  const size_t sample = plan_shape_floats(p->ops[0].shape), scored = p->ops[p->output].shape.c;
  if (batch > SIZE_MAX / sizeof *input / (sample > scored ? sample : scored))
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "resnet_run: `batch` is %zu: no memory can hold as many inputs and scores",
                    batch);
  executor_begin(session);
  for (size_t done = 0; done < batch;) {
    const size_t count = batch - done < session->batch ? batch - done : session->batch;
    fill_input(session, input + done * sample, layout, count);
    resnet_status status = executor_run(session, count, error);
    if (status != RESNET_OK) return status;
    memcpy(scores + done * scored, executor_output(session, p->output),
           count * scored * sizeof *scores);
    done += count;
  }
  return err_clear(error);
}
