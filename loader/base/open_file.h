/* Help to open files named by a caller: only regular files, and without waiting. */
#ifndef LIBRESNET_LOADER_BASE_OPEN_FILE_H
#define LIBRESNET_LOADER_BASE_OPEN_FILE_H

#include <fcntl.h>
#include <sys/stat.h>

/* Flags of open() for reading. Without O_NONBLOCK, opening a FIFO without a writer would
 * wait for ever. */
enum { FILE_OPEN_FLAGS = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY };

/* Describe the type of a file that is not regular, with an article: "a directory". */
const char *file_describe_type(mode_t mode);

#endif
