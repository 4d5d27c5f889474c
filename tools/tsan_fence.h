/* Included before each file of pthreadpool that is built for ThreadSanitizer, which does
 * not follow fences. Replace each fence by an atomic addition to one variable: it orders
 * at least as much, and ThreadSanitizer follows it. */
#include <stdatomic.h>

__attribute__((weak)) atomic_int tsan_fence;

#undef atomic_thread_fence
#define atomic_thread_fence(order)                                                                 \
  ((void)atomic_fetch_add_explicit(&tsan_fence, 0, memory_order_acq_rel))
