"""An open model: what a Model and its sessions share. It is closed with the last of
them."""

from __future__ import annotations

import ctypes
import operator
import os
import threading
import weakref
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Iterable, Iterator, List, Optional, Protocol, SupportsIndex, Tuple, Union

from ._errors import ArgumentError, ImageWarning, warn
from ._forks import forked
from ._images import CUT_16_BITS, Image
from ._labels import guessed_labels
from ._library import library
from ._plan import Block, ModelInfo, Plan, read_info


class Closable(Protocol):
    """A session of the model."""

    def close(self) -> None: ...


def _close(pointer: ctypes.c_void_p, kept: Any) -> None:
    """Close a model, then release `kept`, the bytes that it borrows."""
    library.resnet_model_close(ctypes.byref(pointer))


def _labelled(info: ModelInfo, given: Optional[List[str]]) -> ModelInfo:
    """Return a description with the origin of the labels. A model of ImageNet's number of
    classes without labels gets ImageNet's; an empty list of labels prevents that."""
    if given is not None:
        labels = info.labels if given else None
        return replace(info, labels=labels, labels_source="options" if labels else None)
    names = guessed_labels(info.classes) if info.labels is None else None
    return info if names is None else replace(info, labels=names, labels_source="assumed")


class Core:
    """Holds a resnet_model. Thread-safe."""

    def __init__(
        self, pointer: ctypes.c_void_p, path: Optional[str], kept: Any, labels: Optional[List[str]]
    ) -> None:
        """`kept` is what the model borrows, `labels` those that it was given."""
        self.pointer, self.path = pointer, path
        self.closing = False
        self.sessions: weakref.WeakSet[Closable] = weakref.WeakSet()
        self._finalizer = weakref.finalize(self, _close, pointer, kept)
        self._finalizer.atexit = False
        self._plan: Optional[Plan] = None
        self._after_fork()
        forked.add(self)
        info, self._op_count, self.block_count = read_info(pointer)
        self.info = _labelled(info, labels)
        self.prepared_images = False
        self.turned_images = False
        self._turned_reported = False
        self.cut_images = False
        self._cut_reported = False
        self._guess_reported = self.info.preprocess_source != "guessed"

    def _after_fork(self) -> None:
        # Lock order: a session's lock first, then this one.
        self._lock = threading.Lock()

    @contextmanager
    def in_use(self) -> Iterator[ctypes.c_void_p]:
        """Keep the model open for the duration of the `with` block."""
        with self._lock:
            if self.closing:
                raise ArgumentError(f"{self.title} is closed: open it again")
            yield self.pointer

    def close(self) -> None:
        with self._lock:
            self.closing = True
        try:
            for session in list(self.sessions):
                session.close()
        except ArgumentError:
            # An observer called this; its session must stay open.
            self.closing = False
            raise
        with self._lock:
            self._finalizer()

    @property
    def title(self) -> str:
        """Return the model's name for messages."""
        return os.path.basename(self.path) if self.path else self.info.name or "model from memory"

    @property
    def shape(self) -> Tuple[int, int, int]:
        """Return the shape of one input, (h,w,c)."""
        return self.info.input_height, self.info.input_width, self.info.input_channels

    @property
    def plan(self) -> Plan:
        with self.in_use() as pointer:
            if self._plan is None:
                self._plan = Plan(pointer, self.title, self._op_count, self.block_count)
            return self._plan

    def block_index(self, block: Union[int, str, Block]) -> int:
        """Return the index of a block that is given by index, name or Block."""
        name = block.name if isinstance(block, Block) else block
        names = [known.name for known in self.plan.blocks]
        if isinstance(name, str) and name in names:
            return names.index(name)
        if isinstance(name, SupportsIndex) and 0 <= operator.index(name) < len(names):
            return operator.index(name)
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise ArgumentError(
            f"{self.title} has no block {name!r}: "
            f"its {len(names)} blocks, counted from 0, are {shown}"
        )

    def warn_of_findings(self) -> None:
        """Issue a ModelWarning for each problem found in the file, and for its notice."""
        found = [what.message for what in self.info.findings if what.severity == "warning"]
        for message in found + ([self.info.notice] if self.info.notice else []):
            warn(f"{self.title}: {message}")

    def notice_images(self, images: Iterable[Image]) -> None:
        """Remember what to warn of. Called on any thread."""
        self.prepared_images = True
        for image in images:
            self.turned_images |= image.turned
            self.cut_images |= image.cut

    def warn_of_images(self) -> None:
        """Warn once of images with an orientation that was not applied, of images with
        16-bit values, and of guessed preprocessing. Called on the thread of the user's
        call."""
        if self.turned_images and not self._turned_reported:
            self._turned_reported = True
            warn(
                "a PIL image has an EXIF orientation that is not applied, so it is classified "
                "as it is stored. Give the path instead, or use "
                "PIL.ImageOps.exif_transpose(image)",
                ImageWarning,
            )
        if self.cut_images and not self._cut_reported:
            self._cut_reported = True
            warn(CUT_16_BITS, ImageWarning)
        if self.prepared_images and not self._guess_reported:
            self._guess_reported = True
            self._warn_of_guess()

    def _warn_of_guess(self) -> None:
        guess = self.info.preprocess
        # None: no preset has this crop.
        name = guess._preset_name()
        warn(
            f"{self.title} does not say how images are prepared; guessed from its input size: "
            f"{guess}. To be sure, pass preprocess={'this one' if name is None else repr(name)} "
            "or another"
        )
