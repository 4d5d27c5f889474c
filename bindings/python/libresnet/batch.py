"""Classify any number of pictures into a Parquet file: `python -m libresnet.batch
INPUT... OUT.parquet`.

Resumable, exactly one row for each picture, the same bytes whatever threads,
interruptions or cluster made them.
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

from . import Error, Model, ModelWarning, Preprocess, __version__
from ._cpus import usable_cpus
from ._inputs import InputError, pictures
from ._parts import Parts, PartsError
from ._rows import Labeller, answer_columns, schema

__all__ = ["main"]

DESCRIPTION = """\
Classify pictures and write one row for each to OUT.parquet, sorted by path.

INPUT is a folder (all .jpg, .jpeg and .png below it, but hidden ones), a picture, a .zip (the same of its entries, named
archive.zip/entry), or @LIST, a text file with the path of one picture a line, as seen from the current folder. A picture
that is named twice has one row.

Columns: path, label, index (of the class), score (its probability), with -k above 1 the lists labels, indices, scores of the K
best classes, and error: null, or why the picture has no answer. A broken picture does not end the run."""
EPILOG = """\
A run that was interrupted, in any way, goes on when it is started again: finished pictures stand in OUT.parquet.parts/. So
does one whose INPUTs have grown since: only the new pictures are classified, and rows of others stay. Rows of another model,
or of other -k or --preprocess, are refused.

With --ray the pictures are read by the cluster's nodes: they need the same paths, e.g. a shared file system, and libresnet.

Exit status: 0 every picture has its row, with an answer or an error; 1 failed, or no picture at all could be classified;
2 wrong usage; 130 interrupted."""
# positions in Work's lists, and the columns of their answers
Answered = Tuple["NDArray[np.int64]", pa.Table]
Answers = Generator[Answered, None, None]
# pictures that Ray hands to an actor at a time: a multiple of batches, small beside the
# whole
MOST_IN_A_BLOCK = 256


class Paragraphs(argparse.HelpFormatter):
    """Wraps texts to the terminal, but keeps their paragraphs."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            textwrap.fill(" ".join(part.split()), width) for part in text.split("\n\n")
        )


class BatchError(Exception):
    """What ends a run."""


class Interrupted(BaseException):
    """A signal that asks to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclasses.dataclass
class Work:
    """What is to be classified and how."""

    model: Model
    k: int
    names: list[str]  # as the rows have them
    places: list[str]  # where the pictures are
    threads: int  # pictures that are worked on at once; 0: as many as there are CPUs
    batch: int


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m libresnet.batch",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=Paragraphs,
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="folder, picture, .zip or @LIST")
    parser.add_argument(
        "out", type=Path, metavar="OUT.parquet", help="what is written; its folder must exist"
    )
    parser.add_argument(
        "-m",
        "--model",
        metavar="FILE",
        help="ONNX or plan file (default: the CIFAR-10 net that is built in)",
    )
    parser.add_argument(
        "-k",
        type=positive,
        default=5,
        metavar="K",
        help="classes for each picture; more than there are means all (default: %(default)s)",
    )
    parser.add_argument(
        "--batch",
        type=positive,
        default=32,
        metavar="B",
        help="pictures that are worked on together; no answer depends on it (default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=positive,
        default=0,
        metavar="N",
        help="CPUs to use, of this machine or of the cluster; no answer depends on it (default: all)",
    )
    parser.add_argument(
        "--preprocess",
        metavar="NAME",
        help="imagenet, imagenet-v2, cifar10, keras-caffe, keras-tf or none (default: the model's own)",
    )
    parser.add_argument(
        "--resize",
        type=pixels,
        metavar="S|none",
        help="scale the shorter side of a picture to S pixels",
    )
    parser.add_argument(
        "--crop", type=pixels, metavar="C|none", help="then cut out the centre, C x C pixels"
    )
    parser.add_argument(
        "--size",
        type=size,
        metavar="S|HxW",
        help="the net's input, S x S or H x W pixels, instead of the file's own",
    )
    parser.add_argument(
        "--external-data",
        action="store_true",
        help="the model's weights may lie in files beside it",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run on a Ray cluster: HOST:PORT, auto (the one of this machine), or "
        "local (one that is started for this run)",
    )
    parser.add_argument(
        "--part-rows",
        type=positive,
        default=10_000,
        metavar="N",
        help="finished pictures that a kill may cost at most, or those of 20 s (default: %(default)s)",
    )
    parser.add_argument(
        "--retry-errors", action="store_true", help="classify pictures again whose row has an error"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="begin anew, whatever OUT.parquet and its parts hold",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress and no summary")
    options = parser.parse_args(arguments)
    if options.out.suffix != ".parquet":  # `batch a.jpg b.jpg` must not write over b.jpg
        parser.error(
            f"the last argument is {options.out}: it names the file to write and must end in .parquet"
        )
    return options


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def pixels(text: str) -> int:
    return 0 if text == "none" else positive(text)


def size(text: str) -> int | tuple[int, int]:
    height, cross, width = text.partition("x")
    return (positive(height), positive(width)) if cross else positive(height)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    options = parse_arguments(arguments)
    try:
        with stopped_by_signals():
            return classify_all(options)
    except (InputError, PartsError, BatchError, Error, OSError, ImportError) as error:
        say(str(error))
        return 1
    except Interrupted as stop:
        parts = f"{options.out}.parts"
        said = (
            f"run it again to go on from what {parts} holds"
            if os.path.isdir(parts)
            else "nothing was finished yet"
        )
        say(f"interrupted: {said}")
        return 128 + stop.number


def classify_all(options: argparse.Namespace) -> int:
    if not options.out.absolute().parent.is_dir():
        raise BatchError(f"{options.out}: its folder is not there: make it first")
    found = pictures(options.inputs)
    if not found:
        raise BatchError("no .jpg, .jpeg or .png among the inputs")
    with open_model(options) as model, warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)  # open_model has told of all there are
        k = min(options.k, model.classes)
        columns = pa.schema([pa.field("path", pa.string()), *schema(k)])
        parts = Parts(options.out, columns, made_by(model, k), options.part_rows, options.overwrite)
        try:
            finished = parts.finished(options.retry_errors)
            names = [name for name in found if name not in finished]
            work = Work(
                model, k, names, [found[name] for name in names], options.threads, options.batch
            )
            return run(work, parts, options, len(found))
        finally:
            parts.close()


def open_model(options: argparse.Namespace) -> Model:
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always", ModelWarning)
        model = Model(options.model, preprocess=preprocess_of(options), **model_options(options))
    for doubt in dict.fromkeys(str(doubt.message) for doubt in doubts):
        say(doubt)
    if model.info.preprocess_source == "guessed":
        name = model.preprocess._preset_name()  # another preset's crop would not fit
        advice = f". Name it to be sure: --preprocess {name}" if name else ""
        say(f"how pictures are prepared is guessed: {model.preprocess}{advice}")
    return model


def model_options(options: argparse.Namespace) -> dict[str, Any]:
    return {"input_size": options.size, "external_data": options.external_data}


def preprocess_of(options: argparse.Namespace) -> Preprocess | None:
    """What is named; what is not is the model's own."""
    changes = {
        name: side for name in ("resize", "crop") if (side := getattr(options, name)) is not None
    }
    if options.preprocess is not None:
        return dataclasses.replace(Preprocess.preset(options.preprocess), **changes)
    if not changes:
        return None
    with Model(options.model, **model_options(options)) as model:
        return dataclasses.replace(model.preprocess, **changes)


def made_by(model: Model, k: int) -> dict[str, Any]:
    """What the rows depend on."""
    digest = hashlib.sha256()
    assert model.path is not None  # it was opened from a file
    with open(model.path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    preprocess = json.dumps(dataclasses.asdict(model.preprocess), default=str)
    return {
        "model_sha256": digest.hexdigest(),
        "k": k,
        "preprocess": preprocess,
        "version": __version__,
    }


def run(work: Work, parts: Parts, options: argparse.Namespace, total: int) -> int:
    if not work.names and parts.nothing_to_merge():
        parts.remove()
        tell(options, f"{options.out} is complete: it has all {total} pictures")
        return 0
    start = time.monotonic()
    errors = 0
    progress = Progress(total, total - len(work.names), not options.quiet)
    try:
        # A run that ended just before its parts were merged has no work for a cluster.
        answers_of = on_ray(work, options.ray) if options.ray and work.names else locally(work)
        with contextlib.closing(answers_of) as answers:
            for rows in once_each(work, answers):
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
    count = len(work.names)
    tell(
        options,
        f"{options.out}: {total} pictures, {count} of them in this run "
        f"({count / max(seconds, 1e-9):.1f} pictures/s)",
    )
    if errors:
        say(f"{errors} of {count} pictures could not be classified: see the column error")
    return 1 if errors and errors == count else 0


def once_each(work: Work, answers: Answers) -> Iterator[pa.Table]:
    """Rows with their paths: each picture's first answer, whatever may come again; every
    picture has one at the end."""
    left = np.ones(len(work.names), bool)
    for positions, columns in answers:
        fresh = left[positions]
        left[positions] = False
        paths = pa.array([work.names[position] for position in positions], pa.string())
        yield columns.add_column(0, pa.field("path", pa.string()), paths).filter(pa.array(fresh))
    if left.any():
        raise BatchError(
            f"{int(left.sum())} of {len(left)} pictures came back without an answer: run it again"
        )


def locally(work: Work) -> Answers:
    """Threads with a session of one thread each: decoding and running release the
    interpreter's lock."""
    threads = work.threads or usable_cpus()
    own = threading.local()

    def answer(start: int) -> Answered:
        if not hasattr(own, "labeller"):
            own.labeller = Labeller(work.model, work.k, 1, work.batch)
            labellers.append(own.labeller)
        places = work.places[start : start + work.batch]
        return np.arange(start, start + len(places)), answer_columns(own.labeller(places), work.k)

    labellers: list[Labeller] = []
    pool = ThreadPoolExecutor(threads, "classify")
    try:
        waiting: set[Future[Answered]] = set()
        for start in range(0, len(work.places), work.batch):
            if len(waiting) >= 2 * threads:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
            waiting.add(pool.submit(answer, start))
        yield from (future.result() for future in as_completed(waiting))
    finally:
        pool.shutdown(cancel_futures=True)
        for labeller in labellers:
            labeller.close()


def on_ray(work: Work, address: str) -> Answers:
    """Actors of one CPU each, on whatever nodes there are. Ray Data works a block again
    whose actor or node died."""
    try:
        connect(address, work.threads)
        import ray

        from . import ray as cluster
    except ImportError as error:
        raise BatchError(f"--ray needs {error.name}: pip install 'libresnet[ray]'") from error

    try:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        actors = work.threads or int(resources.get("CPU", 1))
        plan = cluster.ship(work.model)
        portions = blocks(work, actors)
        answers = ray.data.from_arrow(portions).map_batches(
            cluster.Classifier,
            fn_constructor_kwargs={"model": plan, "k": work.k, "batch": work.batch},
            compute=ray.data.ActorPoolStrategy(size=min(actors, len(portions))),
            num_cpus=1,
            batch_size=work.batch,
        )
        block: pa.Table
        for block in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
            yield block["position"].to_numpy(), block.drop_columns(["position", "path"])
    except ray.exceptions.RayError as error:
        raise BatchError(f"Ray: {str(error).strip().splitlines()[-1]}") from error
    finally:
        ray.shutdown()


def connect(address: str, cpus: int) -> None:
    # What Ray would say on standard error is of Ray's insides; whoever wants it sets
    # these.
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "ERROR")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    import ray.data

    more: dict[str, Any] = {}
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "/" not in host:
        try:  # Ray itself tries for minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise BatchError(f"--ray {address}: {error}") from error
    if address == "local":
        # a cluster of one's own needs no word sent to anybody
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        more = {"include_dashboard": False, "num_cpus": cpus or usable_cpus()}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **more)
    except (RuntimeError, ValueError, ConnectionError) as error:
        raise BatchError(f"--ray {address}: {error}") from error
    ray.data.DataContext.get_current().enable_progress_bars = False


def blocks(work: Work, actors: int) -> list[pa.Table]:
    """The pictures' places in portions that are fetched, worked and, where an actor dies,
    repeated as a whole."""
    fair = -(-len(work.places) // (4 * actors))
    size = work.batch * max(1, min(MOST_IN_A_BLOCK, fair) // work.batch)
    # Not abspath: an archive's entry may be named ./a.jpg, and nothing else finds it.
    places = [os.fsencode(os.path.join(os.getcwd(), place)) for place in work.places]
    return [
        pa.table(
            {
                "position": np.arange(start, min(start + size, len(places))),
                "path": pa.array(places[start : start + size], pa.binary()),
            }
        )
        for start in range(0, len(places), size)
    ]


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02} min"
        if hours
        else f"{minutes} min {rest:02} s"
        if minutes
        else f"{rest} s"
    )


class Progress:
    """A bar on stderr with rate and time left, where that is a terminal."""

    def __init__(self, total: int, done: int, wanted: bool) -> None:
        self._total, self._done, self._before = total, done, done
        self._shown = wanted and total > 0 and sys.stderr.isatty()
        self._start = time.monotonic()
        self._drawn = 0.0

    def advance(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if self._shown and now - self._drawn >= 0.1:
            self._drawn = now
            rate = (self._done - self._before) / (now - self._start)
            left = (self._total - self._done) / rate if rate else 0
            bar = "#" * (24 * self._done // self._total)
            print(
                f"\r\033[K{100 * self._done // self._total:3} % [{bar:24}] {self._done}/{self._total} pictures, "
                f"{rate:.{0 if rate >= 10 else 1}f}/s, {duration(left)} left",
                end="",
                file=sys.stderr,
                flush=True,
            )

    def finish(self) -> None:
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    def stop(number: int, _: FrameType | None) -> NoReturn:
        raise Interrupted(number)

    # Python takes signals there only
    on_main = threading.current_thread() is threading.main_thread()
    before = {
        number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM) if on_main
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell(options: argparse.Namespace, text: str) -> None:
    if not options.quiet:
        say(text)


def say(text: str) -> None:
    print(f"batch: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
