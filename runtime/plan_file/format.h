/* The plan file: a canonical graph, its weights as they are, and its plan's weights as
 * packed for one CPU. This is the one place that says how it is laid out; plan_save.c
 * writes it, plan_file.c reads it.
 *
 *     0           plan_header
 *     48          graph: graph_size bytes (plan_graph.h)
 *     ...         rest of the front, up to front_size:
 *                   preprocessing: has, resize, crop, order (u32 each), scale, mean[3], std[3] (f32)
 *                   key: conv, memory, batch (u32), cpu, build (text)
 *                   u32 count of nodes with weights; for each: u64 checksum over that of its weights and that of its
 * biases u32 count of ops; for each: u32 crc32 of its kernel's name, u64 size and u64
 * checksum of what the kernel
 * packed; size 0: nothing aligned     packed: what each op's kernel packed, one after the other aligned     portable:
 * for each node with weights its weights, then its bias (f32), in the graph's order file_size   the end
 *
 * "Aligned" is a multiple of 64 from the start of the file; so begins every packed blob,
 * every array of weights and of biases, and so ends the file. Zeros stand between.
 * Nothing else tells where things lie: offsets follow from sizes and sizes from the
 * graph, so that sections can neither overlap nor leave the file.
 *
 * Numbers have the byte order of the machine that wrote the file; a machine of the other
 * one refuses it. Text is a u32 length and that many bytes, none of them NUL.
 *
 * Checksums: crc32 over the front, always verified. plan_checksum over each blob that is
 * about to be used: packed ones when they are mapped, portable ones when they are packed
 * anew, run as they are, or saved again.
 */
#ifndef LIBRESNET_RUNTIME_PLAN_FILE_FORMAT_H
#define LIBRESNET_RUNTIME_PLAN_FILE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_MAGIC "\x89RESNET\n"
#define PLAN_BYTE_ORDER UINT32_C(0x01020304)

enum {
  /* raised when this layout changes; older files are refused by name */
  PLAN_FORMAT = 2,
  /* raised when a kernel of ours packs differently: older files are packed anew */
  PLAN_PACKING = 1,
  PLAN_ALIGNMENT = 64,
  PLAN_MAGIC_SIZE = 8,
  PLAN_MAX_FRONT =
      64 << 20 /* bytes; ResNet-50 takes 14 kB; it bounds the time to find a checksum wrong */
};

typedef struct plan_header {
  char magic[PLAN_MAGIC_SIZE];
  uint32_t byte_order, format;
  uint64_t file_size;
  uint64_t front_size; /* bytes that the crc covers, this header included */
  uint64_t graph_size;
  uint32_t crc; /* taken as 0 while it is computed */
  uint32_t reserved;
} plan_header;

_Static_assert(sizeof(plan_header) == 48, "the header has no padding");

/* False when `size` rounded up overflows. */
bool plan_align(uint64_t *size);

/* 64 bits over `size` bytes, at the speed of memory, the same on every CPU of one byte
 * order. Any change within an aligned word of 4 bytes changes it; others go unnoticed
 * with a chance of 2^-32 or less. It is no proof against forgery.
 */
uint64_t plan_checksum(const void *bytes, size_t size);

/* crc32 of the front with the header's crc as 0. */
uint32_t plan_front_crc(const uint8_t *front, size_t size);

#endif
