/* The model that a command works with, and labelling images with it. */
#ifndef RESNET_CLI_MODEL_H
#define RESNET_CLI_MODEL_H

#include "cli/options.h"
#include "resnet.h"
#include "support/image.h"
#include "support/json.h"

typedef struct loaded_model {
  resnet_model *model;
  resnet_model_info info;
  const char *file; /* its path, or "built-in model" */
  double load_ms;
} loaded_model;

/* Open the model that the settings name, with the preprocessing that they name. On
 * failure says why on standard error. On success says there what the library has to say
 * about the file, unless --quiet; the caller closes m->model. */
bool cli_model_open(const settings *s, loaded_model *m);

/* The same without a word: why not is the caller's to say. */
bool cli_model_try_open(const settings *s, loaded_model *m, resnet_error *error);

/* Say on standard error that the preprocessing is a guess, if it is one; not with
 * --quiet. */
void cli_model_print_guess(const settings *s, const loaded_model *m);

/* Open a session, or say on standard error why not. */
bool cli_model_open_session(const loaded_model *m, uint32_t threads, uint32_t batch,
                            resnet_observe observe, resnet_session **session);

/* Images to be labelled together: as many, up to 8, as keep their activations in a
 * processor's own cache. */
uint32_t cli_model_automatic_batch(const loaded_model *m);

/* Values to time runs on, the same every time, in [-1, 1). */
void cli_model_random_input(float *values, size_t count);

/* Two lines for people: the model, and how it wants its images. */
void cli_model_print(const loaded_model *m);

/* Members "model", "notice" (null: nothing to say) and "preprocess". */
void cli_model_write_json(const loaded_model *m, json *j);

/* What the library found in the file: a line each for people, member "findings", and
 * whether some are warnings. */
void cli_model_print_diagnostics(const loaded_model *m);
void cli_model_write_diagnostics(const loaded_model *m, json *j);
bool cli_model_has_warnings(const loaded_model *m);

/* An image to be labelled, or why it can't be. */
typedef struct sample {
  image_rgb pixels;
  resnet_error error; /* RESNET_OK while all is well */
} sample;

/* Label the samples that are good: predictions[i * k + j] is sample i's j-th best class.
 * Where the library refuses the whole, each is tried alone, so that it bears its own
 * error. True: all were good, and the session ran each once; an observer may have met
 * some twice else. */
bool cli_model_label(resnet_session *session, sample *samples, size_t count, uint32_t k,
                     resnet_prediction *predictions);

/* The label of a class, or NULL. */
const char *cli_model_class_label(const loaded_model *m, uint32_t index);

#endif
