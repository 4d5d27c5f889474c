"""Sessions: buffers and threads for running one model."""

from __future__ import annotations

import ctypes
import threading
import weakref
from contextlib import contextmanager
from types import GeneratorType
from typing import (
    Any,
    Callable,
    Generator,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
    Union,
    overload,
)

import numpy as np
import numpy.typing as npt

from . import _structs
from ._core import Core
from ._errors import ArgumentError
from ._forks import forked
from ._library import check, library
from ._pictures import (
    F32,
    Item,
    OnePicture,
    Picture,
    SeveralPictures,
    Tensor,
    is_one_picture,
    items_of,
    portions,
    tensor_of,
)
from ._plan import Block, Op

POINTS = {
    _structs.Point.POINT_OUTPUT: "output",
    _structs.Point.POINT_RESPONSE: "response",
    _structs.Point.POINT_SHORTCUT: "shortcut",
    _structs.Point.POINT_CLASS_MAP: "class map",
}
_SKIPS = {
    "branch": _structs.Skip.SKIP_BRANCH,
    "shortcut": _structs.Skip.SKIP_SHORTCUT,
    "swap": _structs.Skip.SKIP_SWAP,
}
_OBSERVE = {"responses": _structs.Observe.OBSERVE_RESPONSES, "ops": _structs.Observe.OBSERVE_OPS}
_PREDICTION = np.dtype([("index", "u4"), ("score", "f4"), ("label", "u8")])

_run = library.resnet_run
_float32 = np.dtype(np.float32)


class Prediction(NamedTuple):
    """One class for one picture. `score` is a probability, 0 to 1; `label` is None
    where the model has no labels."""

    index: int  # type: ignore[assignment]  # of the class; hides tuple.index
    score: float
    label: Optional[str]


class Response(NamedTuple):
    """What an observer is told. `data` is (batch,height,width,channels) float32."""

    op: Op
    point: str  # "output", "response", "shortcut" or "class map", as in resnet.h
    data: F32
    nanoseconds: int  # that computing it took; 0: it lay there already


class LesionOf(NamedTuple):
    """What resnet_session_skip is told."""

    block: int
    mode: _structs.Skip
    other: int

    @classmethod
    def parse(
        cls,
        core: Core,
        block: Union[int, str, Block],
        mode: str,
        other: Union[int, str, Block, None],
    ) -> LesionOf:
        """From what users say; ArgumentError where it means nothing."""
        if mode not in _SKIPS:
            raise ArgumentError(f"mode is {mode!r}: accepted are {', '.join(map(repr, _SKIPS))}")
        if (other is not None) != (mode == "swap"):
            raise ArgumentError(
                "other, the block to change places with, goes with mode='swap', and only with it"
            )
        return cls(
            core.block_index(block), _SKIPS[mode], 0 if other is None else core.block_index(other)
        )


# Called by C with a listener's address and a response.
_SEND = _structs.Observer(GeneratorType.send)
_ALL_RESTORED = LesionOf(_structs.NO_INDEX, _structs.Skip.SKIP_NONE, 0)


class Lesion:
    """Something that is left out, until end() or the end of a `with` block."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Optional[Callable[[], None]] = end

    def __repr__(self) -> str:
        return f"<libresnet.Lesion: {'ended' if self._end is None else 'in force until its end()'}>"

    def end(self) -> None:
        """Restore it; other lesions remain. May be repeated."""
        if self._end is not None:
            self._end()
            self._end = None

    def __enter__(self) -> Lesion:
        return self

    def __exit__(self, *problem: object) -> None:
        self.end()


def described(lesions: Tuple[LesionOf, ...]) -> str:
    """For a repr: a lesion that is forgotten changes every answer."""
    return f", {len(lesions)} lesion{'s' if len(lesions) > 1 else ''}" if lesions else ""


def _close(pointer: ctypes.c_void_p, core: Core) -> None:
    """`core`: its model, which may go only after this, in whatever order the garbage
    collector comes to them."""
    library.resnet_session_close(ctypes.byref(pointer))


class Session:
    """Runs one model. Made by Model.session.

    Calls from several threads take turns: for parallel streams open one session per
    thread, they share the model's weights. While the library computes, other Python
    threads run. After a fork the child's session is opened anew at its first use. Closed
    by close(), at the end of a `with` block, or with its model.
    """

    def __init__(self, core: Core, threads: int, batch: int, observe: str) -> None:
        if observe not in _OBSERVE:
            raise ArgumentError(f"observe is {observe!r}: accepted are 'responses' and 'ops'")
        if not 0 <= threads <= 256 or not 0 <= batch <= 0xFFFFFFFF:
            what = f"batch is {batch}" if 0 <= threads <= 256 else f"threads is {threads}"
            raise ArgumentError(f"{what}: accepted are 0 to 256 threads, and batches from 0 on")
        self._core = core
        self._options = (threads, batch, _OBSERVE[observe])
        self._lesions: Tuple[LesionOf, ...] = ()
        self._observer: Any = None
        self._problem: Optional[BaseException] = None
        self._classes = core.info.classes
        h, w, c = core.shape
        self._nchw, self._nhwc = (c, h, w), (h, w, c)
        self._lock = threading.RLock()
        self._in_observer = False
        self._open()
        forked.add(self)

    def _open(self) -> None:
        threads, batch, observe = self._options
        options = _structs.SessionOptionsStruct(
            ctypes.sizeof(_structs.SessionOptionsStruct), threads, batch, observe
        )
        self._stale = False  # a forked child's, that was its parent's
        self._pointer, self._error = ctypes.c_void_p(), _structs.ErrorStruct()
        self._error_reference = ctypes.byref(self._error)
        with self._core.in_use() as model:
            status = library.resnet_session_open(
                model, ctypes.byref(options), ctypes.byref(self._pointer), self._error_reference
            )
            check(status, self._error)
            self._finalizer = weakref.finalize(self, _close, self._pointer, self._core)
            self._finalizer.atexit = False
            self._core.sessions.add(self)

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
        self._in_observer = False
        if self._pointer:
            self._stale = True
            self._finalizer.detach()  # closing it would wait for threads that are not there

    def _ready(self) -> None:
        """Whether it can be used, with the lock held; in a forked child it is opened
        anew, as it was."""
        if not self._pointer:
            raise ArgumentError("the session is closed: open another with model.session()")
        if self._in_observer:
            raise ArgumentError("an observer must not use the session that calls it")
        if not self._stale:
            return
        self._open()
        observer, self._observer = self._observer, None
        for lesion in self._lesions:
            self._apply(lesion)
        if observer is not None:
            self._set_observer(*observer)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One thread at a time."""
        with self._lock:
            self._ready()
            yield

    def close(self) -> None:
        """Release buffers and threads. A call that is under way in another thread ends
        first. May be repeated."""
        with self._lock:
            if self._in_observer:
                raise ArgumentError("an observer must not use the session that calls it")
            if not self._stale:
                self._finalizer()
            self._pointer.value = None

    @property
    def closed(self) -> bool:
        return not self._pointer

    def __repr__(self) -> str:
        threads, batch, _ = self._options
        state = ", closed" if self.closed else ""
        return f"<libresnet.Session of {self._core.title!r}: threads={threads}, batch={batch}{described(self._lesions)}{state}>"

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError("a session can't be pickled: pickle its model, and open a session there")

    # ---- running ----

    def run(
        self, x: npt.NDArray[Any], out: Optional[F32] = None, layout: Optional[str] = None
    ) -> F32:
        """Run the net on normalised inputs.

        x: (n,c,h,w) or (n,h,w,c), told apart by the model's input_shape, else by layout="NCHW" or "NHWC"; or one input
        without n. float32 that is contiguous, in either order, is read where it lies;
        anything else is copied.
        out: (n,classes) float32, contiguous, to write to. Returns it, or a new array: what the file's output is, see
        model.info.scores. Raises ArgumentError on a shape that does not fit.
        """
        if (
            layout is None
            and type(x) is np.ndarray
            and x.dtype is _float32
            and x.ndim == 4
            and x.flags.carray
        ):
            shape = x.shape[1:]
            kind = 0 if shape == self._nchw else 1
            if shape != self._nchw and shape != self._nhwc or self._nchw == self._nhwc:
                x, kind = tensor_of(x, self._nhwc, layout)
        else:
            x, kind = tensor_of(np.asarray(x), self._nhwc, layout)
        n = x.shape[0]
        if out is None:
            out = np.empty((n, self._classes), _float32)
        elif not (
            isinstance(out, np.ndarray)
            and out.shape == (n, self._classes)
            and out.dtype == _float32
            and out.flags.carray
        ):
            what = (
                f"{out.dtype} of shape {out.shape}"
                if isinstance(out, np.ndarray)
                else type(out).__name__
            )
            raise ArgumentError(
                f"out is {what}: wanted is an array, float32 of shape {(n, self._classes)}, contiguous and writable"
            )
        if n:
            self._run(x, kind, n, out)
        return out

    def _run(self, x: F32, kind: int, n: int, out: F32) -> None:
        # Not _turn: a generator's context manager costs more than all else here.
        with self._lock:
            if self._stale or self._in_observer or not self._pointer:
                self._ready()
            self._problem = None  # of a run that Ctrl-C ended before it was told
            source, target = x.__array_interface__["data"][0], out.__array_interface__["data"][0]
            status = _run(self._pointer, source, kind, n, target, self._error_reference)
            if status:
                check(status, self._error)
            if self._problem is not None:
                self._raise_observers()

    @overload
    def classify(
        self,
        images: OnePicture,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
    ) -> List[Prediction]: ...

    @overload
    def classify(
        self,
        images: SeveralPictures,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
    ) -> List[List[Prediction]]: ...

    @overload
    def classify(
        self, images: Any, k: int = ..., *, pixels: Optional[str] = ..., layout: Optional[str] = ...
    ) -> Any: ...

    def classify(
        self, images: Any, k: int = 5, *, pixels: Optional[str] = None, layout: Optional[str] = None
    ) -> Any:
        """As Model.classify, in this session."""
        try:
            return self._label(images, k, pixels, layout)
        finally:
            self._core.warn_of_guess()

    def _label(
        self, images: Any, k: int, pixels: Optional[str], layout: Optional[str]
    ) -> Union[List[Prediction], List[List[Prediction]]]:
        """classify, on any thread: without warnings."""
        ranked = [
            [self._prediction(int(one["index"]), float(one["score"])) for one in row]
            for part in self._ranked(images, self._checked_k(k), pixels, layout)
            for row in part
        ]
        return ranked[0] if is_one_picture(images) else ranked

    def probabilities(
        self, images: Any, *, pixels: Optional[str] = None, layout: Optional[str] = None
    ) -> F32:
        """As Model.probabilities, in this session."""
        try:
            return self._weigh(images, pixels, layout)
        finally:
            self._core.warn_of_guess()

    def _weigh(self, images: Any, pixels: Optional[str], layout: Optional[str]) -> F32:
        """probabilities, on any thread: without warnings."""
        parts = list(self._ranked(images, self._classes, pixels, layout))
        ranked = np.concatenate(parts) if parts else np.empty((0, self._classes), _PREDICTION)
        out = np.empty((len(ranked), self._classes), np.float32)
        np.put_along_axis(out, ranked["index"].astype(np.intp), ranked["score"], axis=1)
        return out[0] if is_one_picture(images) else out

    def _checked_k(self, k: int) -> int:
        if not 1 <= k:
            raise ArgumentError(
                f"k is {k}: accepted are 1 to the number of classes, {self._classes} here, and more mean all"
            )
        return min(k, self._classes)

    def _prediction(self, index: int, score: float) -> Prediction:
        labels = self._core.info.labels
        return Prediction(index, score, labels[index] if labels else None)

    def _ranked(
        self, images: Any, k: int, pixels: Optional[str], layout: Optional[str]
    ) -> Iterator[npt.NDArray[Any]]:
        """Portion by portion (pictures,k) of index and score, best first."""
        for portion in portions(items_of(images, self._nhwc, pixels, layout)):
            yield self._rank(portion, k)

    def _rank(self, portion: List[Item], k: int) -> npt.NDArray[Any]:
        if isinstance(portion[0], Tensor):
            return self._rank_scores(self._run_tensor(portion[0]), k)
        pictures = [item for item in portion if isinstance(item, Picture)]
        self._core.prepared_pictures = True
        structs = (_structs.ImageStruct * len(pictures))(*(picture.struct for picture in pictures))
        out = np.empty((len(pictures), k), _PREDICTION)
        with self._turn():
            self._problem = None
            status = library.resnet_classify(
                self._pointer, structs, len(pictures), k, out.ctypes.data, self._error_reference
            )
            check(status, self._error)
            self._raise_observers()
        return out

    def _run_tensor(self, tensor: Tensor) -> F32:
        out = np.empty((len(tensor.array), self._classes), np.float32)
        if len(out):
            self._run(tensor.array, tensor.layout, len(out), out)
        return out

    def _rank_scores(self, scores: F32, k: int) -> npt.NDArray[Any]:
        """The same of scores that the net gave: equal ones by the lower index first."""
        out = np.empty((len(scores), k), _PREDICTION)
        shares = self._to_probabilities(scores)
        out["index"] = np.argsort(-shares, axis=1, kind="stable")[:, :k]
        out["score"] = np.take_along_axis(shares, out["index"].astype(np.intp), axis=1)
        return out

    def _to_probabilities(self, scores: F32) -> F32:
        are = self._core.info.scores
        if are == "probabilities":
            return scores
        wide = scores.astype(np.float64)
        if are == "logits":
            wide -= wide.max(axis=1, keepdims=True)
            wide -= np.log(np.exp(wide).sum(axis=1, keepdims=True))
        return np.exp(wide).astype(np.float32)

    # ---- the lens ----

    def observe(self, callback: Optional[Callable[[Response], None]], *, copy: bool = True) -> None:
        """From now on call `callback` with a Response for everything that a run computes;
        None ends it.

        It is called op by op, on the thread that runs the session, which it must not use.
        With copy=False the data are the session's own buffer, read-only and only valid
        during the call. An exception in it is raised by the run, after its end.
        """
        if callback is not None and not callable(callback):
            raise ArgumentError(
                f"callback is {callback!r}: accepted are a function of one Response, and None"
            )
        listener = (
            None
            if callback is None
            else _listener(weakref.ref(self), callback, self._core.plan, copy)
        )
        with self._turn():
            if listener is None:
                self._set_observer(None)
                return
            next(listener)
            self._set_observer(_SEND, ctypes.c_void_p(id(listener)), listener)

    def _set_observer(self, observer: Any, user: Any = None, kept: Any = None) -> None:
        """`observer`: an _structs.Observer, a function of another library, or None.
        `kept`: what `user` is the address of. With the lock held."""
        # Not ctypes.cast, which ties the observer to itself: all it refers to would stay.
        address = ctypes.c_void_p.from_buffer(observer).value if observer is not None else None
        check(
            library.resnet_session_observe(self._pointer, address, user, self._error_reference),
            self._error,
        )
        self._observer = None if observer is None else (observer, user, kept)

    def _raise_observers(self) -> None:
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    def skip(
        self,
        block: Union[int, str, Block],
        mode: str = "branch",
        other: Union[int, str, Block, None] = None,
    ) -> Lesion:
        """Lesion: from now on run the net with one block changed, until the `with` block
        of this ends, or, without one, till end() of what this returns, or restore().

            with session.skip("stage2.block1"):
                session.run(x)

        block, other: index, name (model.blocks), or Block. mode: "branch" leaves its
        residual branch out (of a plain net: both its layers), "shortcut" its shortcut,
        "swap" lets it change places with `other`. Nested ones add up. Raises
        UnsupportedModelError where shapes do not allow it, or there is nothing to leave
        out.
        """
        lesion = LesionOf.parse(self._core, block, mode, other)
        self._change(lambda before: (*before, lesion))
        return Lesion(lambda: self._end(lesion))

    def restore(self) -> None:
        """End all lesions of this session."""
        self._become(())

    def _end(self, lesion: LesionOf) -> None:
        if not self.closed:
            self._change(lambda before: tuple(other for other in before if other is not lesion))

    def _become(self, lesions: Tuple[LesionOf, ...]) -> None:
        """Have these lesions, and no others."""
        if self._lesions is not lesions:
            self._change(lambda before: lesions)

    def _change(self, change: Callable[[Tuple[LesionOf, ...]], Tuple[LesionOf, ...]]) -> None:
        with self._turn():
            before, wanted = self._lesions, change(self._lesions)
            if wanted[: len(before)] != before:
                self._apply(_ALL_RESTORED)
                self._lesions = before = ()
            for lesion in wanted[len(before) :]:
                self._apply(lesion)
                self._lesions = (*self._lesions, lesion)
            self._lesions = wanted

    def _apply(self, lesion: LesionOf) -> None:
        status = library.resnet_session_skip(self._pointer, *lesion, self._error_reference)
        check(status, self._error)


def _listener(
    observed: weakref.ref[Session], callback: Callable[[Response], None], ops: Any, copy: bool
) -> Generator[None, Any, None]:
    """What C sends responses to. A generator, since C knows no exceptions and ctypes
    drops them: a function would have entered before it can catch any, and Ctrl-C comes
    just then, when Python has its turn after the library computed.

    `observed`: a weak reference, as the session holds its listener.
    """
    while True:
        session = None  # while this waits it must not keep the session
        try:
            pointer = yield
            session = observed()
            if session is not None and session._problem is None:
                session._in_observer = True
                callback(_response_of(pointer.contents, ops, copy))
        except GeneratorExit:
            if session is None:  # nobody listens any more
                return
            session._problem = GeneratorExit()  # the callback's own
        except BaseException as problem:
            session = session or observed()
            if session is not None:
                session._problem = problem
        if session is not None:
            session._in_observer = False


def _response_of(struct: _structs.ResponseStruct, ops: Any, copy: bool) -> Response:
    shape: Tuple[int, ...] = (struct.batch, struct.height, struct.width, struct.channels)
    data = np.ctypeslib.as_array(struct.data, shape)
    if copy:
        data = data.copy()
    else:
        data.flags.writeable = False
    return Response(ops[struct.op], POINTS[struct.point], data, struct.nanoseconds)
