/* Calls of a session's observer. */
#ifndef LIBRESNET_RUNTIME_API_OBSERVE_H
#define LIBRESNET_RUNTIME_API_OBSERVE_H

#include "runtime/kernels/kernel.h"

/* Run op `index` of the session's plan and emit its points to the observer, which must be
 * set. */
void observe_run_op(resnet_session *session, uint32_t index, const kernel_call *call);

/* Emit op 0's output to the observer, if there is one. */
void observe_input(resnet_session *session, size_t batch);

#endif
