#include "support/geometry.h"

/* Follow torchvision. Resize(int) rounds the longer side down. CenterCrop cuts half of
 * the excess before the crop, and rounds a half to even. */
static geometry_axis along(const resnet_preprocess *p, uint32_t size, uint32_t shorter) {
  geometry_axis a = {.size = size, .scaled = size, .first = 0, .count = 0};
  if (p->resize) a.scaled = (uint32_t)((uint64_t)size * p->resize / shorter);
  a.count = p->crop && p->crop < a.scaled ? p->crop : a.scaled;
  const uint32_t cut = a.scaled - a.count, half = cut / 2;
  a.first = half + (cut % 2 & half % 2);
  return a;
}

void geometry_axes(const resnet_preprocess *p, uint32_t width, uint32_t height,
                   geometry_axis *columns, geometry_axis *rows) {
  const uint32_t shorter = width < height ? width : height;
  *columns = along(p, width, shorter);
  *rows = along(p, height, shorter);
}
