/* Random small ONNX models whose structure is extreme: dimensions of 0 and of 2^45,
 * repeated and wide inputs, outputs without names, windows beyond their images, chains of
 * thousands of nodes. Most are wrong somewhere, many are nearly right, some open. */
#ifndef LIBRESNET_TESTS_STRUCTURE_NETWORK_H
#define LIBRESNET_TESTS_STRUCTURE_NETWORK_H

#include "../unit/loader_network.h"

/* Return the file of this number. The same number gives the same file. */
buffer structure_make(uint32_t number);

#endif
