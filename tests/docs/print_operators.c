/* Print the loader's table of operators as Markdown, for docs/operators.md. */
#include <stdio.h>
#include <string.h>

#include "loader/import/operators.h"
#include "loader/onnx/onnx_parse.h"

/* Count the rows of one operator, which follow each other, oldest opset first. */
static size_t count_rows(const op_row *rows, size_t left) {
  size_t count = 1;
  while (count < left && strcmp(rows[count].name, rows[0].name) == 0) count++;
  return count;
}

static const char *role_of(const op_row *row) {
  if (row->import && row->fold) return "activations, constants";
  return row->import ? "activations" : "constants, shapes";
}

static void print_inputs(const op_row *row) {
  if (row->inputs_max == INT32_MAX)
    (void)printf("%zu or more", row->inputs_min);
  else if (row->inputs_min == row->inputs_max)
    (void)printf("%zu", row->inputs_min);
  else
    (void)printf("%zu to %zu", row->inputs_min, row->inputs_max);
}

/* Print one line for each row of an operator. */
static void print_operator(const op_row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    (void)printf("| %s | %d to %d | %s | ", rows[i].name, rows[i].since, rows[i].until,
                 role_of(&rows[i]));
    print_inputs(&rows[i]);
    (void)printf(" | %s |\n", rows[i].attributes);
  }
}

int main(void) {
  size_t count;
  const op_row *rows = op_table(&count);
  (void)printf("Opset %d to %d, IR version %d to %d.\n\n", ONNX_OPSET_MIN, ONNX_OPSET_MAX,
               ONNX_IR_MIN, ONNX_IR_MAX);
  (void)printf("| operator | opsets | operands | inputs | attributes |\n|---|---|---|---|---|\n");
  for (size_t i = 0, n; i < count; i += n) {
    n = count_rows(rows + i, count - i);
    print_operator(rows + i, n);
  }
  return 0;
}
