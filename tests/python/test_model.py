"""Models: opening from everything, what they say of themselves, errors and warnings,
their life, pickling."""

from __future__ import annotations

import copy
import dataclasses
import errno
import gc
import gzip
import json
import multiprocessing
import os
import pickle
import re
import shutil
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from conftest import RESNET20, ROOT, SAMPLES, made_net, python, resnet_json, shared

import libresnet
from libresnet import Model, Preprocess

CAT = SAMPLES / "cat-tabby.jpg"
BROKEN = ROOT / "tests" / "models" / "broken"


@pytest.fixture(scope="module")
def plan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "net.resnet"
    with Model(RESNET20, keep_weights=True) as model:
        model.save(path)
    return path


def scores_of(model: Model) -> np.ndarray:
    h, w, c = model.input_shape
    x = np.random.default_rng(3).standard_normal((2, h, w, c), np.float32)
    with model.session(threads=1) as session:
        return session.run(x)


# ---- opening ----


def aligned_copy(data: bytes) -> np.ndarray:
    """At an address that is a multiple of 64."""
    memory = np.empty(len(data) + 64, np.uint8)
    start = -memory.ctypes.data % 64
    memory[start : start + len(data)] = np.frombuffer(data, np.uint8)
    return memory[start : start + len(data)]


def test_opens_all_forms_alike(tmp_path: Path, plan_file: Path) -> None:
    zipped = tmp_path / "net.onnx.gz"
    zipped.write_bytes(gzip.compress(RESNET20.read_bytes()))
    raw, plan = RESNET20.read_bytes(), plan_file.read_bytes()
    opened = [
        Model(),
        Model(str(RESNET20)),
        Model(RESNET20),
        Model(os.fsencode(RESNET20)),
        Model(zipped),
        Model(plan_file),
        Model.from_bytes(raw),
        Model.from_bytes(bytearray(raw)),
        Model.from_bytes(memoryview(raw)),
        Model.from_bytes(np.frombuffer(zipped.read_bytes(), np.uint8)),
        Model.from_bytes(plan),
        Model.from_bytes(aligned_copy(plan), borrow=True),
        Model.from_bytes(raw, borrow=True),
    ]
    wanted = scores_of(opened[0])
    for model in opened:
        assert model.info == opened[0].info and model.blocks == opened[0].blocks
        assert np.array_equal(scores_of(model), wanted)


def test_borrowed_bytes_are_used_in_place_and_kept(plan_file: Path) -> None:
    data = aligned_copy(plan_file.read_bytes())
    owner = weakref.ref(data.base)
    model = Model.from_bytes(data, borrow=True)
    wanted = scores_of(model)
    del data
    gc.collect()
    assert owner() is not None
    session = model.session()
    assert np.array_equal(scores_of(model), wanted)
    model.close()
    session.close()
    del session
    assert owner() is None


def test_borrowed_bytes_outlive_a_session_without_its_model(plan_file: Path) -> None:
    data = aligned_copy(plan_file.read_bytes())
    owner = weakref.ref(data.base)
    session = Model.from_bytes(data, borrow=True).session(threads=1)
    del data
    assert owner() is not None
    session.run(np.zeros((1, 3, 32, 32), np.float32))
    del session
    assert owner() is None


def test_a_relative_path_is_kept_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(RESNET20, tmp_path / "here.onnx")
    monkeypatch.chdir(tmp_path)
    model = Model("here.onnx")
    monkeypatch.chdir("/")
    assert model.path == str(tmp_path / "here.onnx")
    assert pickle.loads(pickle.dumps(model)).info == model.info


def test_a_path_with_odd_characters(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/na\xffme \xe2\x98\x83.onnx"
    shutil.copy(RESNET20, path)
    with Model(path) as model:
        assert os.fsencode(model.path) == path
        assert "Model" in repr(model)
    with pytest.raises(libresnet.ArgumentError, match="NUL"):
        Model(f"{RESNET20}\0.txt")


# ---- what it says, as the program does ----


def same_op(op: libresnet.Op, printed: dict) -> None:
    expected = {**printed, "inputs": tuple(printed["inputs"])}
    expected["height"], expected["width"], expected["channels"] = expected.pop("shape")
    for name, value in expected.items():
        assert getattr(op, name) == value, (op, name)


@pytest.mark.parametrize(
    "file",
    [
        RESNET20,
        ROOT / "models" / "cifar10-plain20.onnx",
        ROOT / "tests" / "models" / "resnet8_option_b.onnx",
        *sorted((ROOT / "tests" / "models" / "gates").glob("*.onnx"))[:1],
        *sorted((ROOT / "tests" / "models" / "keras").glob("*.onnx"))[:1],
    ],
    ids=lambda path: path.stem,
)
@pytest.mark.filterwarnings("ignore::libresnet.ModelWarning")
def test_it_says_what_inspect_says(file: Path) -> None:
    printed = resnet_json("inspect", file)
    with Model(file) as model:
        info, way = model.info, printed["preprocess"]
        assert (model.name, model.classes) == (
            printed["model"]["name"],
            printed["model"]["classes"],
        )
        assert model.input_shape[:2] == (
            printed["model"]["input_height"],
            printed["model"]["input_width"],
        )
        assert model.labels == (tuple(printed["labels"]) if printed["labels"] else None)
        assert info.notice == (printed["notice"] or "")
        # Behind the colon is what to do: an argument here, an option there.
        assert [(found.severity, found.message.split(":")[0]) for found in info.findings] == [
            (found["severity"], found["message"].split(":")[0]) for found in printed["findings"]
        ]
        assert info.preprocess_source == way.pop("source")
        assert way.pop("certainty")
        assert info.labels_source == printed["labels_source"]
        assert (info.score_count, info.input_channels) == (
            printed["model"]["score_count"],
            printed["model"]["input_channels"],
        )
        for name, value in way.items():
            mine = getattr(model.preprocess, name)
            assert (
                np.allclose(mine, value, rtol=1e-6)
                if name in ("scale", "mean", "std")
                else mine == (tuple(value) if isinstance(value, list) else value)
            ), name
        for mine, its in {"conv_layers": "layers"}.items():
            assert getattr(info, mine) == printed[its]
        for name in (
            "producer",
            "opset",
            "precision",
            "parameters",
            "macs",
            "weights_bytes",
            "arena_bytes",
        ):
            assert getattr(info, name) == printed[name], name
        assert info.arena_lower_bound == printed["arena_lower_bound"]
        assert len(model.plan) == len(printed["ops"])
        for op, its in zip(model.plan, printed["ops"]):
            same_op(op, its)
        counted = [op.layer for op in model.plan if op.layer is not None]
        assert counted == list(range(1, info.conv_layers + 1))
        assert len(model.blocks) == len(printed["blocks"])
        for index, (block, its) in enumerate(zip(model.blocks, printed["blocks"])):
            assert block.index == index
            for name in ("name", "shortcut", "first_op", "last_op", "convs"):
                assert getattr(block, name) == its[name]


def test_plan_is_a_sequence(model: Model) -> None:
    plan = model.plan
    assert plan is model.plan and plan.blocks is model.blocks
    assert plan[-1].index == len(plan) - 1 and [op.index for op in plan[2:5]] == [2, 3, 4]
    assert plan[3] in plan and list(reversed(plan))[0] == plan[-1]
    with pytest.raises(IndexError):
        plan[len(plan)]
    with pytest.raises(AttributeError):
        plan[0].name = "other"  # type: ignore[misc]
    lines = repr(plan).splitlines()
    assert (
        len(lines) == len(plan) + 2 and "stage1.block1" in repr(plan) and "winograd" in repr(plan)
    )


def test_scores_are_named(tmp_path: Path) -> None:
    assert Model(RESNET20).info.scores == "logits"
    assert Model(made_net(tmp_path / "softmax.onnx", softmax=True)).info.scores == "probabilities"


# ---- options ----


def test_options_reach_the_library() -> None:
    direct, small = Model(conv="direct"), Model(memory="small")
    assert not any(op.kernel == "winograd" for op in [*direct.plan, *small.plan])
    assert any(op.kernel == "winograd" for op in Model(conv="winograd").plan)
    assert Model(input_size=64).input_shape == (64, 64, 3)
    assert Model(input_size=(40, np.int64(48))).input_shape == (40, 48, 3)
    assert Model(preprocess="imagenet").preprocess == dataclasses.replace(
        Preprocess.preset("imagenet"), resize=36, crop=32
    )
    mine = Preprocess(
        resize=40, crop=32, order="BGR", scale=1.0, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0)
    )
    chosen = Model(preprocess=mine)
    assert chosen.preprocess == mine and chosen.info.preprocess_source == "options"
    with Model(BROKEN / "two_outputs.onnx", output="fc.out") as model:
        assert model.classes > 0


@pytest.mark.parametrize(
    "options",
    [
        {"input_size": -1},
        {"input_size": 65536},
        {"input_size": (32,)},
        {"input_size": (32, 32, 3)},
        {"input_size": "32"},
        {"input_size": 32.5},
        {"preprocess": "imagenet21k"},
        {"preprocess": "imagenet\0"},
        {"preprocess": 1},
        {"preprocess": Preprocess(order="GBR")},
        {"preprocess": Preprocess(resize=-1)},
        {"preprocess": Preprocess(crop=1 << 32)},
        {"preprocess": Preprocess(mean=(1.0, 2.0))},  # type: ignore[arg-type]
        {"preprocess": Preprocess(std=(1.0, 0.0, 1.0))},
        {"preprocess": Preprocess(scale=float("nan"))},
        {"conv": "fft"},
        {"memory": "tiny"},
        {"batch": -1},
        {"batch": 1 << 32},
        {"max_file_bytes": -1},
        {"max_memory_bytes": 1 << 64},
        {"output": "no such output"},
        {"output": 3},
        {"output": "logits\0"},
    ],
    ids=str,
)
def test_wrong_options_are_refused(options: dict) -> None:
    with pytest.raises(libresnet.ArgumentError) as raised:
        Model(**options)
    assert raised.value.status is libresnet.Status.ERROR_ARGUMENT and isinstance(
        raised.value, ValueError
    )
    with pytest.raises(libresnet.ArgumentError):
        Model.from_bytes(RESNET20.read_bytes(), **options)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(TypeError):
        Model(RESNET20, colour=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Model.from_bytes(RESNET20.read_bytes(), colour=1)
    with pytest.raises(TypeError):
        Model.from_bytes(3)


# ---- errors ----


def test_errors_have_types(tmp_path: Path) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(RESNET20.read_bytes()[:5000])
    cases = [
        (tmp_path / "none.onnx", {}, libresnet.ModelNotFoundError, FileNotFoundError, "ERROR_IO"),
        (tmp_path / "none.onnx", {}, libresnet.ModelNotFoundError, libresnet.FileError, "ERROR_IO"),
        (tmp_path, {}, libresnet.FileError, OSError, "ERROR_IO"),
        (cut, {}, libresnet.FormatError, ValueError, "ERROR_FORMAT"),
        (RESNET20, {"max_file_bytes": 1000}, libresnet.LimitError, libresnet.Error, "ERROR_LIMIT"),
        (
            RESNET20,
            {"max_memory_bytes": 1000},
            libresnet.LimitError,
            libresnet.Error,
            "ERROR_LIMIT",
        ),
        (
            BROKEN / "resize.onnx",
            {},
            libresnet.UnsupportedModelError,
            libresnet.Error,
            "ERROR_UNSUPPORTED",
        ),
    ]
    for path, options, kind, base, status in cases:
        with pytest.raises(base) as raised:
            Model(path, **options)
        problem = raised.value
        assert type(problem) is kind and problem.status.name == status
        assert str(path) in problem.message and str(problem) == problem.message
    with pytest.raises(FileNotFoundError) as missing:
        Model(tmp_path / "none.onnx")
    again = pickle.loads(pickle.dumps(missing.value))
    assert (missing.value.errno, missing.value.filename) == (
        errno.ENOENT,
        str(tmp_path / "none.onnx"),
    )
    assert (again.errno, again.filename, str(again)) == (
        errno.ENOENT,
        missing.value.filename,
        str(missing.value),
    )
    for empty in (b"", bytearray(), np.empty(0, np.uint8)):
        with pytest.raises(libresnet.FormatError):
            Model.from_bytes(empty)


def place(change: object, tmp_path: Path) -> tuple:
    path = made_net(tmp_path / "spoilt.onnx", change=change, size=16, width=0.25)
    with pytest.raises(libresnet.Error) as raised:
        Model(path)
    return type(raised.value), raised.value.node, raised.value.op, raised.value.attribute


def test_errors_name_node_operator_and_attribute(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")

    def conv(graph: object) -> object:
        return next(n for n in graph.graph.node if n.name == "layer1.0.conv1")

    def attribute(name: str, value: object) -> object:
        def change(graph: object) -> None:
            node = conv(graph)
            kept = [a for a in node.attribute if a.name != name]
            del node.attribute[:]
            node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])

        return change

    def renamed(graph: object) -> None:
        node = conv(graph)
        node.name, node.op_type = "attribute 'of' me", "Fancy Conv"

    def hostile(graph: object) -> None:
        node = conv(graph)
        node.name = "attribute evil"
        node.input[0] = "nowhere"

    format_error, unsupported = libresnet.FormatError, libresnet.UnsupportedModelError
    node = "layer1.0.conv1"
    assert place(attribute("strides", [0, 1]), tmp_path) == (format_error, node, "Conv", "strides")
    assert place(attribute("my attribute", 1), tmp_path) == (
        unsupported,
        node,
        "Conv",
        "my attribute",
    )
    assert place(renamed, tmp_path) == (unsupported, "attribute 'of' me", "Fancy Conv", None)
    assert place(hostile, tmp_path)[1:] == ("attribute evil", "Conv", None)
    with pytest.raises(libresnet.Error) as raised:
        Model(tmp_path / "not there")
    assert (raised.value.node, raised.value.op, raised.value.attribute) == (None, None, None)


def test_errors_can_be_pickled() -> None:
    for name in ("int8_qdq.onnx", "not there.onnx"):
        with pytest.raises(libresnet.Error) as raised:
            Model(BROKEN / name)
        again = pickle.loads(pickle.dumps(raised.value))
        assert type(again) is type(raised.value) and vars(again) == vars(raised.value)
        assert str(again) == str(raised.value) == str(copy.copy(raised.value))
    with pytest.raises(libresnet.ImageError) as image:
        libresnet.read_image("/not there.jpg")
    again = pickle.loads(pickle.dumps(image.value))
    assert (again.path, again.status, str(again)) == (
        "/not there.jpg",
        image.value.status,
        str(image.value),
    )


def test_errors_bear_the_name_that_users_write() -> None:
    for name in libresnet.__all__:
        thing = getattr(libresnet, name)
        if isinstance(thing, type) and issubclass(thing, Exception):
            assert f"{thing.__module__}.{thing.__qualname__}" == f"libresnet.{name}"


def test_every_status_has_a_class() -> None:
    from libresnet import _errors

    for status in libresnet.Status:
        if status is not libresnet.Status.OK:
            problem = _errors.error_of(status, "message")
            assert problem.status is status and pickle.loads(pickle.dumps(problem)).status is status
    assert isinstance(_errors.error_of(6, ""), MemoryError)
    assert isinstance(_errors.error_of(99, "of a newer library"), libresnet.SystemFailure)


@pytest.mark.parametrize(
    "name", ["int8_qdq", "control_flow", "training_opset13", "functions_called"]
)
def test_refused_files_say_why(name: str) -> None:
    expected = json.loads((ROOT / "tests" / "models" / "index.json").read_text())
    assert f"{name}.onnx" in json.dumps(expected)
    with pytest.raises(libresnet.UnsupportedModelError) as raised:
        Model(BROKEN / f"{name}.onnx")
    assert (
        raised.value.node is not None
        and raised.value.op
        and raised.value.op in raised.value.message
    )


# ---- warnings ----


def test_a_guess_is_reported_once_and_for_the_users_line(small_net: Path) -> None:
    for use in ("classify", "probabilities"):
        for session_too in (False, True):
            with Model(small_net) as model:
                user = model.session() if session_too else model
                with pytest.warns(libresnet.ModelWarning, match="cifar10|guessed") as warned:
                    getattr(user, use)(CAT)
                assert [Path(one.filename) for one in warned] == [Path(__file__)]
                getattr(user, use)([CAT] * 5)
                model.classify(CAT)


@pytest.mark.parametrize(
    "size, advice", [(None, "pass preprocess='cifar10'"), (64, "pass preprocess='imagenet'")]
)
def test_what_is_said_of_a_guess_can_be_followed(
    small_net: Path, size: int | None, advice: str
) -> None:
    with Model(small_net, input_size=size) as model:
        guess = model.preprocess
        with pytest.warns(libresnet.ModelWarning, match=advice):
            guessed = model.classify(CAT)
    for said in (guess, "cifar10") if size is None else (guess,):
        with Model(small_net, input_size=size, preprocess=said) as model:
            assert model.classify(CAT) == guessed


@pytest.mark.filterwarnings("error")
def test_no_guess_is_reported_where_none_matters(small_net: Path) -> None:
    with Model(small_net, preprocess="cifar10") as model:
        model.classify(CAT)
    with Model(small_net) as model:
        model.classify(np.zeros((1, 3, 32, 32), np.float32))
        model.session().run(np.zeros((1, 3, 32, 32), np.float32))
    with Model(RESNET20) as model:
        model.classify(CAT)


def test_a_guess_for_many_images_is_reported_for_the_users_line(small_net: Path) -> None:
    with Model(small_net) as model, pytest.warns(libresnet.ModelWarning) as warned:
        model.classify(iter([CAT] * 100), threads=2)
    assert [Path(one.filename) for one in warned] == [Path(__file__)]


def test_findings_are_warned_of() -> None:
    with pytest.warns(libresnet.ModelWarning, match="softmax_again") as warned:
        Model(BROKEN / "softmax_twice.onnx")
    assert [Path(one.filename) for one in warned] == [Path(__file__)]
    with pytest.warns(libresnet.ModelWarning, match="softmax_again") as warned:
        Model.from_bytes((BROKEN / "softmax_twice.onnx").read_bytes())
    assert [Path(one.filename) for one in warned] == [Path(__file__)]


@pytest.mark.filterwarnings("error")
def test_a_plan_file_opens_without_a_word_where_it_fits(plan_file: Path) -> None:
    Model(plan_file).close()


def test_a_plan_file_packed_anew_is_reported(plan_file: Path) -> None:
    with pytest.warns(libresnet.ModelWarning, match="packed") as warned:
        model = Model(plan_file, conv="direct")
    assert [Path(one.filename) for one in warned] == [Path(__file__)]
    assert model.info.notice and model.info.notice in str(warned[0].message)


@pytest.mark.filterwarnings("error::libresnet.ModelWarning")
def test_warnings_as_errors_leave_nothing_open(plan_file: Path) -> None:
    with pytest.raises(libresnet.ModelWarning):
        Model(plan_file, conv="direct")


# ---- life ----


def test_with_block_closes() -> None:
    with Model(RESNET20) as model:
        with model.session(threads=1) as session:
            assert not session.closed and not model.closed
        assert session.closed
        other = model.session(threads=1)
        model.classify(CAT)
    assert model.closed and other.closed and "closed" in repr(model)
    model.close()
    session.close()
    other.close()


def test_use_after_close_is_refused() -> None:
    x = np.zeros((1, 3, 32, 32), np.float32)
    model = Model(RESNET20)
    early, late = model.session(threads=1), model.session(threads=1)
    early.close()
    for use in (
        lambda: early.run(x),
        lambda: early.classify(CAT),
        lambda: early.skip(0),
        lambda: early.observe(print),
    ):
        with pytest.raises(libresnet.ArgumentError, match="session is closed"):
            use()
    assert late.run(x).shape == (1, 10)
    info = model.info
    model.close()
    with pytest.raises(libresnet.ArgumentError, match="session is closed"):
        late.run(x)
    for use in (
        lambda: model.session(),
        lambda: model.classify(CAT),
        lambda: model.probabilities(CAT),
        lambda: model.save("/tmp/never"),
        lambda: model.plan,
        lambda: model.skip(0),
    ):
        with pytest.raises(libresnet.ArgumentError, match="cifar10-resnet20.onnx is closed"):
            use()
    assert model.info is info and model.labels and "closed" in repr(model)


def test_a_plan_read_before_outlives_the_model() -> None:
    with Model(RESNET20) as model:
        plan, labels = model.plan, model.labels
    assert plan[1].name == "/conv1" and labels is not None and labels[3] == "cat"


def test_goes_at_once_when_nothing_refers_to_it() -> None:
    gc.disable()
    try:
        model = Model(RESNET20)
        model.classify(CAT)
        core = weakref.ref(model._core)
        session = model.session(threads=1)
        del model
        assert core() is not None, "a session keeps what it runs"
        session.run(np.zeros((1, 3, 32, 32), np.float32))
        del session
        assert core() is None
    finally:
        gc.enable()


def test_a_model_is_closed_after_its_sessions_whatever_the_garbage_collector_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from libresnet import _core, _session

    order = []
    for module, name in ((_core, "model"), (_session, "session")):
        close = module._close
        monkeypatch.setattr(module, "_close", lambda *a, c=close, n=name: (order.append(n), c(*a)))
    for _ in range(5):
        model = Model(RESNET20)
        session = model.session(threads=1)
        model.circle, session.circle = session, model  # type: ignore[attr-defined]
        del model, session
        gc.collect()
    assert order == ["session", "model"] * 5


def test_closing_while_sessions_open_in_other_threads() -> None:
    for _ in range(20):
        model = Model(RESNET20)
        problems: list[BaseException] = []

        def use() -> None:
            try:
                while True:
                    with model.session(threads=1) as session:
                        session.run(np.zeros((1, 3, 32, 32), np.float32))
            except libresnet.ArgumentError as problem:
                problems.append(problem)

        threads = [threading.Thread(target=use) for _ in range(3)]
        for thread in threads:
            thread.start()
        model.close()
        for thread in threads:
            thread.join(20)
        assert len(problems) == 3


# ---- saving ----


def test_save_needs_weights_and_keeps_answers(tmp_path: Path) -> None:
    path = tmp_path / "saved.resnet"
    with Model(RESNET20) as model, pytest.raises(libresnet.ArgumentError, match="keep_weights"):
        model.save(path)
    assert not path.exists()
    with Model(RESNET20, keep_weights=True, preprocess="imagenet", input_size=32) as model:
        model.save(path)
        with Model(path) as again:
            assert np.array_equal(scores_of(again), scores_of(model))
            assert again.preprocess == model.preprocess and again.info.preprocess_source == "model"
            again.save(os.fsencode(tmp_path / "twice.resnet"))
    assert (tmp_path / "twice.resnet").read_bytes() == path.read_bytes()
    with Model(path) as model, pytest.raises(libresnet.FileError):
        model.save(tmp_path / "no folder" / "x")
    with Model(path) as model, pytest.raises(libresnet.ArgumentError, match="NUL"):
        model.save(f"{path}\0")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["saved.resnet", "twice.resnet"]


# ---- pickling ----


def test_pickled_by_path_and_options() -> None:
    model = Model(
        RESNET20, conv="direct", preprocess=Preprocess(resize=32, crop=32), input_size=(32, 32)
    )
    data = pickle.dumps(model)
    assert len(data) < 2000
    model.close()
    with pickle.loads(data) as again:
        assert again.path == model.path and again.info == model.info and not again.closed
        assert all(op.kernel != "winograd" for op in again.plan)
    with pickle.loads(pickle.dumps(Model())) as builtin:
        assert builtin.name == "resnet20"


def test_what_cannot_be_pickled_says_what_to_do() -> None:
    with (
        Model.from_bytes(RESNET20.read_bytes()) as model,
        pytest.raises(TypeError, match="write the bytes to a file"),
    ):
        pickle.dumps(model)
    with Model() as model, pytest.raises(TypeError, match="pickle its model"):
        pickle.dumps(model.session(threads=1))


def child(model: Model) -> tuple:
    with model.session(threads=1) as session:
        best = session.classify(CAT, k=2)
    return model.classify(CAT, k=2), best, os.getpid()


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forks beside threads
def test_goes_to_other_processes(method: str) -> None:
    context = multiprocessing.get_context(method)
    with Model(RESNET20) as model:
        wanted = model.classify(CAT, k=2)
        with context.Pool(2) as pool:
            for here, there, process in pool.map_async(child, [model] * 3).get(60):
                assert here == there == wanted and process != os.getpid()


def test_errors_come_back_from_other_processes() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        with pytest.raises(libresnet.UnsupportedModelError) as raised:
            pool.apply_async(Model, [BROKEN / "resize.onnx"]).get(60)
    assert raised.value.op == "Resize"


# ---- tables ----


def test_tables_escape_hostile_names(tmp_path: Path) -> None:
    evil = "<script>alert('&\"')</script>"

    def change(graph: object) -> None:
        graph.graph.name = evil
        next(n for n in graph.graph.node if n.name == "layer1.0.conv1").name = evil
        graph.producer_name = evil

    path = made_net(tmp_path / "<img src=x onerror=alert(1)>.onnx", change=change)
    with Model(path) as model:
        assert model.name == evil and any(op.name == evil for op in model.plan)
        for page in (model._repr_html_(), model.plan._repr_html_()):
            tags = set(re.findall(r"<\s*/?\s*(\w+)", page))
            assert tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}, tags
            assert "&lt;img src=x" in page
        assert (
            "&lt;script&gt;alert(&#x27;&amp;&quot;&#x27;)&lt;/script&gt;"
            in model.plan._repr_html_()
        )
        assert model.plan._repr_html_().count("<tr>") == len(model.plan) + 1


def test_plan_to_pandas(model: Model) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = model.plan.to_pandas()
    assert len(frame) == len(model.plan) and frame["macs"].sum() == model.info.macs
    assert list(frame["name"]) == [op.name for op in model.plan]


def test_without_pandas_the_plan_says_what_to_install(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="Plan.to_pandas needs pandas.*pip install pandas"):
        model.plan.to_pandas()


def test_models_of_others() -> None:
    with Model(
        shared("models", "cifar10_resnet20_optionA_opset13.onnx"), preprocess="cifar10"
    ) as model:
        assert [block.shortcut for block in model.blocks].count("option A") == 2
    file = shared("models", "cifar_resnet20_dynamo.onnx")
    with pytest.raises(libresnet.Error, match="external"):
        Model(file)
    with Model(file, external_data=True, preprocess="cifar10") as other:
        assert other.classes == 10


def test_the_program_is_at_hand() -> None:
    done = python("-m", "libresnet", "--version")
    assert done.returncode == 0 and libresnet.__version__ in done.stdout
    assert python("-m", "libresnet", "nonsense").returncode == 2
    assert sys.modules["libresnet"].__doc__
