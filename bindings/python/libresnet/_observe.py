"""Model.observe: statistics of every layer's responses, gathered by parallel sessions.

Sums of responses are rounded, so their order matters. As in `resnet compare`, images are
cut into chunks whose size depends only on the number of images. One worker processes a
chunk, with its own table, and the tables are merged in the order of the chunks. So the
numbers equal the program's to the bit, for any threads and batch.
"""

from __future__ import annotations

import ctypes
import queue
import threading
import weakref
from contextlib import suppress
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import numpy.typing as npt

from . import _extras, _structs
from ._core import Core
from ._cpus import worker_count
from ._images import is_one_image, iterator_of, reading
from ._library import check, python_library
from ._mask import masked
from ._plan import Op, Plan, html_table, text_table
from ._session import POINTS, AblationSpec, Response, Session

_PERCENTILES = (1, 25, 50, 75, 99)
_CACHE_BYTES = 1 << 20  # of a core's private cache: the activations of a batch should fit
_MAX_BATCH = 8
_HELD_BYTES = 64 << 20  # of decoded images, per worker
_MANY = ctypes.c_size_t(-1).value  # an unknown number of images
_POINT_CODES = {name: code for code, name in POINTS.items()}

Place = Tuple[int, str]  # index of an op, point


# ---- the result ----


class Responses:
    """Statistics of the responses of one model, a row each.

    Attributes:
    array: a NumPy structured array with the columns below.
    model: the model's name.
    images: the number of images.

    Columns:
    op: index into model.plan.
    name, tensor, kernel: of the op: its name, the tensor that it computes, its kernel.
    point: "response": of a layer, after batch normalisation, before ReLU and addition.
        "shortcut": the tensor that is added to a block's residual branch.
        "output": of the op, after ReLU and addition. That of a block's last op is the
        block's output.
        "class map": the class scores at each pixel, before global pooling.
    block: the block's name, e.g. "stage2.block1", or "".
    layer: number among the layers that the paper counts, from 1; 0: not counted.
    height, width, channels: of one response.
    values: their number, over all images, pixels and channels.
    mean, std, min, max: of all values; std is the population's.
    p1, p25, p50, p75, p99: percentiles, accurate to 1/64; of large responses they are
        computed from a sample of the values.
    negative: share of values up to 0, which a ReLU would make 0; from 0 to 1.
    dead: channels that are never above 0, in any pixel of any image.

    The rows have the order of `resnet compare --json`: first the layers, then for each
    block the end of the residual branch (if it is not a layer), the shortcut and the
    output. Floats are NaN without images. responses["std"] is a column, responses[0] a
    row, responses[mask] an array of rows. Treat it as immutable. It can be pickled.
    """

    def __init__(self, array: npt.NDArray[Any], model: str, images: int, residual: bool) -> None:
        self.array = array
        self.model = model
        self.images = images
        self._residual = residual

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, key: Any) -> Any:
        return self.array[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.array)

    def __array__(
        self, dtype: Optional[npt.DTypeLike] = None, copy: Optional[bool] = None
    ) -> npt.NDArray[Any]:
        return np.array(self.array, dtype=dtype) if copy else np.asarray(self.array, dtype=dtype)

    @property
    def layers(self) -> npt.NDArray[Any]:
        """The rows of the layers that the paper counts, in the paper's order."""
        rows: npt.NDArray[Any] = self.array[
            (self.array["layer"] > 0) & (self.array["point"] == "response")
        ]
        rows = rows[np.argsort(rows["layer"], kind="stable")]
        return rows

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame, one row per response. Raises ImportError without
        pandas."""
        return _extras.pandas("Responses.to_pandas").DataFrame.from_records(self.array)

    def plot(self) -> Any:
        """Return a matplotlib Figure like Fig. 7 of "Deep Residual Learning": the
        standard deviation of each layer's response, in the order of the layers and
        sorted. As in the paper, plain networks are dashed and the final fully
        connected layer is left out. Raises ImportError without matplotlib."""
        pyplot = _extras.pyplot("Responses.plot")
        figure, panels = pyplot.subplots(1, 2, figsize=(10, 4), constrained_layout=True)
        layers = self.layers
        ends_connected = len(layers) > 0 and layers[-1]["height"] == layers[-1]["width"] == 1
        deviations = layers["std"][: len(layers) - int(ends_connected)].tolist()
        _extras.plot_deviations(panels[0], panels[1], deviations, self.model, self._residual)
        _extras.label_deviations(panels[0], panels[1])
        return figure

    _SHOWN = (
        "layer",
        "name",
        "point",
        "block",
        "channels",
        "mean",
        "std",
        "min",
        "max",
        "p50",
        "negative",
        "dead",
    )

    def _rows(self) -> List[List[Any]]:
        columns = [self.array[name].tolist() for name in self._SHOWN]
        columns[0] = [layer or None for layer in columns[0]]
        return [list(row) for row in zip(*columns)]

    def _caption(self) -> str:
        return f"{self.model}: {len(self)} responses over {self.images:,} images"

    def __repr__(self) -> str:
        return f"{masked(self._caption())}\n{text_table(self._SHOWN, self._rows())}"

    def _repr_html_(self) -> str:
        return html_table(self._caption(), self._SHOWN, self._rows())


# ---- which responses ----


class _Point(NamedTuple):
    """A response that a run computes."""

    op: Op
    point: str
    height: int
    width: int
    channels: int


def _computed(session: Session, shape: Tuple[int, int, int]) -> Dict[Place, _Point]:
    """Run the session once, with its ablations, and return the responses that it
    computes."""
    computed: Dict[Place, _Point] = {}

    def note(response: Response) -> None:
        _, height, width, channels = response.data.shape
        computed[response.op.index, response.point] = _Point(
            response.op, response.point, height, width, channels
        )

    session.observe(note, copy=False)
    session.run(np.zeros((1, *shape), np.float32), layout="NHWC")
    session.observe(None)
    return computed


def _branch_end(plan: Plan, last: int, shortcut: str) -> Optional[Place]:
    """Return the end of a block's residual branch, just before the addition: the response
    of the op that adds, if that is a layer, else the output of its first input."""
    if plan[last].layer is not None:
        return last, "response"
    return None if shortcut == "none" else (plan[last].inputs[0], "output")


def _places(plan: Plan) -> Dict[Place, Optional[int]]:
    """Return the places that `resnet compare` gathers, in its order, each with its
    block."""
    places: Dict[Place, Optional[int]] = {
        (op.index, "response"): op.block for op in plan if op.layer is not None
    }
    for block in plan.blocks:
        end = _branch_end(plan, block.last_op, block.shortcut)
        if end is not None:
            places.setdefault(end, block.index)
        if block.shortcut != "none":
            places.setdefault((block.last_op, "shortcut"), block.index)
        places.setdefault((block.last_op, "output"), block.index)
    return places


# ---- tables ----


class _Table:
    """A resnet_python_table."""

    def __init__(self, points: List[_Point]) -> None:
        self._library = python_library()
        self._count = len(points)
        self._error = _structs.ErrorStruct()
        self.pointer = ctypes.c_void_p()
        places = (_structs.PythonPlaceStruct * self._count)(
            *(
                _structs.PythonPlaceStruct(one.op.index, _POINT_CODES[one.point], one.channels)
                for one in points
            )
        )
        self._check("open", places, self._count, ctypes.byref(self.pointer))
        self._finalizer = weakref.finalize(
            self, self._library.resnet_python_table_close, ctypes.byref(self.pointer)
        )
        self._finalizer.atexit = False

    def _check(self, what: str, *arguments: Any) -> None:
        check(
            getattr(self._library, f"resnet_python_table_{what}")(
                *arguments, ctypes.byref(self._error)
            ),
            self._error,
        )

    def clear(self, following: int) -> None:
        self._library.resnet_python_table_clear(self.pointer, following)

    def merge(self, other: _Table) -> None:
        self._check("merge", self.pointer, other.pointer)

    def rows(self) -> npt.NDArray[Any]:
        rows = (_structs.PythonRowStruct * self._count)()
        self._check("rows", self.pointer, rows, self._count)
        table: npt.NDArray[Any] = np.ctypeslib.as_array(rows).copy()
        return table

    def observe(self, session: Session) -> None:
        """Let the session add its responses to this table, in C, without calling
        Python."""
        with session._turn():
            session._set_observer(self._library.resnet_python_table_observe, self.pointer)


def _assemble(
    plan: Plan, points: List[_Point], blocks: List[Optional[int]], rows: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    texts: Dict[str, List[str]] = {
        "name": [one.op.name for one in points],
        "tensor": [one.op.output for one in points],
        "kernel": [one.op.kernel for one in points],
        "point": [one.point for one in points],
        "block": ["" if block is None else plan.blocks[block].name for block in blocks],
    }
    numbers: Dict[str, Any] = {
        "layer": [(one.op.layer or 0) if one.point == "response" else 0 for one in points],
        "height": [one.height for one in points],
        "width": [one.width for one in points],
        "channels": [one.channels for one in points],
    }
    columns: Dict[str, npt.NDArray[Any]] = {"op": rows["op"]}
    columns.update((name, np.array(values, dtype=np.str_)) for name, values in texts.items())
    columns.update((name, np.array(values, dtype=np.uint32)) for name, values in numbers.items())
    columns["values"] = rows["values"]
    columns.update((name, rows[name]) for name in ("mean", "std", "min", "max"))
    columns.update((f"p{rank}", rows["percentiles"][:, i]) for i, rank in enumerate(_PERCENTILES))
    columns.update((name, rows[name]) for name in ("negative", "dead"))
    table = np.empty(len(points), dtype=[(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        table[name] = column
    return table


# ---- sub-batches of images ----


class _SubBatch(NamedTuple):
    images: Any  # as classify takes them
    chunk: int  # index of its chunk
    start: int  # index of the chunk's first image among all images
    place: int  # index of its own first image
    first: bool  # whether it is the first sub-batch of its chunk
    last: bool


def _held_bytes(image: Any) -> int:
    """Return the memory of a waiting image. A PIL image may not be decoded yet, but it
    keeps its pixels after decoding."""
    if isinstance(image, (bytes, bytearray, memoryview)):
        return len(image)
    if isinstance(image, np.ndarray):
        return image.nbytes
    size = getattr(image, "size", None)
    return 4 * size[0] * size[1] if isinstance(size, tuple) and len(size) == 2 else 0


def _count(images: Any) -> int:
    try:
        return len(images)
    except TypeError:
        return _MANY


def _array_sub_batches(images: npt.NDArray[Any], size: int) -> Iterator[_SubBatch]:
    for chunk, start in enumerate(range(0, len(images), size)):
        yield _SubBatch(images[start : start + size], chunk, start, start, True, True)


def _iterable_sub_batches(images: Iterator[Any], size: int, limit: float) -> Iterator[_SubBatch]:
    """Yield whole chunks, or parts of one whose decoded images reach `limit` bytes."""
    sub_batch: List[Any] = []
    held, place, first = 0, -1, True

    def taken(last: bool) -> _SubBatch:
        chunk, start = place // size, place + 1 - len(sub_batch)
        return _SubBatch(sub_batch, chunk, chunk * size, start, first, last)

    for place, image in enumerate(images):
        sub_batch.append(image)
        held += _held_bytes(image)
        last = (place + 1) % size == 0
        if last or held >= limit:
            yield taken(last)
            sub_batch, held, first = [], 0, last
    if sub_batch or not first:
        yield taken(True)


def _sub_batches(images: Any, size: int) -> Iterator[_SubBatch]:
    if is_one_image(images):
        return iter([_SubBatch([images], 0, 0, 0, True, True)])
    if isinstance(images, np.ndarray) and images.ndim > 0:
        return _array_sub_batches(images, size)
    # The images of a list are in memory anyway.
    limit = float("inf") if isinstance(images, (list, tuple)) else _HELD_BYTES
    return _iterable_sub_batches(iterator_of(images), size, limit)


# ---- workers ----


class _Gathering:
    """The state that all workers share."""

    def __init__(self, points: List[_Point], takes: Callable[[Session, _SubBatch], None]) -> None:
        self.total = _Table(points)
        self.points = points
        self.takes = takes  # runs the images of a sub-batch in a session
        self.idle: queue.Queue[_Worker] = queue.Queue()
        self.stopped = False
        self.problem: Optional[BaseException] = None
        self._problem_chunk = 0
        self._merged = 0
        self._turn = threading.Condition()

    def merge(self, table: _Table, chunk: int) -> None:
        """Merge a chunk's table after those of all earlier chunks. The worker of the
        earliest chunk never waits, so this cannot deadlock."""
        with self._turn:
            self._turn.wait_for(lambda: self._merged == chunk or self.stopped)
            if self.stopped:
                return
            self.total.merge(table)
            self._merged += 1
            self._turn.notify_all()

    def stop(self, problem: Optional[BaseException] = None, chunk: int = 0) -> None:
        """Stop all workers. Keep the problem of the earliest chunk."""
        with self._turn:
            if problem is not None and (self.problem is None or chunk < self._problem_chunk):
                self.problem, self._problem_chunk = problem, chunk
            self.stopped = True
            self._turn.notify_all()


class _Worker(threading.Thread):
    """A thread with its own session, and a table for its current chunk."""

    def __init__(self, gathering: _Gathering, session: Session) -> None:
        super().__init__(name="libresnet.observe", daemon=True)
        self._gathering = gathering
        self._session = session
        self._table = _Table(gathering.points)
        self.sub_batches: queue.Queue[Optional[_SubBatch]] = queue.Queue(1)
        self._table.observe(session)

    def run(self) -> None:
        self._gathering.idle.put(self)
        while True:
            sub_batch = self.sub_batches.get()
            if sub_batch is None:
                return
            try:
                if not self._gathering.stopped:
                    self._take(sub_batch)
            except BaseException as problem:  # the caller's thread raises it
                self._gathering.stop(problem, sub_batch.chunk)
            if sub_batch.last:
                self._gathering.idle.put(self)

    def end(self) -> None:
        """Drop waiting sub-batches and end the worker. Does not block, so that Ctrl-C
        cannot arrive between the workers' ends."""
        while True:
            try:
                return self.sub_batches.put_nowait(None)
            except queue.Full:
                with suppress(queue.Empty):
                    self.sub_batches.get_nowait()

    def _take(self, sub_batch: _SubBatch) -> None:
        if sub_batch.first:
            self._table.clear(sub_batch.start)
        self._gathering.takes(self._session, sub_batch)
        if sub_batch.last:
            self._gathering.merge(self._table, sub_batch.chunk)


def _feed(gathering: _Gathering, source: Iterator[_SubBatch]) -> None:
    """Give chunks to idle workers. Runs on the caller's thread, so that the iterable
    is read there and Ctrl-C arrives there."""
    worker: Optional[_Worker] = None
    for sub_batch in source:
        if gathering.stopped:
            return
        if sub_batch.first:
            worker = gathering.idle.get()
        assert worker is not None
        worker.sub_batches.put(sub_batch)


def _gather(gathering: _Gathering, sessions: List[Session], source: Iterator[_SubBatch]) -> None:
    workers = [_Worker(gathering, session) for session in sessions]
    try:
        for worker in workers:
            worker.start()
        _feed(gathering, source)
        for worker in workers:
            worker.sub_batches.put(None)
        for worker in workers:
            worker.join()
    except BaseException:
        gathering.stop()
        for worker in workers:
            worker.end()
        for worker in workers:
            # Ctrl-C may have prevented the start of a worker.
            if worker.is_alive():
                worker.join()
        raise
    finally:
        # Break the reference cycle with the workers, so that their tables are freed now.
        gathering.idle = queue.Queue()
    if gathering.problem is not None:
        raise gathering.problem


# ---- entry point ----


def _automatic_batch(arena_bytes: int) -> int:
    """Return how many images' activations fit into a core's private cache, 1 to 8."""
    return min(_MAX_BATCH, max(1, _CACHE_BYTES // max(1, arena_bytes)))


def _open(
    core: Core, ablations: Tuple[AblationSpec, ...], threads: int, chunks: int, batch: int
) -> List[Session]:
    """Open sessions of one thread each, or of more if there are fewer chunks than
    threads."""
    workers = max(1, min(threads, chunks))
    batch = batch or _automatic_batch(core.info.arena_bytes)
    sessions: List[Session] = []
    try:
        for _ in range(workers):
            sessions.append(Session(core, threads // workers, batch, "responses"))
            sessions[-1]._become(ablations)
    except BaseException:
        _close(sessions)
        raise
    return sessions


def _close(sessions: List[Session]) -> None:
    for session in sessions:
        session.close()


def observe(
    core: Core,
    ablations: Tuple[AblationSpec, ...],
    images: Any,
    threads: int,
    batch: int,
    everything: bool,
    pixels: Optional[str],
    layout: Optional[str],
) -> Responses:
    """Gather the responses. See Model.observe."""
    workers = min(256, worker_count(threads))

    how = reading(pixels, layout, "raise")

    def takes(session: Session, images: _SubBatch) -> None:
        each = how._replace(first=images.place)
        for _ in session._each(images.images, each, session._run_images, session._run_tensor):
            pass

    count = 1 if is_one_image(images) else _count(images)
    size = python_library().resnet_python_table_chunk(count)
    sessions = _open(core, ablations, workers, -(-count // size), batch)
    try:
        computed = _computed(sessions[0], core.shape)
        places = (
            {place: point.op.block for place, point in computed.items()}
            if everything
            else _places(core.plan)
        )
        kept = [place for place in places if place in computed]
        gathering = _Gathering([computed[place] for place in kept], takes)
        _gather(gathering, sessions, _sub_batches(images, size))
    finally:
        _close(sessions)
        core.warn_of_images()
    table = _assemble(
        core.plan, gathering.points, [places[place] for place in kept], gathering.total.rows()
    )
    first = gathering.points[0]
    total = int(table["values"][0]) // (first.height * first.width * first.channels)
    return Responses(
        table, core.title, total, any(block.shortcut != "none" for block in core.plan.blocks)
    )
