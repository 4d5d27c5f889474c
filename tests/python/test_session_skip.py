"""Sessions with ablations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import made_net
from scores import CAT, close_to, images, reference

import libresnet
from libresnet import Model, Session

# ---- ablations ----


def without_block(source: Path, target: Path, block: str) -> Path:
    """The file with the residual branch of a block cut off: relu(shortcut), by an Add of
    zero."""
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(source)
    add = next(node for node in graph.graph.node if node.name == f"{block}.add")
    zero = onnx.numpy_helper.from_array(np.zeros(1, np.float32), "nothing")
    graph.graph.initializer.append(zero)
    relu = next(node for node in graph.graph.node if node.name == f"{block}.relu")
    kept = [node for node in graph.graph.node if node is not add]
    relu.input[0] = add.input[1]
    del graph.graph.node[:]
    graph.graph.node.extend(kept)
    onnx.save(graph, target)
    return target


def test_numbers_without_a_block_are_those_of_the_edited_file(tmp_path: Path) -> None:
    path = made_net(tmp_path / "whole.onnx", "resnet20", seed=4, shortcut="B")
    x = images(2)
    edited = {
        index: without_block(path, tmp_path / f"{index}.onnx", f"layer{1 + index // 3}.{index % 3}")
        for index in range(9)
    }
    with Model(path) as model, model.session(threads=1) as session:
        whole = session.run(x)
        for index, file in edited.items():
            with session.skip(model.blocks[index]):
                changed = session.run(x)
            assert close_to(changed, reference(file, x)) and not close_to(changed, whole)
        assert np.array_equal(session.run(x), whole)


def test_blocks_are_named_in_three_ways(model: Model, session: Session) -> None:
    x = images(1)
    found = []
    for name in (3, "stage2.block1", model.blocks[3], np.int64(3)):
        with session.skip(name):  # type: ignore[arg-type]
            found.append(session.run(x))
    assert all(np.array_equal(one, found[0]) for one in found)
    for wrong in (-1, 9, "stage9.block1", "", 1.5, None):
        with pytest.raises(libresnet.ArgumentError, match="stage1.block1"):
            session.skip(wrong)  # type: ignore[arg-type]
    with pytest.raises(libresnet.ArgumentError, match="mode"):
        session.skip(0, mode="nothing")
    for arguments in ({"mode": "swap"}, {"mode": "branch", "other": 1}):
        with pytest.raises(libresnet.ArgumentError, match="other"):
            session.skip(0, **arguments)


def test_ablations_end_in_any_order(model: Model, session: Session) -> None:
    """After every step a session that has just what is left gives the same bits."""
    x, random = images(1), np.random.default_rng(8)
    swaps = [(0, 1), (1, 2), (4, 5), (7, 8)]
    active: list[tuple[tuple, libresnet.Ablation]] = []
    whole = session.run(x)
    for _ in range(60):
        if active and random.random() < 0.45:
            _, ablation = active.pop(int(random.integers(len(active))))
            ablation.end()
            ablation.end()
        elif random.random() < 0.4:
            block, other = swaps[int(random.integers(len(swaps)))]
            active.append(((block, "swap", other), session.skip(block, "swap", other)))
        else:
            what = (
                int(random.integers(9)),
                "branch" if random.random() < 0.5 else "shortcut",
                None,
            )
            active.append((what, session.skip(*what)))
        with model.session(threads=1) as fresh:
            for what, _ in active:
                fresh.skip(*what)
            assert np.array_equal(session.run(x), fresh.run(x)), [what for what, _ in active]
    for _, ablation in active:
        ablation.end()
    assert np.array_equal(session.run(x), whole)


def test_an_ablation_ends_with_an_exception(model: Model, session: Session) -> None:
    x = images(1)
    whole = session.run(x)
    with pytest.raises(ZeroDivisionError), session.skip(0), session.skip(1):
        1 / 0
    assert np.array_equal(session.run(x), whole)
    with session.skip(0) as ablation:
        ablation.end()
        assert np.array_equal(session.run(x), whole)
    with session.skip(0):
        session.close()


def test_restoring_ends_all_ablations(model: Model, session: Session) -> None:
    whole, labelled = session.run(images(1)), model.probabilities([CAT] * 9)
    session.skip(0)
    kept = session.skip(1)
    session.restore()
    assert np.array_equal(session.run(images(1)), whole)
    kept.end()
    model.skip(0)
    model.skip(1, "shortcut")
    assert not np.array_equal(model.probabilities([CAT] * 9), labelled)
    model.restore()
    assert np.array_equal(model.probabilities([CAT] * 9), labelled)


def test_refused_ablations_change_nothing(tmp_path: Path) -> None:
    path = made_net(tmp_path / "plain.onnx", "plain20", seed=1)
    x = images(1)
    with Model(path) as model, model.session(threads=1) as session:
        with session.skip(1):
            before = session.run(x)
            for arguments in ((3, "branch"), (0, "shortcut"), (0, "swap", 3)):
                with pytest.raises(libresnet.UnsupportedModelError):
                    session.skip(*arguments)
                with pytest.raises(libresnet.UnsupportedModelError):
                    model.skip(*arguments)
                assert np.array_equal(session.run(x), before)
        whole = session.run(x)
        assert not np.array_equal(whole, before)
        assert np.array_equal(model.session(threads=1).run(x), whole)


def test_a_models_own_ablations(model: Model, session: Session) -> None:
    """They concern classify and probabilities of the model, on however many threads,
    and no session of the user's."""
    whole, many = model.probabilities(CAT), model.probabilities([CAT] * 9)
    with model.skip("stage1.block2"), session.skip("stage1.block2"):
        changed = session.probabilities(CAT)
        for threads in (0, 1, 2):
            assert np.array_equal(model.probabilities(CAT, threads=threads), changed)
            assert np.array_equal(
                model.probabilities([CAT] * 9, threads=threads), np.stack([changed] * 9)
            )
        assert np.array_equal(model.session(threads=1).probabilities(CAT), whole)
    assert not np.array_equal(changed, whole)
    assert np.array_equal(model.probabilities(CAT), whole)
    assert np.array_equal(model.probabilities([CAT] * 9), many)
    ablation = model.skip(0)
    model.close()
    ablation.end()
