/* Filling the caller's resnet_error: once, where the failure is found; callers above only
 * pass the status on. */
#ifndef LIBRESNET_LOADER_BASE_ERROR_H
#define LIBRESNET_LOADER_BASE_ERROR_H

#include "resnet.h"

/* Set *error (NULL allowed) to `status` and the formatted message, cut to fit, control
 * characters from files replaced by '?'. Returns `status`, so that a failing function
 * ends in `return err_fail(...)`. */
resnet_status err_fail(resnet_error *error, resnet_status status, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* The usual message for an allocation of `what` that failed. */
resnet_status err_no_memory(resnet_error *error, const char *what);

/* The system's reason, an errno, why the file "cannot be <action>". Returns
 * RESNET_ERROR_IO. */
resnet_status err_from_errno(resnet_error *error, const char *action, int code);

/* Set *error to success. Returns RESNET_OK. */
resnet_status err_clear(resnet_error *error);

/* Put "prefix: " before the message that *error holds (e.g. the file's path). Returns
 * error's status, or `status`. */
resnet_status err_add_prefix(resnet_error *error, resnet_status status, const char *prefix);

/* Names in messages come from files: a terminal must not obey what they contain. Bytes
 * above 0x7f stay (UTF-8). */
void err_mask_control(char *text);

#endif
