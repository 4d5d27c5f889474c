#include "cli/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/memory.h"
#include "support/error.h"

enum { MAX_ATTEMPTS = 100, SUFFIX_SIZE = 48 };

void cli_signals_hold(sigset_t *before) {
  sigset_t held;
  (void)sigemptyset(&held);
  (void)sigaddset(&held, SIGHUP);
  (void)sigaddset(&held, SIGINT);
  (void)sigaddset(&held, SIGQUIT);
  (void)sigaddset(&held, SIGTERM);
  (void)pthread_sigmask(SIG_BLOCK, &held, before);
}

void cli_signals_release(const sigset_t *before) {
  (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* Refuse devices and folders: renaming would replace them with a file. */
static bool may_replace(const char *path, resnet_error *error) {
  struct stat old;
  if (lstat(path, &old) != 0 || S_ISREG(old.st_mode) || S_ISLNK(old.st_mode)) return true;
  return error_set(error, RESNET_ERROR_ARGUMENT,
                   "exists and is not a regular file; name a file to write");
}

bool cli_output_is_other(const char *path, const char *input, const char *what,
                         resnet_error *error) {
  struct stat old, read;
  if (!input || stat(path, &old) != 0 || stat(input, &read) != 0) return true;
  if (old.st_dev != read.st_dev || old.st_ino != read.st_ino) return true;
  return error_set(error, RESNET_ERROR_ARGUMENT, "is the %s itself; name another file to write",
                   what);
}

/* Create "PATH.PROCESS-ATTEMPT.tmp" with the permissions of any new file. */
static FILE *create_beside(output_file *o) {
  const size_t size = strlen(o->path) + SUFFIX_SIZE;
  int file = -1;
  o->temporary = cli_allocate(size, 1);
  for (int attempt = 0; attempt < MAX_ATTEMPTS && file < 0; attempt++) {
    (void)snprintf(o->temporary, size, "%s.%ld-%d.tmp", o->path, (long)getpid(), attempt);
    file = open(o->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
    if (file < 0 && errno != EEXIST) break;
  }
  if (file < 0) return NULL;
  FILE *stream = fdopen(file, "wb");
  if (stream) return stream;
  (void)close(file);
  (void)unlink(o->temporary);
  return NULL;
}

static void finish(output_file *o) {
  free(o->temporary);
  o->temporary = NULL;
  o->stream = NULL;
  cli_signals_release(&o->before);
}

bool cli_output_open(output_file *o, const char *path, resnet_error *error) {
  *o = (output_file){.path = path};
  if (!may_replace(path, error)) return false;
  cli_signals_hold(&o->before);
  o->stream = create_beside(o);
  if (o->stream) return true;
  (void)error_set(error, RESNET_ERROR_IO, "cannot be created: %s", strerror(errno));
  finish(o);
  return false;
}

bool cli_is_standard_output(const char *path) {
  static const char *const names[] = {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"};
  for (size_t i = 0; path && i < sizeof names / sizeof names[0]; i++)
    if (strcmp(path, names[i]) == 0) return true;
  return false;
}

bool cli_output_open_standard(output_file *o, resnet_error *error) {
  *o = (output_file){0};
  o->stream = tmpfile();
  return o->stream ||
         error_set(error, RESNET_ERROR_IO, "no temporary file can be created: %s", strerror(errno));
}

static bool copy_to_standard_output(FILE *from) {
  char block[4096];
  size_t got = 1;
  bool ok = fseek(from, 0, SEEK_SET) == 0;
  while (ok && (got = fread(block, 1, sizeof block, from)) > 0)
    ok = fwrite(block, 1, got, stdout) == got;
  return ok && !ferror(from) && fflush(stdout) == 0;
}

/* Write to standard output what was held back. */
static bool write_held(output_file *o, resnet_error *error) {
  const bool ok = copy_to_standard_output(o->stream);
  if (!ok) (void)error_set(error, RESNET_ERROR_IO, "cannot be written: %s", strerror(errno));
  (void)fclose(o->stream);
  return ok;
}

bool cli_output_commit(output_file *o, resnet_error *error) {
  if (!o->path) return write_held(o, error);
  bool ok = fflush(o->stream) == 0 && !ferror(o->stream) && fsync(fileno(o->stream)) == 0;
  int reason = errno;
  if (fclose(o->stream) != 0 && ok) {
    ok = false;
    reason = errno;
  }
  if (!ok)
    (void)error_set(error, RESNET_ERROR_IO, "cannot be written: %s", strerror(reason));
  else if (rename(o->temporary, o->path) != 0)
    ok = error_set(error, RESNET_ERROR_IO, "cannot be renamed to: %s", strerror(errno));
  if (!ok) (void)unlink(o->temporary);
  finish(o);
  return ok;
}

void cli_output_abandon(output_file *o) {
  (void)fclose(o->stream);
  if (!o->path) return;
  (void)unlink(o->temporary);
  finish(o);
}

bool cli_output_save(const char *path, const char *bytes, size_t size, resnet_error *error) {
  output_file o;
  if (!cli_output_open(&o, path, error)) return false;
  /* unbuffered, so that errno belongs to the write that failed */
  (void)setvbuf(o.stream, NULL, _IONBF, 0);
  if (fwrite(bytes, 1, size, o.stream) == size) return cli_output_commit(&o, error);
  (void)error_set(error, RESNET_ERROR_IO, "cannot be written: %s", strerror(errno));
  cli_output_abandon(&o);
  return false;
}

bool cli_output_check(const char *path, resnet_error *error) {
  output_file o;
  if (!cli_output_open(&o, path, error)) return false;
  cli_output_abandon(&o);
  return true;
}
