"""What users have pictures in - files, bytes, PIL images, arrays - to what the library
takes."""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

import numpy as np
import numpy.typing as npt

from . import _structs
from ._errors import ArgumentError, PictureError, picture_error_of
from ._forks import forked
from ._library import encoded, python_library

PathLike = Union[str, "os.PathLike[str]"]
# For type checkers, what classify gives one answer for, and what several; they cannot
# tell an array's dimensions.
OnePicture = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview]
SeveralPictures = Union[List[Any], Tuple[Any, ...], Iterator[Any]]
U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

# pictures, and bytes of pixels, that are decoded before they are run together
PORTION, PORTION_BYTES = 32, 64 << 20

FORMATS: Dict[str, Tuple[_structs.Pixels, int]] = {  # with the values of a pixel in a row
    "RGB": (_structs.Pixels.PIXELS_RGB, 3),
    "BGR": (_structs.Pixels.PIXELS_BGR, 3),
    "RGBA": (_structs.Pixels.PIXELS_RGBA, 4),
    "BGRA": (_structs.Pixels.PIXELS_BGRA, 4),
    "GREY": (_structs.Pixels.PIXELS_GREY, 1),
    "NV12": (_structs.Pixels.PIXELS_NV12, 1),
    "I420": (_structs.Pixels.PIXELS_I420, 1),
}


class Picture(NamedTuple):
    """8-bit pixels: `array` keeps the memory alive that `struct` points into."""

    array: U8
    struct: _structs.ImageStruct


class Tensor(NamedTuple):
    """Normalised input: (n,c,h,w) or (n,h,w,c), float32, contiguous."""

    array: F32
    layout: _structs.Layout


Item = Union[Picture, Tensor]

# ---- files ----


def read_picture(source: Union[PathLike, bytes, bytearray, memoryview]) -> U8:
    """Decode a JPEG or PNG, told apart by its content: a path, or the file's bytes.

    Returns (h,w,3) uint8, RGB, the EXIF orientation applied, alpha dropped: what the
    `resnet` program sees, and Pillow's
    ImageOps.exif_transpose(Image.open(path)).convert("RGB"). Raises PictureError on
    anything that can't be decoded, or that has more than 178,956,970 pixels;
    PictureNotThereError, which is a FileNotFoundError too, where there is no such file.
    Thread-safe, and other threads run meanwhile.
    """
    library = python_library()
    out, error = _structs.PythonPictureStruct(), _structs.ErrorStruct()
    if isinstance(source, (bytes, bytearray, memoryview)):
        path = None
        raw = np.frombuffer(source, np.uint8)
        status = library.resnet_python_picture_decode(
            raw.ctypes.data, raw.size, ctypes.byref(out), ctypes.byref(error)
        )
    else:
        path = os.fsdecode(source)
        status = library.resnet_python_picture_read(
            encoded(source), ctypes.byref(out), ctypes.byref(error)
        )
    if status:
        message = error.message.decode("utf-8", "replace")
        raise picture_error_of(status, message, path)
    try:
        # Not numpy.ctypeslib.as_array, which leaves some 5 KB of types behind for every
        # shape that it has not met.
        array = np.empty((out.height, out.width, 3), np.uint8)
        ctypes.memmove(array.ctypes.data, out.pixels, array.nbytes)
        return array
    finally:
        library.resnet_python_picture_release(ctypes.byref(out))


# ---- arrays ----


def _format_of(array: U8, pixels: Optional[str]) -> str:
    if pixels is not None:
        if pixels not in FORMATS:
            raise ArgumentError(f"pixels is {pixels!r}: accepted are {', '.join(FORMATS)}")
        return pixels
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1):
        return "GREY"
    return "RGBA" if array.shape[-1] == 4 else "RGB"


def _rows(array: U8) -> U8:
    """The same with every row's values next to each other; a view where they are."""
    inner = array.strides[1:] == ((array.shape[2], 1) if array.ndim == 3 else (1,))
    row_bytes = array.shape[1] * (array.shape[2] if array.ndim == 3 else 1)
    return array if inner and array.strides[0] >= row_bytes else np.ascontiguousarray(array)


def picture_of(array: U8, pixels: Optional[str]) -> Picture:
    """(h,w), (h,w,1), (h,w,3) or (h,w,4) uint8; (h * 3 / 2, w) for NV12 and I420."""
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
            f"a picture of shape {array.shape} is not accepted: pixels are {wanted}, uint8"
        )
    height = array.shape[0]
    if name in ("NV12", "I420"):
        if array.shape[0] % 3 or array.shape[1] % 2:
            raise ArgumentError(
                f"{name} of shape {array.shape}: accepted are (h * 3 / 2, w) with even h and w"
            )
        height, array = array.shape[0] // 3 * 2, np.ascontiguousarray(array)
    array = _rows(array)
    stride = array.strides[0] if height > 1 else array.shape[1] * values
    return Picture(
        array, _structs.ImageStruct(array.ctypes.data, array.shape[1], height, stride, code)
    )


def tensor_of(
    array: npt.NDArray[Any], shape: Tuple[int, int, int], layout: Optional[str]
) -> Tensor:
    """Normalised values for an input of `shape` (h,w,c): (n,c,h,w) or (n,h,w,c), or one
    picture without n; any float type. No copy of what is float32 and contiguous, also of
    a transposed view of such."""
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
            f"input of dtype {array.dtype}: accepted are floats, already normalised, float32 without a copy; pictures of "
            "8 bits are for classify, which prepares them"
        )
    # Always a copy, and hence aligned: ascontiguousarray lets float32 at any address
    # pass.
    return Tensor(np.array(array, np.float32, order="C"), kind)


def _layout_of(
    got: Tuple[int, ...], shape: Tuple[int, int, int], layout: Optional[str]
) -> _structs.Layout:
    h, w, c = shape
    fits = {"NCHW": got[1:] == (c, h, w), "NHWC": got[1:] == (h, w, c)}
    if layout is not None and layout not in fits:
        raise ArgumentError(f"layout is {layout!r}: accepted are 'NCHW' and 'NHWC'")
    chosen = [name for name in fits if fits[name] and layout in (None, name)]
    if len(got) != 4 or not chosen:
        accepted = {"NCHW": f"(n,{c},{h},{w})", "NHWC": f"(n,{h},{w},{c})"}
        names = [accepted[name] for name in fits if layout in (None, name)]
        raise ArgumentError(
            f"input of shape {tuple(got)}: accepted are {' and '.join(names)}, already normalised; pictures of any size are "
            "for classify, as uint8"
        )
    if len(chosen) == 2:
        raise ArgumentError(
            f"input of shape {tuple(got)} may be both NCHW and NHWC: say which, e.g. layout='NCHW'"
        )
    return _structs.Layout.LAYOUT_NCHW if chosen[0] == "NCHW" else _structs.Layout.LAYOUT_NHWC


# ---- anything ----


def is_one_picture(images: Any) -> bool:
    """Whether `images` is one picture, not several."""
    if isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike)) or _is_pil(images):
        return True
    if not isinstance(images, np.ndarray):
        return False
    return images.ndim == 2 or images.ndim == 3


def iterator_of(images: Any) -> Iterator[Any]:
    """Of several; ArgumentError for what is none, as is an open file, whose lines are no
    pictures."""
    try:
        if not hasattr(images, "read"):
            return iter(images)
    except TypeError:
        pass
    raise ArgumentError(not_accepted(images))


def _is_pil(thing: Any) -> bool:
    return hasattr(thing, "convert") and hasattr(thing, "mode") and hasattr(thing, "size")


class _PilLocks:
    """PIL decodes an image when its pixels are first asked for, and two threads must
    not ask the same one at once."""

    def __init__(self) -> None:
        self._after_fork()
        forked.add(self)

    def _after_fork(self) -> None:
        self._locks = [threading.Lock() for _ in range(64)]

    def of(self, image: Any) -> threading.Lock:
        """The image's; some others have the same."""
        return self._locks[id(image) // 16 % len(self._locks)]


_pil_locks = _PilLocks()


def _pil_pixels(image: Any) -> U8:
    with _pil_locks.of(image):
        try:
            return np.asarray(image if image.mode in ("RGB", "L") else image.convert("RGB"))
        except (
            OSError,
            ValueError,
            SyntaxError,
        ) as problem:  # of files that are truncated, damaged, closed
            path = getattr(image, "filename", None) or None
            message = f"{path or 'PIL image'}: {problem}"
            raise PictureError(
                message, path=None if path is None else os.fsdecode(path)
            ) from problem


def items_of(
    images: Any, shape: Tuple[int, int, int], pixels: Optional[str], layout: Optional[str]
) -> Iterator[Item]:
    """One after the other, decoded when asked for: what classify and its like accept.
    Tensors hold one picture each, but for a 4-dimensional float array, which is one."""
    if is_one_picture(images):
        yield _item_of(images, shape, pixels, layout)
    elif isinstance(images, np.ndarray) and images.dtype.kind == "f":
        yield tensor_of(images, shape, layout)
    else:
        for one in iterator_of(images):
            yield _item_of(one, shape, pixels, layout)


def _item_of(
    one: Any, shape: Tuple[int, int, int], pixels: Optional[str], layout: Optional[str]
) -> Item:
    if isinstance(one, (str, bytes, bytearray, memoryview, os.PathLike)):
        return picture_of(read_picture(one), None)
    if _is_pil(one):
        return picture_of(_pil_pixels(one), None)
    if isinstance(one, np.ndarray) and one.dtype == np.uint8 and one.ndim in (2, 3):
        return picture_of(one, pixels)
    if isinstance(one, np.ndarray) and one.dtype.kind == "f" and one.ndim == 3:
        return tensor_of(one, shape, layout)
    raise ArgumentError(not_accepted(one))


def not_accepted(thing: Any) -> str:
    what = (
        f"an array of {thing.dtype}, shape {thing.shape}"
        if isinstance(thing, np.ndarray)
        else type(thing).__name__
    )
    if hasattr(thing, "read"):
        what = f"an open file ({what})"
    return (
        f"{what} is not accepted as a picture: accepted are paths and bytes of JPEG and PNG, PIL images, uint8 arrays (h,w,3), "
        "(h,w,4), (h,w) and (n,h,w,3), normalised float arrays (n,c,h,w) and (n,h,w,c), and lists of these"
    )


def portions(items: Iterator[Item]) -> Iterator[List[Item]]:
    """Runs of Pictures, so few that they are no burden to memory, or one Tensor."""
    portion: List[Item] = []
    pixels_bytes = 0
    for item in items:
        alone = isinstance(item, Tensor) or bool(portion and isinstance(portion[0], Tensor))
        if portion and (
            alone or len(portion) == PORTION or pixels_bytes + item.array.nbytes > PORTION_BYTES
        ):
            yield portion
            portion, pixels_bytes = [], 0
        portion.append(item)
        pixels_bytes += item.array.nbytes
    if portion:
        yield portion
