/* Sessions: buffers, operators and threads made once; running is a loop over the plan. */
#include "runtime/session.h"

#include <string.h>
#include <time.h>

#include "runtime/threads.h"

enum {
  CACHED_BYTES = 12 * 1024 * 1024, /* of activations */
  MAX_THREADS = 256,
  MAX_BATCH = 65536,
  LONG_PAUSE = 200000,     /* nanoseconds between runs; several times what waking threads takes */
  VECTOR_EXTRA_BYTES = 64, /* our own kernels load whole vectors, too: what they read past a buffer's end */
  ARENA_EXTRA_BYTES = XNN_EXTRA_BYTES > VECTOR_EXTRA_BYTES ? XNN_EXTRA_BYTES : VECTOR_EXTRA_BYTES
};

void resnet_session_options_init(resnet_session_options *options) {
  if (!options) return;
  memset(options, 0, sizeof *options);
  options->struct_size = sizeof *options;
}

float *session_output(const resnet_session *session, uint32_t index) {
  return session->arena + session->model->plan.ops[index].arena_offset * session->batch;
}

static kernel_call make_call(const resnet_session *session, uint32_t index, size_t batch) {
  const plan_op *op = &session->model->plan.ops[index];
  kernel_call call = {
      .op = op,
      .state = &session->states[index],
      .batch = batch,
      .pool = session->pool,
      .vector = session->vector,
      .output = session_output(session, index),
      .workspace = session->workspace,
  };
  for (uint32_t k = 0; k < op->input_count; k++) call.input[k] = session_output(session, op->input[k]);
  return call;
}

static uint64_t now(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void tell_observer(const resnet_session *session, uint32_t index, size_t batch, uint64_t nanoseconds) {
  const plan_op *op = &session->model->plan.ops[index];
  const resnet_response response = {
      .op = index,
      .batch = (uint32_t)batch,
      .height = op->shape.h,
      .width = op->shape.w,
      .channels = op->shape.c,
      .data = session_output(session, index),
      .nanoseconds = nanoseconds,
  };
  session->observer(session->observer_user, &response);
}

static void run_op(const resnet_session *session, uint32_t index, const kernel_call *call) {
  const kernel *k = kernel_table[call->op->kernel];
  if (!session->observer) {
    k->run(call);
    return;
  }
  const uint64_t start = now();
  k->run(call);
  tell_observer(session, index, call->batch, now() - start);
}

/* Set the operators for `batch` pictures. Allocates only the first time: XNNPACK's tables depend on a picture's size.
 */
static resnet_status shape_ops(resnet_session *session, size_t batch, resnet_error *error) {
  const plan *p = &session->model->plan;
  if (session->shaped_batch == batch) return RESNET_OK;
  session->shaped_batch = 0;
  for (uint32_t i = 0; i < p->op_count; i++) {
    if (!kernel_table[p->ops[i].kernel]->shape) continue;
    kernel_call call = make_call(session, i, batch);
    resnet_status status = kernel_table[p->ops[i].kernel]->shape(&call, error);
    if (status != RESNET_OK) return status;
    if (call.workspace_size > session->workspace_size) session->workspace_size = call.workspace_size;
  }
  session->shaped_batch = batch;
  return RESNET_OK;
}

static void do_nothing(void *context, size_t index) {
  (void)context;
  (void)index;
}

/* pthreadpool's workers spin a million times for their next task before they sleep: 25 ms of a CPU each on a Zen 4,
 * more where a pause takes longer. After a task with this flag they sleep at once. */
static void rest_threads(const resnet_session *session) {
  if (session->pool)
    pthreadpool_parallelize_1d(session->pool, do_nothing, NULL, session->threads, PTHREADPOOL_FLAG_YIELD_WORKERS);
}

static void run_ops(const resnet_session *session, size_t batch) {
  for (uint32_t i = 1; i < session->model->plan.op_count; i++) {
    const kernel_call call = make_call(session, i, batch);
    run_op(session, i, &call);
  }
}

/* Whoever came back at once will do so again and finds the threads awake; whoever paused will pause again, and they
 * rest: the pause before a run foretells the one behind it. */
resnet_status session_run(resnet_session *session, size_t batch, resnet_error *error) {
  const bool paused = now() - session->run_end > LONG_PAUSE;
  resnet_status status = shape_ops(session, batch, error);
  if (status != RESNET_OK) return status;
  run_ops(session, batch);
  if (paused) rest_threads(session);
  session->run_end = now();
  return RESNET_OK;
}

static resnet_status open_ops(resnet_session *session, resnet_error *error) {
  const plan *p = &session->model->plan;
  for (uint32_t i = 0; i < p->op_count; i++) {
    if (!kernel_table[p->ops[i].kernel]->open) continue;
    const kernel_call call = make_call(session, i, session->batch);
    resnet_status status = kernel_table[p->ops[i].kernel]->open(&call, error);
    if (status != RESNET_OK) return status;
  }
  return RESNET_OK;
}

static resnet_status allocate_buffers(resnet_session *session, resnet_error *error) {
  const plan *p = &session->model->plan;
  size_t floats;
  if (!size_multiply(p->arena_floats, session->batch, &floats) || floats > SIZE_MAX - ARENA_EXTRA_BYTES)
    return fail(error, RESNET_ERROR_LIMIT, "a batch of %zu pictures does not fit the address space; make it smaller",
                session->batch);
  session->arena = memory_allocate(session->memory, floats + ARENA_EXTRA_BYTES / sizeof(float), sizeof(float));
  session->states = memory_allocate(session->memory, p->op_count, sizeof *session->states);
  session->scores =
      memory_allocate(session->memory, session->batch * p->ops[p->output].shape.c, sizeof *session->scores);
  if (session->arena && session->states && session->scores) return RESNET_OK;
  return fail_memory(error, "a session's activations (a smaller batch needs less)");
}

static resnet_status start_threads(resnet_session *session, resnet_error *error) {
  if (session->threads == 1) return RESNET_OK;
  if (threads_can_start(session->threads - 1)) session->pool = pthreadpool_create(session->threads);
  rest_threads(session);
  if (session->pool) return RESNET_OK;
  return fail(error, RESNET_ERROR_SYSTEM, "%u threads cannot be started; ask for fewer", session->threads);
}

static resnet_status prepare(resnet_session *session, resnet_error *error) {
  resnet_status status = allocate_buffers(session, error);
  if (status == RESNET_OK) status = start_threads(session, error);
  if (status == RESNET_OK) status = open_ops(session, error);
  if (status == RESNET_OK) status = shape_ops(session, session->batch, error);
  if (status != RESNET_OK || session->workspace_size == 0) return status;
  session->workspace = memory_allocate(session->memory, session->workspace_size, 1);
  return session->workspace ? RESNET_OK : fail_memory(error, "a session's workspace");
}

static uint32_t automatic_threads(void) {
  const uint32_t cpus = usable_cpus();
  return cpus < MAX_THREADS ? cpus : MAX_THREADS;
}

/* A batch is worked through in portions whose activations stay in a CPU's last cache, of as many pictures for each
 * thread. Larger ones take memory and no less time. No bit depends on it. */
static size_t portion(const resnet_session *session, size_t batch) {
  const size_t picture = session->model->plan.arena_floats * sizeof(float);
  size_t pictures = CACHED_BYTES / (picture ? picture : 1);
  pictures = (pictures > 0 ? pictures + session->threads - 1 : session->threads) / session->threads * session->threads;
  return batch < pictures ? batch : pictures;
}

resnet_status resnet_session_open(const resnet_model *model, const resnet_session_options *given, resnet_session **out,
                                  resnet_error *error) {
  if (!out) return fail(error, RESNET_ERROR_ARGUMENT, "resnet_session_open: `session` is NULL");
  *out = NULL;
  if (!model) return fail(error, RESNET_ERROR_ARGUMENT, "resnet_session_open: `model` is NULL");
  resnet_session_options options;
  resnet_session_options_init(&options);
  resnet_status status = options_copy(&options, sizeof options, given, "resnet_session_options", error);
  if (status != RESNET_OK) return status;
  if (options.threads > MAX_THREADS || options.batch > MAX_BATCH)
    return fail(error, RESNET_ERROR_ARGUMENT, "%u threads, batch %u: accepted are up to %d threads and a batch of %d",
                options.threads, options.batch, MAX_THREADS, MAX_BATCH);
  resnet_session *session = memory_allocate(model->memory, 1, sizeof *session);
  if (!session) return fail_memory(error, "a session");
  session->model = model;
  session->memory = model->memory;
  session->scratch.memory = model->memory;
  session->threads = options.threads ? options.threads : automatic_threads();
  session->batch = portion(session, options.batch ? options.batch : 1);
  session->vector = vector_variant(0);
  status = prepare(session, error);
  if (status != RESNET_OK) {
    resnet_session_close(&session);
    return status;
  }
  *out = session;
  return succeed(error);
}

void resnet_session_close(resnet_session **closed) {
  if (!closed || !*closed) return;
  resnet_session *session = *closed;
  const plan *p = &session->model->plan;
  for (uint32_t i = 0; session->states && i < p->op_count; i++)
    if (kernel_table[p->ops[i].kernel]->close) kernel_table[p->ops[i].kernel]->close(&session->states[i]);
  if (session->pool) pthreadpool_destroy(session->pool);
  image_scratch_release(&session->scratch);
  memory_release(session->memory, session->states);
  memory_release(session->memory, session->workspace);
  memory_release(session->memory, session->scores);
  memory_release(session->memory, session->arena);
  memory_release(session->memory, session);
  *closed = NULL;
}

/* Bring the caller's pictures into op 0's output, which is interleaved. */
static void fill_input(resnet_session *session, const float *input, resnet_layout layout, size_t batch) {
  kernel_call call = make_call(session, 0, batch);
  call.input[0] = input;
  if (layout == RESNET_LAYOUT_NCHW) {
    run_op(session, 0, &call);
    return;
  }
  const uint64_t start = session->observer ? now() : 0;
  memcpy(call.output, input, batch * shape_floats(call.op->shape) * sizeof *input);
  if (session->observer) tell_observer(session, 0, batch, now() - start);
}

resnet_status resnet_run(resnet_session *session, const float *input, resnet_layout layout, size_t batch, float *scores,
                         resnet_error *error) {
  if (!session || !input || !scores || batch == 0)
    return fail(error, RESNET_ERROR_ARGUMENT, "resnet_run: `session`, `input` or `scores` is NULL, or `batch` is 0");
  if (layout != RESNET_LAYOUT_NCHW && layout != RESNET_LAYOUT_NHWC)
    return fail(error, RESNET_ERROR_ARGUMENT, "resnet_run: layout %d; accepted are NCHW (0) and NHWC (1)", (int)layout);
  const plan *p = &session->model->plan;
  const size_t picture = shape_floats(p->ops[0].shape), classes = p->ops[p->output].shape.c;
  for (size_t done = 0; done < batch;) {
    const size_t count = batch - done < session->batch ? batch - done : session->batch;
    fill_input(session, input + done * picture, layout, count);
    resnet_status status = session_run(session, count, error);
    if (status != RESNET_OK) return status;
    memcpy(scores + done * classes, session_output(session, p->output), count * classes * sizeof *scores);
    done += count;
  }
  return succeed(error);
}

resnet_status resnet_session_observe(resnet_session *session, resnet_observer observer, void *user,
                                     resnet_error *error) {
  if (!session) return fail(error, RESNET_ERROR_ARGUMENT, "resnet_session_observe: `session` is NULL");
  session->observer = observer;
  session->observer_user = user;
  return succeed(error);
}
