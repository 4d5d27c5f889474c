/* Diagnostics: files that can be run but look wrong or unusual. The messages name nodes
 * and the remedy. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "loader_network.h"

static const graph_diagnostic *find_finding(const graph *g, const char *fragment) {
  for (uint32_t i = 0; i < g->diagnostic_count; i++)
    if (strstr(g->diagnostics[i].message, fragment)) return &g->diagnostics[i];
  return NULL;
}

static void check_finding(const graph *g, resnet_severity severity,
                          const char *const fragments[3]) {
  const graph_diagnostic *f = find_finding(g, fragments[0]);
  if (!f) fail_msg("no finding says '%s'", fragments[0]);
  assert_int_equal(f->severity, severity);
  for (size_t i = 1; i < 3 && fragments[i]; i++)
    if (!strstr(f->message, fragments[i])) fail_msg("'%s' lacks '%s'", f->message, fragments[i]);
}

static void refuse_finding(const graph *g, const char *fragment) {
  const graph_diagnostic *f = find_finding(g, fragment);
  if (f) fail_msg("found: %s", f->message);
}

/* Check that warnings come before notes. */
static void check_order(const graph *g) {
  for (uint32_t i = 1; i < g->diagnostic_count; i++)
    assert_true(g->diagnostics[i - 1].severity >= g->diagnostics[i].severity);
}

/* ---- a bias shared by mistake ------------------------------------------------------ */

static void add_block(network *n, const char *first, const char *second, const float *bias) {
  begin_network(n);
  add_random(n, "v", "4,4,1,1", 2);
  add_random(n, "u", "4,4,1,1", 3);
  add_floats(n, "b", "4", bias);
  add_random(n, "b2", "4", 4);
  add(n, "Relu", "c", "r", "");
  add(n, "Conv", first, "a", "");
  add(n, "Conv", second, "q", "");
  add(n, "Add", "a,q", "t", "");
  end_network(n);
}

static const float numbers[4] = {0, 0, 0.5F, 0}, zeros[4] = {0, -0.0F, 0, 0};

static void shared_biases_give_a_warning(void **state) {
  (void)state;
  network n = {0};
  graph g;
  add_block(&n, "r,v,b", "r,u,b", numbers);
  load_good(&n, &g);
  check_order(&g);
  check_finding(&g, RESNET_WARNING,
                (const char *[3]){"nodes 'Conv_a' and 'Conv_q' share an input and the bias 'b'",
                                  "a newer onnxscript"});
  assert_int_equal(g.diagnostics[0].severity, RESNET_WARNING);
  unload(&g);
}

static void other_biases_give_no_warning(void **state) {
  (void)state;
  static const struct {
    const char *first, *second;
    const float *bias;
  } cases[] = {{"r,v,b", "r,u,b2", numbers}, /* one each */
               {"r,v,b", "r,u", numbers},    /* read by one */
               {"r,v,b", "a,u,b", numbers},  /* different inputs */
               {"r,v,b", "r,u,b", zeros}};   /* nothing is added */
  for (size_t i = 0; i < 4; i++) {
    network n = {0};
    graph g;
    add_block(&n, cases[i].first, cases[i].second, cases[i].bias);
    load_good(&n, &g);
    refuse_finding(&g, "share an input");
    unload(&g);
  }
  network dead = {0};
  graph g;
  begin_network(&dead); /* the other one has no reader */
  add_random(&dead, "v", "4,4,1,1", 2);
  add_random(&dead, "b", "4", 4);
  add(&dead, "Conv", "c,v,b", "unused", "");
  add(&dead, "Conv", "c,v,b", "t", "");
  end_network(&dead);
  load_good(&dead, &g);
  refuse_finding(&g, "share an input");
  unload(&g);
}

/* Their number is limited, and so is the time to find them. */
static void diagnostics_are_limited(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add_random(&n, "v", "4,4,1,1", 2);
  add_random(&n, "b", "4", 4);
  add(&n, "Conv", "c,v,b", "s0", "");
  for (int i = 1; i < 50; i++) {
    char conv[16], sum[16], inputs[32];
    (void)snprintf(conv, sizeof conv, "a%d", i);
    (void)snprintf(sum, sizeof sum, i == 49 ? "t" : "s%d", i);
    (void)snprintf(inputs, sizeof inputs, "%s,s%d", conv, i - 1);
    add(&n, "Conv", "c,v,b", conv, "");
    add(&n, "Add", inputs, sum, "");
  }
  end_network(&n);
  load_good(&n, &g);
  assert_int_equal(g.diagnostic_count, GRAPH_MAX_DIAGNOSTICS);
  for (uint32_t i = 0; i < g.diagnostic_count; i++) {
    assert_int_equal(g.diagnostics[i].severity, RESNET_WARNING);
    assert_in_range(strlen(g.diagnostics[i].message), 1, RESNET_ERROR_MESSAGE_SIZE - 1);
  }
  unload(&g);
}

/* Return the seconds of CPU time to load `count` convolutions that share one bias, of
 * which none is another's input. */
static double seconds_to_load(int count) {
  network n = {0};
  graph g;
  add_random(&n, "w", "1,3,1,1", 1);
  add_random(&n, "v", "1,1,1,1", 2);
  add_random(&n, "b", "1", 4);
  add(&n, "Conv", "x,w,b", "s0", "");
  for (int i = 1; i < count; i++) {
    char output[16], inputs[32];
    (void)snprintf(output, sizeof output, i == count - 1 ? "t" : "s%d", i);
    (void)snprintf(inputs, sizeof inputs, "s%d,v,b", i - 1);
    add(&n, "Conv", inputs, output, "");
  }
  end_network(&n);
  const clock_t start = clock();
  load_good(&n, &g);
  const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
  refuse_finding(&g, "share an input");
  unload(&g);
  return seconds;
}

/* Comparing all pairs would take 16 times as long for 4 times as many. */
static void many_convolutions_take_no_time(void **state) {
  (void)state;
  enum { COUNT = 19990 };
  const double few = seconds_to_load(COUNT / 4), many = seconds_to_load(COUNT);
  if (many > 10 * few + 0.5) fail_msg("%g seconds, and %g for a quarter", many, few);
}

/* ---- the end ----------------------------------------------------------------------- */

static void check_end(const char *const operators[2], const char *note, bool warning) {
  network n = {0};
  graph g;
  begin_network(&n);
  add_random(&n, "m", "5,4", 3);
  add(&n, "GlobalAveragePool", "c", "p", "");
  add(&n, "Flatten", "p", "v", "");
  add(&n, "Gemm", "v,m", "f", "transB=1");
  add(&n, operators[0], "f", "g", "");
  add(&n, "Identity", "g", "h", "");
  add(&n, operators[1], "h", "y", "");
  load_good(&n, &g);
  check_order(&g);
  if (note)
    check_finding(&g, RESNET_NOTE, (const char *[3]){note});
  else
    refuse_finding(&g, "gives 5");
  char names[64];
  (void)snprintf(names, sizeof names, "node '%s_y' takes the softmax of node '%s_g'", operators[1],
                 operators[0]);
  if (warning)
    check_finding(&g, RESNET_WARNING, (const char *[3]){names, "remove one of the two"});
  else
    refuse_finding(&g, "takes the softmax of");
  unload(&g);
}

static void softmax_missing_or_doubled(void **state) {
  (void)state;
  const char *logits = "gives 5 logits (there is no Softmax, as in most exports)";
  check_end((const char *[2]){"Relu", "Identity"}, logits, false);
  check_end((const char *[2]){"Softmax", "Identity"}, NULL, false);
  check_end((const char *[2]){"Relu", "LogSoftmax"}, NULL, false);
  check_end((const char *[2]){"Softmax", "Relu"}, NULL, false);
  check_end((const char *[2]){"Softmax", "Softmax"}, NULL, true);
  check_end((const char *[2]){"Softmax", "LogSoftmax"}, NULL, true);
  /* softmax(log(softmax(x))) is softmax(x) */
  check_end((const char *[2]){"LogSoftmax", "Softmax"}, NULL, false);
}

/* ---- the input --------------------------------------------------------------------- */

static void oddly_declared_inputs(void **state) {
  (void)state;
  static const struct {
    const char *dims;
    bool last, frozen;
  } cases[] = {{"N,8,8,3", true, false},
               {"N,3,8,8", false, false},
               {"16,3,8,8", false, true},
               {"1,8,8,3", true, true},
               {"-1,3,8,8", false, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    network n = {.input = cases[i].dims};
    graph g;
    add_random(&n, "w", "4,3,3,3", 1);
    add(&n, cases[i].last ? "Transpose" : "Identity", "x", "first",
        cases[i].last ? "perm=0,3,1,2" : "");
    add(&n, "Conv", "first,w", "t", "");
    end_network(&n);
    load_good(&n, &g);
    check_order(&g);
    if (cases[i].last)
      check_finding(&g, RESNET_NOTE,
                    (const char *[3]){"input 'x' is declared (n,h,w,c)", "--inputs-as-nchw"});
    else
      refuse_finding(&g, "declared (n,h,w,c)");
    if (cases[i].frozen)
      check_finding(&g, RESNET_NOTE,
                    (const char *[3]){"input 'x' has a frozen batch of 1", "dynamic"});
    else
      refuse_finding(&g, "frozen batch");
    unload(&g);
  }
}

/* ---- messages on a terminal -------------------------------------------------------- */

static void control_characters_are_masked(void **state) {
  (void)state;
  network n = {0};
  graph g;
  begin_network(&n);
  add_random(&n, "v", "4,4,1,1", 2);
  add_random(&n, "b\x1b[31m\n", "4", 4);
  add(&n, "Conv", "c,v,b\x1b[31m\n", "a\x07\x7f", "");
  add(&n, "Conv", "c,v,b\x1b[31m\n", "q", "");
  add(&n, "Add", "a\x07\x7f,q", "t", "");
  end_network(&n);
  load_good(&n, &g);
  check_finding(&g, RESNET_WARNING,
                (const char *[3]){"nodes 'Conv_a?\?' and 'Conv_q'", "the bias 'b?[31m?'"});
  unload(&g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shared_biases_give_a_warning),
      cmocka_unit_test(other_biases_give_no_warning),
      cmocka_unit_test(diagnostics_are_limited),
      cmocka_unit_test(many_convolutions_take_no_time),
      cmocka_unit_test(softmax_missing_or_doubled),
      cmocka_unit_test(oddly_declared_inputs),
      cmocka_unit_test(control_characters_are_masked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
