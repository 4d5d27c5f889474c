/* Labelled images: a folder, or a .zip of it, of <class>/<image>, or of <one
 * folder>/<class>/<image>. */
#ifndef RESNET_CLI_DATASET_H
#define RESNET_CLI_DATASET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resnet.h"
#include "support/image.h"

typedef struct dataset_item {
  char *path;                         /* with the data set's own in front */
  size_t folder_start, folder_length; /* of the class folder's name, within path */
  uint64_t entry;                     /* in the archive */
  uint32_t folder;                    /* index into folders */
} dataset_item;

typedef struct dataset {
  struct zip *archive; /* NULL: a folder */
  /* of the archive: libzip's handle is for one thread at a time */
  pthread_mutex_t reading;
  dataset_item *items; /* sorted by folder, then path */
  size_t count, capacity;
  char **folders; /* names, sorted by bytes */
  uint32_t folder_count;
} dataset;

/* List the images: all files in class folders but those whose path has a part that
 * begins with a dot or is __MACOSX. On failure *d holds nothing. */
bool cli_dataset_open(const char *path, dataset *d, resnet_error *error);
void cli_dataset_close(dataset *d);

/* The bytes of an image's file, the caller's to free. Any thread. */
bool cli_dataset_read(dataset *d, size_t index, uint8_t **bytes, size_t *size, resnet_error *error);

/* The same, decoded; the caller's to release, all zero on failure. */
bool cli_dataset_decode(dataset *d, size_t index, image_rgb *out, resnet_error *error);

#endif
