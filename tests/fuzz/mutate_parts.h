/* Parts of the ONNX mutator: memory for one mutation, numbers, names, tensors,
 * attributes. */
#ifndef LIBRESNET_TESTS_MUTATE_PARTS_H
#define LIBRESNET_TESTS_MUTATE_PARTS_H

#include <protobuf-c/protobuf-c.h>

#include "mutate.h"
#include "onnx.pb-c.h"

enum {
  TYPE_FLOAT = 1,
  TYPE_INT32 = 6,
  TYPE_INT64 = 7,
  TYPE_BOOL = 9,
  TYPE_HALF = 10,
  TYPE_DOUBLE = 11
};
enum {
  ATTRIBUTE_FLOAT = 1,
  ATTRIBUTE_INT = 2,
  ATTRIBUTE_STRING = 3,
  ATTRIBUTE_TENSOR = 4,
  ATTRIBUTE_INTS = 7
};

typedef struct mutation {
  Onnx__ModelProto *model;
  Onnx__GraphProto *graph;
  uint32_t *random;
} mutation;

/* One block of memory for a whole mutation, released at once. `take` returns zeros, and
 * ends the program if the block is full: do not mutate a model that leaves less than
 * three quarters. */
extern ProtobufCAllocator arena_allocator;
void arena_reset(void);
bool arena_has_room(void);
void *take(size_t size);
char *text(const char *from);

uint32_t below(mutation *m, size_t count);
#define PICK(m, list) ((list)[below(m, sizeof(list) / sizeof *(list))])
int64_t some_integer(mutation *m);

/* Insert or remove an item of a message's list: its array of pointers and its count. */
void insert(void *list, size_t *count, size_t at, void *item);
void drop(void *list, size_t *count, size_t at);

const char *name_of(const char *name); /* never NULL */
/* Return the name of a tensor that exists: computed by a node, an initialiser or the
 * input. */
char *some_tensor(mutation *m);
char *new_name(mutation *m);
void rename_readers(mutation *m, const char *from, char *to);

Onnx__TensorProto *new_tensor(char *name, int32_t type, size_t rank);
void change_tensor(mutation *m, Onnx__TensorProto *t);
/* Add an initialiser of up to eight numbers; floats may have the shape of a factor per
 * channel. Return its name. */
char *add_constant(mutation *m, int32_t type);
Onnx__TensorProto *some_constant(mutation *m);

/* Return an attribute with its type set and no value. */
Onnx__AttributeProto *new_attribute(const char *name, int32_t type);
void change_attributes(mutation *m, Onnx__NodeProto *node);

#endif
