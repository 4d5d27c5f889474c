/* Reads the samples that the Python tests write: float32, (n,c,h,w). */
#ifndef LIBRESNET_TESTS_READ_SAMPLES_H
#define LIBRESNET_TESTS_READ_SAMPLES_H

#include <stdio.h>
#include <stdlib.h>

typedef struct samples {
  float *data; /* the caller frees it */
  size_t count;
} samples;

/* Read a file. `data` is NULL if that fails or the file has not a whole number of
 * samples. */
static inline samples read_samples(const char *path, size_t floats_per_sample) {
  samples read = {NULL, 0};
  const size_t image_bytes = floats_per_sample * sizeof(float);
  FILE *file = fopen(path, "rb");
  if (!file) return read;
  if (fseek(file, 0, SEEK_END) == 0) {
    const size_t bytes = (size_t)ftell(file);
    rewind(file);
    read.count = bytes / image_bytes;
    read.data = bytes > 0 && bytes % image_bytes == 0 ? malloc(bytes) : NULL;
    if (read.data && fread(read.data, 1, bytes, file) != bytes) {
      free(read.data);
      read.data = NULL;
    }
  }
  fclose(file);
  return read;
}

#endif
