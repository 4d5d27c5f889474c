/* A number that threads can sleep for until another thread has changed it. */
#ifndef LIBRESNET_RUNTIME_SYSTEM_WAIT_H
#define LIBRESNET_RUNTIME_SYSTEM_WAIT_H

#include <stdatomic.h>
#include <stdint.h>

#if defined(__linux__) && !defined(SYSTEM_WITHOUT_FUTEX)
#define SYSTEM_FUTEX 1
#else
#define SYSTEM_FUTEX 0
#include <pthread.h>
#endif

typedef struct system_word {
  _Atomic uint32_t value;
#if !SYSTEM_FUTEX
  pthread_mutex_t mutex;
  pthread_cond_t changed;
#endif
} system_word;

/* Set up a word whose value is 0. */
void system_word_init(system_word *word);

/* Release what the system keeps for a word that no thread sleeps for. */
void system_word_destroy(system_word *word);

/* Sleep while the value is `value`, until system_word_wake is called. May return early:
 * call it in a loop. */
void system_word_wait(system_word *word, uint32_t value);

/* Wake `count` of the threads that sleep for the word, or all. The value was changed
 * before. */
void system_word_wake(system_word *word, uint32_t count);

#endif
