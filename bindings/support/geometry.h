/* The part of an image that becomes the model's input: see resnet_preprocess. */
#ifndef RESNET_SUPPORT_GEOMETRY_H
#define RESNET_SUPPORT_GEOMETRY_H

#include <stdint.h>

#include "resnet.h"

/* One side of an image, in pixels. The input is `count` pixels of the resized image, from
 * `first` on. */
typedef struct geometry_axis {
  uint32_t size;   /* of the image */
  uint32_t scaled; /* of the resized image */
  uint32_t first, count;
} geometry_axis;

/* Compute what resnet_classify does to an image of this size that it accepts. `p` is from
 * resnet_model_info: none of its sizes is automatic. */
void geometry_axes(const resnet_preprocess *p, uint32_t width, uint32_t height,
                   geometry_axis *columns, geometry_axis *rows);

#endif
