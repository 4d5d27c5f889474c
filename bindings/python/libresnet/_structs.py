"""The structs, enumerations and prototypes of resnet.h and resnet_python.h in ctypes.

The enumeration `resnet_x` is the class X, the struct `resnet_x` the class XStruct.
tests/python/test_headers.py parses both headers and compares every struct, value and
prototype with this file.
"""

from __future__ import annotations

import ctypes
import enum
from ctypes import (
    POINTER,
    c_char,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
    py_object,
)
from typing import Any, ClassVar, Dict, List, Tuple

ABI = 1  # RESNET_ABI of the header that this file matches
PYTHON_ABI = 2  # RESNET_PYTHON_ABI, likewise
NO_INDEX = 0xFFFFFFFF
SIZE_NONE = 0xFFFFFFFF
ERROR_MESSAGE_SIZE = 256

# ---- enumerations: int in C ----


class Status(enum.IntEnum):
    OK = 0
    ERROR_ARGUMENT = 1
    ERROR_IO = 2
    ERROR_FORMAT = 3
    ERROR_UNSUPPORTED = 4
    ERROR_LIMIT = 5
    ERROR_MEMORY = 6
    ERROR_SYSTEM = 7


class ChannelOrder(enum.IntEnum):
    ORDER_RGB = 0
    ORDER_BGR = 1
    ORDER_GREY = 2


class Fit(enum.IntEnum):
    FIT_CROP = 0
    FIT_STRETCH = 1


class Filter(enum.IntEnum):
    FILTER_BILINEAR = 0
    FILTER_BICUBIC = 1
    FILTER_NEAREST = 2


class PreprocessSource(enum.IntEnum):
    PREPROCESS_FROM_MODEL = 0
    PREPROCESS_FROM_OPTIONS = 1
    PREPROCESS_GUESSED = 2
    PREPROCESS_FROM_GRAPH = 3


class Conv(enum.IntEnum):
    CONV_AUTO = 0
    CONV_DIRECT = 1
    CONV_WINOGRAD = 2
    CONV_XNNPACK = 3


class Memory(enum.IntEnum):
    MEMORY_NORMAL = 0
    MEMORY_SMALL = 1


class Severity(enum.IntEnum):
    NOTE = 0
    WARNING = 1


class Scores(enum.IntEnum):
    SCORES_LOGITS = 0
    SCORES_PROBABILITIES = 1
    SCORES_LOG_PROBABILITIES = 2
    SCORES_BINARY_LOGIT = 3
    SCORES_BINARY_PROBABILITY = 4
    SCORES_MULTI_LABEL = 5
    SCORES_EMBEDDING = 6


class Shortcut(enum.IntEnum):
    SHORTCUT_NONE = 0
    SHORTCUT_IDENTITY = 1
    SHORTCUT_PROJECTION = 2
    SHORTCUT_OPTION_A = 3
    SHORTCUT_POOL = 4


class Observe(enum.IntEnum):
    OBSERVE_RESPONSES = 0
    OBSERVE_OPS = 1


class Layout(enum.IntEnum):
    LAYOUT_NCHW = 0
    LAYOUT_NHWC = 1


class Pixels(enum.IntEnum):
    PIXELS_RGB = 0
    PIXELS_BGR = 1
    PIXELS_RGBA = 2
    PIXELS_BGRA = 3
    PIXELS_GREY = 4
    PIXELS_NV12 = 5
    PIXELS_I420 = 6


class Point(enum.IntEnum):
    POINT_OUTPUT = 0
    POINT_RESPONSE = 1
    POINT_SHORTCUT = 2
    POINT_CLASS_MAP = 3


class Skip(enum.IntEnum):
    SKIP_NONE = 0
    SKIP_BRANCH = 1
    SKIP_SHORTCUT = 2
    SKIP_SWAP = 3


# ---- structs ----

Fields = List[Tuple[str, Any]]


class ErrorStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [("status", c_int), ("message", c_char * ERROR_MESSAGE_SIZE)]


class PreprocessStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [
        ("fit", c_int),
        ("filter", c_int),
        ("resize_height", c_uint32),
        ("resize_width", c_uint32),
        ("crop_height", c_uint32),
        ("crop_width", c_uint32),
        ("resize_ratio", c_float),
        ("order", c_int),
        ("scale", c_float),
        ("mean", c_float * 3),
        ("std", c_float * 3),
    ]


class AllocatorStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [
        ("context", c_void_p),
        ("allocate", c_void_p),
        ("release", c_void_p),
    ]


class ModelOptionsStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [
        ("struct_size", c_size_t),
        ("max_file_bytes", c_uint64),
        ("max_memory_bytes", c_uint64),
        ("input_height", c_uint32),
        ("input_width", c_uint32),
        ("preprocess", POINTER(PreprocessStruct)),
        ("allocator", AllocatorStruct),
        ("conv", c_int),
        ("memory", c_int),
        ("batch", c_uint32),
        ("keep_weights", c_uint32),
        ("output", c_char_p),
        ("external_data", c_uint32),
        ("borrow", c_uint32),
        ("labels", POINTER(c_char_p)),
        ("label_count", c_uint32),
    ]


class FindingStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [("severity", c_int), ("message", c_char_p)]


class ModelInfoStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [
        ("struct_size", c_size_t),
        ("name", c_char_p),
        ("producer", c_char_p),
        ("opset", c_uint32),
        ("input_height", c_uint32),
        ("input_width", c_uint32),
        ("input_channels", c_uint32),
        ("classes", c_uint32),
        ("score_count", c_uint32),
        ("labels", POINTER(c_char_p)),
        ("preprocess", PreprocessStruct),
        ("preprocess_source", c_int),
        ("precision", c_char_p),
        ("op_count", c_uint32),
        ("block_count", c_uint32),
        ("conv_layers", c_uint32),
        ("parameters", c_uint64),
        ("macs", c_uint64),
        ("weights_bytes", c_uint64),
        ("arena_bytes", c_uint64),
        ("arena_lower_bound", c_uint64),
        ("notice", c_char_p),
        ("findings", POINTER(FindingStruct)),
        ("finding_count", c_uint32),
        ("scores", c_int),
    ]


class OpStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [
        ("struct_size", c_size_t),
        ("name", c_char_p),
        ("output", c_char_p),
        ("kernel", c_char_p),
        ("detail", c_char_p),
        ("input", c_uint32 * 2),
        ("height", c_uint32),
        ("width", c_uint32),
        ("channels", c_uint32),
        ("block", c_uint32),
        ("shortcut", c_int),
        ("parameters", c_uint64),
        ("macs", c_uint64),
        ("weights_bytes", c_uint64),
        ("output_bytes", c_uint64),
        ("arena_offset", c_uint64),
        ("cost", c_double),
        ("layer", c_uint32),
        ("multiplications", c_uint64),
    ]


class BlockStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [
        ("struct_size", c_size_t),
        ("name", c_char_p),
        ("shortcut", c_int),
        ("first_op", c_uint32),
        ("last_op", c_uint32),
        ("convs", c_uint32),
    ]


class SessionOptionsStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [
        ("struct_size", c_size_t),
        ("threads", c_uint32),
        ("batch", c_uint32),
        ("observe", c_int),
    ]


class ImageStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [
        ("pixels", c_void_p),
        ("width", c_uint32),
        ("height", c_uint32),
        ("stride", c_size_t),
        ("format", c_int),
    ]


class PredictionStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [("index", c_uint32), ("score", c_float), ("label", c_char_p)]


class ResponseStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [
        ("op", c_uint32),
        ("batch", c_uint32),
        ("height", c_uint32),
        ("width", c_uint32),
        ("channels", c_uint32),
        ("data", POINTER(c_float)),
        ("nanoseconds", c_uint64),
        ("point", c_int),
    ]


# `user`, a void * in C, is a Python object here.
Observer = ctypes.CFUNCTYPE(None, py_object, POINTER(ResponseStruct))

# ---- prototypes ----
# (result, parameters). Handles are void *; pointers to them are passed by byref.

_handle, _handle_out, _error = c_void_p, POINTER(c_void_p), POINTER(ErrorStruct)

PROTOTYPES: Dict[str, Tuple[Any, List[Any]]] = {
    "resnet_status_string": (c_char_p, [c_int]),
    "resnet_version": (c_char_p, []),
    "resnet_shortcut_string": (c_char_p, [c_int]),
    "resnet_abi": (c_uint32, []),
    "resnet_preprocess_preset": (c_int, [c_char_p, POINTER(PreprocessStruct), _error]),
    "resnet_model_options_init": (None, [POINTER(ModelOptionsStruct)]),
    "resnet_model_open": (c_int, [c_char_p, POINTER(ModelOptionsStruct), _handle_out, _error]),
    "resnet_model_open_memory": (
        c_int,
        [c_void_p, c_size_t, POINTER(ModelOptionsStruct), _handle_out, _error],
    ),
    "resnet_model_save": (c_int, [_handle, c_char_p, _error]),
    "resnet_model_close": (None, [_handle_out]),
    "resnet_model_get_info": (c_int, [_handle, POINTER(ModelInfoStruct), _error]),
    "resnet_plan_op": (c_int, [_handle, c_uint32, POINTER(OpStruct), _error]),
    "resnet_plan_block": (c_int, [_handle, c_uint32, POINTER(BlockStruct), _error]),
    "resnet_session_options_init": (None, [POINTER(SessionOptionsStruct)]),
    "resnet_session_open": (c_int, [_handle, POINTER(SessionOptionsStruct), _handle_out, _error]),
    "resnet_session_close": (None, [_handle_out]),
    # Arrays are passed by address as c_void_p: POINTER(c_float) costs 1 us each.
    "resnet_run": (c_int, [_handle, c_void_p, c_int, c_size_t, c_void_p, _error]),
    "resnet_prepare": (
        c_int,
        [_handle, POINTER(ImageStruct), c_size_t, c_int, c_void_p, _error],
    ),
    "resnet_classify": (
        c_int,
        [_handle, POINTER(ImageStruct), c_size_t, c_uint32, c_void_p, _error],
    ),
    "resnet_session_observe": (c_int, [_handle, c_void_p, c_void_p, _error]),
    "resnet_session_skip": (c_int, [_handle, c_uint32, c_int, c_uint32, _error]),
}

# ---- resnet_python.h ----


class PythonDepth(enum.IntEnum):
    PYTHON_CLIP = 0
    PYTHON_RANGE = 1
    PYTHON_AUTO = 2


class PythonImageStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [
        ("pixels", POINTER(c_uint8)),
        ("width", c_uint32),
        ("height", c_uint32),
        ("cut", c_uint32),
    ]


class PythonPlaceStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [("op", c_uint32), ("point", c_int), ("channels", c_uint32)]


class PythonRowStruct(ctypes.Structure):
    _fields_: ClassVar[Fields] = [
        ("op", c_uint32),
        ("point", c_int),
        ("height", c_uint32),
        ("width", c_uint32),
        ("channels", c_uint32),
        ("dead", c_uint32),
        ("values", c_uint64),
        ("mean", c_double),
        ("std", c_double),
        ("min", c_double),
        ("max", c_double),
        ("percentiles", c_double * 5),
        ("negative", c_double),
    ]


PYTHON_PROTOTYPES: Dict[str, Tuple[Any, List[Any]]] = {
    "resnet_python_abi": (c_uint32, []),
    "resnet_python_image_read": (
        c_int,
        [c_char_p, c_int, c_uint32, c_uint32, POINTER(PythonImageStruct), _error],
    ),
    "resnet_python_image_decode": (
        c_int,
        [c_void_p, c_size_t, c_int, c_uint32, c_uint32, POINTER(PythonImageStruct), _error],
    ),
    "resnet_python_image_release": (None, [POINTER(PythonImageStruct)]),
    "resnet_python_table_open": (
        c_int,
        [POINTER(PythonPlaceStruct), c_size_t, _handle_out, _error],
    ),
    "resnet_python_table_close": (None, [_handle_out]),
    "resnet_python_table_observe": (None, [c_void_p, POINTER(ResponseStruct)]),
    "resnet_python_table_chunk": (c_size_t, [c_size_t]),
    "resnet_python_table_clear": (None, [_handle, c_uint64]),
    "resnet_python_table_merge": (c_int, [_handle, _handle, _error]),
    "resnet_python_table_rows": (c_int, [_handle, POINTER(PythonRowStruct), c_size_t, _error]),
}
