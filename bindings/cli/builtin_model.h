/* The model and the names of ImageNet's classes that are compiled into the program:
 * written by cmake/EmbedFile.cmake. */
#ifndef RESNET_CLI_BUILTIN_MODEL_H
#define RESNET_CLI_BUILTIN_MODEL_H

#include <stddef.h>

extern const unsigned char cli_builtin_model[];
extern const size_t cli_builtin_model_size; /* 0: there is no built-in model */

extern const unsigned char cli_imagenet_labels[]; /* one name a line */
extern const size_t cli_imagenet_labels_size;

#endif
