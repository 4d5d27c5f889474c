#include "cli/report/svg_plot.h"

#include <math.h>
#include <string.h>

#include "cli/report/markup.h"
#include "cli/report/svg.h"

static const double broad_width = 600, plot_height = 290, right = 16, line_height = 20, below = 52;
enum { MAX_Y_TICKS = 7, SMALL_POINTS = 70 };

/* Half the width of the ends of a range: that of the first series, how much it grows with
 * each series, and the largest. */
static const double first_cap = 3, cap_step = 2, max_cap = 9;

/* Limits for the points of all series together, which keep pages small: above
 * MAX_TOOLTIPS points have no tooltips, above MAX_MARKED no markers. Narrow plots have no
 * tooltips, since touch screens show none. */
enum { MAX_TOOLTIPS = 700, MAX_MARKED = 4000, MAX_NARROW_MARKED = 400 };

typedef struct scale {
  double min, max; /* range of the axis; logarithms of it if `logarithmic` */
  double from, to; /* their pixels */
  bool logarithmic;
  double ticks[SVG_MAX_TICKS];
  size_t tick_count;
  double step;
} scale;

typedef struct canvas {
  FILE *out;
  const svg_plot *plot;
  scale x, y;
  double top;        /* y of the plot's top, below the legend */
  double left, edge; /* x of the plot's left and right edge, around x.from to x.to */
  size_t points;     /* of all series */
  double width;      /* the whole drawing's */
  bool narrow;
} canvas;

/* ---- scales ---- */

static double x_of(const svg_series *s, size_t i) { return s->x ? s->x[i] : (double)i + 1; }

static void widen(double value, double *min, double *max) {
  if (!isfinite(value)) return;
  *min = fmin(*min, value);
  *max = fmax(*max, value);
}

static void find_range(const svg_plot *p, bool of_y, double *min, double *max) {
  *min = INFINITY;
  *max = -INFINITY;
  for (size_t i = 0; i < p->series_count; i++) {
    const svg_series *s = &p->series[i];
    if (of_y && p->own_levels) widen(s->level, min, max);
    for (size_t j = 0; j < s->count; j++) {
      widen(of_y ? s->y[j] : x_of(s, j), min, max);
      if (of_y && s->low) widen(s->low[j], min, max);
      if (of_y && s->high) widen(s->high[j], min, max);
    }
  }
  if (of_y && p->level_name && !p->own_levels) widen(p->level, min, max);
}

static void set_log_scale(scale *s, double min, double max, size_t ticks) {
  s->logarithmic = true;
  s->min = log10(min) - 0.04;
  s->max = log10(max) + 0.04;
  s->tick_count = svg_log_ticks(pow(10, s->min), pow(10, s->max), ticks, s->ticks);
  if (s->tick_count >= 2) return;
  /* The range is shorter than the distance of ticks: extend it to whole powers of 10. */
  s->min = floor(s->min);
  s->max = ceil(s->max);
  s->tick_count = svg_log_ticks(pow(10, s->min), pow(10, s->max), ticks, s->ticks);
}

/* Set a scale from 0, or a tick below `min`, to the first tick that is not below
 * `max`. */
static void set_linear_scale(scale *s, double min, double max, bool whole, size_t ticks) {
  s->min = fmin(min, 0);
  s->max = max > s->min ? max : s->min + 1;
  size_t count = svg_ticks(s->min, s->max, ticks - 1, whole, &s->step, s->ticks);
  if (count == 0) return;
  s->min = floor(s->min / s->step + 1e-9) * s->step;
  s->max = ceil(s->max / s->step - 1e-9) * s->step;
  s->tick_count = svg_ticks(s->min, s->max + s->step * 1e-6, ticks, whole, &s->step, s->ticks);
}

static void set_scale(scale *s, const svg_axis *axis, double min, double max, size_t ticks) {
  if (axis->min < axis->max) {
    s->min = axis->min;
    s->max = axis->max;
    s->tick_count = svg_ticks(s->min, s->max, ticks, axis->whole, &s->step, s->ticks);
    return;
  }
  if (!isfinite(min)) min = max = 1;
  if (axis->logarithmic && min > 0)
    set_log_scale(s, min, max, ticks);
  else
    set_linear_scale(s, min, max, axis->whole, ticks);
}

static double place_on(const scale *s, double value) {
  double at = s->logarithmic ? log10(value) : value;
  return s->from + (at - s->min) / (s->max - s->min) * (s->to - s->from);
}

/* Set a scale for blocks or layers: numbers from 1, with a margin of one half. */
static void set_numbered_scale(scale *s, double max, size_t ticks) {
  s->min = 0.5;
  s->max = fmax(1, max) + 0.5;
  s->tick_count = svg_ticks(s->min, s->max, ticks, true, &s->step, s->ticks);
  if (s->step > 1 && s->tick_count + 1 < SVG_MAX_TICKS) {
    memmove(s->ticks + 1, s->ticks, s->tick_count * sizeof *s->ticks);
    s->ticks[0] = 1;
    s->tick_count++;
  }
}

/* ---- axes ---- */

static double label_width(const scale *s) {
  double widest = 0;
  char text[SVG_NUMBER_SIZE];
  for (size_t i = 0; i < s->tick_count; i++)
    widest = fmax(widest, svg_text_width(svg_number(text, s->ticks[i], s->step)));
  return widest;
}

static void write_y_axis(const canvas *c) {
  char text[SVG_NUMBER_SIZE];
  for (size_t i = 0; i < c->y.tick_count; i++) {
    double y = place_on(&c->y, c->y.ticks[i]);
    (void)fprintf(c->out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
                  c->left, y, c->edge, y);
    (void)fprintf(c->out, "<text class=\"tick end\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", c->left - 8,
                  y + 4.5, svg_number(text, c->y.ticks[i], c->y.step));
  }
  (void)fprintf(
      c->out, "<text class=\"axis-title\" transform=\"translate(16 %.1f) rotate(-90)\">%s</text>\n",
      (c->y.from + c->y.to) / 2, c->plot->y.title);
}

static void write_x_axis(const canvas *c) {
  char text[SVG_NUMBER_SIZE];
  double free_from = 0;
  for (size_t i = 0; i < c->x.tick_count; i++) {
    double x = place_on(&c->x, c->x.ticks[i]);
    (void)svg_number(text, c->x.ticks[i], c->x.step);
    double half = svg_text_width(text) / 2;
    (void)fprintf(c->out, "<line class=\"axis\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
                  x, c->y.from, x, c->y.from + 5);
    if (x - half < free_from || x + half > c->width) continue;
    (void)fprintf(c->out, "<text class=\"tick middle\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", x,
                  c->y.from + 20, text);
    free_from = x + half + 4;
  }
  (void)fprintf(c->out, "<line class=\"axis\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                c->left, c->y.from, c->edge, c->y.from);
  (void)fprintf(c->out, "<text class=\"axis-title\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                (c->x.from + c->x.to) / 2, c->y.from + 43, c->plot->x.title);
}

static void write_guides(const canvas *c) {
  if (c->plot->diagonal)
    (void)fprintf(c->out,
                  "<line class=\"guide\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                  c->x.from, c->y.from, c->x.to, c->y.to);
  if (!c->plot->level_name || c->plot->own_levels) return;
  double y = place_on(&c->y, c->plot->level);
  (void)fprintf(c->out, "<line class=\"guide\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                c->left, y, c->edge, y);
}

/* ---- marks ---- */

static const char *const shapes[SVG_MARKERS] = {"m-1 0a1 1 0 1 0 2 0a1 1 0 1 0 -2 0z",
                                                "m-.9 -.9h1.8v1.8h-1.8z",
                                                "m0 -1.2l1.1 2h-2.2z",
                                                "m0 -1.3l1.3 1.3l-1.3 1.3l-1.3 -1.3z",
                                                "m0 1.2l1.1 -2h-2.2z",
                                                "m-.4 -1.2h.8v.8h.8v.8h-.8v.8h-.8v-.8h-.8v-.8h.8z"};

static void write_marker(FILE *out, const svg_series *s, double x, double y, double r) {
  (void)fprintf(out,
                "<path class=\"%s\" transform=\"translate(%.1f %.1f) scale(%.1f)\" d=\"M0 0%s\"",
                s->hollow ? "hollow" : "filled", x, y, r, shapes[s->marker % SVG_MARKERS]);
}

static bool has_tooltips(const canvas *c) { return !c->narrow && c->points <= MAX_TOOLTIPS; }

static void write_tooltip(const canvas *c, const svg_series *s, size_t i) {
  char text[SVG_NUMBER_SIZE];
  (void)fputs("<title>", c->out);
  markup_html_text(c->out, s->name);
  (void)fprintf(c->out, ", %s", svg_number(text, x_of(s, i), 0));
  if (s->details) {
    (void)fputs(", ", c->out);
    markup_html_text(c->out, s->details[i]);
  }
  (void)fprintf(c->out, ": %s", svg_number(text, s->y[i], 0));
  if (s->low && s->high) {
    (void)fprintf(c->out, " (%s to ", svg_number(text, s->low[i], 0));
    (void)fprintf(c->out, "%s)", svg_number(text, s->high[i], 0));
  }
  (void)fputs("</title>", c->out);
}

static bool is_drawn(const canvas *c, const svg_series *s, size_t i) {
  return isfinite(x_of(s, i)) && isfinite(s->y[i]) && (!c->y.logarithmic || s->y[i] > 0);
}

static void write_line(const canvas *c, const svg_series *s) {
  char pen = 'M';
  (void)fprintf(c->out, "<path class=\"%s\" d=\"", s->dashed ? "line dashed" : "line");
  for (size_t i = 0; i < s->count; i++) {
    if (!is_drawn(c, s, i)) {
      pen = 'M';
      continue;
    }
    (void)fprintf(c->out, "%c%.1f %.1f", pen, place_on(&c->x, x_of(s, i)),
                  place_on(&c->y, s->y[i]));
    pen = 'L';
  }
  (void)fputs("\"/>\n", c->out);
}

/* Draw a range. Its ends are wider for later series, so that ranges at the same place can
 * be distinguished. */
static void write_range(const canvas *c, const svg_series *s, size_t i, double x) {
  if (!s->low || !s->high || !isfinite(s->low[i]) || !isfinite(s->high[i])) return;
  const double low = place_on(&c->y, s->low[i]), high = place_on(&c->y, s->high[i]);
  const double cap = fmin(max_cap, first_cap + cap_step * (double)(s - c->plot->series));
  (void)fprintf(c->out, "<path class=\"range\" d=\"M%.1f %.1fh%gm%g 0V%.1fm%g 0h%g\"/>", x - cap,
                low, 2 * cap, -cap, high, -cap, 2 * cap);
}

static void write_level(const canvas *c, const svg_series *s) {
  if (!isfinite(s->level)) return;
  char text[SVG_NUMBER_SIZE];
  double y = place_on(&c->y, s->level);
  (void)fprintf(c->out, "<path class=\"%s\" d=\"M%.1f %.1fH%.1f\"><title>",
                s->dashed ? "level dashed" : "level", c->left, y, c->edge);
  markup_html_text(c->out, s->name);
  (void)fprintf(c->out, ", %s: %s</title></path>\n", c->plot->level_name,
                svg_number(text, s->level, 0));
}

/* Write all markers as one path, which needs a third of the space of separate ones. */
static void write_joint_markers(const canvas *c, const svg_series *s, double r) {
  (void)fprintf(c->out, "<path class=\"%s\" transform=\"scale(%.1f)\" d=\"",
                s->hollow ? "hollow" : "filled", r);
  for (size_t i = 0; i < s->count; i++)
    if (is_drawn(c, s, i))
      (void)fprintf(c->out, "M%.2f %.2f%s", place_on(&c->x, x_of(s, i)) / r,
                    place_on(&c->y, s->y[i]) / r, shapes[s->marker % SVG_MARKERS]);
  (void)fputs("\"/>\n", c->out);
}

static void write_points(const canvas *c, const svg_series *s) {
  const double radius = s->count > SMALL_POINTS ? 2.2 : c->narrow ? 2.8 : 3.6;
  for (size_t i = 0; i < s->count; i++) {
    if (!is_drawn(c, s, i)) continue;
    const double x = place_on(&c->x, x_of(s, i));
    write_range(c, s, i, x);
    if (!has_tooltips(c)) continue;
    write_marker(c->out, s, x, place_on(&c->y, s->y[i]), radius);
    (void)fputc('>', c->out);
    write_tooltip(c, s, i);
    (void)fputs("</path>\n", c->out);
  }
  if (!has_tooltips(c)) write_joint_markers(c, s, radius);
}

static void write_bar(const canvas *c, const svg_series *s, size_t i, double x, double bar) {
  const double floor_y = place_on(&c->y, 0), y = place_on(&c->y, s->y[i]);
  if (!has_tooltips(c)) { /* part of a path of all bars */
    (void)fprintf(c->out, "M%.1f %.1fh%.1fV%.1fh%.1fz", x, floor_y, bar, y, -bar);
    return;
  }
  (void)fprintf(c->out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">",
                s->hollow ? "bar hollow" : "bar filled", x, fmin(y, floor_y), bar,
                fabs(floor_y - y));
  write_tooltip(c, s, i);
  (void)fputs("</rect>\n", c->out);
}

static void write_bars(const canvas *c, size_t index) {
  const svg_series *s = &c->plot->series[index];
  double slot = place_on(&c->x, 2) - place_on(&c->x, 1);
  double bar = fmin(28, slot * 0.8 / (double)c->plot->series_count);
  double shift = ((double)index - (double)c->plot->series_count / 2) * bar;
  if (!has_tooltips(c))
    (void)fprintf(c->out, "<path class=\"%s\" d=\"", s->hollow ? "bar hollow" : "bar filled");
  for (size_t i = 0; i < s->count; i++)
    if (isfinite(s->y[i])) write_bar(c, s, i, place_on(&c->x, x_of(s, i)) + shift, bar * 0.92);
  if (!has_tooltips(c)) (void)fputs("\"/>\n", c->out);
}

static void write_series(const canvas *c) {
  const bool marked = c->points <= (c->narrow ? MAX_NARROW_MARKED : MAX_MARKED);
  for (size_t i = 0; i < c->plot->series_count; i++) {
    const svg_series *s = &c->plot->series[i];
    (void)fprintf(c->out, "<g class=\"colour-%u\">\n", s->colour % SVG_COLOURS);
    if (c->plot->own_levels) write_level(c, s);
    if (c->plot->bars) {
      write_bars(c, i);
    } else {
      if (!s->unjoined) write_line(c, s);
      if (marked || s->unjoined) write_points(c, s);
    }
    (void)fputs("</g>\n", c->out);
  }
}

/* ---- the legend, above the plot so that it hides nothing ---- */

static size_t legend_letters(const canvas *c) { return c->narrow ? 30 : 40; }

static double legend_width(const canvas *c, const char *name) {
  double max = (double)legend_letters(c) * svg_text_width("n");
  return 46 + fmin(svg_text_width(name), max) + 10;
}

static void write_sample(const canvas *c, const svg_series *s, double x, double y) {
  if (c->plot->bars) {
    (void)fprintf(c->out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"24\" height=\"11\"/>",
                  s->hollow ? "bar hollow" : "bar filled", x + 8, y - 6);
    return;
  }
  if (!s->unjoined)
    (void)fprintf(c->out, "<path class=\"%s\" d=\"M%.1f %.1fh34\"/>",
                  s->dashed ? "line dashed" : "line", x + 2, y);
  write_marker(c->out, s, x + 19, y, 4);
  (void)fputs("/>", c->out);
}

/* Lay out the legend: an entry for each series, and one for the level. Write it if
 * `written`. Return its height. */
static double lay_out_legend(const canvas *c, bool written) {
  double x = 14, y = 16;
  size_t count = c->plot->series_count + (c->plot->level_name != NULL);
  for (size_t i = 0; i < count; i++) {
    const svg_series *s = i < c->plot->series_count ? &c->plot->series[i] : NULL;
    const char *name = s ? s->name : c->plot->level_name;
    double needed = legend_width(c, name);
    if (x > 14 && x + needed > c->width - right) {
      x = 14;
      y += line_height;
    }
    if (written) {
      (void)fprintf(c->out, "<g class=\"legend colour-%u\">", s ? s->colour % SVG_COLOURS : 0);
      if (s)
        write_sample(c, s, x, y);
      else
        (void)fprintf(c->out, "<path class=\"%s\" d=\"M%.1f %.1fh34\"/>",
                      c->plot->own_levels ? "level neutral" : "guide", x + 2, y);
      (void)fprintf(c->out, "<text x=\"%.1f\" y=\"%.1f\">", x + 43, y + 4.5);
      markup_html_shortened(c->out, name, legend_letters(c));
      (void)fputs("</text></g>\n", c->out);
    }
    x += needed;
  }
  return y + line_height;
}

/* ---- the plot ---- */

static void set_scales(canvas *c) {
  const svg_plot *p = c->plot;
  double min, max;
  find_range(p, true, &min, &max);
  c->y.from = c->top + plot_height;
  c->y.to = c->top;
  set_scale(&c->y, &p->y, min, max, MAX_Y_TICKS);
  c->left = 40 + label_width(&c->y);
  c->edge = c->width - right;
  bool ranges = p->series_count > 0 && p->series[0].low;
  double room = ranges ? 1 + max_cap : 0;
  size_t ticks = c->narrow ? 6 : 12;
  c->x.from = c->left + room;
  c->x.to = c->edge - room;
  bool numbered = p->bars || p->x.whole;
  for (size_t i = 0; i < p->series_count; i++) numbered &= p->bars || p->series[i].x == NULL;
  find_range(p, false, &min, &max);
  if (numbered)
    set_numbered_scale(&c->x, max, ticks);
  else
    set_scale(&c->x, &p->x, min, max, ticks);
}

void svg_write_plot(const svg_place *place, const svg_plot *plot) {
  canvas c = {.out = place->out, .plot = plot, .narrow = place->narrow};
  c.width = place->narrow ? SVG_NARROW_WIDTH : broad_width;
  for (size_t i = 0; i < plot->series_count; i++) c.points += plot->series[i].count;
  c.top = lay_out_legend(&c, false);
  set_scales(&c);
  svg_begin(place, plot->title, plot->description, c.width, c.top + plot_height + below);
  (void)lay_out_legend(&c, true);
  write_y_axis(&c);
  write_guides(&c);
  write_series(&c);
  write_x_axis(&c);
  svg_end(place);
}
