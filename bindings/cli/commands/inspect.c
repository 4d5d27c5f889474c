/* resnet inspect: the plan, as a table or as JSON. */
#include <stdio.h>

#include "cli/model.h"
#include "cli/plan.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "support/message.h"

static const char *op_shortcut(const resnet_op *op) {
  return op->shortcut == RESNET_SHORTCUT_NONE ? "" : shortcut_name(op->shortcut);
}

static void add_op_row(table *t, const plan *p, uint32_t index) {
  const resnet_op *op = &p->ops[index];
  char shape[48], text[FORMAT_SIZE];
  table_add_number(t, index);
  table_add(t, op->kernel);
  table_add(t, op->detail);
  (void)snprintf(shape, sizeof shape, "%ux%ux%u", op->height, op->width, op->channels);
  table_add(t, shape);
  table_add(t, format_count(text, op->parameters));
  table_add(t, format_count(text, op->macs));
  table_add(t, format_count(text, (uint64_t)op->cost));
  table_add(t, op->weights_bytes ? format_bytes(text, op->weights_bytes) : "-");
  table_add(t, format_bytes(text, op->output_bytes));
  table_add(t, plan_block_name(p, op));
  table_add(t, op_shortcut(op));
  table_add(t, op->name);
}

static void print_ops(const plan *p) {
  static const char *const heading[] = {"op",   "kernel",  "detail", "output", "params", "MACs",
                                        "cost", "weights", "bytes",  "block",  "adds",   "node"};
  table t = {.columns = sizeof heading / sizeof heading[0], .alignment = "rllrrrrrrlll"};
  for (size_t i = 0; i < t.columns; i++) table_add(&t, heading[i]);
  for (uint32_t i = 0; i < p->op_count; i++) add_op_row(&t, p, i);
  table_print(&t);
}

/* What the ops of a block add up to. */
static void add_up_block(const plan *p, uint32_t index, uint64_t *parameters, uint64_t *macs) {
  const resnet_block *block = &p->blocks[index];
  *parameters = *macs = 0;
  for (uint32_t i = block->first_op; i <= block->last_op && i < p->op_count; i++) {
    if (p->ops[i].block != index) continue;
    *parameters += p->ops[i].parameters;
    *macs += p->ops[i].macs;
  }
}

static void add_block_row(table *t, const plan *p, uint32_t index) {
  const resnet_block *block = &p->blocks[index];
  char range[48], text[FORMAT_SIZE];
  uint64_t parameters, macs;
  add_up_block(p, index, &parameters, &macs);
  table_add(t, block->name);
  table_add(t, shortcut_name(block->shortcut));
  (void)snprintf(range, sizeof range, "%u-%u", block->first_op, block->last_op);
  table_add(t, range);
  table_add_number(t, block->convs);
  table_add(t, format_count(text, parameters));
  table_add(t, format_count(text, macs));
}

static void print_blocks(const plan *p) {
  static const char *const heading[] = {"block", "shortcut", "ops", "convs", "params", "MACs"};
  if (p->block_count == 0) return;
  table t = {.columns = sizeof heading / sizeof heading[0], .alignment = "llrrrr"};
  for (size_t i = 0; i < t.columns; i++) table_add(&t, heading[i]);
  for (uint32_t i = 0; i < p->block_count; i++) add_block_row(&t, p, i);
  (void)fputc('\n', stdout);
  table_print(&t);
}

static void print_totals(const loaded_model *m) {
  const resnet_model_info *info = &m->info;
  char text[FORMAT_SIZE];
  (void)printf("\nparameters  %llu\n", (unsigned long long)info->parameters);
  (void)printf("MACs        %llu a picture\n", (unsigned long long)info->macs);
  (void)printf("weights     %s, packed, %s\n", format_bytes(text, info->weights_bytes),
               info->precision);
  (void)printf("arena       %s a picture", format_bytes(text, info->arena_bytes));
  (void)printf(" (no plan of these ops takes less than %s)\n",
               format_bytes(text, info->arena_lower_bound));
}

static void print_text(const settings *s, const loaded_model *m, const plan *p) {
  if (!s->quiet) {
    model_print(m);
    (void)printf("file        opset %u, written by ", m->info.opset);
    print_masked(stdout, m->info.producer[0] ? m->info.producer : "a program that does not say");
    (void)fputs("\n\n", stdout);
  }
  print_ops(p);
  print_blocks(p);
  print_totals(m);
}

static void write_index(json *j, const char *key, uint32_t index) {
  if (index == RESNET_NO_INDEX)
    json_null(j, key);
  else
    json_integer(j, key, index);
}

static void write_op(json *j, const plan *p, uint32_t index) {
  const resnet_op *op = &p->ops[index];
  json_open_object(j, NULL);
  json_integer(j, "index", index);
  json_text(j, "name", op->name);
  json_text(j, "output", op->output);
  json_text(j, "kernel", op->kernel);
  json_text(j, "detail", op->detail);
  json_open_array(j, "inputs");
  for (int i = 0; i < 2; i++)
    if (op->input[i] != RESNET_NO_INDEX) json_integer(j, NULL, op->input[i]);
  json_close_array(j);
  json_open_array(j, "shape");
  json_integer(j, NULL, op->height);
  json_integer(j, NULL, op->width);
  json_integer(j, NULL, op->channels);
  json_close_array(j);
  write_index(j, "block", op->block);
  json_text(j, "shortcut", shortcut_name(op->shortcut));
  json_integer(j, "parameters", op->parameters);
  json_integer(j, "macs", op->macs);
  json_number(j, "cost", op->cost);
  json_integer(j, "weights_bytes", op->weights_bytes);
  json_integer(j, "output_bytes", op->output_bytes);
  json_integer(j, "arena_offset", op->arena_offset);
  json_close_object(j);
}

static void write_block(json *j, const plan *p, uint32_t index) {
  const resnet_block *block = &p->blocks[index];
  uint64_t parameters, macs;
  add_up_block(p, index, &parameters, &macs);
  json_open_object(j, NULL);
  json_text(j, "name", block->name);
  json_text(j, "shortcut", shortcut_name(block->shortcut));
  json_integer(j, "first_op", block->first_op);
  json_integer(j, "last_op", block->last_op);
  json_integer(j, "convs", block->convs);
  json_integer(j, "parameters", parameters);
  json_integer(j, "macs", macs);
  json_close_object(j);
}

static void write_labels(json *j, const resnet_model_info *info) {
  if (!info->labels) {
    json_null(j, "labels");
    return;
  }
  json_open_array(j, "labels");
  for (uint32_t i = 0; i < info->classes; i++) json_text(j, NULL, info->labels[i]);
  json_close_array(j);
}

static void write_json(const loaded_model *m, const plan *p) {
  const resnet_model_info *info = &m->info;
  json j = {.out = stdout};
  json_open_object(&j, NULL);
  model_write_json(m, &j);
  json_text(&j, "producer", info->producer);
  json_integer(&j, "opset", info->opset);
  json_text(&j, "precision", info->precision);
  json_integer(&j, "layers", info->conv_layers);
  json_integer(&j, "parameters", info->parameters);
  json_integer(&j, "macs", info->macs);
  json_integer(&j, "weights_bytes", info->weights_bytes);
  json_integer(&j, "arena_bytes", info->arena_bytes);
  json_integer(&j, "arena_lower_bound", info->arena_lower_bound);
  write_labels(&j, info);
  model_write_findings(m, &j);
  json_open_array(&j, "blocks");
  for (uint32_t i = 0; i < p->block_count; i++) write_block(&j, p, i);
  json_close_array(&j);
  json_open_array(&j, "ops");
  for (uint32_t i = 0; i < p->op_count; i++) write_op(&j, p, i);
  json_close_array(&j);
  json_close_object(&j);
}

/* A file that is refused has one fault, and no model to tell of. */
static void print_refusal(const settings *s, const loaded_model *m, const resnet_error *error) {
  if (s->json) {
    json j = {.out = stdout};
    json_open_object(&j, NULL);
    json_text(&j, "file", m->file);
    json_bool(&j, "loads", false);
    json_open_array(&j, "findings");
    json_open_object(&j, NULL);
    json_text(&j, "severity", "refused");
    json_text(&j, "message", error->message);
    json_close_object(&j);
    json_close_array(&j);
    json_close_object(&j);
  } else {
    (void)fputs("refused  ", stdout);
    print_masked(stdout, error->message);
    (void)fputc('\n', stdout);
  }
}

static void print_findings(const settings *s, const loaded_model *m) {
  if (!s->json) {
    model_print_findings(m);
    return;
  }
  json j = {.out = stdout};
  json_open_object(&j, NULL);
  json_text(&j, "file", m->file);
  json_bool(&j, "loads", true);
  model_write_json(m, &j);
  model_write_findings(m, &j);
  json_close_object(&j);
}

/* The findings alone. The exit status tells scripts whether there is anything to worry
 * about. */
static int check(const settings *s) {
  loaded_model m;
  resnet_error error = {RESNET_OK, ""};
  if (!model_try(s, &m, &error)) {
    print_refusal(s, &m, &error);
    return EXIT_INPUT;
  }
  print_findings(s, &m);
  const int status = model_has_warnings(&m) ? EXIT_INPUT : EXIT_GOOD;
  resnet_model_close(&m.model);
  return status;
}

int command_inspect(const settings *s) {
  loaded_model m;
  plan p = {0};
  if (s->check) return check(s);
  if (!model_open(s, &m)) return EXIT_INPUT;
  model_note_guess(s, &m);
  bool good = plan_read(&m, &p);
  if (good && s->json)
    write_json(&m, &p);
  else if (good)
    print_text(s, &m, &p);
  plan_release(&p);
  resnet_model_close(&m.model);
  return good ? EXIT_GOOD : EXIT_INPUT;
}
