/* What the commands print about a model, as text and as JSON. */
#ifndef RESNET_CLI_MODEL_TEXT_H
#define RESNET_CLI_MODEL_TEXT_H

#include "cli/model.h"
#include "support/json.h"

/* Print a note if the preprocessing is a guess or is read from the graph, unless --quiet
 * is set. */
void cli_model_print_guess(const settings *s, const loaded_model *m);

/* Print the model and its preprocessing, a line each; also what its scores are and where
 * the names come from, if a user should know. */
void cli_model_print(const loaded_model *m);

/* Write the members "model", "notice" (null: none), "scores", "labels_source" and
 * "preprocess". */
void cli_model_write_json(const loaded_model *m, json *j);

/* Return what the scores are, e.g. "logits" or "multi-label". */
const char *cli_model_scores_name(resnet_scores scores);

/* Print the diagnostics of the file, one a line; write them as member "findings". */
void cli_model_print_diagnostics(const loaded_model *m);
void cli_model_write_diagnostics(const loaded_model *m, json *j);

#endif
