"""Sessions with an observer."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import weakref

import numpy as np
import pytest
from scores import CAT, images

import libresnet
from libresnet import Model, Session

# ---- observers ----


def test_an_observer_receives_what_is_computed(session: Session, model: Model) -> None:
    x = images(2)
    expected = session.run(x)
    received: list[libresnet.Response] = []
    session.observe(received.append)
    assert np.array_equal(session.run(x), expected)
    session.observe(None)
    assert {response.point for response in received} == {
        "output",
        "response",
        "shortcut",
        "class map",
    }
    one = [response.op.index for response in received][: len(received) // 2]
    assert one == sorted(one) and one * 2 == [response.op.index for response in received]
    for response in received:
        n, h, w, c = response.data.shape
        assert (
            response.data.dtype == np.float32
            and response.data.flags.owndata
            and response.data.flags.writeable
        )
        if response.point == "output":
            assert (h, w, c) == (response.op.height, response.op.width, response.op.channels)
    last = [
        response.data
        for response in received
        if response.op is model.plan[-1] and response.point == "output"
    ]
    assert np.array_equal(np.concatenate(last).reshape(2, 10), expected)
    maps = np.concatenate([response.data for response in received if response.point == "class map"])
    assert np.abs(maps.mean(axis=(1, 2)) - expected).max() < 1e-4 * np.abs(expected).max()
    first = [
        response.data
        for response in received
        if response.op.index == 0 and response.point == "output"
    ]
    assert not first or np.array_equal(np.concatenate(first).transpose(0, 3, 1, 2), x)


def test_an_observer_of_ops(model: Model) -> None:
    received: list[libresnet.Response] = []
    with model.session(threads=1, observe="ops") as session:
        session.observe(received.append)
        session.run(images(1))
    assert {response.point for response in received} == {"output"} and sum(
        r.nanoseconds for r in received
    ) > 0
    with pytest.raises(libresnet.ArgumentError, match="observe"):
        model.session(observe="everything")


def test_without_copies_the_data_are_the_sessions_own(session: Session) -> None:
    x, kept, views = images(1), [], []

    def look(response: libresnet.Response) -> None:
        assert not response.data.flags.writeable and not response.data.flags.owndata
        with pytest.raises(ValueError):
            response.data[...] = 0
        views.append(response.data.copy())

    session.observe(lambda response: kept.append(response.data))
    session.run(x)
    session.observe(look, copy=False)
    session.run(x)
    assert len(views) == len(kept) and all(np.array_equal(a, b) for a, b in zip(kept, views))


def test_an_observers_exception_is_the_runs(session: Session) -> None:
    x, calls = images(3), []
    expected = session.run(x)

    class Mine(Exception):
        pass

    def fail(response: libresnet.Response) -> None:
        calls.append(response.op)
        if len(calls) == 3:
            raise Mine("third")

    session.observe(fail)
    with pytest.raises(Mine, match="third"):
        session.run(x)
    assert len(calls) == 3, "it is not called any more"
    assert np.array_equal(session.run(x), expected), "the next run is a run as any other"
    calls.clear()
    with pytest.raises(Mine):
        session.classify(CAT)
    session.observe(lambda response: sys.exit(3))
    with pytest.raises(SystemExit):
        session.run(x)

    def leave(response: libresnet.Response) -> None:
        raise GeneratorExit

    session.observe(leave)
    for _ in range(2):
        with pytest.raises(GeneratorExit):
            session.run(x)
    session.observe(None)
    calls.clear()
    assert np.array_equal(session.run(x), expected) and not calls


def test_ctrl_c_ends_an_observed_run(model: Model) -> None:
    """It mostly comes while the library computes, and Python hears of it as it enters the
    observer."""
    x, calls = images(30), []
    with model.session(threads=1) as session:
        session.observe(lambda response: calls.append(response.point))
        expected = session.run(x)
        whole, calls[:] = len(calls), []
        for number in range(30):
            timer = threading.Timer(0.001 + 0.0002 * number, os.kill, (os.getpid(), signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):
                timer.start()
                while timer.is_alive():
                    session.run(x)
                session.run(x)
            timer.join()
        calls.clear()
        assert np.array_equal(session.run(x), expected) and len(calls) == whole


def test_an_observer_may_not_use_the_session(session: Session, model: Model) -> None:
    x, refused = images(1), []
    other = model.session(threads=1)
    expected = other.run(x)
    ablation = session.skip(0)
    uses = [
        lambda: session.run(x),
        lambda: session.classify(CAT),
        lambda: session.probabilities(CAT),
        lambda: session.observe(None),
        lambda: session.skip(1),
        lambda: ablation.end(),
        lambda: session.close(),
        lambda: model.close(),
    ]

    def use(response: libresnet.Response) -> None:
        if refused:
            return
        for one in uses:
            with pytest.raises(libresnet.ArgumentError, match="observer"):
                one()
            refused.append(one)
        assert model.plan and model.blocks
        if not other.closed:
            assert np.array_equal(other.run(x), expected)

    session.observe(use)
    changed = session.run(x)
    assert len(refused) == len(uses) and not model.closed and not session.closed
    assert not np.array_equal(changed, expected)
    ablation.end()
    assert np.array_equal(session.run(x), expected), "what was refused can be done later"
    assert np.array_equal(model.session(threads=1).run(x), expected)


def test_observers_keep_nothing_alive(model: Model) -> None:
    gc.disable()
    try:
        session = model.session(threads=1)

        class Callback:
            def __call__(self, response: libresnet.Response) -> None:
                pass

        callback = Callback()
        gone = weakref.ref(callback)
        session.observe(callback)
        session.run(images(1))
        del callback
        assert gone() is not None
        session.observe(None)
        assert gone() is None
        here = weakref.ref(session)
        session.observe(print)
        del session
        assert here() is None
    finally:
        gc.enable()
