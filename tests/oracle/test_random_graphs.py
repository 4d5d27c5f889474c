"""Random residual graphs against onnxruntime: the differential fuzzer, in its short form.

LIBRESNET_RANDOM_GRAPHS sets how many are tried (150), LIBRESNET_RANDOM_SEED the first
one's number (0). A failure names its number, which makes the same graph again. Each
agrees in the scores and in every tensor that the library computes, or is refused for a
reason in REFUSALS. The numbers of refusals, with their messages, are printed.

Two tensors agree if they differ by no more than TOLERANCE of the largest value. Where a
sum cancels, that value is smaller than what was added up. There onnxruntime's own answers
change when the last bits of weights and images do. Such a tensor may differ by TIMES that
change; these cases are counted separately.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import oracle
import pytest
from oracle import TOLERANCE, Dump, need_dump, onnx, relative_error, run_dump

import random_graphs  # isort: skip; it needs onnx, which oracle looks for

COUNT = int(os.environ.get("LIBRESNET_RANDOM_GRAPHS", "150"))
FIRST = int(os.environ.get("LIBRESNET_RANDOM_SEED", "0"))
GROUP_SIZE = 10
XNNPACK_EVERY = 3  # graphs; these are also run with XNNPACK's convolutions alone
# Parts of the messages of rightful refusals, and why they are right.
REFUSALS = {
    "multiplies two activations": "in (n,h,w,1) the axis of the gate is ambiguous",
}
LAST_BITS = 2.0**-22  # two units in the last place of a float32
SHAKES = 4
TIMES = 4
outcomes: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)


@pytest.fixture(scope="module", autouse=True)
def summary(pytestconfig: pytest.Config) -> Iterator[None]:
    start = time.monotonic()
    yield
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        agreed, refused = outcomes["agreed"].total(), outcomes["refused"]
        print(
            f"\nmeasured: random graphs | {agreed} agree with onnxruntime "
            f"({outcomes['ill-conditioned'].total()} as far as it agrees with itself), "
            f"{refused.total()} are refused | {time.monotonic() - start:.0f} s"
        )
        for message, count in refused.most_common():
            print(f"measured: random graphs | refused {count} times | {message}")


def layouts(value: np.ndarray, like: np.ndarray) -> list[np.ndarray]:
    """Return a tensor of the file as (n,h,w,c): from either layout, where both would
    fit."""
    if value.ndim != 4:
        assert value.size == like.size, f"{value.shape} against {like.shape}"
        return [value.reshape(like.shape)]
    fitting = [one for one in (value.transpose(0, 2, 3, 1), value) if one.shape == like.shape]
    if not fitting and value.size == like.size and sum(size > 1 for size in value.shape[1:]) <= 1:
        fitting = [value.reshape(like.shape)]
    assert fitting, f"{value.shape} against {like.shape}"
    return fitting


def references(graph: random_graphs.RandomGraph, names: list[str]) -> dict[str, np.ndarray]:
    given = graph.images.transpose(0, 2, 3, 1) if graph.nhwc else graph.images
    return dict(zip(names, oracle.reference(graph.model, given, names)))


def shaken(graph: random_graphs.RandomGraph, seed: int) -> random_graphs.RandomGraph:
    """Return the same graph with other last bits in every weight and pixel."""
    rng = np.random.default_rng(seed)

    def shake(value: np.ndarray) -> np.ndarray:
        return (value * (1 + rng.uniform(-LAST_BITS, LAST_BITS, value.shape))).astype(np.float32)

    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(
                onnx.numpy_helper.from_array(shake(onnx.numpy_helper.to_array(tensor)), tensor.name)
            )
    return dataclasses.replace(graph, model=model, images=shake(graph.images))


def sensitivity(
    graph: random_graphs.RandomGraph, expected: dict[str, np.ndarray]
) -> dict[str, float]:
    """Return how much onnxruntime's own answers change when last bits do."""
    most = dict.fromkeys(expected, 0.0)
    for seed in range(SHAKES):
        for name, value in references(shaken(graph, seed), list(expected)).items():
            most[name] = max(most[name], relative_error(value, expected[name]))
    return most


def errors_of(found: Dump, expected: dict[str, np.ndarray], scores: str) -> dict[str, float]:
    """Return the errors of all tensors that have a name in the file. Padding that a
    convolution asks for has none."""
    errors = {
        name: min(
            relative_error(found.tensors[name], one) for one in layouts(value, found.tensors[name])
        )
        for name, value in expected.items()
        if name in found.tensors
    }
    of_scores = relative_error(found.scores, expected[scores].reshape(found.scores.shape))
    return {**errors, scores: max(of_scores, errors.get(scores, 0.0))}


def compare(graph: random_graphs.RandomGraph, found: Dump) -> None:
    scores = graph.output or graph.model.graph.output[0].name
    expected = references(graph, [name for name in dict.fromkeys([scores, *found.tensors]) if name])
    wrong = {
        name: error
        for name, error in errors_of(found, expected, scores).items()
        if not error <= TOLERANCE
    }
    if wrong:
        outcomes["ill-conditioned"][""] += 1
        moved = sensitivity(graph, expected)
        wrong = {name: error for name, error in wrong.items() if not error <= TIMES * moved[name]}
    assert not wrong, f"first of {len(wrong)} tensors that differ: {next(iter(wrong.items()))}"


def count_refusal(message: str) -> None:
    """Count a refusal without its numbers and names, so that similar ones are added
    up."""
    assert any(part in message for part in REFUSALS), f"refused: {message}"
    outcomes["refused"][re.sub(r"\d+", "#", re.sub(r"'[^']*'", "'...'", message))] += 1


def try_graph(number: int, folder: Path) -> None:
    graph = random_graphs.random_graph(number)
    path = folder / f"{number}.onnx"
    onnx.save(graph.model, path)
    options = [
        "--threads",
        1 + number % 2,
        "--batch",
        graph.batch,
        *(["--output", graph.output] if graph.output else []),
    ]
    for conv in ((), oracle.XNNPACK) if number % XNNPACK_EVERY == 0 else ((),):
        done, written = run_dump(path, graph.images, folder, [*options, *conv])
        if done.returncode != 0:
            count_refusal(done.stderr.strip().replace(str(folder), ""))
            return
        scores, tensors = oracle.read_records(written)
        compare(graph, Dump(scores, tensors, [], 0, []))
        written.unlink()
    outcomes["agreed"][""] += 1


@pytest.mark.parametrize("first", range(FIRST, FIRST + COUNT, GROUP_SIZE))
def test_random_graphs_agree_with_onnxruntime(tmp_path: Path, first: int) -> None:
    need_dump()
    for number in range(first, min(first + GROUP_SIZE, FIRST + COUNT)):
        try:
            try_graph(number, tmp_path)
        except AssertionError as failure:
            raise AssertionError(f"graph {number}: {failure}") from failure
