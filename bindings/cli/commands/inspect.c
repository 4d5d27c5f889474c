/* resnet inspect: the plan, as a table or as JSON. */
#include "cli/commands/inspect.h"

#include <stdio.h>

#include "cli/commands/op_speed.h"
#include "cli/exit_status.h"
#include "cli/format.h"
#include "cli/message.h"
#include "cli/model.h"
#include "cli/model_text.h"
#include "cli/options.h"
#include "cli/plan.h"
#include "cli/shell_message.h"
#include "cli/table.h"
#include "support/json.h"

static const char *op_shortcut(const resnet_op *op) {
  return op->shortcut == RESNET_SHORTCUT_NONE ? "" : resnet_shortcut_string(op->shortcut);
}

static void add_op_row(table *t, const cli_plan *p, uint32_t index) {
  const resnet_op *op = &p->ops[index];
  char shape[48], text[FORMAT_SIZE];
  cli_table_add_number(t, index);
  cli_table_add(t, op->kernel);
  cli_table_add(t, op->detail);
  (void)snprintf(shape, sizeof shape, "%ux%ux%u", op->height, op->width, op->channels);
  cli_table_add(t, shape);
  cli_table_add(t, cli_format_count(text, op->parameters));
  cli_table_add(t, cli_format_count(text, op->macs));
  cli_table_add(t, cli_format_count(text, (uint64_t)op->cost));
  cli_table_add(t, op->weights_bytes ? cli_format_bytes(text, op->weights_bytes) : "-");
  cli_table_add(t, cli_format_bytes(text, op->output_bytes));
  cli_table_add(t, cli_plan_block_name(p, op));
  cli_table_add(t, op_shortcut(op));
  cli_table_add(t, op->name);
}

static void print_ops(const cli_plan *p) {
  static const char *const heading[] = {"op",   "kernel",  "detail", "output", "params", "MACs",
                                        "cost", "weights", "bytes",  "block",  "adds",   "node"};
  table t = {.columns = sizeof heading / sizeof heading[0], .alignment = "rllrrrrrrlll"};
  for (size_t i = 0; i < t.columns; i++) cli_table_add(&t, heading[i]);
  for (uint32_t i = 0; i < p->op_count; i++) add_op_row(&t, p, i);
  cli_table_print(&t);
}

/* Add up the parameters and multiply-accumulates of the ops of a block. */
static void add_up_block(const cli_plan *p, uint32_t index, uint64_t *parameters, uint64_t *macs) {
  const resnet_block *block = &p->blocks[index];
  *parameters = *macs = 0;
  for (uint32_t i = block->first_op; i <= block->last_op && i < p->op_count; i++) {
    if (p->ops[i].block != index) continue;
    *parameters += p->ops[i].parameters;
    *macs += p->ops[i].macs;
  }
}

static void add_block_row(table *t, const cli_plan *p, uint32_t index) {
  const resnet_block *block = &p->blocks[index];
  char range[48], text[FORMAT_SIZE];
  uint64_t parameters, macs;
  add_up_block(p, index, &parameters, &macs);
  cli_table_add(t, block->name);
  cli_table_add(t, resnet_shortcut_string(block->shortcut));
  (void)snprintf(range, sizeof range, "%u-%u", block->first_op, block->last_op);
  cli_table_add(t, range);
  cli_table_add_number(t, block->convs);
  cli_table_add(t, cli_format_count(text, parameters));
  cli_table_add(t, cli_format_count(text, macs));
}

static void print_blocks(const cli_plan *p) {
  static const char *const heading[] = {"block", "shortcut", "ops", "convs", "params", "MACs"};
  if (p->block_count == 0) return;
  table t = {.columns = sizeof heading / sizeof heading[0], .alignment = "llrrrr"};
  for (size_t i = 0; i < t.columns; i++) cli_table_add(&t, heading[i]);
  for (uint32_t i = 0; i < p->block_count; i++) add_block_row(&t, p, i);
  (void)fputc('\n', stdout);
  cli_table_print(&t);
}

static void print_totals(const loaded_model *m) {
  const resnet_model_info *info = &m->info;
  char text[FORMAT_SIZE];
  (void)printf("\nparameters  %llu\n", (unsigned long long)info->parameters);
  (void)printf("MACs        %llu an image\n", (unsigned long long)info->macs);
  (void)printf("weights     %s packed, %s\n", cli_format_bytes(text, info->weights_bytes),
               info->precision);
  (void)printf("arena       %s an image", cli_format_bytes(text, info->arena_bytes));
  (void)printf(" (lower bound for these ops: %s)\n",
               cli_format_bytes(text, info->arena_lower_bound));
}

static void print_text(const settings *s, const loaded_model *m, const cli_plan *p) {
  if (!s->quiet) {
    cli_model_print(m);
    (void)printf("file        opset %u, written by ", m->info.opset);
    cli_print_masked(stdout, m->info.producer[0] ? m->info.producer : "an unknown program");
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

static void write_op(json *j, const cli_plan *p, const plan_speed *speed, uint32_t index) {
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
  json_text(j, "shortcut", resnet_shortcut_string(op->shortcut));
  json_integer(j, "parameters", op->parameters);
  json_integer(j, "macs", op->macs);
  json_integer(j, "multiplications", op->multiplications);
  json_number(j, "cost", op->cost);
  json_integer(j, "weights_bytes", op->weights_bytes);
  json_integer(j, "output_bytes", op->output_bytes);
  json_integer(j, "arena_offset", op->arena_offset);
  if (speed->ops) op_speed_write_op(speed, index, j);
  json_close_object(j);
}

static void write_block(json *j, const cli_plan *p, uint32_t index) {
  const resnet_block *block = &p->blocks[index];
  uint64_t parameters, macs;
  add_up_block(p, index, &parameters, &macs);
  json_open_object(j, NULL);
  json_text(j, "name", block->name);
  json_text(j, "shortcut", resnet_shortcut_string(block->shortcut));
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

static void write_json(const loaded_model *m, const cli_plan *p, const plan_speed *speed) {
  const resnet_model_info *info = &m->info;
  json j = {.out = stdout};
  json_open_object(&j, NULL);
  cli_model_write_json(m, &j);
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
  cli_model_write_diagnostics(m, &j);
  json_open_array(&j, "blocks");
  for (uint32_t i = 0; i < p->block_count; i++) write_block(&j, p, i);
  json_close_array(&j);
  json_open_array(&j, "ops");
  for (uint32_t i = 0; i < p->op_count; i++) write_op(&j, p, speed, i);
  json_close_array(&j);
  if (speed->ops) op_speed_write(speed, &j);
  json_close_object(&j);
}

/* Print the reason why the file is refused: there is no model to inspect. */
static void print_refusal(const settings *s, const loaded_model *m, const resnet_error *error) {
  char text[SHELL_MESSAGE_SIZE];
  (void)cli_shell_message(error->message, text);
  if (s->json) {
    json j = {.out = stdout};
    json_open_object(&j, NULL);
    json_text(&j, "file", m->file);
    json_bool(&j, "loads", false);
    json_open_array(&j, "findings");
    json_open_object(&j, NULL);
    json_text(&j, "severity", "refused");
    json_text(&j, "message", text);
    json_close_object(&j);
    json_close_array(&j);
    json_close_object(&j);
  } else {
    (void)fputs("refused  ", stdout);
    cli_print_masked(stdout, text);
    (void)fputc('\n', stdout);
  }
}

static void print_diagnostics(const settings *s, const loaded_model *m) {
  if (!s->json) {
    cli_model_print_diagnostics(m);
    return;
  }
  json j = {.out = stdout};
  json_open_object(&j, NULL);
  json_text(&j, "file", m->file);
  json_bool(&j, "loads", true);
  cli_model_write_json(m, &j);
  cli_model_write_diagnostics(m, &j);
  json_close_object(&j);
}

/* Print the diagnostics only. The exit status is EXIT_INPUT if there are warnings. */
static int check(const settings *s) {
  loaded_model m;
  resnet_error error = {RESNET_OK, ""};
  if (!cli_model_try_open(s, &m, &error)) {
    print_refusal(s, &m, &error);
    return m.exit_code;
  }
  print_diagnostics(s, &m);
  const int status = cli_model_has_warnings(&m) ? EXIT_INPUT : EXIT_OK;
  cli_model_close(&m);
  return status;
}

int command_inspect(const settings *s) {
  loaded_model m;
  cli_plan p = {0};
  if (s->check) return check(s);
  if (!cli_model_open(s, &m)) return m.exit_code;
  cli_model_print_guess(s, &m);
  plan_speed speed = {0};
  bool ok = cli_plan_read(&m, &p);
  if (ok && (s->per_op || s->peak)) ok = op_speed_measure(s, &m, &p, &speed);
  if (ok && s->json)
    write_json(&m, &p, &speed);
  else if (ok)
    print_text(s, &m, &p);
  if (ok && speed.ops && !s->json) op_speed_print(&p, &speed);
  op_speed_release(&speed);
  cli_plan_release(&p);
  cli_model_close(&m);
  return ok ? EXIT_OK : EXIT_INPUT;
}
