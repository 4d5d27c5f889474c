/* Open and close models: read the graph, lower it, pack the weights. */
#include "runtime/api/model.h"

#include <string.h>

#include "loader/load.h"
#include "runtime/api/diagnose_preprocess.h"
#include "runtime/api/labels.h"
#include "runtime/image/presets.h"
#include "runtime/kernels/table.h"
#include "runtime/plan/arena.h"
#include "runtime/plan/lower.h"
#include "runtime/plan/select_kernels.h"
#include "runtime/plan_file/pack.h"
#include "runtime/plan_file/write.h"

static const uint64_t default_file_bytes = UINT64_C(2) << 30;
static const uint64_t default_memory_bytes = UINT64_C(6) << 30;

void resnet_model_options_init(resnet_model_options *options) {
  if (!options) return;
  memset(options, 0, sizeof *options);
  options->struct_size = sizeof *options;
}

resnet_status model_copy_options(void *to, size_t to_size, const void *from, const char *what,
                                 resnet_error *error) {
  if (!from) return RESNET_OK;
  size_t from_size;
  memcpy(&from_size, from, sizeof from_size);
  if (from_size < sizeof from_size || from_size > to_size)
    return err_fail(
        error, RESNET_ERROR_ARGUMENT,
        "%s: struct_size is %zu, this library (%s) knows up to %zu: call %s_init first, "
        "and use a library that is not older than the header",
        what, from_size, resnet_version(), to_size, what);
  memcpy(to, from, from_size);
  memcpy(to, &to_size, sizeof to_size);
  return RESNET_OK;
}

uint32_t model_class_count(const resnet_model *model) {
  return graph_class_count(model->scores, model->plan.ops[model->plan.output].shape.c);
}

/* Refuse what is neither 0 nor 1, e.g. a field that the caller did not initialise. */
static resnet_status check_switches(const resnet_model_options *options, resnet_error *error) {
  const struct {
    const char *name;
    uint32_t value;
  } switches[] = {{"keep_weights", options->keep_weights},
                  {"external_data", options->external_data},
                  {"borrow", options->borrow}};
  for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++)
    if (switches[i].value > 1)
      return err_fail(error, RESNET_ERROR_ARGUMENT, "options.%s is %u: use 0 (no) or 1 (yes)",
                      switches[i].name, switches[i].value);
  return RESNET_OK;
}

static resnet_status check_options(const resnet_model_options *options, resnet_error *error) {
  resnet_status status;
  const resnet_allocator *a = &options->allocator;
  if (!a->allocate != !a->release)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "options.allocator: only one of allocate and release is set; set both or none");
  if (options->input_height > 65535 || options->input_width > 65535)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "options.input_height, input_width: %u x %u: use 0 to 65535",
                    options->input_height, options->input_width);
  if ((unsigned)options->conv > RESNET_CONV_XNNPACK)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "options.conv is %d: use 0 (auto), 1 (direct), 2 (winograd) or 3 (xnnpack)",
                    (int)options->conv);
  if ((unsigned)options->memory > RESNET_MEMORY_SMALL)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "options.memory is %d: use 0 (normal) or 1 (small)", (int)options->memory);
  status = check_switches(options, error);
  if (status != RESNET_OK || !options->preprocess) return status;
  return image_check_preprocess(options->preprocess, 1, error);
}

static resnet_status choose_preprocess(resnet_model *model, const graph *g,
                                       const resnet_model_options *options, resnet_error *error) {
  const graph_shape input = model->plan.ops[0].shape;
  if (options->preprocess) {
    model->preprocess = *options->preprocess;
    model->preprocess_source = RESNET_PREPROCESS_FROM_OPTIONS;
  } else if (g->has_preprocess) {
    model->preprocess = g->preprocess;
    model->preprocess_source = RESNET_PREPROCESS_FROM_MODEL;
  } else {
    image_guess_preprocess(input.h, input.w, input.c, &model->preprocess);
    model->preprocess_source = RESNET_PREPROCESS_GUESSED;
  }
  if (model->preprocess_source == RESNET_PREPROCESS_GUESSED &&
      g->evidence.kind == GRAPH_EVIDENCE_VALUES) {
    image_apply_evidence(&g->evidence, input.c, &model->preprocess);
    model->preprocess_source = RESNET_PREPROCESS_FROM_GRAPH;
  }
  image_resolve_preprocess(&model->preprocess, input.h, input.w, input.c);
  return image_check_preprocess(&model->preprocess, input.c, error);
}

/* Move the diagnostics of one severity to the model, in their order. */
static void take_severity(resnet_model *model, graph *g, resnet_severity severity) {
  for (uint32_t i = 0; i < g->diagnostic_count; i++) {
    graph_diagnostic *from = &g->diagnostics[i];
    if (from->severity != severity) continue;
    model->findings[model->finding_count++] = (resnet_finding){severity, from->message};
    from->message = NULL;
  }
}

static resnet_status take_diagnostics(resnet_model *model, graph *g, resnet_error *error) {
  if (!g->diagnostic_count) return RESNET_OK;
  model->findings = mem_allocate(model->memory, g->diagnostic_count, sizeof *model->findings);
  if (!model->findings) return err_no_memory(error, "a model");
  take_severity(model, g, RESNET_WARNING);
  take_severity(model, g, RESNET_NOTE);
  return RESNET_OK;
}

/* Lower `g` into the model, which takes over the strings of `g`. */
static resnet_status compile(resnet_model *model, graph *g, const resnet_model_options *options,
                             resnet_error *error) {
  if (xnn_initialize(NULL) != xnn_status_success)
    return err_fail(
        error, RESNET_ERROR_SYSTEM,
        "XNNPACK cannot start: this CPU lacks what its kernels need (x86 wants SSE4.1)");
  resnet_status status = plan_lower(&model->plan, model->memory, g, &model->options, error);
  if (status == RESNET_OK) status = plan_assign_arena(&model->plan, error);
  if (status == RESNET_OK)
    status = plan_file_pack(&model->plan, &model->file, &model->options, model->notice,
                            sizeof model->notice, error);
  if (status != RESNET_OK) return status;
  model->evidence = g->evidence;
  g->evidence.text = NULL;
  status = choose_preprocess(model, g, options, error);
  if (status == RESNET_OK) status = model_diagnose_preprocess(model, g, error);
  if (status == RESNET_OK) status = take_diagnostics(model, g, error);
  if (status != RESNET_OK) return status;
  model->name = g->name;
  model->producer = g->producer;
  model->opset = g->opset;
  if (options->labels && g->scores == RESNET_SCORES_EMBEDDING)
    graph_take_as_classes(g, options->label_count);
  model->scores = g->scores;
  model->labels = g->labels;
  model->label_count = g->label_count;
  model->labels_replaced = g->labels_replaced;
  g->name = g->producer = NULL;
  g->labels = NULL;
  g->label_count = 0;
  if (!options->labels && !options->label_count) return RESNET_OK;
  return model_set_labels(model, options->labels, options->label_count, model_class_count(model),
                          error);
}

/* Release everything but the model's allocator. */
static void release(resnet_model *model) {
  memory *m = model->memory;
  plan_release(&model->plan);
  plan_file_release(&model->file);
  model_release_labels(model);
  for (uint32_t i = 0; i < model->finding_count; i++)
    mem_release(m, (void *)(uintptr_t)model->findings[i].message);
  mem_release(m, model->findings);
  mem_release(m, model->name);
  mem_release(m, model->producer);
  mem_release(m, model->evidence.text);
  mem_release(m, model);
}

/* Return the options of the plan. A plan file's own hold where the caller's are 0, and
 * its algorithms unless the caller asks for others. */
static plan_options choose_options(const plan_file *f, const resnet_model_options *given) {
  plan_options p = {given->conv, given->memory, given->batch ? given->batch : 1, NULL};
  if (!f->bytes) return p;
  const plan_options *kept = &f->key.options;
  if (p.conv == RESNET_CONV_AUTO) p.conv = kept->conv;
  if (p.memory == RESNET_MEMORY_NORMAL) p.memory = kept->memory;
  p.batch = kept->batch;
  if (p.conv == kept->conv && p.memory == kept->memory) p.algorithms = f->algorithms;
  return p;
}

/* Make a model. It takes over `file`, unless its own struct cannot be allocated.
 * `algorithms`: NULL, or instead of the file's. */
static resnet_status make_model(memory *m, graph *g, plan_file *file,
                                const resnet_model_options *options, const uint32_t *algorithms,
                                resnet_model **out, resnet_error *error) {
  *out = NULL;
  resnet_model *model = mem_allocate(m, 1, sizeof *model);
  if (!model) return err_no_memory(error, "a model");
  model->memory = m;
  model->references = 1;
  model->file = *file;
  model->options = choose_options(file, options);
  if (algorithms) model->options.algorithms = algorithms;
  resnet_status status = compile(model, g, options, error);
  model->options.algorithms = NULL; /* the caller's */
  *file = (plan_file){0};
  if (status != RESNET_OK) {
    release(model);
    return status;
  }
  *out = model;
  return err_clear(error);
}

resnet_status model_from_graph_with(memory *m, graph *g, const resnet_model_options *options,
                                    const uint32_t *algorithms, resnet_model **out,
                                    resnet_error *error) {
  plan_file none = {0};
  return make_model(m, g, &none, options, algorithms, out, error);
}

resnet_status model_from_graph(memory *m, graph *g, const resnet_model_options *options,
                               resnet_model **out, resnet_error *error) {
  return model_from_graph_with(m, g, options, NULL, out, error);
}

resnet_status model_name_file(const resnet_model *model, resnet_status status,
                              resnet_error *error) {
  return model->file.path ? err_add_prefix(error, status, model->file.path) : status;
}

/* A file, or bytes in memory where path is NULL. */
typedef struct source {
  const char *path;
  const void *bytes;
  size_t size;
} source;

static uint64_t file_limit(const resnet_model_options *options) {
  return options->max_file_bytes ? options->max_file_bytes : default_file_bytes;
}

/* Take the source as a plan file. f->bytes is NULL afterwards if it is none. */
static resnet_status find_plan_file(plan_file *f, memory *m, const source *from,
                                    const resnet_model_options *options, resnet_error *error) {
  if (from->path) return plan_file_map(f, m, from->path, file_limit(options), error);
  return plan_file_take(f, m, from->bytes, from->size, options->borrow != 0, file_limit(options),
                        error);
}

/* Refuse an input size that differs from the plan's. It can be chosen for ONNX files with
 * symbolic sizes only. */
static resnet_status check_input(const graph *g, const resnet_model_options *options,
                                 resnet_error *error) {
  const graph_shape input = g->nodes[0].shape;
  const bool fits = (!options->input_height || options->input_height == input.h) &&
                    (!options->input_width || options->input_width == input.w);
  if (fits) return RESNET_OK;
  return err_fail(
      error, RESNET_ERROR_UNSUPPORTED,
      "the plan is for an input of %ux%u, the options ask for %ux%u: leave them at 0, or "
      "compile a plan for that size",
      input.h, input.w, options->input_height, options->input_width);
}

/* Refuse another output than the plan's. It can be chosen for ONNX files only. */
static resnet_status check_output(const graph *g, const resnet_model_options *options,
                                  resnet_error *error) {
  const graph_node *last = &g->nodes[g->output];
  /* a flattened tensor of the file names the node before */
  if (last->op == GRAPH_FLATTEN && !last->output[0]) last = &g->nodes[last->input[0]];
  if (!options->output || strcmp(options->output, last->output) == 0) return RESNET_OK;
  return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                  "the plan ends in tensor '%.60s', but options.output is '%.60s': omit it, or "
                  "compile a plan with that output",
                  last->output, options->output);
}

static resnet_status read_plan_file(plan_file *f, graph *g, const resnet_model_options *options,
                                    resnet_error *error) {
  resnet_status status = plan_file_read(f, g, error);
  if (status == RESNET_OK) status = check_input(g, options, error);
  return status == RESNET_OK ? check_output(g, options, error) : status;
}

static resnet_status read_onnx(plan_file *f, graph *g, memory *m, const source *from,
                               const resnet_model_options *options, resnet_error *error) {
  const load_options graph_settings = {
      .max_file_bytes = file_limit(options),
      .input_height = options->input_height,
      .input_width = options->input_width,
      .output = options->output,
      .external_data = options->external_data != 0,
  };
  resnet_status status = from->path
                             ? load_file(g, m, from->path, &graph_settings, error)
                             : load_memory(g, m, from->bytes, from->size, &graph_settings, error);
  if (status != RESNET_OK || !options->keep_weights) return status;
  plan_find_winograd_safety(g); /* resnet_model_save writes the result */
  return plan_file_keep(f, m, g, error);
}

static resnet_status build_model(memory *m, const source *from, const resnet_model_options *options,
                                 resnet_model **out, resnet_error *error) {
  graph g = {0};
  plan_file file = {0};
  resnet_status status = find_plan_file(&file, m, from, options, error);
  const bool onnx = status == RESNET_OK && !file.bytes;
  if (onnx) status = read_onnx(&file, &g, m, from, options, error);
  /* the loader has prefixed the path to its message */
  const bool named = onnx && status != RESNET_OK;
  if (status == RESNET_OK && !onnx) status = read_plan_file(&file, &g, options, error);
  if (status == RESNET_OK) status = make_model(m, &g, &file, options, NULL, out, error);
  status = load_explain_budget(m, status, error);
  if (status != RESNET_OK && from->path && !named) (void)err_add_prefix(error, status, from->path);
  graph_release(&g);
  plan_file_release(&file);
  return status;
}

static resnet_status open_model(const source *from, const resnet_model_options *given,
                                resnet_model **out, resnet_error *error) {
  resnet_model_options options;
  resnet_model_options_init(&options);
  resnet_status status =
      model_copy_options(&options, sizeof options, given, "resnet_model_options", error);
  if (status == RESNET_OK) status = check_options(&options, error);
  if (status != RESNET_OK) return status;
  memory *m = mem_create(&options.allocator, options.max_memory_bytes ? options.max_memory_bytes
                                                                      : default_memory_bytes);
  if (!m) return err_no_memory(error, "a model");
  if (options.memory == RESNET_MEMORY_SMALL) mem_use_small_pages(m);
  mem_keep_pages(m, true);
  status = build_model(m, from, &options, out, error);
  mem_keep_pages(m, false);
  if (status != RESNET_OK) mem_destroy(m);
  return status;
}

resnet_status resnet_model_open(const char *path, const resnet_model_options *options,
                                resnet_model **model, resnet_error *error) {
  if (!model) return err_null(error, "resnet_model_open", "model");
  *model = NULL;
  if (!path) return err_null(error, "resnet_model_open", "path");
  return open_model(&(source){.path = path}, options, model, error);
}

resnet_status resnet_model_open_memory(const void *bytes, size_t size,
                                       const resnet_model_options *options, resnet_model **model,
                                       resnet_error *error) {
  if (!model) return err_null(error, "resnet_model_open_memory", "model");
  *model = NULL;
  if (!bytes) return err_null(error, "resnet_model_open_memory", "bytes");
  return open_model(&(source){.bytes = bytes, .size = size}, options, model, error);
}

resnet_status resnet_model_save(const resnet_model *model, const char *path, resnet_error *error) {
  if (!model) return err_null(error, "resnet_model_save", "model");
  if (!path) return err_null(error, "resnet_model_save", "path");
  if (!model->file.graph)
    return err_fail(
        error, RESNET_ERROR_ARGUMENT,
        "resnet_model_save: the model's weights are gone: open it with keep_weights = 1 in "
        "its options");
  const bool named = model->preprocess_source == RESNET_PREPROCESS_FROM_OPTIONS ||
                     model->preprocess_source == RESNET_PREPROCESS_FROM_MODEL;
  const plan_file_settings settings = {.preprocess = named ? &model->preprocess : NULL,
                                       .evidence = &model->evidence,
                                       .labels = (const char *const *)model->labels,
                                       .label_count =
                                           model->labels_replaced ? model->label_count : 0};
  const plan_file_content content = {
      .file = &model->file, .plan = &model->plan, .options = &model->options, .settings = settings};
  resnet_status status = plan_file_verify(&model->file, &model->plan, error);
  if (status != RESNET_OK) return model_name_file(model, status, error);
  status = plan_file_write(&content, path, error);
  return status == RESNET_OK ? err_clear(error) : err_add_prefix(error, status, path);
}

/* The object is not const: make_model allocated it. */
static resnet_model *counted(const resnet_model *model) { return (resnet_model *)(uintptr_t)model; }

const resnet_model *model_retain(const resnet_model *model) {
  atomic_fetch_add(&counted(model)->references, 1);
  return model;
}

void model_release(const resnet_model *model) {
  if (atomic_fetch_sub(&counted(model)->references, 1) > 1) return;
  memory *m = model->memory;
  release(counted(model));
  mem_destroy(m);
}

void resnet_model_close(resnet_model **model) {
  if (!model || !*model) return;
  model_release(*model);
  *model = NULL;
}
