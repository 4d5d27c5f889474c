/* libresnet: run pretrained ResNets from C, and see what their shortcuts do.
 *
 * A whole program: it labels one image of plain grey.
 *
 *     #include <resnet.h>
 *     #include <stdio.h>
 *
 *     int main(int argc, char **argv) {
 *       static uint8_t pixels[480][640][3]; // rows from the top, RGB; fill these
 *       const resnet_image image = {.pixels = pixels[0][0], .width = 640, .height = 480,
 *                                   .stride = 640 * 3, .format = RESNET_PIXELS_RGB};
 *
 *       resnet_model *model = NULL;
 *       resnet_session *session = NULL;
 *       resnet_prediction best;
 *       resnet_error error;
 *       if (argc != 2) return 2;
 *
 *       int ok = resnet_model_open(argv[1], NULL, &model, &error) == RESNET_OK &&
 *                resnet_session_open(model, NULL, &session, &error) == RESNET_OK &&
 *                resnet_classify(session, &image, 1, 1, &best, &error) == RESNET_OK;
 *
 *       if (ok) printf("class %u, probability %.3f\n", best.index, (double)best.score);
 *       if (!ok) fprintf(stderr, "%s\n", error.message);
 *       resnet_session_close(&session);
 *       resnet_model_close(&model);
 *       return !ok;
 *     }
 *
 * Build and run it:
 *
 *     cc label.c -o label $(pkg-config --cflags --libs resnet)
 *     ./label resnet50.onnx
 *
 * The library takes pixels, not image files: decode JPEG or PNG with a library of your
 * own. It takes the ONNX files of PyTorch, Keras and others as they are.
 *
 * Order of calls:
 *   1. resnet_model_open or resnet_model_open_memory.
 *   2. resnet_session_open, once for each thread that runs the model.
 *   3. resnet_classify (pixels in, classes out) or resnet_run (floats in, scores out),
 *      any number of times. Each such call is a run. resnet_prepare makes the floats of
 *      resnet_run from pixels.
 *   4. resnet_session_close, then resnet_model_close.
 *
 * Objects and threads:
 *   - resnet_model: immutable once open. Threads and sessions share it freely.
 *   - resnet_session: buffers and threads for running one model. One thread at a time may
 *     use it. Sessions of one model share its weights.
 *   - A model may be closed before its sessions: its memory is released with the last of
 *     them.
 *   - After fork() a child may use the sessions of its parent. It has none of their
 *     threads, and runs on its own alone; scores are the same to the bit. During the fork
 *     no other thread may use a session, or open or close one of a model that the child
 *     uses.
 *   - Functions without a session argument may be called from any thread.
 *
 * Structs with a `struct_size`:
 *   - Options: call the struct's ..._init function, then change fields. The default is 0
 *     or NULL in each; what it means is at the field. NULL in place of options means the
 *     defaults.
 *   - Structs that the library fills, e.g. resnet_model_info, have no ..._init function:
 *     set struct_size to the struct's sizeof yourself.
 *
 * Errors:
 *   - A function that can fail returns a resnet_status and fills `error`; `error` may be
 *     NULL.
 *   - On success `error` holds RESNET_OK and an empty message.
 *   - On failure the message says where (file, node, attribute), what was found, what is
 *     accepted and what to do.
 *   - On failure output pointers are set to NULL, nothing is leaked, and the contents of
 *     output buffers are undefined.
 *
 * Side effects:
 *   - The library has no global state of its own. It never prints, never exits, and
 *     reports nothing through errno.
 *   - It opens only the model file it is given, with two exceptions. XNNPACK reads the
 *     CPU's description once per process. A session with `threads` 0 reads the process's
 *     CPU limit from /proc/self/cgroup and /sys/fs/cgroup.
 *   - Opening packs 8 MiB of weights or more on two threads, if the caller's affinity
 *     mask has two CPUs, the allocator is the default and `memory` is
 *     RESNET_MEMORY_NORMAL. The second thread ends before the call returns.
 *   - XNNPACK keeps the CPU's description, a few hundred bytes, until the process ends.
 *     Leak checkers show it as "still reachable".
 *   - Model files from untrusted sources are safe to open.
 *
 * Shapes are written (n,h,w,c): batch, height, width, channels. Sizes are in pixels or
 * bytes as stated. Arrays are C-contiguous.
 */
#ifndef RESNET_H
#define RESNET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(RESNET_STATIC)
#define RESNET_API
#elif defined(_WIN32)
#define RESNET_API __declspec(dllimport)
#else
#define RESNET_API __attribute__((visibility("default")))
#endif

#define RESNET_VERSION_STRING "0.1.0"
/* Raised when a struct below or a signature changes incompatibly. */
#define RESNET_ABI 1

/* ---- status ------------------------------------------------------------------------ */

/* Values are pinned: new ones are added at the end. */
typedef enum resnet_status {
  RESNET_OK = 0,
  /* An argument is invalid: NULL, zero, out of range, or a wrong struct_size. */
  RESNET_ERROR_ARGUMENT = 1,
  /* The file cannot be opened, read or written, or is not a regular file. */
  RESNET_ERROR_IO = 2,
  /* The bytes are not a well-formed model: truncated, corrupt or contradictory. */
  RESNET_ERROR_FORMAT = 3,
  /* The model is well-formed, but uses an operator, attribute, type or shape that is not
   * supported. */
  RESNET_ERROR_UNSUPPORTED = 4,
  /* A limit was reached: file size, nesting or memory budget. */
  RESNET_ERROR_LIMIT = 5,
  /* An allocation failed. */
  RESNET_ERROR_MEMORY = 6,
  /* Threads cannot be started, or the CPU lacks instructions that are needed. */
  RESNET_ERROR_SYSTEM = 7
} resnet_status;

#define RESNET_ERROR_MESSAGE_SIZE 256

typedef struct resnet_error {
  resnet_status status;
  /* English, one line, no final newline, always NUL-terminated. */
  char message[RESNET_ERROR_MESSAGE_SIZE];
} resnet_error;

/* Return the status's name, e.g. "RESNET_ERROR_FORMAT". Never NULL; static storage. */
RESNET_API const char *resnet_status_string(resnet_status status);

/* Return the library's version, e.g. "0.1.0". Static storage. */
RESNET_API const char *resnet_version(void);

/* Return the RESNET_ABI that the library was built with. A program that loads the library
 * at run time must compare it with its own RESNET_ABI before any other call. */
RESNET_API uint32_t resnet_abi(void);

/* ---- preprocessing ----------------------------------------------------------------- */

typedef enum resnet_channel_order {
  RESNET_ORDER_RGB = 0,
  RESNET_ORDER_BGR = 1,
  /* Grey, as Pillow's convert("L") makes it, before the image is scaled. A model of three
   * channels gets it three times. A model of one channel gets it with any order. */
  RESNET_ORDER_GREY = 2
} resnet_channel_order;

/* How the size of an image becomes the size of the input. */
typedef enum resnet_fit {
  /* Keep the proportions: scale the image so that it just covers resize_height x
   * resize_width, and cut the centre crop. If the two are equal, they are the shorter
   * side's length after scaling. */
  RESNET_FIT_CROP = 0,
  /* Scale the image to exactly resize_height x resize_width, and cut the centre crop. By
   * default the crop has the same size, and nothing is cut. */
  RESNET_FIT_STRETCH = 1
} resnet_fit;

/* Pillow's filters, bit for bit. The first two antialias: they average when they
 * shrink. */
typedef enum resnet_filter {
  RESNET_FILTER_BILINEAR = 0,
  RESNET_FILTER_BICUBIC = 1,
  /* One pixel for each pixel, as in Keras's load_img. */
  RESNET_FILTER_NEAREST = 2
} resnet_filter;

/* For both sides of a size: omit the step. */
#define RESNET_SIZE_NONE UINT32_MAX

/* How resnet_classify and resnet_prepare make the model's input from an image:
 *   1. Scale the image by `fit` and `filter`. With RESNET_FIT_CROP the side that does not
 *      decide is rounded down, as in torchvision. Smaller images are enlarged.
 *   2. Cut the centre crop_height x crop_width pixels, as torchvision's CenterCrop.
 *   3. For each channel compute (pixel / scale - mean) / std.
 *
 * A size of 0 is automatic, so that a preset fits every model. The preprocessing fails
 * with RESNET_ERROR_ARGUMENT if a side is shorter than the crop after step 1. It also
 * fails if the size after step 2 is not the model's input size. */
typedef struct resnet_preprocess {
  resnet_fit fit;
  resnet_filter filter;
  /* Size after step 1 in pixels, up to 65535; see resnet_fit.
   *   0: the crop's side times resize_ratio, rounded down; without a crop the input's
   *      side
   *   RESNET_SIZE_NONE (both): do not scale */
  uint32_t resize_height, resize_width;
  /* Size of the centre crop in pixels, up to 65535.
   *   0: the model's input size
   *   RESNET_SIZE_NONE (both): do not crop; the image must have the input's size */
  uint32_t crop_height, crop_width;
  /* Ratio of an automatic resize to the crop, e.g. 256/224; 1 to 16.
   *   0: 1 */
  float resize_ratio;
  /* Order of the channels that the model was trained with. */
  resnet_channel_order order;
  /* Divisor of the 8-bit value, e.g. 255; finite, greater than 0. */
  float scale;
  /* In units of pixel / scale, one for each channel in `order`; finite. Grey has one
   * channel: only mean[0] and std[0] are used. */
  float mean[3];
  /* Likewise; finite, greater than 0. */
  float std[3];
} resnet_preprocess;

/* Where a model's preprocessing comes from. Options are used first, then the file's
 * metadata, then the graph. */
typedef enum resnet_preprocess_source {
  /* The file: its exporter wrote it (metadata key resnet.preprocess). */
  RESNET_PREPROCESS_FROM_MODEL = 0,
  /* The caller: resnet_model_options.preprocess. */
  RESNET_PREPROCESS_FROM_OPTIONS = 1,
  /* A guess from the input size: cifar10 for 32 x 32, grey for one channel, otherwise
   * imagenet; inputs that are not square are stretched. A wrong guess costs accuracy:
   * show it to the user. */
  RESNET_PREPROCESS_GUESSED = 2,
  /* The graph: it normalises its input itself, by constants that show the range of values
   * and the order of the channels. Sizes are those of a guess. */
  RESNET_PREPROCESS_FROM_GRAPH = 3
} resnet_preprocess_source;

/* Fill `out` with a preset. Its sizes are automatic or none. The names:
 *   - "imagenet": torchvision's V1 weights; resize to 256/224 of the crop.
 *   - "imagenet-v2": torchvision's V2 weights; 232/224.
 *   - "timm": "imagenet" with the bicubic filter.
 *   - "cifar10": mean and deviation of CIFAR-10's training images; no border is cut.
 *   - "unit": RGB, 0..1, and nothing else; 256/224.
 *   - "keras-caffe": BGR, 0..255 minus the mean; 256/224.
 *   - "keras-tf": RGB, -1..1; 256/224.
 *   - "keras-stretch": RGB, 0..1, stretched by the nearest filter: load_img with a
 *     target size, and flow_from_directory with rescale 1/255.
 *   - "grey": grey, 0..1; no border is cut.
 *   - "none": RGB, 0..255 unchanged, neither scaled nor cropped.
 *
 * Fail with RESNET_ERROR_ARGUMENT on any other name; the message lists the names. */
RESNET_API resnet_status resnet_preprocess_preset(const char *name, resnet_preprocess *out,
                                                  resnet_error *error);

/* ---- model ------------------------------------------------------------------------- */

typedef struct resnet_model resnet_model;

/* Memory functions: all fields NULL (malloc and free; large blocks are mapped), or
 * `allocate` and `release` both set. Any thread that uses the model or its sessions may
 * call them. XNNPACK's operators and a session's threads always use malloc: XNNPACK has
 * one allocator per process, which a library must not replace. */
typedef struct resnet_allocator {
  /* Passed to both functions. */
  void *context;
  /* Return `size` bytes aligned for any type, or NULL. */
  void *(*allocate)(void *context, size_t size);
  /* Release what `allocate` returned. */
  void (*release)(void *context, void *pointer);
} resnet_allocator;

/* How convolutions and fully connected layers are computed: by the direct sum, or by
 * Winograd's algorithm. The latter applies to 3x3 convolutions, and to a first one of 7x7
 * and stride 2. It computes tiles, multiplies less and keeps transformed, larger weights:
 *   - 3x3, stride 1: tiles of 4x4, 4x2 or 2x2 outputs. They take 1/4, 1/3 or 4/9 of the
 *     multiplications and 4, 2.7 or 1.8 times the weights' memory.
 *   - 3x3, stride 2: tiles of 4x4 take 9/16 and 4 times.
 *   - 7x7, stride 2: tiles of 5x5 take 1/5 and 5.2 times.
 *
 * Results differ from the direct sum by rounding: about 1e-6 of a layer's largest value,
 * at most about 1e-5. An infinite or NaN value spreads over its tile. Some layers have
 * weights so unequal in size that Winograd would round worse: they always use the direct
 * sum. */
typedef enum resnet_conv {
  /* For each layer the cheapest by a fixed cost model. */
  RESNET_CONV_AUTO = 0,
  /* The direct sum everywhere, by kernels of this library or of XNNPACK, whichever the
   * cost model prefers. */
  RESNET_CONV_DIRECT = 1,
  /* Winograd wherever it applies. */
  RESNET_CONV_WINOGRAD = 2,
  /* XNNPACK's kernels for every convolution and fully connected layer. */
  RESNET_CONV_XNNPACK = 3
} resnet_conv;

/* How much memory a model may use for its weights. */
typedef enum resnet_memory {
  /* Transformed weights where they save time. */
  RESNET_MEMORY_NORMAL = 0,
  /* No transformed weights: all convolutions are direct. RESNET_CONV_AUTO and
   * RESNET_CONV_WINOGRAD are the same as RESNET_CONV_DIRECT. */
  RESNET_MEMORY_SMALL = 1
} resnet_memory;

typedef struct resnet_model_options {
  /* sizeof(resnet_model_options); set by resnet_model_options_init. */
  size_t struct_size;
  /* Largest accepted file in bytes, compressed or decompressed.
   *   0: 2 GiB */
  uint64_t max_file_bytes;
  /* Budget in bytes for the model and its sessions, weights included.
   *   0: 6 GiB */
  uint64_t max_memory_bytes;
  /* Input size in pixels, up to 65535. Models that end in global pooling usually accept
   * other sizes than the file's. A size that a layer cannot follow is refused, and the
   * message names the node.
   *   0: the file's size, or 224 where the file leaves it open */
  uint32_t input_height, input_width;
  /* How images become inputs; copied by the call.
   *   NULL: from the file's metadata, otherwise from the graph, otherwise
   *         RESNET_PREPROCESS_GUESSED */
  const resnet_preprocess *preprocess;
  /* Where memory comes from; all NULL: malloc and free. */
  resnet_allocator allocator;
  /* How convolutions are computed. If this is RESNET_CONV_AUTO, a plan file keeps its own
   * value and the algorithm of each convolution. A value other than the file's chooses
   * the algorithms anew. */
  resnet_conv conv;
  /* How much memory the weights may use. A plan file keeps the value it was made with
   * where this is RESNET_MEMORY_NORMAL. */
  resnet_memory memory;
  /* The `batch` that most sessions will have: a hint for choosing kernels. The samples of
   * a sub-batch share each read of a weight, so that Winograd's larger weights cost less.
   * Different values may change scores by rounding; a session's batch never does. A plan
   * file keeps the value it was made with.
   *   0: 1 */
  uint32_t batch;
  /* Whether resnet_model_save is possible.
   *   0: keep packed weights only
   *   1: also keep the file's weights, which resnet_model_save needs */
  uint32_t keep_weights;
  /* Name of the tensor that holds the scores: an output of the graph, or any tensor that
   * a node computes, e.g. the features before the last layer. Nodes that lead only to
   * other tensors are ignored. A plan file gives the tensor it was made with: another
   * name is refused. Not kept after the call.
   *   NULL: the only output. A file with several is refused; the message names them. */
  const char *output;
  /* Whether weights may be in other files (ONNX external data, used by large exports).
   * Those must be regular files with one link, in or below the model's own folder, and
   * reached through no symbolic link. Plan files contain their weights in either case.
   *   0: refuse a model that needs other files
   *   1: read them */
  uint32_t external_data;
  /* For resnet_model_open_memory: how a plan file in memory is used.
   *   0: copy it
   *   1: use `bytes` in place, if the address is a multiple of 64. The caller keeps them
   *      unchanged until the model is closed. Useful for memory shared by processes. */
  uint32_t borrow;
  /* Labels of the classes, UTF-8, without NULL; copied by the call. They replace those of
   * the file. `label_count` is the model's number of classes, with two exceptions:
   *   - A model of 1,001 classes takes 1,000 labels: class 0 becomes "background".
   *   - A model of one score for two classes takes 1 label, of class 1. Class 0 becomes
   *     "not " and that label.
   * A layer's vector that was taken for an embedding becomes logits if there is a label
   * for each of its numbers.
   *   NULL: the file's labels, if it has any */
  const char *const *labels;
  /* 0 if `labels` is NULL. */
  uint32_t label_count;
} resnet_model_options;

/* Fill `options` with the defaults: all zero except struct_size. */
RESNET_API void resnet_model_options_init(resnet_model_options *options);

/* Load a model: an .onnx file, a gzip of one, or a plan file of resnet_model_save. The
 * content decides, not the name. `path` is opened read-only and must be a regular file.
 * `options` may be NULL. On success the caller owns *model and closes it. On failure
 * *model is NULL.
 *
 * A plan file stays mapped while the model is open, outside of max_memory_bytes:
 *   - Do not change it in place: if another program truncates it, this process gets
 *     SIGBUS. Replace it by renaming, as resnet_model_save does.
 *   - Opening verifies everything but the packed weights, which are most of the file. The
 *     first run that needs a layer's packed weights verifies their checksum before it
 *     reads them, once for all sessions of the model. If they are damaged, the run fails
 *     with RESNET_ERROR_FORMAT.
 *   - Checksums find damage, not intent. An untrusted plan file is safe to open, but its
 *     predictions may be anything. */
RESNET_API resnet_status resnet_model_open(const char *path, const resnet_model_options *options,
                                           resnet_model **model, resnet_error *error);

/* Load a model from `size` bytes in memory; otherwise as resnet_model_open. The bytes may
 * be released or changed after the call, unless options->borrow is 1. A plan file that is
 * not borrowed is copied as a whole, within max_memory_bytes. */
RESNET_API resnet_status resnet_model_open_memory(const void *bytes, size_t size,
                                                  const resnet_model_options *options,
                                                  resnet_model **model, resnet_error *error);

/* Write a plan file: the model with its weights, as loaded and as packed for this CPU.
 * The model must have been opened with keep_weights 1 or from a plan file.
 *   - resnet_model_open maps a plan file: nothing is decoded or packed, and processes
 *     that open it share its memory.
 *   - The algorithms of its convolutions are kept on every CPU. The weights are packed
 *     again if the CPU, the library's version, `conv` or `memory` differ.
 *     resnet_model_info.notice then says so.
 *   - A preprocessing and labels from the options become the file's own.
 *   - The same model gives the same bytes.
 *   - A model from a plan file whose weights are damaged is not saved:
 *     RESNET_ERROR_FORMAT.
 *   - The file is written beside `path` under a temporary name, then renamed. `path`
 *     holds either the old file or the complete new one. An existing `path` that is not a
 *     regular file is refused. */
RESNET_API resnet_status resnet_model_save(const resnet_model *model, const char *path,
                                           resnet_error *error);

/* Close *model and set it to NULL. `model` and *model may be NULL. Sessions that are
 * still open go on working, and keep the model's memory until the last is closed. */
RESNET_API void resnet_model_close(resnet_model **model);

/* How serious a diagnostic is. */
typedef enum resnet_severity {
  /* True of many good files, e.g. that scores are logits. */
  RESNET_NOTE = 0,
  /* The predictions are probably not those the model was trained to give. */
  RESNET_WARNING = 1
} resnet_severity;

/* A diagnostic: a problem or an oddity found in a model that can still be run. */
typedef struct resnet_finding {
  resnet_severity severity;
  /* One line: which nodes, what was found, what to do. */
  const char *message;
} resnet_finding;

/* What the numbers that resnet_run writes are. resnet_classify always gives
 * probabilities. */
typedef enum resnet_scores {
  /* Any numbers; softmax makes probabilities of them. */
  RESNET_SCORES_LOGITS = 0,
  /* The file ends in a softmax. */
  RESNET_SCORES_PROBABILITIES = 1,
  /* The file ends in a log softmax. */
  RESNET_SCORES_LOG_PROBABILITIES = 2,
  /* One number; its sigmoid is the probability of class 1 of two. resnet_classify ranks
   * both. */
  RESNET_SCORES_BINARY_LOGIT = 3,
  /* One sigmoid: the probability of class 1 of two. resnet_classify ranks both. */
  RESNET_SCORES_BINARY_PROBABILITY = 4,
  /* A sigmoid for each class. Each is a probability of its own; their sum means
   * nothing. */
  RESNET_SCORES_MULTI_LABEL = 5,
  /* Not scores of classes: a feature vector or map. resnet_classify refuses it. */
  RESNET_SCORES_EMBEDDING = 6
} resnet_scores;

/* Pointers in here are valid until the model is closed. */
typedef struct resnet_model_info {
  /* sizeof(resnet_model_info); set by the caller. */
  size_t struct_size;
  /* Name of the graph; "" if it has none. */
  const char *name;
  /* Program that wrote the file, with its version; "" if unknown. */
  const char *producer;
  /* Version of the default ONNX operator set. */
  uint32_t opset;
  /* Input of one sample. Images need 1 or 3 channels. */
  uint32_t input_height, input_width, input_channels;
  /* Number of classes that resnet_classify ranks: 2 for the binary kinds of
   * resnet_scores, 0 for an embedding. */
  uint32_t classes;
  /* Number of floats per sample that resnet_run writes. */
  uint32_t score_count;
  /* `classes` UTF-8 strings; NULL if neither the options nor the file have any. */
  const char *const *labels;
  /* With its sizes for this model: none of them is 0. */
  resnet_preprocess preprocess;
  resnet_preprocess_source preprocess_source;
  /* "fp32". */
  const char *precision;
  /* Ops of the plan: resnet_plan_op's index is 0 to op_count - 1. */
  uint32_t op_count;
  /* Residual blocks (pairs of layers in a plain network): resnet_plan_block's index is 0
   * to block_count - 1. */
  uint32_t block_count;
  /* Convolutions and fully connected layers, without projections, gates and blur filters.
   * This is the depth as the paper "Deep Residual Learning" counts it. */
  uint32_t conv_layers;
  /* Weights and biases, after batch normalisation was folded into the layers. */
  uint64_t parameters;
  /* Multiply-accumulates of a direct computation, per sample. */
  uint64_t macs;
  /* Packed weights in bytes, held once per model. */
  uint64_t weights_bytes;
  /* Bytes of a session's arena, per sample of its batch. The arena is the one buffer that
   * holds all activations. */
  uint64_t arena_bytes;
  /* Most bytes of activations that are needed at the same time, per sample. No arena for
   * this plan can be smaller. */
  uint64_t arena_lower_bound;
  /* What the user of a plan file should know, or "". Example: the weights had to be
   * packed again for this CPU. */
  const char *notice;
  /* `finding_count` diagnostics, warnings first; NULL if there are none. */
  const resnet_finding *findings;
  uint32_t finding_count;
  /* What the numbers that resnet_run writes are. */
  resnet_scores scores;
} resnet_model_info;

/* Describe a model: fill `info`, whose struct_size the caller has set. */
RESNET_API resnet_status resnet_model_get_info(const resnet_model *model, resnet_model_info *info,
                                               resnet_error *error);

/* ---- the plan, as data ------------------------------------------------------------- */

/* What is added to a block's residual branch F(x). */
typedef enum resnet_shortcut {
  /* Nothing: two layers of a plain network. */
  RESNET_SHORTCUT_NONE = 0,
  /* y = F(x) + x. */
  RESNET_SHORTCUT_IDENTITY = 1,
  /* y = F(x) + W x: the paper's option B. */
  RESNET_SHORTCUT_PROJECTION = 2,
  /* y = F(x) + x subsampled, with zero channels added: the paper's option A. */
  RESNET_SHORTCUT_OPTION_A = 3,
  /* y = F(x) + average or maximum of x over windows, without weights. */
  RESNET_SHORTCUT_POOL = 4
} resnet_shortcut;

/* Return the kind's name: "none", "identity", "projection", "option A" or "pool". Any
 * other value gives "unknown". Never NULL; static storage. */
RESNET_API const char *resnet_shortcut_string(resnet_shortcut shortcut);

/* No op, no block. */
#define RESNET_NO_INDEX UINT32_MAX

/* A step of the plan. Op 0 is the input. No string is NULL; all are valid until the model
 * is closed. */
typedef struct resnet_op {
  /* sizeof(resnet_op); set by the caller. */
  size_t struct_size;
  /* Name of the ONNX node; of the first one where several were fused. */
  const char *name;
  /* Name of the ONNX tensor that this op computes. */
  const char *output;
  /* Code that computes it, e.g. "conv", "add", "max_pool". For display: later versions
   * may have more names. */
  const char *kernel;
  /* Description, e.g. "3x3 stride 2 pad 1 relu"; may be "". For display. */
  const char *detail;
  /* Indices of the ops whose outputs are read; RESNET_NO_INDEX: none. */
  uint32_t input[2];
  /* Shape of the output of one sample. Global pooling and fully connected layers give
   * 1 x 1 x channels. */
  uint32_t height, width, channels;
  /* Index of the block that contains the op; RESNET_NO_INDEX: none. */
  uint32_t block;
  /* Kind of the block's shortcut, in the op that adds it and in ops that compute it, e.g.
   * a projection. In all other ops NONE. */
  resnet_shortcut shortcut;
  /* As in resnet_model_info, for this op. */
  uint64_t parameters, macs;
  /* Packed weights in bytes. */
  uint64_t weights_bytes;
  /* Output in bytes, per sample. */
  uint64_t output_bytes;
  /* Position of the output in the arena, in bytes, for a batch of one. */
  uint64_t arena_offset;
  /* Cost per sample predicted by the cost model that chose the kernel, in
   * multiply-accumulates of a direct convolution at full speed; 0: not predicted. */
  double cost;
  /* Position among the layers that resnet_model_info.conv_layers counts, from 1; 0: the
   * op is not one of them. */
  uint32_t layer;
  /* Multiplications of the op's kernel per sample, without those that transform inputs
   * and outputs. For Winograd's algorithm fewer than `macs`, unless most of its tiles
   * are outside the image; else equal. */
  uint64_t multiplications;
} resnet_op;

/* A residual block, or two layers of a plain network. */
typedef struct resnet_block {
  /* sizeof(resnet_block); set by the caller. */
  size_t struct_size;
  /* Stage and position, both from 1: e.g. "stage2.block1". Never NULL; valid until the
   * model is closed. */
  const char *name;
  resnet_shortcut shortcut;
  /* First and last op of the block. The output of last_op is the block's. */
  uint32_t first_op, last_op;
  /* Convolutions on the residual branch, without gates and blur filters. */
  uint32_t convs;
} resnet_block;

/* Describe op `index`: fill `op`, whose struct_size the caller has set. */
RESNET_API resnet_status resnet_plan_op(const resnet_model *model, uint32_t index, resnet_op *op,
                                        resnet_error *error);

/* Describe block `index`: fill `block`, whose struct_size the caller has set. */
RESNET_API resnet_status resnet_plan_block(const resnet_model *model, uint32_t index,
                                           resnet_block *block, resnet_error *error);

/* ---- session ----------------------------------------------------------------------- */

typedef struct resnet_session resnet_session;

/* What an observer receives: see resnet_session_observe. */
typedef enum resnet_observe {
  /* Every point of resnet_point. The session runs an unfused plan, in which every point
   * is computed by itself. */
  RESNET_OBSERVE_RESPONSES = 0,
  /* Only the outputs of the plan's ops, with the time of each. Fusion is kept. */
  RESNET_OBSERVE_OPS = 1
} resnet_observe;

typedef struct resnet_session_options {
  /* sizeof(resnet_session_options); set by resnet_session_options_init. */
  size_t struct_size;
  /* Threads that work on a run, the caller's included.
   *   0: one for every CPU that the caller may use: its affinity mask and, on Linux, its
   *      control groups' limits of CPU time; part of a CPU counts as one
   *   1: the caller's thread only
   *   2 to 256: that many */
  uint32_t threads;
  /* Largest sub-batch, up to 65536. A run computes its samples in sub-batches, one after
   * the other. They are smaller than `batch` if its activations would exceed 12 MiB,
   * about a CPU's last-level cache. Memory grows with the sub-batch; scores do not depend
   * on it.
   *   0: 1 */
  uint32_t batch;
  /* What an observer receives. */
  resnet_observe observe;
} resnet_session_options;

/* Fill `options` with the defaults: all zero except struct_size. */
RESNET_API void resnet_session_options_init(resnet_session_options *options);

/* Make buffers, operators and threads for running `model`. `options` may be NULL. On
 * success the caller owns *session and closes it. On failure *session is NULL. Several
 * threads may open sessions of one model at once.
 *
 * The session's threads:
 *   - They keep to the affinity mask that the caller has now, and are not pinned to one
 *     CPU each. One that the system runs on the caller's CPU moves itself to another.
 *   - A run does not wait for a thread that other programs keep from its CPU: the caller
 *     computes that thread's part. It waits for a thread that has begun a part.
 *   - They wait for each other by spinning for at most 50 us, then sleep. So they sleep
 *     between runs.
 *   - With the system's pthreadpool (RESNET_SYSTEM_XNNPACK) a run waits for all threads,
 *     and they spin for tens of milliseconds. */
RESNET_API resnet_status resnet_session_open(const resnet_model *model,
                                             const resnet_session_options *options,
                                             resnet_session **session, resnet_error *error);

/* Close *session and set it to NULL. `session` and *session may be NULL. */
RESNET_API void resnet_session_close(resnet_session **session);

/* Order of the values of resnet_run's input. */
typedef enum resnet_layout {
  /* Planar: (n,c,h,w), as in ONNX and PyTorch. */
  RESNET_LAYOUT_NCHW = 0,
  /* Interleaved: (n,h,w,c), as in image buffers. */
  RESNET_LAYOUT_NHWC = 1
} resnet_layout;

/* Run the model on `batch` samples that are already preprocessed; `batch` is 1 or more.
 *   - `input` holds batch * input_height * input_width * input_channels floats, in the
 *     order `layout`. It is not changed.
 *   - `scores` has room for batch * score_count floats: (n,score_count).
 *   - The sizes, and what the scores are, come from resnet_model_get_info.
 *   - Scores are the same to the bit for any number of threads and any split into
 *     batches. They never depend on timing or load.
 *   - They may differ by rounding between CPUs with different instruction sets, e.g. AVX2
 *     and AVX-512: the kernels add in another order, and others may be chosen.
 *   - Input values may be anything. NaN and infinity give meaningless scores and do no
 *     other harm.
 *   - Nothing is allocated.
 *   - A run that is the first to need packed weights of a plan file verifies them. It
 *     fails with RESNET_ERROR_FORMAT if they are damaged.
 *
 * resnet_prepare makes `input` of images. */
RESNET_API resnet_status resnet_run(resnet_session *session, const float *input,
                                    resnet_layout layout, size_t batch, float *scores,
                                    resnet_error *error);

/* Order of the bytes of an image. */
typedef enum resnet_pixels {
  /* 3 bytes a pixel. */
  RESNET_PIXELS_RGB = 0,
  RESNET_PIXELS_BGR = 1,
  /* 4 bytes a pixel; alpha is ignored, as in PIL's convert("RGB"). */
  RESNET_PIXELS_RGBA = 2,
  RESNET_PIXELS_BGRA = 3,
  /* 1 byte a pixel. */
  RESNET_PIXELS_GREY = 4,
  /* h rows of Y, then (h+1)/2 rows of interleaved U,V; BT.601, 16..235. Chroma rows have
   * the stride of Y. */
  RESNET_PIXELS_NV12 = 5,
  /* h rows of Y, then (h+1)/2 rows of U, then as many of V; BT.601, 16..235. Chroma rows
   * have the stride (stride+1)/2. */
  RESNET_PIXELS_I420 = 6
} resnet_pixels;

/* An image in the caller's memory; not kept after the call. */
typedef struct resnet_image {
  /* The first row is at the top. */
  const uint8_t *pixels;
  /* 1 to 65535. */
  uint32_t width, height;
  /* Bytes from one row to the next, at least a row's; those of the Y plane for NV12 and
   * I420. For NV12 at least the width rounded up to even. */
  size_t stride;
  resnet_pixels format;
} resnet_image;

/* Prepare `count` images for resnet_run: what resnet_classify does before it runs the
 * model. They may differ in size and format.
 *   - `count` is 1 or more.
 *   - `input` has room for count * input_height * input_width * input_channels floats.
 *     They are written in the order `layout`.
 *   - The model must have 1 or 3 input channels.
 *   - The session allocates memory for resizing when an image is larger than all before.
 *   - Errors of one image name its position among the `count`, from 0. */
RESNET_API resnet_status resnet_prepare(resnet_session *session, const resnet_image *images,
                                        size_t count, resnet_layout layout, float *input,
                                        resnet_error *error);

typedef struct resnet_prediction {
  /* Class, from 0. */
  uint32_t index;
  /* Probability, by resnet_model_info.scores: softmax of logits, sigmoid of a binary
   * logit, exp of log probabilities, or the file's own if it ends in a softmax or a
   * sigmoid. resnet_run gives what the file computes instead. */
  float score;
  /* Valid until the model and its sessions are closed.
   *   NULL: the model has no labels */
  const char *label;
} resnet_prediction;

/* Classify `count` images, which may differ in size and format. They are preprocessed by
 * resnet_model_info.preprocess.
 *   - `count` is 1 or more; `k` is 1 to classes.
 *   - `predictions` has room for count * k elements. Element i * k + j is image i's j-th
 *     best class, best first. Equal scores are ordered by index.
 *   - The session allocates memory for resizing when an image is larger than all before;
 *     resnet_run never allocates.
 *   - The model must have 1 or 3 input channels, and classes: an embedding fails with
 *     RESNET_ERROR_UNSUPPORTED.
 *   - A run that is the first to need packed weights of a plan file verifies them. It
 *     fails with RESNET_ERROR_FORMAT if they are damaged.
 *   - Errors of one image name its position among the `count`, from 0. */
RESNET_API resnet_status resnet_classify(resnet_session *session, const resnet_image *images,
                                         size_t count, uint32_t k, resnet_prediction *predictions,
                                         resnet_error *error);

/* ---- responses and ablations ------------------------------------------------------- */

/* Added to the program above, this prints a value of each layer, and then the class
 * without block 0:
 *
 *     static void show(void *model, const resnet_response *response) {
 *       resnet_op op = {.struct_size = sizeof op};
 *       if (response->point != RESNET_POINT_RESPONSE) return;
 *       if (resnet_plan_op(model, response->op, &op, NULL) != RESNET_OK) return;
 *       printf("layer %u (%s): %.3f\n", op.layer, op.name, (double)response->data[0]);
 *     }
 *
 *     ok = ok && resnet_session_observe(session, show, model, &error) == RESNET_OK &&
 *          resnet_classify(session, &image, 1, 1, &best, &error) == RESNET_OK &&
 *          resnet_session_observe(session, NULL, NULL, &error) == RESNET_OK &&
 *          resnet_session_skip(session, 0, RESNET_SKIP_BRANCH, 0, &error) == RESNET_OK &&
 *          resnet_classify(session, &image, 1, 1, &best, &error) == RESNET_OK;
 */

/* Where in an op a response is taken. Batch normalisation that was folded into a
 * convolution is part of the convolution. Op 0, the input, has an OUTPUT. */
typedef enum resnet_point {
  /* All ops: the output, after ReLU and addition. For a block's last op it is the block's
   * output. */
  RESNET_POINT_OUTPUT = 0,
  /* Convolutions and fully connected layers: after batch normalisation, before ReLU and
   * addition. Equal to OUTPUT if neither follows. These are the "layer responses" of
   * section 4.2 of the paper. */
  RESNET_POINT_RESPONSE = 1,
  /* Additions, also those fused into a convolution: what is added to the residual branch.
   * That is the block's input, its projection, or for option A the subsampled input with
   * zero channels. */
  RESNET_POINT_SHORTCUT = 2,
  /* The fully connected layer behind global average pooling: its result for each pixel
   * before the pool, bias included, (h,w,classes). The mean over the pixels is the
   * layer's response. This is the class activation map: Zhou et al. 2016, "Learning Deep
   * Features for Discriminative Localization", equation 2. */
  RESNET_POINT_CLASS_MAP = 3
} resnet_point;

/* What an op computed. Valid during the callback only. */
typedef struct resnet_response {
  /* Index of the op in the model's plan, for resnet_plan_op. The ops of an unfused plan
   * keep these indices. */
  uint32_t op;
  /* Samples in this sub-batch, see resnet_session_options.batch. Sub-batches come in
   * order. */
  uint32_t batch;
  uint32_t height, width, channels;
  /* (batch,height,width,channels). */
  const float *data;
  /* Computing time since the previous point, without observers and preprocessing.
   *   0: the values existed already */
  uint64_t nanoseconds;
  resnet_point point;
} resnet_response;

/* Receive a response; `user` is resnet_session_observe's. An observer must not use the
 * session, and cannot stop the run. It may call functions of the model, e.g.
 * resnet_plan_op. */
typedef void (*resnet_observer)(void *user, const resnet_response *response);

/* Call `observer` for every response of all later runs. It replaces an earlier observer;
 * NULL removes it.
 *   - Calls come from the thread that called resnet_run or resnet_classify, op by op in
 *     the order of the plan.
 *   - An op has some of these points, in this order: RESPONSE, SHORTCUT, OUTPUT,
 *     CLASS_MAP.
 *   - There is one call for each point and sub-batch: with the default batch of 1, one
 *     for each point and sample.
 *   - resnet_session_skip keeps the observer.
 *
 * Fused ops do not keep the values before a ReLU and an addition. With
 * RESNET_OBSERVE_RESPONSES the first call with an observer therefore makes an unfused
 * plan for the session, which allocates memory. Kernels and weights are the same, and so
 * are the scores, to the bit. The session keeps this slower plan until it is closed:
 * measure time in another session. On failure the session is unchanged. */
RESNET_API resnet_status resnet_session_observe(resnet_session *session, resnet_observer observer,
                                                void *user, resnet_error *error);

/* How a block is ablated. */
typedef enum resnet_skip {
  /* Not at all: the block as it was trained. */
  RESNET_SKIP_NONE = 0,
  /* Without its residual branch: the output is the shortcut, with the block's last ReLU.
   * A block of a plain network has no shortcut: without its two layers, its output is its
   * input. Veit et al. 2016, "Residual Networks Behave Like Ensembles of Relatively
   * Shallow Networks". */
  RESNET_SKIP_BRANCH = 1,
  /* Without its shortcut: the output is the residual branch, with the last ReLU. */
  RESNET_SKIP_SHORTCUT = 2,
  /* Exchanged with block `other`, which must have the same input and output shapes. */
  RESNET_SKIP_SWAP = 3
} resnet_skip;

/* Ablate `block` (an index, see resnet_plan_block) in all later runs of this session.
 *   - Each block has one mode. A call replaces the block's mode; other blocks keep
 *     theirs.
 *   - A call that names one of two swapped blocks first restores both. Swapping the same
 *     two again changes nothing.
 *   - RESNET_SKIP_NONE restores the block, or all blocks if `block` is RESNET_NO_INDEX.
 *     In other modes RESNET_NO_INDEX fails with RESNET_ERROR_ARGUMENT.
 *   - `other` is ignored except with RESNET_SKIP_SWAP.
 *   - Ops that no longer affect the scores are neither run nor observed. The last op of a
 *     block is one of them if nothing of it remains: no layer, no addition and no ReLU.
 *   - Swapped ops keep their indices, so an observer receives them in another order.
 *   - Other sessions of the model are not affected. Memory is allocated.
 *   - Fail with RESNET_ERROR_UNSUPPORTED if the block has no such part, or if the shapes
 *     do not allow it, e.g. a plain block that changes its input's shape. On failure the
 *     session is unchanged. */
RESNET_API resnet_status resnet_session_skip(resnet_session *session, uint32_t block,
                                             resnet_skip mode, uint32_t other, resnet_error *error);

#ifdef __cplusplus
}
#endif

#endif
