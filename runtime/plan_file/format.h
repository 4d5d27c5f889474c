/* The layout of a plan file: a graph, its weights, and its weights as packed for one CPU.
 *
 *   offset      content
 *   0           header: plan_file_header
 *   48          graph: graph_size bytes (loader/graph/graph_io.h)
 *               preprocessing: u32 has, fit, filter, resize_height, resize_width,
 *                 crop_height, crop_width; f32 resize_ratio; u32 order; f32 scale,
 *                 mean[3], std[3]
 *               what the graph shows of its input: u32 kind, bgr; f32 scale, mean[3],
 *                 std[3]; text
 *               labels of the caller: u32 count, that many texts; 0: the graph's
 *               key: u32 conv, memory, batch; text cpu, build
 *               table of algorithms: u32 count; for each convolution and fully connected
 *                 layer: u32 CRC-32 of its algorithm's name
 *               table of weights: u32 count; for each node with weights:
 *                 u64 checksum of two u64, the checksums of its weights and its biases
 *               table of packed weights: u32 count; for each op:
 *                 u32 CRC-32 of its kernel's name, u64 size (0: none), u64 checksum
 *   front_size  end of the front
 *   aligned     packed weights: what each op's kernel packed, in the order of ops
 *   aligned     portable weights: f32 weights, then f32 biases, of each node with
 *               weights, in the graph's order
 *   file_size   end
 *
 * "Aligned" means at a multiple of 64 bytes from the start of the file. Each packed
 * array, each array of weights and each array of biases begins aligned, and the file ends
 * aligned. Zeros fill the gaps. No offset is stored: offsets follow from sizes, and sizes
 * from the graph, so that sections cannot overlap or leave the file.
 *
 * Numbers have the byte order of the machine that wrote the file; a machine of the other
 * order refuses it. Text is a u32 length and that many bytes, none of them NUL.
 *
 * A CRC-32 covers the front and is always verified. A checksum (checksum.h) covers each
 * array of weights and is verified before these are used:
 *
 *   packed weights:   before a run first reads them, and before the model is saved
 *   portable weights: before they are packed again, before the model is saved, and, if a
 *                     kernel reads them as they are, when the model is opened */
#ifndef LIBRESNET_RUNTIME_PLAN_FILE_FORMAT_H
#define LIBRESNET_RUNTIME_PLAN_FILE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_MAGIC "\x89RESNET\n"
#define PLAN_BYTE_ORDER UINT32_C(0x01020304)

enum {
  /* Raise it when the layout changes. Older files are refused by name. */
  PLAN_FORMAT = 5,
  /* Raise it when a kernel of ours packs differently. Older files are packed again. */
  PLAN_PACKING = 2,
  PLAN_ALIGNMENT = 64,
  PLAN_MAGIC_SIZE = 8,
  /* Bytes; ResNet-50 takes 14 kB. Limits the time to find a wrong CRC. */
  PLAN_MAX_FRONT = 64 << 20
};

typedef struct plan_file_header {
  char magic[PLAN_MAGIC_SIZE];
  uint32_t byte_order, format;
  uint64_t file_size;
  uint64_t front_size; /* bytes from the start of the file that the CRC covers */
  uint64_t graph_size;
  uint32_t crc; /* 0 while it is computed */
  uint32_t reserved;
} plan_file_header;

_Static_assert(sizeof(plan_file_header) == 48, "the header has no padding");

/* Round *size up to a multiple of PLAN_ALIGNMENT. Return false if that overflows. */
bool plan_file_align(uint64_t *size);

#endif
