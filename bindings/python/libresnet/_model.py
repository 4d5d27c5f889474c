"""Models: opening, asking, labelling."""

from __future__ import annotations

import ctypes
import operator
import os
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple, Union, overload

import numpy as np

from . import _structs
from ._core import Core
from ._crew import Crew
from ._errors import ArgumentError
from ._forks import importing
from ._library import builtin_model, c_string, check, encoded, library
from ._pictures import F32, OnePicture, PathLike, SeveralPictures
from ._plan import Block, ModelInfo, Plan, Preprocess, html_table
from ._session import Lesion, Prediction, Session, described

if TYPE_CHECKING:
    from ._lens import Responses

_CONV = {
    "auto": _structs.Conv.CONV_AUTO,
    "direct": _structs.Conv.CONV_DIRECT,
    "winograd": _structs.Conv.CONV_WINOGRAD,
}
_MEMORY = {"normal": _structs.Memory.MEMORY_NORMAL, "small": _structs.Memory.MEMORY_SMALL}


def _one_of(name: str, value: str, accepted: Dict[str, Any]) -> Any:
    if value not in accepted:
        raise ArgumentError(f"{name} is {value!r}: accepted are {', '.join(map(repr, accepted))}")
    return accepted[value]


def _sides(input_size: Union[int, Tuple[int, int], None]) -> Tuple[int, int]:
    pair = input_size if isinstance(input_size, (tuple, list)) else (input_size or 0,) * 2
    try:
        h, w = map(operator.index, pair)
    except (TypeError, ValueError):
        h = w = -1
    if not (0 <= h <= 65535 and 0 <= w <= 65535):
        raise ArgumentError(
            f"input_size is {input_size!r}: accepted are a side, or (height, width), of 1 to 65535 pixels"
        )
    return h, w


def _options_struct(
    preprocess: Union[str, Preprocess, None] = None,
    input_size: Union[int, Tuple[int, int], None] = None,
    conv: str = "auto",
    memory: str = "normal",
    batch: int = 0,
    keep_weights: bool = False,
    output: Optional[str] = None,
    external_data: bool = False,
    max_file_bytes: int = 0,
    max_memory_bytes: int = 0,
) -> _structs.ModelOptionsStruct:
    struct = _structs.ModelOptionsStruct(ctypes.sizeof(_structs.ModelOptionsStruct))
    struct.input_height, struct.input_width = _sides(input_size)
    if preprocess is not None:
        chosen = Preprocess.preset(preprocess) if isinstance(preprocess, str) else preprocess
        if not isinstance(chosen, Preprocess):
            raise ArgumentError(
                f"preprocess is {preprocess!r}: accepted are a preset's name and a Preprocess"
            )
        struct.preprocess = ctypes.pointer(chosen._struct())
    struct.conv = _one_of("conv", conv, _CONV)
    struct.memory = _one_of("memory", memory, _MEMORY)
    for name, value in (
        ("batch", batch),
        ("max_file_bytes", max_file_bytes),
        ("max_memory_bytes", max_memory_bytes),
    ):
        if value < 0 or value >= (1 << 32 if name == "batch" else 1 << 64):
            raise ArgumentError(
                f"{name} is {value}: accepted are numbers from 0 on, 0 being automatic"
            )
        setattr(struct, name, value)
    struct.keep_weights, struct.external_data = keep_weights, external_data
    if output is not None and not isinstance(output, str):
        raise ArgumentError(f"output is {output!r}: accepted is an output's name")
    struct.output = c_string("output", output) if output is not None else None
    return struct


class Model:
    """A pretrained ResNet or plain net.

        model = libresnet.Model("resnet50.onnx")
        model.classify("photo.jpg", k=3)

    path: an .onnx file, gzip of it, or a plan file of save() or `resnet compile`, which is mapped; None: the net that ships,
    ResNet-20 for CIFAR-10. Options, as in resnet.h:

    preprocess: a preset's name ("imagenet", "imagenet-v2", "cifar10", "keras-caffe", "keras-tf", "none") or a Preprocess;
        None: the file's own, else a guess, of which a ModelWarning tells.
    input_size: side, or (height, width), in pixels, for nets that take several; None: the file's.
    conv: "auto", "direct" or "winograd". memory: "normal" or "small". batch: pictures that sessions will mostly be given at
        once; 0: 1. Answers differ by rounding between these, and by nothing else.
    keep_weights: keep what save() needs of an .onnx file. output: name of the output with the scores, where there are several.
    external_data: weights may lie in other files in the model's folder.
    max_file_bytes, max_memory_bytes: 0: 2 GiB and 6 GiB.

    Raises FileError, FormatError, UnsupportedModelError, LimitError, OutOfMemoryError,
    ArgumentError, all of which are libresnet.Error. Files from anyone are safe to open,
    but a plan file must not be changed in place while it is open.

    Thread-safe; immutable, but for skip. classify, probabilities and observe use sessions
    of the model's own, in turns; for parallel streams open a session for each thread.
    Pickled, it is its path and options. Closed by close(), by the end of a `with` block,
    or when nothing refers to it.
    """

    def __init__(
        self,
        path: Optional[PathLike] = None,
        *,
        preprocess: Union[str, Preprocess, None] = None,
        input_size: Union[int, Tuple[int, int], None] = None,
        conv: str = "auto",
        memory: str = "normal",
        batch: int = 0,
        keep_weights: bool = False,
        output: Optional[str] = None,
        external_data: bool = False,
        max_file_bytes: int = 0,
        max_memory_bytes: int = 0,
    ) -> None:
        options = {
            "preprocess": preprocess,
            "input_size": input_size,
            "conv": conv,
            "memory": memory,
            "batch": batch,
            "keep_weights": keep_weights,
            "output": output,
            "external_data": external_data,
            "max_file_bytes": max_file_bytes,
            "max_memory_bytes": max_memory_bytes,
        }
        file = os.path.abspath(os.fsdecode(builtin_model() if path is None else path))
        struct, pointer, error = (
            _options_struct(**options),
            ctypes.c_void_p(),
            _structs.ErrorStruct(),
        )  # type: ignore[arg-type]
        status = library.resnet_model_open(
            encoded(file), ctypes.byref(struct), ctypes.byref(pointer), ctypes.byref(error)
        )
        check(status, error, file)
        self._take(Core(pointer, file, None), None if path is None else file, options)

    @classmethod
    def from_bytes(cls, buffer: Any, *, borrow: bool = False, **options: Any) -> Model:
        """A model from memory: anything with the buffer protocol that holds an .onnx
        file, gzip of it, or a plan file.

        borrow: use a plan file where it lies, without a copy, where its address is a multiple of 64. The buffer is kept
        alive, and must not be changed. Options are those of Model. Such a model can't be
        pickled.
        """
        raw = np.frombuffer(buffer, np.uint8)
        struct, pointer, error = (
            _options_struct(**options),
            ctypes.c_void_p(),
            _structs.ErrorStruct(),
        )
        struct.borrow = borrow
        status = library.resnet_model_open_memory(
            raw.ctypes.data,
            raw.size,
            ctypes.byref(struct),
            ctypes.byref(pointer),
            ctypes.byref(error),
        )
        check(status, error)
        model = cls.__new__(cls)
        model._take(Core(pointer, None, raw if borrow else None), None, None)
        return model

    def _take(self, core: Core, named: Optional[str], options: Optional[Dict[str, Any]]) -> None:
        self._core, self._named, self._options = core, named, options
        self._crew = Crew(core)
        core.warn_of_findings()

    # ---- what it is ----

    @property
    def info(self) -> ModelInfo:
        """All that the model tells of itself."""
        return self._core.info

    @property
    def path(self) -> Optional[str]:
        """The file's, absolute; None where it is from memory."""
        return self._core.path

    @property
    def name(self) -> str:
        """The graph's name; "" if it has none."""
        return self.info.name

    @property
    def labels(self) -> Optional[Tuple[str, ...]]:
        """One for each class, or None where the file has none."""
        return self.info.labels

    @property
    def classes(self) -> int:
        """How many there are."""
        return self.info.classes

    @property
    def input_shape(self) -> Tuple[int, int, int]:
        """(height, width, channels) of one input."""
        return self._core.shape

    @property
    def preprocess(self) -> Preprocess:
        """What classify does to pictures first."""
        return self.info.preprocess

    @property
    def plan(self) -> Plan:
        """The ops in the order in which they run; prints as a table."""
        return self._core.plan

    @property
    def blocks(self) -> Tuple[Block, ...]:
        """Its residual blocks, or pairs of layers in a plain net."""
        return self.plan.blocks

    def __repr__(self) -> str:
        h, w, c = self.input_shape
        state = ", closed" if self.closed else ""
        return (
            f"<libresnet.Model {self._core.title!r}: {self.info.conv_layers} layers, {self.info.parameters:,} parameters, "
            f"input {h} x {w} x {c}, {self.classes} classes{described(self._crew.lesions)}{state}>"
        )

    def _repr_html_(self) -> str:
        i = self.info
        rows = [
            ("layers", i.conv_layers),
            ("blocks", self._core.block_count),
            ("input", f"{i.input_height} x {i.input_width} x {i.input_channels}"),
            ("classes", i.classes),
            ("parameters", i.parameters),
            ("multiply-accumulates", i.macs),
            ("packed weights, bytes", i.weights_bytes),
            ("activations, bytes", i.arena_bytes),
            ("preprocessing", f"{i.preprocess} ({i.preprocess_source})"),
            ("producer", f"{i.producer}, opset {i.opset}"),
        ]
        return html_table(
            self._core.title,
            ("", ""),
            [(name, f"{value:,}" if isinstance(value, int) else value) for name, value in rows],
        )

    # ---- life ----

    def close(self) -> None:
        """Close its sessions, then itself. Calls that are under way end first. May be
        repeated."""
        self._core.close()

    @property
    def closed(self) -> bool:
        return self._core.closing

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        if self._options is None:
            raise TypeError(
                "a model from bytes can't be pickled: write the bytes to a file, and open that"
            )
        return _reopen, (type(self), self._named, self._options)

    def save(self, path: PathLike) -> None:
        """Write a plan file, which opens without decoding or packing anything. The model
        must have been opened with keep_weights=True, or from a plan file. `path` holds
        the old file or the whole new one. Thread-safe."""
        error = _structs.ErrorStruct()
        with self._core.in_use() as pointer:
            check(library.resnet_model_save(pointer, encoded(path), ctypes.byref(error)), error)

    def session(self, threads: int = 0, batch: int = 1, observe: str = "responses") -> Session:
        """Open a session. threads: 1 to 256, the caller's counted; 0: one for every
        CPU that the process may use. batch: the most pictures worked on at once;
        longer calls are split. observe: what Session.observe tells, "responses" or
        "ops". Several sessions at once: one thread each, else they wait for each
        other."""
        return Session(self._core, threads, batch, observe)

    # ---- pictures to labels ----

    @overload
    def classify(
        self,
        images: OnePicture,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
        threads: int = ...,
    ) -> List[Prediction]: ...

    @overload
    def classify(
        self,
        images: SeveralPictures,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
        threads: int = ...,
    ) -> List[List[Prediction]]: ...

    @overload
    def classify(
        self,
        images: Any,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
        threads: int = ...,
    ) -> Any: ...

    def classify(
        self,
        images: Any,
        k: int = 5,
        *,
        pixels: Optional[str] = None,
        layout: Optional[str] = None,
        threads: int = 0,
    ) -> Any:
        """Label pictures.

        images: one of
            - a path, or the bytes, of a JPEG or PNG,
            - a PIL image (as it is: its EXIF orientation is not applied),
            - a uint8 array: (h,w,3) RGB, (h,w,4) RGBA, (h,w) grey, or what `pixels` says: "RGB", "BGR" (OpenCV's), "RGBA",
              "BGRA", "GREY", "NV12", "I420" (both (h * 3 / 2, w)); rows may have any stride,
            - a float array, (c,h,w) or (h,w,c) of the model's input_shape, already normalised,
          or several: a list or another iterable of these, read as it goes, or an array (n,h,w,3), (n,c,h,w), (n,h,w,c).
          They are read where they lie, and ahead of the labelling: a generator must not fill the same array again.
        k: how many classes, best first; more than there are means all.
        threads: how many to use; 0: one for every CPU that the process may use. Several pictures are shared out among them,
            decoded and labelled side by side; one picture is worked on by all. Answers are the same.

        Returns a list of Prediction for one picture, a list of such lists for several.
        Raises PictureError for what can't be decoded, ArgumentError for what is none of
        the above. Other Python threads run meanwhile.
        """
        return self._crew.classify(images, k, pixels, layout, threads)

    def probabilities(
        self,
        images: Any,
        *,
        pixels: Optional[str] = None,
        layout: Optional[str] = None,
        threads: int = 0,
    ) -> F32:
        """The probability of every class: (classes,) float32 for one picture, (n,classes)
        for several. Takes and raises what classify does."""
        return self._crew.probabilities(images, pixels, layout, threads)

    # ---- the lens ----

    def skip(
        self,
        block: Union[int, str, Block],
        mode: str = "branch",
        other: Union[int, str, Block, None] = None,
    ) -> Lesion:
        """Lesion, as Session.skip, of what classify, probabilities and observe of this
        model run:

        with model.skip("stage2.block1"):
            model.classify("photo.jpg")
        """
        return self._crew.skip(block, mode, other)

    def restore(self) -> None:
        """End all lesions that skip made."""
        self._crew.restore()

    def observe(
        self,
        images: Any,
        *,
        threads: int = 0,
        batch: int = 0,
        everything: bool = False,
        pixels: Optional[str] = None,
        layout: Optional[str] = None,
    ) -> Responses:
        """Statistics of what every layer responds with, over any number of pictures.

        images, pixels, layout: as classify takes them. Iterables are read as they go, on
        this thread, and may be larger
            than memory. Pictures of which one cannot be decoded are not observed at all: what is raised is what
            classify raises.
        threads: 1 to 256; 0: one for every CPU that the process may use. batch: pictures worked on at once; 0: chosen.
        everything: all points of all ops, in the order in which they run, instead of those of `resnet compare`.

        Returns Responses: a NumPy structured array that prints as a table and plots. The
        numbers are those that `resnet compare --json` gives for the same pictures in the
        same order, to the bit, whatever the threads and batches. (Of an iterable that has
        no len(), with fewer than 10,240 pictures, to the last digits: how pictures are
        portioned depends on their number.)

        With model.skip(...) the net is observed as it is then: what is not computed any
        more has no row. Uses sessions of its own, closed at the end. Thread-safe; other
        Python threads run meanwhile.
        """
        with importing:
            from ._lens import observe  # few need it, and it takes milliseconds

        return observe(
            self._core, self._crew.lesions, images, threads, batch, everything, pixels, layout
        )


def _reopen(kind: Any, path: Optional[str], options: Dict[str, Any]) -> Any:
    return kind(path, **options)
