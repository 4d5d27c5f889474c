"""What a forked child has to forget: it has the locks and the memory of its parent,
but not its threads."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

# Held while modules of this package are imported late, on whatever thread: a fork waits
# for that. A child that was forked in the middle of it would wait for ever for a thread
# that it has not got. Not for others' modules, which may add to what is done at forks,
# and must not while one is under way.
importing = threading.RLock()


class Forked(Protocol):
    def _after_fork(self) -> None:
        """In the child: nobody else runs here, whoever held a lock."""


forked: weakref.WeakSet[Forked] = weakref.WeakSet()


def _child() -> None:
    importing.release()
    for thing in list(forked):
        thing._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=importing.acquire, after_in_parent=importing.release, after_in_child=_child
    )
