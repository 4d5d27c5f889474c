/* The table of ONNX operators. */
#ifndef LIBRESNET_LOADER_IMPORT_OPERATORS_H
#define LIBRESNET_LOADER_IMPORT_OPERATORS_H

#include "loader/import/context.h"

typedef resnet_status (*op_handler)(import_context *ctx);

/* How one operator is imported over a range of opsets. */
typedef struct op_row {
  const char *name;
  int since, until; /* opsets */
  size_t inputs_min, inputs_max;
  op_handler import;      /* some input is an activation; NULL: not accepted */
  op_handler fold;        /* all inputs are constants; NULL: not accepted */
  const char *attributes; /* accepted names */
} op_row;

/* Return all rows, sorted by name and opset. The documents' table is made from them,
 * too. */
const op_row *op_table(size_t *count);

/* Import the ONNX node at hand by its row; refuse it by name if there is none. */
resnet_status op_import_node(import_context *ctx);

#endif
