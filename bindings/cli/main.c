/* The resnet program: `resnet COMMAND [OPTION]...`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands/commands.h"
#include "cli/exit_status.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "resnet.h"

static int wrong_command(const char *name) {
  if (name && *name == '-') {
    (void)fputs("resnet: '", stderr);
    cli_print_masked(stderr, name);
    (void)fputs("': the command comes before its options", stderr);
  } else if (name) {
    (void)fputs("resnet: unknown command '", stderr);
    cli_print_masked(stderr, name);
    (void)fputs("'", stderr);
  } else {
    (void)fputs("resnet: a command is missing", stderr);
  }
  (void)fputs("; see resnet --help\n", stderr);
  return EXIT_USAGE;
}

static int run(int argc, char **argv) {
  if (argc < 2) return wrong_command(NULL);
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
    command_print_help();
    return EXIT_OK;
  }
  if (strcmp(argv[1], "--version") == 0) {
    (void)printf("resnet %s\n", resnet_version());
    return EXIT_OK;
  }
  const command *c = command_find(argv[1]);
  if (!c) return wrong_command(argv[1]);
  settings s;
  int code;
  /* before parsing, which reorders the arguments */
  char *line = cli_join_command_line(argc, argv);
  if (cli_options_parse(c, argc - 1, argv + 1, &s, &code)) {
    s.command_line = line;
    code = c->run(&s);
  }
  free(line);
  return code;
}

int main(int argc, char **argv) {
  cli_terminal_prepare();
  int code = run(argc, argv);
  if (cli_terminal_finish()) return code;
  return code == EXIT_OK ? EXIT_INPUT : code;
}
