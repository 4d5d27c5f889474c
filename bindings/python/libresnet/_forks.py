"""What a forked child has to forget: it has the locks and the memory of its parent, but not its threads."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    def _after_fork(self) -> None:
        """In the child: nobody else runs here, whoever held a lock."""


forked: weakref.WeakSet[Forked] = weakref.WeakSet()


def _child() -> None:
    for thing in list(forked):
        thing._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_child)
