/* Counts every allocation of the process, those of XNNPACK and of the system included,
 * and can let one fail. Include it in one source file of a program: it defines malloc.
 *
 * Under a sanitizer, which owns malloc, its hooks count and nothing can be made to fail.
 * Otherwise, with glibc, this file's own malloc is used. */
#ifndef LIBRESNET_TESTS_MALLOC_WATCH_H
#define LIBRESNET_TESTS_MALLOC_WATCH_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static atomic_bool watching;
static atomic_size_t watched_allocations, watched_releases;
/* the allocation that fails, from 1; 0: none */
static atomic_size_t watched_failure;

/* Count an allocation; return whether it may succeed. */
static inline bool watch_allocation(void) {
  if (!atomic_load(&watching)) return true;
  return atomic_fetch_add(&watched_allocations, 1) + 1 != atomic_load(&watched_failure);
}

static inline void watch_release(const volatile void *pointer) {
  if (pointer && atomic_load(&watching)) atomic_fetch_add(&watched_releases, 1);
}

static inline void watch_start(size_t failure) {
  atomic_store(&watched_allocations, 0);
  atomic_store(&watched_releases, 0);
  atomic_store(&watched_failure, failure);
  atomic_store(&watching, true);
}

static inline void watch_stop(void) { atomic_store(&watching, false); }

#if defined(SANITIZED)

enum { WATCH_CAN_FAIL = 0 };

int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *pointer, size_t size) {
  (void)pointer;
  (void)size;
  (void)watch_allocation();
}

static inline bool watch_install(void) {
  static bool installed;
  if (!installed)
    installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, watch_release) != 0;
  return installed;
}

#elif defined(__GLIBC__)

enum { WATCH_CAN_FAIL = 1 };

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t number, size_t size);
void *__libc_realloc(void *pointer, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *pointer);
void *malloc(size_t size);
void *calloc(size_t number, size_t size);
void *realloc(void *pointer, size_t size);
void *memalign(size_t alignment, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
int posix_memalign(void **out, size_t alignment, size_t size);
void free(void *pointer);

static inline void *watch_fail(void) {
  errno = ENOMEM;
  return NULL;
}

void *malloc(size_t size) { return watch_allocation() ? __libc_malloc(size) : watch_fail(); }

void *calloc(size_t number, size_t size) {
  return watch_allocation() ? __libc_calloc(number, size) : watch_fail();
}

void *realloc(void *pointer, size_t size) {
  if (!watch_allocation()) return watch_fail();
  watch_release(pointer);
  return __libc_realloc(pointer, size);
}

void *memalign(size_t alignment, size_t size) {
  return watch_allocation() ? __libc_memalign(alignment, size) : watch_fail();
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **out, size_t alignment, size_t size) {
  *out = memalign(alignment, size);
  return *out ? 0 : ENOMEM;
}

void free(void *pointer) {
  watch_release(pointer);
  __libc_free(pointer);
}

static inline bool watch_install(void) { return true; }

#else
enum { WATCH_CAN_FAIL = 0 };
static inline bool watch_install(void) { return false; }
#endif

#endif
