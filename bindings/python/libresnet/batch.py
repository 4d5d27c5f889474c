"""Classify any number of images into a Parquet file:
`python -m libresnet.batch INPUT... OUT.parquet`.

A run can be resumed and writes exactly one row per image. The bytes of the file do not
depend on threads, interruptions or the cluster.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import signal
import socket
import sys
import textwrap
import threading
import time
import warnings
from argparse import SUPPRESS
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Tuple

import numpy as np
from numpy.typing import NDArray

try:
    import pyarrow as pa
except ImportError as missing:
    needed = f"libresnet.batch needs {missing.name}: pip install 'libresnet[batch]'"
    if __name__ == "__main__":
        sys.exit(f"batch: {needed}")
    raise ImportError(needed) from missing

from . import ArgumentError, Error, Model, ModelWarning, Preprocess, __version__
from ._cpus import usable_cpus
from ._inputs import InputError, images
from ._mask import masked
from ._parts import Parts, PartsError
from ._progress import ProgressBar
from ._rows import Labeller, answer_columns, schema

__all__ = ["main"]

DESCRIPTION = """\
Classify images and write one row for each to OUT.parquet, sorted by path.

INPUT is a folder (all .jpg, .jpeg and .png files below it, except hidden ones), an image,
a .zip (its entries likewise, named archive.zip/entry), or @LIST, a text file with one
image path per line, relative to the current folder. An image that is named twice has one
row.

Columns: path, label, index (of the class), score (its probability); with -k above 1 also
the lists labels, indices and scores of the K best classes; and error: null, or the reason
why the image has no prediction. A broken image does not end the run."""
EPILOG = """\
An interrupted run continues when it is started again: the rows of finished images are in
OUT.parquet.parts/. A run with more INPUTs than before classifies only the new images and
keeps all rows. Rows of another model, -k or --preprocess are refused.

With --ray, the nodes of the cluster read the images: they need the same paths, e.g. a
shared file system, and libresnet.

Exit status: 0 every image has its row, with a prediction or an error; 1 failed, or no
image at all could be classified; 2 wrong usage; 130 interrupted."""
# positions in Task's lists, and the columns of their answers
Answered = Tuple["NDArray[np.int64]", pa.Table]
Answers = Generator[Answered, None, None]
# Images that Ray gives to an actor at a time: a multiple of batches, small compared to
# the whole run.
MAX_BLOCK_IMAGES = 256


class Paragraphs(argparse.HelpFormatter):
    """Wraps text to the width of the terminal, paragraph by paragraph."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            textwrap.fill(" ".join(part.split()), width) for part in text.split("\n\n")
        )


class BatchError(Exception):
    """An error that ends the run."""


class Interrupted(BaseException):
    """A signal asked the run to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclasses.dataclass
class Task:
    """The images of a run, and the way to classify them."""

    model: Model
    k: int
    names: list[str]  # of the images in the rows
    places: list[str]  # paths of the images
    threads: int  # 1 to 256; 0: one per CPU
    batch: int  # images per call


def add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="folder, image, .zip or @LIST")
    parser.add_argument(
        "out", type=Path, metavar="OUT.parquet", help="file to write; its folder must exist"
    )
    parser.add_argument(
        "-m",
        "--model",
        metavar="FILE",
        help="ONNX or plan file (default: the built-in CIFAR-10 model)",
    )
    parser.add_argument(
        "-k",
        type=positive,
        default=5,
        metavar="K",
        help="classes per image; more than there are means all (default: %(default)s)",
    )


def add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch",
        type=positive,
        default=32,
        metavar="B",
        help="images per batch; does not change a prediction (default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=positive,
        default=0,
        metavar="N",
        help="CPUs to use, of this machine or the cluster; does not change a prediction "
        "(default: all)",
    )
    parser.add_argument(
        "--scores",
        metavar="NAME",
        help="tensor of the graph with the scores (default: the only output)",
    )
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="names of the classes: one a line, or JSON (default: the model's own)",
    )
    parser.add_argument(
        "--size",
        type=size,
        metavar="S|HxW",
        help="size of the model's input, S x S or H x W pixels (default: the file's own)",
    )
    parser.add_argument(
        "--external-data",
        action="store_true",
        help="allow weights in files beside the model",
    )


def add_preprocess_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--preprocess",
        metavar="NAME",
        help="a preset, e.g. imagenet, or keras-caffe for Keras's ResNets; a wrong name lists all "
        "(default: the model's own)",
    )
    # Absent if not given; what is given replaces that part of the preset.
    group = parser.add_argument_group("parts of the preprocessing", argument_default=SUPPRESS)
    group.add_argument("--fit", choices=("crop", "stretch"), help="keep the aspect ratio, or not")
    group.add_argument("--filter", choices=("bilinear", "bicubic", "nearest"))
    group.add_argument(
        "--resize", type=size_or_none, metavar="S|HxW|none", help="size to scale an image to"
    )
    group.add_argument(
        "--crop", type=size_or_none, metavar="C|HxW|none", help="size of the centre that is cut out"
    )
    group.add_argument("--order", choices=("rgb", "bgr", "grey"), help="order of the channels")
    group.add_argument("--scale", type=float, metavar="S", help="pixel value that becomes 1")
    group.add_argument("--mean", type=numbers, metavar="M|A,B,C", help="in units of pixel / scale")
    group.add_argument("--std", type=numbers, metavar="D|A,B,C", help="likewise")


PARTS = ("fit", "filter", "resize", "crop", "order", "scale", "mean", "std")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run on a Ray cluster: HOST:PORT, auto (that of this machine), or "
        "local (a new one for this run)",
    )
    parser.add_argument(
        "--part-rows",
        type=positive,
        default=10_000,
        metavar="N",
        help="images that a kill loses at most, or those of 20 s (default: %(default)s)",
    )
    parser.add_argument(
        "--retry-errors", action="store_true", help="classify images with an error again"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="start over, and drop the rows of OUT.parquet and its parts",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress and no summary")


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m libresnet.batch",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=Paragraphs,
    )
    add_files(parser)
    add_model_options(parser)
    add_preprocess_options(parser)
    add_run_options(parser)
    # Options may stand between the inputs and behind them.
    options = parser.parse_intermixed_args(arguments)
    if options.preprocess is not None:
        try:
            Preprocess.preset(options.preprocess)
        except ArgumentError as error:
            parser.error(f"argument --preprocess: {error}")
    if options.out.suffix != ".parquet":  # `batch a.jpg b.jpg` must not write over b.jpg
        parser.error(
            f"the last argument is {options.out}: "
            "it names the file to write and must end in .parquet"
        )
    return options


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def size_or_none(text: str) -> int | tuple[int, int] | None:
    return None if text == "none" else size(text)


def numbers(text: str) -> tuple[float, ...]:
    values = tuple(map(float, text.split(",")))
    if len(values) not in (1, 3):
        raise ValueError
    return values * (3 // len(values))


def size(text: str) -> int | tuple[int, int]:
    height, cross, width = text.partition("x")
    return (positive(height), positive(width)) if cross else positive(height)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = parse_arguments(arguments)
    try:
        with stopped_by_signals():
            return classify_all(options)
    except (InputError, PartsError, BatchError, Error, OSError, ImportError) as error:
        log(str(error))
        return 1
    except Interrupted as stop:
        parts = f"{options.out}.parts"
        advice = f"run it again to continue from {parts}" if os.path.isdir(parts) else ""
        log(f"interrupted: {advice or 'nothing was finished yet'}")
        return 128 + stop.number


def classify_all(options: argparse.Namespace) -> int:
    if not options.out.absolute().parent.is_dir():
        raise BatchError(f"{options.out}: its folder does not exist: make it first")
    found = images(options.inputs)
    if not found:
        raise BatchError("no .jpg, .jpeg or .png among the inputs")
    with open_model(options) as model, warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)  # open_model logs them
        if not model.classes:
            raise BatchError(
                f"{model.name or options.model} has no classes: its output is an embedding. "
                "Name a tensor with scores of classes: --scores NAME"
            )
        k = min(options.k, model.classes)
        columns = pa.schema([pa.field("path", pa.string()), *schema(k)])
        parts = Parts(
            options.out,
            columns,
            made_by(model, k, options.scores),
            options.part_rows,
            options.overwrite,
        )
        try:
            finished = parts.finished(options.retry_errors)
            names = [name for name in found if name not in finished]
            task = Task(
                model, k, names, [found[name] for name in names], options.threads, options.batch
            )
            return run(task, parts, options, len(found))
        finally:
            parts.close()


def open_model(options: argparse.Namespace) -> Model:
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always", ModelWarning)
        model = Model(options.model, preprocess=preprocess_of(options), **model_options(options))
    for doubt in dict.fromkeys(str(doubt.message) for doubt in doubts):
        log(doubt)
    if model.info.preprocess_source == "guessed":
        name = model.preprocess._preset_name()  # None: no preset has this crop
        advice = f". To be sure, name it: --preprocess {name}" if name else ""
        log(f"the preprocessing of images is guessed: {model.preprocess}{advice}")
    return model


def model_options(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "input_size": options.size,
        "external_data": options.external_data,
        "output": options.scores,
        "labels": options.labels,
    }


def preprocess_of(options: argparse.Namespace) -> Preprocess | None:
    """Return the preprocessing of the options; unnamed parts are the model's own."""
    changes = {name: value for name, value in vars(options).items() if name in PARTS}
    if "order" in changes:
        changes["order"] = changes["order"].upper()
    if options.preprocess is not None:
        return changed(Preprocess.preset(options.preprocess), changes)
    if not changes:
        return None
    with Model(options.model, **model_options(options)) as model:
        return changed(model.preprocess, changes)


def changed(preprocess: Preprocess, changes: dict[str, Any]) -> Preprocess:
    """Return a preprocessing with other parts. As in the program, stretching goes to the
    input's size, unless sizes are given."""
    if changes.get("fit") == "stretch" and preprocess.fit != "stretch":
        changes = {"resize": 0, "crop": 0, "resize_ratio": 1.0, **changes}
    return dataclasses.replace(preprocess, **changes)


def given_labels(model: Model) -> tuple[str, ...] | None:
    """Return the labels of the options; None: the file's."""
    return model.labels if model.labels_source == "options" else None


def made_by(model: Model, k: int, output: str | None) -> dict[str, Any]:
    """Return the origin of the rows: all that they depend on, with the keys MADE_BY."""
    digest = hashlib.sha256()
    assert model.path is not None  # it was opened from a file
    with open(model.path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    preprocess = json.dumps(dataclasses.asdict(model.preprocess), default=str)
    named = given_labels(model)
    others = {"labels": named, "scores": output}
    return {
        "model_sha256": digest.hexdigest(),
        "k": k,
        "options": json.dumps(others) if named or output else "",
        "preprocess": preprocess,
        "version": __version__,
    }


def run(task: Task, parts: Parts, options: argparse.Namespace, total: int) -> int:
    if not task.names and parts.nothing_to_merge():
        parts.remove()
        log_unless_quiet(options, f"{options.out} is complete: it has all {total} images")
        return 0
    start = time.monotonic()
    errors = 0
    shown = not options.quiet and sys.stderr.isatty()
    progress = ProgressBar(total, "images", total - len(task.names), shown)
    try:
        # After an interruption just before the merge, no image is left for a cluster.
        answers_of = on_ray(task, options.ray) if options.ray and task.names else locally(task)
        with contextlib.closing(answers_of) as answers:
            for rows in once_each(task, answers):
                parts.add(rows)
                errors += len(rows) - rows["error"].null_count
                progress.advance(len(rows))
    except (Exception, Interrupted):
        parts.save()
        raise
    finally:
        progress.finish()
    seconds = time.monotonic() - start
    parts.merge()
    count = len(task.names)
    log_unless_quiet(
        options,
        f"{options.out}: {total} images, {count} of them in this run "
        f"({count / max(seconds, 1e-9):.1f} images/s)",
    )
    if errors:
        log(f"{errors} of {count} images could not be classified: see the column error")
    return 1 if errors and errors == count else 0


def once_each(task: Task, answers: Answers) -> Iterator[pa.Table]:
    """Yield rows with their paths: the first answer for each image, without repetitions.
    Raises BatchError if an image has none at the end."""
    left = np.ones(len(task.names), bool)
    for positions, columns in answers:
        fresh = left[positions]
        left[positions] = False
        paths = pa.array([task.names[position] for position in positions], pa.string())
        yield columns.add_column(0, pa.field("path", pa.string()), paths).filter(pa.array(fresh))
    if left.any():
        raise BatchError(f"{int(left.sum())} of {len(left)} images have no answer: run it again")


def locally(task: Task) -> Answers:
    """Classify on threads with a session of one thread each. Decoding and running release
    the GIL."""
    threads = task.threads or usable_cpus()
    own = threading.local()

    def answer(start: int) -> Answered:
        if not hasattr(own, "labeller"):
            own.labeller = Labeller(task.model, task.k, 1, task.batch)
            labellers.append(own.labeller)
        places = task.places[start : start + task.batch]
        return np.arange(start, start + len(places)), answer_columns(own.labeller(places), task.k)

    labellers: list[Labeller] = []
    pool = ThreadPoolExecutor(threads, "classify")
    try:
        waiting: set[Future[Answered]] = set()
        for start in range(0, len(task.places), task.batch):
            if len(waiting) >= 2 * threads:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
            waiting.add(pool.submit(answer, start))
        yield from (future.result() for future in as_completed(waiting))
    finally:
        pool.shutdown(cancel_futures=True)
        for labeller in labellers:
            labeller.close()


def on_ray(task: Task, address: str) -> Answers:
    """Classify on the nodes of a cluster with actors of one CPU each. Ray Data repeats a
    block whose actor or node died."""
    try:
        connect(address, task.threads)
        import ray

        from . import ray as cluster
    except ImportError as error:
        raise BatchError(f"--ray needs {error.name}: pip install 'libresnet[ray]'") from error

    try:
        resources: dict[str, float]
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        actors = task.threads or int(resources.get("CPU", 1))
        plan = cluster.ship(task.model)
        tables = blocks(task, actors)
        answers = ray.data.from_arrow(tables).map_batches(
            cluster.Classifier,
            fn_constructor_kwargs={
                "model": plan,
                "k": task.k,
                "batch": task.batch,
                "labels": given_labels(task.model),
            },
            compute=ray.data.ActorPoolStrategy(size=min(actors, len(tables))),
            num_cpus=1,
            batch_size=task.batch,
        )
        block: pa.Table
        for block in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
            yield block["position"].to_numpy(), block.drop_columns(["position", "path"])
    except ray.exceptions.RayError as error:
        raise BatchError(f"Ray: {str(error).strip().splitlines()[-1]}") from error
    finally:
        ray.shutdown()


def connect(address: str, cpus: int) -> None:
    # Hide Ray's internal messages, unless the user has set these variables.
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "ERROR")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    import ray.data

    more: dict[str, Any] = {}
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "/" not in host:
        try:  # Ray itself would try for minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise BatchError(f"--ray {address}: {error}") from error
    if address == "local":
        # Send no usage statistics from a private cluster.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        more = {"include_dashboard": False, "num_cpus": cpus or usable_cpus()}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **more)
    except (RuntimeError, ValueError, ConnectionError) as error:
        raise BatchError(f"--ray {address}: {error}") from error
    ray.data.DataContext.get_current().enable_progress_bars = False


def blocks(task: Task, actors: int) -> list[pa.Table]:
    """Return the images' positions and paths in blocks. A block is fetched, classified
    and, if an actor dies, repeated as a whole."""
    fair = -(-len(task.places) // (4 * actors))
    size = task.batch * max(1, min(MAX_BLOCK_IMAGES, fair) // task.batch)
    # Not abspath: an archive's entry may be named ./a.jpg, and must keep that name.
    places = [os.fsencode(os.path.join(os.getcwd(), place)) for place in task.places]
    return [
        pa.table(
            {
                "position": np.arange(start, min(start + size, len(places))),
                "path": pa.array(places[start : start + size], pa.binary()),
            }
        )
        for start in range(0, len(places), size)
    ]


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    def stop(number: int, _: FrameType | None) -> NoReturn:
        raise Interrupted(number)

    # Python handles signals on the main thread only.
    on_main = threading.current_thread() is threading.main_thread()
    before = {
        number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM) if on_main
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def log_unless_quiet(options: argparse.Namespace, text: str) -> None:
    if not options.quiet:
        log(text)


def log(text: str) -> None:
    print(f"batch: {masked(text)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
