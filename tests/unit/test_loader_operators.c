/* Operators: what each becomes in the graph, pitfalls of attributes by opset, and every
 * refusal's message. */
#include <math.h>
#include <string.h>

#include "loader_network.h"

static const graph_node *scores(const graph *g) { return &g->nodes[g->output]; }

/* ---- clamps ------------------------------------------------------------------------ */

static void check_clamp(network *n, float low, float high) {
  graph g;
  end_network(n);
  load_good(n, &g);
  const graph_node *conv = find_node(&g, "Conv_c");
  assert_true(conv->clamp_min >= low && conv->clamp_min <= low);
  assert_true(conv->clamp_max >= high && conv->clamp_max <= high);
  assert_string_equal(conv->output, "t");
  assert_int_equal(g.node_count, 3);
  unload(&g);
}

static void clamps_fuse_with_the_convolution(void **state) {
  (void)state;
  static const float low = -1, six = 6;
  network relu = {0}, clip_6 = {.opset = 10}, clip_11 = {.opset = 11}, upper = {0}, minimum = {0},
          none = {.opset = 7};
  begin_network(&relu);
  add(&relu, "Relu", "c", "t", "");
  check_clamp(&relu, 0, INFINITY);
  begin_network(&clip_6);
  add(&clip_6, "Clip", "c", "t", "min=0.0 max=6.0");
  check_clamp(&clip_6, 0, 6);
  begin_network(&clip_11);
  add_floats(&clip_11, "low", "", &low);
  add_floats(&clip_11, "high", "", &six);
  add(&clip_11, "Clip", "c,low,high", "t", "");
  check_clamp(&clip_11, -1, 6);
  begin_network(&upper);
  add_floats(&upper, "high", "", &six);
  add(&upper, "Clip", "c,,high", "t", "");
  check_clamp(&upper, -INFINITY, 6);
  begin_network(&minimum); /* ReLU6 as tf2onnx writes it (opencv issue 20438) */
  add_floats(&minimum, "six", "1", &six);
  add(&minimum, "Relu", "c", "r", "");
  add(&minimum, "Min", "six,r", "t", "");
  check_clamp(&minimum, 0, 6);
  begin_network(&none);
  add(&none, "Clip", "c", "t", "");
  check_clamp(&none, -INFINITY, INFINITY);
}

static void clip_takes_attributes_or_inputs_by_opset(void **state) {
  (void)state;
  static const float six = 6;
  network attributes = {.opset = 11}, inputs = {.opset = 10}, reversed = {.opset = 10};
  begin_network(&attributes);
  add(&attributes, "Clip", "c", "t", "min=0.0 max=6.0");
  end_network(&attributes);
  refuse_network(&attributes, RESNET_ERROR_UNSUPPORTED, "Clip_t|opset 11|'min' (|is not accepted");
  begin_network(&inputs);
  add_floats(&inputs, "six", "", &six);
  add(&inputs, "Clip", "c,six", "t", "");
  end_network(&inputs);
  refuse_network(&inputs, RESNET_ERROR_FORMAT, "has 2 inputs: it takes 1 at this opset");
  begin_network(&reversed);
  add(&reversed, "Clip", "c", "t", "min=6.0 max=0.5");
  check_clamp(&reversed, 0.5F, 0.5F); /* ONNX: Min(max, Max(min, x)) */
}

/* Kernels read subnormal numbers as 0. */
static void subnormal_bounds_are_zero(void **state) {
  (void)state;
  network n = {.opset = 10}, fused = {.opset = 10};
  begin_network(&n);
  add(&n, "Clip", "c", "t", "min=-1e-40 max=1e-39");
  check_clamp(&n, 0, 0);
  begin_network(&fused);
  add(&fused, "Clip", "c", "r", "min=1e-45 max=6.0");
  add(&fused, "Clip", "r", "t", "min=-1.0 max=1.2e-38");
  check_clamp(&fused, 0, 1.2e-38F);
}

static void leaky_relus_keep_their_slope(void **state) {
  (void)state;
  network n = {0}, endless = {0};
  graph g;
  begin_network(&n);
  add(&n, "LeakyRelu", "c", "r", "");
  add(&n, "LeakyRelu", "r", "t", "alpha=0.25");
  end_network(&n);
  load_good(&n, &g);
  assert_int_equal(find_node(&g, "LeakyRelu_r")->op, GRAPH_LEAKY_RELU);
  assert_true(find_node(&g, "LeakyRelu_r")->scalar == 0.01f);
  assert_true(find_node(&g, "LeakyRelu_t")->scalar == 0.25f);
  unload(&g);
  begin_network(&endless);
  add(&endless, "LeakyRelu", "c", "t", "alpha=1e39");
  end_network(&endless);
  refuse_network(&endless, RESNET_ERROR_FORMAT, "LeakyRelu_t|alpha is inf");
}

/* A value that has another reader before the ReLU keeps its own node. */
static void shared_values_are_not_clamped(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add(&n, "Relu", "c", "r", "");
  add(&n, "Add", "c,r", "t", "");
  end_network(&n);
  load_good(&n, &g);
  assert_int_equal(find_node(&g, "Relu_r")->op, GRAPH_CLAMP);
  assert_true(isinf(find_node(&g, "Conv_c")->clamp_min));
  assert_int_equal(find_node(&g, "Add_t")->block, RESNET_NO_INDEX);
  unload(&g);
}

/* ---- batch normalisation ----------------------------------------------------------- */

typedef struct parameters {
  float scale[4], bias[4], mean[4], variance[4];
} parameters;

static const parameters usual = {
    {1.5F, -2, 0.25F, 1e-3F}, {0.1F, 0.2F, -0.3F, 4}, {0.7F, -0.1F, 3, 0}, {0.5F, 2, 1e-6F, 9}};

static void add_norm(network *n, const parameters *p, const char *input, const char *outputs,
                     const char *attributes) {
  char inputs[64] = "";
  add_floats(n, "scale", "4", p->scale);
  add_floats(n, "bias", "4", p->bias);
  add_floats(n, "mean", "4", p->mean);
  add_floats(n, "variance", "4", p->variance);
  strcat(inputs, input);
  strcat(inputs, ",scale,bias,mean,variance");
  add(n, "BatchNormalization", inputs, outputs, attributes);
}

/* Folded in double precision and rounded once: the floats are exactly equal. */
static void normalisation_is_folded_in_double(void **state) {
  (void)state;
  static const double epsilon = (double)2e-5F;
  network n = {0};
  graph g;
  add_random(&n, "w", "4,3,1,1", 1);
  add_random(&n, "b", "4", 2);
  add(&n, "Conv", "x,w,b", "c", "");
  add_norm(&n, &usual, "c", "t", "epsilon=2e-5");
  end_network(&n);
  load_good(&n, &g);
  const graph_node *conv = find_node(&g, "Conv_c");
  assert_int_equal(g.node_count, 3);
  for (size_t o = 0; o < 4; o++) {
    double scale = (double)usual.scale[o] / sqrt((double)usual.variance[o] + epsilon);
    double shift = (double)usual.bias[o] - (double)usual.mean[o] * scale;
    for (size_t i = 0; i < 3; i++)
      assert_float_equal(conv->weights[o * 3 + i],
                         (float)(scale * (double)random_float(1, o * 3 + i)), 0);
    assert_float_equal(conv->bias[o], (float)(scale * (double)random_float(2, o) + shift), 0);
  }
  assert_string_equal(conv->name, "Conv_c");
  assert_string_equal(conv->output, "t");
  unload(&g);
}

static void normalisation_of_a_shared_value_stays(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add_norm(&n, &usual, "c", "b", "");
  add(&n, "Relu", "b", "r", "");
  add(&n, "Add", "c,r", "t", "");
  end_network(&n);
  load_good(&n, &g);
  const graph_node *affine = find_node(&g, "BatchNormalization_b");
  assert_int_equal(affine->op, GRAPH_AFFINE);
  assert_float_equal(affine->clamp_min, 0, 0);
  double scale = (double)usual.scale[1] / sqrt((double)usual.variance[1] + (double)1e-5F);
  assert_float_equal(affine->weights[1], (float)scale, 0);
  assert_float_equal(affine->bias[1],
                     (float)((double)usual.bias[1] - (double)usual.mean[1] * scale), 0);
  unload(&g);
}

/* Old exporters name five outputs (rten issue 1432), spatial=0 (mxnet issue 17711),
 * is_test. */
static void old_normalisations_are_accepted(void **state) {
  (void)state;
  network n = {.opset = 8, .ir = 3};
  graph g;
  begin_network(&n);
  add_norm(&n, &usual, "c", "t,m2,v2,sm,sv", "spatial=0 is_test=1 momentum=0.9");
  end_network(&n);
  load_good(&n, &g);
  assert_int_equal(g.node_count, 3);
  unload(&g);
}

static void refuse_norm(const parameters *p, const char *attributes, resnet_status status,
                        const char *what) {
  network n = {.opset = 15};
  begin_network(&n);
  add_norm(&n, p, "c", "t", attributes);
  end_network(&n);
  refuse_network(&n, status, what);
}

static void impossible_normalisations_are_refused(void **state) {
  (void)state;
  parameters p = usual;
  refuse_norm(&p, "training_mode=1", RESNET_ERROR_UNSUPPORTED,
              "BatchNormalization_t|training_mode is 1|model.eval()");
  refuse_norm(&p, "epsilon=-1.0", RESNET_ERROR_FORMAT, "epsilon is -1");
  p.variance[2] = -1;
  refuse_norm(&p, "", RESNET_ERROR_FORMAT, "variance is -1 for channel 2");
  p.variance[2] = NAN;
  refuse_norm(&p, "", RESNET_ERROR_FORMAT, "variance 'variance' have|nan|element 2");
  p = usual;
  p.variance[0] = 0;
  refuse_norm(&p, "epsilon=0.0", RESNET_ERROR_FORMAT, "variance is 0 for channel 0");
  p = usual;
  p.scale[0] = 3e38F;
  p.variance[0] = 1e-30F;
  refuse_norm(&p, "epsilon=0.0", RESNET_ERROR_FORMAT, "Conv_c|overflow");
}

static void statistics_of_the_batch_are_refused(void **state) {
  (void)state;
  network named = {.opset = 9}, n = {.opset = 14};
  begin_network(&named);
  add_norm(&named, &usual, "c", "t,m2,v2", "");
  end_network(&named);
  refuse_network(&named, RESNET_ERROR_UNSUPPORTED,
                 "BatchNormalization_t|training mode|'m2' is one|model.eval()");
  begin_network(&n);
  add_norm(&n, &usual, "c", "t,m2", "");
  add(&n, "Identity", "m2", "z", "");
  add(&n, "Add", "t,z", "s", "");
  add(&n, "GlobalAveragePool", "s", "y", "");
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED,
                 "Identity_z|reads 'm2'|BatchNormalization_t|only first outputs");
}

/* ---- arithmetic with constants ----------------------------------------------------- */

static void check_affine(const char *operator_type, const char *inputs, const char *dims,
                         const float *constant, const float scale[4], const float shift[4]) {
  network n = {0};
  graph g;
  begin_network(&n);
  add(&n, "MaxPool", "c", "m", "kernel_shape=2,2"); /* so that it is not folded */
  add_floats(&n, "k", dims, constant);
  add(&n, operator_type, inputs, "t", "");
  end_network(&n);
  load_good(&n, &g);
  assert_int_equal(g.nodes[3].op, GRAPH_AFFINE);
  assert_memory_equal(g.nodes[3].weights, scale, 4 * sizeof *scale);
  assert_memory_equal(g.nodes[3].bias, shift, 4 * sizeof *shift);
  unload(&g);
}

static void arithmetic_with_constants_is_affine(void **state) {
  (void)state;
  static const float k[4] = {2, -3, 0.5F, 7}, minus[4] = {-2, 3, -0.5F, -7}, ones[4] = {1, 1, 1, 1};
  static const float zeros[4] = {0}, minus_ones[4] = {-1, -1, -1, -1}, twos[4] = {2, 2, 2, 2};
  static const float powers[4] = {2, -4, 0.5F, 8}, inverses[4] = {0.5F, -0.25F, 2, 0.125F};
  static const float halves[4] = {0.5F, 0.5F, 0.5F, 0.5F};
  check_affine("Add", "m,k", "4,1,1", k, ones, k);
  check_affine("Add", "k,m", "1,4,1,1", k, ones, k);
  check_affine("Sub", "m,k", "4,1,1", k, ones, minus);
  check_affine("Sub", "k,m", "4,1,1", k, minus_ones, k);
  check_affine("Mul", "m,k", "4,1,1", k, k, zeros);
  check_affine("Mul", "k,m", "", k, twos, zeros);
  check_affine("Sum", "m,k", "4,1,1", k, ones, k);
  check_affine("Div", "m,k", "4,1,1", powers, inverses, zeros);
  check_affine("Div", "m,k", "1", powers, halves, zeros);
}

static void other_arithmetic_is_refused(void **state) {
  (void)state;
  static const float k[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  network two = {0}, row = {0}, five = {0}, divide = {0}, zero = {0}, maps = {0},
          pixels = {.input = "N,3,4,4"};
  begin_network(&two);
  add(&two, "MaxPool", "c", "m", "kernel_shape=2,2 strides=2,2");
  add(&two, "Mul", "c,m", "t", "");
  end_network(&two);
  refuse_network(&two, RESNET_ERROR_UNSUPPORTED,
                 "Mul_t|two activations|one factor for each of its channels|of one shape");
  begin_network(&maps);
  add(&maps, "Sub", "c,c", "t", "");
  end_network(&maps);
  refuse_network(&maps, RESNET_ERROR_UNSUPPORTED,
                 "Sub_t|combines two activations|only Add and Mul");
  begin_network(&row);
  add_floats(&row, "k", "8", k);
  add(&row, "Add", "c,k", "t", "");
  end_network(&row);
  refuse_network(&row, RESNET_ERROR_UNSUPPORTED, "Add_t|'k' has 8 numbers|1 for each channel");
  begin_network(&pixels);
  add_random(&pixels, "k", "1,3,4,4", 7);
  add(&pixels, "Sub", "x,k", "t", "");
  end_network(&pixels);
  refuse_network(&pixels, RESNET_ERROR_UNSUPPORTED, "Sub_t|48 numbers|mean of each channel");
  begin_network(&five);
  add_floats(&five, "k", "5,1,1", k);
  add(&five, "Add", "c,k", "t", "");
  end_network(&five);
  refuse_network(&five, RESNET_ERROR_FORMAT, "'k' has 5 numbers");
  begin_network(&divide);
  add_floats(&divide, "k", "4,1,1", k);
  add(&divide, "Div", "k,c", "t", "");
  end_network(&divide);
  refuse_network(&divide, RESNET_ERROR_UNSUPPORTED, "Div_t|divides a constant by an activation");
  begin_network(&zero);
  add_floats(&zero, "k", "4,1,1", (const float[]){1, 2, 0, 4});
  add(&zero, "Div", "c,k", "t", "");
  end_network(&zero);
  refuse_network(&zero, RESNET_ERROR_FORMAT, "Div_t|divides by 0, element 2 of 'k'");
}

static void additions_of_unequal_shapes_are_refused(void **state) {
  (void)state;
  network half = {0}, one = {0};
  begin_network(&half);
  add(&half, "MaxPool", "c", "h", "kernel_shape=2,2 strides=2,2");
  add(&half, "Add", "c,h", "t", "");
  end_network(&half);
  refuse_network(&half, RESNET_ERROR_FORMAT,
                 "Add_t|(h 8, w 8, c 4) and (h 4, w 4, c 4)|no broadcasting");
  begin_network(&one);
  add(&one, "GlobalAveragePool", "c", "h", "");
  add(&one, "Add", "h,c", "t", "");
  end_network(&one);
  refuse_network(&one, RESNET_ERROR_UNSUPPORTED, "Add_t|no broadcasting");
}

/* Additions before opset 7: test_loader_old_opsets.c. */
static void attributes_of_older_additions_are_refused(void **state) {
  (void)state;
  network attributes = {0};
  begin_network(&attributes);
  add(&attributes, "Add", "c,c", "t", "broadcast=1");
  end_network(&attributes);
  refuse_network(&attributes, RESNET_ERROR_UNSUPPORTED, "Add_t|'broadcast' (|is not accepted");
}

/* ---- fully connected layers -------------------------------------------------------- */

/* A flattened (n,c,h,w) has c slowest; the graph has (h,w,c), c fastest. */
static void linear_weights_are_permuted(void **state) {
  (void)state;
  enum { C = 4, AREA = 4, OUT = 3 };
  for (int transposed = 0; transposed < 2; transposed++) {
    network n = {0};
    graph g;
    begin_network(&n);
    add(&n, "MaxPool", "c", "m", "kernel_shape=4,4 strides=4,4");
    add(&n, "Flatten", "m", "f", "axis=1");
    add_random(&n, "v", transposed ? "3,16" : "16,3", 5);
    add_random(&n, "b", "3", 6);
    add(&n, "Gemm", "f,v,b", "y",
        transposed ? "transB=1 alpha=2.0 beta=0.5" : "alpha=2.0 beta=0.5");
    load_good(&n, &g);
    const graph_node *linear = scores(&g);
    assert_int_equal(linear->op, GRAPH_LINEAR);
    assert_int_equal(linear->weight_count, C * AREA * OUT);
    for (size_t o = 0; o < OUT; o++)
      for (size_t k = 0; k < AREA; k++)
        for (size_t c = 0; c < C; c++) {
          size_t column = c * AREA + k,
                 from = transposed ? o * C * AREA + column : column * OUT + o;
          assert_float_equal(linear->weights[(o * AREA + k) * C + c], 2 * random_float(5, from), 0);
        }
    assert_float_equal(linear->bias[2], 0.5F * random_float(6, 2), 0);
    unload(&g);
  }
}

static void matmul_and_add_are_one_layer(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add(&n, "GlobalAveragePool", "c", "p", "");
  add(&n, "Reshape", "p,shape", "f", "");
  add_integers(&n, "shape", "2", (const int64_t[]){-1, 4});
  add_random(&n, "v", "3,4", 5);
  add_random(&n, "b", "3", 6);
  add(&n, "Transpose", "v", "vt", "perm=1,0");
  add(&n, "MatMul", "f,vt", "m", "");
  add(&n, "Add", "b,m", "y", "");
  load_good(&n, &g);
  assert_int_equal(g.node_count, 4);
  for (size_t i = 0; i < 12; i++) assert_float_equal(scores(&g)->weights[i], random_float(5, i), 0);
  for (size_t i = 0; i < 3; i++) assert_float_equal(scores(&g)->bias[i], random_float(6, i), 0);
  assert_string_equal(scores(&g)->output, "y");
  unload(&g);
}

/* Gemm on (n,c,1,1), as old MXNet files have it (onnx/models issue 87). */
static void gemm_takes_a_feature_map(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add(&n, "GlobalAveragePool", "c", "p", "");
  add_random(&n, "v", "4,1001", 5);
  add(&n, "Gemm", "p,v", "y", "");
  load_good(&n, &g);
  assert_int_equal(scores(&g)->shape.c, 1001);
  assert_float_equal(scores(&g)->bias[1000], 0, 0);
  unload(&g);
}

static void refuse_gemm(const char *matrix, const char *bias, const char *attributes,
                        resnet_status status, const char *what) {
  network n = {0};
  begin_network(&n);
  add(&n, "GlobalAveragePool", "c", "p", "");
  add(&n, "Flatten", "p", "f", "");
  add_random(&n, "v", matrix, 5);
  add_random(&n, "b", bias, 6);
  add(&n, "Gemm", "f,v,b", "y", attributes);
  refuse_network(&n, status, what);
}

static void impossible_gemms_are_refused(void **state) {
  (void)state;
  refuse_gemm("4,3", "3", "transA=1", RESNET_ERROR_UNSUPPORTED, "Gemm_y|transA is 1");
  refuse_gemm("5,3", "3", "", RESNET_ERROR_FORMAT, "take 5 numbers, its input has 4");
  refuse_gemm("4,3", "4", "", RESNET_ERROR_FORMAT, "bias 'b' has 4 floats: 3 floats");
  refuse_gemm("4,3", "3", "alpha=1e39", RESNET_ERROR_FORMAT, "Gemm_y|weights overflow once alpha");
  refuse_gemm("4,3,1", "3", "", RESNET_ERROR_UNSUPPORTED, "weights 'v' must be a matrix");
}

/* ---- views ------------------------------------------------------------------------- */

static void check_flattening(int64_t opset, const char *operator_type, const char *inputs,
                             const char *attributes, const char *batch, size_t count,
                             const int64_t *numbers) {
  network n = {.opset = opset, .input = batch};
  graph g;
  char dims[8] = "0";
  dims[0] = (char)('0' + (char)count);
  begin_network(&n);
  add(&n, "GlobalAveragePool", "c", "p", "");
  add_integers(&n, "k", dims, numbers);
  add(&n, operator_type, inputs, "f", attributes);
  add_random(&n, "v", "4,2", 5);
  add(&n, "MatMul", "f,v", "y", "");
  load_good(&n, &g);
  assert_int_equal(g.node_count, 4);
  unload(&g);
}

static void spellings_of_flatten(void **state) {
  (void)state;
  check_flattening(13, "Flatten", "p", "", "N,3,8,8", 0, NULL);
  check_flattening(13, "Flatten", "p", "axis=-3", "N,3,8,8", 0, NULL);
  check_flattening(13, "Reshape", "p,k", "", "N,3,8,8", 2, (const int64_t[]){0, -1});
  check_flattening(13, "Reshape", "p,k", "", "N,3,8,8", 2, (const int64_t[]){-1, 4});
  check_flattening(14, "Reshape", "p,k", "allowzero=1", "N,3,8,8", 2, (const int64_t[]){-1, 4});
  check_flattening(13, "Reshape", "p,k", "", "6,3,8,8", 2, (const int64_t[]){6, 4});
  check_flattening(13, "Reshape", "p,k", "", "1,3,8,8", 2, (const int64_t[]){1, -1});
  check_flattening(11, "Squeeze", "p", "axes=2,3", "N,3,8,8", 0, NULL);
  check_flattening(11, "Squeeze", "p", "", "N,3,8,8", 0, NULL);
  check_flattening(13, "Squeeze", "p,k", "", "N,3,8,8", 2, (const int64_t[]){-1, -2});
}

static void refuse_view(const char *operator_type, const char *inputs, const char *attributes,
                        size_t count, const int64_t *numbers, resnet_status status,
                        const char *what) {
  network n = {.input = "2,3,8,8"};
  char dims[8] = "0";
  dims[0] = (char)('0' + (char)count);
  begin_network(&n);
  add_integers(&n, "k", dims, numbers);
  add(&n, operator_type, inputs, "t", attributes);
  end_network(&n);
  refuse_network(&n, status, what);
}

/* A convolution's bias is not broadcast. */
static void biases_of_other_shapes_are_refused(void **state) {
  (void)state;
  static const char *const shapes[] = {"1", "1,4", "4,1", "3", ""};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    network n = {0};
    begin_network(&n);
    add_random(&n, "k", "4,4,1,1", 1);
    add_random(&n, "bias", shapes[i], 2);
    add(&n, "Conv", "c,k,bias", "t", "");
    end_network(&n);
    refuse_network(&n, RESNET_ERROR_FORMAT, "Conv_t|its bias 'bias' has|one dimension of 4");
  }
}

/* Without axes, Squeeze removes a batch of 1, too. */
static void squeezed_batches_are_refused(void) {
  network n = {.input = "1,3,8,8", .opset = 11}, last = {.input = "1,3,8,8", .opset = 11};
  graph g;
  begin_network(&n);
  add(&n, "GlobalAveragePool", "c", "q", "");
  add(&n, "Squeeze", "q", "s", "");
  add(&n, "Unsqueeze", "s", "t", "axes=1,");
  end_network(&n);
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED,
                 "Squeeze_s|names no axes|removes the file's batch of 1, too");
  add(&last, "GlobalAveragePool", "x", "p", "");
  add(&last, "Squeeze", "p", "y", ""); /* the scores, the same numbers as (1,3) */
  load_good(&last, &g);
  assert_int_equal(find_scores(&g)->shape.c, 3);
  unload(&g);
}

static void views_that_mix_samples_are_refused(void **state) {
  (void)state;
  squeezed_batches_are_refused();
  const resnet_status form = RESNET_ERROR_FORMAT, not_yet = RESNET_ERROR_UNSUPPORTED;
  refuse_view("Flatten", "c", "axis=0", 0, NULL, not_yet, "Flatten_t|axis is 0");
  refuse_view("Flatten", "c", "axis=5", 0, NULL, form, "axis 5 is out of range");
  refuse_view("Reshape", "c,k", "", 2, (const int64_t[]){3, 256}, not_yet,
              "begins with 3, which is not the batch");
  refuse_view("Reshape", "c,k", "", 2, (const int64_t[]){-1, 128}, not_yet,
              "reshapes 256 elements to a shape of 128");
  refuse_view("Reshape", "c,k", "", 2, (const int64_t[]){2, 100}, form,
              "reshapes 256 elements to a shape of 100");
  refuse_view("Reshape", "c,k", "", 2, (const int64_t[]){-1, -1}, form, "two dimensions of -1");
  refuse_view("Reshape", "c,k", "", 3, (const int64_t[]){2, -1, -1}, form,
              "asks for dimension -1 at position 2");
  refuse_view("Reshape", "c,k", "", 0, NULL, form, "shape is empty");
  refuse_view("Squeeze", "c,k", "", 1, (const int64_t[]){0}, not_yet, "removes the batch");
  refuse_view("Squeeze", "c,k", "", 1, (const int64_t[]){1}, form,
              "removes axis 1, which has 4 elements");
  refuse_view("Squeeze", "c,k", "", 2, (const int64_t[]){1, -3}, form, "axis 1 is named twice");
  refuse_view("Unsqueeze", "c,k", "", 1, (const int64_t[]){0}, not_yet, "before the batch");
  refuse_view("Transpose", "c", "perm=0,1,3,2", 0, NULL, not_yet,
              "Transpose_t|changes the order of the axes of 'c'");
  refuse_view("Transpose", "c", "perm=1,2,0,3", 0, NULL, not_yet,
              "Transpose_t|moves the batch of 'c' from the front");
  refuse_view("Transpose", "c", "perm=0,2,2,1", 0, NULL, form, "no permutation");
}

static void softmax_axes_by_opset(void **state) {
  (void)state;
  static const struct {
    int64_t opset;
    const char *attributes;
    bool accepted;
  } cases[] = {{12, "", true},       {13, "", false},        {13, "axis=1", true},
               {12, "axis=1", true}, {12, "axis=-1", false}, {12, "axis=3", false},
               {13, "axis=-3", true}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    network n = {.opset = cases[i].opset};
    graph g;
    begin_network(&n);
    add(&n, "GlobalAveragePool", "c", "p", "");
    add(&n, "Softmax", "p", "y", cases[i].attributes); /* on (n,c,1,1) */
    if (cases[i].accepted) {
      load_good(&n, &g);
      assert_int_equal(scores(&g)->op, GRAPH_SOFTMAX);
      unload(&g);
    } else {
      refuse_network(&n, RESNET_ERROR_UNSUPPORTED, "Softmax_y|is taken over axis 3");
    }
  }
}

/* Dropout's ratio is an attribute up to opset 11; its training mode is an input from 12
 * on. */
static void dropout_and_identity_vanish(void **state) {
  (void)state;
  static const float ratio = 0.5F;
  static const int64_t yes = 1;
  network old = {.opset = 11}, new = {0}, training = {0};
  graph g;
  begin_network(&old);
  add(&old, "Dropout", "c", "d,mask", "ratio=0.5");
  add(&old, "Cast", "d", "h", "to=10");
  add(&old, "Identity", "h", "t", "");
  end_network(&old);
  load_good(&old, &g);
  assert_int_equal(g.node_count, 3);
  unload(&g);
  begin_network(&new);
  add_floats(&new, "ratio", "", &ratio);
  add(&new, "Dropout", "c,ratio", "t", "seed=3");
  end_network(&new);
  load_good(&new, &g);
  assert_int_equal(g.node_count, 3);
  unload(&g);
  begin_network(&training);
  add_integers(&training, "yes", "", &yes);
  add(&training, "Dropout", "c,,yes", "t", "");
  end_network(&training);
  refuse_network(&training, RESNET_ERROR_UNSUPPORTED, "Dropout_t|training_mode is true");
}

/* ---- Pad --------------------------------------------------------------------------- */

static void zero_padding_fuses_with_a_convolution(void **state) {
  (void)state;
  network n = {.opset = 9};
  graph g;
  add(&n, "Pad", "x", "padded", "pads=0,0,1,2,0,0,2,1 mode=constant");
  add_random(&n, "w", "4,3,3,3", 1);
  add(&n, "Conv", "padded,w", "t", "strides=2,2 pads=1,0,0,0");
  end_network(&n);
  load_good(&n, &g);
  static const graph_window expected = {3, 3, 2, 2, 1, 1, 2, 2, 2, 1};
  assert_memory_equal(&g.nodes[1].window, &expected, sizeof expected);
  assert_int_equal(g.nodes[1].shape.h, 5);
  assert_int_equal(g.nodes[1].shape.w, 5);
  unload(&g);
}

static void refuse_pad(int64_t opset, const char *attributes, const char *reader,
                       const char *reader_attributes, const char *what) {
  network n = {.opset = opset};
  begin_network(&n);
  add(&n, "Pad", "c", "padded", attributes);
  add(&n, reader, "padded", "t", reader_attributes);
  end_network(&n);
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED, what);
}

static void other_padding_is_refused(void **state) {
  (void)state;
  refuse_pad(9, "pads=0,0,1,1,0,0,1,1 mode=wrap", "Relu", "",
             "Pad_padded|mode 'wrap': constant, reflect and edge");
  refuse_pad(9, "pads=0,0,1,1,0,0,1,1 value=1e39", "Relu", "",
             "Pad_padded|pads with inf: finite numbers");
  refuse_pad(9, "pads=1,0,0,0,0,0,0,0", "Relu", "", "pads the batch");
  refuse_pad(9, "pads=0,0,-1,0,0,0,0,0", "Relu", "", "pads by -1");
  refuse_pad(11, "pads=0,0,1,1,0,0,1,1", "Relu", "", "opset 11|'pads' (8 numbers) is not accepted");
}

/* ---- bounds and logarithms -------------------------------------------------------- */

/* Max and Min of an activation and any number of constants are one clamp. */
static void bounds_of_many_are_one_clamp(void **state) {
  (void)state;
  static const float two = 2, one = 1, nines[8] = {9, 9, 9, 9, 9, 9, 9, 9};
  network n = {0}, nan = {0}, three = {0};
  begin_network(&n);
  add_floats(&n, "one", "", &one);
  add_floats(&n, "two", "1", &two);
  add_floats(&n, "nines", "8,1", nines);
  add(&n, "Max", "one,c,two,one", "m", "");
  add(&n, "Min", "m,nines", "t", "");
  check_clamp(&n, 2, 9);
  begin_network(&nan);
  add_floats(&nan, "nan", "1", &(const float){NAN});
  add_floats(&nan, "one", "", &one);
  add(&nan, "Max", "c,nan,one", "t", "");
  end_network(&nan);
  refuse_network(&nan, RESNET_ERROR_FORMAT, "Max_t|clips to [nan,inf]: both must be numbers");
  begin_network(&three);
  add(&three, "Relu", "c", "r", "");
  add(&three, "Neg", "c", "m", "");
  add(&three, "Max", "c,r,m", "t", "");
  end_network(&three);
  refuse_network(&three, RESNET_ERROR_UNSUPPORTED, "Max_t|maximum of more than two activations");
}

/* Log behind a softmax is LogSoftmax; elsewhere it is refused. */
static void logarithms_of_softmax(void **state) {
  (void)state;
  network log = {0}, log_softmax = {0}, other = {0};
  network *both[2] = {&log, &log_softmax};
  for (int i = 0; i < 2; i++) {
    begin_network(both[i]);
    add(both[i], "GlobalAveragePool", "c", "p", "");
    add(both[i], "Flatten", "p", "f", "");
    if (i == 0) add(both[i], "Softmax", "f", "s", "");
    add(both[i], i ? "LogSoftmax" : "Log", i ? "f" : "s", "y", "");
  }
  same_graphs(&log, &log_softmax);
  begin_network(&other);
  add(&other, "Log", "c", "t", "");
  end_network(&other);
  refuse_network(&other, RESNET_ERROR_UNSUPPORTED, "Log_t|logarithm of 'c', which no Softmax");
}

/* ---- unsupported operators --------------------------------------------------------- */

static void refuse_operator(int64_t opset, const char *operator_type, const char *what) {
  network n = {.opset = opset};
  begin_network(&n);
  add(&n, operator_type, "c", "t", "");
  end_network(&n);
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED, what);
}

static void unknown_operators_are_refused_by_name(void **state) {
  (void)state;
  refuse_operator(13, "Frobnicate",
                  "node 'Frobnicate_t' (Frobnicate, opset 13)|not accepted|onnxsim");
  refuse_operator(13, "QuantizeLinear", "int8|fp32 file");
  refuse_operator(13, "ConvInteger", "int8");
  refuse_operator(13, "If", "control flow");
  refuse_operator(17, "SequenceMap", "preprocessing inside the model");
  refuse_operator(13, "ArgMax", "must end in its scores|options.output");
  refuse_operator(13, "Resize", "Resize_t|the output of a layer|U-Net");
  refuse_operator(13, "TopK", "must end in its scores|options.output");
  refuse_operator(13, "Elu", "activation function|ReLU6|HardSwish");
  refuse_operator(13, "GroupNormalization", "batch normalisation");
  refuse_operator(8, "ConstantOfShape", "opset 8|since opset 9");
  network n = {0};
  begin_network(&n);
  add(&n, "", "c", "t", "");
  end_network(&n);
  refuse_network(&n, RESNET_ERROR_FORMAT, "names no operator");
}

static void foreign_domains_are_refused_by_name(void **state) {
  (void)state;
  network n = {0};
  buffer node = {0};
  put_text(&node, 1, "x");
  put_text(&node, 2, "y");
  put_text(&node, 3, "fused");
  put_text(&node, 4, "Conv");
  put_text(&node, 7, "com.microsoft");
  put_message(&n.graph, 1, &node);
  refuse_network(&n, RESNET_ERROR_UNSUPPORTED,
                 "node 'fused' (Conv|domain 'com.microsoft'|without fusion");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clamps_fuse_with_the_convolution),
      cmocka_unit_test(subnormal_bounds_are_zero),
      cmocka_unit_test(clip_takes_attributes_or_inputs_by_opset),
      cmocka_unit_test(leaky_relus_keep_their_slope),
      cmocka_unit_test(bounds_of_many_are_one_clamp),
      cmocka_unit_test(logarithms_of_softmax),
      cmocka_unit_test(shared_values_are_not_clamped),
      cmocka_unit_test(normalisation_is_folded_in_double),
      cmocka_unit_test(normalisation_of_a_shared_value_stays),
      cmocka_unit_test(old_normalisations_are_accepted),
      cmocka_unit_test(impossible_normalisations_are_refused),
      cmocka_unit_test(statistics_of_the_batch_are_refused),
      cmocka_unit_test(arithmetic_with_constants_is_affine),
      cmocka_unit_test(other_arithmetic_is_refused),
      cmocka_unit_test(additions_of_unequal_shapes_are_refused),
      cmocka_unit_test(attributes_of_older_additions_are_refused),
      cmocka_unit_test(linear_weights_are_permuted),
      cmocka_unit_test(matmul_and_add_are_one_layer),
      cmocka_unit_test(gemm_takes_a_feature_map),
      cmocka_unit_test(impossible_gemms_are_refused),
      cmocka_unit_test(biases_of_other_shapes_are_refused),
      cmocka_unit_test(spellings_of_flatten),
      cmocka_unit_test(views_that_mix_samples_are_refused),
      cmocka_unit_test(softmax_axes_by_opset),
      cmocka_unit_test(dropout_and_identity_vanish),
      cmocka_unit_test(zero_padding_fuses_with_a_convolution),
      cmocka_unit_test(other_padding_is_refused),
      cmocka_unit_test(unknown_operators_are_refused_by_name),
      cmocka_unit_test(foreign_domains_are_refused_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
