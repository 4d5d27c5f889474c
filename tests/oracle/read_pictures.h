/* Pictures as the Python tests leave them in a file: float32, (n,c,h,w). */
#ifndef LIBRESNET_TESTS_READ_PICTURES_H
#define LIBRESNET_TESTS_READ_PICTURES_H

#include <stdio.h>
#include <stdlib.h>

typedef struct pictures {
  float *data; /* the caller's to free */
  size_t count;
} pictures;

/* `data` is NULL when the file can't be read or has not a whole number of pictures. */
static inline pictures read_pictures(const char *path, size_t floats_per_picture) {
  pictures read = {NULL, 0};
  const size_t picture_bytes = floats_per_picture * sizeof(float);
  FILE *file = fopen(path, "rb");
  if (!file) return read;
  if (fseek(file, 0, SEEK_END) == 0) {
    const size_t bytes = (size_t)ftell(file);
    rewind(file);
    read.count = bytes / picture_bytes;
    read.data = bytes > 0 && bytes % picture_bytes == 0 ? malloc(bytes) : NULL;
    if (read.data && fread(read.data, 1, bytes, file) != bytes) {
      free(read.data);
      read.data = NULL;
    }
  }
  fclose(file);
  return read;
}

#endif
