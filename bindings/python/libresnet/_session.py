"""Sessions: the buffers and threads that run one model."""

from __future__ import annotations

import ctypes
import re
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
    Literal,
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
from ._errors import ArgumentError, Error, warn_of_skipped
from ._forks import forked
from ._images import (
    F32,
    Image,
    OneImage,
    Reading,
    SeveralImages,
    Tensor,
    is_one_image,
    items_of,
    reading,
    sub_batches,
    tensor_of,
)
from ._library import check, library
from ._plan import Block, Op, shortest
from ._scores import (
    RANKED,
    by_class,
    check_classes,
    joined,
    normalised,
    probabilities_of,
    rank,
    raw_of,
)

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
# An image that resnet_classify refuses.
_REFUSED = re.compile(r"image (\d+): ")

_run = library.resnet_run
_float32 = np.dtype(np.float32)


class Prediction(NamedTuple):
    """One predicted class of one image.

    index: of the class, from 0.
    score: its probability, 0 to 1; with raw=True the number that the model computes.
    label: its name; None if the model has no labels.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index
    score: float
    label: Optional[str]


Answer = Union[List[Prediction], Error]


class Response(NamedTuple):
    """A response that an observer receives.

    op: the op that computed it.
    point: "output", "response", "shortcut" or "class map", as in resnet.h.
    data: (batch,height,width,channels) float32.
    nanoseconds: the time to compute it; 0: it was already in memory.
    """

    op: Op
    point: str
    data: F32
    nanoseconds: int


class AblationSpec(NamedTuple):
    """The arguments of resnet_session_skip."""

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
    ) -> AblationSpec:
        """Check the arguments of Session.skip. Raises ArgumentError if they are
        invalid."""
        if mode not in _SKIPS:
            raise ArgumentError(f"mode is {mode!r}: it must be {', '.join(map(repr, _SKIPS))}")
        if (other is not None) != (mode == "swap"):
            raise ArgumentError(
                "other, the block to swap with, is required with mode='swap' and invalid without it"
            )
        return cls(
            core.block_index(block), _SKIPS[mode], 0 if other is None else core.block_index(other)
        )


# C calls it with the address of a listener and a response.
_SEND = _structs.Observer(GeneratorType.send)
_RESTORE_ALL = AblationSpec(_structs.NO_INDEX, _structs.Skip.SKIP_NONE, 0)


class Ablation:
    """A change of one block, made by skip(). It ends with end() or a `with` block."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Optional[Callable[[], None]] = end

    def __repr__(self) -> str:
        state = "ended" if self._end is None else "in force until its end()"
        return f"<libresnet.Ablation: {state}>"

    def end(self) -> None:
        """Restore the block; other ablations remain. May be repeated."""
        if self._end is not None:
            self._end()
            self._end = None

    def __enter__(self) -> Ablation:
        return self

    def __exit__(self, *problem: object) -> None:
        self.end()


def described(ablations: Tuple[AblationSpec, ...]) -> str:
    """Return the number of ablations, for a repr: a forgotten one changes every
    prediction."""
    return f", {len(ablations)} ablation{'s' if len(ablations) > 1 else ''}" if ablations else ""


def _close(pointer: ctypes.c_void_p, core: Core) -> None:
    """Close a session. `core` keeps its model alive until then, in any order of garbage
    collection."""
    library.resnet_session_close(ctypes.byref(pointer))


class Session:
    """Runs one model. Created by Model.session.

    Calls from several threads take turns. For parallel streams open one session per
    thread; they share the model's weights. Other Python threads run while the library
    computes. In a forked child, a session is reopened at its first use. A session is
    closed by close(), at the end of a `with` block, or with its model.
    """

    def __init__(self, core: Core, threads: int, batch: int, observe: str) -> None:
        if observe not in _OBSERVE:
            raise ArgumentError(f"observe is {observe!r}: it must be 'responses' or 'ops'")
        if not 0 <= threads <= 256 or not 0 <= batch <= 0xFFFFFFFF:
            what = f"batch is {batch}" if 0 <= threads <= 256 else f"threads is {threads}"
            raise ArgumentError(f"{what}: threads must be 0 to 256, batch 0 to {0xFFFFFFFF}")
        self._core = core
        self._options = (threads, batch, _OBSERVE[observe])
        self._ablations: Tuple[AblationSpec, ...] = ()
        self._observer: Any = None
        self._problem: Optional[BaseException] = None
        self._scores = core.info.score_count
        h, w, c = core.shape
        self._nchw, self._nhwc = (c, h, w), (h, w, c)
        self._input_bytes = 4 * h * w * c
        self._lock = threading.RLock()
        self._in_observer = False
        self._open()
        forked.add(self)

    def _open(self) -> None:
        threads, batch, observe = self._options
        options = _structs.SessionOptionsStruct(
            ctypes.sizeof(_structs.SessionOptionsStruct), threads, batch, observe
        )
        self._stale = False  # True in a forked child: the handle is the parent's
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
            self._finalizer.detach()  # closing would wait for threads that do not exist

    def _ready(self) -> None:
        """Raise ArgumentError if the session cannot be used. Reopen it in a forked
        child, in the same state. Called with the lock held."""
        if not self._pointer:
            raise ArgumentError("the session is closed: open another one with model.session()")
        if self._in_observer:
            raise ArgumentError("an observer must not use the session that calls it")
        if not self._stale:
            return
        self._open()
        observer, self._observer = self._observer, None
        for ablation in self._ablations:
            self._apply(ablation)
        if observer is not None:
            self._set_observer(*observer)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Use the session exclusively for the duration of the `with` block."""
        with self._lock:
            self._ready()
            yield

    def close(self) -> None:
        """Release buffers and threads. Waits for a call in progress on another thread.
        May be repeated."""
        with self._lock:
            if self._in_observer:
                raise ArgumentError("an observer must not use the session that calls it")
            if not self._stale:
                self._finalizer()
            self._pointer.value = None

    @property
    def closed(self) -> bool:
        """Whether the session is closed."""
        return not self._pointer

    def __repr__(self) -> str:
        threads, batch, _ = self._options
        state = ", closed" if self.closed else ""
        return (
            f"<libresnet.Session of {self._core.title!r}: threads={threads}, "
            f"batch={batch}{described(self._ablations)}{state}>"
        )

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError("a session cannot be pickled: pickle its model, and open a session there")

    # ---- running ----

    def run(
        self, x: npt.NDArray[Any], out: Optional[F32] = None, layout: Optional[str] = None
    ) -> F32:
        """Run the model on normalised inputs.

        x: (n,c,h,w) or (n,h,w,c), or one input without n. Contiguous float32 in either
            order is read in place; anything else is copied.
        out: (n,scores) float32, contiguous, to write the scores to; None: a new array.
            The number of scores is model.info.score_count.
        layout: "NCHW" or "NHWC"; None: by the model's input_shape, if that is
            unambiguous.

        Returns the scores, `out` or a new array. model.scores says what they are, e.g.
        "logits". Raises ArgumentError if a shape does not fit.
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
            out = np.empty((n, self._scores), _float32)
        elif not (
            isinstance(out, np.ndarray)
            and out.shape == (n, self._scores)
            and out.dtype == _float32
            and out.flags.carray
        ):
            what = (
                f"{out.dtype} of shape {out.shape}"
                if isinstance(out, np.ndarray)
                else type(out).__name__
            )
            raise ArgumentError(
                f"out is {what}: it must be a float32 array of shape {(n, self._scores)}, "
                "contiguous and writable"
            )
        if n:
            self._run(x, kind, n, out)
        return out

    def _run(self, x: F32, kind: int, n: int, out: F32) -> None:
        # Not _turn(): its generator would take longer than the rest of this function.
        with self._lock:
            if self._stale or self._in_observer or not self._pointer:
                self._ready()
            self._problem = None  # may be left from a run that Ctrl-C ended
            source, target = x.__array_interface__["data"][0], out.__array_interface__["data"][0]
            status = _run(self._pointer, source, kind, n, target, self._error_reference)
            if status:
                check(status, self._error)
            if self._problem is not None:
                self._raise_observers()

    @overload
    def classify(
        self,
        images: OneImage,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
        raw: bool = ...,
        errors: Literal["raise"] = ...,
    ) -> List[Prediction]: ...

    @overload
    def classify(
        self,
        images: SeveralImages,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
        raw: bool = ...,
        errors: Literal["raise"] = ...,
    ) -> List[List[Prediction]]: ...

    @overload
    def classify(
        self,
        images: OneImage,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
        raw: bool = ...,
        errors: Literal["skip"],
    ) -> Answer: ...

    @overload
    def classify(
        self,
        images: SeveralImages,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
        raw: bool = ...,
        errors: Literal["skip"],
    ) -> List[Answer]: ...

    @overload
    def classify(
        self,
        images: Any,
        k: int = ...,
        *,
        pixels: Optional[str] = ...,
        layout: Optional[str] = ...,
        raw: bool = ...,
        errors: str = ...,
    ) -> Any: ...

    def classify(
        self,
        images: Any,
        k: int = 5,
        *,
        pixels: Optional[str] = None,
        layout: Optional[str] = None,
        raw: bool = False,
        errors: str = "raise",
    ) -> Any:
        """Classify images in this session. See Model.classify."""
        try:
            return self._classify(images, k, raw, reading(pixels, layout, errors))
        finally:
            self._core.warn_of_images()

    def _classify(
        self, images: Any, k: int, raw: bool, how: Reading
    ) -> Union[Answer, List[Answer]]:
        """Classify images on any thread, without warnings."""
        info = self._core.info
        check_classes(info.classes, self._core.title)
        if not 1 <= k:
            raise ArgumentError(
                f"k is {k}: it must be at least 1; the model has {info.classes} classes, "
                "and more mean all"
            )
        answers: List[Answer] = []
        for part in self._ranked(images, min(k, info.classes), raw, how):
            if isinstance(part, Error):
                answers.append(part)
            else:
                answers += [[self._prediction(one) for one in row] for row in part]
        return answers[0] if is_one_image(images) else answers

    def _prediction(self, one: Any) -> Prediction:
        labels, index = self._core.info.labels, int(one["index"])
        return Prediction(index, shortest(one["score"]), labels[index] if labels else None)

    def probabilities(
        self,
        images: Any,
        *,
        pixels: Optional[str] = None,
        layout: Optional[str] = None,
        errors: str = "raise",
    ) -> F32:
        """Return the probability of every class. See Model.probabilities."""
        rows = self._warned(self._probabilities, images, reading(pixels, layout, errors))
        return rows[0] if is_one_image(images) else rows

    def prepare(
        self,
        images: Any,
        *,
        pixels: Optional[str] = None,
        layout: Optional[str] = None,
        errors: str = "raise",
    ) -> F32:
        """Return images as the input of run, (n,c,h,w). See Model.prepare."""
        return self._warned(self._prepare, images, reading(pixels, layout, errors))

    def embed(
        self,
        images: Any,
        *,
        l2: bool = False,
        pixels: Optional[str] = None,
        layout: Optional[str] = None,
        errors: str = "raise",
    ) -> F32:
        """Return what run computes of images, (n,scores). See Model.embed."""
        rows = self._warned(self._outputs, images, reading(pixels, layout, errors))
        return normalised(rows) if l2 else rows

    def _warned(
        self, method: Callable[[Any, Reading], Tuple[F32, List[Error]]], images: Any, how: Reading
    ) -> F32:
        try:
            rows, skipped = method(images, how)
        finally:
            self._core.warn_of_images()
        warn_of_skipped(skipped)
        return rows

    def _probabilities(self, images: Any, how: Reading) -> Tuple[F32, List[Error]]:
        """Return (n,classes) probabilities and the errors of skipped images, on any
        thread, without warnings."""
        classes = self._core.info.classes
        check_classes(classes, self._core.title)
        parts = self._ranked(images, classes, False, how)
        rows = (part if isinstance(part, Error) else by_class(part) for part in parts)
        return joined(rows, (classes,))

    def _prepare(self, images: Any, how: Reading) -> Tuple[F32, List[Error]]:
        """Likewise (n,c,h,w) inputs."""
        return joined(self._each(images, how, self._prepared, self._as_nchw), self._nchw)

    def _outputs(self, images: Any, how: Reading) -> Tuple[F32, List[Error]]:
        """Likewise (n,scores): what the model computes."""
        parts = self._each(images, how, self._run_images, self._run_tensor)
        return joined(parts, (self._scores,))

    def _ranked(
        self, images: Any, k: int, raw: bool, how: Reading
    ) -> Iterator[Union[npt.NDArray[Any], Error]]:
        """Yield (images,k) of index and score, best first, for consecutive images, and
        the errors of skipped images. With `raw` the scores are the model's own."""
        kind = self._core.info.scores

        def of_images(some: List[Image]) -> npt.NDArray[Any]:
            if raw:
                return rank(raw_of(self._run_images(some), kind), k)
            return self._classify_images(some, k)

        def of_tensor(tensor: Tensor) -> npt.NDArray[Any]:
            scores = self._run_tensor(tensor)
            return rank((raw_of if raw else probabilities_of)(scores, kind), k)

        return self._each(images, how, of_images, of_tensor)

    def _each(
        self,
        images: Any,
        how: Reading,
        of_images: Callable[[List[Image]], npt.NDArray[Any]],
        of_tensor: Callable[[Tensor], npt.NDArray[Any]],
    ) -> Iterator[Union[npt.NDArray[Any], Error]]:
        """Yield what the functions return for consecutive images, and the errors of
        skipped images."""
        for sub_batch in sub_batches(items_of(images, self._nhwc, how), self._input_bytes):
            if isinstance(sub_batch[0], Error):
                yield sub_batch[0]
            elif isinstance(sub_batch[0], Tensor):
                yield of_tensor(sub_batch[0])
            else:
                some = [item for item in sub_batch if isinstance(item, Image)]
                self._core.notice_images(some)
                yield from _without_refused(some, of_images, how.skip)

    def _classify_images(self, images: List[Image], k: int) -> npt.NDArray[Any]:
        out = np.empty((len(images), k), RANKED)
        structs = _structs_of(images)
        with self._turn():
            self._problem = None
            status = library.resnet_classify(
                self._pointer, structs, len(images), k, out.ctypes.data, self._error_reference
            )
            check(status, self._error)
            self._raise_observers()
        return out

    def _prepared(self, images: List[Image]) -> F32:
        """Return images as (n,c,h,w)."""
        out = np.empty((len(images), *self._nchw), np.float32)
        structs = _structs_of(images)
        with self._turn():
            status = library.resnet_prepare(
                self._pointer, structs, len(images), 0, out.ctypes.data, self._error_reference
            )
            check(status, self._error)
        return out

    def _as_nchw(self, tensor: Tensor) -> F32:
        planar = tensor.layout == _structs.Layout.LAYOUT_NCHW
        return tensor.array if planar else np.ascontiguousarray(tensor.array.transpose(0, 3, 1, 2))

    def _run_images(self, images: List[Image]) -> F32:
        return self._run_tensor(Tensor(self._prepared(images), _structs.Layout.LAYOUT_NCHW))

    def _run_tensor(self, tensor: Tensor) -> F32:
        out = np.empty((len(tensor.array), self._scores), np.float32)
        if len(out):
            self._run(tensor.array, tensor.layout, len(out), out)
        return out

    # ---- observation and ablation ----

    def observe(self, callback: Optional[Callable[[Response], None]], *, copy: bool = True) -> None:
        """Set the callback that receives a Response for everything that a run computes.

        callback: a function of one Response, called op by op on the thread that runs the
            session. It must not use the session. If it raises an exception, the run
            raises it at its end. None: stop observing.
        copy: True: the data are a copy. False: they are the session's own buffer,
            read-only and valid only during the call.
        """
        if callback is not None and not callable(callback):
            raise ArgumentError(
                f"callback is {callback!r}: it must be a function of one Response, or None"
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
        """Set the observer of the C session, with the lock held.

        observer: an _structs.Observer, a function of another library, or None.
        user: an address that C passes to it.
        kept: the object at that address, kept alive here.
        """
        # Not ctypes.cast: it makes a reference cycle, which would keep everything alive.
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
    ) -> Ablation:
        """Change one block until the end of the `with` block:

            with session.skip("stage2.block1"):
                session.run(x)

        Without `with`, the change ends with end() of the result, or restore(). Several
        changes may be in force at once.

        block, other: index, name (see model.blocks), or Block.
        mode: "branch": remove the residual branch (in a plain network: both layers).
            "shortcut": remove the shortcut.
            "swap": exchange the block with `other`.

        Returns an Ablation. Raises UnsupportedModelError if the shapes do not allow the
        change, or if there is nothing to remove.
        """
        ablation = AblationSpec.parse(self._core, block, mode, other)
        self._change(lambda before: (*before, ablation))
        return Ablation(lambda: self._end(ablation))

    def restore(self) -> None:
        """End all ablations of this session."""
        self._become(())

    def _end(self, ablation: AblationSpec) -> None:
        if not self.closed:
            self._change(lambda before: tuple(other for other in before if other is not ablation))

    def _become(self, ablations: Tuple[AblationSpec, ...]) -> None:
        """Apply exactly these ablations."""
        if self._ablations is not ablations:
            self._change(lambda before: ablations)

    def _change(
        self, change: Callable[[Tuple[AblationSpec, ...]], Tuple[AblationSpec, ...]]
    ) -> None:
        with self._turn():
            before, wanted = self._ablations, change(self._ablations)
            if wanted[: len(before)] != before:
                self._apply(_RESTORE_ALL)
                self._ablations = before = ()
            for ablation in wanted[len(before) :]:
                self._apply(ablation)
                self._ablations = (*self._ablations, ablation)
            self._ablations = wanted

    def _apply(self, ablation: AblationSpec) -> None:
        status = library.resnet_session_skip(self._pointer, *ablation, self._error_reference)
        check(status, self._error)


def _structs_of(images: List[Image]) -> Any:
    return (_structs.ImageStruct * len(images))(*(image.struct for image in images))


def _without_refused(
    images: List[Image], function: Callable[[List[Image]], npt.NDArray[Any]], skip: bool
) -> Iterator[Union[npt.NDArray[Any], Error]]:
    """Yield what `function` returns for images. The library names the first that it
    refuses, e.g. one too small for a crop. If such images are skipped, yield the results
    of those before, the error, and the results of those behind it."""
    while images:
        try:
            yield function(images)
            return
        except Error as error:
            found = _REFUSED.match(error.message)
            if not found:
                raise
            position = int(found[1])
            error.message = error.message[found.end() :]
            error._at(images[position].place, images[position].path)
            if not skip:
                raise
            refused = error
        if position:
            yield function(images[:position])
        yield refused
        images = images[position + 1 :]


def _listener(
    observed: weakref.ref[Session], callback: Callable[[Response], None], ops: Any, copy: bool
) -> Generator[None, Any, None]:
    """Receive responses from C and pass them to the callback.

    A generator, not a function: C has no exceptions and ctypes drops them. Ctrl-C arrives
    when Python gets control after the library has computed. A function would not yet be
    inside its `try` then; a generator is.

    observed: a weak reference, since the session refers to its listener.
    """
    while True:
        session = None  # must not keep the session alive while waiting
        try:
            pointer = yield
            session = observed()
            if session is not None and session._problem is None:
                session._in_observer = True
                callback(_response_of(pointer.contents, ops, copy))
        except GeneratorExit:
            if session is None:  # the listener was released
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
