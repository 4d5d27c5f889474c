"""A model's plan as data: its ops, its blocks, and its description."""

from __future__ import annotations

import ctypes
import html
import operator
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Dict, Iterable, List, Literal, Optional, Tuple, Union, overload

import numpy as np

from . import _structs
from ._errors import ArgumentError
from ._forks import importing
from ._library import c_string, check, library
from ._mask import masked
from ._messages import python_message


def _shortcut_name(shortcut: int) -> str:
    name: bytes = library.resnet_shortcut_string(shortcut)
    return name.decode()


@dataclass(frozen=True)
class Op:
    """One step of the plan. Bytes and counts are per image, except for weights, which the
    model holds once."""

    index: int
    name: str  # of the ONNX node (the first one, if several were fused)
    output: str  # name of the ONNX tensor that it computes
    kernel: str  # e.g. "conv", "winograd", "max_pool"
    detail: str  # e.g. "3x3 stride 2 pad 1,1,1,1 relu"
    inputs: Tuple[int, ...]  # indices of the ops whose outputs it reads
    height: int
    width: int
    channels: int
    block: Optional[int]  # index of its block
    shortcut: str  # kind of the shortcut that it adds or computes, or "none"
    parameters: int
    macs: int  # multiply-accumulates
    weights_bytes: int  # packed
    output_bytes: int
    arena_offset: int  # of the output, in bytes
    # predicted, in multiply-accumulates of a direct convolution at full speed; 0: no
    # prediction
    cost: float
    layer: Optional[int]  # number among the layers that the paper counts, from 1
    # that its kernel computes, without those that transform inputs and outputs
    multiplications: int


@dataclass(frozen=True)
class Block:
    """A residual block, or two layers of a plain network."""

    index: int
    name: str  # e.g. "stage2.block1"
    # "identity", "projection", "option A", "pool"; "none" in a plain network
    shortcut: str
    first_op: int
    last_op: int  # its output is the block's
    convs: int  # convolutions on its residual branch


@dataclass(frozen=True)
class Finding:
    """A diagnostic: a problem found in a model that can still be run."""

    severity: str  # "note" or "warning"
    message: str


Size = Union[None, int, Literal["auto"], Tuple[int, int]]


@dataclass(frozen=True)
class Preprocess:
    """The preprocessing of an image: scale it to `resize`, cut out the centre `crop`,
    then compute (pixel / scale - mean) / std per channel.

    fit: "crop": keep the aspect ratio; the image just covers `resize`, which is the
        shorter side if it is square. "stretch": scale to exactly `resize`.
    filter: "bilinear", "bicubic" or "nearest", bit for bit Pillow's.
    resize, crop: 1 to 65535 pixels, or (height, width); 0 or "auto": automatic; None:
        omit this step. The automatic crop is the model's input; the automatic resize is
        the crop times `resize_ratio`.
    order: of the channels, "RGB", "BGR" or "GREY" (Pillow's convert("L")).
    scale: the pixel value that becomes 1.
    mean, std: per channel, in `order`, in units of pixel / scale. For "GREY" one number
        is enough.

    To change a preset:
    dataclasses.replace(Preprocess.preset("imagenet"), resize=320, crop=288).
    """

    resize: Size = 0
    crop: Size = 0
    order: str = "RGB"
    scale: float = 255.0
    mean: Tuple[float, ...] = (0.0, 0.0, 0.0)
    std: Tuple[float, ...] = (1.0, 1.0, 1.0)
    fit: str = "crop"
    filter: str = "bilinear"
    resize_ratio: float = 1.0

    @classmethod
    def preset(cls, name: str) -> Preprocess:
        """Return the preset "imagenet", "imagenet-v2", "timm", "cifar10", "unit",
        "keras-caffe", "keras-tf", "keras-stretch", "grey" or "none". Raises ArgumentError
        for other names."""
        struct, error = _structs.PreprocessStruct(), _structs.ErrorStruct()
        check(
            library.resnet_preprocess_preset(
                c_string("preset", name), ctypes.byref(struct), ctypes.byref(error)
            ),
            error,
        )
        return _preprocess_of(struct)

    def _preset_name(self) -> Optional[str]:
        """Return the name of the preset that has these values, "imagenet" or "cifar10",
        or None. Sizes of presets are automatic."""
        return next(
            (
                name
                for name in ("imagenet", "cifar10")
                if Preprocess.preset(name)._values() == self._values()
            ),
            None,
        )

    def _values(self) -> Tuple[Any, ...]:
        return self.order, self.scale, self.mean, self.std

    def _struct(self) -> _structs.PreprocessStruct:
        return _structs.PreprocessStruct(
            _named("fit", self.fit, _FITS),
            _named("filter", self.filter, _FILTERS),
            *_sides("resize", self.resize),
            *_sides("crop", self.crop),
            self.resize_ratio,
            _named("order", self.order, _ORDERS),
            self.scale,
            _channels("mean", self.mean, self.order),
            _channels("std", self.std, self.order),
        )


_FITS = {"crop": _structs.Fit.FIT_CROP, "stretch": _structs.Fit.FIT_STRETCH}
_FILTERS = {
    "bilinear": _structs.Filter.FILTER_BILINEAR,
    "bicubic": _structs.Filter.FILTER_BICUBIC,
    "nearest": _structs.Filter.FILTER_NEAREST,
}
_ORDERS = {
    "RGB": _structs.ChannelOrder.ORDER_RGB,
    "BGR": _structs.ChannelOrder.ORDER_BGR,
    "GREY": _structs.ChannelOrder.ORDER_GREY,
}


def _named(field: str, name: str, names: Dict[str, Any]) -> int:
    """Return the value of a name. Raises ArgumentError that lists the names."""
    if name not in names:
        accepted = " or ".join(map(repr, names))
        raise ArgumentError(f"Preprocess.{field} is {name!r}: it must be {accepted}")
    return int(names[name])


def _name_of(value: int, names: Dict[str, Any]) -> str:
    return next(name for name, known in names.items() if known == value)


def sides_of(size: Any) -> Optional[Tuple[int, int]]:
    """Return height and width of a size, a side or both, or None if it is not 0 to 65535
    pixels."""
    try:
        height, width = map(
            operator.index, size if isinstance(size, (tuple, list)) else (size, size)
        )
    except (TypeError, ValueError):
        return None
    return (height, width) if 0 <= height <= 65535 and 0 <= width <= 65535 else None


def _sides(field: str, size: Size) -> Tuple[int, int]:
    """Return the height and width of a size."""
    if size is None:
        return _structs.SIZE_NONE, _structs.SIZE_NONE
    sides = sides_of(0 if size == "auto" else size)
    if sides is None:
        raise ArgumentError(
            f"Preprocess.{field} is {size!r}: it must be 0 to 65535 pixels, (height, width), "
            "'auto' or None"
        )
    return sides


def _channels(field: str, values: Sequence[float], order: str) -> Any:
    """Return the three numbers of mean or std. Grey has one channel: the first counts."""
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) == 1 and order == "GREY":
        numbers *= 3
    if len(numbers) != 3:
        raise ArgumentError(
            f"Preprocess.{field} is {values!r}: it must be three numbers, one for each channel"
        )
    return (ctypes.c_float * 3)(*numbers)


def _size_of(height: int, width: int) -> Size:
    if height == _structs.SIZE_NONE:
        return None
    return height if height == width else (height, width)


def shortest(value: Any) -> float:
    """Return the shortest decimal that equals a float32: 0.485, not
    0.48500001430511475."""
    return float(str(np.float32(value)))


def _by_channel(three: Any) -> Tuple[float, float, float]:
    return shortest(three[0]), shortest(three[1]), shortest(three[2])


def _preprocess_of(struct: _structs.PreprocessStruct) -> Preprocess:
    return Preprocess(
        resize=_size_of(struct.resize_height, struct.resize_width),
        crop=_size_of(struct.crop_height, struct.crop_width),
        order=_name_of(struct.order, _ORDERS),
        scale=shortest(struct.scale),
        mean=_by_channel(struct.mean),
        std=_by_channel(struct.std),
        fit=_name_of(struct.fit, _FITS),
        filter=_name_of(struct.filter, _FILTERS),
        resize_ratio=shortest(struct.resize_ratio),
    )


@dataclass(frozen=True)
class ModelInfo:
    """The description of a model. Bytes of the arena are per image of a session's
    batch."""

    name: str
    producer: str
    opset: int
    input_height: int
    input_width: int
    input_channels: int
    classes: int  # that classify ranks
    score_count: int  # numbers of an image that session.run returns
    labels: Optional[Tuple[str, ...]]
    # "model" (the file), "options", "assumed" (ImageNet's names, since the model has
    # 1,000 classes and no labels) or None
    labels_source: Optional[str]
    preprocess: Preprocess
    preprocess_source: str  # "model", "options", "graph" or "guessed"
    precision: str  # "fp32"
    conv_layers: int  # the depth as the paper counts it
    parameters: int
    macs: int
    weights_bytes: int
    arena_bytes: int
    arena_lower_bound: int
    notice: str  # a message for the user of a plan file; "" if there is none
    findings: Tuple[Finding, ...]
    scores: str  # of session.run: "logits", "probabilities", "log probabilities",
    # "binary logit", "binary probability", "multi-label" or "embedding"


_SOURCES = {
    _structs.PreprocessSource.PREPROCESS_FROM_MODEL: "model",
    _structs.PreprocessSource.PREPROCESS_FROM_OPTIONS: "options",
    _structs.PreprocessSource.PREPROCESS_GUESSED: "guessed",
    _structs.PreprocessSource.PREPROCESS_FROM_GRAPH: "graph",
}
_SCORES = {
    _structs.Scores.SCORES_LOGITS: "logits",
    _structs.Scores.SCORES_PROBABILITIES: "probabilities",
    _structs.Scores.SCORES_LOG_PROBABILITIES: "log probabilities",
    _structs.Scores.SCORES_BINARY_LOGIT: "binary logit",
    _structs.Scores.SCORES_BINARY_PROBABILITY: "binary probability",
    _structs.Scores.SCORES_MULTI_LABEL: "multi-label",
    _structs.Scores.SCORES_EMBEDDING: "embedding",
}


def text(raw: Optional[bytes]) -> str:
    """Return a string of the library. Names in files need not be UTF-8."""
    return (raw or b"").decode("utf-8", "replace")


def read_info(pointer: ctypes.c_void_p) -> Tuple[ModelInfo, int, int]:
    """Return a model's description and its numbers of ops and blocks."""
    struct = _structs.ModelInfoStruct(ctypes.sizeof(_structs.ModelInfoStruct))
    error = _structs.ErrorStruct()
    check(library.resnet_model_get_info(pointer, ctypes.byref(struct), ctypes.byref(error)), error)
    labels = tuple(text(struct.labels[i]) for i in range(struct.classes)) if struct.labels else None
    kinds = {_structs.Severity.NOTE: "note", _structs.Severity.WARNING: "warning"}
    found = [struct.findings[i] for i in range(struct.finding_count)]
    info = ModelInfo(
        name=text(struct.name),
        producer=text(struct.producer),
        opset=struct.opset,
        input_height=struct.input_height,
        input_width=struct.input_width,
        input_channels=struct.input_channels,
        classes=struct.classes,
        score_count=struct.score_count,
        labels=labels,
        labels_source="model" if labels else None,
        preprocess=_preprocess_of(struct.preprocess),
        preprocess_source=_SOURCES[struct.preprocess_source],
        precision=text(struct.precision),
        conv_layers=struct.conv_layers,
        parameters=struct.parameters,
        macs=struct.macs,
        weights_bytes=struct.weights_bytes,
        arena_bytes=struct.arena_bytes,
        arena_lower_bound=struct.arena_lower_bound,
        notice=python_message(text(struct.notice)),
        findings=tuple(
            Finding(kinds[finding.severity], python_message(text(finding.message)))
            for finding in found
        ),
        scores=_SCORES[struct.scores],
    )
    return info, struct.op_count, struct.block_count


def _index(value: int) -> Optional[int]:
    return None if value == _structs.NO_INDEX else value


def _read_op(pointer: ctypes.c_void_p, index: int) -> Op:
    struct, error = _structs.OpStruct(ctypes.sizeof(_structs.OpStruct)), _structs.ErrorStruct()
    check(library.resnet_plan_op(pointer, index, ctypes.byref(struct), ctypes.byref(error)), error)
    return Op(
        index=index,
        name=text(struct.name),
        output=text(struct.output),
        kernel=text(struct.kernel),
        detail=text(struct.detail),
        inputs=tuple(i for i in struct.input if i != _structs.NO_INDEX),
        height=struct.height,
        width=struct.width,
        channels=struct.channels,
        block=_index(struct.block),
        shortcut=_shortcut_name(struct.shortcut),
        parameters=struct.parameters,
        macs=struct.macs,
        weights_bytes=struct.weights_bytes,
        output_bytes=struct.output_bytes,
        arena_offset=struct.arena_offset,
        cost=struct.cost,
        layer=struct.layer or None,
        multiplications=struct.multiplications,
    )


def read_block(pointer: ctypes.c_void_p, index: int) -> Block:
    struct, error = (
        _structs.BlockStruct(ctypes.sizeof(_structs.BlockStruct)),
        _structs.ErrorStruct(),
    )
    check(
        library.resnet_plan_block(pointer, index, ctypes.byref(struct), ctypes.byref(error)), error
    )
    return Block(
        index,
        text(struct.name),
        _shortcut_name(struct.shortcut),
        struct.first_op,
        struct.last_op,
        struct.convs,
    )


# ---- tables as text and HTML ----


def html_table(caption: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as HTML. All text is escaped, since names come from files."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in rows)
    return (
        f"<table><caption>{html.escape(masked(caption))}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _html_cell(cell: Any) -> str:
    align = "left" if isinstance(cell, str) else "right"
    return f'<td style="text-align:{align};padding:0 0.6em">{html.escape(_cell(cell))}</td>'


def _cell(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return f"{cell:,}" if isinstance(cell, int) else masked(str(cell))


def text_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as text, with numbers aligned to the right."""
    cells = [[_cell(cell) for cell in row] for row in rows]
    right = [not isinstance(cell, str) for cell in next(iter(rows), ())] if cells else []
    widths = [max(len(line[i]) for line in [list(header), *cells]) for i in range(len(header))]
    lines = [
        [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(line, widths, right)]
        for line in cells
    ]
    head = [
        cell.rjust(w) if r else cell.ljust(w)
        for cell, w, r in zip(header, widths, right or [False] * len(header))
    ]
    return "\n".join("  ".join(line).rstrip() for line in [head, *lines])


class Plan(Sequence[Op]):
    """The ops of a model in execution order: a sequence of Op. Prints as a table, also in
    a notebook.

    Attributes: `blocks`, a tuple of Block.
    """

    _HEADER = (
        "op",
        "name",
        "kernel",
        "detail",
        "h",
        "w",
        "c",
        "block",
        "shortcut",
        "parameters",
        "MACs",
        "bytes",
    )

    def __init__(self, pointer: ctypes.c_void_p, title: str, ops: int, blocks: int) -> None:
        self._title = title
        self._ops = tuple(_read_op(pointer, index) for index in range(ops))
        self.blocks = tuple(read_block(pointer, index) for index in range(blocks))

    @overload
    def __getitem__(self, index: int) -> Op: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Op]: ...

    def __getitem__(self, index: Union[int, slice]) -> Union[Op, Sequence[Op]]:
        return self._ops[index]

    def __len__(self) -> int:
        return len(self._ops)

    def _rows(self) -> List[Tuple[Any, ...]]:
        return [
            (
                op.index,
                op.name,
                op.kernel,
                op.detail,
                op.height,
                op.width,
                op.channels,
                "" if op.block is None else self.blocks[op.block].name,
                "" if op.shortcut == "none" else op.shortcut,
                op.parameters,
                op.macs,
                op.output_bytes,
            )
            for op in self._ops
        ]

    def _caption(self) -> str:
        macs, parameters = sum(op.macs for op in self._ops), sum(op.parameters for op in self._ops)
        return (
            f"{self._title}: {len(self)} ops, {len(self.blocks)} blocks, "
            f"{parameters:,} parameters, {macs:,} MACs"
        )

    def __repr__(self) -> str:
        return f"{masked(self._caption())}\n{text_table(self._HEADER, self._rows())}"

    def _repr_html_(self) -> str:
        return html_table(self._caption(), self._HEADER, self._rows())

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame, one row per op. Raises ImportError without
        pandas."""
        with importing:
            from . import _extras  # rarely needed

        return _extras.pandas("Plan.to_pandas").DataFrame(
            [[getattr(op, f.name) for f in fields(Op)] for op in self._ops],
            columns=[f.name for f in fields(Op)],
        )
