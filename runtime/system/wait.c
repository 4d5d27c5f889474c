/* Futexes are not in POSIX: only this file asks for Linux's own functions. */
#if defined(__linux__)
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE
#endif
#include "runtime/system/wait.h"

#if SYSTEM_FUTEX
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(_Atomic uint32_t) == sizeof(uint32_t), "the kernel reads a bare number");

/* Call futex. Keep errno, which belongs to the program; callers look at the value
 * again. */
static void call_futex(system_word *word, int operation, uint32_t argument) {
  const int before = errno;
  (void)syscall(SYS_futex, &word->value, operation | FUTEX_PRIVATE_FLAG, argument, NULL);
  errno = before;
}

void system_word_init(system_word *word) { atomic_init(&word->value, 0); }

void system_word_destroy(system_word *word) { (void)word; }

void system_word_wait(system_word *word, uint32_t value) { call_futex(word, FUTEX_WAIT, value); }

void system_word_wake(system_word *word, uint32_t count) {
  call_futex(word, FUTEX_WAKE, count < INT_MAX ? count : INT_MAX);
}
#else
void system_word_init(system_word *word) {
  atomic_init(&word->value, 0);
  (void)pthread_mutex_init(&word->mutex, NULL);
  (void)pthread_cond_init(&word->changed, NULL);
}

void system_word_destroy(system_word *word) {
  (void)pthread_cond_destroy(&word->changed);
  (void)pthread_mutex_destroy(&word->mutex);
}

void system_word_wait(system_word *word, uint32_t value) {
  (void)pthread_mutex_lock(&word->mutex);
  if (atomic_load(&word->value) == value) (void)pthread_cond_wait(&word->changed, &word->mutex);
  (void)pthread_mutex_unlock(&word->mutex);
}

/* A thread that has seen the old value under the lock sleeps before the lock is free. */
void system_word_wake(system_word *word, uint32_t count) {
  (void)count;
  (void)pthread_mutex_lock(&word->mutex);
  (void)pthread_mutex_unlock(&word->mutex);
  (void)pthread_cond_broadcast(&word->changed);
}
#endif
