#include "structure_network.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exercise.h"

enum { MAX_TENSORS = 64, TEXT = 512, RANK = 8 };

/* What the maker believes of a tensor. It may be wrong: the library decides. */
typedef struct tensor {
  char name[16];
  bool constant, floats;
  int rank;
  int64_t dims[RANK]; /* an activation's: (1,c,h,w) or (1,c) */
} tensor;

typedef struct maker {
  network n;
  uint32_t random;
  uint32_t wildness; /* one in so many choices is extreme */
  tensor tensors[MAX_TENSORS];
  int count, names;
} maker;

static uint32_t below(maker *m, uint32_t limit) { return (next_random(&m->random) >> 4) % limit; }

static bool one_in(maker *m, uint32_t count) { return below(m, count) == 0; }

static bool is_wild(maker *m) { return one_in(m, m->wildness); }

static const char *choose(maker *m, const char *const *words) {
  uint32_t count = 0;
  while (words[count]) count++;
  return words[below(m, count)];
}

static int64_t extreme(maker *m) {
  static const int64_t numbers[] = {0,
                                    -1,
                                    1,
                                    2,
                                    3,
                                    7,
                                    255,
                                    1023,
                                    1024,
                                    1025,
                                    65535,
                                    65536,
                                    1 << 20,
                                    INT32_MAX,
                                    INT64_C(1) << 31,
                                    INT64_C(1) << 45,
                                    INT64_MAX,
                                    INT64_MIN,
                                    -2,
                                    -65536,
                                    INT64_MIN + 1};
  return numbers[below(m, sizeof numbers / sizeof *numbers)];
}

/* Return `usual`, or something extreme. */
static int64_t number(maker *m, int64_t usual) { return is_wild(m) ? extreme(m) : usual; }

static void format_list(char *text, const int64_t *numbers, int count) {
  size_t at = 0;
  text[0] = '\0';
  for (int i = 0; i < count; i++)
    at += (size_t)snprintf(text + at, TEXT / 4 - at, i ? ",%lld" : "%lld", (long long)numbers[i]);
}

/* ---- tensors ----------------------------------------------------------------------- */

static tensor *new_tensor(maker *m, bool constant, bool floats, int rank, const int64_t *dims) {
  if (m->count == MAX_TENSORS) { /* forget the oldest but the input */
    memmove(&m->tensors[1], &m->tensors[2], (MAX_TENSORS - 2) * sizeof *m->tensors);
    m->count--;
  }
  tensor *t = &m->tensors[m->count++];
  *t = (tensor){.constant = constant, .floats = floats, .rank = rank < RANK ? rank : RANK};
  (void)snprintf(t->name, sizeof t->name, "t%d", m->names++);
  for (int i = 0; i < t->rank && dims; i++) /* small enough to compute with */
    t->dims[i] = constant || (dims[i] >= 0 && dims[i] < 1 << 20) ? dims[i] : 1;
  return t;
}

/* Return the newest tensor of the kind, or often another one; NULL: there is none. */
static const tensor *find(maker *m, bool constant) {
  const bool any = one_in(m, 3);
  const int start = any ? (int)below(m, (uint32_t)m->count) : m->count - 1;
  for (int i = 0; i < m->count; i++) {
    const tensor *t = &m->tensors[(start - i + m->count) % m->count];
    if (t->constant == constant) return t;
  }
  return NULL;
}

static size_t count_of(const int64_t *dims, int rank) {
  size_t count = 1;
  for (int i = 0; i < rank; i++) {
    if (dims[i] < 0 || dims[i] > 4096) return 0;
    count *= (size_t)dims[i];
    if (count > 4096) return 0;
  }
  return count;
}

/* Add an initialiser of floats; without data, which the loader must refuse, if the
 * dimensions are too large. */
static const tensor *add_weights(maker *m, int rank, const int64_t *dims) {
  char text[TEXT / 4];
  float numbers[4096];
  const tensor *t = new_tensor(m, true, true, rank, dims);
  const size_t count = count_of(dims, rank);
  for (size_t i = 0; i < count; i++) numbers[i] = random_float(m->random, i);
  format_list(text, dims, rank);
  if (count > 0 || is_wild(m)) {
    add_floats(&m->n, t->name, count ? text : "0", numbers);
    return t;
  }
  const int64_t rank_of[1] = {rank};
  char size[16], sizes[24];
  format_list(size, rank_of, 1);
  (void)snprintf(sizes, sizeof sizes, "%s_s", t->name);
  add_integers(&m->n, sizes, size, dims);
  add(&m->n, "ConstantOfShape", sizes, t->name, "");
  return t;
}

static const tensor *add_list(maker *m, int count, const int64_t *numbers) {
  char text[TEXT / 4];
  const int64_t dims[1] = {count};
  const tensor *t = new_tensor(m, true, false, 1, dims);
  format_list(text, dims, 1);
  add_integers(&m->n, t->name, text, numbers);
  return t;
}

/* Add a constant of integers, with a dimension of 0 if it is wild: then any others are
 * possible. */
static void add_constant(maker *m) {
  int64_t dims[RANK], numbers[64];
  char text[TEXT / 4];
  const int rank = (int)below(m, 4);
  bool empty = is_wild(m) && rank > 0;
  for (int i = 0; i < rank; i++) dims[i] = 1 + below(m, 3);
  for (int i = 0; i < rank && empty; i++) {
    dims[i] = extreme(m);
    if (dims[i] < 0) dims[i] = 5;
  }
  if (empty) dims[below(m, (uint32_t)rank)] = 0;
  for (int i = 0; i < 64; i++) numbers[i] = number(m, 1 + below(m, 4));
  if (!empty && one_in(m, 2)) {
    (void)add_weights(m, rank, dims);
    return;
  }
  const tensor *t = new_tensor(m, true, false, rank, dims);
  format_list(text, dims, rank);
  add_integers(&m->n, t->name, text, numbers);
}

/* ---- nodes of constants ------------------------------------------------------------ */

static const char *const unary[] = {"Neg",        "Abs",     "Sqrt",  "Exp",
                                    "Identity",   "Shape",   "Cast",  "Transpose",
                                    "Reciprocal", "Squeeze", "Floor", NULL};
static const char *const binary[] = {"Add",     "Sub",       "Mul",    "Div",    "Min",    "Max",
                                     "Pow",     "Mod",       "Equal",  "Expand", "Gather", "Tile",
                                     "Reshape", "Unsqueeze", "Concat", "Range",  NULL};

static const char *attributes_of(maker *m, const char *operator_type) {
  static const char *const axes[] = {
      "axis=0", "axis=1", "axis=-1", "axis=2", "axis=9223372036854775807", NULL};
  static const char *const types[] = {"to=1",  "to=6",  "to=7",  "to=9",
                                      "to=10", "to=11", "to=16", NULL};
  if (strcmp(operator_type, "Cast") == 0) return choose(m, types);
  if (strcmp(operator_type, "Gather") == 0 || strcmp(operator_type, "Concat") == 0)
    return one_in(m, 2) ? "axis=0" : choose(m, axes);
  if (strcmp(operator_type, "Mod") == 0 && one_in(m, 2)) return "fmod=1";
  return "";
}

/* Write the output's name to `text`. Sometimes the first output has none. */
static void name_output(maker *m, char *text, const tensor *t) {
  (void)snprintf(text, TEXT, is_wild(m) ? ",%s" : "%s", t->name);
}

/* Write `name` up to `most` times. */
static void repeat(maker *m, char *text, size_t size, const char *first, const char *name,
                   uint32_t most) {
  size_t at = (size_t)snprintf(text, size, "%s", first);
  for (uint32_t i = 1 + below(m, most); i > 0 && at + 20 < size; i--)
    at += (size_t)snprintf(text + at, size - at, at ? ",%s" : "%s", name);
}

static void add_fold(maker *m) {
  static char inputs[1 << 15];
  char output[TEXT];
  const tensor *a = find(m, true), *b = find(m, true);
  const uint32_t kind = below(m, 8);
  if (!a || !b) return;
  const char *operator_type = kind < 2 ? choose(m, unary) : choose(m, binary);
  const tensor old = *a;
  if (kind < 2)
    (void)snprintf(inputs, sizeof inputs, "%s", a->name);
  else if (strcmp(operator_type, "Concat") == 0)
    repeat(m, inputs, sizeof inputs, b->name, a->name, is_wild(m) ? 4000 : 3);
  else if (kind == 7)
    (void)snprintf(inputs, sizeof inputs, "%s,%s,%s", find(m, true)->name, a->name, b->name);
  else
    (void)snprintf(inputs, sizeof inputs, "%s,%s", a->name, b->name);
  if (kind == 7) operator_type = one_in(m, 2) ? "Where" : "Slice";
  const tensor *t = new_tensor(m, true, old.floats, old.rank, old.dims);
  name_output(m, output, t);
  add(&m->n, operator_type, inputs, output, attributes_of(m, operator_type));
}

/* ---- nodes of activations ---------------------------------------------------------- */

static void add_window(maker *m, const tensor *x) {
  static const char *const pools[] = {"MaxPool", "AveragePool", "Conv", "Conv", NULL};
  const char *operator_type = choose(m, pools);
  char inputs[64], attributes[TEXT], output[TEXT];
  int64_t d[4] = {x->dims[0], x->dims[1], x->dims[2], x->dims[3]};
  const bool conv = operator_type[0] == 'C';
  const int64_t side = number(m, 1 + 2 * (int64_t)below(m, 2)), pad = number(m, side / 2),
                stride = number(m, 1 + below(m, 2)), dilation = is_wild(m) ? extreme(m) : 1;
  const long long s = side, p = pad;
  int at = snprintf(attributes, sizeof attributes, "pads=%lld,%lld,%lld,%lld strides=%lld,%lld", p,
                    p, p, p, (long long)stride, (long long)stride);
  at += snprintf(attributes + at, sizeof attributes - (size_t)at, " kernel_shape=%lld,%lld", s, s);
  if (one_in(m, 8))
    at += snprintf(attributes + at, sizeof attributes - (size_t)at, " dilations=%lld,%lld",
                   (long long)dilation, (long long)dilation);
  if (!conv && one_in(m, 4))
    at += snprintf(attributes + at, sizeof attributes - (size_t)at, " ceil_mode=1");
  if (is_wild(m)) /* given twice */
    (void)snprintf(attributes + at, sizeof attributes - (size_t)at, " strides=1,1");
  (void)snprintf(inputs, sizeof inputs, "%s", x->name);
  if (conv) {
    const int64_t weights[4] = {number(m, one_in(m, 2) ? x->dims[1] : 4), x->dims[1], side, side};
    const tensor *w = one_in(m, 6) && find(m, true) ? find(m, true) : add_weights(m, 4, weights);
    (void)snprintf(inputs + strlen(inputs), sizeof inputs - strlen(inputs), ",%s", w->name);
    d[1] = weights[0];
  }
  if (stride > 0) d[2] = (d[2] - 1) / stride + 1;
  if (stride > 0) d[3] = (d[3] - 1) / stride + 1;
  const tensor *t = new_tensor(m, false, true, 4, d);
  name_output(m, output, t);
  add(&m->n, operator_type, inputs, output, attributes);
}

static void add_unary(maker *m, const tensor *x) {
  static const char *const kinds[] = {
      "Relu",    "Sigmoid", "Identity",  "LeakyRelu",   "HardSwish", "Dropout", "Clip",
      "Softmax", "Tanh",    "Transpose", "HardSigmoid", "Neg",       "Squeeze", NULL};
  char output[TEXT];
  const tensor old = *x, *t = new_tensor(m, false, true, old.rank, old.dims);
  name_output(m, output, t);
  add(&m->n, one_in(m, 3) ? "Relu" : choose(m, kinds), old.name, output, "");
}

/* Join the newest activation with another one, with itself, or with a constant. */
static void add_binary(maker *m, const tensor *x) {
  static const char *const kinds[] = {"Add",    "Mul", "Sum",   "Sub", "Max",
                                      "Concat", "Div", "PRelu", NULL};
  static char inputs[1 << 14];
  const tensor old = *x, *other = find(m, one_in(m, 3));
  const char *operator_type = one_in(m, 2) ? "Add" : choose(m, kinds);
  char output[TEXT];
  if (!other) return;
  const bool wide = strcmp(operator_type, "Concat") == 0 || strcmp(operator_type, "Sum") == 0;
  if (wide)
    repeat(m, inputs, sizeof inputs, old.name, other->name, is_wild(m) ? 2000 : 2);
  else
    (void)snprintf(inputs, sizeof inputs, "%s,%s", old.name, other->name);
  const tensor *t = new_tensor(m, false, true, old.rank, old.dims);
  name_output(m, output, t);
  add(&m->n, operator_type, inputs, output, operator_type[0] == 'C' ? "axis=1" : "");
}

/* Pad, Slice, Gather, Expand, Reshape, ...: a list of integers decides. */
static void add_listed(maker *m, const tensor *x) {
  static const char *const kinds[] = {"Pad",     "Pad",       "Slice",      "Gather",  "Expand",
                                      "Reshape", "Unsqueeze", "ReduceMean", "Squeeze", NULL};
  const char *operator_type = choose(m, kinds);
  const tensor old = *x;
  int64_t numbers[8] = {0}, d[4] = {1, old.dims[1], old.dims[2], old.dims[3]};
  char inputs[64], output[TEXT];
  int count = 4;
  if (operator_type[0] == 'P') {
    count = 8;
    numbers[2] = numbers[3] = numbers[6] = numbers[7] = 1 + below(m, 2);
    if (one_in(m, 3)) numbers[1] = numbers[5] = 1;
    d[1] += numbers[1] + numbers[5];
    d[2] += 2 * numbers[2];
    d[3] += 2 * numbers[2];
  }
  if (operator_type[0] == 'E' || strcmp(operator_type, "Reshape") == 0)
    for (int i = 0; i < 4; i++) numbers[i] = i ? d[i] : -1;
  if (operator_type[0] == 'G' || operator_type[0] == 'U' || strcmp(operator_type, "Squeeze") == 0)
    count = 1;
  if (count == 1) numbers[0] = below(m, 3);
  if (is_wild(m)) numbers[below(m, (uint32_t)count)] = extreme(m);
  const bool reduces = strcmp(operator_type, "ReduceMean") == 0;
  const tensor *list = reduces ? NULL : add_list(m, count, numbers);
  (void)snprintf(inputs, sizeof inputs, reduces ? "%s" : "%s,%s", old.name,
                 reduces ? "" : list->name);
  if (operator_type[0] == 'S' && count == 4)
    (void)snprintf(inputs, sizeof inputs, "%s,%s,%s", old.name, list->name, find(m, true)->name);
  if (reduces) d[2] = d[3] = 1;
  const tensor *t = new_tensor(m, false, true, 4, d);
  name_output(m, output, t);
  add(&m->n, operator_type, inputs, output, reduces ? "axes=2,3" : "");
}

static void add_normalisation(maker *m, const tensor *x) {
  char inputs[96], output[TEXT];
  const tensor old = *x;
  const int64_t dims[1] = {number(m, old.dims[1])};
  const tensor *p = add_weights(m, 1, dims), *t = NULL;
  char name[16];
  memcpy(name, p->name, sizeof name);
  t = new_tensor(m, false, true, old.rank, old.dims);
  /* the variance is `p`, too: negative in part, unless it comes from one number */
  (void)snprintf(inputs, sizeof inputs, "%s,%s,%s,%s,%s", old.name, name, name, name, name);
  name_output(m, output, t);
  add(&m->n, "BatchNormalization", inputs, output, "epsilon=1.0");
}

/* A residual block, or something like one. */
static void add_block(maker *m, const tensor *x) {
  const tensor from = *x;
  char branch[16];
  (void)snprintf(branch, sizeof branch, "%s", from.name);
  const int length = 1 + (int)below(m, 3);
  for (int i = 0; i < length; i++) {
    const int64_t weights[4] = {from.dims[1], from.dims[1], 3, 3};
    const tensor *w = add_weights(m, 4, weights);
    char inputs[64];
    (void)snprintf(inputs, sizeof inputs, "%s,%s", branch, w->name);
    const tensor *t = new_tensor(m, false, true, 4, from.dims);
    add(&m->n, "Conv", inputs, t->name, "pads=1,1,1,1");
    (void)snprintf(branch, sizeof branch, "%s", t->name);
  }
  char inputs[64];
  const tensor *other = one_in(m, 4) ? find(m, false) : NULL;
  (void)snprintf(inputs, sizeof inputs, "%s,%s", branch, other ? other->name : from.name);
  const tensor *t = new_tensor(m, false, true, 4, from.dims);
  add(&m->n, one_in(m, 4) ? "Mul" : "Add", inputs, t->name, "");
}

/* A chain of one operator, over an activation or a constant. */
static void add_deep_chain(maker *m) {
  static const char *const kinds[] = {
      "Sigmoid", "Relu", "MaxPool", "Add", "Mul", "Neg", "Pow", "Identity", "BatchNormalization",
      NULL};
  const char *operator_type = choose(m, kinds);
  const tensor *x = find(m, strcmp(operator_type, "Neg") == 0 || strcmp(operator_type, "Pow") == 0);
  if (!x) return;
  const tensor old = *x;
  const bool two = strchr("AP", operator_type[0]) || strcmp(operator_type, "Mul") == 0;
  char last[16], inputs[96];
  (void)snprintf(last, sizeof last, "%s", old.name);
  for (uint32_t i = 20 + below(m, 1500); i > 0; i--) {
    (void)snprintf(inputs, sizeof inputs, two ? "%s,%s" : "%s", last,
                   one_in(m, 2) ? last : old.name);
    const tensor *t = new_tensor(m, old.constant, true, old.rank, old.dims);
    add(&m->n, operator_type, inputs, t->name,
        operator_type[1] == 'a' ? "kernel_shape=3,3 pads=1,1,1,1" : "");
    (void)snprintf(last, sizeof last, "%s", t->name);
  }
}

static void add_activation_node(maker *m) {
  const tensor *x = find(m, false);
  if (!x) return;
  switch (below(m, 8)) {
  case 0:
  case 1:
    add_window(m, x);
    break;
  case 2:
    add_unary(m, x);
    break;
  case 3:
    add_binary(m, x);
    break;
  case 4:
    add_listed(m, x);
    break;
  case 5:
    add_normalisation(m, x);
    break;
  default:
    add_block(m, x);
  }
}

/* Let the scores depend on a constant, so that it is folded: x * k, or a Reshape. */
static void use_constant(maker *m) {
  const tensor *x = find(m, false), *k = find(m, true);
  if (!x || !k) return;
  char inputs[64];
  const tensor old = *x;
  (void)snprintf(inputs, sizeof inputs, "%s,%s", old.name, k->name);
  const tensor *t = new_tensor(m, false, true, old.rank, old.dims);
  add(&m->n, one_in(m, 2) ? "Mul" : "Reshape", inputs, t->name, "");
}

/* ---- all --------------------------------------------------------------------------- */

static void add_head(maker *m) {
  const tensor *x = find(m, false);
  const int64_t channels = x ? x->dims[1] : 3, weights[2] = {5, channels};
  add(&m->n, "GlobalAveragePool", x ? x->name : "x", "pooled", "");
  add(&m->n, "Flatten", "pooled", "flat", "");
  const tensor *w = add_weights(m, 2, weights);
  char inputs[64];
  (void)snprintf(inputs, sizeof inputs, "flat,%s", w->name);
  add(&m->n, "Gemm", inputs, "y", "transB=1");
}

buffer structure_make(uint32_t number_of_file) {
  static maker m;
  static char input[TEXT];
  m = (maker){.random = (number_of_file + 1) * 2654435761u | 1, .wildness = 12};
  for (int i = 0; i < 4; i++) (void)next_random(&m.random);
  static const uint32_t wildnesses[] = {4, 12, 40, 400, 100000};
  m.wildness = wildnesses[below(&m, 5)];
  int64_t dims[4] = {number(&m, 1), number(&m, 1 + below(&m, 4)), number(&m, 4 + below(&m, 13)),
                     number(&m, 4 + below(&m, 13))};
  if (one_in(&m, 2)) dims[0] = -1;
  if (is_wild(&m)) dims[2] = 65535, dims[3] = 1;
  format_list(input, dims, 4);
  m.n.input = input;
  static const int64_t opsets[] = {6, 9, 11, 13, 13, 13, 17, 18};
  m.n.opset = opsets[below(&m, 8)];
  tensor *x = new_tensor(&m, false, true, 4, dims);
  (void)snprintf(x->name, sizeof x->name, "x");
  for (uint32_t i = 1 + below(&m, 10); i > 0; i--) {
    if (one_in(&m, 3)) add_constant(&m);
    if (one_in(&m, 3))
      for (uint32_t k = below(&m, 4); k > 0; k--) add_fold(&m);
    add_activation_node(&m);
    if (one_in(&m, 6)) use_constant(&m);
    if (one_in(&m, 40)) add_deep_chain(&m);
  }
  add_head(&m);
  return finish(&m.n);
}
