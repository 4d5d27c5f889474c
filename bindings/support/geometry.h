/* Which part of a picture becomes the net's input: see resnet_preprocess. */
#ifndef RESNET_SUPPORT_GEOMETRY_H
#define RESNET_SUPPORT_GEOMETRY_H

#include "resnet.h"

/* A picture's width or height: its pixels, those after resizing, and of these `count`
 * from `first` on are the input. */
typedef struct axis {
  uint32_t size, scaled, first, count;
} axis;

/* Of a picture that resnet_classify took. */
void geometry_of(const resnet_preprocess *p, uint32_t width, uint32_t height, axis *columns,
                 axis *rows);

#endif
