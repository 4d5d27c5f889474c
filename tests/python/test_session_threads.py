"""Sessions in several threads, and in forked children."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import SANITIZED, made_net, measured, unsanitized
from quiet import expect_time
from scores import CAT, images

import libresnet
from libresnet import Model, Session, _library, _session

# ---- threads ----


WINDOW = 0.02  # seconds: so short that now and then nobody else wants the CPUs meanwhile
WORKER = """
import sys, time, numpy, libresnet
x = numpy.zeros((1, 3, 96, 96), numpy.float32)
with libresnet.Model(sys.argv[1]) as model, model.session(threads=1) as session:
    begin, ends = time.perf_counter(), []
    while time.perf_counter() - begin < 4:
        session.run(x)
        ends.append(time.perf_counter())
print(*ends)
"""


def busiest(ends: list[float]) -> float:
    """Runs a second in the best window of all, by the times at which runs ended."""
    at = np.sort(ends)
    return float((np.arange(len(at)) - np.searchsorted(at, at - WINDOW)).max() / WINDOW)


def run_side_by_side(sessions: list[Session], x: np.ndarray, seconds: float) -> list[float]:
    """When the runs of one thread for each session ended."""
    ends: list[list[float]] = [[] for _ in sessions]
    start = threading.Barrier(len(sessions))

    def one(index: int) -> None:
        start.wait()
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            sessions[index].run(x)
            ends[index].append(time.perf_counter())

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(sessions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [end for of_one in ends for end in of_one]


def alone(session: Session, x: np.ndarray) -> float:
    """Runs in a second of a CPU's time: what one thread does where nobody disturbs it."""
    begin = time.thread_time()
    for _ in range(100):
        session.run(x)
    return 100 / (time.thread_time() - begin)


def two_processes(path: Path) -> float:
    """What two processes do in their best window: what the machine can give."""
    command = [sys.executable, "-c", WORKER, str(path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    return busiest([float(end) for one in started for end in one.communicate()[0].split()])


@pytest.mark.alone
@unsanitized
def test_two_threads_run_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """That the library runs without the interpreter's lock: two threads with two
    sessions do 1.8 times as much as one, in the best moments of both, as other
    programs want the CPUs too."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one CPU only")
    path = made_net(tmp_path / "heavy.onnx", "resnet18", size=96, width=0.5)
    x = np.zeros((1, 3, 96, 96), np.float32)
    with Model(path) as model:
        sessions = [model.session(threads=1) for _ in range(2)]
        one = two = 0.0
        for _ in range(20):
            one = max(one, alone(sessions[0], x), busiest(run_side_by_side(sessions[:1], x, 0.05)))
            two = max(two, busiest(run_side_by_side(sessions, x, 0.15)))
            if two >= 1.9 * one:
                break
    if two < 1.8 * one and (possible := two_processes(path)) < 1.8 * one:
        pytest.skip(
            f"two processes, too, do only {possible / one:.2f} times as much as one: "
            "the CPUs are not free"
        )
    measured(
        capsys,
        f"two threads, two sessions: {two / one:.2f} times the runs of one ({one:.0f} a second)",
    )
    expect_time(two >= 1.8 * one, f"two threads do {two / one:.2f} times the work of one")


@pytest.mark.alone
@unsanitized
def test_a_lock_that_is_held_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same measure where the interpreter's lock is kept while the library
    computes."""
    keeping = ctypes.PyDLL(_library.path).resnet_run
    keeping.argtypes, keeping.restype = _session._run.argtypes, _session._run.restype
    x = np.zeros((1, 3, 96, 96), np.float32)
    with Model(made_net(tmp_path / "heavy.onnx", "resnet18", size=96, width=0.5)) as heavy:
        sessions = [heavy.session(threads=1) for _ in range(2)]
        one = alone(sessions[0], x)
        monkeypatch.setattr(_session, "_run", keeping)
        assert busiest(run_side_by_side(sessions, x, 0.3)) < 1.4 * one


def test_one_session_serves_many_threads(session: Session) -> None:
    """One after the other, each with its own answer."""
    inputs = [images(1 + seed % 3, seed=seed) for seed in range(8)]
    expected = [session.run(x) for x in inputs]
    wrong: list[int] = []

    def use(index: int) -> None:
        for _ in range(50):
            if not np.array_equal(session.run(inputs[index]), expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=use, args=(index,)) for index in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_closing_waits_for_a_run_elsewhere(model: Model) -> None:
    for close_model in (False, True):
        session = model.session(threads=1, batch=1)
        x = images(400)
        expected = session.run(x)
        found: list[np.ndarray] = []
        started = threading.Event()

        session.observe(lambda response: started.set(), copy=False)  # now it is under way
        thread = threading.Thread(target=lambda: found.append(session.run(x)))
        thread.start()
        assert started.wait(30)
        (model if close_model else session).close()
        thread.join(30)
        assert len(found) == 1 and np.array_equal(found[0], expected)
        with pytest.raises(libresnet.ArgumentError, match="closed"):
            session.run(x)


# ---- forks ----


def in_child(work: Callable[[], bool], seconds: float = 30) -> None:
    """Fork; `work` must return True there, and come back."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if work() else 2
        except BaseException as problem:
            os.write(2, repr(problem).encode())
        finally:
            os._exit(code)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0
            return
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
quiet_forks = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@needs_fork
@quiet_forks
@pytest.mark.parametrize("threads", [1, 3])
def test_a_forked_child_uses_model_and_session(model: Model, threads: int) -> None:
    x = images(2)
    labels = model.classify([CAT] * 4, k=1)
    with model.session(threads=threads, batch=2) as session:
        with session.skip("stage1.block1"):
            expected = session.run(x)
            received: list[str] = []
            session.observe(lambda response: received.append(response.point))
            session.run(x)
            count = len(received)

            def work() -> bool:
                received.clear()
                same = np.array_equal(session.run(x), expected) and len(received) == count
                return (
                    same
                    and model.classify([CAT] * 4, k=1) == labels
                    and model.classify(CAT, k=1) == labels[0]
                )

            in_child(work)
            assert np.array_equal(session.run(x), expected)
        in_child(
            lambda: (
                session.run(x).shape == (2, 10)
                and session.close() is None
                and model.close() is None
            )
        )
        in_child(lambda: model.close() is None and session.closed)
        assert session.run(x).shape == (2, 10)


FIRST_CALL = """
import os, sys, threading, time, libresnet
model, images = libresnet.Model(), [sys.argv[1]] * 8
thread = threading.Thread(target=lambda: (model.classify(images), model.observe(images)))
thread.start()
time.sleep(float(sys.argv[2]))
child = os.fork()
if child == 0:
    os._exit(0 if len(model.classify(images)) == 8 and len(model.observe(images)) == 40 else 1)
status = os.waitpid(child, 0)[1]
thread.join()
sys.exit(status != 0)
"""


# GCC 12's AddressSanitizer leaves its own locks to a child as the parent's threads had
# them: opening a session there waits for ever, in 1 of some 50 forks. Without it, none of
# 1,800 did.
unsanitized_fork = pytest.mark.skipif(
    SANITIZED,
    reason="a sanitizer's own locks do not outlive a fork beside other threads",
)


@pytest.mark.slow
@needs_fork
@quiet_forks
@unsanitized_fork
def test_forking_during_another_threads_first_call() -> None:
    """What is imported late must not be half imported in the child, which would wait
    for it for ever."""
    for number in range(12):
        command = [sys.executable, "-c", FIRST_CALL, str(CAT), str(0.001 * number)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "Error" not in done.stderr, done.stderr


@needs_fork
@quiet_forks
@unsanitized_fork
def test_forking_while_other_threads_hold_every_lock(model: Model) -> None:
    x = images(40)
    session = model.session(threads=2)
    expected = session.run(x[:1])
    ended = threading.Event()

    def use(work: Callable[[], object]) -> None:
        while not ended.is_set():
            work()

    works = [
        lambda: session.run(x),
        lambda: model.classify([CAT] * 8),
        lambda: model.session(threads=2).close(),
    ]
    threads = [threading.Thread(target=use, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            time.sleep(0.003)
            in_child(
                lambda: (
                    np.array_equal(session.run(x[:1]), expected)
                    and len(model.classify([CAT] * 4)) == 4
                )
            )
    finally:
        ended.set()
        for thread in threads:
            thread.join()
