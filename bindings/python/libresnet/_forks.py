"""Reset objects in a forked child: it has the locks and the memory of its parent, but not
the parent's threads."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

# Held while any thread lazily imports a module of this package; a fork waits for it. A
# child forked during an import would wait for ever for a thread that it does not have. Not
# held for modules of others: they may register fork handlers, which is not allowed while a
# fork is in progress.
importing = threading.RLock()


class Forked(Protocol):
    def _after_fork(self) -> None:
        """Reset the locks in the child, which has no other threads."""


forked: weakref.WeakSet[Forked] = weakref.WeakSet()


def _child() -> None:
    importing.release()
    for thing in list(forked):
        thing._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=importing.acquire, after_in_parent=importing.release, after_in_child=_child
    )
