/* Class activation maps: which parts of an image support a class (Zhou et al. 2016,
 * "Learning Deep Features for Discriminative Localization", section 2). */
#ifndef RESNET_CLI_COMMANDS_CLASS_MAP_H
#define RESNET_CLI_COMMANDS_CLASS_MAP_H

#include "resnet.h"
#include "support/image.h"
#include "support/json.h"

typedef struct class_map {
  uint32_t height, width, classes;
  float *values; /* (height,width,classes), owned; NULL: the model has no such map */
} class_map;

/* A resnet_observer whose `user` is a class_map, all zero at first. It keeps the map of
 * the last image. */
void class_map_observe(void *user, const resnet_response *response);
void class_map_release(class_map *m);

/* Write the members "height", "width" and "map": the values of a class, row by row. */
void class_map_write_json(const class_map *m, uint32_t class_index, json *j);

/* Write a PNG of the image with the map of a class over it, in the colours of viridis.
 * Opacity grows with the value, from 0 for negative values to 3/4 for the maximum. The
 * map is interpolated between the centres of its cells. Parts that the model did not see
 * are dimmed. An image whose shorter side is below 256 pixels is enlarged by an integer
 * factor. *width and *height are the size of the PNG. On failure `path` is unchanged. */
bool class_map_write_image(const char *path, const image_rgb *p,
                           const resnet_preprocess *preprocess, const class_map *m,
                           uint32_t class_index, uint32_t *width, uint32_t *height,
                           resnet_error *error);

#endif
