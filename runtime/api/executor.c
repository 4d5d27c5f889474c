/* What a session runs: its plan, with buffers and operators made once. */
#include <string.h>

#include "runtime/api/session.h"

enum {
  /* our own kernels load whole vectors, too: what they read past a buffer's end */
  VECTOR_EXTRA_BYTES = 64,
  ARENA_EXTRA_BYTES = XNN_EXTRA_BYTES > VECTOR_EXTRA_BYTES ? XNN_EXTRA_BYTES : VECTOR_EXTRA_BYTES
};

float *session_output(const resnet_session *session, uint32_t index) {
  return session->program.arena + session->program.plan->ops[index].arena_offset * session->batch;
}

kernel_call session_call(const resnet_session *session, uint32_t index, size_t batch) {
  const plan_op *op = &session->program.plan->ops[index];
  kernel_call call = {
      .op = op,
      .state = &session->program.states[index],
      .batch = batch,
      .pool = session->pool,
      .vector = session->vector,
      .output = session_output(session, index),
      .workspace = session->program.workspace,
  };
  for (uint32_t k = 0; k < op->input_count; k++)
    call.input[k] = session_output(session, op->input[k]);
  return call;
}

resnet_status program_shape(resnet_session *session, size_t batch, resnet_error *error) {
  program *p = &session->program;
  if (p->shaped_batch == batch) return RESNET_OK;
  p->shaped_batch = 0;
  for (uint32_t i = 0; i < p->plan->op_count; i++) {
    const kernel *k = kernel_table[p->plan->ops[i].kernel];
    if (!k->shape) continue;
    kernel_call call = session_call(session, i, batch);
    resnet_status status = k->shape(&call, error);
    if (status != RESNET_OK) return status;
    if (call.workspace_size > p->workspace_size) p->workspace_size = call.workspace_size;
  }
  p->shaped_batch = batch;
  return RESNET_OK;
}

static resnet_status open_ops(resnet_session *session, resnet_error *error) {
  const plan *p = session->program.plan;
  for (uint32_t i = 0; i < p->op_count; i++) {
    if (!kernel_table[p->ops[i].kernel]->open) continue;
    const kernel_call call = session_call(session, i, session->batch);
    resnet_status status = kernel_table[p->ops[i].kernel]->open(&call, error);
    if (status != RESNET_OK) return status;
  }
  return RESNET_OK;
}

static resnet_status allocate_buffers(resnet_session *session, resnet_error *error) {
  program *p = &session->program;
  size_t floats;
  if (!mem_size_multiply(p->plan->arena_floats, session->batch, &floats) ||
      floats > SIZE_MAX - ARENA_EXTRA_BYTES)
    return err_fail(error, RESNET_ERROR_LIMIT,
                    "a batch of %zu pictures does not fit the address space; make it smaller",
                    session->batch);
  p->arena =
      mem_allocate(session->memory, floats + ARENA_EXTRA_BYTES / sizeof(float), sizeof(float));
  p->states = mem_allocate(session->memory, p->plan->op_count, sizeof *p->states);
  if (p->arena && p->states) return RESNET_OK;
  return err_no_memory(error, "a session's activations (a smaller batch needs less)");
}

/* The model's plan where nothing is to be changed. */
static resnet_status choose_plan(resnet_session *session, resnet_error *error) {
  const plan *own = &session->model->plan;
  bool changed = session->apart;
  for (uint32_t i = 0; i < own->block_count; i++)
    changed |= session->edits[i].mode != RESNET_SKIP_NONE;
  session->program.plan = changed ? &session->program.edited.plan : own;
  return changed ? plan_ablate(&session->program.edited, own, session->edits, session->apart, error)
                 : RESNET_OK;
}

static resnet_status prepare(resnet_session *session, resnet_error *error) {
  program *p = &session->program;
  resnet_status status = choose_plan(session, error);
  if (status == RESNET_OK) status = allocate_buffers(session, error);
  if (status == RESNET_OK) status = open_ops(session, error);
  if (status == RESNET_OK) status = program_shape(session, session->batch, error);
  if (status != RESNET_OK || p->workspace_size == 0) return status;
  p->workspace = mem_allocate(session->memory, p->workspace_size, 1);
  return p->workspace ? RESNET_OK : err_no_memory(error, "a session's workspace");
}

resnet_status program_open(resnet_session *session, resnet_error *error) {
  resnet_status status = prepare(session, error);
  if (status != RESNET_OK) program_close(session);
  return status;
}

void program_close(resnet_session *session) {
  program *p = &session->program;
  for (uint32_t i = 0; p->states && i < p->plan->op_count; i++) {
    const kernel *k = kernel_table[p->plan->ops[i].kernel];
    if (k->close) k->close(&p->states[i]);
  }
  mem_release(session->memory, p->states);
  mem_release(session->memory, p->workspace);
  mem_release(session->memory, p->arena);
  plan_ablated_release(&p->edited);
  memset(p, 0, sizeof *p);
}
