/* Fill in the caller's resnet_error, once, where the failure is found. Callers above pass
 * only the status on. */
#ifndef LIBRESNET_LOADER_BASE_ERROR_H
#define LIBRESNET_LOADER_BASE_ERROR_H

#include "resnet.h"

/* Set *error (NULL allowed) to `status` and the formatted message. Cut it to fit and
 * mask it (mask.h). Return `status`, so that a failing function ends in
 * `return err_fail(...)`. */
resnet_status err_fail(resnet_error *error, resnet_status status, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* Fail with RESNET_ERROR_ARGUMENT: the function's argument is NULL. */
resnet_status err_null(resnet_error *error, const char *function, const char *argument);

/* Fail with RESNET_ERROR_MEMORY: the allocation of `what` failed. */
resnet_status err_no_memory(resnet_error *error, const char *what);

/* Fail with RESNET_ERROR_IO: the file "cannot be <action>", and the text of the errno
 * `code`. */
resnet_status err_from_errno(resnet_error *error, const char *action, int code);

/* Set *error (NULL allowed) to success. Return RESNET_OK. */
resnet_status err_clear(resnet_error *error);

/* Put "prefix: ", e.g. the file's path, before the message in *error. Return the status
 * in *error, or `status` if `error` is NULL. */
resnet_status err_add_prefix(resnet_error *error, resnet_status status, const char *prefix);

#endif
