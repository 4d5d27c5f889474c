/* Text from files and their names, on its way into HTML, SVG and CSV: nothing in it must
 * act there. */
#ifndef RESNET_CLI_REPORT_MARKUP_H
#define RESNET_CLI_REPORT_MARKUP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* For text between tags and within quoted attributes, of HTML and of XML. What XML cannot
 * hold, bytes that are no UTF-8 and characters that turn the direction of writing become
 * U+FFFD. */
void markup_html_text(FILE *out, const char *text);

/* The same, with at most `most` characters: the middle of longer text becomes an
 * ellipsis. */
void markup_html_shortened(FILE *out, const char *text, size_t max);

/* A cell of CSV (RFC 4180). Spreadsheets take text that begins with one of = + - @ for a
 * formula: such gets a ' in front. */
void markup_csv_text(FILE *out, const char *text);

void markup_write_base64(FILE *out, const uint8_t *bytes, size_t size);

#endif
