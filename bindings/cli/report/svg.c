#include "cli/report/svg.h"

#include <math.h>
#include <string.h>

#include "cli/report/assets.h"
#include "cli/report/markup.h"

/* Average width of a 13-pixel letter in the widest common font (DejaVu Sans). */
static const double letter_width = 8.0, wide_letter_width = 14.0, heading_letter_width = 10.0;

double svg_text_width(const char *text) {
  double width = 0;
  for (; *text; text++) {
    unsigned char byte = (unsigned char)*text;
    if ((byte & 0xc0) == 0x80) continue;
    width += byte >= 0xe1 ? wide_letter_width : letter_width;
  }
  return width;
}

/* ---- ticks ---- */

/* Return the smallest of 1, 2 and 5 times a power of 10 that is not below `min`. */
static double round_step(double min) {
  double power = pow(10, floor(log10(min)));
  static const double steps[] = {1, 2, 5, 10};
  for (size_t i = 0; i < 3; i++)
    if (steps[i] * power >= min * (1 - 1e-9)) return steps[i] * power;
  return 10 * power;
}

size_t svg_ticks(double low, double high, size_t max, bool whole, double *step,
                 double ticks[SVG_MAX_TICKS]) {
  *step = 0;
  if (!isfinite(low) || !isfinite(high) || high <= low || high - low < fabs(high) * 1e-12) return 0;
  *step = round_step((high - low) / (double)(max - 1));
  if (whole && *step < 1) *step = 1;
  double first = ceil(low / *step - 1e-9), last = floor(high / *step + 1e-9);
  size_t count = 0;
  for (double i = first; i <= last && count < max; i++)
    ticks[count++] = fabs(i) < 0.5 ? 0 : i * *step;
  return count;
}

static size_t log_ticks(double low, double high, bool tens_only, double ticks[SVG_MAX_TICKS]) {
  static const double steps[] = {1, 2, 5};
  size_t count = 0;
  for (double power = floor(log10(low)); power <= log10(high) && count < SVG_MAX_TICKS; power++) {
    for (size_t i = 0; i < (tens_only ? 1u : 3u) && count < SVG_MAX_TICKS; i++) {
      double tick = steps[i] * pow(10, power);
      if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks[count++] = tick;
    }
  }
  return count;
}

size_t svg_log_ticks(double low, double high, size_t max, double ticks[SVG_MAX_TICKS]) {
  if (!(low > 0) || !(high > low)) return 0;
  size_t count = log_ticks(low, high, false, ticks);
  if (count <= max) return count;
  count = log_ticks(low, high, true, ticks);
  size_t stride = (count + max - 1) / max, kept = 0;
  for (size_t i = 0; i < count; i += stride) ticks[kept++] = ticks[i];
  return kept;
}

static void group_thousands(char out[SVG_NUMBER_SIZE], const char *digits) {
  size_t length = strlen(digits), at = 0;
  for (size_t i = 0; i < length && at + 2 < SVG_NUMBER_SIZE; i++) {
    if (i > 0 && (length - i) % 3 == 0) out[at++] = ',';
    out[at++] = digits[i];
  }
  out[at] = '\0';
}

const char *svg_number(char out[SVG_NUMBER_SIZE], double value, double step) {
  double size = fabs(value), unit = step > 0 ? step : size;
  const char *sign = value < 0 ? "\xe2\x88\x92" : "";
  char digits[SVG_NUMBER_SIZE], grouped[SVG_NUMBER_SIZE];
  if (size >= 1e9 || (size > 0 && unit < 1e-4))
    (void)snprintf(grouped, sizeof grouped, "%.3g", size);
  else if (step <= 0) {
    (void)snprintf(grouped, sizeof grouped, "%.4g", size);
  } else {
    int decimals = step >= 1 ? 0 : (int)ceil(-log10(step) - 1e-9);
    (void)snprintf(digits, sizeof digits, "%.*f", decimals, size);
    if (size >= 10000 && decimals == 0)
      group_thousands(grouped, digits);
    else
      (void)snprintf(grouped, sizeof grouped, "%s", digits);
  }
  (void)snprintf(out, SVG_NUMBER_SIZE, "%s%.24s", sign, grouped);
  return out;
}

/* ---- the frame ---- */

static void write_element(FILE *out, const char *name, const char *id, const char *text) {
  (void)fprintf(out, "<%s id=\"%s-%s\">", name, id, name);
  markup_html_text(out, text);
  (void)fprintf(out, "</%s>\n", name);
}

void svg_begin(const svg_place *place, const char *title, const char *description, double width,
               double height) {
  FILE *out = place->out;
  /* space for the title, which a page has in a heading instead */
  double above = place->alone ? 34 : 0;
  if (place->alone) (void)fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", out);
  (void)fprintf(
      out,
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot%s\" id=\"%s\" viewBox=\"0 %g %g %g\"",
      place->narrow  ? " narrow"
      : place->alone ? ""
                     : " broad",
      place->id, -above, width, height + above);
  if (place->alone) (void)fprintf(out, " width=\"%g\" height=\"%g\"", width, height + above);
  (void)fprintf(out, " role=\"img\" aria-labelledby=\"%s-title %s-desc\">\n", place->id, place->id);
  write_element(out, "title", place->id, title);
  write_element(out, "desc", place->id, description);
  if (!place->alone) return;
  (void)fputs("<style>\n", out);
  (void)fwrite(report_plot_css, 1, report_plot_css_size, out);
  (void)fprintf(out,
                "</style>\n<rect class=\"paper\" x=\"0\" y=\"%g\" width=\"%g\" height=\"%g\"/>\n",
                -above, width, height + above);
  (void)fprintf(out, "<text class=\"heading\" x=\"14\" y=\"-10\">");
  markup_html_shortened(out, title, (size_t)((width - 28) / heading_letter_width));
  (void)fputs("</text>\n", out);
}

void svg_end(const svg_place *place) { (void)fputs("</svg>\n", place->out); }
