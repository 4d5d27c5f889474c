#include "cli/preprocess_options.h"

#include <math.h>
#include <string.h>

bool cli_preprocess_changes(const settings *s) {
  return s->fit || s->filter || s->order || s->resize.height || s->crop.height || s->mean.given ||
         s->std.given || s->scale.given;
}

/* Stretching goes to the input's size: the sizes of the other fit would cut a border that
 * nobody asked to cut. */
static void apply_fit(resnet_fit fit, resnet_preprocess *p) {
  if (fit == RESNET_FIT_STRETCH && p->fit != fit) {
    p->resize_height = p->resize_width = p->crop_height = p->crop_width = 0;
    p->resize_ratio = 1;
  }
  p->fit = fit;
}

void cli_preprocess_apply(const settings *s, resnet_preprocess *p) {
  if (s->fit) apply_fit((resnet_fit)(s->fit - 1), p);
  if (s->filter) p->filter = (resnet_filter)(s->filter - 1);
  if (s->order) p->order = (resnet_channel_order)(s->order - 1);
  if (s->resize.height) {
    p->resize_height = s->resize.height;
    p->resize_width = s->resize.width;
  }
  if (s->crop.height) {
    p->crop_height = s->crop.height;
    p->crop_width = s->crop.width;
  }
  if (s->scale.given) p->scale = s->scale.values[0];
  if (s->mean.given) (void)memcpy(p->mean, s->mean.values, sizeof p->mean);
  if (s->std.given) (void)memcpy(p->std, s->std.values, sizeof p->std);
}
