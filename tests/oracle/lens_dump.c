/* Writes what the lens sees, for test_lens.py to compare with PyTorch and onnxruntime.
 *
 *     lens_dump MODEL INPUT OUTPUT responses|moments|ablations
 *               [--threads N] [--batch N] [--skip BLOCK MODE OTHER]...
 *
 * INPUT contains float32 samples (n,c,h,w). OUTPUT is a sequence of records in the
 * machine's byte order: uint32 samples, height, width, channels and length of the name;
 * the name; the floats (n,h,w,c).
 *
 *     responses: for every response of every batch a record "POINT NODE TENSOR", where
 *         TENSOR is the op's output
 *     moments: for every response a line "moments POINT NODE values mean std" on stdout,
 *         in double precision over all samples
 *     ablations: for every block a record "ablation BLOCK MODE" with the scores without
 *         its branch (mode 1) and without its shortcut (2); on stdout a line
 *         "refused BLOCK MODE message" for those that shapes do not allow
 *
 * The last record, "scores", has the scores of all samples with the skips of the command
 * line. Stdout has a line "block FIRST_NODE LAST_NODE OUTPUT" for every block. */
#include <inttypes.h>
#include <math.h>
#include <resnet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "read_samples.h"

enum { POINTS = 4, MAX_SKIPS = 16, LANES = 8 };

typedef struct skip {
  uint32_t block, mode, other;
} skip;

typedef struct settings {
  const char *model, *input, *output, *what;
  uint32_t threads, batch;
  skip skips[MAX_SKIPS];
  size_t skip_count;
} settings;

typedef struct moments {
  double count, mean, squares;
} moments;

typedef struct recorder {
  const resnet_model *model;
  FILE *file;
  moments *moments; /* by op and point; NULL: write records instead */
  bool failed;
} recorder;

static int complain(const char *what, const char *message) {
  fprintf(stderr, "lens_dump: %s: %s\n", what, message);
  return 1;
}

static uint32_t number(const char *text) { return (uint32_t)strtoul(text, NULL, 10); }

static int parse_settings(int argc, char **argv, settings *s) {
  *s = (settings){.threads = 1, .batch = 1};
  if (argc < 5)
    return complain("usage",
                    "lens_dump MODEL INPUT OUTPUT responses|moments|ablations [OPTION...]");
  s->model = argv[1];
  s->input = argv[2];
  s->output = argv[3];
  s->what = argv[4];
  for (int i = 5; i < argc; i++) {
    const int left = argc - i - 1;
    if (strcmp(argv[i], "--threads") == 0 && left >= 1) {
      s->threads = number(argv[++i]);
    } else if (strcmp(argv[i], "--batch") == 0 && left >= 1) {
      s->batch = number(argv[++i]);
    } else if (strcmp(argv[i], "--skip") == 0 && left >= 3 && s->skip_count < MAX_SKIPS) {
      s->skips[s->skip_count++] =
          (skip){number(argv[i + 1]), number(argv[i + 2]), number(argv[i + 3])};
      i += 3;
    } else {
      return complain("unknown option", argv[i]);
    }
  }
  return 0;
}

static void write_record(recorder *r, const uint32_t shape[4], const char *name,
                         const float *data) {
  const uint32_t length = (uint32_t)strlen(name);
  const size_t floats = (size_t)shape[0] * shape[1] * shape[2] * shape[3];
  if (fwrite(shape, sizeof(uint32_t), 4, r->file) != 4 ||
      fwrite(&length, sizeof length, 1, r->file) != 1 ||
      fwrite(name, 1, length, r->file) != length ||
      fwrite(data, sizeof(float), floats, r->file) != floats) {
    r->failed = true;
  }
}

static double total(const double lanes[LANES]) {
  double sum = 0;
  for (size_t i = 0; i < LANES; i++) sum += lanes[i];
  return sum;
}

/* Merge the moments of `count` numbers (Chan, Golub and LeVeque 1983, equation 2.1). */
static void add_moments(moments *m, const float *data, size_t count) {
  /* several sums at once: each addition to a single one waits for the one before */
  double sums[LANES] = {0}, squares[LANES] = {0};
  for (size_t i = 0; i < count; i++) sums[i % LANES] += (double)data[i];
  const double mean = total(sums) / (double)count, apart = mean - m->mean,
               both = m->count + (double)count;
  for (size_t i = 0; i < count; i++)
    squares[i % LANES] += ((double)data[i] - mean) * ((double)data[i] - mean);
  m->squares += total(squares) + apart * apart * m->count * (double)count / both;
  m->mean += apart * (double)count / both;
  m->count = both;
}

static void on_response(void *user, const resnet_response *response) {
  recorder *r = user;
  char name[512];
  resnet_op op = {.struct_size = sizeof op};
  if (resnet_plan_op(r->model, response->op, &op, NULL) != RESNET_OK ||
      (unsigned)response->point >= POINTS) {
    r->failed = true;
    return;
  }
  const uint32_t shape[4] = {response->batch, response->height, response->width,
                             response->channels};
  if (r->moments) {
    const size_t floats = (size_t)shape[0] * shape[1] * shape[2] * shape[3];
    add_moments(&r->moments[(size_t)response->op * POINTS + (size_t)response->point],
                response->data, floats);
    return;
  }
  snprintf(name, sizeof name, "%d %s %s", (int)response->point, op.name, op.output);
  write_record(r, shape, name, response->data);
}

static void print_moments(const recorder *r, uint32_t ops) {
  for (uint32_t i = 0; i < ops * POINTS; i++) {
    const moments *m = &r->moments[i];
    resnet_op op = {.struct_size = sizeof op};
    if (m->count > 0 && resnet_plan_op(r->model, i / POINTS, &op, NULL) == RESNET_OK) {
      printf("moments %" PRIu32 " %s %.0f %.17g %.17g\n", i % POINTS, op.name, m->count, m->mean,
             sqrt(m->squares / m->count));
    }
  }
}

static void print_blocks(const resnet_model *model, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    resnet_block block = {.struct_size = sizeof block};
    resnet_op first = {.struct_size = sizeof first}, last = first;
    if (resnet_plan_block(model, i, &block, NULL) == RESNET_OK &&
        resnet_plan_op(model, block.first_op, &first, NULL) == RESNET_OK &&
        resnet_plan_op(model, block.last_op, &last, NULL) == RESNET_OK) {
      printf("block %s %s %s\n", first.name, last.name, last.output);
    }
  }
}

/* Run all samples and write their scores under `name`. */
static int run(recorder *r, resnet_session *session, const resnet_model_info *info,
               const samples *x, const char *name) {
  resnet_error error;
  const uint32_t shape[4] = {(uint32_t)x->count, 1, 1, info->score_count};
  float *scores = calloc(x->count * info->score_count, sizeof(float));
  int result = scores ? 0 : complain("memory", "there is not enough");
  if (result == 0 &&
      resnet_run(session, x->data, RESNET_LAYOUT_NCHW, x->count, scores, &error) != RESNET_OK)
    result = complain("run", error.message);
  if (result == 0) write_record(r, shape, name, scores);
  free(scores);
  return result;
}

static int run_ablation(recorder *r, resnet_session *session, const resnet_model_info *info,
                        const samples *x, const skip *ablation) {
  resnet_error error;
  char name[64];
  snprintf(name, sizeof name, "ablation %" PRIu32 " %" PRIu32, ablation->block, ablation->mode);
  if (resnet_session_skip(session, ablation->block, (resnet_skip)ablation->mode, 0, &error) !=
      RESNET_OK) {
    printf("refused %" PRIu32 " %" PRIu32 " %s %s\n", ablation->block, ablation->mode,
           resnet_status_string(error.status), error.message);
    return 0;
  }
  const int result = run(r, session, info, x, name);
  if (resnet_session_skip(session, ablation->block, RESNET_SKIP_NONE, 0, &error) != RESNET_OK)
    return complain("restoring", error.message);
  return result;
}

/* Do what the command line asks for; write the scores last. */
static int work(const settings *s, recorder *r, resnet_session *session,
                const resnet_model_info *info, const samples *x) {
  resnet_error error;
  int result = 0;
  for (uint32_t block = 0; strcmp(s->what, "ablations") == 0 && block < info->block_count;
       block++) {
    for (uint32_t mode = RESNET_SKIP_BRANCH; mode <= RESNET_SKIP_SHORTCUT; mode++)
      result |= run_ablation(r, session, info, x, &(skip){block, mode, 0});
  }
  for (size_t i = 0; i < s->skip_count; i++) {
    const skip *k = &s->skips[i];
    if (resnet_session_skip(session, k->block, (resnet_skip)k->mode, k->other, &error) != RESNET_OK)
      return complain(resnet_status_string(error.status), error.message);
  }
  if (strcmp(s->what, "ablations") != 0 &&
      resnet_session_observe(session, on_response, r, &error) != RESNET_OK)
    return complain("observe", error.message);
  return result | run(r, session, info, x, "scores");
}

static int dump(const settings *s, const resnet_model *model) {
  resnet_error error;
  resnet_session *session = NULL;
  resnet_session_options options;
  resnet_model_info info = {.struct_size = sizeof info};
  resnet_session_options_init(&options);
  options.threads = s->threads;
  options.batch = s->batch;
  if (resnet_model_get_info(model, &info, &error) != RESNET_OK)
    return complain("info", error.message);
  print_blocks(model, info.block_count);
  if (resnet_session_open(model, &options, &session, &error) != RESNET_OK)
    return complain("session", error.message);
  samples x =
      read_samples(s->input, (size_t)info.input_channels * info.input_height * info.input_width);
  recorder r = {.model = model, .file = fopen(s->output, "wb")};
  const bool wants_moments = strcmp(s->what, "moments") == 0;
  if (wants_moments) r.moments = calloc((size_t)info.op_count * POINTS, sizeof *r.moments);
  int result = 1;
  if (!x.data || !r.file || (wants_moments && !r.moments)) {
    complain(s->input,
             "not a whole number of samples, the output cannot be written, or not enough memory");
  } else {
    result = work(s, &r, session, &info, &x);
  }
  if (r.moments) print_moments(&r, info.op_count);
  if (r.file && (fclose(r.file) != 0 || r.failed))
    result = complain(s->output, "could not be written");
  free(r.moments);
  free(x.data);
  resnet_session_close(&session);
  return result;
}

int main(int argc, char **argv) {
  settings s;
  resnet_error error;
  resnet_model *model = NULL;
  if (parse_settings(argc, argv, &s) != 0) return 2;
  if (resnet_model_open(s.model, NULL, &model, &error) != RESNET_OK)
    return complain(resnet_status_string(error.status), error.message);
  const int result = dump(&s, model);
  resnet_model_close(&model);
  return result;
}
