"""Models: open, query, classify."""

from __future__ import annotations

import ctypes
import os
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    List,
    Literal,
    Optional,
    Sequence,
    Tuple,
    Union,
    overload,
)

import numpy as np
import numpy.typing as npt

from . import _structs
from ._core import Core
from ._errors import ArgumentError
from ._forks import importing
from ._images import F32, OneImage, PathLike, SeveralImages, is_one_image, reading
from ._labels import Labels, labels_of
from ._library import builtin_model, c_string, check, encoded, library
from ._plan import Block, ModelInfo, Plan, Preprocess, html_table, sides_of
from ._scores import normalised
from ._session import Ablation, Answer, Prediction, Session, described
from ._session_pool import SessionPool

if TYPE_CHECKING:
    from ._observe import Responses

_CONV = {
    "auto": _structs.Conv.CONV_AUTO,
    "direct": _structs.Conv.CONV_DIRECT,
    "winograd": _structs.Conv.CONV_WINOGRAD,
    "xnnpack": _structs.Conv.CONV_XNNPACK,
}
_MEMORY = {"normal": _structs.Memory.MEMORY_NORMAL, "small": _structs.Memory.MEMORY_SMALL}


def _one_of(name: str, value: str, accepted: Dict[str, Any]) -> Any:
    if value not in accepted:
        raise ArgumentError(
            f"{name} is {value!r}: accepted values are {', '.join(map(repr, accepted))}"
        )
    return accepted[value]


def _sides(input_size: Union[int, Tuple[int, int], None]) -> Tuple[int, int]:
    sides = sides_of(0 if input_size is None else input_size)
    if sides is None:
        raise ArgumentError(
            f"input_size is {input_size!r}: accepted values are a side, or (height, width), "
            "of 1 to 65535 pixels"
        )
    return sides


def _options_struct(
    preprocess: Union[str, Preprocess, None] = None,
    input_size: Union[int, Tuple[int, int], None] = None,
    conv: str = "auto",
    memory: str = "normal",
    batch: int = 0,
    keep_weights: bool = False,
    output: Optional[str] = None,
    labels: Optional[Sequence[str]] = None,
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
                f"preprocess is {preprocess!r}: it must be a preset's name or a Preprocess"
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
            raise ArgumentError(f"{name} is {value}: it must be 0 (automatic) or a positive number")
        setattr(struct, name, value)
    struct.keep_weights, struct.external_data = keep_weights, external_data
    if output is not None and not isinstance(output, str):
        raise ArgumentError(f"output is {output!r}: it must be the name of a tensor")
    struct.output = c_string("output", output) if output is not None else None
    if labels:
        names = [c_string("label", name) for name in labels]
        struct.labels = (ctypes.c_char_p * len(names))(*names)
        struct.label_count = len(names)
    return struct


class Model:
    """A pretrained ResNet or plain network.

        model = libresnet.Model("resnet50.onnx")
        model.classify("photo.jpg", k=3)

    path: an .onnx file, plain or gzipped, or a plan file written by save() or
        `resnet compile`, which is mapped; None: the built-in model, ResNet-20 for
        CIFAR-10.

    Options, as in resnet.h:

    preprocess: the name of a preset (see Preprocess.preset) or a Preprocess; None: that
        of the file, of its graph, or else a guess with a ModelWarning.
    input_size: side, or (height, width), 1 to 65535 pixels, for models that take several
        sizes; None: that of the file.
    conv: "auto", "direct", "winograd" or "xnnpack" (its kernels alone, to compare with).
    memory: "normal" or "small".
    batch: expected number of images per call of a session; 0: 1. Predictions for
        different conv, memory and batch differ by rounding only.
    keep_weights: keep the weights of an .onnx file, which save() needs.
    output: name of the tensor with the scores, an output or an inner one. A tensor that
        no classes come of is an embedding: see embed.
    labels: names of the classes in their order: a list; a mapping from index to name or
        from name to index; or the path of a file, one name a line, or JSON such as
        {"0": "cat", ...}, {"0": ["n02123045", "tabby"], ...} or {"id2label": ...}.
        None: those of the file; a model of 1,000 or 1,001 classes without any gets
        ImageNet's, and labels_source says so. []: none.
    external_data: allow weights in other files in the model's folder.
    max_file_bytes: limit of the file's size; 0: 2 GiB.
    max_memory_bytes: limit of the model's memory; 0: 6 GiB.

    Raises FileError, FormatError, UnsupportedModelError, LimitError, OutOfMemoryError or
    ArgumentError, all subclasses of libresnet.Error. Untrusted files are safe to open,
    but a plan file must not be changed in place while it is open.

    Thread-safe, and immutable except for skip. classify, probabilities and observe take
    turns in the model's own sessions; for parallel streams open one session per thread.
    Pickling saves the path and the options. The model is closed by close(), at the end of
    a `with` block, or when nothing refers to it.
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
        labels: Optional[Labels] = None,
        external_data: bool = False,
        max_file_bytes: int = 0,
        max_memory_bytes: int = 0,
    ) -> None:
        options: Dict[str, Any] = {
            "preprocess": preprocess,
            "input_size": input_size,
            "conv": conv,
            "memory": memory,
            "batch": batch,
            "keep_weights": keep_weights,
            "output": output,
            "labels": None if labels is None else labels_of(labels),
            "external_data": external_data,
            "max_file_bytes": max_file_bytes,
            "max_memory_bytes": max_memory_bytes,
        }
        self._open(path, options)

    def _open(self, path: Optional[PathLike], options: Dict[str, Any], quiet: bool = False) -> None:
        """Open a file; with `quiet` without warnings."""
        file = os.path.abspath(os.fsdecode(builtin_model() if path is None else path))
        struct = _options_struct(**options)
        pointer, error = ctypes.c_void_p(), _structs.ErrorStruct()
        status = library.resnet_model_open(
            encoded(file), ctypes.byref(struct), ctypes.byref(pointer), ctypes.byref(error)
        )
        check(status, error, file)
        core = Core(pointer, file, None, options["labels"])
        self._take(core, None if path is None else file, options)
        if not quiet:
            core.warn_of_findings()

    @classmethod
    def from_bytes(cls, buffer: Any, *, borrow: bool = False, **options: Any) -> Model:
        """Open a model from memory. It cannot be pickled.

        buffer: any object with the buffer protocol that contains an .onnx file, plain or
            gzipped, or a plan file.
        borrow: use a plan file in place, without a copy, if its address is a multiple of
            64. The model keeps the buffer alive; do not change it.
        options: those of Model.
        """
        raw = np.frombuffer(buffer, np.uint8)
        labels = options.get("labels")
        options["labels"] = None if labels is None else labels_of(labels)
        struct = _options_struct(**options)
        pointer, error = ctypes.c_void_p(), _structs.ErrorStruct()
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
        core = Core(pointer, None, raw if borrow else None, options["labels"])
        model._take(core, None, None)
        core.warn_of_findings()
        return model

    def _take(self, core: Core, named: Optional[str], options: Optional[Dict[str, Any]]) -> None:
        self._core, self._named, self._options = core, named, options
        self._pool = SessionPool(core)
        self._inner: Dict[str, Model] = {}  # by the name of its output

    # ---- description ----

    @property
    def info(self) -> ModelInfo:
        """The model's description."""
        return self._core.info

    @property
    def path(self) -> Optional[str]:
        """The absolute path of the file; None for a model from memory."""
        return self._core.path

    @property
    def name(self) -> str:
        """The name of the graph; "" if it has none."""
        return self.info.name

    @property
    def labels(self) -> Optional[Tuple[str, ...]]:
        """The label of each class; None if there are none."""
        return self.info.labels

    @property
    def labels_source(self) -> Optional[str]:
        """The origin of the labels: "model" (the file), "options", "assumed" (ImageNet's
        names, since the model has as many classes and no labels), or None."""
        return self.info.labels_source

    @property
    def classes(self) -> int:
        """The number of classes that classify ranks; 0 for an embedding."""
        return self.info.classes

    @property
    def scores(self) -> str:
        """What run computes: "logits", "probabilities", "log probabilities", "binary
        logit", "binary probability", "multi-label" (a probability for each class by
        itself; their sum means nothing) or "embedding" (no classes)."""
        return self.info.scores

    @property
    def input_shape(self) -> Tuple[int, int, int]:
        """The shape of one input: (height, width, channels)."""
        return self._core.shape

    @property
    def preprocess(self) -> Preprocess:
        """The preprocessing that classify applies to images."""
        return self.info.preprocess

    @property
    def plan(self) -> Plan:
        """The ops in execution order; prints as a table."""
        return self._core.plan

    @property
    def blocks(self) -> Tuple[Block, ...]:
        """The residual blocks, or the pairs of layers of a plain network."""
        return self.plan.blocks

    def __repr__(self) -> str:
        h, w, c = self.input_shape
        state = ", closed" if self.closed else ""
        return (
            f"<libresnet.Model {self._core.title!r}: {self.info.conv_layers} layers, "
            f"{self.info.parameters:,} parameters, input {h} x {w} x {c}, "
            f"{self.classes} classes{described(self._pool.ablations)}{state}>"
        )

    def _repr_html_(self) -> str:
        i = self.info
        rows = [
            ("layers", i.conv_layers),
            ("blocks", self._core.block_count),
            ("input", f"{i.input_height} x {i.input_width} x {i.input_channels}"),
            ("classes", i.classes),
            ("scores", i.scores),
            ("labels", i.labels_source or "none"),
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

    # ---- lifetime ----

    def close(self) -> None:
        """Close the model's sessions, then the model. Waits for calls in progress. May be
        repeated."""
        for inner in self._inner.values():
            inner.close()
        self._core.close()

    @property
    def closed(self) -> bool:
        """Whether the model is closed."""
        return self._core.closing

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        if self._options is None:
            raise TypeError(
                "a model from bytes cannot be pickled: write the bytes to a file and open that"
            )
        return _reopen, (type(self), self._named, self._options)

    def save(self, path: PathLike) -> None:
        """Write a plan file, which opens without decoding or packing. The model must have
        been opened with keep_weights=True, or from a plan file. Preprocessing and labels
        that were given become the plan file's own. An existing file is replaced when
        the new one is complete. Thread-safe."""
        error = _structs.ErrorStruct()
        with self._core.in_use() as pointer:
            check(library.resnet_model_save(pointer, encoded(path), ctypes.byref(error)), error)

    def session(self, threads: int = 0, batch: int = 1, observe: str = "responses") -> Session:
        """Open a session.

        threads: 1 to 256, including the caller's; 0: one per CPU that the process may
            use. Give sessions that run in parallel one thread each: they share the
            CPUs.
        batch: images processed at once, at most; longer calls are split.
        observe: what Session.observe reports, "responses" or "ops".
        """
        return Session(self._core, threads, batch, observe)

    # ---- classification ----

    @overload
    def classify(
        self,
        images: OneImage,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
        threads: int = ...,
        raw: bool = ...,
        errors: Literal["raise"] = ...,
    ) -> List[Prediction]: ...

    @overload
    def classify(
        self,
        images: SeveralImages,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
        threads: int = ...,
        raw: bool = ...,
        errors: Literal["raise"] = ...,
    ) -> List[List[Prediction]]: ...

    @overload
    def classify(
        self,
        images: OneImage,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
        threads: int = ...,
        raw: bool = ...,
        errors: Literal["skip"],
    ) -> Answer: ...

    @overload
    def classify(
        self,
        images: SeveralImages,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
        threads: int = ...,
        raw: bool = ...,
        errors: Literal["skip"],
    ) -> List[Answer]: ...

    @overload
    def classify(
        self,
        images: Any,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
        threads: int = ...,
        raw: bool = ...,
        errors: str = ...,
    ) -> Any: ...

    def classify(
        self,
        images: Any,
        k: int = 5,
        *,
        pixels: Optional[str] = None,
        layout: Optional[str] = None,
        threads: int = 0,
        raw: bool = False,
        errors: str = "raise",
    ) -> Any:
        """Classify one image or several.

        images: one image is
            - a path, or the bytes, of a JPEG or PNG file,
            - a PIL image. Its EXIF orientation is not applied, as that of a file is. An
              ImageWarning says so if it has one,
            - a uint8 array: (h,w,3) RGB, (h,w,4) RGBA or (h,w) grey, or in the format
              `pixels`; rows may have any stride,
            - a normalised float array (c,h,w) or (h,w,c) of the model's input_shape.
            Several images are a list or another iterable of these, or an array (n,h,w,3),
            (n,c,h,w) or (n,h,w,c). An iterable is read ahead and its arrays are not
            copied: a generator must not reuse an array.
        k: number of classes to return, best first; more than there are means all.
        pixels: format of uint8 arrays: "RGB", "BGR" (OpenCV's), "RGBA", "BGRA", "GREY",
            "NV12" or "I420" (both (h * 3 / 2, w)); None: by the shape.
        layout: "NCHW" or "NHWC" for float arrays; None: by the shape.
        threads: 1 to 256; 0: one per CPU that the process may use. Several images are
            decoded and classified in parallel; all threads work on a single image. The
            number does not change a prediction.
        raw: True: scores are what the model computes, e.g. logits, not probabilities.
        errors: what happens with an image that cannot be read or classified.
            "raise": raise its error, whose message names the path or the position.
            "skip": return the error in the place of its predictions. The others are
            classified. All other errors are raised, e.g. if the model is closed.

        Returns a list of Prediction for one image, a list of such lists for several.
        Raises ImageError if an image cannot be decoded, ArgumentError for other inputs.
        Other Python threads run during the call.

            for path, answer in zip(paths, model.classify(paths, errors="skip")):
                if isinstance(answer, libresnet.Error):
                    print(answer)  # "broken.jpg: ..."
                else:
                    print(path, answer[0].label)
        """
        return self._pool.classify(images, k, raw, reading(pixels, layout, errors), threads)

    def probabilities(
        self,
        images: Any,
        *,
        pixels: Optional[str] = None,
        layout: Optional[str] = None,
        threads: int = 0,
        errors: str = "raise",
    ) -> F32:
        """Return the probability of every class: (classes,) float32 for one image,
        (n,classes) for several. The arguments and exceptions are those of classify. With
        errors="skip" the row of a skipped image is NaN, and an ImageWarning says why."""
        rows = self._pool.rows(
            Session._probabilities, images, reading(pixels, layout, errors), threads
        )
        return rows[0] if is_one_image(images) else rows

    # ---- tensors ----

    def prepare(
        self,
        images: Any,
        *,
        pixels: Optional[str] = None,
        layout: Optional[str] = None,
        threads: int = 0,
        errors: str = "raise",
    ) -> F32:
        """Return images as the model's input: (n,c,h,w) float32, also for one image. They
        are preprocessed as by classify, so that run computes the same of them. The
        arguments and exceptions are those of classify; a skipped image is NaN."""
        return self._pool.rows(Session._prepare, images, reading(pixels, layout, errors), threads)

    def run(self, x: npt.NDArray[Any], *, layout: Optional[str] = None, threads: int = 0) -> F32:
        """Return what the model computes of normalised inputs, e.g. of prepare:
        (n,scores) float32.

        x, layout: as in Session.run. A session of one's own has less overhead.
        threads: 1 to 256; 0: one per CPU that the process may use.
        """
        return self._pool.shared(threads).run(x, layout=layout)

    def embed(
        self,
        images: Any,
        tensor: Optional[str] = None,
        *,
        l2: bool = False,
        pixels: Optional[str] = None,
        layout: Optional[str] = None,
        threads: int = 0,
        errors: str = "raise",
    ) -> F32:
        """Return a feature vector of each image: (n,d) float32, also for one image.

        images, pixels, layout, threads, errors: as in classify. The row of a skipped
            image is NaN, and an ImageWarning says why.
        tensor: name of a tensor of the graph, as op.output of model.plan, e.g. that of
            the global pooling. The part of the model before it is opened at first use. A
            map is flattened from (c,h,w). None: the model's own output.
        l2: scale each row to length 1, so that a product of rows is their cosine.
        """
        how = reading(pixels, layout, errors)
        model = self if tensor is None else self._until(tensor)
        rows = model._pool.rows(Session._outputs, images, how, threads)
        if model._core.prepared_images and model is not self:
            self._core.notice_images([])
            self._core.warn_of_images()
        return normalised(rows) if l2 else rows

    def _until(self, tensor: str) -> Model:
        """Return the model that ends in a tensor."""
        if self._options is None:
            raise ArgumentError(
                "embed: a model from bytes has only its own output: pass output="
                f"{tensor!r} to Model.from_bytes"
            )
        if self._pool.ablations:
            raise ArgumentError(
                f"embed: the model has ablations, which do not apply to the tensor {tensor!r}: "
                "end them, or open the model with output= and change that"
            )
        with self._core.in_use():  # it must not be closed
            if tensor not in self._inner:
                inner = type(self).__new__(type(self))
                own = {"output": tensor, "labels": None, "preprocess": self.preprocess}
                inner._open(self._named, {**self._options, **own}, quiet=True)
                self._inner[tensor] = inner
            return self._inner[tensor]

    # ---- ablation and observation ----

    def skip(
        self,
        block: Union[int, str, Block],
        mode: str = "branch",
        other: Union[int, str, Block, None] = None,
    ) -> Ablation:
        """Change one block for classify, probabilities and observe of this model. The
        arguments and exceptions are those of Session.skip:

            with model.skip("stage2.block1"):
                model.classify("photo.jpg")
        """
        return self._pool.skip(block, mode, other)

    def restore(self) -> None:
        """End all ablations of this model."""
        self._pool.restore()

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
        """Compute statistics of every layer's responses over any number of images.

        images, pixels, layout: as in classify. An iterable is read incrementally, on this
            thread, and may be larger than memory. If one image cannot be decoded, nothing
            is returned and the exception is that of classify.
        threads: 1 to 256; 0: one per CPU that the process may use.
        batch: images processed at once; 0: automatic.
        everything: report all points of all ops in execution order, instead of those of
            `resnet compare`.

        Returns Responses: a NumPy structured array that prints as a table and plots. For
        any threads and batch, the numbers equal those of `resnet compare --json` for the
        same images in the same order, to the bit. Exception: for an iterable without
        len() and with fewer than 10,240 images the last digits may differ, since the size
        of the chunks depends on the number of images.

        Under model.skip(...) the changed network is observed: a response that is no
        longer computed has no row. Uses its own sessions, which are closed at the end.
        Thread-safe; other Python threads run during the call.
        """
        with importing:
            from ._observe import observe  # takes milliseconds, rarely needed

        return observe(
            self._core, self._pool.ablations, images, threads, batch, everything, pixels, layout
        )


def _reopen(kind: Any, path: Optional[str], options: Dict[str, Any]) -> Any:
    return kind(path, **options)
