/* Escaping of text from files and their names for HTML, SVG and CSV, so that it cannot
 * act as markup or as a formula. */
#ifndef RESNET_CLI_REPORT_MARKUP_H
#define RESNET_CLI_REPORT_MARKUP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Write text for use between tags and in quoted attributes of HTML and XML. Characters
 * that XML does not allow, bytes that are not UTF-8, and characters that turn the
 * direction of text become U+FFFD. */
void markup_html_text(FILE *out, const char *text);

/* Do the same with at most `max` characters: an ellipsis replaces the middle of longer
 * text. */
void markup_html_shortened(FILE *out, const char *text, size_t max);

/* Write a cell of CSV (RFC 4180). Put a ' before text that begins with = + - @, a tab or
 * a carriage return, because spreadsheets may take it for a formula. */
void markup_csv_text(FILE *out, const char *text);

void markup_write_base64(FILE *out, const uint8_t *bytes, size_t size);

#endif
