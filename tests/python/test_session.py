"""Sessions: scores, inputs of every kind, no copies, options."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import made_net, python, unsanitized
from scores import close_to, images, reference

import libresnet
from libresnet import Model, Session, _session

# ---- numbers and arrays ----


@pytest.mark.parametrize(
    ("kind", "options"),
    [("resnet8", {}), ("resnet20", {"size": 29}), ("plain8", {}), ("resnet8", {"softmax": True})],
)
def test_numbers_are_onnxruntimes(tmp_path: Path, kind: str, options: dict) -> None:
    path = made_net(tmp_path / "net.onnx", kind, seed=2, **options)
    side = options.get("size", 32)
    x = images(3, side, side)
    expected = reference(path, x)
    with Model(path) as model:
        for threads, batch in ((1, 1), (2, 2), (0, 8)):
            with model.session(threads=threads, batch=batch) as session:
                assert close_to(session.run(x), expected)
                assert close_to(
                    session.run(np.ascontiguousarray(x.transpose(0, 2, 3, 1))), expected
                )
                assert close_to(session.run(x[0]), expected[:1])


class Subclass(np.ndarray):
    pass


def at_odd_address(x: np.ndarray) -> np.ndarray:
    memory = bytearray(1) + bytearray(x.tobytes())
    return np.frombuffer(memory, np.float32, offset=1).reshape(x.shape)


def read_only(x: np.ndarray) -> np.ndarray:
    view = x.copy()
    view.flags.writeable = False
    return view


def in_a_larger_one(x: np.ndarray) -> np.ndarray:
    n, c, h, w = x.shape
    larger = np.full((2 * n, c + 1, h + 3, w + 5), np.nan, np.float32)
    larger[::2, :c, 1 : h + 1, 2 : w + 2] = x
    return larger[::2, :c, 1 : h + 1, 2 : w + 2]


# How the same values may be given, and whether they are read where they lie.
FORMS: dict[str, tuple[Callable[[np.ndarray], object], bool]] = {
    "NCHW": (np.ascontiguousarray, True),
    "NHWC": (lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)), True),
    "NHWC as a view": (
        lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        True,
    ),
    "NCHW as a view": (lambda x: x.transpose(0, 2, 3, 1), True),
    "read-only": (read_only, True),
    "slice of a batch": (lambda x: np.concatenate([x, x, x])[len(x) : 2 * len(x)], True),
    "subclass": (lambda x: x.view(Subclass), True),
    "bytes": (lambda x: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape), True),
    "reversed": (lambda x: x[::-1].copy()[::-1], False),
    "mirrored": (lambda x: x[..., ::-1].copy()[..., ::-1], False),
    "cut out": (in_a_larger_one, False),
    "Fortran's order": (np.asfortranarray, False),
    "at an odd address": (at_odd_address, False),
    "big-endian": (lambda x: x.astype(">f4"), False),
    "float64": (lambda x: x.astype(np.float64), False),
    "float64, NHWC": (lambda x: x.astype(np.float64).transpose(0, 2, 3, 1), False),
    "longdouble": (lambda x: x.astype(np.longdouble), False),
    "nested lists": (lambda x: x.tolist(), False),
}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """(address, layout, batch, address of the scores) of every call of resnet_run."""
    calls: list[tuple] = []
    original = _session._run

    def run(
        session: object, source: int, layout: int, batch: int, target: int, error: object
    ) -> int:
        calls.append((source, int(layout), batch, target))
        return original(session, source, layout, batch, target, error)

    monkeypatch.setattr(_session, "_run", run)
    return calls


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_bits(session: Session, seen: list[tuple], form: str) -> None:
    make, in_place = FORMS[form]
    x = images(3)
    expected = session.run(x)
    given = make(x)
    assert np.array_equal(session.run(given), expected)
    address, _, batch, _ = seen[-1]
    assert batch == 3 and address % 4 == 0
    if isinstance(given, np.ndarray):
        assert (address == given.__array_interface__["data"][0]) == in_place


def test_the_given_layout_is_used(session: Session, seen: list[tuple]) -> None:
    x = images(2)
    session.run(x)
    session.run(x.transpose(0, 2, 3, 1))
    session.run(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    session.run(np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2))
    assert [layout for _, layout, _, _ in seen] == [0, 0, 1, 1]


def test_half_precision_is_widened(session: Session) -> None:
    x = images(2).astype(np.float16)
    assert np.array_equal(session.run(x), session.run(x.astype(np.float32)))


def test_one_image_needs_no_batch(session: Session, seen: list[tuple]) -> None:
    x = images(1)
    expected = session.run(x)
    for one in (x[0], x[0].transpose(1, 2, 0), np.ascontiguousarray(x[0].transpose(1, 2, 0))):
        found = session.run(one)
        assert found.shape == (1, 10) and np.array_equal(found, expected)
        assert seen[-1][0] == one.__array_interface__["data"][0]


def test_no_images_no_scores(session: Session) -> None:
    for none in (images(0), images(0).transpose(0, 2, 3, 1), np.empty((0, 32, 32, 3))):
        assert session.run(none).shape == (0, 10)
    out = np.empty((0, 10), np.float32)
    assert session.run(images(0), out=out) is out
    with pytest.raises(libresnet.ArgumentError):
        session.run(np.empty((0, 3, 31, 32), np.float32))


@pytest.mark.parametrize(
    "shape",
    [(3, 32), (1, 3, 32, 31), (1, 4, 32, 32), (32, 32), (1, 1, 3, 32, 32), (), (0,)],
    ids=str,
)
def test_wrong_shapes_are_refused(session: Session, shape: tuple) -> None:
    with pytest.raises(libresnet.ArgumentError) as raised:
        session.run(np.zeros(shape, np.float32))
    assert "(n,3,32,32)" in str(raised.value) and "(n,32,32,3)" in str(raised.value)
    with pytest.raises(ValueError):
        session.run(np.zeros(shape, np.float64))


@pytest.mark.parametrize("dtype", ["c8", "U4", "O", "M8[s]", "V4", "u1", "i8", "?"])
def test_what_is_not_normalised_or_no_number_is_refused(session: Session, dtype: str) -> None:
    with pytest.raises(libresnet.ArgumentError, match="dtype|type"):
        session.run(np.zeros((1, 3, 32, 32), dtype))


def test_ambiguous_layouts_must_be_given(tmp_path: Path) -> None:
    path = made_net(tmp_path / "tiny.onnx", size=3)
    x = images(2, 3, 3)
    with Model(path) as model, model.session(threads=1) as session:
        for one in (x, x.astype(np.float64), x[0]):
            with pytest.raises(libresnet.ArgumentError, match="layout='NCHW'"):
                session.run(one)
        planar = session.run(x, layout="NCHW")
        assert np.array_equal(session.run(x.transpose(0, 2, 3, 1), layout="NHWC"), planar)
        assert not np.array_equal(session.run(x, layout="NHWC"), planar)
        with pytest.raises(libresnet.ArgumentError, match="NCHW"):
            model.classify(x)
        best = model.classify(x, k=1, layout="NCHW")
        assert [one[0].index for one in best] == planar.argmax(axis=1).tolist()
        assert close_to(planar, reference(path, x))


def test_wrong_layouts_are_refused(session: Session) -> None:
    for layout in ("NHWC", "nchw", "", "CHWN"):
        with pytest.raises(libresnet.ArgumentError):
            session.run(images(1), layout=layout)


# ---- out ----


def test_out_is_written_in_place(session: Session, seen: list[tuple]) -> None:
    x = images(3)
    expected = session.run(x)
    out = np.full((5, 10), np.nan, np.float32)
    assert session.run(x, out=out[1:4]).base is out
    assert seen[-1][3] == out.ctypes.data + out.strides[0]
    assert np.array_equal(out[1:4], expected) and np.isnan(out[[0, 4]]).all()
    part = out[1:4].view(Subclass)
    assert session.run(x, out=part) is part


@pytest.mark.parametrize(
    "out",
    [
        np.empty((2, 10), np.float32),
        np.empty((3, 11), np.float32),
        np.empty(30, np.float32),
        np.empty((3, 10), np.float64),
        np.empty((3, 10), ">f4"),
        np.empty((3, 20), np.float32)[:, ::2],
        np.empty((10, 3), np.float32).T,
        np.frombuffer(bytes(120), np.float32).reshape(3, 10),
        np.frombuffer(bytearray(121), np.float32, offset=1).reshape(3, 10),
        [[0.0] * 10] * 3,
        "out",
    ],
    ids=lambda out: f"{getattr(out, 'dtype', type(out))}",
)
def test_wrong_outs_are_refused(session: Session, out: object) -> None:
    with pytest.raises(libresnet.ArgumentError, match="out"):
        session.run(images(3), out=out)  # type: ignore[arg-type]


# ---- memory ----


@unsanitized
def test_a_large_batch_is_not_copied(tmp_path: Path) -> None:
    """200 MB, in a process whose peak is its own."""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("the system does not tell a process's peak of memory")
    path = made_net(tmp_path / "light.onnx", size=256, width=0.125)
    code = f"""
import numpy as np, libresnet
session = libresnet.Model({str(path)!r}).session(threads=1, batch=1)
x = np.zeros((266, 3, 256, 256), np.float32)
x += 1e-3  # every page is there
def peak():  # not ru_maxrss, which begins with what the parent had
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
session.run(x[:2])
for give in (x, x.transpose(0, 2, 3, 1)):
    before = peak()
    session.run(give)
    print(peak() - before)
assert x.nbytes > 200e6
session.run(x[::-1])
print(peak() - before)
"""
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    planar, interleaved, copied = map(int, done.stdout.split())
    assert planar < 20e6 and interleaved < 20e6 and copied > 100e6


# ---- options ----


@pytest.mark.parametrize(
    "options", [{"threads": -1}, {"threads": 257}, {"batch": -1}, {"batch": 1 << 32}], ids=str
)
def test_wrong_session_options_are_refused(model: Model, options: dict) -> None:
    with pytest.raises(libresnet.ArgumentError):
        model.session(**options)


def test_an_observer_must_be_callable(session: Session) -> None:
    with pytest.raises(libresnet.ArgumentError, match="callback"):
        session.observe(3)  # type: ignore[arg-type]


def test_what_they_print(model: Model) -> None:
    with model.session(threads=1, batch=2) as session:
        assert repr(session) == "<libresnet.Session of 'cifar10-resnet20.onnx': threads=1, batch=2>"
        ablation = session.skip(0)
        assert "in force" in repr(ablation) and repr(session).endswith(", 1 ablation>")
        ablation.end()
        assert "ended" in repr(ablation)
        assert "ablation" not in repr(session)
    assert repr(session).endswith(", closed>")
    with model.skip(0), model.skip(1):
        assert repr(model).endswith("10 classes, 2 ablations>")
    assert repr(model).endswith("10 classes>")


def test_a_batch_beyond_memory_is_an_error(model: Model) -> None:
    with pytest.raises(libresnet.Error):
        model.session(batch=0xFFFFFFFF)
    model.session(threads=1).run(images(1))
