"""Models: opening, asking, labelling."""

from __future__ import annotations

import ctypes
import operator
import os
import threading
import weakref
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

import numpy as np

from . import _structs
from ._errors import ArgumentError, warn
from ._library import builtin_model, c_string, check, encoded, library
from ._pictures import F32, PathLike
from ._plan import Block, ModelInfo, Plan, Preprocess, html_table, read_block, read_info
from ._session import Lesion, Prediction, Session, forked

_CONV = {"auto": _structs.Conv.CONV_AUTO, "direct": _structs.Conv.CONV_DIRECT, "winograd": _structs.Conv.CONV_WINOGRAD}
_MEMORY = {"normal": _structs.Memory.MEMORY_NORMAL, "small": _structs.Memory.MEMORY_SMALL}
_SESSION_BATCH = 8  # of the session that the model itself uses


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
        raise ArgumentError(f"input_size is {input_size}: accepted are a side, or (height, width), of 1 to 65535 pixels")
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
            raise ArgumentError(f"preprocess is {preprocess!r}: accepted are a preset's name and a Preprocess")
        struct.preprocess = ctypes.pointer(chosen._struct())
    struct.conv = _one_of("conv", conv, _CONV)
    struct.memory = _one_of("memory", memory, _MEMORY)
    for name, value in (("batch", batch), ("max_file_bytes", max_file_bytes), ("max_memory_bytes", max_memory_bytes)):
        if value < 0 or value >= (1 << 32 if name == "batch" else 1 << 64):
            raise ArgumentError(f"{name} is {value}: accepted are numbers from 0 on, 0 being automatic")
        setattr(struct, name, value)
    struct.keep_weights, struct.external_data = keep_weights, external_data
    struct.output = c_string("output", output) if output is not None else None
    return struct


def _close(pointer: ctypes.c_void_p, kept: Any) -> None:
    """`kept`: borrowed bytes, which may go only now."""
    library.resnet_model_close(ctypes.byref(pointer))


class _Opened:
    """The library's model, closed when nothing refers to this any more. A session's finalizer does, so that a model is
    closed after its sessions, in whatever order the garbage collector comes to them."""

    def __init__(self, pointer: ctypes.c_void_p, kept: Any) -> None:
        self.close = weakref.finalize(self, _close, pointer, kept)
        self.close.atexit = False


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

    Raises FileError, FormatError, UnsupportedModelError, LimitError, OutOfMemoryError, ArgumentError, all of which are
    libresnet.Error. Files from anyone are safe to open, but a plan file must not be changed in place while it is open.

    Immutable and thread-safe. classify, probabilities, observe and skip use one session of the model's own, in turns; for
    parallel streams use a session for each thread. Pickled, it is its path and options. Closed by close(), by the end of a
    `with` block, or when nothing refers to it.
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
        struct, pointer, error = _options_struct(**options), ctypes.c_void_p(), _structs.ErrorStruct()  # type: ignore[arg-type]
        status = library.resnet_model_open(
            encoded(file), ctypes.byref(struct), ctypes.byref(pointer), ctypes.byref(error)
        )
        check(status, error)
        self._take(pointer, file, None if path is None else file, options, None)

    @classmethod
    def from_bytes(cls, buffer: Any, *, borrow: bool = False, **options: Any) -> Model:
        """A model from memory: anything with the buffer protocol that holds an .onnx file, gzip of it, or a plan file.

        borrow: use a plan file where it lies, without a copy, where its address is a multiple of 64. The buffer is kept
        alive, and must not be changed. Options are those of Model. Such a model can't be pickled.
        """
        raw = np.frombuffer(buffer, np.uint8)
        struct, pointer, error = _options_struct(**options), ctypes.c_void_p(), _structs.ErrorStruct()
        struct.borrow = borrow
        status = library.resnet_model_open_memory(
            raw.ctypes.data, raw.size, ctypes.byref(struct), ctypes.byref(pointer), ctypes.byref(error)
        )
        check(status, error)
        model = cls.__new__(cls)
        model._take(pointer, None, None, None, raw if borrow else None)
        return model

    def _take(
        self,
        pointer: ctypes.c_void_p,
        path: Optional[str],
        named: Optional[str],
        options: Optional[Dict[str, Any]],
        kept: Any,
    ) -> None:
        self._pointer, self._named, self._options = pointer, named, options
        self._closing = False
        self._after_fork()
        forked.add(self)
        self._opened = _Opened(pointer, kept)
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        self._own: Optional[Session] = None
        self._plan: Optional[Plan] = None
        self.path = path
        self.info, self._op_count, self._block_count = read_info(pointer)
        self._guess_told = self.info.preprocess_source != "guessed"
        for what in self.info.findings:
            if what.severity == "warning":
                warn(f"{self._title()}: {what.message}")
        if self.info.notice:
            warn(f"{self._title()}: {self.info.notice}")

    # ---- what it is ----

    def _title(self) -> str:
        return os.path.basename(self.path) if self.path else self.info.name or "model from memory"

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
        return self.info.input_height, self.info.input_width, self.info.input_channels

    @property
    def preprocess(self) -> Preprocess:
        """What classify does to pictures first."""
        return self.info.preprocess

    @property
    def plan(self) -> Plan:
        """The ops in the order in which they run; prints as a table."""
        with self._in_use() as pointer:
            if self._plan is None:
                self._plan = Plan(pointer, self._title(), self._op_count, self._block_count)
            return self._plan

    @property
    def blocks(self) -> Tuple[Block, ...]:
        """Its residual blocks, or pairs of layers in a plain net."""
        return self.plan.blocks

    def _block_index(self, block: Union[int, str, Block]) -> int:
        """Of one of this model's, by index, name, or itself."""
        if isinstance(block, Block):
            block = block.name
        if isinstance(block, str):
            found = [known.index for known in self.blocks if known.name == block]
            if found:
                return found[0]
        elif 0 <= int(block) < self._block_count:
            return int(block)
        names = [known.name for known in self.blocks]
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise ArgumentError(f"{self._title()} has no block {block!r}: its {len(names)} blocks, counted from 0, are {shown}")

    def __repr__(self) -> str:
        h, w, c = self.input_shape
        state = ", closed" if self._closing else ""
        return (
            f"<libresnet.Model {self._title()!r}: {self.info.conv_layers} layers, {self.info.parameters:,} parameters, "
            f"input {h} x {w} x {c}, {self.classes} classes{state}>"
        )

    def _repr_html_(self) -> str:
        i = self.info
        rows = [
            ("layers", i.conv_layers),
            ("blocks", self._block_count),
            ("input", f"{i.input_height} x {i.input_width} x {i.input_channels}"),
            ("classes", i.classes),
            ("parameters", i.parameters),
            ("multiply-accumulates", i.macs),
            ("packed weights, bytes", i.weights_bytes),
            ("activations, bytes", i.arena_bytes),
            ("preprocessing", f"{i.preprocess} ({i.preprocess_source})"),
            ("producer", f"{i.producer}, opset {i.opset}"),
        ]
        return html_table(self._title(), ("", ""), rows)

    # ---- life ----

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # taken after a session's own, never before
        self._own_lock = threading.Lock()  # taken before all others

    @contextmanager
    def _in_use(self) -> Iterator[ctypes.c_void_p]:
        with self._lock:
            if self._closing:
                raise ArgumentError(f"{self._title()} is closed: open it again")
            yield self._pointer

    def close(self) -> None:
        """Close its sessions, then itself. Calls that are under way end first. May be repeated."""
        with self._lock:
            self._closing = True
        try:
            for session in list(self._sessions):
                session.close()
        except ArgumentError:  # called by an observer, whose session must not be closed
            self._closing = False
            raise
        with self._lock:
            self._opened.close()

    @property
    def closed(self) -> bool:
        return self._closing

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        if self._options is None:
            raise TypeError("a model from bytes can't be pickled: write the bytes to a file, and open that")
        return _reopen, (type(self), self._named, self._options)

    def save(self, path: PathLike) -> None:
        """Write a plan file, which opens without decoding or packing anything. The model must have been opened with
        keep_weights=True, or from a plan file. `path` holds the old file or the whole new one. Thread-safe."""
        error = _structs.ErrorStruct()
        with self._in_use() as pointer:
            check(library.resnet_model_save(pointer, encoded(path), ctypes.byref(error)), error)

    def session(self, threads: int = 0, batch: int = 1, observe: str = "responses") -> Session:
        """Open a session. threads: 1 to 256, the caller's counted; 0: one for every CPU that the process may use. batch:
        the most pictures worked on at once; longer calls are split. observe: what Session.observe tells, "responses" or
        "ops". Several sessions at once: one thread each, else they wait for each other."""
        return Session(self, threads, batch, observe)

    def _own_session(self) -> Session:
        with self._own_lock:
            if self._own is None or self._own.closed:
                # A proxy: with a circle of references, the model would stay until the garbage collector comes by.
                self._own = Session(weakref.proxy(self), 0, _SESSION_BATCH, "responses")
            return self._own

    # ---- pictures to labels ----

    def _warn_of_guess(self) -> None:
        if not self._guess_told:
            self._guess_told = True
            warn(
                f"{self._title()} does not say how pictures are prepared; it is guessed from its input's size: "
                f"{self.preprocess}. Name it to be sure: Model(..., preprocess='imagenet')"
            )

    def classify(
        self, images: Any, k: int = 5, *, pixels: Optional[str] = None, layout: Optional[str] = None
    ) -> Union[List[Prediction], List[List[Prediction]]]:
        """Label pictures.

        images: one of
            - a path, or the bytes, of a JPEG or PNG,
            - a PIL image (as it is: its EXIF orientation is not applied),
            - a uint8 array: (h,w,3) RGB, (h,w,4) RGBA, (h,w) grey, or what `pixels` says: "RGB", "BGR" (OpenCV's), "RGBA",
              "BGRA", "GREY", "NV12", "I420" (both (h * 3 / 2, w)); rows may have any stride,
            - a float array, (c,h,w) or (h,w,c) of the model's input_shape, already normalised,
          or several: a list or another iterable of these, read as it goes, or an array (n,h,w,3), (n,c,h,w), (n,h,w,c).
        k: how many classes, best first; more than there are means all.

        Returns a list of Prediction for one picture, a list of such lists for several. Raises PictureError for what can't
        be decoded, ArgumentError for what is none of the above. Other Python threads run meanwhile.
        """
        return self._own_session().classify(images, k, pixels=pixels, layout=layout)

    def probabilities(self, images: Any, *, pixels: Optional[str] = None, layout: Optional[str] = None) -> F32:
        """The probability of every class: (classes,) float32 for one picture, (n,classes) for several. Takes and raises what
        classify does."""
        return self._own_session().probabilities(images, pixels=pixels, layout=layout)

    def skip(
        self, block: Union[int, str, Block], mode: str = "branch", other: Union[int, str, Block, None] = None
    ) -> Lesion:
        """Lesion, as Session.skip, of the session that classify, probabilities and observe of this model use:

            with model.skip("stage2.block1"):
                model.classify("photo.jpg")
        """
        return self._own_session().skip(block, mode, other)


def _reopen(kind: Any, path: Optional[str], options: Dict[str, Any]) -> Any:
    return kind(path, **options)
