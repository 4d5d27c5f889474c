"""What train.py lets its user choose from. Needs no PyTorch."""

from __future__ import annotations

KINDS = ("residual", "plain")


def onecycle(progress: float, warm_up: float) -> float:
    """Rise linearly from 0 to 1 over the share `warm_up` of the run, then fall to 0."""
    return progress / warm_up if progress < warm_up else (1 - progress) / (1 - warm_up)


def step(progress: float, _: float) -> float:
    """Return the paper's rate: divided by 10 after half and after three quarters."""
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01


SCHEDULES = {"onecycle": onecycle, "step": step}
