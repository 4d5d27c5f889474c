/* Print each line of standard input as the program prints it, if it is a message of the
 * library. test_messages.py reads it. */
#include <stdio.h>
#include <string.h>

#include "cli/shell_message.h"

int main(void) {
  char line[4096], out[SHELL_MESSAGE_SIZE];
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = '\0';
    (void)puts(cli_shell_message(line, out));
  }
  return 0;
}
