/* resnet_session_observe and resnet_session_skip. */
#include "runtime/api/observe.h"

#include <string.h>

#include "runtime/api/session.h"
#include "runtime/kernels/table.h"
#include "runtime/system/clock.h"

static plan_op_role role_of(const resnet_session *session, uint32_t index) {
  const plan_op_role *roles = session->executor.ablated.roles;
  return roles ? roles[index] : (plan_op_role){.op = index, .emits = PLAN_EMITS_OUTPUT};
}

static void emit(const resnet_session *session, const kernel_call *call, uint32_t op,
                 resnet_point point, const float *data, uint64_t nanoseconds) {
  const resnet_response response = {
      .op = op,
      .batch = (uint32_t)call->batch,
      .height = call->op->shape.h,
      .width = call->op->shape.w,
      .channels = call->op->shape.c,
      .data = data,
      .nanoseconds = nanoseconds,
      .point = point,
  };
  session->observer(session->observer_user, &response);
}

/* Emit the op's output as each of its points. The pending time goes to the first. */
static void emit_output(resnet_session *session, const kernel_call *call, plan_op_role role) {
  static const resnet_point order[] = {RESNET_POINT_RESPONSE, RESNET_POINT_SHORTCUT,
                                       RESNET_POINT_OUTPUT, RESNET_POINT_CLASS_MAP};
  for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
    if (!(role.emits >> order[i] & 1u)) continue;
    emit(session, call, role.op, order[i], call->output, session->pending_ns);
    session->pending_ns = 0;
  }
}

void observe_run_op(resnet_session *session, uint32_t index, const kernel_call *call) {
  plan_op_role role = role_of(session, index);
  if (session->observe == RESNET_OBSERVE_OPS) role.emits &= PLAN_EMITS_OUTPUT;
  if (role.emits & PLAN_EMITS_INPUT) {
    emit(session, call, role.op, RESNET_POINT_SHORTCUT, call->input[1], session->pending_ns);
    session->pending_ns = 0;
  }
  const uint64_t start = system_now_ns();
  kernel_table[call->op->kernel]->run(call);
  session->pending_ns += system_now_ns() - start;
  emit_output(session, call, role);
}

void observe_input(resnet_session *session, size_t batch) {
  if (!session->observer) return;
  const kernel_call call = executor_call(session, 0, batch);
  emit_output(session, &call, (plan_op_role){.op = 0, .emits = PLAN_EMITS_OUTPUT});
}

/* Replace the executor after session->ablations or session->unfused has changed. On
 * failure keep the old one. */
static resnet_status replan(resnet_session *session, resnet_error *error) {
  const executor old = session->executor;
  memset(&session->executor, 0, sizeof session->executor);
  resnet_status status = executor_open(session, error);
  if (status != RESNET_OK) {
    session->executor = old;
    return status;
  }
  executor fresh = session->executor;
  session->executor = old;
  executor_close(session);
  session->executor = fresh;
  return RESNET_OK;
}

resnet_status resnet_session_observe(resnet_session *session, resnet_observer observer, void *user,
                                     resnet_error *error) {
  if (!session) return err_null(error, "resnet_session_observe", "session");
  if (observer && session->observe == RESNET_OBSERVE_RESPONSES && !session->unfused) {
    session->unfused = true;
    resnet_status status = replan(session, error);
    if (status != RESNET_OK) {
      session->unfused = false;
      return status;
    }
  }
  session->observer = observer;
  session->observer_user = user;
  return err_clear(error);
}

static bool is_mode(resnet_skip mode) {
  return mode == RESNET_SKIP_NONE || mode == RESNET_SKIP_BRANCH || mode == RESNET_SKIP_SHORTCUT ||
         mode == RESNET_SKIP_SWAP;
}

static resnet_status check_skip(const resnet_session *session, uint32_t block, resnet_skip mode,
                                uint32_t other, resnet_error *error) {
  if (!session) return err_null(error, "resnet_session_skip", "session");
  if (!is_mode(mode))
    return err_fail(
        error, RESNET_ERROR_ARGUMENT,
        "resnet_session_skip: mode %d: use NONE (0), BRANCH (1), SHORTCUT (2) or SWAP (3)",
        (int)mode);
  const uint32_t count = session->model->plan.block_count;
  if (block == RESNET_NO_INDEX && mode == RESNET_SKIP_NONE) return RESNET_OK;
  if (block == RESNET_NO_INDEX || (mode == RESNET_SKIP_SWAP && other == RESNET_NO_INDEX))
    return err_fail(
        error, RESNET_ERROR_ARGUMENT,
        "resnet_session_skip: RESNET_NO_INDEX is not a block: only mode NONE (0) accepts "
        "it; the model has %u blocks, counted from 0",
        count);
  if (block >= count)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "resnet_session_skip: block %u: the model has %u, counted from 0", block,
                    count);
  if (mode == RESNET_SKIP_SWAP && (other >= count || other == block))
    return err_fail(
        error, RESNET_ERROR_ARGUMENT,
        "resnet_session_skip: block %u cannot be swapped with %u: use another of the %u blocks, "
        "counted from 0",
        block, other, count);
  return RESNET_OK;
}

/* Restore a block, and the one it is swapped with. */
static void restore(plan_block_ablation *ablations, uint32_t block) {
  if (ablations[block].mode == RESNET_SKIP_SWAP)
    ablations[ablations[block].other].mode = RESNET_SKIP_NONE;
  ablations[block].mode = RESNET_SKIP_NONE;
}

static void ablate(plan_block_ablation *ablations, uint32_t block, resnet_skip mode,
                   uint32_t other) {
  restore(ablations, block);
  ablations[block] = (plan_block_ablation){.mode = mode, .other = other};
  if (mode != RESNET_SKIP_SWAP) return;
  restore(ablations, other);
  ablations[other] = (plan_block_ablation){.mode = mode, .other = block};
}

resnet_status resnet_session_skip(resnet_session *session, uint32_t block, resnet_skip mode,
                                  uint32_t other, resnet_error *error) {
  resnet_status status = check_skip(session, block, mode, other, error);
  if (status != RESNET_OK) return status;
  const uint32_t count = session->model->plan.block_count;
  plan_block_ablation *before = session->ablations;
  plan_block_ablation *ablations = mem_allocate(session->memory, count, sizeof *ablations);
  if (!ablations) return err_no_memory(error, "a session's blocks");
  memcpy(ablations, before, count * sizeof *ablations);
  if (block == RESNET_NO_INDEX)
    memset(ablations, 0, count * sizeof *ablations);
  else
    ablate(ablations, block, mode, other);
  session->ablations = ablations;
  status = replan(session, error);
  if (status != RESNET_OK) session->ablations = before;
  mem_release(session->memory, status == RESNET_OK ? before : ablations);
  return status == RESNET_OK ? err_clear(error) : status;
}
