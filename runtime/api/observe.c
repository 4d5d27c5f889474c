/* The lens: telling an observer what ops compute, and blocks left out or swapped. */
#include <string.h>

#include "runtime/api/session.h"

/* What op `index` of the session's plan stands for. */
static plan_op_role role_of(const resnet_session *session, uint32_t index) {
  const plan_op_role *roles = session->program.edited.roles;
  return roles ? roles[index] : (plan_op_role){.op = index, .tells = PLAN_EMITS_OUTPUT};
}

static void tell(const resnet_session *session, const kernel_call *call, uint32_t op,
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

/* What the op's output is told as; the time is the first one's. */
static void tell_output(resnet_session *session, const kernel_call *call, plan_op_role role) {
  static const resnet_point order[] = {RESNET_POINT_RESPONSE, RESNET_POINT_SHORTCUT,
                                       RESNET_POINT_OUTPUT, RESNET_POINT_CLASS_MAP};
  for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
    if (!(role.tells >> order[i] & 1u)) continue;
    tell(session, call, role.op, order[i], call->output, session->untold);
    session->untold = 0;
  }
}

void observed_run(resnet_session *session, uint32_t index, const kernel_call *call) {
  plan_op_role role = role_of(session, index);
  if (session->observe == RESNET_OBSERVE_OPS) role.tells &= PLAN_EMITS_OUTPUT;
  if (role.tells & PLAN_EMITS_INPUT) {
    tell(session, call, role.op, RESNET_POINT_SHORTCUT, call->input[1], session->untold);
    session->untold = 0;
  }
  const uint64_t start = session_now();
  kernel_table[call->op->kernel]->run(call);
  session->untold += session_now() - start;
  tell_output(session, call, role);
}

void observed_input(resnet_session *session, size_t batch) {
  if (!session->observer) return;
  const kernel_call call = session_call(session, 0, batch);
  tell_output(session, &call, (plan_op_role){.op = 0, .tells = PLAN_EMITS_OUTPUT});
}

/* Make the program anew for session->edits and session->apart. On failure the old one
 * stays. */
static resnet_status replan(resnet_session *session, resnet_error *error) {
  const program old = session->program;
  memset(&session->program, 0, sizeof session->program);
  resnet_status status = program_open(session, error);
  if (status != RESNET_OK) {
    session->program = old;
    return status;
  }
  program fresh = session->program;
  session->program = old;
  program_close(session);
  session->program = fresh;
  return RESNET_OK;
}

resnet_status resnet_session_observe(resnet_session *session, resnet_observer observer, void *user,
                                     resnet_error *error) {
  if (!session)
    return err_fail(error, RESNET_ERROR_ARGUMENT, "resnet_session_observe: `session` is NULL");
  if (observer && session->observe == RESNET_OBSERVE_RESPONSES && !session->apart) {
    session->apart = true;
    resnet_status status = replan(session, error);
    if (status != RESNET_OK) {
      session->apart = false;
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
  if (!session)
    return err_fail(error, RESNET_ERROR_ARGUMENT, "resnet_session_skip: `session` is NULL");
  if (!is_mode(mode))
    return err_fail(
        error, RESNET_ERROR_ARGUMENT,
        "resnet_session_skip: mode %d; accepted are NONE (0), BRANCH (1), SHORTCUT (2) and "
        "SWAP (3)",
        (int)mode);
  const uint32_t count = session->model->plan.block_count;
  if (block == RESNET_NO_INDEX && mode == RESNET_SKIP_NONE) return RESNET_OK;
  if (block >= count)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "resnet_session_skip: block %u; the model has %u, counted from 0", block,
                    count);
  if (mode == RESNET_SKIP_SWAP && (other >= count || other == block))
    return err_fail(
        error, RESNET_ERROR_ARGUMENT,
        "resnet_session_skip: block %u is to be swapped with %u; accepted are the other "
        "ones of %u, counted "
        "from 0",
        block, other, count);
  return RESNET_OK;
}

/* A block that is swapped sets its partner free first. */
static void restore(plan_block_ablation *edits, uint32_t block) {
  if (edits[block].mode == RESNET_SKIP_SWAP) edits[edits[block].other].mode = RESNET_SKIP_NONE;
  edits[block].mode = RESNET_SKIP_NONE;
}

static void edit(plan_block_ablation *edits, uint32_t block, resnet_skip mode, uint32_t other) {
  restore(edits, block);
  edits[block] = (plan_block_ablation){.mode = mode, .other = other};
  if (mode != RESNET_SKIP_SWAP) return;
  restore(edits, other);
  edits[other] = (plan_block_ablation){.mode = mode, .other = block};
}

resnet_status resnet_session_skip(resnet_session *session, uint32_t block, resnet_skip mode,
                                  uint32_t other, resnet_error *error) {
  resnet_status status = check_skip(session, block, mode, other, error);
  if (status != RESNET_OK) return status;
  const uint32_t count = session->model->plan.block_count;
  plan_block_ablation *before = session->edits;
  plan_block_ablation *edits = mem_allocate(session->memory, count, sizeof *edits);
  if (!edits) return err_no_memory(error, "a session's blocks");
  memcpy(edits, before, count * sizeof *edits);
  if (block == RESNET_NO_INDEX)
    memset(edits, 0, count * sizeof *edits);
  else
    edit(edits, block, mode, other);
  session->edits = edits;
  status = replan(session, error);
  if (status != RESNET_OK) session->edits = before;
  mem_release(session->memory, status == RESNET_OK ? before : edits);
  return status == RESNET_OK ? err_clear(error) : status;
}
