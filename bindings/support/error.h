/* Errors that a function returns to its caller. */
#ifndef RESNET_SUPPORT_ERROR_H
#define RESNET_SUPPORT_ERROR_H

#include <stdbool.h>

#include "resnet.h"

/* Lets the compiler check the arguments of a function like printf. */
#if defined(__GNUC__)
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#else
#define PRINTF_LIKE(text, first)
#endif

/* Fill *error and return false, so that a function can fail with
 * `return error_set(...)`. */
bool error_set(resnet_error *error, resnet_status status, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
