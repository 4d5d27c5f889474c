#!/usr/bin/env python3
"""Write labels and preprocessing into an ONNX file. Needs nothing but Python.

libresnet reads both from the file, so that no program that uses the model has to state
them again. The network itself is copied byte by byte, and weights in files beside the
model stay there. Without an option it prints what the file states now.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import math
import os
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

IMAGENET = Path(__file__).resolve().parent / "imagenet-labels.txt"
EXAMPLE = (
    "example: python models/add_metadata.py net.onnx --labels classes.txt --preprocess imagenet\n"
    "         python models/add_metadata.py net.onnx --labels imagenet --preprocess imagenet-v2 "
    "-o named.onnx"
)
IMAGENET_VALUES = ("255", "0.485,0.456,0.406", "0.229,0.224,0.225")
CIFAR10_VALUES = ("255", "0.4914,0.4822,0.4465", "0.2470,0.2435,0.2616")
UNIT = ("255", "0,0,0", "1,1,1")
PHOTO = Fraction(256, 224)
# The presets of include/resnet.h: fit, filter, ratio of the resize to the crop (None: no
# scaling), order, and scale, mean and std. Their sizes follow from the model's input.
PRESETS = {
    "imagenet": ("crop", "bilinear", PHOTO, "rgb", *IMAGENET_VALUES),
    "imagenet-v2": ("crop", "bilinear", Fraction(232, 224), "rgb", *IMAGENET_VALUES),
    "timm": ("crop", "bicubic", PHOTO, "rgb", *IMAGENET_VALUES),
    "cifar10": ("crop", "bilinear", 1, "rgb", *CIFAR10_VALUES),
    "unit": ("crop", "bilinear", PHOTO, "rgb", *UNIT),
    "keras-caffe": ("crop", "bilinear", PHOTO, "bgr", "1", "103.939,116.779,123.68", "1,1,1"),
    "keras-tf": ("crop", "bilinear", PHOTO, "rgb", "127.5", "1,1,1", "1,1,1"),
    "keras-stretch": ("stretch", "nearest", 1, "rgb", *UNIT),
    "grey": ("crop", "bilinear", 1, "grey", "255", "0", "1"),
    "none": ("crop", "bilinear", None, "rgb", "1", "0,0,0", "1,1,1"),
}
# of objects that hold labels
MEMBERS = ("id2label", "labels", "classes", "class_names", "names", "categories", "label2id")
LARGEST = (1 << 31) - 1  # bytes of a protobuf message
SIDE_MAX = 65535
WORDS = ("fit", "filter", "resize", "crop", "ratio", "order", "scale", "mean", "std")
DEFAULTS = {"fit": "crop", "filter": "bilinear", "ratio": "1"}  # which need no word
NUMBER = re.compile(r"-?\d+(\.\d*)?([eE][-+]?\d+)?\Z|-?\.\d+([eE][-+]?\d+)?\Z")


class Failure(Exception):
    """What is wrong with an argument or a file, and what to do: one line for the user."""


# ---- the fields of an ONNX file that this tool reads


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the number at `at` and the place after it."""
    value = shift = 0
    while at < end and shift < 64:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("a number without an end")


def fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Return (number, start, value, end) of each field of a protobuf message; `value` is
    where a message or string begins, and the number itself in a varint field."""
    while at < end:
        start = at
        key, at = varint(data, at, end)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at, end)
        elif kind == 2:
            size, value = varint(data, at, end)
            at = value + size
        elif kind in (1, 5):
            value, at = at, at + (8 if kind == 1 else 4)
        else:
            raise ValueError(f"unknown wire type {kind}")
        if at > end:
            raise ValueError("a field beyond the end")
        yield key >> 3, start, value, at


def text_of(data: bytes, start: int, end: int) -> str:
    return data[start:end].decode("utf-8", "replace")


def key_and_value(data: bytes, start: int, end: int) -> tuple[str, str]:
    """Return a StringStringEntryProto."""
    found = {n: text_of(data, value, stop) for n, _, value, stop in fields(data, start, end)}
    return found.get(1, ""), found.get(2, "")


def read_shape(data: bytes, start: int, end: int) -> tuple[str, list[int | None]]:
    """Return name and sizes of a ValueInfoProto; None for a size that is left open."""
    name, sizes = "", []
    for number, _, value, stop in fields(data, start, end):
        if number == 1:
            name = text_of(data, value, stop)
        if number != 2:
            continue
        path = [(value, stop)]
        for step in (1, 2, 1):  # tensor_type, shape, dim
            path = [
                (inner, last)
                for begin, limit in path
                for n, _, inner, last in fields(data, begin, limit)
                if n == step
            ]
        for begin, limit in path:
            known = [inner for n, _, inner, _ in fields(data, begin, limit) if n == 1]
            sizes.append(known[0] if known and 0 < known[0] < 1 << 31 else None)
    return name, sizes


@dataclass
class Model:
    """An ONNX file in memory, and what it says about itself."""

    data: bytes
    properties: dict[str, str] = field(default_factory=dict)
    places: list[tuple[str, int, int]] = field(default_factory=list)  # of properties
    inputs: list[tuple[str, list[int | None]]] = field(default_factory=list)
    outputs: list[tuple[str, list[int | None]]] = field(default_factory=list)
    beside: set[str] = field(default_factory=set)  # files that hold weights

    @property
    def classes(self) -> int | None:
        """Return the number of scores, if there is one output and its shape is known."""
        sizes = self.outputs[0][1][1:] if len(self.outputs) == 1 else []
        return math.prod(sizes) if sizes and None not in sizes else None

    @property
    def channels(self) -> int | None:
        return self.image_sizes()[0]

    def image_sizes(self) -> tuple[int | None, int | None, int | None]:
        """Return channels, height and width of the input, in either order of ONNX."""
        sizes = self.inputs[0][1] if len(self.inputs) == 1 else []
        if len(sizes) != 4:
            return None, None, None
        if sizes[1] not in (1, 3) and sizes[3] in (1, 3):
            return sizes[3], sizes[1], sizes[2]
        return sizes[1], sizes[2], sizes[3]


def read_tensor(data: bytes, start: int, end: int) -> tuple[str, str | None]:
    """Return a TensorProto's name, and the file beside the model that holds its data."""
    name, location, outside = "", None, False
    for number, _, value, stop in fields(data, start, end):
        if number == 8:
            name = text_of(data, value, stop)
        elif number == 14:
            outside = value == 1
        elif number == 13:
            key, text = key_and_value(data, value, stop)
            location = text if key == "location" else location
    return name, location if outside else None


def read_graph(model: Model, start: int, end: int) -> None:
    """Fill in what a GraphProto says."""
    constants = set()
    for number, _, value, stop in fields(model.data, start, end):
        if number == 5:
            name, location = read_tensor(model.data, value, stop)
            constants.add(name)
            model.beside |= {location} if location else set()
        elif number in (11, 12):
            shape = read_shape(model.data, value, stop)
            (model.inputs if number == 11 else model.outputs).append(shape)
    model.inputs = [one for one in model.inputs if one[0] not in constants]


def unpack(path: Path) -> bytes:
    """Return the content of a file in gzip."""
    try:
        with gzip.open(path) as file:
            data = file.read(LARGEST + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise Failure(f"{path}: damaged ({problem}): fetch it again") from None
    if len(data) > LARGEST:
        raise Failure(f"{path}: more than {LARGEST:,} bytes, which is no ONNX file")
    return data


def read_model(path: Path) -> Model:
    """Return the file's content; refuse what is no ONNX file."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = unpack(path)
    model = Model(data)
    try:
        for number, start, value, end in fields(data, 0, len(data)):
            if number == 7:
                read_graph(model, value, end)
            elif number == 14:
                key, text = key_and_value(data, value, end)
                model.properties[key] = text
                model.places.append((key, start, end))
    except (ValueError, TypeError) as problem:
        raise Failure(
            f"{path}: not a well-formed ONNX file ({problem}): export or fetch it again"
        ) from None
    if not model.outputs:
        raise Failure(f"{path}: not an ONNX file: it has no graph with an output")
    return model


# ---- labels


def labels_of_object(value: object) -> list[str]:
    """Return the labels of the usual JSON files: a list; {"0": label}; {label: 0}; pairs
    [wnid, label], as Keras has them; [0, label]; {"id": 0, "name": label}; an object with
    one of these as a member."""
    if isinstance(value, dict):
        value = next((value[key] for key in MEMBERS if key in value), value)
    if isinstance(value, dict) and value and all(type(one) is int for one in value.values()):
        value = {index: label for label, index in value.items()}
    if isinstance(value, dict):
        value = {str(key): label for key, label in value.items()}
        if sorted(value) != sorted(map(str, range(len(value)))):
            raise Failure(f'its {len(value)} keys are not the classes "0", "1", ... each once')
        value = [value[str(index)] for index in range(len(value))]
    if not isinstance(value, list):
        raise Failure("a JSON list or object of labels is accepted")
    labels = [name_of_entry(one) for one in order_entries(value)]
    for index, label in enumerate(labels):
        if not isinstance(label, str):
            raise Failure(f"label {index} is {json.dumps(label)[:40]}, a string is accepted")
    return labels


def name_of_entry(entry: object) -> object:
    """Return "tench" of ["n01440764", "tench"] or {"id": 0, "name": "tench"}."""
    if isinstance(entry, dict):
        return next((entry[key] for key in ("name", "label", "title") if key in entry), entry)
    return entry[-1] if isinstance(entry, (list, tuple)) and entry else entry


def index_of_entry(entry: object) -> int | None:
    """Return 9 of {"id": 9, "name": "ostrich"} or [9, "ostrich"]; None: there is none."""
    stated = []
    if isinstance(entry, dict):
        stated = [entry.get("id"), entry.get("index")]
    elif isinstance(entry, (list, tuple)) and len(entry) > 1:
        stated = [entry[0]]
    texts = [str(one) for one in stated if type(one) in (int, str)]
    return next((int(one) for one in texts if re.fullmatch("[0-9]{1,9}", one)), None)


def order_entries(entries: list) -> list:
    """Sort the entries by the ids that they state; all of them do, or none."""
    indices = [index_of_entry(one) for one in entries]
    if all(index is None for index in indices):
        return entries
    if None in indices:
        raise Failure(f"entry {indices.index(None)} has no id, unlike others")
    if sorted(indices) != list(range(len(entries))):
        raise Failure(f"its {len(entries)} ids are not 0 to {len(entries) - 1}, each once")
    places = {index: place for place, index in enumerate(indices)}
    return [entries[places[index]] for index in range(len(entries))]


def labels_of_text(text: str) -> list[str]:
    """Return the lines, sorted by their numbers where each line begins with one. Numbers
    that only ascend can belong to the labels: the order is the same either way."""
    lines = [line.strip() for line in text.rstrip().split("\n")]
    found = [re.fullmatch(r"([0-9]{1,9})[ \t:,;]+([^ \t:,;].*)", line) for line in lines]
    if lines[0][:1] == "#" and not all(line[:1] == "#" for line in lines):
        raise Failure("line 1 is a comment: remove it")
    if len(lines) > 2 and not found[0] and all(found[1:]) and int(found[1][1]) == 0:
        raise Failure("line 1 has no index, but each other line has: remove the heading")
    if not all(found):
        return lines
    indices = [int(one[1]) for one in found]
    if sorted(indices) == list(range(len(lines))):
        return [label for _, label in sorted((int(one[1]), one[2]) for one in found)]
    if indices == sorted(indices):
        return lines
    raise Failure(f"its {len(lines)} indices are not 0 to {len(lines) - 1}, each once")


def read_labels(source: str) -> list[str]:
    """Return the labels of a text file, one a line, or of JSON or a printed Python
    dictionary."""
    path = IMAGENET if source == "imagenet" else Path(source)
    text = path.read_text(encoding="utf-8-sig")
    try:
        if text.lstrip()[:1] in ("{", "[") or path.suffix.lower() == ".json":
            labels = labels_of_object(parse_object(text))
        else:
            labels = labels_of_text(text)
        labels = [" ".join(label.split()) for label in labels]
        if "" in labels or not labels:
            raise Failure(f"label {labels.index('') if labels else 0} is empty: write one each")
        return labels
    except (Failure, ValueError, SyntaxError) as problem:
        raise Failure(f"{path}: {problem}") from None


def parse_object(text: str) -> object:
    """Return the value of JSON, or of a Python literal."""
    try:
        return json.loads(text)
    except ValueError as problem:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise problem from None


def complete_labels(labels: list[str], classes: int | None) -> list[str]:
    """Return one label for each class, or refuse a count that cannot be right."""
    if classes == 1001 and len(labels) == 1000:
        return ["background", *labels]
    if classes == 1 and len(labels) == 1:
        return [f"not {labels[0]}", labels[0]]
    expected = 2 if classes == 1 else classes
    if expected is not None and len(labels) != expected:
        raise Failure(f"{len(labels):,} labels were given, the model has {expected:,} classes")
    return labels


# ---- preprocessing


def read_size(text: str, option: str) -> str:
    """Return "auto", "none", one number for equal sides, or HxW."""
    sides = text.split("x")
    if text in ("auto", "none"):
        return text
    if len(sides) > 2 or not all(one.isdecimal() and 1 <= int(one) <= SIDE_MAX for one in sides):
        raise Failure(f"{option} {text}: a number of pixels, HxW, auto or none is accepted")
    return "x".join(str(int(one)) for one in sides)


def read_numbers(text: str, option: str, count: int, positive: bool) -> str:
    """Check numbers with commas between them; one number holds for all."""
    numbers = text.split(",")
    valid = all(NUMBER.match(one) and math.isfinite(float(one)) for one in numbers)
    if not valid or len(numbers) not in (1, count) or positive and min(map(float, numbers)) <= 0:
        kind = "greater than 0" if positive else "finite"
        wanted = "one number" if count == 1 else f"one number or {count} with commas"
        raise Failure(f"{option} {text}: {wanted} ({kind}) is accepted")
    return text


def preset_words(name: str) -> dict[str, str]:
    fit, scaling, ratio, order, scale, mean, std = PRESETS[name]
    words = dict(fit=fit, filter=scaling, order=order, scale=scale, mean=mean, std=std)
    if ratio is None:
        return words | {"resize": "none", "crop": "none"}
    return words | {"resize": "auto", "crop": "auto", "ratio": f"{float(ratio):.8g}"}


def build_preprocess(options: argparse.Namespace, model: Model) -> str | None:
    """Return the text for resnet.preprocess, or None if no option asks for it."""
    given = {key: getattr(options, key) for key in WORDS if getattr(options, key, None) is not None}
    if not given and not options.preprocess:
        return None
    found = {"fit": "crop", "filter": "bilinear", "resize": "auto", "crop": "auto", "order": "rgb"}
    if options.preprocess:
        found |= preset_words(options.preprocess)
    found |= given
    if given.get("fit") == "stretch" or found["resize"] != "auto":
        found.pop("ratio", None)  # the whole image becomes the input, or --resize says it
    missing = [f"--{key}" for key in ("scale", "mean", "std") if key not in found]
    if missing:
        raise Failure(f"{', '.join(missing)} must be given, or --preprocess NAME")
    check_channels(found, model)
    return " ".join(
        f"{key}={found[key]}" for key in WORDS if key in found and DEFAULTS.get(key) != found[key]
    )


def check_channels(found: dict[str, str], model: Model) -> None:
    """Refuse statistics for another number of channels than the model has."""
    grey = found["order"] == "grey" or model.channels == 1
    count = 1 if grey else 3
    if model.channels == 1 and found["order"] != "grey":
        raise Failure(
            "the model's input has one channel: use --preprocess grey, or --order grey with one "
            "number as --mean and --std"
        )
    found["scale"] = read_numbers(found["scale"], "--scale", 1, True)
    found["mean"] = read_numbers(found["mean"], "--mean", count, False)
    found["std"] = read_numbers(found["std"], "--std", count, True)
    found["resize"] = read_size(found["resize"], "--resize")
    found["crop"] = read_size(found["crop"], "--crop")


# ---- writing


def number_bytes(value: int) -> bytes:
    """Return a varint."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def string_bytes(number: int, text: bytes) -> bytes:
    """Return a field of wire type 2."""
    return number_bytes(number << 3 | 2) + number_bytes(len(text)) + text


def with_properties(model: Model, properties: dict[str, str]) -> list[bytes | memoryview]:
    """Return the parts of the file with these metadata_props in place of older ones."""
    view, kept, at = memoryview(model.data), [], 0
    for key, start, end in model.places:
        if key in properties:
            kept.append(view[at:start])
            at = end
    kept.append(view[at:])
    for key, text in properties.items():
        entry = string_bytes(1, key.encode()) + string_bytes(2, text.encode())
        kept.append(string_bytes(14, entry))
    return kept


def check_place(model: Model, source: Path, target: Path) -> None:
    """Refuse a folder where the file would not find its weights."""
    if model.beside and target.resolve().parent != source.resolve().parent:
        raise Failure(
            f"{target}: the weights are in {sorted(model.beside)[0]} beside {source}: "
            "write to the same folder"
        )


def write_model(model: Model, properties: dict[str, str], source: Path, target: Path) -> None:
    """Write a temporary file beside the target, which gets its name when it is whole."""
    check_place(model, source, target)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as raw:
            packed = target.suffix == ".gz"
            with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if packed else raw as file:
                for part in with_properties(model, properties):
                    file.write(part)
        shutil.copymode(source, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


# ---- the command line


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="add_metadata.py",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL.onnx")
    add("-o", "--output", type=Path, metavar="FILE", help="write here (default: MODEL.onnx itself)")
    add(
        "--labels",
        metavar="FILE",
        help="one label a line, or JSON: a list, or an object of classes and labels; "
        "'imagenet': the 1,000 names of ImageNet's classes",
    )
    add("--preprocess", choices=PRESETS, metavar="NAME", help=f"one of {', '.join(PRESETS)}")
    add("--fit", choices=("crop", "stretch"), help="keep the proportions and cut, or stretch")
    add("--filter", choices=("bilinear", "bicubic", "nearest"), help="Pillow's filter")
    add(
        "--resize",
        metavar="HxW",
        help="size before the crop; one number: the shorter side; auto: from the crop; none",
    )
    add("--crop", metavar="HxW", help="the centre that is kept; auto: the size of the input; none")
    add("--order", choices=("rgb", "bgr", "grey"), help="order of the channels")
    add("--scale", metavar="N", help="divisor of the 8-bit values")
    add("--mean", metavar="M|A,B,C", help="mean of the values after --scale, in --order")
    add("--std", metavar="D|A,B,C", help="standard deviation, likewise")
    return parser.parse_args()


def show(model: Model, properties: dict[str, str]) -> Iterator[str]:
    """Return the lines that describe the file and its metadata."""
    channels, height, width = (size or "?" for size in model.image_sizes())
    classes = "?" if model.classes is None else f"{model.classes:,}"
    yield f"scores              {classes}, input {height} x {width} x {channels}"
    for key, text in properties.items():
        if key == "resnet.labels":
            labels = text.split("\n")
            few = labels if len(labels) < 5 else [*labels[:3], "...", labels[-1]]
            text = f"{len(labels):,}: {', '.join(few)}"
        yield f"{key:<18}  {text}"


def run(options: argparse.Namespace) -> Iterator[str]:
    """Write what the options ask for; return lines for the user."""
    model = read_model(options.model)
    properties = {}
    if options.labels:
        labels = complete_labels(read_labels(options.labels), model.classes)
        properties["resnet.labels"] = "\n".join(labels)
    if preprocess := build_preprocess(options, model):
        properties["resnet.preprocess"] = preprocess
    if not properties:
        yield from show(model, model.properties)
        return
    target = options.output or options.model
    write_model(model, properties, options.model, target)
    yield from show(model, properties)
    if options.labels and model.classes is None:
        yield "the file does not state its number of classes: check it with resnet inspect"
    yield f"written to {target}"


def main() -> int:
    """Return 0 for success, 1 if nothing could be written, 2 for wrong usage."""
    options = parse_arguments()
    try:
        for line in run(options):
            print(line)
    except Failure as problem:
        print(f"add_metadata.py: {problem}", file=sys.stderr)
        return 1
    except (OSError, UnicodeDecodeError) as problem:
        place = getattr(problem, "filename", None) or options.labels or options.model
        reason = getattr(problem, "strerror", None) or problem
        print(f"add_metadata.py: {place}: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
