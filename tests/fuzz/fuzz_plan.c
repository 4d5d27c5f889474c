/* Fuzzes plan files. The mutator changes numbers of the graph, the tables or the weights,
 * then corrects the checksums: otherwise nothing behind the header would be read. */
#include <string.h>

#include "exercise.h"
#include "mutate.h"
#include "plan_seal.h"
#include "runtime/plan_file/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

enum { MAX_NUMBERS = 8192, NUMBER = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  exercise_model(data, size);
  return 0;
}

/* Replace the number at `place` by a near one, a special one, or that of another
 * place. */
static void change_number(uint8_t *data, const size_t *places, size_t count, uint32_t *random) {
  static const uint32_t special[] = {0,          1,          2,          3,         4,     7,
                                     8,          16,         64,         1024,      65535, 65536,
                                     0x7f800000, 0x7fffffff, 0x80000000, 0xffffffff};
  const size_t place = places[next_random(random) % count];
  uint32_t number;
  memcpy(&number, data + place, NUMBER);
  switch (next_random(random) % 4) {
  case 0:
    number = special[next_random(random) % (sizeof special / sizeof *special)];
    break;
  case 1:
    memcpy(&number, data + places[next_random(random) % count], NUMBER);
    break;
  default:
    number += next_random(random) % 5 - 2;
  }
  memcpy(data + place, &number, NUMBER);
}

static void change_graph(uint8_t *data, size_t size, uint32_t *random) {
  static size_t places[MAX_NUMBERS];
  const size_t count = plan_find_numbers(data, size, places, MAX_NUMBERS);
  if (count == 0) return;
  for (uint32_t changes = 1 + next_random(random) % 3; changes > 0; changes--)
    change_number(data, places, count, random);
}

/* Change up to 64 bytes within [from,to), without moving the bytes after them. */
static void change_stretch(uint8_t *data, size_t from, size_t to, uint32_t *random) {
  if (from >= to) return;
  const size_t start = from + next_random(random) % (to - from), left = to - start;
  const size_t size = left < 64 ? left : 64;
  (void)LLVMFuzzerMutate(data + start, size, size);
}

static void correct_header(uint8_t *data, size_t size) {
  plan_file_header h;
  if (size < sizeof h) return;
  memcpy(&h, data, sizeof h);
  memcpy(h.magic, PLAN_MAGIC, sizeof h.magic);
  h.byte_order = PLAN_BYTE_ORDER;
  h.format = PLAN_FORMAT;
  h.file_size = size;
  memcpy(data, &h, sizeof h);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
  uint32_t random = seed | 1;
  const plan_places p = plan_find_places(data, size);
  const uint32_t kind = next_random(&random) % 16;
  if (kind == 0 || !p.tail)
    size = LLVMFuzzerMutate(data, size, max_size);
  else if (kind < 9)
    change_graph(data, size, &random);
  else if (kind < 11)
    change_stretch(data, sizeof(plan_file_header), p.tail, &random);
  else if (kind < 14)
    change_stretch(data, p.tail, p.packed, &random);
  else
    change_stretch(data, p.packed, size, &random);
  if (next_random(&random) % 16 != 0) correct_header(data, size);
  plan_seal(data, size);
  return size;
}
