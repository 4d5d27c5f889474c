#include "runtime/image/geometry.h"

#include <stdio.h>

#include "runtime/image/presets.h"

enum { SIZE_TEXT = 24 };

/* Return half of what is cut, rounded half to even, as Python's round() in torchvision's
 * CenterCrop. */
static uint32_t crop_start(uint32_t size, uint32_t crop) {
  uint32_t cut = size - crop, half = cut / 2;
  return half + (cut % 2 & half % 2);
}

/* Set the sizes after scaling. Sides are below 2^16, so that products fit. */
static void scale_sides(const resnet_image *image, const resnet_preprocess *p,
                        resample_range *columns, resample_range *rows) {
  const uint32_t width = image->width, height = image->height;
  *columns = (resample_range){.in_size = width, .out_size = width, .filter = p->filter};
  *rows = (resample_range){.in_size = height, .out_size = height, .filter = p->filter};
  if (p->resize_height == RESNET_SIZE_NONE) return;
  columns->out_size = p->resize_width;
  rows->out_size = p->resize_height;
  if (p->fit == RESNET_FIT_STRETCH) return;
  const uint32_t by_height = p->resize_height * width, by_width = p->resize_width * height;
  if (by_height >= by_width)
    columns->out_size = by_height / height;
  else
    rows->out_size = by_width / width;
}

static void cut_side(resample_range *range, uint32_t crop) {
  range->count = crop == RESNET_SIZE_NONE ? range->out_size : crop;
  if (range->count <= range->out_size) range->first = crop_start(range->out_size, range->count);
}

static const char *size_text(uint32_t height, uint32_t width, char text[SIZE_TEXT]) {
  if (height == RESNET_SIZE_NONE) return "none";
  (void)snprintf(text, SIZE_TEXT, "%u x %u", (unsigned)height, (unsigned)width);
  return text;
}

resnet_status image_fit(const resnet_image *image, const resnet_preprocess *preprocess,
                        uint32_t height, uint32_t width, resample_range *columns,
                        resample_range *rows, resnet_error *error) {
  resnet_preprocess p = *preprocess;
  char resize[SIZE_TEXT], crop[SIZE_TEXT];
  image_resolve_preprocess(&p, height, width, 3);
  scale_sides(image, &p, columns, rows);
  cut_side(columns, p.crop_width);
  cut_side(rows, p.crop_height);
  if (columns->count > columns->out_size || rows->count > rows->out_size)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "the image of %u x %u pixels (height x width) is %u x %u after resize %s: too "
                    "small for the centre crop of %u x %u; set the preprocessing's resize to that "
                    "size or more",
                    (unsigned)image->height, (unsigned)image->width, (unsigned)rows->out_size,
                    (unsigned)columns->out_size, size_text(p.resize_height, p.resize_width, resize),
                    (unsigned)rows->count, (unsigned)columns->count);
  if (columns->count != width || rows->count != height)
    return err_fail(
        error, RESNET_ERROR_ARGUMENT,
        "the image of %u x %u pixels (height x width) becomes %u x %u (resize %s, crop %s), but "
        "the model's input is %u x %u: leave the preprocessing's crop at 0, or set it to that size",
        (unsigned)image->height, (unsigned)image->width, (unsigned)rows->count,
        (unsigned)columns->count, size_text(p.resize_height, p.resize_width, resize),
        size_text(p.crop_height, p.crop_width, crop), (unsigned)height, (unsigned)width);
  return RESNET_OK;
}
