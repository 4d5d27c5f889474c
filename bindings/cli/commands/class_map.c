#include "cli/commands/class_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands/viridis.h"
#include "cli/memory.h"
#include "cli/output_file.h"
#include "support/geometry.h"
#include "support/image.h"
#include "support/image_png_write.h"
#include "support/json.h"

enum { SHORTEST_SIDE = 256, COLOURS = 256 };
static const float max_opacity = 0.75f, unseen_brightness = 0.4f;

/* Position of an output pixel on the map: between cells `before` and `after`, `share` of
 * the way from one to the other. */
typedef struct map_place {
  bool seen;
  uint32_t before, after;
  float share;
} map_place;

typedef struct overlay {
  const image_rgb *image;
  const class_map *map;
  uint32_t class_index, factor;
  float max; /* of the map for this class, at least 0 */
  geometry_axis rows;
  map_place *columns; /* by output pixel */
} overlay;

void class_map_observe(void *user, const resnet_response *response) {
  class_map *m = user;
  if (response->point != RESNET_POINT_CLASS_MAP) return;
  const size_t count = (size_t)response->height * response->width * response->channels;
  class_map_release(m);
  *m = (class_map){response->height, response->width, response->channels,
                   cli_allocate(count, sizeof *m->values)};
  memcpy(m->values, response->data + (response->batch - 1) * count, count * sizeof *m->values);
}

void class_map_release(class_map *m) {
  free(m->values);
  *m = (class_map){0};
}

static float value_at(const class_map *m, uint32_t y, uint32_t x, uint32_t class_index) {
  return m->values[((size_t)y * m->width + x) * m->classes + class_index];
}

void class_map_write_json(const class_map *m, uint32_t class_index, json *j) {
  json_integer(j, "height", m->height);
  json_integer(j, "width", m->width);
  json_open_array(j, "map");
  for (uint32_t y = 0; y < m->height; y++)
    for (uint32_t x = 0; x < m->width; x++) json_float(j, NULL, value_at(m, y, x, class_index));
  json_close_array(j);
}

static map_place place_of(const geometry_axis *a, uint32_t pixel, uint32_t factor, uint32_t cells) {
  const double at = (pixel + 0.5) / factor * a->scaled / a->size - a->first;
  const double last = cells - 1, cell = at * cells / a->count - 0.5;
  const double inside = fmin(fmax(cell, 0), last);
  const uint32_t before = (uint32_t)inside;
  return (map_place){
      .seen = at >= 0 && at < a->count,
      .before = before,
      .after = before + 1 < cells ? before + 1 : before,
      .share = (float)(inside - before),
  };
}

/* Return the value of the map, interpolated and scaled to 0..1. */
static float strength_at(const overlay *o, const map_place *row, const map_place *column) {
  const class_map *m = o->map;
  const uint32_t k = o->class_index;
  const float left_top = value_at(m, row->before, column->before, k);
  const float left =
      left_top + row->share * (value_at(m, row->after, column->before, k) - left_top);
  const float right_top = value_at(m, row->before, column->after, k);
  const float right =
      right_top + row->share * (value_at(m, row->after, column->after, k) - right_top);
  const float value = left + column->share * (right - left);
  return value > 0 ? fminf(value / o->max, 1) : 0;
}

static void paint(const overlay *o, const map_place *row, const map_place *column,
                  const uint8_t *from, uint8_t *to) {
  const bool seen = row->seen && column->seen;
  const float strength = seen ? strength_at(o, row, column) : 0;
  const uint32_t colour = viridis_colours[(uint32_t)(strength * (COLOURS - 1) + 0.5f)];
  const float opaque = max_opacity * strength, brightness = seen ? 1 - opaque : unseen_brightness;
  for (int c = 0; c < 3; c++) {
    const float over = (float)(colour >> (16 - 8 * c) & 0xff);
    to[c] = (uint8_t)(brightness * (float)from[c] + opaque * over + 0.5f);
  }
}

static void make_row(void *user, uint32_t y, uint8_t *row) {
  const overlay *o = user;
  const image_rgb *p = o->image;
  const map_place place = place_of(&o->rows, y, o->factor, o->map->height);
  const uint8_t *from = p->pixels + (size_t)(y / o->factor) * p->width * 3;
  for (uint32_t x = 0; x < p->width; x++, from += 3)
    for (uint32_t i = 0; i < o->factor; i++, row += 3)
      paint(o, &place, &o->columns[(size_t)x * o->factor + i], from, row);
}

/* Return the smallest integer factor that enlarges the shorter side to SHORTEST_SIDE,
 * limited by IMAGE_MAX_SIDE for the longer one. */
static uint32_t factor_of(const image_rgb *p) {
  const uint32_t shorter = p->width < p->height ? p->width : p->height;
  const uint32_t longer = p->width < p->height ? p->height : p->width;
  const uint32_t wanted = (SHORTEST_SIDE + shorter - 1) / shorter, max = IMAGE_MAX_SIDE / longer;
  return wanted < max ? wanted : max;
}

static float largest(const class_map *m, uint32_t class_index) {
  float max = 0;
  for (uint32_t y = 0; y < m->height; y++)
    for (uint32_t x = 0; x < m->width; x++) max = fmaxf(max, value_at(m, y, x, class_index));
  return max;
}

static bool write_file(const char *path, overlay *o, uint32_t width, uint32_t height,
                       resnet_error *error) {
  output_file file;
  if (!cli_output_open(&file, path, error)) return false;
  if (image_write_png(file.stream, width, height, make_row, o, error))
    return cli_output_commit(&file, error);
  cli_output_abandon(&file);
  return false;
}

bool class_map_write_image(const char *path, const image_rgb *p,
                           const resnet_preprocess *preprocess, const class_map *m,
                           uint32_t class_index, uint32_t *width, uint32_t *height,
                           resnet_error *error) {
  overlay o = {.image = p, .map = m, .class_index = class_index};
  geometry_axis columns;
  o.factor = factor_of(p);
  o.max = largest(m, class_index);
  *width = p->width * o.factor;
  *height = p->height * o.factor;
  geometry_axes(preprocess, p->width, p->height, &columns, &o.rows);
  o.columns = cli_allocate(*width, sizeof *o.columns);
  for (uint32_t x = 0; x < *width; x++) o.columns[x] = place_of(&columns, x, o.factor, m->width);
  const bool ok = write_file(path, &o, *width, *height, error);
  free(o.columns);
  return ok;
}
