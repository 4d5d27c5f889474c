"""`resnet compare` from Python: the program runs as a process, its JSON document is the
result, and its events are progress, warnings and errors."""

from __future__ import annotations

import json
import os
import sys
import threading
import warnings
from math import nan
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterable,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from . import _extras
from ._errors import ArgumentError, Error, FileError, SystemFailure, error_of, warn
from ._library import encoded, program
from ._mask import masked
from ._plan import html_table, text_table
from ._progress import ProgressBar
from ._structs import Status

if TYPE_CHECKING:
    from ._model import Model

PathLike = Union[str, "os.PathLike[str]"]

_EXIT_INPUT, _EXIT_USAGE = 1, 2
_ABLATIONS = "lesions"  # the program's option and JSON key
_SUBJECT_LENGTH = 100  # of a path that the library puts before its messages
_SECONDS_TO_END = 5.0  # for a cancelled program to remove its half-written files

Table = Tuple[List[str], List[List[Any]]]


class Comparison(Dict[str, Any]):
    """The document of `resnet compare --json` as a dictionary: `models`, `pairs`,
    `images`, `seconds`, `errors`, ... The manual of `resnet compare` lists all keys. It
    can be pickled, and json.dumps returns the program's document.

    Prints as a table of the models, also in a notebook. `to_pandas` and `plot` show more.
    """

    TABLES = ("models", "pairs", "layers", "blocks", "ablations")

    def to_pandas(self, table: str = "models") -> Any:
        """Return one table as a pandas.DataFrame.

        table: "models": accuracy, size and speed, one row per model.
            "pairs": what two models get right and wrong together, and McNemar's test.
            "layers": statistics of each layer's responses, for each model.
            "blocks": what each block adds to its shortcut, and the accuracy without it.
            "ablations": accuracy by the number of removed blocks.

        Raises ArgumentError for other names, and ImportError without pandas.
        """
        header, rows = self._table(table)
        return _extras.pandas("Comparison.to_pandas").DataFrame(rows, columns=header)

    def plot(self) -> Any:
        """Return a matplotlib Figure like Fig. 7 of "Deep Residual Learning": the
        standard deviation of each layer's response for each model, in the order of the
        layers and sorted. As in the paper, plain networks are dashed and the final fully
        connected layer is left out. If blocks were removed, a third panel shows the
        accuracy by their number, with the minimum and maximum of all choices. Raises
        ImportError without matplotlib.
        """
        pyplot = _extras.pyplot("Comparison.plot")
        ablations = any(model[_ABLATIONS]["removals"] for model in self["models"])
        count = 3 if ablations else 2
        figure, panels = pyplot.subplots(1, count, figsize=(5 * count, 4), constrained_layout=True)
        for model in self["models"]:
            layers = _layers(model)
            ends_connected = (
                bool(layers) and layers[-1]["values"] == layers[-1]["channels"] * model["images"]
            )
            shown = layers[: len(layers) - int(ends_connected)]
            deviations = [nan if response["std"] is None else response["std"] for response in shown]
            _extras.plot_deviations(
                panels[0], panels[1], deviations, model["title"], model["residual"]
            )
        _extras.label_deviations(panels[0], panels[1])
        if ablations:
            self._plot_ablations(panels[2])
        return figure

    def _plot_ablations(self, axes: Any) -> None:
        for model in self["models"]:
            steps = [
                {
                    "removed": 0,
                    **dict.fromkeys(
                        ("mean_top1", "min_top1", "max_top1"), model[_ABLATIONS]["top1"]
                    ),
                }
            ]
            steps += model[_ABLATIONS]["removals"]
            removed = [step["removed"] for step in steps]
            means = [100 * step["mean_top1"] for step in steps]
            style = "-" if model["residual"] else "--"
            (line,) = axes.plot(
                removed, means, linestyle=style, marker="o", markersize=4, label=model["title"]
            )
            lows, highs = ([100 * step[key] for step in steps] for key in ("min_top1", "max_top1"))
            axes.fill_between(removed, lows, highs, color=line.get_color(), alpha=0.15, linewidth=0)
        axes.set(title="Blocks removed", xlabel="blocks removed", ylabel="top-1, %", ylim=(0, 100))
        axes.grid(alpha=0.3)

    def _table(self, name: str) -> Table:
        if name not in self.TABLES:
            raise ArgumentError(
                f"there is no table {name!r}: the tables are {', '.join(map(repr, self.TABLES))}"
            )
        if name == "models":
            return _table_of(_model_row(model) for model in self["models"])
        if name == "pairs":
            return _table_of(self._pair_row(pair) for pair in self["pairs"])
        rows_of = _MODEL_TABLES[name]
        return _table_of(
            {"model": model["title"], **row} for model in self["models"] for row in rows_of(model)
        )

    def _pair_row(self, pair: Dict[str, Any]) -> Dict[str, Any]:
        row = {key: value for key, value in _flat(pair).items() if key != "differences"}
        row["a"], row["b"] = (self["models"][pair[key]]["title"] for key in ("a", "b"))
        return row

    def _caption(self) -> str:
        return f"{self['images']:,} images of {self['data']}"

    def _summary(self) -> Table:
        header = [
            "model",
            "layers",
            "parameters",
            "top-1 %",
            "95 %",
            "top-5 %",
            "ms",
            "right without a block %",
        ]
        return header, [_summary_row(model) for model in self["models"]]

    def __repr__(self) -> str:
        header, rows = self._summary()
        return f"{masked(self._caption())}\n{text_table(header, rows)}"

    def _repr_html_(self) -> str:
        header, rows = self._summary()
        return html_table(self._caption(), header, rows)


# ---- tables ----


def _table_of(records: Iterable[Dict[str, Any]]) -> Table:
    rows = list(records)
    header = list(rows[0]) if rows else []
    return header, [list(row.values()) for row in rows]


def _flat(record: Dict[str, Any]) -> Dict[str, Any]:
    """Return a record whose intervals KEY_ciN are two numbers, KEY_low and KEY_high."""
    flat: Dict[str, Any] = {}
    for key, value in record.items():
        name, found, _ = key.rpartition("_ci")
        if found:
            flat[f"{name}_low"], flat[f"{name}_high"] = value
        else:
            flat[key] = value
    return flat


def _model_row(model: Dict[str, Any]) -> Dict[str, Any]:
    kept = ["sha256", "residual", "layers", "parameters", "macs"]
    kept += ["weights_bytes", "arena_bytes", "peak_rss_bytes", "load_ms"]
    measured = ("images", "top1", "top5", "cross_entropy", "calibration_error")
    row = {"title": model["title"], "file": model["model"]["file"]}
    row.update((key, model[key]) for key in measured)
    row["top1_low"], row["top1_high"] = model["top1_ci95"]
    row.update((f"latency_{key}_ms", model["latency_ms"][key]) for key in ("min", "median", "p99"))
    row.update((key, model[key]) for key in kept)
    return row


def _layers(model: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Return the responses of the layers that the paper counts, in its order."""
    layers = [response for response in model["responses"] if response["layer"] is not None]
    return sorted(layers, key=lambda response: int(response["layer"]))


def _layer_rows(model: Dict[str, Any]) -> List[Dict[str, Any]]:
    rows = []
    for response in _layers(model):
        row = {"layer": response["layer"]}
        row.update(
            (key, value)
            for key, value in response.items()
            if key not in ("layer", "percentiles", "point")
        )
        row.update((f"p{rank}", value) for rank, value in response["percentiles"].items())
        rows.append(row)
    return rows


def _block_rows(model: Dict[str, Any]) -> List[Dict[str, Any]]:
    return [
        {"block": block["name"], **{k: v for k, v in _flat(block).items() if k != "name"}}
        for block in model["blocks"]
    ]


def _ablation_rows(model: Dict[str, Any]) -> List[Dict[str, Any]]:
    return list(model[_ABLATIONS]["removals"])


_MODEL_TABLES = {"layers": _layer_rows, "blocks": _block_rows, "ablations": _ablation_rows}


def _percent(share: Optional[float]) -> str:
    return "" if share is None else f"{100 * share:.2f}"


def _summary_row(model: Dict[str, Any]) -> List[Any]:
    low, high = model["top1_ci95"]
    single = next(
        (step["mean_top1"] for step in model[_ABLATIONS]["removals"] if step["removed"] == 1), None
    )
    return [
        model["title"],
        model["layers"],
        model["parameters"],
        _percent(model["top1"]),
        f"{_percent(low)} to {_percent(high)}",
        _percent(model["top5"]),
        model["latency_ms"]["median"],
        _percent(single),
    ]


# ---- running the program ----


class _Ended(NamedTuple):
    """The result of a run of the program."""

    code: int  # exit status; negative: the signal that ended it
    output: bytes  # the JSON document
    usage: str  # standard error: a wrong option, else empty
    errors: List[Dict[str, Any]]  # error events
    warnings: List[str]  # of warning events


class _Events(threading.Thread):
    """Reads the program's events, one JSON object per line, and draws progress bars."""

    def __init__(self, descriptor: int, with_bar: bool) -> None:
        super().__init__(name="libresnet.compare", daemon=True)
        self.errors: List[Dict[str, Any]] = []
        self.warnings: List[str] = []
        self._descriptor = descriptor
        self._with_bar = with_bar
        self._bar: Optional[ProgressBar] = None
        self._stage: Tuple[int, str] = (0, "")  # total and unit of the bar
        self._done = 0

    def run(self) -> None:
        with open(self._descriptor, "rb") as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                except ValueError:  # the program was killed while it wrote
                    break
                self._take(event)
        if self._bar is not None:
            self._bar.finish()

    def _take(self, event: Dict[str, Any]) -> None:
        if event["event"] == "progress":
            self._advance(event["done"], event["total"], event["unit"])
        elif event["event"] == "warning":
            self.warnings.append(_sentence(event))
        else:
            self.errors.append(event)

    def _advance(self, done: int, total: int, unit: str) -> None:
        if not self._with_bar:
            return
        if self._bar is None or self._stage != (total, unit):
            if self._bar is not None:
                self._bar.finish()
            self._bar = ProgressBar(total, unit)
            self._stage, self._done = (total, unit), 0
        self._bar.advance(max(0, done - self._done))
        self._done = max(done, self._done)


def _sentence(event: Dict[str, Any]) -> str:
    """Return "SUBJECT: MESSAGE" of an event. The library's messages name the file
    already."""
    subject, message = event["subject"], event["message"]
    repeats = not subject or message.startswith(subject[:_SUBJECT_LENGTH])
    return str(message if repeats else f"{subject}: {message}")


def _end(process: "Popen[bytes]") -> None:
    """End the program with SIGTERM, which it blocks while it writes a file."""
    process.terminate()
    try:
        process.wait(_SECONDS_TO_END)
    except TimeoutExpired:
        process.kill()
        process.wait()


def _start(command: Sequence[bytes], events: int) -> "Popen[bytes]":
    line = [*command[:2], f"--events={events}".encode(), *command[2:]]
    try:
        return Popen(line, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, pass_fds=[events])
    except OSError as problem:
        raise SystemFailure(
            f"{os.fsdecode(command[0])} cannot be started: {problem}", Status.ERROR_SYSTEM
        ) from problem


def _run(command: Sequence[bytes], with_bar: bool) -> _Ended:
    """Run the program to its end. An exception, e.g. KeyboardInterrupt, ends the
    program."""
    ours, its = os.pipe()
    events = _Events(ours, with_bar)
    try:
        events.start()
        process = _start(command, its)
    finally:
        os.close(its)
    with process:
        try:
            output, usage = process.communicate()
        except BaseException:
            _end(process)
            raise
    events.join()
    text = usage.decode("utf-8", "replace").strip()
    return _Ended(process.returncode, output, text, events.errors, events.warnings)


# ---- the result of the program ----


class _Request(NamedTuple):
    data: str
    outputs: List[str]  # report and tables


def _error_of(request: _Request, event: Dict[str, Any]) -> Error:
    """Return the exception for an error event."""
    status, subject, message = event["status"], event["subject"], _sentence(event)
    if subject in request.outputs:
        return FileError(message, Status.ERROR_IO)
    if subject == request.data and status not in (Status.ERROR_IO, Status.ERROR_MEMORY):
        return ArgumentError(message, Status.ERROR_ARGUMENT)
    return error_of(status, message, None if subject == request.data else subject)


def _document(output: bytes) -> Optional[Dict[str, Any]]:
    try:
        document = json.loads(output)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _result(request: _Request, ended: _Ended) -> Comparison:
    if ended.code < 0:
        raise SystemFailure(
            f"resnet compare was ended by signal {-ended.code}", Status.ERROR_SYSTEM
        )
    if ended.errors:
        raise _error_of(request, ended.errors[-1])
    if ended.code == _EXIT_USAGE:
        raise ArgumentError(ended.usage.partition(": ")[2], Status.ERROR_ARGUMENT)
    document = _document(ended.output)
    if document is None or ended.code not in (0, _EXIT_INPUT):
        raise SystemFailure(
            f"resnet compare ended with exit status {ended.code}: {ended.usage or 'no message'}",
            Status.ERROR_SYSTEM,
        )
    _warn(ended.warnings, document)
    return Comparison(document)


def _warn(notes: Sequence[str], document: Dict[str, Any]) -> None:
    for line in notes:
        warn(line)
    failures = document["errors"]
    if failures:
        first = f"{failures[0]['file']}: {failures[0]['message']}"
        total = document["images"] + len(failures)
        warnings.warn(
            f"{len(failures)} of {total} images could not be evaluated and count for no model, "
            f"see ['errors']; the first is {first}",
            UserWarning,
            stacklevel=4,
        )


# ---- entry point ----


def _path_of(model: "Union[PathLike, Model]") -> str:
    from ._model import Model

    path: Any = model.path if isinstance(model, Model) else model
    if path is None:
        raise ArgumentError("a model from bytes has no file to compare: save it and pass the path")
    return os.fsdecode(path)


def _is_one(models: Any) -> bool:
    return isinstance(models, (str, bytes, os.PathLike)) or hasattr(models, "classify")


def _side(size: Union[int, Tuple[int, int]]) -> str:
    return str(size) if isinstance(size, int) else f"{size[0]}x{size[1]}"


def _options(named: Dict[str, Any]) -> List[bytes]:
    """Return `--name=value` for each given option, so that no value looks like an
    option."""
    words = []
    for name, value in named.items():
        if value is True:
            words.append(f"--{name}".encode())
        elif value is not None and value is not False:
            text = value if isinstance(value, (str, os.PathLike)) else str(value)
            words.append(f"--{name}=".encode() + encoded(text))
    return words


def _paths_of(models: Any) -> List[str]:
    listed = [models] if _is_one(models) else list(models)
    if not listed:
        raise ArgumentError("there is no model to compare")
    return [_path_of(model) for model in listed]


def _check_options(preprocess: Any, ablation_images: Optional[int]) -> None:
    if preprocess is not None and not isinstance(preprocess, str):
        raise ArgumentError("preprocess must be the name of a preset, e.g. 'imagenet'")
    if ablation_images is not None and ablation_images < 0:
        raise ArgumentError(f"ablation_images is {ablation_images}: it must be at least 0")


def compare(
    models: "Union[PathLike, Model, Sequence[Union[PathLike, Model]]]",
    data: PathLike,
    *,
    ablation_images: Optional[int] = None,
    threads: int = 0,
    batch: int = 0,
    preprocess: Optional[str] = None,
    input_size: Optional[Union[int, Tuple[int, int]]] = None,
    output: Optional[str] = None,
    conv: str = "auto",
    memory: str = "normal",
    external_data: bool = False,
    report: Optional[PathLike] = None,
    tables: Optional[PathLike] = None,
    progress: Optional[bool] = None,
) -> Comparison:
    """Compare any number of models over the same labelled images: accuracy, differences,
    speed, strength of the layers' responses, and what each block adds to its shortcut and
    to the accuracy.

    models: paths of ONNX or plan files, or Models, of which only the path is used.
    data: a folder, or a .zip, with images <class>/<image>.
    ablation_images: number of images on which blocks are removed; 0: none; None: 1000.
    threads: 1 to 1024; 0: one per CPU. Does not change a prediction.
    batch: images processed at once, 1 to 4096; 0: automatic. Does not change a
        prediction.
    preprocess ("imagenet", ...), input_size, output, conv, memory, external_data: options
        of all models, see Model.
    report: path of an HTML page to write, with all plots and tables.
    tables: path of a folder to write, with CSV files and plots as SVG.
    progress: whether to draw a bar on sys.stderr; None: if that is a terminal.

    Runs `resnet compare` as a process and returns its JSON document. Other Python threads
    run during the call. An exception in this thread, e.g. KeyboardInterrupt, ends the
    process, and no half-written file remains. Notes about the models become
    ModelWarnings. Images that cannot be evaluated are listed under "errors", with a
    warning.

    Raises the exceptions of Model for a model that cannot be opened; ArgumentError for
    invalid options, and if the classes of the data and of a model do not match; FileError
    if the data do not exist or the report or tables cannot be written; OutOfMemoryError;
    SystemFailure if the process was killed.
    """
    paths = _paths_of(models)
    _check_options(preprocess, ablation_images)
    outputs = [os.fsdecode(path) for path in (report, tables) if path is not None]
    size = None if input_size is None else _side(input_size)
    options: Dict[str, Any] = {
        "data": data,
        "threads": threads,
        "batch": batch,
        _ABLATIONS: ablation_images,
    }
    options |= {"preprocess": preprocess, "size": size, "scores": output, "conv": conv}
    options |= {"memory": memory, "external-data": external_data}
    options |= {"report": report, "tables": tables, "json": True}
    command = [os.fsencode(program()), b"compare", *_options(options), b"--", *map(encoded, paths)]
    with_bar = sys.stderr is not None and sys.stderr.isatty() if progress is None else progress
    return _result(_Request(os.fsdecode(data), outputs), _run(command, with_bar))
