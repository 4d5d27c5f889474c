"""The lens: statistics of what every layer of a net responds with, gathered by several
sessions at once.

Sums of responses are rounded, so that their order matters. As `resnet compare` does,
pictures are cut into chunks whose size depends on nothing but their number; a chunk is
one worker's, with a table of its own, and these are merged in the chunks' order. So the
numbers are the program's to the bit, whatever the threads and batches.
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
from ._library import check, python_library
from ._pictures import is_one_picture, items_of, iterator_of, portions
from ._plan import Op, Plan, html_table, text_table
from ._session import POINTS, LesionOf, Response, Session

_PERCENTILES = (1, 25, 50, 75, 99)
_CACHE_BYTES = 1 << 20  # of a processor's own cache: activations of a batch should fit
_MOST_BATCH = 8
_HELD_BYTES = 64 << 20  # of pictures that came as pixels, by each worker
_MANY = ctypes.c_size_t(-1).value  # pictures, where nobody knows how many
_POINT_CODES = {name: code for code, name in POINTS.items()}

Place = Tuple[int, str]  # an op, and where in it


# ---- the result ----


class Responses:
    """Statistics of the responses of one model, a row each.

    Attributes: `array`, a NumPy structured array; `model`, what the model is called; `pictures`, how many there were.
    Columns:

    op: index into model.plan; name, tensor: of the op; kernel: how it is computed.
    point: "response" (of a layer: after batch normalisation, before ReLU and addition), "shortcut" (what is added to a
        block's residual branch), "output" (of the op, with ReLU and addition: of a block's last op the block's), "class
        map".
    block: its name, e.g. "stage2.block1", or "". layer: place among the layers that the paper counts, from 1; 0: none.
    height, width, channels: of one response. values: how many were seen, over all
    pictures, pixels and channels. mean, std, min, max: of all values; std is the
    population's. p1, p25, p50, p75, p99: percentiles, of a sample of the
        values in large responses, and good to 1/64.
    negative: share of values that a ReLU would make 0. dead: channels that were above 0 nowhere.

    Rows stand in the order of `resnet compare --json`: layers, then, block by block, the
    end of the residual branch where no layer ends it, the shortcut, the output. Floats
    are NaN where there were no pictures. responses["std"] is a column, responses[0] a
    row, responses[mask] an array of rows. Immutable by convention; pickles.
    """

    def __init__(self, array: npt.NDArray[Any], model: str, pictures: int, residual: bool) -> None:
        self.array = array
        self.model = model
        self.pictures = pictures
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
        """The rows of the layers that the paper counts, in its order."""
        rows: npt.NDArray[Any] = self.array[
            (self.array["layer"] > 0) & (self.array["point"] == "response")
        ]
        rows = rows[np.argsort(rows["layer"], kind="stable")]
        return rows

    def to_pandas(self) -> Any:
        """A pandas.DataFrame, a row for each response; ImportError where pandas is not
        installed."""
        return _extras.pandas("Responses.to_pandas").DataFrame.from_records(self.array)

    def plot(self) -> Any:
        """A matplotlib Figure: the standard deviation of each layer's response, in
        order and sorted (Fig. 7 of "Deep Residual Learning"; plain nets are dashed, a
        fully connected layer at the end is left out, as there). ImportError where
        matplotlib is not installed."""
        pyplot = _extras.pyplot("Responses.plot")
        figure, panels = pyplot.subplots(1, 2, figsize=(10, 4), constrained_layout=True)
        layers = self.layers
        connects_all = len(layers) > 0 and layers[-1]["height"] == layers[-1]["width"] == 1
        deviations = layers["std"][: len(layers) - int(connects_all)].tolist()
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
        return f"{self.model}: {len(self)} responses over {self.pictures:,} pictures"

    def __repr__(self) -> str:
        return f"{self._caption()}\n{text_table(self._SHOWN, self._rows())}"

    def _repr_html_(self) -> str:
        return html_table(self._caption(), self._SHOWN, self._rows())


# ---- which responses ----


class _Met(NamedTuple):
    """A response that a run computes."""

    op: Op
    point: str
    height: int
    width: int
    channels: int


def _met(session: Session, shape: Tuple[int, int, int]) -> Dict[Place, _Met]:
    """What a run of the session tells of, lesions considered, found by running it once."""
    met: Dict[Place, _Met] = {}

    def note(response: Response) -> None:
        _, height, width, channels = response.data.shape
        met[response.op.index, response.point] = _Met(
            response.op, response.point, height, width, channels
        )

    session.observe(note, copy=False)
    session.run(np.zeros((1, *shape), np.float32), layout="NHWC")
    session.observe(None)
    return met


def _branch_end(plan: Plan, last: int, shortcut: str) -> Optional[Place]:
    """Where a block's residual branch ends, just before the addition: in the op that
    adds, where that is a layer, or in the op that it is taken from."""
    if plan[last].layer is not None:
        return last, "response"
    return None if shortcut == "none" else (plan[last].inputs[0], "output")


def _places(plan: Plan) -> Dict[Place, Optional[int]]:
    """What `resnet compare` gathers, in its order, with the block that it counts each to."""
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
    """resnet_python_table."""

    def __init__(self, met: List[_Met]) -> None:
        self._library = python_library()
        self._count = len(met)
        self._error = _structs.ErrorStruct()
        self.pointer = ctypes.c_void_p()
        places = (_structs.PythonPlaceStruct * self._count)(
            *(
                _structs.PythonPlaceStruct(one.op.index, _POINT_CODES[one.point], one.channels)
                for one in met
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
        """From now on the session's responses are added, in C: Python has no part in it."""
        with session._turn():
            session._set_observer(self._library.resnet_python_table_observe, self.pointer)


def _assemble(
    plan: Plan, met: List[_Met], blocks: List[Optional[int]], rows: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    texts: Dict[str, List[str]] = {
        "name": [one.op.name for one in met],
        "tensor": [one.op.output for one in met],
        "kernel": [one.op.kernel for one in met],
        "point": [one.point for one in met],
        "block": ["" if block is None else plan.blocks[block].name for block in blocks],
    }
    numbers: Dict[str, Any] = {
        "layer": [(one.op.layer or 0) if one.point == "response" else 0 for one in met],
        "height": [one.height for one in met],
        "width": [one.width for one in met],
        "channels": [one.channels for one in met],
    }
    columns: Dict[str, npt.NDArray[Any]] = {"op": rows["op"]}
    columns.update((name, np.array(values, dtype=np.str_)) for name, values in texts.items())
    columns.update((name, np.array(values, dtype=np.uint32)) for name, values in numbers.items())
    columns["values"] = rows["values"]
    renamed = {"mean": "mean", "std": "std", "min": "least", "max": "most"}
    columns.update((ours, rows[its]) for ours, its in renamed.items())
    columns.update((f"p{rank}", rows["percentiles"][:, i]) for i, rank in enumerate(_PERCENTILES))
    columns.update((name, rows[name]) for name in ("negative", "dead"))
    table = np.empty(len(met), dtype=[(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        table[name] = column
    return table


# ---- pictures, portion by portion ----


class _Portion(NamedTuple):
    pictures: Any  # as classify takes them
    chunk: int
    start: int  # place of the chunk's first picture among all
    first: bool  # of the chunk
    last: bool


def _held_bytes(picture: Any) -> int:
    """What a picture takes while it waits. A PIL image may not be decoded yet, but
    keeps its pixels once it is."""
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return len(picture)
    if isinstance(picture, np.ndarray):
        return picture.nbytes
    size = getattr(picture, "size", None)
    return 4 * size[0] * size[1] if isinstance(size, tuple) and len(size) == 2 else 0


def _count(images: Any) -> int:
    try:
        return len(images)
    except TypeError:
        return _MANY


def _array_portions(images: npt.NDArray[Any], size: int) -> Iterator[_Portion]:
    for chunk, start in enumerate(range(0, len(images), size)):
        yield _Portion(images[start : start + size], chunk, start, True, True)


def _listed_portions(images: Iterator[Any], size: int, limit: float) -> Iterator[_Portion]:
    """Whole chunks, unless what comes as pixels reaches `limit` bytes before."""
    portion: List[Any] = []
    held, place, first = 0, -1, True
    for place, picture in enumerate(images):
        portion.append(picture)
        held += _held_bytes(picture)
        last = (place + 1) % size == 0
        if last or held >= limit:
            yield _Portion(portion, place // size, place // size * size, first, last)
            portion, held, first = [], 0, last
    if portion or not first:
        yield _Portion(portion, place // size, place // size * size, first, True)


def _portions(images: Any, size: int) -> Iterator[_Portion]:
    if is_one_picture(images):
        return iter([_Portion([images], 0, 0, True, True)])
    if isinstance(images, np.ndarray) and images.ndim > 0:
        return _array_portions(images, size)
    held_anyhow = isinstance(images, (list, tuple))
    return _listed_portions(iterator_of(images), size, float("inf") if held_anyhow else _HELD_BYTES)


# ---- workers ----


class _Gathering:
    """What all workers share."""

    def __init__(self, met: List[_Met], takes: Callable[[Session, Any], None]) -> None:
        self.total = _Table(met)
        self.met = met
        self.takes = takes  # runs the pictures of a portion in a session
        self.idle: queue.Queue[_Worker] = queue.Queue()
        self.stopped = False
        self.problem: Optional[BaseException] = None
        self._problem_chunk = 0
        self._merged = 0
        self._turn = threading.Condition()

    def merge(self, table: _Table, chunk: int) -> None:
        """When the chunks before are merged. The worker of the first that is not never
        waits: none does for ever."""
        with self._turn:
            self._turn.wait_for(lambda: self._merged == chunk or self.stopped)
            if self.stopped:
                return
            self.total.merge(table)
            self._merged += 1
            self._turn.notify_all()

    def stop(self, problem: Optional[BaseException] = None, chunk: int = 0) -> None:
        """Of several problems that are met that of the earliest picture is told."""
        with self._turn:
            if problem is not None and (self.problem is None or chunk < self._problem_chunk):
                self.problem, self._problem_chunk = problem, chunk
            self.stopped = True
            self._turn.notify_all()


class _Worker(threading.Thread):
    """A session of its own, and a table of the chunk that it is at."""

    def __init__(self, gathering: _Gathering, session: Session) -> None:
        super().__init__(name="libresnet.observe", daemon=True)
        self._gathering = gathering
        self._session = session
        self._table = _Table(gathering.met)
        self.portions: queue.Queue[Optional[_Portion]] = queue.Queue(1)
        self._table.observe(session)

    def run(self) -> None:
        self._gathering.idle.put(self)
        while True:
            portion = self.portions.get()
            if portion is None:
                return
            try:
                if not self._gathering.stopped:
                    self._take(portion)
            except BaseException as problem:  # is raised in the thread that waits for the answer
                self._gathering.stop(problem, portion.chunk)
            if portion.last:
                self._gathering.idle.put(self)

    def end(self) -> None:
        """What waits is left out. Never waits itself, so that Ctrl-C cannot come
        between the workers' ends."""
        while True:
            try:
                return self.portions.put_nowait(None)
            except queue.Full:
                with suppress(queue.Empty):
                    self.portions.get_nowait()

    def _take(self, portion: _Portion) -> None:
        if portion.first:
            self._table.clear(portion.start)
        self._gathering.takes(self._session, portion.pictures)
        if portion.last:
            self._gathering.merge(self._table, portion.chunk)


def _feed(gathering: _Gathering, source: Iterator[_Portion]) -> None:
    """Hand out chunks to whoever is idle, on the caller's thread: there an iterable is
    read, and there comes Ctrl-C."""
    worker: Optional[_Worker] = None
    for portion in source:
        if gathering.stopped:
            return
        if portion.first:
            worker = gathering.idle.get()
        assert worker is not None
        worker.portions.put(portion)


def _gather(gathering: _Gathering, sessions: List[Session], source: Iterator[_Portion]) -> None:
    workers = [_Worker(gathering, session) for session in sessions]
    try:
        for worker in workers:
            worker.start()
        _feed(gathering, source)
        for worker in workers:
            worker.portions.put(None)
        for worker in workers:
            worker.join()
    except BaseException:
        gathering.stop()
        for worker in workers:
            worker.end()
        for worker in workers:
            # one that is yet to run, as Ctrl-C came while it was started, finds its end
            if worker.is_alive():
                worker.join()
        raise
    finally:
        # ends the circle of it and the workers, so that their tables go now
        gathering.idle = queue.Queue()
    if gathering.problem is not None:
        raise gathering.problem


# ---- the door ----


def _automatic_batch(arena_bytes: int) -> int:
    """As many pictures as keep their activations in a processor's own cache."""
    return min(_MOST_BATCH, max(1, _CACHE_BYTES // max(1, arena_bytes)))


def _open(
    core: Core, lesions: Tuple[LesionOf, ...], threads: int, chunks: int, batch: int
) -> List[Session]:
    """Sessions of one thread each, but where there are fewer chunks than threads."""
    workers = max(1, min(threads, chunks))
    batch = batch or _automatic_batch(core.info.arena_bytes)
    sessions: List[Session] = []
    try:
        for _ in range(workers):
            sessions.append(Session(core, threads // workers, batch, "responses"))
            sessions[-1]._become(lesions)
    except BaseException:
        _close(sessions)
        raise
    return sessions


def _close(sessions: List[Session]) -> None:
    for session in sessions:
        session.close()


def observe(
    core: Core,
    lesions: Tuple[LesionOf, ...],
    images: Any,
    threads: int,
    batch: int,
    everything: bool,
    pixels: Optional[str],
    layout: Optional[str],
) -> Responses:
    """Model.observe"""
    workers = min(256, worker_count(threads))

    def takes(session: Session, pictures: Any) -> None:
        for portion in portions(items_of(pictures, core.shape, pixels, layout)):
            session._rank(portion, 1)

    count = 1 if is_one_picture(images) else _count(images)
    size = python_library().resnet_python_table_chunk(count)
    sessions = _open(core, lesions, workers, -(-count // size), batch)
    try:
        met = _met(sessions[0], core.shape)
        places = (
            {place: one.op.block for place, one in met.items()}
            if everything
            else _places(core.plan)
        )
        kept = [place for place in places if place in met]
        gathering = _Gathering([met[place] for place in kept], takes)
        _gather(gathering, sessions, _portions(images, size))
    finally:
        _close(sessions)
        core.warn_of_guess()
    table = _assemble(
        core.plan, gathering.met, [places[place] for place in kept], gathering.total.rows()
    )
    first = gathering.met[0]
    pictures = int(table["values"][0]) // (first.height * first.width * first.channels)
    return Responses(
        table, core.title, pictures, any(block.shortcut != "none" for block in core.plan.blocks)
    )
