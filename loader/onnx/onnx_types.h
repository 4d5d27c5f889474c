/* Values of ONNX enumerations. onnx.proto declares plain integers in their place, so that
 * values of a newer ONNX are kept as they are in the file. */
#ifndef LIBRESNET_LOADER_ONNX_ONNX_TYPES_H
#define LIBRESNET_LOADER_ONNX_ONNX_TYPES_H

/* TensorProto.DataType */
enum {
  ONNX_FLOAT = 1,
  ONNX_UINT8 = 2,
  ONNX_INT8 = 3,
  ONNX_UINT16 = 4,
  ONNX_INT16 = 5,
  ONNX_INT32 = 6,
  ONNX_INT64 = 7,
  ONNX_BOOL = 9,
  ONNX_FLOAT16 = 10,
  ONNX_DOUBLE = 11,
  ONNX_UINT32 = 12,
  ONNX_UINT64 = 13,
  ONNX_BFLOAT16 = 16
};

/* TensorProto.DataLocation */
enum { ONNX_LOCATION_EXTERNAL = 1 };

/* AttributeProto.AttributeType */
enum {
  ONNX_ATTRIBUTE_FLOAT = 1,
  ONNX_ATTRIBUTE_INT = 2,
  ONNX_ATTRIBUTE_STRING = 3,
  ONNX_ATTRIBUTE_TENSOR = 4,
  ONNX_ATTRIBUTE_FLOATS = 6,
  ONNX_ATTRIBUTE_INTS = 7
};

#endif
