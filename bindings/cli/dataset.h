/* Labelled images: a folder, or a .zip file of one, with the files <class>/<image> or
 * <folder>/<class>/<image>. */
#ifndef RESNET_CLI_DATASET_H
#define RESNET_CLI_DATASET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resnet.h"
#include "support/image.h"

typedef struct dataset_item {
  char *path;                         /* begins with the path of the data set */
  size_t folder_start, folder_length; /* name of the class folder, within path */
  uint64_t entry;                     /* index in the archive */
  uint32_t folder;                    /* index into folders */
  bool cut;                           /* its 16-bit values were cut to 8 */
} dataset_item;

typedef struct dataset {
  struct zip *archive; /* NULL: the data set is a folder */
  /* guards the archive: a libzip handle serves one thread at a time */
  pthread_mutex_t reading;
  dataset_item *items; /* sorted by folder, then path */
  size_t count, capacity;
  char **folders; /* names, sorted bytewise */
  uint32_t folder_count;
  image_options options; /* for decoding; all zero after cli_dataset_open */
} dataset;

/* List the images: all files in class folders, except paths with a component that begins
 * with a dot or with __MACOSX. On failure *d holds nothing. */
bool cli_dataset_open(const char *path, dataset *d, resnet_error *error);
void cli_dataset_close(dataset *d);

/* Read the bytes of an image file; the caller frees them. Any thread may call this. */
bool cli_dataset_read(dataset *d, size_t index, uint8_t **bytes, size_t *size, resnet_error *error);

/* Read and decode an image; the caller releases it. On failure *out is all zero. Any
 * thread may call this. */
bool cli_dataset_decode(dataset *d, size_t index, image_rgb *out, resnet_error *error);

/* Return how many images had their 16-bit values cut. */
size_t cli_dataset_count_cut(const dataset *d);

#endif
