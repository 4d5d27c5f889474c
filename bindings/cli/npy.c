#include "cli/npy.h"

#include <inttypes.h>
#include <string.h>

enum { PREFIX = 10, HEADER = 128 };

static bool is_little_endian(void) {
  const uint16_t one = 1;
  uint8_t first;
  (void)memcpy(&first, &one, 1);
  return first == 1;
}

bool cli_npy_write_header(FILE *out, uint64_t rows, uint64_t columns) {
  char text[HEADER + 1] = "\x93NUMPY\x01";
  const int size = HEADER - PREFIX;
  text[8] = (char)size;
  const int used =
      snprintf(text + PREFIX, (size_t)size + 1,
               "{'descr': '%cf4', 'fortran_order': False, 'shape': (%" PRIu64 ", %" PRIu64 "), }",
               is_little_endian() ? '<' : '>', rows, columns);
  if (used < 0 || used >= size) return false;
  (void)memset(text + PREFIX + used, ' ', (size_t)(size - used));
  text[HEADER - 1] = '\n';
  return fwrite(text, 1, HEADER, out) == HEADER;
}
