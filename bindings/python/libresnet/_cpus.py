"""How many processors there are to use."""

from __future__ import annotations

import os


def usable_cpus() -> int:
    """CPUs that this process may use, by its affinity mask and its control group's share of CPU time."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            share, period = file.read().split()
        return max(1, min(cpus, -(-int(share) // int(period))))
    except (OSError, ValueError):  # there is no such file, or it says "max"
        return cpus
