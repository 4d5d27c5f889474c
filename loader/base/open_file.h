/* Opening files that a caller names: only regular files, and never a wait. */
#ifndef LIBRESNET_LOADER_BASE_OPEN_FILE_H
#define LIBRESNET_LOADER_BASE_OPEN_FILE_H

#include <fcntl.h>
#include <sys/stat.h>

/* Flags of open() for reading. O_NONBLOCK: opening a FIFO that nobody writes to would wait
 * for ever. */
enum { FILE_OPEN_FLAGS = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY };

/* Return what a file is that is not regular, with its article: "a directory". */
const char *file_describe_type(mode_t mode);

#endif
