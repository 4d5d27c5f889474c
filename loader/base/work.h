/* A budget of work for opening a file, as memory.h has one of bytes.
 *
 * The author of a file chooses how long the loops over it are. Each such loop spends
 * steps, before it runs. The limit grows with the file, so that real models stay far
 * below it, and no file of a few kilobytes can ask for minutes of work. */
#ifndef LIBRESNET_LOADER_BASE_WORK_H
#define LIBRESNET_LOADER_BASE_WORK_H

#include <stdbool.h>
#include <stdint.h>

/* Steps of the usual actions. A step is about a nanosecond; rare actions cost more than
 * they take, since no model needs many of them. */
enum {
  WORK_MOVE = 1,      /* move or fill one number */
  WORK_CHECK = 1,     /* look at one number */
  WORK_WALK = 16,     /* go from a node to its input, or compare two names */
  WORK_GATHER = 8,    /* move one number from elsewhere */
  WORK_COMPUTE = 8,   /* compute one number from others */
  WORK_FUNCTION = 64, /* a power or an exponential */
  WORK_NODE = 256     /* handle one node */
};

typedef struct work_budget {
  uint64_t limit, spent; /* steps */
} work_budget;

/* Start the budget of a file of `bytes` bytes, unpacked. */
void work_start(work_budget *w, uint64_t bytes);

/* Raise the limit: `bytes` more bytes were read, from a file beside the model. */
void work_add_bytes(work_budget *w, uint64_t bytes);

/* Spend `steps` for each of `count` things. Return false beyond the limit, and from then
 * on. */
bool work_spend(work_budget *w, uint64_t count, uint64_t steps);

/* Return false if more than the limit was spent. */
bool work_is_left(const work_budget *w);

#endif
