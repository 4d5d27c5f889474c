#include "support/error.h"

#include <stdarg.h>
#include <stdio.h>

bool error_set(resnet_error *error, resnet_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  error->status = status;
  (void)vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
  return false;
}
