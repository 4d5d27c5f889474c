"""The sessions that a model has for its own use, and how pictures are shared out among
them."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager, suppress
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, Callable, Deque, Dict, Iterator, List, Optional, Tuple, Union

import numpy as np

from ._core import Core
from ._cpus import worker_count
from ._errors import ArgumentError
from ._forks import forked
from ._pictures import F32, is_one_picture, iterator_of, not_accepted
from ._plan import Block
from ._session import LesionOf, Lesion, Prediction, Session

_BATCH = 8  # of a session
_CHUNK = 32  # pictures, at most, that a worker takes at once


class Crew:
    """One session with many threads, for one picture at a time; and sessions of one
    thread, for many pictures: these never wait for each other, whatever else runs on
    the machine. All are opened when first needed. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._teams: Dict[int, Session] = {}  # by number of threads
        self._idle: List[Session] = []
        self._lesions: Tuple[LesionOf, ...] = ()
        self._after_fork()
        forked.add(self)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # taken before a session's

    # ---- sessions ----

    def team(self, threads: int = 0) -> Session:
        """The session of so many threads, with the model's lesions."""
        with self._lock:
            session = self._teams.get(threads)
            if session is None or session.closed:
                session = self._teams[threads] = Session(self._core, threads, _BATCH, "responses")
            session._become(self._lesions)
            return session

    @contextmanager
    def worker(self) -> Iterator[Session]:
        """A session of one thread that nobody else uses meanwhile, likewise."""
        with self._lock:
            idle = [session for session in self._idle if not session.closed]
            session = idle.pop() if idle else None
            self._idle = idle
        session = session or Session(self._core, 1, _BATCH, "responses")
        try:
            session._become(self._lesions)
            yield session
        finally:
            with self._lock:
                self._idle.append(session)

    def skip(
        self, block: Union[int, str, Block], mode: str, other: Union[int, str, Block, None]
    ) -> Lesion:
        lesion = LesionOf.parse(self._core, block, mode, other)
        team = self.team()
        with self._lock:
            team._become((*self._lesions, lesion))  # refuses what can't be
            self._lesions = (*self._lesions, lesion)
        return Lesion(lambda: self._end(lesion))

    @property
    def lesions(self) -> Tuple[LesionOf, ...]:
        """What the model has now."""
        return self._lesions

    def restore(self) -> None:
        with self._lock:
            self._lesions = ()

    def _end(self, lesion: LesionOf) -> None:
        with self._lock:
            self._lesions = tuple(other for other in self._lesions if other is not lesion)

    # ---- pictures ----

    def classify(
        self, images: Any, k: int, pixels: Optional[str], layout: Optional[str], threads: int
    ) -> Union[List[Prediction], List[List[Prediction]]]:
        def label(session: Session, part: Any) -> Any:
            return session._label(part, k, pixels, layout)

        try:
            if is_one_picture(images):
                return self.team(threads)._label(images, k, pixels, layout)
            return [ranked for part in self._share_out(images, label, threads) for ranked in part]
        finally:
            self._core.warn_of_guess()

    def probabilities(
        self, images: Any, pixels: Optional[str], layout: Optional[str], threads: int
    ) -> F32:
        def weigh(session: Session, part: Any) -> F32:
            return session._weigh(part, pixels, layout)

        try:
            if is_one_picture(images):
                return self.team(threads)._weigh(images, pixels, layout)
            parts: List[F32] = list(self._share_out(images, weigh, threads))
            return (
                np.concatenate(parts)
                if parts
                else np.empty((0, self._core.info.classes), np.float32)
            )
        finally:
            self._core.warn_of_guess()

    def _share_out(
        self, images: Any, work: Callable[[Session, Any], Any], threads: int
    ) -> Iterator[Any]:
        """What `work` makes of the pictures, part by part, in their order."""
        workers = worker_count(threads)
        if isinstance(images, np.ndarray) and not images.ndim:  # has __len__, which raises
            raise ArgumentError(not_accepted(images))
        try:
            count: Optional[int] = len(images)
        except TypeError:
            count = None
        if count is not None and count < workers:
            return iter([work(self.team(threads), images)])
        chunk = _CHUNK if count is None else min(_CHUNK, -(-count // (4 * workers)))

        def part(pictures: Any) -> Any:
            with self.worker() as session:
                return work(session, pictures)

        parts = _parts(images, chunk)
        return map(part, parts) if workers == 1 else _side_by_side(part, parts, workers)


def _parts(images: Any, chunk: int) -> Iterator[Any]:
    """Slices of an array, lists of all else."""
    if isinstance(images, np.ndarray) and images.ndim > 0:
        for first in range(0, len(images), chunk):
            yield images[first : first + chunk]
        return
    several = iterator_of(images)
    while part := list(islice(several, chunk)):
        yield part


class _Task:
    """A part of the work, and what became of it."""

    __slots__ = ("part", "_done", "_value", "_problem")

    def __init__(self, part: Any) -> None:
        self.part = part
        self._done = threading.Event()
        self._value: Any = None
        self._problem: Optional[BaseException] = None

    def do(self, function: Callable[[Any], Any]) -> None:
        try:
            self._value = function(self.part)
        except BaseException as problem:  # is raised in the thread that waits for the answer
            self._problem = problem
        self._done.set()

    def result(self) -> Any:
        self._done.wait()
        if self._problem is not None:
            raise self._problem
        return self._value


def _side_by_side(
    function: Callable[[Any], Any], parts: Iterator[Any], workers: int
) -> Iterator[Any]:
    """map() on threads, in order, which reads no further ahead than it must. Not by
    concurrent.futures, whose import on one thread breaks a fork on another: the child
    waits for it for ever."""
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
        while not tasks.empty():  # what nobody waits for any more
            with suppress(Empty):
                tasks.get_nowait()
        for _ in threads:
            tasks.put(None)
        for thread in threads:
            if thread.is_alive():
                thread.join()
