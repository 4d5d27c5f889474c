/* NumPy's .npy format, version 1.0: a matrix of float32. */
#ifndef RESNET_CLI_NPY_H
#define RESNET_CLI_NPY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Write the header of a matrix. It has the same size for all matrices, so that it can be
 * written again at the start of the file when the number of rows is known. The rows
 * follow as floats in the byte order of this machine. */
bool cli_npy_write_header(FILE *out, uint64_t rows, uint64_t columns);

#endif
