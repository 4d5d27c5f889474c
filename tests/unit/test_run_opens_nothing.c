/* resnet_run asks the kernel for no file, no connection and no program, and prints
 * nothing. Once the session is open, a child process installs a filter (seccomp) on all
 * its threads that ends it at any such call. Skipped if the kernel has no filters. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "resnet.h"

#if defined(__linux__) && defined(__x86_64__)
#define FILTERED 1
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

enum { CANNOT_FILTER = 77, FAILED = 1 };

#if defined(FILTERED)

/* Calls by which every access to a file, another process or the network begins, and
 * printing. */
static const uint32_t forbidden[] = {
#ifdef SYS_openat2
    SYS_openat2,
#endif
    SYS_open,         SYS_openat,     SYS_creat,     SYS_open_by_handle_at,
    SYS_stat,         SYS_newfstatat, SYS_access,    SYS_rename,
    SYS_unlink,       SYS_unlinkat,   SYS_renameat2, SYS_readlink,
    SYS_readlinkat,   SYS_faccessat,  SYS_mknodat,   SYS_execve,
    SYS_memfd_create, SYS_socket,     SYS_connect,   SYS_write,
    SYS_writev};
enum { FORBIDDEN = sizeof forbidden / sizeof *forbidden };

/* Install the filter on all threads of this process. */
static int forbid_opening(void) {
  struct sock_filter program[FORBIDDEN + 5];
  uint16_t at = 0;
  program[at++] =
      (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
  program[at++] =
      (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, FORBIDDEN + 2);
  program[at++] =
      (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (uint8_t i = 0; i < FORBIDDEN; i++)
    program[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, forbidden[i],
                                                 (uint8_t)(FORBIDDEN - i), 0);
  program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
  const struct sock_fprog filter = {at, program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 0;
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) == 0;
}

#else
static int forbid_opening(void) { return 0; }
#endif

/* ---- in the child: its exit status ------------------------------------------------- */

typedef struct task {
  const char *path;
  uint32_t threads, batch;
  size_t samples;
} task;

static void ignore_response(void *user, const resnet_response *response) {
  (void)user;
  (void)response;
}

static int run_filtered(const void *argument) {
  const task *t = argument;
  resnet_error error;
  resnet_model *model = NULL;
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_model_info info = {.struct_size = sizeof info};
  resnet_session_options_init(&options);
  options.threads = t->threads;
  options.batch = t->batch;
  if (resnet_model_open(t->path, NULL, &model, &error) != RESNET_OK ||
      resnet_model_get_info(model, &info, &error) != RESNET_OK ||
      resnet_session_open(model, &options, &session, &error) != RESNET_OK)
    return FAILED;
  const size_t floats = (size_t)info.input_channels * info.input_height * info.input_width;
  float *input = calloc(t->samples * floats, sizeof(float));
  float *scores = calloc(t->samples * info.score_count, sizeof(float));
  uint8_t pixels[12 * 12 * 3] = {0};
  const resnet_image image = {pixels, 12, 12, 36, RESNET_PIXELS_RGB};
  resnet_prediction best;
  if (!input || !scores) return FAILED;
  if (!forbid_opening()) return CANNOT_FILTER;
  int ok =
      resnet_run(session, input, RESNET_LAYOUT_NCHW, t->samples, scores, &error) == RESNET_OK &&
      resnet_run(session, input, RESNET_LAYOUT_NHWC, 1, scores, &error) == RESNET_OK &&
      resnet_run(session, NULL, RESNET_LAYOUT_NHWC, 1, scores, &error) == RESNET_ERROR_ARGUMENT &&
      resnet_classify(session, &image, 1, 1, &best, &error) == RESNET_OK &&
      resnet_session_observe(session, ignore_response, NULL, &error) == RESNET_OK &&
      resnet_run(session, input, RESNET_LAYOUT_NCHW, t->samples, scores, &error) == RESNET_OK;
  free(input);
  free(scores);
  resnet_session_close(&session);
  resnet_model_close(&model);
  return ok ? 0 : FAILED;
}

/* Open a file: the filter must notice it, with any call that the C library uses. */
static int open_filtered(const void *argument) {
  if (!forbid_opening()) return CANNOT_FILTER;
  return open(argument, O_RDONLY) >= 0 ? 0 : FAILED;
}

/* ---- in the parent ----------------------------------------------------------------- */

/* Return the child's status as waitpid gives it. Skip the test if there are no
 * filters. */
static int run_in_child(int (*function)(const void *), const void *argument) {
  int status = 0;
  (void)fflush(NULL);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) _exit(function(argument));
  while (waitpid(child, &status, 0) < 0) assert_int_equal(errno, EINTR);
  if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_FILTER) {
    print_message(
        "the kernel takes no seccomp filter, or the test knows none for this processor\n");
    skip();
  }
  return status;
}

static void the_filter_ends_a_process_that_opens(void **state) {
  (void)state;
  const int status = run_in_child(open_filtered, "/dev/null");
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void run_opens_and_prints_nothing(void **state) {
  (void)state;
  static const task tasks[] = {{SOURCE_DIR "/tests/models/resnet8_option_a.onnx", 1, 1, 1},
                               {SOURCE_DIR "/tests/models/resnet8_option_b.onnx", 1, 3, 3},
                               {SOURCE_DIR "/tests/models/resnet8_option_a.onnx", 2, 2, 5},
                               {SOURCE_DIR "/tests/models/resnet8_option_b.onnx", 2, 3, 1}};
  for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
    const int status = run_in_child(run_filtered, &tasks[i]);
    if (WIFSIGNALED(status)) fail_msg("task %zu ended by signal %d", i, WTERMSIG(status));
    assert_int_equal(WEXITSTATUS(status), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_filter_ends_a_process_that_opens),
      cmocka_unit_test(run_opens_and_prints_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
