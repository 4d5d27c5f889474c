"""`resnet compare` from Python: the program does the work, in a process of its own;
its JSON is the result."""

from __future__ import annotations

import json
import os
import sys
import threading
import warnings
from math import nan
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired
from typing import (
    IO,
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
from ._errors import ArgumentError, Error, FileError, OutOfMemoryError, SystemFailure, warn
from ._library import encoded, program
from ._plan import html_table, text_table
from ._structs import Status

if TYPE_CHECKING:
    from ._model import Model

PathLike = Union[str, "os.PathLike[str]"]

_EXIT_INPUT, _EXIT_USAGE = 1, 2
_SECONDS_TO_END = 5.0  # for a cancelled program to take its half-written files away

Table = Tuple[List[str], List[List[Any]]]


class Comparison(Dict[str, Any]):
    """What `resnet compare --json` tells, as a dictionary: `models`, `pairs`, `images`,
    `seconds`, `errors`, ... See `resnet compare` in the manual for all of its keys. It
    pickles, and json.dumps gives the program's document.

    Shown as a table of the models in a terminal and in a notebook; `to_pandas` and `plot`
    give more.
    """

    TABLES = ("models", "pairs", "layers", "blocks", "ablations")

    def to_pandas(self, table: str = "models") -> Any:
        """A pandas.DataFrame of one of:

        "models": accuracy, size and speed, a row each; "pairs": what two of them get
        right and wrong together, and McNemar's test; "layers": statistics of the response
        of each layer of each model; "blocks": what each block adds to its shortcut, and
        the accuracy without it; "ablations": accuracy by the number of blocks left out.

        ArgumentError for any other name; ImportError where pandas is not installed.
        """
        header, rows = self._table(table)
        return _extras.pandas("Comparison.to_pandas").DataFrame(rows, columns=header)

    def plot(self) -> Any:
        """A matplotlib Figure: the standard deviation of the responses of each layer
        of each model, in order and sorted (Fig. 7 of "Deep Residual Learning"; plain
        nets are dashed, a fully connected layer at the end is left out, as there),
        and, where blocks were left out, the accuracy by how many, with the least and
        the greatest of all choices. ImportError where matplotlib is not installed."""
        pyplot = _extras.pyplot("Comparison.plot")
        ablations = any(model["lesions"]["removals"] for model in self["models"])
        count = 3 if ablations else 2
        figure, panels = pyplot.subplots(1, count, figsize=(5 * count, 4), constrained_layout=True)
        for model in self["models"]:
            layers = _layers(model)
            connects_all = (
                bool(layers) and layers[-1]["values"] == layers[-1]["channels"] * model["images"]
            )
            shown = layers[: len(layers) - int(connects_all)]
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
                        ("mean_top1", "min_top1", "max_top1"), model["lesions"]["top1"]
                    ),
                }
            ]
            steps += model["lesions"]["removals"]
            removed = [step["removed"] for step in steps]
            means = [100 * step["mean_top1"] for step in steps]
            style = "-" if model["residual"] else "--"
            (line,) = axes.plot(
                removed, means, linestyle=style, marker="o", markersize=4, label=model["title"]
            )
            lows, highs = ([100 * step[key] for step in steps] for key in ("min_top1", "max_top1"))
            axes.fill_between(removed, lows, highs, color=line.get_color(), alpha=0.15, linewidth=0)
        axes.set(
            title="Blocks left out", xlabel="blocks left out", ylabel="top-1, %", ylim=(0, 100)
        )
        axes.grid(alpha=0.3)

    def _table(self, name: str) -> Table:
        if name not in self.TABLES:
            raise ArgumentError(
                f"there is no table {name!r}: accepted are {', '.join(map(repr, self.TABLES))}"
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
        row = {key: value for key, value in pair.items() if key != "differences"}
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
        return f"{self._caption()}\n{text_table(header, rows)}"

    def _repr_html_(self) -> str:
        header, rows = self._summary()
        return html_table(self._caption(), header, rows)


# ---- tables of it ----


def _table_of(records: Iterable[Dict[str, Any]]) -> Table:
    rows = list(records)
    header = list(rows[0]) if rows else []
    return header, [list(row.values()) for row in rows]


def _model_row(model: Dict[str, Any]) -> Dict[str, Any]:
    kept = ["sha256", "residual", "layers", "parameters", "macs"]
    kept += ["weights_bytes", "arena_bytes", "peak_rss_bytes", "load_ms"]
    judged = ("images", "top1", "top5", "cross_entropy", "calibration_error")
    row = {"title": model["title"], "file": model["model"]["file"]}
    row.update((key, model[key]) for key in judged)
    row["top1_low"], row["top1_high"] = model["top1_ci95"]
    row.update((f"latency_{key}_ms", model["latency_ms"][key]) for key in ("min", "median", "p99"))
    row.update((key, model[key]) for key in kept)
    return row


def _layers(model: Dict[str, Any]) -> List[Dict[str, Any]]:
    """The responses of the layers that the paper counts, in its order."""
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
        {"block": block["name"], **{k: v for k, v in block.items() if k != "name"}}
        for block in model["blocks"]
    ]


def _ablation_rows(model: Dict[str, Any]) -> List[Dict[str, Any]]:
    return list(model["lesions"]["removals"])


_MODEL_TABLES = {"layers": _layer_rows, "blocks": _block_rows, "ablations": _ablation_rows}


def _percent(share: Optional[float]) -> str:
    return "" if share is None else f"{100 * share:.2f}"


def _summary_row(model: Dict[str, Any]) -> List[Any]:
    low, high = model["top1_ci95"]
    single = next(
        (step["mean_top1"] for step in model["lesions"]["removals"] if step["removed"] == 1), None
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
    code: int  # negative: the signal that ended it
    output: bytes
    lines: List[str]  # of standard error


def _complaints(text: str) -> List[str]:
    """The lines that the program wrote to tell something; the bar, which it draws over
    and over, is none."""
    start = "resnet: "
    lines = [
        line.rpartition("\r\033[K")[2].rpartition("\r")[2]
        for line in text.replace("\r\n", "\n").splitlines()
    ]
    return [line[len(start) :] for line in lines if line.startswith(start)]


def _end(process: "Popen[bytes]") -> None:
    """SIGTERM first: the program holds it back while it writes a file."""
    process.terminate()
    try:
        process.wait(_SECONDS_TO_END)
    except TimeoutExpired:
        process.kill()
        process.wait()


def _communicate(
    command: Sequence[bytes], errors: Optional[int] = None
) -> Tuple[int, bytes, bytes]:
    """`errors`: a descriptor for standard error; None: it is the third that is returned."""
    try:
        process = Popen(
            command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE if errors is None else errors
        )
    except OSError as problem:
        raise SystemFailure(
            f"{os.fsdecode(command[0])} cannot be started: {problem}", Status.ERROR_SYSTEM
        ) from problem
    with process:
        try:
            output, text = process.communicate()
        except BaseException:
            _end(process)
            raise
    return process.returncode, output, text or b""


def _run_quietly(command: Sequence[bytes]) -> _Ended:
    code, output, text = _communicate(command)
    return _Ended(code, output, _complaints(text.decode("utf-8", "replace")))


def _show(terminal: int, into: "IO[str]", shown: List[bytes]) -> None:
    """All that the program writes, as it comes, until it has ended: a pseudo-terminal
    then fails to be read."""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            return
        if not part:
            return
        shown.append(part)
        into.write(part.decode("utf-8", "replace"))
        into.flush()


def _run_with_bar(command: Sequence[bytes]) -> _Ended:
    """The program draws its bar on terminals only: it gets one, whose text goes to
    sys.stderr, also in a notebook."""
    ours, its = os.openpty()
    shown: List[bytes] = []
    reader = threading.Thread(target=_show, args=(ours, sys.stderr, shown), daemon=True)
    try:
        reader.start()
        try:
            code, output, _ = _communicate(command, its)
        finally:
            os.close(its)
            reader.join()
    finally:
        os.close(ours)
    return _Ended(code, output, _complaints(b"".join(shown).decode("utf-8", "replace")))


# ---- what came of it ----


class _Request(NamedTuple):
    models: List[str]
    data: str
    outputs: List[str]  # report and tables
    settings: Dict[str, Any]  # that a Model would be opened with


def _about(line: str, subjects: Iterable[str]) -> bool:
    return any(line.startswith(subject) for subject in subjects)


def _why(request: _Request, line: str) -> Error:
    """The exception for what the program has failed with. Of a model that it cannot open
    this asks the library, which tells node, operator and attribute."""
    from ._model import Model

    for path in request.models:
        if not line.startswith(path):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                Model(path, **request.settings).close()
        except Error as problem:
            return problem
    if line.startswith("out of memory"):
        return OutOfMemoryError(line, Status.ERROR_MEMORY)
    if _about(line, request.outputs) or (
        line.startswith(request.data) and not os.path.exists(request.data)
    ):
        return FileError(line, Status.ERROR_IO)
    return ArgumentError(line, Status.ERROR_ARGUMENT)


def _document(output: bytes) -> Optional[Dict[str, Any]]:
    try:
        document = json.loads(output)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _result(request: _Request, ended: _Ended) -> Comparison:
    last = (
        ended.lines[-1]
        if ended.lines
        else f"resnet compare ended with {ended.code} and said nothing"
    )
    if ended.code < 0:
        raise SystemFailure(
            f"resnet compare was ended by signal {-ended.code}", Status.ERROR_SYSTEM
        )
    if ended.code == _EXIT_USAGE:
        raise ArgumentError(last, Status.ERROR_ARGUMENT)
    document = _document(ended.output)
    if document is None or ended.code not in (0, _EXIT_INPUT):
        raise _why(request, last)
    failures = document["errors"]
    if ended.code == _EXIT_INPUT and (not failures or _about(last, request.outputs)):
        raise _why(request, last)
    _warn(ended.lines[: len(ended.lines) - len(failures)], document)
    return Comparison(document)


def _warn(notes: Sequence[str], document: Dict[str, Any]) -> None:
    for line in notes:
        warn(line)
    failures = document["errors"]
    if failures:
        first = f"{failures[0]['file']}: {failures[0]['message']}"
        total = document["images"] + len(failures)
        text = f"{len(failures)} of {total} images could not be judged and count for no model, see ['errors']"
        warnings.warn(f"{text}; the first is {first}", UserWarning, stacklevel=4)


# ---- the door ----


def _path_of(model: "Union[PathLike, Model]") -> str:
    from ._model import Model

    path: Any = model.path if isinstance(model, Model) else model
    if path is None:
        raise ArgumentError(
            "a model that was opened from bytes has no file to compare: save it, and name that"
        )
    return os.fsdecode(path)


def _is_one(models: Any) -> bool:
    return isinstance(models, (str, bytes, os.PathLike)) or hasattr(models, "classify")


def _side(size: Union[int, Tuple[int, int]]) -> str:
    return str(size) if isinstance(size, int) else f"{size[0]}x{size[1]}"


def _options(named: Dict[str, Any]) -> List[bytes]:
    """`--name=value` of all that is given, so that no value is taken for an option."""
    words = []
    for name, value in named.items():
        if value is True:
            words.append(f"--{name}".encode())
        elif value is not None and value is not False:
            text = value if isinstance(value, (str, os.PathLike)) else str(value)
            words.append(f"--{name}=".encode() + encoded(text))
    return words


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
    """Compare any number of nets over the same labelled images: accuracy, where they
    differ, speed, how strong their layers respond, what each block adds to its shortcut,
    and what becomes of them without it.

    models: paths of ONNX or plan files, or Models, which count by their path, and by nothing else they were opened with.
    data: a folder, or a .zip of it, of <class>/<image>.
    ablation_images: images on which blocks are left out; 0: none; None: 1000.
    threads: 0: one for each processor. batch: images worked on at once; 0: chosen. Neither changes an answer.
    preprocess ("imagenet", ...), input_size, output, conv, memory, external_data: as
    Model has them, for all models.
    report: an HTML page to write, with all plots and tables. tables: a folder for data as CSV, and plots as SVG.
    progress: a bar on sys.stderr; None: where that is a terminal.

    This runs `resnet compare` as a process and returns its JSON. Other Python threads run
    meanwhile; an exception in this one, e.g. KeyboardInterrupt, ends the process, and no
    file is left half-written. What the program notes about the models is a ModelWarning;
    images that cannot be judged are listed under "errors", with a warning.

    Raises what Model raises for a model that cannot be opened; ArgumentError for options
    that can't be, and where classes of the data and of a model do not match; FileError
    for data that are not there, a report or tables that cannot be written;
    OutOfMemoryError; SystemFailure where the process was ended by others.
    """
    listed: Sequence[Any] = [models] if _is_one(models) else list(models)  # type: ignore[arg-type]
    if not listed:
        raise ArgumentError("there is no model to compare")
    if preprocess is not None and not isinstance(preprocess, str):
        raise ArgumentError("compare takes the name of a preprocessing, e.g. 'imagenet'")
    request = _Request(
        [_path_of(model) for model in listed],
        os.fsdecode(data),
        [os.fsdecode(path) for path in (report, tables) if path is not None],
        {
            "preprocess": preprocess,
            "input_size": input_size,
            "output": output,
            "conv": conv,
            "memory": memory,
            "external_data": external_data,
        },
    )
    options = {
        "data": data,
        "lesions": ablation_images,
        "threads": threads,
        "batch": batch,
        "preprocess": preprocess,
        "size": None if input_size is None else _side(input_size),
        "scores": output,
        "conv": conv,
        "memory": memory,
        "external-data": external_data,
        "report": report,
        "tables": tables,
        "json": True,
    }
    command = [
        os.fsencode(program()),
        b"compare",
        *_options(options),
        b"--",
        *map(encoded, request.models),
    ]
    with_bar = sys.stderr is not None and sys.stderr.isatty() if progress is None else progress
    return _result(request, _run_with_bar(command) if with_bar else _run_quietly(command))
