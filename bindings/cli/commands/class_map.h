/* Class activation maps: what a model looked at for a class (Zhou et al. 2016, "Learning
 * Deep Features for Discriminative Localization", section 2). */
#ifndef RESNET_CLI_COMMANDS_CLASS_MAP_H
#define RESNET_CLI_COMMANDS_CLASS_MAP_H

#include "resnet.h"
#include "support/image.h"
#include "support/json.h"

typedef struct class_map {
  uint32_t height, width, classes;
  float *values; /* (height,width,classes), owned; NULL: the model has no such map */
} class_map;

/* A resnet_observer whose `user` is a class_map, all zero at first: keeps that of the
 * last image. */
void class_map_observe(void *user, const resnet_response *response);
void class_map_release(class_map *m);

/* Members "height", "width" and "map", the values of a class, row by row. */
void class_map_write_json(const class_map *m, uint32_t class_index, json *j);

/* Write a PNG of the image with the map of a class over it, in the colours of viridis.
 * Negative values show nothing, the largest is opaque to three quarters, in between it
 * grows with the value; the map is interpolated between the centres of its cells. What
 * the model did not see is dimmed. An image whose shorter side is below 256 pixels is
 * enlarged by a whole factor. *width and *height are the PNG's. On failure `path` is as
 * it was. */
bool class_map_write_image(const char *path, const image_rgb *p,
                           const resnet_preprocess *preprocess, const class_map *m,
                           uint32_t class_index, uint32_t *width, uint32_t *height,
                           resnet_error *error);

#endif
