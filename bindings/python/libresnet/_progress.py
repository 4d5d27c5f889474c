"""A progress bar on sys.stderr, which may be a terminal or a notebook."""

from __future__ import annotations

import sys
import time

_SECONDS_BETWEEN_DRAWINGS = 0.1
_WIDTH = 24  # characters


def duration(seconds: float) -> str:
    """Return a duration as text, e.g. "5 s", "2 min 05 s", "3 h 20 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


class ProgressBar:
    """A bar with rate and time left.

    total: number of units, at least 1.
    unit: what is counted, e.g. "images".
    done: units that were done before; they do not count for the rate.
    shown: False: draw nothing.
    """

    def __init__(self, total: int, unit: str, done: int = 0, shown: bool = True) -> None:
        self._total, self._unit, self._done, self._before = total, unit, done, done
        self._shown = shown and total > 0
        self._start = time.monotonic()
        self._drawn = 0.0

    def advance(self, count: int) -> None:
        """Count more units as done, and draw at most ten times a second."""
        self._done += count
        now = time.monotonic()
        if not self._shown or now - self._drawn < _SECONDS_BETWEEN_DRAWINGS:
            return
        self._drawn = now
        rate = (self._done - self._before) / max(now - self._start, 1e-9)
        left = (self._total - self._done) / rate if rate else 0
        bar = "#" * (_WIDTH * self._done // self._total)
        self._write(
            f"\r\033[K{100 * self._done // self._total:3} % [{bar:{_WIDTH}}] "
            f"{self._done}/{self._total} {self._unit}, "
            f"{rate:.{0 if rate >= 10 else 1}f}/s, {duration(left)} left"
        )

    def finish(self) -> None:
        """Erase the bar."""
        if self._shown:
            self._write("\r\033[K")

    @staticmethod
    def _write(text: str) -> None:
        print(text, end="", file=sys.stderr, flush=True)
