/* libresnet: run pretrained ResNets from C, and see what their shortcuts do.
 *
 * Five minutes:
 *     resnet_model *model = NULL;
 *     resnet_session *session = NULL;
 *     resnet_error error;
 *     if (resnet_model_open("resnet50.onnx", NULL, &model, &error) != RESNET_OK) { puts(error.message); ... }
 *     if (resnet_session_open(model, NULL, &session, &error) != RESNET_OK) { puts(error.message); ... }
 *     resnet_image image = {pixels, width, height, width * 3, RESNET_PIXELS_RGB};
 *     resnet_prediction best[5];
 *     resnet_classify(session, &image, 1, 5, best, &error);
 *     resnet_session_close(&session);
 *     resnet_model_close(&model);
 *
 * Two objects:
 *   - resnet_model: immutable once open; any number of threads and sessions may use one at the same time.
 *   - resnet_session: buffers and threads for running one model; one thread at a time may use a session.
 *     For parallel streams open one session per thread: they share the model's weights.
 * A model must stay open as long as any of its sessions.
 *
 * Errors: every call that can fail returns a resnet_status and, unless `error` is NULL,
 * fills it: RESNET_OK and an empty message on success, else what was found, where (file,
 * node, attribute), what is accepted and what to do. When a call fails, nothing is left
 * behind: output pointers are set to NULL and output buffers hold nothing of use.
 *
 * The library has no global state of its own, never prints, never exits, reports nothing
 * through errno, and reads no file but the one it is given, with two exceptions: XNNPACK,
 * once a process, asks the system what CPU this is, and a session that is to find its
 * number of threads itself (threads 0) reads how much CPU time the process is granted,
 * from /proc/self/cgroup and below /sys/fs/cgroup. Model files from anyone are safe to
 * open.
 *
 * Shapes are written (n,h,w,c): batch, height, width, channels.
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
  /* the caller passed something that can't be: NULL, zero, a wrong struct_size */
  RESNET_ERROR_ARGUMENT = 1,
  /* the file can't be opened, read or written, or is no regular file */
  RESNET_ERROR_IO = 2,
  /* the bytes are not a well-formed model: truncated, corrupt, contradictory */
  RESNET_ERROR_FORMAT = 3,
  /* well-formed, but uses an operator, attribute, type or shape that is not accepted */
  RESNET_ERROR_UNSUPPORTED = 4,
  /* a limit in the options was reached: file size, nesting, memory budget */
  RESNET_ERROR_LIMIT = 5,
  RESNET_ERROR_MEMORY = 6, /* an allocation failed */
  RESNET_ERROR_SYSTEM = 7  /* threads or the CPU: what is needed is not there */
} resnet_status;

#define RESNET_ERROR_MESSAGE_SIZE 256

typedef struct resnet_error {
  resnet_status status;
  /* English, one line, no final newline, always NUL-terminated */
  char message[RESNET_ERROR_MESSAGE_SIZE];
} resnet_error;

/* The status' name, e.g. "RESNET_ERROR_FORMAT". Never NULL; static storage;
 * thread-safe. */
RESNET_API const char *resnet_status_string(resnet_status status);

/* The library's version, e.g. "0.1.0", and the RESNET_ABI it was built with. A program
 * that loads the library at run time compares resnet_abi() with the RESNET_ABI it was
 * written for before any other call. Thread-safe. */
RESNET_API const char *resnet_version(void);
RESNET_API uint32_t resnet_abi(void);

/* ---- preprocessing ----------------------------------------------------------------- */

typedef enum resnet_channel_order {
  RESNET_ORDER_RGB = 0,
  RESNET_ORDER_BGR = 1
} resnet_channel_order;

/* How a picture becomes the net's input: scale the shorter side to `resize` pixels
 * (Pillow's antialiased BILINEAR, bit for bit), cut the centre `crop` x `crop`, then per
 * channel (pixel / scale - mean) / std. A picture that does not come out as the model's
 * input size after resize and crop is refused. */
typedef struct resnet_preprocess {
  uint32_t resize; /* shorter side in pixels; 0: no resize */
  uint32_t crop;   /* side of the centre crop in pixels; 0: no crop */
  /* order of the channels that the net was trained with */
  resnet_channel_order order;
  float scale;   /* divisor of the 8-bit value, e.g. 255 */
  float mean[3]; /* in units of pixel / scale, in `order` */
  float std[3];  /* likewise; greater than 0 */
} resnet_preprocess;

/* Where a model's preprocessing came from. */
typedef enum resnet_preprocess_source {
  /* written into the file by its exporter (metadata key resnet.preprocess) */
  RESNET_PREPROCESS_FROM_MODEL = 0,
  RESNET_PREPROCESS_FROM_OPTIONS = 1, /* the caller named it */
  RESNET_PREPROCESS_GUESSED =
      2 /* a guess from the input size: cifar10 for 32 x 32, else imagenet. Tell the user */
} resnet_preprocess_source;

/* Fill `out` with a preset: "imagenet" (torchvision V1: 256, 224), "imagenet-v2" (232,
 * 224), "cifar10" (32, 32), "keras-caffe" (BGR, 0-255 minus mean; 256, 224), "keras-tf"
 * ([-1,1]; 256, 224), "none" (0-255 as it is, no resize, no crop). Fails with
 * RESNET_ERROR_ARGUMENT on any other name; the message lists the names. Thread-safe. */
RESNET_API resnet_status resnet_preprocess_preset(const char *name, resnet_preprocess *out,
                                                  resnet_error *error);

/* ---- model ------------------------------------------------------------------------- */

typedef struct resnet_model resnet_model;

/* Memory hooks: all three NULL (malloc and free), or `allocate` and `release` both set.
 * `allocate` returns memory aligned for any type, or NULL; both may be called from any
 * thread that calls the library with this model. XNNPACK's operators allocate from malloc
 * whatever is set here: it has one process-wide allocator, which a library must not take
 * over. */
typedef struct resnet_allocator {
  void *context;
  void *(*allocate)(void *context, size_t size);
  void (*release)(void *context, void *pointer);
} resnet_allocator;

/* How 3x3 convolutions, and a picture's first one of 7x7 and stride 2, are computed.
 * Winograd's algorithm makes tiles of 4x4, 4x2 or 2x2 outputs of those with stride 1 with
 * a quarter, a third or 4/9 of the multiplications, and takes 4, 2.7 or 1.8 times the
 * weights' memory for those layers; tiles of 4x4 of those with stride 2 (even and odd
 * pixels taken apart) with 9/16 and 4 times; of the first one (likewise, 4x4 taps) tiles
 * of 5x5. It differs from the direct sum by rounding (about 1e-6 of the largest value of
 * a layer, at most some 1e-5), and an infinite or NaN value spreads over its tile. Where
 * a layer's weights are so unequal in size that it would round worse, the direct sum is
 * taken whatever this says. */
typedef enum resnet_conv {
  /* for each layer what a fixed cost model finds cheaper */
  RESNET_CONV_AUTO = 0,
  RESNET_CONV_DIRECT = 1,  /* the direct sum everywhere */
  RESNET_CONV_WINOGRAD = 2 /* Winograd wherever it can be */
} resnet_conv;

/* What a model may take for its weights. */
typedef enum resnet_memory {
  RESNET_MEMORY_NORMAL = 0, /* transformed weights where they save time */
  RESNET_MEMORY_SMALL =
      1 /* no copy of a weight larger than the weight: direct convolutions whatever `conv` says */
} resnet_memory;

typedef struct resnet_model_options {
  /* sizeof(resnet_model_options); set by resnet_model_options_init */
  size_t struct_size;
  /* larger files are refused, packed or unpacked; 0: 2 GiB */
  uint64_t max_file_bytes;
  /* budget while loading, weights included; 0: 6 GiB */
  uint64_t max_memory_bytes;
  /* pixels; 0: the file's, or 224 where that is symbolic. Another size than the file's is
   * accepted where every layer can follow: nets that end in global pooling. Others are
   * refused, naming the node that cannot */
  uint32_t input_height, input_width;
  /* copied; NULL: the file's own, else a guess */
  const resnet_preprocess *preprocess;
  resnet_allocator allocator;
  resnet_conv conv;
  resnet_memory memory;
  /* pictures that sessions will mostly be given at once, 0: 1. With more, layers that
   * spend their time reading weights may be computed in ways that multiply less and read
   * more (normal memory, auto). Answers then differ by rounding; they never depend on a
   * session's batch. A plan file goes by the value that it was made with */
  uint32_t batch;
  /* 1: keep the file's weights beside the packed ones, as resnet_model_save needs; 0:
   * don't */
  uint32_t keep_weights;
  /* which of the graph's outputs are the scores, by name; NULL: the only one (a file with
   * several is refused, naming them). What leads to the others alone is not read. Not
   * kept after the call */
  const char *output;
  /* 1: weights may lie in other files, as large exports have them (ONNX external data):
   * regular files with one link, in or below the model's own folder, reached through no
   * symbolic link. Paths that leave it are refused. 0: a model that needs other files is
   * refused. Plan files hold their weights, whatever this says */
  uint32_t external_data;
  /* for resnet_model_open_memory: 1: the caller keeps `bytes` as they are until the model
   * is closed, so that a plan file there is used in place, where its address is a
   * multiple of 64: e.g. in memory that processes share. 0: it is copied */
  uint32_t borrow;
} resnet_model_options;

/* Fill `options` with the defaults (all zero but struct_size). Thread-safe. */
RESNET_API void resnet_model_options_init(resnet_model_options *options);

/* Load a model: .onnx, gzip of it, or a plan file of resnet_model_save (by content,
 * whatever its name). Takes `options` NULL for the defaults. On success *model is the
 * caller's to close; on failure *model is NULL. `path` is opened read-only and must be a
 * regular file; no other file is read, but for those that external_data allows.
 * Thread-safe.
 *
 * A plan file stays mapped as long as the model is open, outside of max_memory_bytes. It
 * must not be changed in place meanwhile: where another program cuts it off, reading it
 * ends this one with SIGBUS. Replace it by renaming, as resnet_model_save does. Every
 * weight that a session will read is verified by a checksum here, and a damaged file is
 * refused. Checksums find damage, not intent: like any model file, a plan file from
 * anyone is safe to open, but its answers are its maker's. */
RESNET_API resnet_status resnet_model_open(const char *path, const resnet_model_options *options,
                                           resnet_model **model, resnet_error *error);

/* The same from memory: `bytes` may be released or changed as soon as the call returns,
 * unless options.borrow is set. Of a plan file that cannot be borrowed a copy is made,
 * whole, within max_memory_bytes. */
RESNET_API resnet_status resnet_model_open_memory(const void *bytes, size_t size,
                                                  const resnet_model_options *options,
                                                  resnet_model **model, resnet_error *error);

/* Write a plan file: the net with its weights as they are and as packed for this CPU.
 * resnet_model_open maps it: nothing is decoded or packed, and processes that open it
 * share its memory. A plan file opened on another CPU, by another version of the library,
 * or with other `conv` or `memory` options than it was saved with is packed anew from the
 * weights beside; resnet_model_info.notice then says so. The model must have been opened
 * with keep_weights or from a plan file. A preprocessing that was named in the options
 * becomes the file's own. The same model gives the same bytes. Writes to a temporary file
 * beside `path`, then renames: `path` holds the old file or the whole new one. A `path`
 * that is no regular file is refused. Thread-safe. */
RESNET_API resnet_status resnet_model_save(const resnet_model *model, const char *path,
                                           resnet_error *error);

/* Close *model and set it to NULL. NULL and pointers to NULL are allowed. No session of
 * it may be open. */
RESNET_API void resnet_model_close(resnet_model **model);

/* What a loaded file looks to be wrong or unusual in, though it can be run. */
typedef enum resnet_severity {
  RESNET_NOTE = 0,   /* true of many good files, e.g. that scores are logits */
  RESNET_WARNING = 1 /* answers are likely not what the net was trained to give */
} resnet_severity;

typedef struct resnet_finding {
  resnet_severity severity;
  const char *message; /* one line: nodes, what was found, what to do */
} resnet_finding;

/* What the numbers are that resnet_run gives. resnet_classify makes probabilities of
 * them. */
typedef enum resnet_scores {
  /* any numbers; softmax makes probabilities of them */
  RESNET_SCORES_LOGITS = 0,
  /* the file ends in a softmax, or a sigmoid for each class */
  RESNET_SCORES_PROBABILITIES = 1,
  RESNET_SCORES_LOG_PROBABILITIES = 2 /* the file ends in a log softmax */
} resnet_scores;

/* Pointers in here live as long as the model. */
typedef struct resnet_model_info {
  size_t struct_size;   /* set by the caller to sizeof(resnet_model_info) */
  const char *name;     /* the graph's name; "" if it has none */
  const char *producer; /* program that wrote the file, with its version; "" if not said */
  uint32_t opset;       /* of the default ONNX domain */
  uint32_t input_height, input_width, input_channels;
  uint32_t classes;
  /* `classes` UTF-8 strings, or NULL if the file has none */
  const char *const *labels;
  resnet_preprocess preprocess;
  resnet_preprocess_source preprocess_source;
  const char *precision; /* "fp32" */
  /* ops of the plan: resnet_plan_op's index runs from 0 to op_count - 1 */
  uint32_t op_count;
  uint32_t block_count; /* residual blocks (pairs of layers in a plain net) */
  /* convolutions and fully connected layers, projections, gates and blur filters left
   * out: the paper's depth */
  uint32_t conv_layers;
  /* weights and biases after batch normalisation was folded in */
  uint64_t parameters;
  uint64_t macs;          /* multiply-accumulates of one picture */
  uint64_t weights_bytes; /* packed weights, held once per model */
  uint64_t arena_bytes;   /* activations per picture of a session's batch */
  /* largest set of activations alive at once: no plan of these ops can use less */
  uint64_t arena_lower_bound;
  /* what the user of a plan file should know, e.g. that it was made for another CPU and
   * had to be packed anew; "" if there is nothing */
  const char *notice;
  /* finding_count of them, warnings first; NULL if there are none */
  const resnet_finding *findings;
  uint32_t finding_count;
  resnet_scores scores; /* what resnet_run gives */
} resnet_model_info;

RESNET_API resnet_status resnet_model_get_info(const resnet_model *model, resnet_model_info *info,
                                               resnet_error *error);

/* ---- the plan, as data ------------------------------------------------------------- */

typedef enum resnet_shortcut {
  RESNET_SHORTCUT_NONE = 0,       /* plain net: two layers without a shortcut */
  RESNET_SHORTCUT_IDENTITY = 1,   /* y = F(x) + x */
  RESNET_SHORTCUT_PROJECTION = 2, /* y = F(x) + W x: option B of the paper */
  /* y = F(x) + x sub-sampled, with zero channels added: option A of the paper */
  RESNET_SHORTCUT_OPTION_A = 3,
  RESNET_SHORTCUT_POOL = 4 /* y = F(x) + average or maximum of x over windows, without weights */
} resnet_shortcut;

#define RESNET_NO_INDEX UINT32_MAX

/* Pointers live as long as the model. */
typedef struct resnet_op {
  size_t struct_size; /* set by the caller to sizeof(resnet_op) */
  /* the ONNX node this op stands for (the first, where several were fused) */
  const char *name;
  const char *output; /* the ONNX tensor that this op computes */
  const char *kernel; /* e.g. "conv", "add", "max_pool" */
  const char *detail; /* e.g. "3x3 stride 2 pad 1,1,1,1 relu" */
  /* ops whose outputs are read; RESNET_NO_INDEX: none */
  uint32_t input[2];
  uint32_t height, width, channels; /* of the output, per picture */
  uint32_t block;                   /* index of its block, or RESNET_NO_INDEX */
  /* kind of the shortcut that this op adds or computes; NONE for all others */
  resnet_shortcut shortcut;
  uint64_t parameters, macs;
  uint64_t weights_bytes; /* packed */
  uint64_t output_bytes;  /* per picture */
  uint64_t arena_offset;  /* of the output, in bytes, for a batch of one */
  /* predicted by the cost model that chose the kernel, per picture, in
   * multiply-accumulates of a direct convolution at full speed; 0 for ops that it does
   * not weigh */
  double cost;
  /* place among the layers that resnet_model_info.conv_layers counts, from 1; 0: it is
   * none */
  uint32_t layer;
} resnet_op;

typedef struct resnet_block {
  size_t struct_size; /* set by the caller to sizeof(resnet_block) */
  const char *name;   /* e.g. "stage2.block1": its stage and place, from 1 */
  resnet_shortcut shortcut;
  /* its ops lie between these; last_op's output is the block's */
  uint32_t first_op, last_op;
  /* convolutions on its residual branch, gates and blur filters left out */
  uint32_t convs;
} resnet_block;

RESNET_API resnet_status resnet_plan_op(const resnet_model *model, uint32_t index, resnet_op *op,
                                        resnet_error *error);
RESNET_API resnet_status resnet_plan_block(const resnet_model *model, uint32_t index,
                                           resnet_block *block, resnet_error *error);

/* ---- session ----------------------------------------------------------------------- */

typedef struct resnet_session resnet_session;

/* What an observer is told: see resnet_session_observe. */
typedef enum resnet_observe {
  /* every point below, those too that fusion erases: the session runs a plan of its
   * own */
  RESNET_OBSERVE_RESPONSES = 0,
  /* the outputs of the plan's ops as they are, with the time that each takes */
  RESNET_OBSERVE_OPS = 1
} resnet_observe;

/* `threads` counts the caller's, which works along: 1 to 256. 0 is one for every CPU that
 * the caller may use, by its affinity mask and, on Linux, by its control groups' limits
 * of CPU time (part of a CPU counts as one). The others stay within the affinity mask
 * that the caller of resnet_session_open has at that time, and are not pinned to a CPU
 * each. After a run that came at once upon another they wait awake for the next, for some
 * 25 ms of CPU time each at most; else they sleep between runs. While a run lasts they
 * wait for each other awake: where other programs or sessions want the same CPUs, give
 * each its share of them (several sessions at once: one thread each), or all become many
 * times slower.
 */
typedef struct resnet_session_options {
  /* sizeof(resnet_session_options); set by resnet_session_options_init */
  size_t struct_size;
  uint32_t threads; /* 0: one for every CPU that the caller may use */
  /* the most pictures worked on at once, in smaller portions where a cache holds no more;
   * calls with more are split; 0: 1 */
  uint32_t batch;
  resnet_observe observe; /* what an observer is told */
} resnet_session_options;

RESNET_API void resnet_session_options_init(resnet_session_options *options);

/* Make buffers, operators and threads for `model`, which must outlive the session.
 * `options` NULL: the defaults. On success *session is the caller's to close. After this,
 * running allocates nothing. Several sessions of one model may be opened and used from
 * several threads at once. */
RESNET_API resnet_status resnet_session_open(const resnet_model *model,
                                             const resnet_session_options *options,
                                             resnet_session **session, resnet_error *error);
RESNET_API void resnet_session_close(resnet_session **session);

typedef enum resnet_layout {
  RESNET_LAYOUT_NCHW = 0, /* planar: (n,c,h,w), as ONNX and PyTorch have it */
  RESNET_LAYOUT_NHWC = 1  /* interleaved: (n,h,w,c), as pictures are */
} resnet_layout;

/* Run the net on `batch` inputs, already normalised: `input` holds batch * h * w * c
 * floats, `scores` takes batch * classes floats (what the file's output is: logits,
 * unless it ends in a softmax). The answers do not depend on the number of threads, nor
 * on how pictures are split into batches. Input values may be anything; NaN and infinity
 * give scores of no meaning, nothing worse. */
RESNET_API resnet_status resnet_run(resnet_session *session, const float *input,
                                    resnet_layout layout, size_t batch, float *scores,
                                    resnet_error *error);

typedef enum resnet_pixels {
  RESNET_PIXELS_RGB = 0,
  RESNET_PIXELS_BGR = 1,
  RESNET_PIXELS_RGBA = 2, /* alpha is ignored, as PIL's convert("RGB") does */
  RESNET_PIXELS_BGRA = 3,
  RESNET_PIXELS_GREY = 4,
  /* h rows of Y, then (h+1)/2 rows of interleaved U,V; BT.601, 16..235 */
  RESNET_PIXELS_NV12 = 5,
  RESNET_PIXELS_I420 =
      6 /* h rows of Y, then U, then V: (h+1)/2 rows each, stride (stride+1)/2; BT.601, 16..235 */
} resnet_pixels;

typedef struct resnet_image {
  const uint8_t *pixels;  /* first row at the top; not kept after the call */
  uint32_t width, height; /* 1 to 65535 */
  /* bytes from one row to the next, at least a row's; of the Y plane for NV12 and I420.
   * NV12's chroma rows have the same: at least the width rounded up to even */
  size_t stride;
  resnet_pixels format;
} resnet_image;

typedef struct resnet_prediction {
  uint32_t index; /* class */
  /* probability: softmax of the logits; the file's own if it ends in one or in a
   * sigmoid */
  float score;
  /* lives as long as the model; NULL if the model has no labels */
  const char *label;
} resnet_prediction;

/* Label `count` pictures, preprocessed as the model says: predictions[i * k + j] is
 * picture i's j-th best class, best first, the lower index first among equals. 1 <= k <=
 * classes. Pictures may differ in size and format. Memory for resizing belongs to the
 * session and grows with the largest picture seen: this call may allocate, resnet_run
 * never. */
RESNET_API resnet_status resnet_classify(resnet_session *session, const resnet_image *images,
                                         size_t count, uint32_t k, resnet_prediction *predictions,
                                         resnet_error *error);

/* ---- the lens: responses and lesions ----------------------------------------------- */

/* Where in an op a response is taken. Batch normalisation that was folded into a
 * convolution is part of it. */
typedef enum resnet_point {
  /* what the op of the plan computes, with its ReLU and its addition: of a block's last
   * op, the block's output */
  RESNET_POINT_OUTPUT = 0,
  /* of a convolution or fully connected layer: after batch normalisation, before ReLU and
   * before the addition ("layer responses", section 4.2 of the paper) */
  RESNET_POINT_RESPONSE = 1,
  /* of an op that adds: what is added to the residual branch: the block's input, its
   * projection, or, for option A, sub-sampled and filled up with zero channels */
  RESNET_POINT_SHORTCUT = 2,
  RESNET_POINT_CLASS_MAP =
      3 /* of the fully connected layer behind global average pooling: what it makes of each pixel
                                before the pool, bias included, (h,w,classes). Their mean over the pixels are the
                                layer's responses (class activation map: Zhou et al. 2016, "Learning Deep Features for
                                Discriminative Localization", equation 2) */
} resnet_point;

/* A response, as it is computed. Valid during the callback only. */
typedef struct resnet_response {
  uint32_t op;    /* index into the plan */
  uint32_t batch; /* pictures in this portion of the batch */
  uint32_t height, width, channels;
  const float *data; /* (batch,height,width,channels) */
  /* that computing it took, from the point before on; 0: it lay there already */
  uint64_t nanoseconds;
  resnet_point point;
} resnet_response;

typedef void (*resnet_observer)(void *user, const resnet_response *response);

/* From now on call `observer` for every response of every run, op by op in the order they
 * run in, on the thread that calls resnet_run: of each op the RESPONSE and SHORTCUT that
 * it has, then the OUTPUT, then the CLASS_MAP. NULL ends it. The observer must not use
 * the session.
 *
 * Fusion erases what lies before a ReLU and an addition: unless the session was opened
 * with RESNET_OBSERVE_OPS, it gets a plan of its own here, in which those are ops of
 * their own (memory is allocated, the first time only; a failure leaves the session as it
 * was). The kernels and weights of all layers are the same, and so are the answers, to
 * the bit. It keeps that plan when the observer is gone, and takes longer for it: measure
 * time in another session. */
RESNET_API resnet_status resnet_session_observe(resnet_session *session, resnet_observer observer,
                                                void *user, resnet_error *error);

/* What is to become of a block. */
typedef enum resnet_skip {
  RESNET_SKIP_NONE = 0, /* nothing: as it was trained */
  /* its residual branch is left out: the output is the shortcut, with the block's last
   * ReLU (Veit et al. 2016, "Residual Networks Behave Like Ensembles of Relatively
   * Shallow Networks"). Of a plain net's block: both layers, the output is the input */
  RESNET_SKIP_BRANCH = 1,
  /* its shortcut is left out: the output is the residual branch, with the last ReLU */
  RESNET_SKIP_SHORTCUT = 2,
  RESNET_SKIP_SWAP =
      3 /* it changes places with block `other`, which takes and gives tensors of the same shape */
} resnet_skip;

/* Lesion: from now on run the net with `block` (its index, see resnet_plan_block) changed
 * so. Calls add up, one mode for each block; RESNET_SKIP_NONE restores a block, and the
 * one that it was swapped with; with RESNET_NO_INDEX for `block` all blocks. `other` is
 * read with RESNET_SKIP_SWAP only. Ops that do not count for the answer any more are not
 * run and not observed, nor is a block's last op that has nothing left to do (no ReLU, no
 * addition): the block's output is then what it was handed. Those of swapped blocks keep
 * their indices. Allocates memory. Refused, with RESNET_ERROR_UNSUPPORTED, what shapes do
 * not allow (a plain block that changes its input's shape) or what the block does not
 * have; a failure leaves the session as it was. The model and its other sessions are not
 * concerned. */
RESNET_API resnet_status resnet_session_skip(resnet_session *session, uint32_t block,
                                             resnet_skip mode, uint32_t other, resnet_error *error);

#ifdef __cplusplus
}
#endif

#endif
