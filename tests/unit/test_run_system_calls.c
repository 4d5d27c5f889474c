/* resnet_run asks the system for nothing but waiting for its threads and moving them to
 * another CPU: it opens no file, maps no memory, writes nothing. A child process forbids
 * itself all other calls once its session is open, then runs. */
#define _DEFAULT_SOURCE /* syscall */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "every_kernel.h"
#include "sanitized.h"

#if defined(__linux__) && !defined(SANITIZED)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Waiting for threads, waking them, yielding to them, moving them to another CPU, the
 * process (a forked child has no threads), the time and the CPU (if they are system calls
 * at all), the end. */
#ifndef __NR_clock_gettime64
#define __NR_clock_gettime64 __NR_clock_gettime
#endif
static const uint32_t allowed[] = {
    __NR_futex,     __NR_sched_yield,       __NR_clock_gettime,     __NR_clock_gettime64,
    __NR_getcpu,    __NR_sched_getaffinity, __NR_sched_setaffinity, __NR_getpid,
    __NR_exit_group};

enum { ALLOWED = sizeof allowed / sizeof *allowed, FORBIDDEN_EXIT = 3 };

/* the child's first forbidden call; -1: none */
static volatile long *forbidden;

static void on_forbidden(int number, siginfo_t *info, void *context) {
  (void)number;
  (void)context;
  *forbidden = info->si_syscall;
  (void)syscall(__NR_exit_group, FORBIDDEN_EXIT);
}

/* Allow only these calls to all threads of this process from here on. */
static bool forbid_the_rest(void) {
  struct sock_filter filter[ALLOWED + 3];
  size_t count = 0;
  filter[count++] =
      (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (size_t i = 0; i < ALLOWED; i++)
    filter[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
                                                   (uint8_t)(ALLOWED - i), 0);
  filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
  filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {(unsigned short)count, filter};
  struct sigaction action = {.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO};
  return sigaction(SIGSYS, &action, NULL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

enum { EXIT_RAN = 0, EXIT_FAILED = 1, EXIT_NO_FILTER = 2 };

/* Run the child; this does not return. */
_Noreturn static void run_confined(size_t index, uint32_t threads, bool misbehave) {
  enum { SAMPLES = 3 };
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_session_options_init(&options);
  options.threads = threads;
  options.batch = 2;
  buffer file = every_kernel_file(index);
  resnet_model *model = plan_open(&file, NULL);
  const resnet_model_info info = plan_info(model);
  const size_t floats = (size_t)info.input_channels * info.input_height * info.input_width;
  float *input = calloc(SAMPLES * floats, sizeof *input),
        *scores = calloc(SAMPLES * info.score_count, sizeof *scores);
  if (resnet_session_open(model, &options, &session, NULL) != RESNET_OK || !input || !scores)
    _exit(EXIT_FAILED);
  if (!forbid_the_rest()) _exit(EXIT_NO_FILTER);
  bool ok = true;
  for (int round = 0; round < 3; round++) {
    ok = ok && resnet_run(session, input, RESNET_LAYOUT_NCHW, SAMPLES, scores, NULL) == RESNET_OK;
    ok = ok && resnet_run(session, input, RESNET_LAYOUT_NHWC, 1, scores, NULL) == RESNET_OK;
    ok = ok &&
         resnet_run(session, NULL, RESNET_LAYOUT_NHWC, 1, scores, NULL) == RESNET_ERROR_ARGUMENT;
  }
  if (misbehave) (void)syscall(__NR_getppid);
  (void)syscall(__NR_exit_group, ok ? EXIT_RAN : EXIT_FAILED);
  abort();
}

/* Return the child's exit status; *call is the forbidden call that ended it. */
static int confine(size_t index, uint32_t threads, bool misbehave, long *call) {
  int status = 0;
  *forbidden = -1;
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) run_confined(index, threads, misbehave);
  assert_int_equal(waitpid(child, &status, 0), child);
  *call = *forbidden;
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == EXIT_NO_FILTER) {
    print_message("skipped: this system lets no process filter its calls\n");
    skip();
  }
  return WEXITSTATUS(status);
}

static int share_a_page(void **state) {
  (void)state;
  void *page =
      mmap(NULL, sizeof *forbidden, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return -1;
  forbidden = page;
  return 0;
}

static void a_forbidden_call_is_seen(void **state) {
  (void)state;
  long call;
  assert_int_equal(confine(0, 1, true, &call), FORBIDDEN_EXIT);
  assert_int_equal(call, __NR_getppid);
}

static void run_makes_no_other_system_calls(void **state) {
  (void)state;
  for (size_t i = 0; i < EVERY_KERNEL_FILES; i++)
    for (uint32_t threads = 1; threads <= 2; threads++) {
      long call;
      const int end = confine(i, threads, false, &call);
      if (end == FORBIDDEN_EXIT)
        fail_msg("file %zu, %u threads: system call %ld", i, threads, call);
      assert_int_equal(end, EXIT_RAN);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_forbidden_call_is_seen),
      cmocka_unit_test(run_makes_no_other_system_calls),
  };
  return cmocka_run_group_tests(tests, share_a_page, NULL);
}
#else
static void run_makes_no_other_system_calls(void **state) {
  (void)state;
  print_message("skipped: needs Linux, and a process whose every call is the library's (sanitizers "
                "make their own)\n");
  skip();
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(run_makes_no_other_system_calls)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
