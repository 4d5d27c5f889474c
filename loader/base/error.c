#include "loader/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/mask.h"

resnet_status err_fail(resnet_error *error, resnet_status status, const char *format, ...) {
  if (error) {
    va_list arguments;
    va_start(arguments, format);
    error->status = status;
    (void)vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    mask_text(error->message);
  }
  return status;
}

resnet_status err_null(resnet_error *error, const char *function, const char *argument) {
  return err_fail(error, RESNET_ERROR_ARGUMENT, "%s: `%s` is NULL", function, argument);
}

resnet_status err_no_memory(resnet_error *error, const char *what) {
  return err_fail(
      error, RESNET_ERROR_MEMORY,
      "no memory for %s: the allocation failed or the budget (max_memory_bytes) is used up", what);
}

resnet_status err_from_errno(resnet_error *error, const char *action, int code) {
  char reason[96] = "";
  if (strerror_r(code, reason, sizeof reason) != 0) reason[0] = '\0';
  return err_fail(error, RESNET_ERROR_IO, "cannot be %s: %s", action, reason);
}

resnet_status err_clear(resnet_error *error) {
  if (error) {
    error->status = RESNET_OK;
    error->message[0] = '\0';
  }
  return RESNET_OK;
}

resnet_status err_add_prefix(resnet_error *error, resnet_status status, const char *prefix) {
  if (!error) return status;
  char message[RESNET_ERROR_MESSAGE_SIZE];
  memcpy(message, error->message, sizeof message);
  return err_fail(error, error->status, "%.100s: %s", prefix, message);
}
