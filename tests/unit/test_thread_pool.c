/* The threads behind pthreadpool's interface: each task of each region runs once, whether
 * workers come in time, late or never; callers may change, share a pool or be alone. */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <pthreadpool.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "rounds.h"
#include "sanitized.h"

enum { MAX_TASKS = 64, MAX_THREADS = 8, CALLERS = 4 };

/* What one region does. Each has a new one on its caller's stack, so that a worker that
 * comes late into an old region reads what no longer exists. */
typedef struct region {
  atomic_uchar runs[MAX_TASKS];
  uint32_t salt; /* read by all tasks without synchronisation */
  uint32_t result[MAX_TASKS];
  uint32_t threads;
  atomic_bool bad_thread;
} region;

static uint32_t mix(uint32_t salt, size_t index) {
  uint32_t x = salt * 2654435761u + (uint32_t)index * 40503u + 1;
  x ^= x >> 15;
  return x * 2246822519u;
}

static void task_1d(void *context, size_t index) {
  region *r = context;
  r->result[index] = mix(r->salt, index);
  atomic_fetch_add(&r->runs[index], 1);
}

static void task_thread(void *context, size_t thread, size_t index) {
  region *r = context;
  if (thread >= r->threads) atomic_store(&r->bad_thread, true);
  task_1d(context, index);
}

static void task_2d(void *context, size_t row, size_t column, size_t rows, size_t columns) {
  for (size_t i = row; i < row + rows; i++)
    for (size_t k = column; k < column + columns; k++) task_1d(context, i * 4 + k);
}

/* Run one region of `tasks` tasks in one of three forms; return whether each ran once. */
static bool run_region(pthreadpool_t pool, uint32_t salt, size_t tasks) {
  region r = {.salt = salt, .threads = (uint32_t)pthreadpool_get_threads_count(pool)};
  const uint32_t flags = salt % 3 == 0   ? PTHREADPOOL_FLAG_DISABLE_DENORMALS
                         : salt % 7 == 0 ? PTHREADPOOL_FLAG_YIELD_WORKERS
                                         : 0;
  if (salt % 4 == 0)
    pthreadpool_parallelize_1d_with_thread(pool, task_thread, &r, tasks, flags);
  else if (salt % 4 == 1)
    pthreadpool_parallelize_2d_tile_2d(pool, task_2d, &r, MAX_TASKS / 4, 4, 3, 2, flags);
  else
    pthreadpool_parallelize_1d(pool, task_1d, &r, tasks, flags);
  bool ok = !atomic_load(&r.bad_thread);
  const size_t done = salt % 4 == 1 ? MAX_TASKS : tasks;
  for (size_t i = 0; i < MAX_TASKS; i++)
    ok = ok && atomic_load(&r.runs[i]) == (i < done) && (i >= done || r.result[i] == mix(salt, i));
  return ok;
}

static uint32_t count_bad(pthreadpool_t pool, uint32_t regions, uint32_t seed) {
  uint32_t bad = 0;
  for (uint32_t i = 0; i < regions; i++) {
    const uint32_t salt = mix(seed, i);
    bad += !run_region(pool, salt, 1 + salt / 16 % MAX_TASKS);
    if (salt % 512 == 0) (void)usleep(200); /* the workers fall asleep */
  }
  return bad;
}

static uint32_t regions(void) { return (uint32_t)rounds_of(20000); }

static void each_task_runs_once(void **state) {
  (void)state;
  for (size_t threads = 1; threads <= MAX_THREADS; threads++) {
    pthreadpool_t pool = pthreadpool_create(threads);
    assert_non_null(pool);
    assert_int_equal(count_bad(pool, regions(), (uint32_t)threads), 0);
    pthreadpool_destroy(pool);
  }
}

static void pools_end_without_work(void **state) {
  (void)state;
  for (uint32_t i = 0; i < regions() / 50; i++) {
    pthreadpool_t pool = pthreadpool_create(2 + i % 4);
    assert_non_null(pool);
    if (i % 3) assert_int_equal(count_bad(pool, i % 3, i), 0);
    pthreadpool_destroy(pool);
  }
}

typedef struct caller {
  pthread_t thread;
  pthreadpool_t pool;
  uint32_t seed, bad;
  atomic_bool ended;
} caller;

static void *call(void *user) {
  caller *c = user;
  c->bad = count_bad(c->pool, regions(), c->seed);
  atomic_store(&c->ended, true);
  return NULL;
}

/* Run regions from several threads at once, each in its own pool or all in one. */
static void run_callers(bool one_pool) {
  caller callers[CALLERS];
  pthreadpool_t shared = one_pool ? pthreadpool_create(3) : NULL;
  for (uint32_t i = 0; i < CALLERS; i++) {
    callers[i] = (caller){.pool = one_pool ? shared : pthreadpool_create(1 + i), .seed = 100 + i};
    assert_non_null(callers[i].pool);
    assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
  }
  for (uint32_t i = 0; i < CALLERS; i++) {
    assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
    assert_int_equal(callers[i].bad, 0);
    if (!one_pool) pthreadpool_destroy(callers[i].pool);
  }
  pthreadpool_destroy(shared);
}

static void callers_have_own_pools(void **state) {
  (void)state;
  run_callers(false);
}

#if defined(OWN_POOL)
static void callers_share_a_pool(void **state) {
  (void)state;
  run_callers(true);
}

static void nested(void *context, size_t index) {
  if (!run_region(context, (uint32_t)index, MAX_TASKS)) abort();
}

static void a_task_may_call(void **state) {
  (void)state;
  pthreadpool_t pool = pthreadpool_create(3);
  for (uint32_t i = 0; i < regions() / 50; i++)
    pthreadpool_parallelize_1d(pool, nested, pool, 16, 0);
  pthreadpool_destroy(pool);
}

#if defined(__linux__)
/* Apply `change` to all threads of this process but the calling one. */
static void change_workers(int (*change)(pid_t thread)) {
  DIR *folder = opendir("/proc/self/task");
  if (!folder) skip();
  for (const struct dirent *entry; (entry = readdir(folder));) {
    const pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
    if (thread > 0 && thread != getpid()) (void)change(thread);
  }
  (void)closedir(folder);
}

static int tie_to_first_cpu(pid_t thread) {
  cpu_set_t cpus, first;
  if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) return -1;
  CPU_ZERO(&first);
  for (size_t i = 0; i < CPU_SETSIZE; i++)
    if (CPU_ISSET(i, &cpus)) {
      CPU_SET(i, &first);
      break;
    }
  return sched_setaffinity(thread, sizeof first, &first);
}

/* An idle thread runs only where no other wants the CPU. */
static int make_idle(pid_t thread) {
  const struct sched_param none = {0};
  return tie_to_first_cpu(thread) | sched_setscheduler(thread, SCHED_IDLE, &none);
}

static atomic_bool stop;

static void *keep_busy(void *user) {
  (void)user;
  while (!atomic_load(&stop)) continue;
  return NULL;
}

static void check_hindered(int (*change)(pid_t thread), uint32_t busy) {
  pthread_t others[MAX_THREADS];
  pthreadpool_t pool = pthreadpool_create(4);
  assert_non_null(pool);
  change_workers(change);
  atomic_store(&stop, false);
  for (uint32_t i = 0; i < busy; i++)
    assert_int_equal(pthread_create(&others[i], NULL, keep_busy, NULL), 0);
  assert_int_equal(count_bad(pool, regions(), 7 + busy), 0);
  atomic_store(&stop, true);
  for (uint32_t i = 0; i < busy; i++) assert_int_equal(pthread_join(others[i], NULL), 0);
  pthreadpool_destroy(pool);
}

static void workers_share_one_cpu(void **state) {
  (void)state;
  check_hindered(tie_to_first_cpu, 0);
}

static void workers_hardly_run(void **state) {
  (void)state;
  check_hindered(make_idle, MAX_THREADS);
}

static atomic_bool paused;
static atomic_uint pause_count;

/* Keep the interrupted thread here, as if its CPU ran others in its place. */
static void pause_here(int number) {
  (void)number;
  atomic_fetch_add(&pause_count, 1);
  while (atomic_load(&paused)) continue;
}

static int pause_thread(pid_t thread) {
  return (int)syscall(SYS_tgkill, getpid(), thread, SIGUSR1);
}

/* Pause all workers, which are `count`. ThreadSanitizer delays signals, maybe for
 * ever. */
static void pause_workers(uint32_t count) {
  const struct sigaction action = {.sa_handler = pause_here, .sa_flags = SA_RESTART};
  assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
  atomic_store(&pause_count, 0);
  atomic_store(&paused, true);
  change_workers(pause_thread);
  for (int i = 0; i < 500 && atomic_load(&pause_count) < count; i++) (void)usleep(10000);
#if !defined(SANITIZED)
  assert_int_equal(atomic_load(&pause_count), count);
#endif
}

/* Regions end although no worker runs. A caller that waits is given 30 seconds, then left
 * behind: this is the last test of its program. */
static void caller_does_not_wait_for_workers(void **state) {
  (void)state;
  caller c = {.pool = pthreadpool_create(4), .seed = 11};
  assert_non_null(c.pool);
  (void)usleep(20000); /* the workers fall asleep */
  pause_workers(3);
  assert_int_equal(pthread_create(&c.thread, NULL, call, &c), 0);
  for (int i = 0; i < 3000 && !atomic_load(&c.ended); i++) (void)usleep(10000);
  assert_true(atomic_load(&c.ended));
  atomic_store(&paused, false);
  assert_int_equal(pthread_join(c.thread, NULL), 0);
  assert_int_equal(c.bad, 0);
  pthreadpool_destroy(c.pool);
}
#endif
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_task_runs_once),
    cmocka_unit_test(pools_end_without_work),
    cmocka_unit_test(callers_have_own_pools),
#if defined(OWN_POOL)
    cmocka_unit_test(callers_share_a_pool),
    cmocka_unit_test(a_task_may_call),
#endif
#if defined(OWN_POOL) && defined(__linux__)
    cmocka_unit_test(workers_share_one_cpu),
    cmocka_unit_test(workers_hardly_run),
    cmocka_unit_test(caller_does_not_wait_for_workers),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
