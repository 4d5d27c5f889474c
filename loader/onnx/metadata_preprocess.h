/* The metadata key resnet.preprocess: how images become inputs (resnet_preprocess).
 *
 * Its value has words "key=value", separated by blanks, in any order:
 *
 *   resize=SIZE   size after scaling: 256 (both sides), 256x128 (height x width), auto
 *                 (the crop times the ratio) or none (do not scale)
 *   crop=SIZE     centre crop: likewise; auto is the input's size
 *   order=ORDER   rgb, bgr or grey
 *   scale=X       divisor of the 8-bit value, e.g. 255
 *   mean=X,X,X    in units of pixel / scale; one number is for all channels
 *   std=X,X,X     likewise
 *   fit=FIT       crop (default): keep the proportions; stretch: scale to the exact size
 *   filter=NAME   bilinear (default), bicubic or nearest
 *   ratio=X       1 (default) to 16, e.g. 1.142857 for 256/224
 *
 * The first six are needed. Example, for persons of 256 x 128:
 *
 *   fit=stretch resize=auto crop=auto order=rgb scale=255 mean=0.485,0.456,0.406
 *   std=0.229,0.224,0.225 (in one line) */
#ifndef LIBRESNET_LOADER_ONNX_METADATA_PREPROCESS_H
#define LIBRESNET_LOADER_ONNX_METADATA_PREPROCESS_H

#include "loader/graph/graph.h"

/* Read the value into the graph. Fail with RESNET_ERROR_FORMAT and a message that names
 * the word. */
resnet_status metadata_read_preprocess(graph *g, const char *text, resnet_error *error);

#endif
