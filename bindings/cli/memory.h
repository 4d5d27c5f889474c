/* Memory for the program, which ends if there is none. */
#ifndef RESNET_CLI_MEMORY_H
#define RESNET_CLI_MEMORY_H

#include <stddef.h>

/* Print a message and end the program with EXIT_INPUT. */
_Noreturn void cli_out_of_memory(void);

/* Return zeroed memory for `count` elements of `size` bytes. */
void *cli_allocate(size_t count, size_t size);

/* Return `array`, enlarged if needed, with room for more than `used` elements. */
void *cli_grow(void *array, size_t used, size_t *capacity, size_t size);

/* Return a copy of `text`. */
char *cli_copy_text(const char *text);

#endif
