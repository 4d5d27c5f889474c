#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/exit_status.h"
#include "cli/message.h"

void cli_terminal_prepare(void) {
  for (int descriptor = 0; descriptor <= 2; descriptor++) {
    if (fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    /* Read-only, so that writing to a closed standard output still fails. */
    if (open("/dev/null", O_RDONLY) != descriptor) exit(EXIT_INPUT);
  }
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGXFSZ, SIG_IGN);
}

bool cli_output_failed(void) { return ferror(stdout) != 0; }

bool cli_terminal_finish(void) {
  errno = 0;
  bool failed = cli_output_failed();
  int reason = 0;
  if (fflush(stdout) != 0) reason = errno;
  failed |= fclose(stdout) != 0 || reason != 0;
  if (!failed) return true;
  if (reason != EPIPE)
    cli_print_note("standard output cannot be written: %s",
                   reason ? strerror(reason) : "an earlier write failed");
  return false;
}

static bool is_colourful(void) {
  const char *refused = getenv("NO_COLOR"), *kind = getenv("TERM");
  return isatty(STDOUT_FILENO) && !(refused && *refused) && kind && strcmp(kind, "dumb") != 0;
}

const char *cli_bold(void) { return is_colourful() ? "\033[1m" : ""; }
const char *cli_plain(void) { return is_colourful() ? "\033[0m" : ""; }
