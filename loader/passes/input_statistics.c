#include "loader/passes/input_statistics.h"

#include <math.h>

/* Ranges of an image's values: 0 to 1, 0 to 255, -1 to 1. In each of them, statistics are
 * compared in units of the range: a mean of 0 is its lower end. */
typedef struct range {
  double low, width;
} range;

static const range unit = {0, 1}, byte = {0, 255}, both_signs = {-1, 2};

/* What an image becomes. */
typedef struct statistics_bounds {
  double mean_min, mean_max, deviation_min, deviation_max;
} statistics_bounds;

/* Mean and deviation of photographs, of dark and of bright ones. MNIST's are 0.13 and
 * 0.31; those of most photographs are near 0.45 and 0.25; 0.5 and 0.5 are common. */
static const statistics_bounds photographs = {0.02, 0.95, 0.05, 0.6};
/* Those that are not mistaken for values of 0 to 1. */
static const statistics_bounds signed_photographs = {0.35, 0.51, 0.12, 0.35};
/* The mean alone is subtracted: the result has the range's width. */
static const statistics_bounds mean_alone = {0.2, 0.75, 0.995, 1.005};
/* The middle of the range is subtracted: the result runs from -x to x, e.g. x = 1024
 * for X-rays. */
static const statistics_bounds centred = {0.499, 0.503, 0.0004, 1.005};
/* The result is 0 to 1. Some divide by 256. */
static const statistics_bounds to_unit = {-0.005, 0.005, 0.995, 1.005};
/* The result is 0 to 255, or that minus a mean as in Caffe. */
static const statistics_bounds to_byte = {-0.005, 0.005, 0.99 / 255, 1.01 / 255};
static const statistics_bounds to_caffe = {0.3, 0.6, 0.99 / 255, 1.01 / 255};

static bool is_within(const input_statistics *s, range r, const statistics_bounds *b) {
  for (uint32_t c = 0; c < s->channels; c++) {
    const double mean = (s->mean[c] - r.low) / r.width, deviation = s->deviation[c] / r.width;
    if (!(mean >= b->mean_min && mean <= b->mean_max && deviation >= b->deviation_min &&
          deviation <= b->deviation_max))
      return false;
  }
  return true;
}

void pass_set_range(double low, double high, graph_evidence *out) {
  const double width = high - low;
  out->kind = GRAPH_EVIDENCE_VALUES;
  out->scale = (float)(255 / width);
  for (int c = 0; c < 3; c++) {
    out->mean[c] = (float)(0 - low);
    out->std[c] = 1;
  }
}

/* ---- order of channels ---- */

/* Means in the order R, G, B, in units of 1: of ImageNet, CIFAR-10, CIFAR-100, VGGFace.
 * Other data sets may be bluer than red, so that only these reveal the order. */
static const double known_means[][3] = {{0.485, 0.456, 0.406},
                                        {0.4914, 0.4822, 0.4465},
                                        {0.5071, 0.4865, 0.4409},
                                        {0.5141, 0.4074, 0.3588}};

/* Return whether the means are known ones, from the last to the first if `reversed`. */
static bool has_known_means(const input_statistics *s, range r, bool reversed) {
  const double tolerance = s->learned ? 0.03 : 0.012;
  for (size_t k = 0; k < sizeof known_means / sizeof *known_means; k++) {
    bool fits = s->channels == 3;
    for (uint32_t c = 0; c < 3 && fits; c++)
      fits =
          fabs((s->mean[c] - r.low) / r.width - known_means[k][reversed ? 2 - c : c]) <= tolerance;
    if (fits) return true;
  }
  return false;
}

static bool is_reversed(const input_statistics *s, range r) {
  return has_known_means(s, r, true) && (s->mean[2] - s->mean[0]) / r.width > 0.02;
}

/* ---- kinds ---- */

/* Return whether nothing is subtracted: a factor alone shows no values on both sides of
 * 0. */
static bool is_plain_scale(const input_statistics *s) {
  bool plain = !s->learned;
  for (uint32_t c = 0; c < s->channels; c++) plain = plain && fabs(s->mean[c]) < 0.005;
  return plain;
}

/* Return whether the channels have about the same deviation, as in any data set. */
static bool are_alike(const input_statistics *s) {
  double least = s->deviation[0], most = s->deviation[0];
  for (uint32_t c = 1; c < s->channels; c++) {
    least = fmin(least, s->deviation[c]);
    most = fmax(most, s->deviation[c]);
  }
  return most <= 1.5 * least;
}

static bool find_range(const input_statistics *s, const range **found) {
  static const struct {
    const range *of;
    const statistics_bounds *bounds;
    bool written; /* nothing learns these */
  } known[] = {{&byte, &photographs, false},
               {&unit, &photographs, false},
               {&both_signs, &signed_photographs, false},
               {&byte, &to_unit, true},
               {&both_signs, &to_unit, true},
               {&unit, &mean_alone, true},
               {&byte, &mean_alone, true},
               {&unit, &to_byte, true},
               {&both_signs, &to_byte, true},
               {&unit, &to_caffe, true},
               {&byte, &to_caffe, true},
               {&both_signs, &to_caffe, true},
               {&unit, &centred, true},
               {&byte, &centred, true}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (s->learned && known[i].written) continue;
    *found = known[i].of;
    if (*found == &both_signs && (is_plain_scale(s) || !(s->learned || are_alike(s)))) continue;
    if (is_within(s, **found, known[i].bounds)) return true;
  }
  return false;
}

/* Return whether x * a + b turns normalised images into images again, of the range r: a
 * and b are their deviation and mean. Then set these as the values. Images of both signs
 * have means about 0, as much else has: known ones alone show them (torchvision's
 * transform_input). */
static bool find_inverse(const input_statistics *s, range r, graph_evidence *out) {
  input_statistics images = {.channels = s->channels};
  for (uint32_t c = 0; c < s->channels; c++) {
    images.deviation[c] = 1 / s->deviation[c];
    images.mean[c] = -s->mean[c] / s->deviation[c];
  }
  const bool known = has_known_means(&images, r, false) || has_known_means(&images, r, true);
  if (s->learned || !is_within(&images, r, &photographs) || (r.low < 0 && !known)) return false;
  out->kind = GRAPH_EVIDENCE_VALUES;
  out->scale = 255;
  out->bgr = is_reversed(&images, r);
  for (uint32_t c = 0; c < 3; c++) {
    const uint32_t of = c < s->channels ? c : 0;
    out->mean[c] = (float)((images.mean[of] - r.low) / r.width);
    out->std[c] = (float)(images.deviation[of] / r.width);
  }
  return true;
}

/* Return whether a batch normalisation learned about 0 and 1: of images that were
 * normalised before. */
static bool is_normalised(const input_statistics *s) {
  static const statistics_bounds normal = {-0.6, 0.6, 0.6, 1.6};
  return s->learned && is_within(s, unit, &normal);
}

void pass_recognise_statistics(const input_statistics *s, graph_evidence *out) {
  const range *found;
  out->kind = GRAPH_EVIDENCE_UNKNOWN;
  if (is_normalised(s)) {
    out->kind = GRAPH_EVIDENCE_NORMALISED;
  } else if (find_range(s, &found)) {
    pass_set_range(found->low, found->low + found->width, out);
    out->bgr = is_reversed(s, *found);
  } else if (!find_inverse(s, unit, out) && !find_inverse(s, byte, out)) {
    (void)find_inverse(s, both_signs, out);
  }
}
