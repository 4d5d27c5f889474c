"""The number of CPUs that this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ._errors import ArgumentError

GROUPS = "/sys/fs/cgroup"
OWN_GROUP = "/proc/self/cgroup"


def usable_cpus() -> int:
    """Return the number of CPUs that the affinity mask and the CPU limits of the control
    groups (version 2) allow; at least 1."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cpus, *map(_share, _groups())]))


def worker_count(threads: int) -> int:
    """Return the number of threads for an option `threads`: 1 to 256, or 0 for one per CPU.
    Raises ArgumentError for other numbers."""
    if not 0 <= threads <= 256:
        raise ArgumentError(
            f"threads is {threads}: accepted values are 1 to 256, and 0 for one per CPU"
        )
    return threads or usable_cpus()


def _groups() -> Iterator[str]:
    """Yield the folder of this process's control group, then those of its parents."""
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
    """Return a control group's limit in CPUs, rounded up; a large number if there is none."""
    try:
        with open(os.path.join(group, "cpu.max"), encoding="ascii") as file:
            share, period = file.read().split()
        return -(-int(share) // int(period))
    except (OSError, ValueError):  # no such file, or its content is "max"
        return 1 << 16
