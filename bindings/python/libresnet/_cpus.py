"""How many processors there are to use."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ._errors import ArgumentError

GROUPS = "/sys/fs/cgroup"
OWN_GROUP = "/proc/self/cgroup"


def usable_cpus() -> int:
    """CPUs that this process may use, by its affinity mask and the shares of CPU time
    of its control groups (version 2)."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cpus, *map(_share, _groups())]))


def worker_count(threads: int) -> int:
    """How many threads a user asks for, 0 being one for every CPU; ArgumentError where
    there can't be so many."""
    if not 0 <= threads <= 256:
        raise ArgumentError(
            f"threads is {threads}: accepted are 1 to 256, and 0 for one for every CPU"
        )
    return threads or usable_cpus()


def _groups() -> Iterator[str]:
    """The folders of this process's control group, and of those that it is in."""
    try:
        with open(OWN_GROUP, encoding="utf-8", errors="surrogateescape") as file:
            paths = [line[3:].rstrip("\n") for line in file if line.startswith("0::/")]
    except OSError:
        paths = []
    path = paths[0] if paths else "/"
    while True:
        yield GROUPS + path
        if path in ("", "/"):
            return
        path = os.path.dirname(path)


def _share(group: str) -> int:
    """CPUs' worth of time, rounded up."""
    try:
        with open(os.path.join(group, "cpu.max"), encoding="ascii") as file:
            share, period = file.read().split()
        return -(-int(share) // int(period))
    except (OSError, ValueError):  # there is no such file, or it says "max"
        return 1 << 16
