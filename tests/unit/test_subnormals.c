/* Subnormal numbers are 0 in every kernel and thread. The caller's own setting has no
 * influence, and stays as it was. */
#include <stdlib.h>
#include <string.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "plan_network.h"

enum { FLUSH = 0x8040 /* flush results (FTZ) and arguments (DAZ), of MXCSR */ };

#if defined(__SSE__)
static const bool can_flush = true;
#else
static const bool can_flush = false; /* the test then compares threads and kernels only */
#endif

/* Set whether the caller's own arithmetic flushes subnormal numbers. */
static void set_flush(bool flush) {
#if defined(__SSE__)
  _mm_setcsr(flush ? _mm_getcsr() | FLUSH : _mm_getcsr() & ~(unsigned)FLUSH);
#else
  (void)flush;
#endif
}

static bool flushes(void) {
#if defined(__SSE__)
  return (_mm_getcsr() & FLUSH) == FLUSH;
#else
  return false;
#endif
}

/* A convolution whose sums are subnormal, an operator, and a convolution of our own that
 * would multiply them by 1e30. */
typedef struct network_case {
  const char *weights, *attributes; /* the first convolution's */
  const char *operator_type;
} network_case;

static buffer tiny_network(const network_case *c) {
  network n = {0};
  float tiny[4 * 3 * 25], huge[4 * 4];
  for (size_t i = 0; i < sizeof tiny / sizeof *tiny; i++)
    tiny[i] = 1e-20F * (0.1F + (float)(i % 7));
  for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) huge[i] = 1e30F;
  add_floats(&n, "tiny", c->weights, tiny);
  add_floats(&n, "huge", "4,4,1,1", huge);
  add_floats(&n, "slopes", "4,1,1", (float[]){1.5F, 2.0F, 0.5F, 3.0F});
  add_floats(&n, "scale", "", (float[]){1e-20F});
  add(&n, "Mul", "x,scale", "s", "");
  add(&n, "Relu", "s", "r", "");
  add(&n, "Conv", "r,tiny", "a", c->attributes);
  if (strcmp(c->operator_type, "PRelu") == 0)
    add(&n, "PRelu", "a,slopes", "b", "");
  else if (strcmp(c->operator_type, "Add") == 0)
    add(&n, "Add", "a,a", "b", "");
  else if (strcmp(c->operator_type, "MaxPool") == 0)
    add(&n, "MaxPool", "a", "b", "kernel_shape=3,3");
  else
    add(&n, c->operator_type, "a", "b", "");
  add(&n, "Conv", "b,huge", "t", "");
  end_network(&n);
  return finish(&n);
}

static void check_scores(const resnet_model *model, uint32_t threads, bool flush) {
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_error error;
  float input[3 * 64], scores[4];
  for (size_t i = 0; i < 3 * 64; i++) input[i] = 0.5F + random_float(1, i);
  resnet_session_options_init(&options);
  options.threads = threads;
  set_flush(flush);
  const resnet_status opened = resnet_session_open(model, &options, &session, &error);
  const resnet_status ran = opened == RESNET_OK
                                ? resnet_run(session, input, RESNET_LAYOUT_NCHW, 1, scores, &error)
                                : opened;
  const bool kept = flushes();
  set_flush(false);
  assert_int_equal(ran, RESNET_OK);
  assert_int_equal(kept, flush && can_flush);
  for (size_t i = 0; i < 4; i++) assert_float_equal(scores[i], 0, 0);
  resnet_session_close(&session);
}

static void subnormal_sums_are_zero(void **state) {
  (void)state;
  static const network_case cases[] = {
      {"4,3,1,1", "", "LeakyRelu"},
      {"4,3,1,1", "", "PRelu"},
      {"4,3,1,1", "", "Add"},
      {"4,3,1,1", "", "MaxPool"},
      {"4,3,3,3", "pads=1,1,1,1", "PRelu"},
      {"4,3,3,3", "pads=1,1,1,1 strides=2,2", "LeakyRelu"},
      {"4,3,5,5", "pads=2,2,2,2", "Relu"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int conv = RESNET_CONV_AUTO; conv <= RESNET_CONV_XNNPACK; conv++) {
      resnet_model_options options;
      resnet_model_options_init(&options);
      options.conv = (resnet_conv)conv;
      buffer file = tiny_network(&cases[i]);
      resnet_model *model = plan_open(&file, &options);
      for (uint32_t threads = 1; threads <= 2; threads++) {
        check_scores(model, threads, false);
        check_scores(model, threads, true);
      }
      resnet_model_close(&model);
      buffer_release(&file);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(subnormal_sums_are_zero),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
