/* Plan files: a saved model opens again as the same model, mapped if it fits this machine
 * and packed again otherwise. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xnnpack.h>
#include <zlib.h>

#include "plan_gated.h"
#include "plan_network.h"
#include "plan_seal.h"
#include "runtime/api/model.h"
#include "runtime/plan_file/format.h"

static resnet_model_options defaults(void) {
  resnet_model_options options;
  resnet_model_options_init(&options);
  return options;
}

static resnet_model *open_path(const char *path, const resnet_model_options *options) {
  resnet_model *model = NULL;
  resnet_error error;
  if (resnet_model_open(path, options, &model, &error) != RESNET_OK) fail_msg("%s", error.message);
  return model;
}

/* ---- the same model ---------------------------------------------------------------- */

static void assert_same_text(const char *a, const char *b) {
  assert_true(a && b);
  assert_string_equal(a, b);
}

static void assert_same_op(const resnet_model *a, const resnet_model *b, uint32_t index) {
  resnet_op x = {.struct_size = sizeof x}, y = {.struct_size = sizeof y};
  assert_int_equal(resnet_plan_op(a, index, &x, NULL), RESNET_OK);
  assert_int_equal(resnet_plan_op(b, index, &y, NULL), RESNET_OK);
  assert_same_text(x.name, y.name);
  assert_same_text(x.output, y.output);
  assert_same_text(x.kernel, y.kernel);
  assert_same_text(x.detail, y.detail);
  assert_int_equal(x.block, y.block);
  assert_int_equal(x.shortcut, y.shortcut);
  assert_int_equal(x.weights_bytes, y.weights_bytes);
  assert_int_equal(x.arena_offset, y.arena_offset);
}

static void assert_same_model(const resnet_model *a, const resnet_model *b) {
  const resnet_model_info x = plan_info(a), y = plan_info(b);
  assert_same_text(x.name, y.name);
  assert_same_text(x.producer, y.producer);
  assert_int_equal(x.opset, y.opset);
  assert_int_equal(x.op_count, y.op_count);
  assert_int_equal(x.block_count, y.block_count);
  assert_int_equal(x.parameters, y.parameters);
  assert_int_equal(x.weights_bytes, y.weights_bytes);
  assert_int_equal(x.finding_count, y.finding_count);
  for (uint32_t i = 0; i < x.finding_count; i++) {
    assert_int_equal(x.findings[i].severity, y.findings[i].severity);
    assert_same_text(x.findings[i].message, y.findings[i].message);
  }
  assert_memory_equal(&x.preprocess, &y.preprocess, sizeof x.preprocess);
  assert_int_equal(x.preprocess_source, y.preprocess_source);
  assert_int_equal(!x.labels, !y.labels);
  for (uint32_t i = 0; x.labels && i < x.classes; i++) assert_same_text(x.labels[i], y.labels[i]);
  for (uint32_t i = 0; i < x.op_count; i++) assert_same_op(a, b, i);
  plan_assert_same(a, b);
}

/* Check a model from .onnx to a plan file and back, mapped and from memory. */
static void check_round_trip(const buffer *onnx, const resnet_model_options *options) {
  buffer file = plan_compile(onnx, options);
  plan_write(plan_path("plan"), &file);
  resnet_model *source = plan_open(onnx, options), *mapped = open_path(plan_path("plan"), options);
  resnet_model *copied = plan_open(&file, options);
  memset(file.data, 0xa5, file.size); /* the caller may change it after the call */
  buffer_release(&file);
  assert_true(mapped->file.mapped && !copied->file.mapped);
  assert_string_equal(plan_info(mapped).notice, "");
  assert_string_equal(plan_info(copied).notice, "");
  assert_same_model(source, mapped);
  assert_same_model(source, copied);
  resnet_model_close(&source);
  resnet_model_close(&mapped);
  resnet_model_close(&copied);
}

static void a_plan_file_is_the_same_model(void **state) {
  (void)state;
  static const char *const paths[] = {SOURCE_DIR "/tests/models/resnet8_option_a.onnx",
                                      SOURCE_DIR "/tests/models/resnet8_option_b.onnx",
                                      SOURCE_DIR "/models/cifar10-resnet20.onnx"};
  resnet_model_options options = defaults();
  for (size_t i = 0; i < 5; i++)
    for (resnet_conv conv = RESNET_CONV_AUTO; conv <= RESNET_CONV_XNNPACK; conv++) {
      buffer onnx = i < 3   ? plan_read(paths[i])
                    : i < 4 ? plan_mixed_network()
                            : plan_own_kernels_network();
      options.conv = conv;
      check_round_trip(&onnx, &options);
      buffer_release(&onnx);
    }
}

static unsigned kernels_of(const resnet_model *model) {
  unsigned seen = 0;
  for (uint32_t i = 0; i < model->plan.op_count; i++) seen |= 1U << model->plan.ops[i].kernel;
  return seen;
}

/* The mixed network has the operators that it is used for. */
static void the_mixed_network_has_every_operator(void **state) {
  (void)state;
  buffer onnx = plan_mixed_network();
  resnet_model *model = plan_open(&onnx, NULL);
  assert_true(kernels_of(model) & 1U << KERNEL_AFFINE && kernels_of(model) & 1U << KERNEL_SOFTMAX &&
              kernels_of(model) & 1U << KERNEL_AVERAGE_POOL &&
              kernels_of(model) & 1U << KERNEL_GROUPED);
  assert_int_equal(plan_info(model).scores, RESNET_SCORES_PROBABILITIES);
  resnet_model_close(&model);
  buffer_release(&onnx);
}

/* XNNPACK computes its grouped convolutions: depthwise ones without packed weights. */
static void the_mixed_network_has_groups_for_xnnpack(void **state) {
  (void)state;
  buffer onnx = plan_mixed_network();
  resnet_model_options options = defaults();
  options.conv = RESNET_CONV_XNNPACK;
  resnet_model *model = plan_open(&onnx, &options);
  bool depthwise = false, grouped = false;
  for (uint32_t i = 0; i < model->plan.op_count; i++) {
    const plan_op *op = &model->plan.ops[i];
    if (op->kernel != KERNEL_CONV) continue;
    depthwise = depthwise || (op->groups > 1 && op->groups == op->in.c && !op->packed.data);
    grouped = grouped || (op->groups > 1 && op->groups < op->in.c && op->packed.data);
  }
  assert_true(depthwise && grouped);
  resnet_model_close(&model);
  buffer_release(&onnx);
}

/* The network of our own kernels has all of them. */
static void the_network_of_own_kernels_has_them_all(void **state) {
  (void)state;
  buffer onnx = plan_own_kernels_network();
  resnet_model_options options = defaults();
  options.conv = RESNET_CONV_WINOGRAD;
  resnet_model *model = plan_open(&onnx, &options);
  unsigned forms = 0;
  bool uneven = false, adds = false;
  for (uint32_t i = 0; i < model->plan.op_count; i++) {
    const plan_op *op = &model->plan.ops[i];
    if (op->kernel == KERNEL_WINOGRAD || op->kernel == KERNEL_STEM) forms |= 1U << op->form;
    uneven = uneven || (op->winograd_unsafe && op->kernel == KERNEL_GEMM);
    adds = adds || (op->kernel == KERNEL_GEMM && op->input_count == 2);
  }
  assert_int_equal(forms, (1U << WINOGRAD_FORMS) - 1);
  assert_true(uneven && adds);
  assert_int_equal(plan_info(model).scores, RESNET_SCORES_LOGITS);
  resnet_model_close(&model);
  buffer_release(&onnx);
}

/* Gates, borders, a shortcut that pools and diagnostics are saved as the graph has
 * them. */
static buffer compile_gated(void) {
  resnet_model *model = gated_model();
  resnet_error error;
  if (resnet_model_save(model, plan_path("gated"), &error) != RESNET_OK)
    fail_msg("%s", error.message);
  resnet_model_close(&model);
  return plan_read(plan_path("gated"));
}

static void gates_and_borders_are_kept(void **state) {
  (void)state;
  resnet_model *source = gated_model();
  assert_int_equal(resnet_model_save(source, plan_path("gated"), NULL), RESNET_OK);
  buffer file = plan_read(plan_path("gated"));
  resnet_model *mapped = open_path(plan_path("gated"), NULL), *copied = plan_open(&file, NULL);
  assert_string_equal(plan_info(mapped).notice, "");
  assert_same_model(source, mapped);
  assert_same_model(source, copied);
  assert_int_equal(resnet_model_save(mapped, plan_path("again"), NULL), RESNET_OK);
  buffer again = plan_read(plan_path("again"));
  assert_int_equal(again.size, file.size);
  assert_memory_equal(again.data, file.data, file.size);
  resnet_model_close(&source);
  resnet_model_close(&mapped);
  resnet_model_close(&copied);
  buffer_release(&again);
  buffer_release(&file);
}

static resnet_op find_op(const resnet_model *model, const char *kernel, uint32_t number) {
  resnet_op op = {.struct_size = sizeof op};
  for (uint32_t i = 0; i < model->plan.op_count; i++) {
    assert_int_equal(resnet_plan_op(model, i, &op, NULL), RESNET_OK);
    if (strcmp(op.kernel, kernel) == 0 && number-- == 0) return op;
  }
  fail_msg("no %s", kernel);
  return op;
}

static void the_gated_plan_describes_its_ops(void **state) {
  (void)state;
  resnet_model *model = gated_model();
  assert_string_equal(find_op(model, "pad", 0).detail, "reflect 1,1,1,1");
  assert_string_equal(find_op(model, "pad", 1).detail, "value 0.5 1,1,1,1");
  assert_string_equal(find_op(model, "pad", 2).detail, "edge 0,1,2,0");
  assert_string_equal(find_op(model, "scale", 0).detail, "gate sigmoid");
  assert_string_equal(find_op(model, "scale", 1).detail, "gate");
  assert_string_equal(find_op(model, "sigmoid", 0).detail, "");
  assert_string_equal(find_op(model, "add", 0).detail, "pool relu");
  assert_string_equal(find_op(model, "add", 1).detail, "identity relu");
  assert_int_equal(find_op(model, "average_pool", 0).shortcut, RESNET_SHORTCUT_POOL);
  const resnet_op channels = find_op(model, "channel_conv", 0);
  assert_string_equal(channels.detail, "channels 1x3");
  assert_int_equal(channels.parameters, 4);
  assert_int_equal(channels.macs, 8 * 3);
  assert_int_equal(channels.weights_bytes, 4 * sizeof(float));
  const resnet_model_info info = plan_info(model);
  /* three 3x3 and the last; a gate's own do not count */
  assert_int_equal(info.conv_layers, 4);
  for (uint32_t i = 0; i < 2; i++) {
    resnet_block block = {.struct_size = sizeof block};
    assert_int_equal(resnet_plan_block(model, i, &block, NULL), RESNET_OK);
    assert_int_equal(block.convs, 1);
    assert_int_equal(block.shortcut, i ? RESNET_SHORTCUT_IDENTITY : RESNET_SHORTCUT_POOL);
  }
  resnet_model_close(&model);
}

static void warnings_come_before_notes(void **state) {
  (void)state;
  resnet_model *model = gated_model();
  const resnet_model_info info = plan_info(model);
  assert_int_equal(info.finding_count, 4);
  assert_int_equal(info.findings[0].severity, RESNET_WARNING);
  assert_string_equal(info.findings[0].message,
                      "node 'r\xc3\xa9seau': its bias is its neighbour's");
  assert_int_equal(info.findings[1].severity, RESNET_WARNING);
  assert_non_null(strstr(info.findings[1].message, "tf2onnx"));
  assert_int_equal(info.findings[2].severity, RESNET_NOTE);
  assert_string_equal(info.findings[2].message, "scores are logits");
  assert_string_equal(info.findings[3].message, "the batch is fixed");
  resnet_model_close(&model);
  buffer onnx = plan_mixed_network();
  model = plan_open(&onnx, NULL);
  assert_int_equal(!plan_info(model).findings, !plan_info(model).finding_count);
  resnet_model_close(&model);
  buffer_release(&onnx);
}

static void saving_again_gives_the_same_bytes(void **state) {
  (void)state;
  buffer onnx = plan_mixed_network(), first = plan_compile(&onnx, NULL);
  plan_write(plan_path("first"), &first);
  resnet_model *mapped = open_path(plan_path("first"), NULL), *copied = plan_open(&first, NULL);
  resnet_model *const models[] = {mapped, copied};
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(resnet_model_save(models[i], plan_path("second"), NULL), RESNET_OK);
    buffer second = plan_read(plan_path("second"));
    assert_int_equal(second.size, first.size);
    assert_memory_equal(second.data, first.data, first.size);
    buffer_release(&second);
  }
  resnet_model_close(&mapped);
  resnet_model_close(&copied);
  buffer_release(&onnx);
  buffer_release(&first);
}

static void a_model_can_be_saved_over_its_own_file(void **state) {
  (void)state;
  buffer onnx = plan_mixed_network(), file = plan_compile(&onnx, NULL);
  plan_write(plan_path("own"), &file);
  resnet_model *model = open_path(plan_path("own"), NULL), *source = plan_open(&onnx, NULL);
  assert_int_equal(resnet_model_save(model, plan_path("own"), NULL), RESNET_OK);
  /* the earlier file is still mapped */
  plan_assert_same(model, source);
  buffer again = plan_read(plan_path("own"));
  assert_memory_equal(again.data, file.data, file.size);
  resnet_model_close(&model);
  resnet_model_close(&source);
  buffer_release(&again);
  buffer_release(&onnx);
  buffer_release(&file);
}

static void weights_must_have_been_kept(void **state) {
  (void)state;
  resnet_error error;
  resnet_model *model = open_path(SOURCE_DIR "/tests/models/resnet8_option_a.onnx", NULL);
  assert_int_equal(resnet_model_save(model, plan_path("none"), &error), RESNET_ERROR_ARGUMENT);
  assert_non_null(strstr(error.message, "keep_weights"));
  assert_int_equal(access(plan_path("none"), F_OK), -1);
  assert_int_equal(resnet_model_save(NULL, plan_path("none"), &error), RESNET_ERROR_ARGUMENT);
  assert_int_equal(resnet_model_save(model, NULL, &error), RESNET_ERROR_ARGUMENT);
  resnet_model_close(&model);
}

/* ---- preprocessing ----------------------------------------------------------------- */

static void preprocessing_stays_with_the_plan(void **state) {
  (void)state;
  buffer onnx = plan_read(SOURCE_DIR "/tests/models/resnet8_option_a.onnx");
  resnet_model_options options = defaults();
  resnet_preprocess named = {.fit = RESNET_FIT_STRETCH,
                             .filter = RESNET_FILTER_BICUBIC,
                             .resize_height = 48,
                             .resize_width = 40,
                             .crop_height = 32,
                             .crop_width = 31,
                             .resize_ratio = 1.25F,
                             .order = RESNET_ORDER_BGR,
                             .scale = 2,
                             .mean = {1, 2, 3},
                             .std = {4, 5, 6}};
  buffer guessed = plan_compile(&onnx, NULL);
  options.preprocess = &named;
  buffer stated = plan_compile(&onnx, &options);
  resnet_model *guess = plan_open(&guessed, NULL), *file = plan_open(&stated, NULL),
               *both = plan_open(&guessed, &options);
  assert_int_equal(plan_info(guess).preprocess_source, RESNET_PREPROCESS_GUESSED);
  assert_int_equal(plan_info(file).preprocess_source, RESNET_PREPROCESS_FROM_MODEL);
  assert_int_equal(plan_info(both).preprocess_source, RESNET_PREPROCESS_FROM_OPTIONS);
  resnet_preprocess found = plan_info(file).preprocess;
  assert_memory_equal(&found, &named, sizeof named);
  resnet_model_close(&guess);
  resnet_model_close(&file);
  resnet_model_close(&both);
  buffer_release(&onnx);
  buffer_release(&guessed);
  buffer_release(&stated);
}

static void another_input_size_is_refused(void **state) {
  (void)state;
  buffer onnx = plan_mixed_network(), file = plan_compile(&onnx, NULL);
  resnet_model_options options = defaults();
  resnet_model *model = NULL;
  resnet_error error;
  options.input_height = options.input_width = 8;
  model = plan_open(&file, &options);
  resnet_model_close(&model);
  options.input_width = 9;
  assert_int_equal(resnet_model_open_memory(file.data, file.size, &options, &model, &error),
                   RESNET_ERROR_UNSUPPORTED);
  assert_non_null(strstr(error.message, "8x8"));
  buffer_release(&onnx);
  buffer_release(&file);
}

static void another_output_is_refused(void **state) {
  (void)state;
  buffer onnx = plan_mixed_network(), file = plan_compile(&onnx, NULL);
  resnet_model_options options = defaults();
  resnet_model_info info = {.struct_size = sizeof info};
  resnet_op last = {.struct_size = sizeof last};
  resnet_error error;
  resnet_model *model = plan_open(&file, NULL), *same = NULL;
  assert_int_equal(resnet_model_get_info(model, &info, &error), RESNET_OK);
  assert_int_equal(resnet_plan_op(model, info.op_count - 1, &last, &error), RESNET_OK);
  options.output = last.output;
  same = plan_open(&file, &options);
  resnet_model_close(&same);
  options.output = "another";
  assert_int_equal(resnet_model_open_memory(file.data, file.size, &options, &same, &error),
                   RESNET_ERROR_UNSUPPORTED);
  assert_non_null(strstr(error.message, last.output));
  assert_non_null(strstr(error.message, "options.output is 'another'"));
  resnet_model_close(&model);
  buffer_release(&onnx);
  buffer_release(&file);
}

/* ---- packed again ------------------------------------------------------------------ */

static void assert_packed_anew(const buffer *file, const resnet_model_options *options,
                               const buffer *onnx, const char *fragment) {
  resnet_model *model = plan_open(file, options), *source = plan_open(onnx, options);
  const char *notice = plan_info(model).notice;
  if (!strstr(notice, fragment) || !strstr(notice, "packed anew"))
    fail_msg("'%s' lacks '%s'", notice, fragment);
  for (uint32_t i = 0; i < model->plan.op_count; i++)
    assert_null(model->plan.ops[i].packed.in_file);
  assert_same_model(source, model);
  /* saved again, it equals a file compiled here */
  buffer fresh = plan_compile(onnx, options);
  assert_int_equal(resnet_model_save(model, plan_path("again"), NULL), RESNET_OK);
  buffer again = plan_read(plan_path("again"));
  assert_int_equal(again.size, fresh.size);
  assert_memory_equal(again.data, fresh.data, fresh.size);
  resnet_model_close(&model);
  resnet_model_close(&source);
  buffer_release(&fresh);
  buffer_release(&again);
}

static void a_stale_key_is_packed_again(void **state) {
  (void)state;
  buffer onnx = plan_mixed_network(), file = plan_compile(&onnx, NULL);
  const plan_places p = plan_find_places(file.data, file.size);
  assert_true(p.key);
  uint32_t cpu;
  memcpy(&cpu, file.data + p.key + 12, sizeof cpu);
  struct {
    size_t at;
    const char *fragment;
  } const changes[] = {{p.key + 16, "another CPU"},
                       {p.key + 16 + cpu + 4, "made by"},
                       {p.ops + 4 + 20, "differ from what this library makes"}};
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    file.data[changes[i].at] ^= 1;
    plan_seal(file.data, file.size);
    assert_packed_anew(&file, NULL, &onnx, changes[i].fragment);
    file.data[changes[i].at] ^= 1;
  }
  buffer_release(&onnx);
  buffer_release(&file);
}

static void other_options_pack_again(void **state) {
  (void)state;
  buffer onnx = plan_read(SOURCE_DIR "/tests/models/resnet8_option_a.onnx");
  resnet_model_options options = defaults();
  options.conv = RESNET_CONV_WINOGRAD;
  buffer file = plan_compile(&onnx, &options);
  options.conv = RESNET_CONV_DIRECT;
  assert_packed_anew(&file, &options, &onnx, "conv 2");
  options.conv = RESNET_CONV_XNNPACK;
  assert_packed_anew(&file, &options, &onnx, "conv 2");
  buffer_release(&file);
  options.conv = RESNET_CONV_AUTO;
  file = plan_compile(&onnx, &options);
  options.memory = RESNET_MEMORY_SMALL;
  assert_packed_anew(&file, &options, &onnx, "memory 0");
  buffer_release(&onnx);
  buffer_release(&file);
}

static void a_plan_keeps_the_batch_it_was_made_for(void **state) {
  (void)state;
  resnet_model_options eight = defaults(), one = defaults();
  eight.batch = 8;
  buffer onnx = plan_mixed_network(), file = plan_compile(&onnx, &eight);
  resnet_model *model = plan_open(&file, &one), *source = plan_open(&onnx, &eight);
  assert_string_equal(plan_info(model).notice, "");
  assert_int_equal(model->options.batch, 8);
  assert_same_model(source, model);
  resnet_model_close(&model);
  resnet_model_close(&source);
  buffer_release(&onnx);
  buffer_release(&file);
}

static void packed_weights_of_another_order_do_not_pass(void **state) {
  (void)state;
  /* the fingerprint is computed from packed weights and represents their layout: it must
   * not be empty or constant */
  plan_file_key key;
  memory m;
  const plan_options options = {.batch = 1};
  resnet_error error;
  mem_init(&m, NULL, 0);
  assert_int_equal(xnn_initialize(NULL), xnn_status_success);
  assert_int_equal(plan_file_key_make(&key, &m, &options, &error), RESNET_OK);
  assert_int_equal(m.used, 0);
  plan_file_key other = key;
  char why[256] = "";
  assert_false(plan_file_key_differs(&other, &key, why, sizeof why));
  char *digits = strrchr(other.cpu, ' ');
  assert_true(digits && strlen(digits) == 17 && strcmp(digits, " 0000000000000000") != 0);
  digits[1] = digits[1] == '0' ? '1' : '0';
  assert_true(plan_file_key_differs(&other, &key, why, sizeof why));
  assert_non_null(strstr(why, other.cpu));
  assert_non_null(strstr(why, key.cpu));
}

/* ---- limits and sharing ------------------------------------------------------------ */

static void budgets_hold(void **state) {
  (void)state;
  buffer onnx = plan_read(SOURCE_DIR "/models/cifar10-resnet20.onnx"),
         file = plan_compile(&onnx, NULL);
  resnet_model_options options = defaults();
  resnet_model *model = NULL;
  resnet_error error;
  plan_write(plan_path("plan"), &file);
  options.max_memory_bytes = file.size / 2;
  /* mapped memory does not count */
  model = open_path(plan_path("plan"), &options);
  assert_true(model->memory->peak < file.size / 2);
  resnet_model_close(&model);
  assert_int_equal(resnet_model_open_memory(file.data, file.size, &options, &model, &error),
                   RESNET_ERROR_LIMIT);
  assert_non_null(strstr(error.message, "max_memory_bytes"));
  options.max_memory_bytes = 0;
  options.max_file_bytes = file.size - 1;
  assert_int_equal(resnet_model_open_memory(file.data, file.size, &options, &model, &error),
                   RESNET_ERROR_LIMIT);
  assert_int_equal(resnet_model_open(plan_path("plan"), &options, &model, &error),
                   RESNET_ERROR_LIMIT);
  assert_non_null(strstr(error.message, "max_file_bytes"));
  assert_non_null(strstr(error.message, plan_path("plan")));
  buffer_release(&onnx);
  buffer_release(&file);
}

/* Return the kilobytes of `field` over all mappings of the file; -1 if the system does
 * not report them. */
static long mapped_kilobytes(const char *path, const char *field) {
  char line[512];
  long sum = 0, value;
  bool ours = false;
  FILE *maps = fopen("/proc/self/smaps", "r");
  if (!maps) return -1;
  while (fgets(line, sizeof line, maps)) {
    if (strchr(line, '-') && strchr(line, ' ') && strchr(line, '-') < strchr(line, ' '))
      ours = strstr(line, path) != NULL;
    if (ours && strncmp(line, field, strlen(field)) == 0 &&
        sscanf(line + strlen(field), ": %ld", &value) == 1)
      sum += value;
  }
  fclose(maps);
  return sum;
}

static void two_models_share_the_file(void **state) {
  (void)state;
  buffer onnx = plan_read(SOURCE_DIR "/models/cifar10-resnet20.onnx"),
         file = plan_compile(&onnx, NULL);
  plan_write(plan_path("shared"), &file);
  resnet_model *a = open_path(plan_path("shared"), NULL), *b = open_path(plan_path("shared"), NULL);
  plan_assert_same(a, b);
  const long dirty = mapped_kilobytes(plan_path("shared"), "Private_Dirty");
  const long size = mapped_kilobytes(plan_path("shared"), "Size");
  if (dirty < 0) skip();
  assert_int_equal(dirty, 0);
  assert_in_range(size, 2 * (long)(file.size / 1024), 2 * (long)(file.size / 1024) + 16);
  resnet_model_close(&a);
  plan_assert_same(b, b); /* one model's mapping outlives the other's */
  resnet_model_close(&b);
  assert_int_equal(mapped_kilobytes(plan_path("shared"), "Size"), 0);
  buffer_release(&onnx);
  buffer_release(&file);
}

/* Return a copy of the file, `shift` bytes into read-only memory. */
static uint8_t *map_shifted(const buffer *file, size_t shift, size_t *size) {
  *size = file->size + shift;
  const int zeros = open("/dev/zero", O_RDWR);
  uint8_t *bytes = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE, zeros, 0);
  assert_true(bytes != MAP_FAILED);
  close(zeros);
  memcpy(bytes + shift, file->data, file->size);
  assert_int_equal(mprotect(bytes, *size, PROT_READ), 0);
  return bytes;
}

static void a_borrowed_plan_is_used_in_place(void **state) {
  (void)state;
  buffer onnx = plan_read(SOURCE_DIR "/models/cifar10-resnet20.onnx"),
         file = plan_compile(&onnx, NULL);
  resnet_model *copied = plan_open(&file, NULL), *model = NULL;
  resnet_model_options options = defaults();
  resnet_error error;
  size_t size;
  options.borrow = 1;
  for (size_t shift = 0; shift <= 64; shift += 16) {
    uint8_t *bytes = map_shifted(&file, shift, &size);
    const bool aligned = shift % 64 == 0;
    assert_int_equal(resnet_model_open_memory(bytes + shift, file.size, &options, &model, &error),
                     RESNET_OK);
    assert_true((model->memory->peak < file.size / 2) == aligned);
    plan_assert_same(model, copied);
    resnet_model_close(&model);
    munmap(bytes, size);
  }
  /* an .onnx file is never needed after it was opened, with any value of the option */
  assert_int_equal(resnet_model_open_memory(onnx.data, onnx.size, &options, &model, &error),
                   RESNET_OK);
  memset(onnx.data, 0, onnx.size);
  plan_assert_same(model, copied);
  resnet_model_close(&model);
  resnet_model_close(&copied);
  buffer_release(&onnx);
  buffer_release(&file);
}

static void gzip_of_a_plan_is_refused_by_name(void **state) {
  (void)state;
  buffer onnx = plan_mixed_network(), file = plan_compile(&onnx, NULL);
  resnet_model *model = NULL;
  resnet_error error;
  gzFile to = gzopen(plan_path("plan.gz"), "wb");
  assert_int_equal(gzwrite(to, file.data, (unsigned)file.size), file.size);
  assert_int_equal(gzclose(to), Z_OK);
  assert_int_equal(resnet_model_open(plan_path("plan.gz"), NULL, &model, &error),
                   RESNET_ERROR_UNSUPPORTED);
  assert_non_null(strstr(error.message, "gunzip"));
  buffer packed = plan_read(plan_path("plan.gz"));
  plan_refuse(&packed, RESNET_ERROR_UNSUPPORTED, "gzip|gunzip");
  buffer_release(&packed);
  buffer_release(&onnx);
  buffer_release(&file);
}

/* ---- saving that fails ------------------------------------------------------------- */

static size_t files_in_folder(void) {
  char path[128];
  size_t count = 0;
  snprintf(path, sizeof path, "%s", plan_path(""));
  DIR *folder = opendir(path);
  assert_non_null(folder);
  while (readdir(folder)) count++;
  closedir(folder);
  return count;
}

static void failed_saves_leave_nothing(void **state) {
  (void)state;
  buffer onnx = plan_mixed_network(), file = plan_compile(&onnx, NULL);
  resnet_model *model = plan_open(&file, NULL);
  resnet_error error;
  const char *nowhere = "/nonexistent/folder/plan", *device = "/dev/null";
  assert_int_equal(resnet_model_save(model, nowhere, &error), RESNET_ERROR_IO);
  assert_non_null(
      strstr(error.message, "/nonexistent/folder/plan: cannot be created: No such file"));
  assert_int_equal(resnet_model_save(model, device, &error), RESNET_ERROR_IO);
  assert_non_null(strstr(error.message, "not a regular file"));
  (void)mkdir(plan_path("folder"), 0777);
  const size_t before = files_in_folder();
  assert_int_equal(resnet_model_save(model, plan_path("folder"), &error), RESNET_ERROR_IO);
  assert_int_equal(files_in_folder(), before);
  resnet_model_close(&model);
  buffer_release(&onnx);
  buffer_release(&file);
}

static void a_full_disk_leaves_the_old_file(void **state) {
  (void)state;
  buffer onnx = plan_mixed_network(), file = plan_compile(&onnx, NULL), old = {0};
  struct rlimit limit, small;
  resnet_error error;
  resnet_model *model = plan_open(&file, NULL);
  put_bytes(&old, "old", 3);
  plan_write(plan_path("old"), &old);
  const size_t before = files_in_folder();
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  small = limit;
  small.rlim_cur = file.size / 2;
  (void)signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  const resnet_status status = resnet_model_save(model, plan_path("old"), &error);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  assert_int_equal(status, RESNET_ERROR_IO);
  assert_non_null(strstr(error.message, "cannot be written: File too large"));
  assert_int_equal(files_in_folder(), before);
  buffer still = plan_read(plan_path("old"));
  assert_int_equal(still.size, 3);
  resnet_model_close(&model);
  buffer_release(&still);
  buffer_release(&old);
  buffer_release(&onnx);
  buffer_release(&file);
}

static void new_files_have_ordinary_permissions(void **state) {
  (void)state;
  buffer onnx = plan_mixed_network(), file = plan_compile(&onnx, NULL);
  resnet_model *model = plan_open(&file, NULL);
  struct stat about;
  const mode_t mask = umask(027);
  assert_int_equal(resnet_model_save(model, plan_path("mask"), NULL), RESNET_OK);
  (void)umask(mask);
  assert_int_equal(stat(plan_path("mask"), &about), 0);
  assert_int_equal(about.st_mode & 0777, 0640);
  resnet_model_close(&model);
  buffer_release(&onnx);
  buffer_release(&file);
}

/* ---- failing allocations ----------------------------------------------------------- */

typedef struct counter {
  size_t calls, fail_at, live;
} counter;

static void *count_allocate(void *context, size_t size) {
  counter *c = context;
  if (++c->calls == c->fail_at) return NULL;
  c->live++;
  return malloc(size);
}

static void count_release(void *context, void *pointer) {
  counter *c = context;
  if (pointer) c->live--;
  free(pointer);
}

/* Open and save with the n-th allocation failing; return true when there were fewer. */
static bool survive(size_t n, const buffer *file, const char *path) {
  counter c = {.fail_at = n};
  resnet_model_options options = defaults();
  resnet_model *model = NULL;
  resnet_error error;
  options.allocator = (resnet_allocator){&c, count_allocate, count_release};
  options.keep_weights = 1;
  resnet_status status =
      file ? resnet_model_open_memory(file->data, file->size, &options, &model, &error)
           : resnet_model_open(path, &options, &model, &error);
  if (status == RESNET_OK) status = resnet_model_save(model, plan_path("survivor"), &error);
  resnet_model_close(&model);
  assert_int_equal(c.live, 0);
  if (status != RESNET_OK && status != RESNET_ERROR_MEMORY)
    fail_msg("allocation %zu: %s", n, error.message);
  assert_int_equal(status == RESNET_ERROR_MEMORY, c.calls >= n);
  return c.calls < n;
}

static void failing_allocations_are_survived(void **state) {
  (void)state;
  buffer onnx = plan_mixed_network(), file = plan_compile(&onnx, NULL);
  plan_write(plan_path("plan"), &file);
  for (size_t n = 1; !survive(n, NULL, plan_path("plan")); n++) {
  }
  for (size_t n = 1; !survive(n, &file, NULL); n++) {
  }
  for (size_t n = 1; !survive(n, &onnx, NULL); n++) {
  }
  buffer gated = compile_gated();
  for (size_t n = 1; !survive(n, &gated, NULL); n++) {
  }
  buffer_release(&gated);
  const plan_places p = plan_find_places(file.data, file.size);
  file.data[p.key + 16] ^= 1; /* packed again */
  plan_seal(file.data, file.size);
  for (size_t n = 1; !survive(n, &file, NULL); n++) {
  }
  buffer_release(&onnx);
  buffer_release(&file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_plan_file_is_the_same_model),
      cmocka_unit_test(the_mixed_network_has_every_operator),
      cmocka_unit_test(the_mixed_network_has_groups_for_xnnpack),
      cmocka_unit_test(the_network_of_own_kernels_has_them_all),
      cmocka_unit_test(gates_and_borders_are_kept),
      cmocka_unit_test(the_gated_plan_describes_its_ops),
      cmocka_unit_test(warnings_come_before_notes),
      cmocka_unit_test(saving_again_gives_the_same_bytes),
      cmocka_unit_test(a_model_can_be_saved_over_its_own_file),
      cmocka_unit_test(weights_must_have_been_kept),
      cmocka_unit_test(preprocessing_stays_with_the_plan),
      cmocka_unit_test(another_input_size_is_refused),
      cmocka_unit_test(another_output_is_refused),
      cmocka_unit_test(a_stale_key_is_packed_again),
      cmocka_unit_test(other_options_pack_again),
      cmocka_unit_test(a_plan_keeps_the_batch_it_was_made_for),
      cmocka_unit_test(packed_weights_of_another_order_do_not_pass),
      cmocka_unit_test(budgets_hold),
      cmocka_unit_test(two_models_share_the_file),
      cmocka_unit_test(a_borrowed_plan_is_used_in_place),
      cmocka_unit_test(gzip_of_a_plan_is_refused_by_name),
      cmocka_unit_test(failed_saves_leave_nothing),
      cmocka_unit_test(a_full_disk_leaves_the_old_file),
      cmocka_unit_test(new_files_have_ordinary_permissions),
      cmocka_unit_test(failing_allocations_are_survived),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
