/* The orientation of an image, from its EXIF data. */
#ifndef RESNET_SUPPORT_IMAGE_EXIF_H
#define RESNET_SUPPORT_IMAGE_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* Return the orientation, 1 to 8, from the TIFF structure that EXIF data begin with.
 * Return 1 if there is none or the structure is malformed. */
int image_exif_orientation(const uint8_t *tiff, size_t size);

#endif
