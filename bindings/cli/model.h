/* The model of a command, and how to label images with it. */
#ifndef RESNET_CLI_MODEL_H
#define RESNET_CLI_MODEL_H

#include "cli/label_file.h"
#include "cli/options.h"
#include "resnet.h"
#include "support/image.h"

/* Where the names of the classes come from. */
typedef enum labels_source {
  LABELS_NONE,
  LABELS_FROM_MODEL,
  LABELS_FROM_OPTIONS,
  LABELS_ASSUMED /* ImageNet's, since the model has as many classes and no names */
} labels_source;

typedef struct loaded_model {
  resnet_model *model;
  resnet_model_info info;
  /* Names of the classes: those of --labels, or of ImageNet; info.labels uses them. */
  label_list labels;
  const char **names;
  labels_source labels_source;
  bool wrong_labels; /* --labels could not be read */
  const char *file;  /* its path, "standard input" or "built-in model" */
  uint8_t *bytes;    /* of standard input; NULL otherwise, and once the model is open */
  size_t size;
  int exit_code; /* the program's, if the model cannot be opened; otherwise 0 */
  double load_ms;
} loaded_model;

/* Open the model that the settings name, with the preprocessing and the labels that they
 * name. On failure print the reason. On success print the library's warnings about the
 * file, unless --quiet is set. The caller closes *m. */
bool cli_model_open(const settings *s, loaded_model *m);

/* Like cli_model_open, but print nothing. */
bool cli_model_try_open(const settings *s, loaded_model *m, resnet_error *error);

void cli_model_close(loaded_model *m);

/* Open a session, or print why that failed and return false. */
bool cli_model_open_session(const loaded_model *m, uint32_t threads, uint32_t batch,
                            resnet_observe observe, resnet_session **session);

/* Return a batch size: as many images, up to 8, as keep their activations in the cache of
 * one core. */
uint32_t cli_model_automatic_batch(const loaded_model *m);

/* Fill `values` with random numbers in [-1, 1), the same in every call. */
void cli_model_random_input(float *values, size_t count);

/* Return true if a diagnostic of the file is a warning. */
bool cli_model_has_warnings(const loaded_model *m);

/* An image to label, or the reason why it cannot be labelled. */
typedef struct sample {
  image_rgb pixels;
  resnet_error error; /* status RESNET_OK: no error so far */
} sample;

/* Return the pixels of a sample as the library takes them. */
resnet_image cli_model_image_of(const sample *s);

/* Label the samples without an error. predictions[i * k + j] is the j-th best class of
 * sample i. If the library refuses the batch, label each sample alone, so that each gets
 * its own error. Return true if no sample has an error and the session ran each of them
 * once; otherwise an observer may have seen some samples twice. */
bool cli_model_label(resnet_session *session, sample *samples, size_t count, uint32_t k,
                     resnet_prediction *predictions);

/* Return the label of a class, or NULL. */
const char *cli_model_class_label(const loaded_model *m, uint32_t index);

#endif
