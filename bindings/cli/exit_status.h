/* Exit statuses of the program. */
#ifndef RESNET_CLI_EXIT_STATUS_H
#define RESNET_CLI_EXIT_STATUS_H

enum {
  EXIT_OK = 0,
  EXIT_INPUT = 1, /* a file or an image cannot be used, or --check found a problem */
  EXIT_USAGE = 2  /* the command line is wrong */
};

#endif
