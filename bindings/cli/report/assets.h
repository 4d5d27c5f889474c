/* Files compiled into the program; cmake/EmbedFile.cmake writes their sources. */
#ifndef RESNET_CLI_REPORT_ASSETS_H
#define RESNET_CLI_REPORT_ASSETS_H

#include <stddef.h>

extern const unsigned char report_plot_css[], report_page_css[], report_page_js[];
extern const size_t report_plot_css_size, report_page_css_size, report_page_js_size;

#endif
