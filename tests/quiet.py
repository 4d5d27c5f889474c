"""Whether the machine is quiet enough for a test that compares times."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Other programs may take this share of the CPUs: a ratio of minima still holds.
MAX_TAKEN = 0.03
SPIN = """
import time
end = time.monotonic() + 0.5
begin, wall = time.process_time(), time.monotonic()
while time.monotonic() < end:
    pass
print((time.process_time() - begin) / (time.monotonic() - wall))
"""


def taken_share() -> float:
    """Return the share of the CPUs that other programs take from as many busy processes
    as there are CPUs."""
    started = [
        subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE, text=True)
        for _ in os.sched_getaffinity(0)
    ]
    got = [float(one.communicate()[0]) for one in started]
    return max(0.0, 1 - sum(got) / len(got))


def expect_time(condition: bool, numbers: str) -> None:
    """Assert a condition on times. Where it does not hold and other programs take CPUs
    now, skip the test with both numbers. Check several times: programs come and go."""
    if condition:
        return
    taken = max(taken_share() for _ in range(3))
    if taken > MAX_TAKEN:
        pytest.skip(f"other programs take {100 * taken:.0f} % of the CPUs: {numbers}")
    pytest.fail(numbers)
