#include "runtime/plan_file/format.h"

bool plan_file_align(uint64_t *size) {
  if (*size > UINT64_MAX - (PLAN_ALIGNMENT - 1)) return false;
  *size = (*size + PLAN_ALIGNMENT - 1) / PLAN_ALIGNMENT * PLAN_ALIGNMENT;
  return true;
}
