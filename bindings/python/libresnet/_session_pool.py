"""The sessions that a model uses for its own methods, and the distribution of images over
them."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager, suppress
from itertools import count, islice
from queue import Empty, SimpleQueue
from typing import Any, Callable, Deque, Dict, Iterator, List, Optional, Tuple, Union

import numpy as np

from ._core import Core
from ._cpus import worker_count
from ._errors import ArgumentError, Error, warn_of_skipped
from ._forks import forked
from ._images import F32, Reading, is_one_image, iterator_of, not_accepted
from ._plan import Block
from ._session import Ablation, AblationSpec, Answer, Session

_BATCH = 8  # images per batch of a session
# A method of sessions: rows of images, and the errors of skipped images.
Rows = Callable[[Session, Any, Reading], Tuple[F32, List[Error]]]
_CHUNK = 32  # images that a worker takes at once, at most


class SessionPool:
    """A session with many threads, for single images, and sessions of one thread, for
    many images. The latter never wait for each other. Sessions are opened at first
    use. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._shared: Dict[int, Session] = {}  # by number of threads
        self._idle: List[Session] = []
        self._ablations: Tuple[AblationSpec, ...] = ()
        self._after_fork()
        forked.add(self)

    def _after_fork(self) -> None:
        # Lock order: this one first, then a session's.
        self._lock = threading.Lock()

    # ---- sessions ----

    def shared(self, threads: int = 0) -> Session:
        """Return the session with this number of threads and the model's ablations."""
        with self._lock:
            session = self._shared.get(threads)
            if session is None or session.closed:
                session = self._shared[threads] = Session(self._core, threads, _BATCH, "responses")
            session._become(self._ablations)
            return session

    @contextmanager
    def worker(self) -> Iterator[Session]:
        """Borrow a session of one thread, with the model's ablations, for a `with`
        block."""
        with self._lock:
            idle = [session for session in self._idle if not session.closed]
            session = idle.pop() if idle else None
            self._idle = idle
        session = session or Session(self._core, 1, _BATCH, "responses")
        try:
            session._become(self._ablations)
            yield session
        finally:
            with self._lock:
                self._idle.append(session)

    def skip(
        self, block: Union[int, str, Block], mode: str, other: Union[int, str, Block, None]
    ) -> Ablation:
        ablation = AblationSpec.parse(self._core, block, mode, other)
        shared = self.shared()
        with self._lock:
            shared._become((*self._ablations, ablation))  # raises if it is impossible
            self._ablations = (*self._ablations, ablation)
        return Ablation(lambda: self._end(ablation))

    @property
    def ablations(self) -> Tuple[AblationSpec, ...]:
        """Return the ablations in force."""
        return self._ablations

    def restore(self) -> None:
        with self._lock:
            self._ablations = ()

    def _end(self, ablation: AblationSpec) -> None:
        with self._lock:
            self._ablations = tuple(other for other in self._ablations if other is not ablation)

    # ---- images ----

    def classify(
        self, images: Any, k: int, raw: bool, how: Reading, threads: int
    ) -> Union[Answer, List[Answer]]:
        def label(session: Session, part: Any, first: int) -> Any:
            return session._classify(part, k, raw, how._replace(first=first))

        try:
            if is_one_image(images):
                return self.shared(threads)._classify(images, k, raw, how)
            return [answer for part in self._share_out(images, label, threads) for answer in part]
        finally:
            self._core.warn_of_images()

    def rows(self, method: Rows, images: Any, how: Reading, threads: int) -> F32:
        """Return the rows that a method of sessions computes of images. Warn of skipped
        images, whose rows are NaN."""

        def part_rows(session: Session, part: Any, first: int) -> Tuple[F32, List[Error]]:
            return method(session, part, how._replace(first=first))

        try:
            if is_one_image(images):
                parts = [method(self.shared(threads), images, how)]
            else:
                parts = list(self._share_out(images, part_rows, threads))
                # The shape of no images.
                parts = parts or [method(self.shared(threads), [], how)]
        finally:
            self._core.warn_of_images()
        warn_of_skipped([error for _, skipped in parts for error in skipped])
        return parts[0][0] if len(parts) == 1 else np.concatenate([rows for rows, _ in parts])

    def _share_out(
        self, images: Any, work: Callable[[Session, Any, int], Any], threads: int
    ) -> Iterator[Any]:
        """Yield the results of `work` for consecutive parts of the images, in order. Its
        last argument is the position of the part's first image."""
        workers = worker_count(threads)
        if isinstance(images, np.ndarray) and not images.ndim:  # its __len__ raises
            raise ArgumentError(not_accepted(images))
        try:
            total: Optional[int] = len(images)
        except TypeError:
            total = None
        if total is not None and total < workers:
            return iter([work(self.shared(threads), images, 0)])
        chunk = _CHUNK if total is None else max(1, min(_CHUNK, -(-total // (4 * workers))))

        def run(part: Tuple[int, Any]) -> Any:
            with self.worker() as session:
                return work(session, part[1], part[0])

        parts = _parts(images, chunk)
        return map(run, parts) if workers == 1 else _parallel_map(run, parts, workers)


def _parts(images: Any, chunk: int) -> Iterator[Tuple[int, Any]]:
    """Yield slices of an array, or lists of the images of any other iterable, each with
    the position of its first image."""
    if isinstance(images, np.ndarray) and images.ndim > 0:
        for first in range(0, len(images), chunk):
            yield first, images[first : first + chunk]
        return
    several = iterator_of(images)
    for first in count(0, chunk):
        part = list(islice(several, chunk))
        if not part:
            return
        yield first, part


class _Task:
    """A part of the work and its result."""

    __slots__ = ("part", "_done", "_value", "_problem")

    def __init__(self, part: Any) -> None:
        self.part = part
        self._done = threading.Event()
        self._value: Any = None
        self._problem: Optional[BaseException] = None

    def do(self, function: Callable[[Any], Any]) -> None:
        try:
            self._value = function(self.part)
        except BaseException as problem:  # result() raises it
            self._problem = problem
        self._done.set()

    def result(self) -> Any:
        self._done.wait()
        if self._problem is not None:
            raise self._problem
        return self._value


def _parallel_map(
    function: Callable[[Any], Any], parts: Iterator[Any], workers: int
) -> Iterator[Any]:
    """Yield function(part) for each part, in order, computed by threads. Reads at most
    two parts per thread ahead. Does not use concurrent.futures: if one thread imports
    it while another forks, the child hangs."""
    tasks: SimpleQueue[Optional[_Task]] = SimpleQueue()

    def work() -> None:
        while (task := tasks.get()) is not None:
            task.do(function)

    threads = [threading.Thread(target=work, name="libresnet", daemon=True) for _ in range(workers)]
    waiting: Deque[_Task] = deque()
    try:
        for thread in threads:
            thread.start()
        for part in parts:
            waiting.append(_Task(part))
            tasks.put(waiting[-1])
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        while not tasks.empty():  # results that are not needed any more
            with suppress(Empty):
                tasks.get_nowait()
        for _ in threads:
            tasks.put(None)
        for thread in threads:
            if thread.is_alive():
                thread.join()
