"""Convert images from what users have (files, bytes, PIL images, arrays) to what the
library takes."""

from __future__ import annotations

import ctypes
import operator
import os
import threading
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

import numpy as np
import numpy.typing as npt

from . import _structs
from ._errors import ArgumentError, Error, ImageError, ImageWarning, image_error_of, warn
from ._forks import forked
from ._library import encoded, python_library

PathLike = Union[str, "os.PathLike[str]"]
# For type checkers: inputs for which classify returns one ranking, and several. Type
# checkers do not know an array's number of dimensions.
OneImage = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview]
SeveralImages = Union[List[Any], Tuple[Any, ...], Iterator[Any]]
U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

# Largest sub-batch, in images and in bytes of pixels: decoded together, then run
# together.
SUB_BATCH_IMAGES, SUB_BATCH_BYTES = 32, 64 << 20
_ORIENTATION = 0x0112  # the EXIF tag
CUT_16_BITS = (
    "an image has 16-bit values, which were cut to 8 bits as Pillow does: grey above 255 becomes "
    "white. Scale them: read_image(path, depth16='scale' or 'auto'), or give a uint8 array"
)

# By name: the format, and the number of values per pixel in a row.
FORMATS: Dict[str, Tuple[_structs.Pixels, int]] = {
    "RGB": (_structs.Pixels.PIXELS_RGB, 3),
    "BGR": (_structs.Pixels.PIXELS_BGR, 3),
    "RGBA": (_structs.Pixels.PIXELS_RGBA, 4),
    "BGRA": (_structs.Pixels.PIXELS_BGRA, 4),
    "GREY": (_structs.Pixels.PIXELS_GREY, 1),
    "NV12": (_structs.Pixels.PIXELS_NV12, 1),
    "I420": (_structs.Pixels.PIXELS_I420, 1),
}


class Reading(NamedTuple):
    """How images are read: options of classify.

    skip: yield the error of an image instead of raising it.
    first: position of the first image among the caller's.
    """

    pixels: Optional[str] = None
    layout: Optional[str] = None
    skip: bool = False
    first: int = 0


def reading(pixels: Optional[str], layout: Optional[str], errors: str) -> Reading:
    """Return the options of classify. Raises ArgumentError for a wrong `errors`."""
    if errors not in ("raise", "skip"):
        raise ArgumentError(f"errors is {errors!r}: accepted values are 'raise' and 'skip'")
    return Reading(pixels, layout, errors == "skip")


class Image(NamedTuple):
    """8-bit pixels. `array` owns the memory that `struct` points into."""

    array: U8
    struct: _structs.ImageStruct
    place: Optional[int] = None  # position among several images
    path: Optional[str] = None
    turned: bool = False  # whether it has an orientation that is not applied
    cut: bool = False  # whether 16-bit values were cut to 8 bits


class Tensor(NamedTuple):
    """Normalised input: (n,c,h,w) or (n,h,w,c) float32, contiguous."""

    array: F32
    layout: _structs.Layout


Item = Union[Image, Tensor, Error]  # Error: of an image that is skipped

# ---- files ----


def read_image(
    source: Union[PathLike, bytes, bytearray, memoryview],
    depth16: Union[None, str, Tuple[int, int]] = None,
) -> U8:
    """Decode a JPEG or PNG image; the format is recognised by its content.

    source: a path, or the bytes of the file.
    depth16: how 16-bit values become 8-bit ones. None: as by Pillow, where grey above 255
        becomes white and colours lose 8 bits, with an ImageWarning. "clip": likewise
        without it. "scale": 0 to 65535 become 0 to 255. "auto": the image's smallest to
        largest value do. (low, high): these do.

    Returns (h,w,3) uint8, RGB. The EXIF orientation is applied and alpha is dropped, as
    by the `resnet` program and by Pillow's
    ImageOps.exif_transpose(Image.open(path)).convert("RGB").

    Raises ImageError if the image cannot be decoded or has more than 178,956,970 pixels,
    and ImageNotFoundError, which is also a FileNotFoundError, if there is no such file.
    Thread-safe; other Python threads run during the call.
    """
    array, cut = decoded(source, depth16)
    if cut and depth16 is None:
        warn(CUT_16_BITS, ImageWarning)
    return array


def decoded(
    source: Union[PathLike, bytes, bytearray, memoryview],
    depth16: Union[None, str, Tuple[int, int]] = None,
) -> Tuple[U8, bool]:
    """Return an image as read_image does, and whether 16-bit values were cut."""
    depth = _depth_of(depth16)
    library = python_library()
    out, error = _structs.PythonImageStruct(), _structs.ErrorStruct()
    if isinstance(source, (bytes, bytearray, memoryview)):
        path = None
        raw = np.frombuffer(source, np.uint8)
        status = library.resnet_python_image_decode(
            raw.ctypes.data, raw.size, *depth, ctypes.byref(out), ctypes.byref(error)
        )
    else:
        path = os.fsdecode(source)
        status = library.resnet_python_image_read(
            encoded(source), *depth, ctypes.byref(out), ctypes.byref(error)
        )
    if status:
        message = error.message.decode("utf-8", "replace")
        raise image_error_of(status, message, path)
    try:
        # Not numpy.ctypeslib.as_array: it leaks about 5 KB of types for each new shape.
        array = np.empty((out.height, out.width, 3), np.uint8)
        ctypes.memmove(array.ctypes.data, out.pixels, array.nbytes)
        return array, bool(out.cut)
    finally:
        library.resnet_python_image_release(ctypes.byref(out))


def _depth_of(depth16: Union[None, str, Tuple[int, int]]) -> Tuple[int, int, int]:
    """Return the value of resnet_python_depth and its range."""
    if depth16 is None or depth16 == "clip":
        return _structs.PythonDepth.PYTHON_CLIP, 0, 0
    if depth16 == "auto":
        return _structs.PythonDepth.PYTHON_AUTO, 0, 0
    pair: Any = (0, 65535) if depth16 == "scale" else depth16
    try:
        low, high = map(operator.index, pair)
    except (TypeError, ValueError):
        low = high = -1
    if not 0 <= low < high <= 65535:
        raise ArgumentError(
            f"depth16 is {depth16!r}: accepted values are 'clip', 'scale', 'auto' and (low, high) "
            "with 0 <= low < high <= 65535"
        )
    return _structs.PythonDepth.PYTHON_RANGE, low, high


# ---- arrays ----


def _format_of(array: U8, pixels: Optional[str]) -> str:
    if pixels is not None:
        if pixels not in FORMATS:
            raise ArgumentError(f"pixels is {pixels!r}: accepted values are {', '.join(FORMATS)}")
        return pixels
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1):
        return "GREY"
    return "RGBA" if array.shape[-1] == 4 else "RGB"


def _rows(array: U8) -> U8:
    """Return the array with contiguous rows: itself if they are, else a copy."""
    inner = array.strides[1:] == ((array.shape[2], 1) if array.ndim == 3 else (1,))
    row_bytes = array.shape[1] * (array.shape[2] if array.ndim == 3 else 1)
    return array if inner and array.strides[0] >= row_bytes else np.ascontiguousarray(array)


def image_of(array: U8, pixels: Optional[str]) -> Image:
    """Wrap a uint8 array: (h,w), (h,w,1), (h,w,3), (h,w,4), or (h * 3 / 2, w) for NV12
    and I420."""
    name = _format_of(array, pixels)
    code, values = FORMATS[name]
    shape_fits = array.ndim == 3 and array.shape[2] == values or (values == 1 and array.ndim == 2)
    if not shape_fits or 0 in array.shape:
        wanted = (
            "(h,w), (h,w,1), (h,w,3), (h,w,4)"
            if pixels is None
            else f"{values} values a pixel for {name}"
        )
        raise ArgumentError(
            f"an image of shape {array.shape} is not accepted: pixels are {wanted}, uint8"
        )
    height = array.shape[0]
    if name in ("NV12", "I420"):
        if array.shape[0] % 3 or array.shape[1] % 2:
            raise ArgumentError(
                f"{name} of shape {array.shape}: the shape must be (h * 3 / 2, w) with even h and w"
            )
        height, array = array.shape[0] // 3 * 2, np.ascontiguousarray(array)
    array = _rows(array)
    stride = array.strides[0] if height > 1 else array.shape[1] * values
    return Image(
        array, _structs.ImageStruct(array.ctypes.data, array.shape[1], height, stride, code)
    )


def tensor_of(
    array: npt.NDArray[Any], shape: Tuple[int, int, int], layout: Optional[str]
) -> Tensor:
    """Wrap normalised values, (n,c,h,w) or (n,h,w,c), or one image without n.

    array: any float type. Contiguous float32, or a transposed view of it, is not copied.
    shape: (h,w,c) of the model's input.
    """
    if array.ndim == 3:
        array = array[np.newaxis]
    kind = _layout_of(array.shape, shape, layout)
    if array.dtype == np.float32 and array.flags.aligned:
        if array.flags.c_contiguous:
            return Tensor(array, kind)
        swapped = (
            array.transpose(0, 2, 3, 1)
            if kind == _structs.Layout.LAYOUT_NCHW
            else array.transpose(0, 3, 1, 2)
        )
        if swapped.flags.c_contiguous:
            return Tensor(swapped, _structs.Layout(1 - kind))
    if array.dtype.kind != "f":
        raise ArgumentError(
            f"input of dtype {array.dtype}: it must be normalised floats (float32 without a "
            "copy); classify takes 8-bit images and prepares them"
        )
    # Always a copy, hence aligned: ascontiguousarray would return unaligned float32 as
    # is.
    return Tensor(np.array(array, np.float32, order="C"), kind)


def _layout_of(
    got: Tuple[int, ...], shape: Tuple[int, int, int], layout: Optional[str]
) -> _structs.Layout:
    h, w, c = shape
    fits = {"NCHW": got[1:] == (c, h, w), "NHWC": got[1:] == (h, w, c)}
    if layout is not None and layout not in fits:
        raise ArgumentError(f"layout is {layout!r}: accepted values are 'NCHW' and 'NHWC'")
    chosen = [name for name in fits if fits[name] and layout in (None, name)]
    if len(got) != 4 or not chosen:
        accepted = {"NCHW": f"(n,{c},{h},{w})", "NHWC": f"(n,{h},{w},{c})"}
        names = [accepted[name] for name in fits if layout in (None, name)]
        raise ArgumentError(
            f"input of shape {tuple(got)}: the shape must be {' or '.join(names)}, normalised; "
            "classify takes uint8 images of any size"
        )
    if len(chosen) == 2:
        raise ArgumentError(
            f"input of shape {tuple(got)} may be NCHW or NHWC: choose one, e.g. layout='NCHW'"
        )
    return _structs.Layout.LAYOUT_NCHW if chosen[0] == "NCHW" else _structs.Layout.LAYOUT_NHWC


# ---- anything ----


def is_one_image(images: Any) -> bool:
    """Return whether `images` is one image, not several."""
    if isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike)) or _is_pil(images):
        return True
    if not isinstance(images, np.ndarray):
        return False
    return images.ndim == 2 or images.ndim == 3


def iterator_of(images: Any) -> Iterator[Any]:
    """Return an iterator over several images. Raises ArgumentError if there is none,
    and for an open file, whose lines are not images."""
    try:
        if not hasattr(images, "read"):
            return iter(images)
    except TypeError:
        pass
    raise ArgumentError(not_accepted(images))


def _is_pil(thing: Any) -> bool:
    return hasattr(thing, "convert") and hasattr(thing, "mode") and hasattr(thing, "size")


class _PilLocks:
    """Locks for PIL images: PIL decodes an image at the first access to its pixels, which
    must not happen on two threads at once."""

    def __init__(self) -> None:
        self._after_fork()
        forked.add(self)

    def _after_fork(self) -> None:
        self._locks = [threading.Lock() for _ in range(64)]

    def of(self, image: Any) -> threading.Lock:
        """Return the lock of an image; some images share one."""
        return self._locks[id(image) // 16 % len(self._locks)]


_pil_locks = _PilLocks()


def _pil_pixels(image: Any) -> U8:
    with _pil_locks.of(image):
        try:
            return np.asarray(image if image.mode in ("RGB", "L") else image.convert("RGB"))
        # raised for files that are truncated, damaged or closed
        except (OSError, ValueError, SyntaxError) as problem:
            path = getattr(image, "filename", None) or None
            message = f"{path or 'PIL image'}: {problem}"
            raise ImageError(message, path=None if path is None else os.fsdecode(path)) from problem


def _is_turned(image: Any) -> bool:
    """Return whether a PIL image has an EXIF orientation that is not applied."""
    try:
        return image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    except Exception:  # EXIF data may be damaged in any way
        return False


def _is_cut(image: Any) -> bool:
    """Return whether a PIL image has values above 255, which convert() makes white."""
    return image.mode[:1] in "IF" and bool(np.asarray(image).max(initial=0) > 255)


def items_of(images: Any, shape: Tuple[int, int, int], how: Reading) -> Iterator[Item]:
    """Yield the images that classify accepts, each decoded when it is needed. A float
    array (n,c,h,w) or (n,h,w,c) becomes one Tensor; all other items hold one image."""
    if is_one_image(images):
        yield _checked_item_of(images, shape, how, None)
    elif isinstance(images, np.ndarray) and images.dtype.kind == "f":
        yield tensor_of(images, shape, how.layout)
    else:
        for index, one in enumerate(iterator_of(images), how.first):
            yield _checked_item_of(one, shape, how, index)


def _checked_item_of(
    one: Any, shape: Tuple[int, int, int], how: Reading, index: Optional[int]
) -> Item:
    try:
        item = _item_of(one, shape, how)
    except (ArgumentError, ImageError) as problem:
        problem._at(index, getattr(problem, "path", None))
        if how.skip:
            return problem
        raise
    return item._replace(place=index) if isinstance(item, Image) else item


def _item_of(one: Any, shape: Tuple[int, int, int], how: Reading) -> Union[Image, Tensor]:
    if isinstance(one, (str, bytes, bytearray, memoryview, os.PathLike)):
        array, cut = decoded(one)
        path = os.fsdecode(one) if isinstance(one, (str, os.PathLike)) else None
        return image_of(array, None)._replace(path=path, cut=cut)
    if _is_pil(one):
        image = image_of(_pil_pixels(one), None)
        return image._replace(turned=_is_turned(one), cut=_is_cut(one))
    if isinstance(one, np.ndarray) and one.dtype == np.uint8 and one.ndim in (2, 3):
        return image_of(one, how.pixels)
    if isinstance(one, np.ndarray) and one.dtype.kind == "f" and one.ndim == 3:
        return tensor_of(one, shape, how.layout)
    raise ArgumentError(not_accepted(one))


def not_accepted(thing: Any) -> str:
    what = (
        f"an array of {thing.dtype}, shape {thing.shape}"
        if isinstance(thing, np.ndarray)
        else type(thing).__name__
    )
    if hasattr(thing, "read"):
        what = f"an open file ({what})"
    if isinstance(thing, np.ndarray) and thing.dtype == np.uint16:
        what += " (make 8-bit values of it, e.g. (array >> 8).astype(numpy.uint8))"
    return (
        f"{what} is not accepted as an image: use paths or bytes of JPEG and PNG, PIL images, "
        "uint8 arrays (h,w,3), (h,w,4), (h,w) and (n,h,w,3), normalised float arrays (n,c,h,w) "
        "and (n,h,w,c), or lists of these"
    )


def sub_batches(items: Iterator[Item], input_bytes: int) -> Iterator[List[Item]]:
    """Yield lists of a few consecutive Images, to limit memory, or of one other item.
    `input_bytes` is what the model's input takes for one image."""
    most = max(1, min(SUB_BATCH_IMAGES, SUB_BATCH_BYTES // input_bytes))
    sub_batch: List[Item] = []
    pixels_bytes = 0
    for item in items:
        held = item.array.nbytes if isinstance(item, Image) else 0
        alone = not (isinstance(item, Image) and all(isinstance(i, Image) for i in sub_batch[:1]))
        if sub_batch and (alone or len(sub_batch) == most or pixels_bytes + held > SUB_BATCH_BYTES):
            yield sub_batch
            sub_batch, pixels_bytes = [], 0
        sub_batch.append(item)
        pixels_bytes += held
    if sub_batch:
        yield sub_batch
