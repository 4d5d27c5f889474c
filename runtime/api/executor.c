#include "runtime/api/executor.h"

#include <inttypes.h>
#include <string.h>

#include "runtime/api/observe.h"
#include "runtime/api/session.h"
#include "runtime/kernels/table.h"
#include "runtime/plan_file/pack.h"

enum {
  /* that kernels may read past the end of a buffer; ours read a vector at most */
  ARENA_EXTRA_BYTES = XNN_EXTRA_BYTES > SIMD_MAX_BYTES ? XNN_EXTRA_BYTES : SIMD_MAX_BYTES,
  SHARED_WORK = 8192 /* multiplications and values: a few us in most kernels */
};

float *executor_output(const resnet_session *session, uint32_t index) {
  return session->executor.arena + session->executor.plan->ops[index].arena_offset * session->batch;
}

/* Return the threads for an op: the caller's alone where it has less work than waking a
 * thread takes. Bits do not depend on it. */
static pthreadpool_t workers_of(const resnet_session *session, const plan_op *op, size_t batch) {
  const size_t values = plan_shape_floats(op->in) + plan_shape_floats(op->shape);
  const size_t max_work = SHARED_WORK / batch;
  return op->macs < max_work && values < max_work - op->macs ? NULL : session->workers;
}

kernel_call executor_call(const resnet_session *session, uint32_t index, size_t batch) {
  const plan_op *op = &session->executor.plan->ops[index];
  kernel_call call = {
      .op = op,
      .state = &session->executor.states[index],
      .batch = batch,
      .pool = workers_of(session, op, batch),
      .simd = session->simd,
      .caches = session->caches,
      .output = executor_output(session, index),
      .workspace = session->executor.workspace,
  };
  for (uint32_t k = 0; k < op->input_count; k++)
    call.input[k] = executor_output(session, op->input[k]);
  return call;
}

resnet_status executor_shape(resnet_session *session, size_t batch, resnet_error *error) {
  executor *e = &session->executor;
  if (e->shaped_batch == batch) return RESNET_OK;
  e->shaped_batch = 0;
  for (uint32_t i = 0; i < e->plan->op_count; i++) {
    const kernel *k = kernel_table[e->plan->ops[i].kernel];
    if (!k->shape) continue;
    kernel_call call = executor_call(session, i, batch);
    resnet_status status = k->shape(&call, error);
    if (status != RESNET_OK) return status;
    if (call.workspace_size > e->workspace_size) e->workspace_size = call.workspace_size;
  }
  e->shaped_batch = batch;
  return RESNET_OK;
}

static resnet_status open_ops(resnet_session *session, resnet_error *error) {
  const plan *p = session->executor.plan;
  for (uint32_t i = 0; i < p->op_count; i++) {
    if (!kernel_table[p->ops[i].kernel]->open) continue;
    const kernel_call call = executor_call(session, i, session->batch);
    resnet_status status = kernel_table[p->ops[i].kernel]->open(&call, error);
    if (status != RESNET_OK) return status;
  }
  return RESNET_OK;
}

/* Count in the budget what the operators will allocate by themselves. It is summed before
 * the first of them does. */
static resnet_status reserve_operators(resnet_session *session, resnet_error *error) {
  executor *e = &session->executor;
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < e->plan->op_count; i++) {
    const uint64_t own = kernel_state_bytes(&e->plan->ops[i]);
    bytes = own > UINT64_MAX - bytes ? UINT64_MAX : bytes + own;
  }
  if (!mem_reserve(session->memory, bytes))
    return err_fail(error, RESNET_ERROR_LIMIT,
                    "a session's tables and operators take %" PRIu64
                    " MB, more than is left of max_memory_bytes: allow more, or close other "
                    "sessions",
                    (bytes >> 20) + 1);
  e->reserved = bytes;
  return RESNET_OK;
}

static resnet_status allocate_buffers(resnet_session *session, resnet_error *error) {
  executor *e = &session->executor;
  size_t floats;
  if (!mem_size_multiply(e->plan->arena_floats, session->batch, &floats) ||
      floats > SIZE_MAX - ARENA_EXTRA_BYTES)
    return err_fail(error, RESNET_ERROR_LIMIT,
                    "a batch of %zu images does not fit the address space; make it smaller",
                    session->batch);
  e->arena =
      mem_allocate(session->memory, floats + ARENA_EXTRA_BYTES / sizeof(float), sizeof(float));
  e->states = mem_allocate(session->memory, e->plan->op_count, sizeof *e->states);
  if (e->arena && e->states) return RESNET_OK;
  return err_no_memory(error, "a session's activations");
}

/* Use the model's plan unless blocks are ablated or the session is observed. */
static resnet_status choose_plan(resnet_session *session, resnet_error *error) {
  const plan *own = &session->model->plan;
  bool changed = session->unfused;
  for (uint32_t i = 0; i < own->block_count; i++)
    changed |= session->ablations[i].mode != RESNET_SKIP_NONE;
  session->executor.plan = changed ? &session->executor.ablated.plan : own;
  return changed ? plan_ablate(&session->executor.ablated, own, session->ablations,
                               session->unfused, error)
                 : RESNET_OK;
}

static resnet_status prepare(resnet_session *session, resnet_error *error) {
  executor *e = &session->executor;
  resnet_status status = choose_plan(session, error);
  if (status == RESNET_OK) status = reserve_operators(session, error);
  if (status == RESNET_OK) status = allocate_buffers(session, error);
  if (status == RESNET_OK) status = open_ops(session, error);
  if (status == RESNET_OK) status = executor_shape(session, session->batch, error);
  if (status != RESNET_OK || e->workspace_size == 0) return status;
  e->workspace = mem_allocate(session->memory, e->workspace_size, 1);
  return e->workspace ? RESNET_OK : err_no_memory(error, "a session's workspace");
}

void executor_begin(resnet_session *session) {
  session->workers = system_pool_workers(&session->pool);
}

resnet_status executor_open(resnet_session *session, resnet_error *error) {
  executor_begin(session);
  session->refusals = atomic_load(&session->memory->refusals);
  resnet_status status = prepare(session, error);
  if (status == RESNET_OK) return status;
  status = session_explain_budget(session, status, error);
  executor_close(session);
  return status;
}

/* Run all ops. Verify the packed weights of each right before its first run: these bytes
 * are then in a cache for the kernel. */
static resnet_status run_ops(resnet_session *session, size_t batch, resnet_error *error) {
  executor *e = &session->executor;
  observe_input(session, batch);
  for (uint32_t i = 1; i < e->plan->op_count; i++) {
    const resnet_status status =
        e->verified ? RESNET_OK : plan_file_verify_packed(&e->plan->ops[i], error);
    if (status != RESNET_OK) return model_name_file(session->model, status, error);
    const kernel_call call = executor_call(session, i, batch);
    if (session->observer)
      observe_run_op(session, i, &call);
    else
      kernel_table[call.op->kernel]->run(&call);
  }
  e->verified = true;
  return RESNET_OK;
}

resnet_status executor_run(resnet_session *session, size_t batch, resnet_error *error) {
  system_pool_begin_run(&session->pool);
  resnet_status status = executor_shape(session, batch, error);
  if (status != RESNET_OK) return status;
  status = run_ops(session, batch, error);
  system_pool_end_run(&session->pool);
  return status;
}

void executor_close(resnet_session *session) {
  executor *e = &session->executor;
  for (uint32_t i = 0; e->states && i < e->plan->op_count; i++) {
    const kernel *k = kernel_table[e->plan->ops[i].kernel];
    if (k->close) k->close(&e->states[i]);
  }
  mem_unreserve(session->memory, e->reserved);
  mem_release(session->memory, e->states);
  mem_release(session->memory, e->workspace);
  mem_release(session->memory, e->arena);
  plan_ablated_release(&e->ablated);
  memset(e, 0, sizeof *e);
}
