/* Packed weights for the ops of a plan: those of its plan file if they fit, else packed
 * here. And the checks of the file's weights. */
#ifndef LIBRESNET_RUNTIME_PLAN_FILE_PACK_H
#define LIBRESNET_RUNTIME_PLAN_FILE_PACK_H

#include "runtime/plan_file/read.h"

/* Give each op of the plan its packed weights. Use the file's if they were packed under
 * the key of these options; otherwise pack them here and, if there is a file, write the
 * reason to `notice`, of `size` bytes. All weights used are verified, except the file's
 * packed ones. */
resnet_status plan_file_pack(plan *p, const plan_file *f, const plan_options *options, char *notice,
                             size_t size, resnet_error *error);

/* Verify the checksum of the op's packed weights if they are in a plan file and were not
 * verified before; call it before a kernel reads them. Any number of threads may call it
 * at once. */
resnet_status plan_file_verify_packed(const plan_op *op, resnet_error *error);

/* Verify all weights of the file that `p` was made from, so that a copy does not hide
 * damage. There may be no file. */
resnet_status plan_file_verify(const plan_file *f, const plan *p, resnet_error *error);

/* Check that a node's weights from a file match their checksum and are finite. */
resnet_status plan_file_weights_verify(const plan_file_weights *w, resnet_error *error);

/* Return the checksum of two numbers: the checksum of the weights, and of the biases. */
uint64_t plan_file_weights_checksum(const plan_file_weights *w);

/* Return the CRC-32 of the name of the op's kernel. */
uint32_t plan_file_kernel_crc(const plan_op *op);

#endif
