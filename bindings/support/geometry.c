#include "support/geometry.h"

#include <stdbool.h>

/* Follow torchvision's CenterCrop: it cuts half of the excess before the crop, and rounds
 * a half to even. */
static geometry_axis along(uint32_t size, uint32_t scaled, uint32_t crop) {
  geometry_axis a = {.size = size, .scaled = scaled};
  a.count = crop < a.scaled ? crop : a.scaled;
  const uint32_t cut = a.scaled - a.count, half = cut / 2;
  a.first = half + (cut % 2 & half % 2);
  return a;
}

void geometry_axes(const resnet_preprocess *p, uint32_t width, uint32_t height,
                   geometry_axis *columns, geometry_axis *rows) {
  const uint64_t by_height = (uint64_t)p->resize_height * width;
  const uint64_t by_width = (uint64_t)p->resize_width * height;
  const bool scales = p->resize_height != RESNET_SIZE_NONE;
  uint32_t scaled_width = scales ? p->resize_width : width;
  uint32_t scaled_height = scales ? p->resize_height : height;
  if (scales && p->fit == RESNET_FIT_CROP) {
    if (by_height >= by_width)
      scaled_width = (uint32_t)(by_height / height);
    else
      scaled_height = (uint32_t)(by_width / width);
  }
  *columns = along(width, scaled_width, p->crop_width);
  *rows = along(height, scaled_height, p->crop_height);
}
