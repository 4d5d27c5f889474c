"""Folding of constants against NumPy, for each operator and element type, and operators
that move elements against onnxruntime.

A model adds the constant to an input of zeros, so that the scores are its numbers. As the
library refuses a model with infinities or NaNs, they are counted inside of the model:
`Equal` finds them and `Where` removes them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from oracle import onnx, onnxruntime, read_records, run_dump

ml_dtypes = pytest.importorskip("ml_dtypes", reason="bfloat16 for NumPy; onnx installs it")
helper, TensorProto = onnx.helper, onnx.TensorProto

COUNT = 48
OPSET = 18
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16), BFLOAT16]
INTEGERS = [np.dtype(np.int32), np.dtype(np.int64)]
SHORT = [np.dtype(t) for t in (np.int8, np.uint8, np.int16, np.uint16, np.uint32)]
BOOL = np.dtype(np.bool_)
ONNX_TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.float16): TensorProto.FLOAT16,
    BFLOAT16: TensorProto.BFLOAT16,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.int64): TensorProto.INT64,
    BOOL: TensorProto.BOOL,
} | {t: helper.np_dtype_to_tensor_dtype(t) for t in SHORT}
LARGEST = np.float32(3e38)  # larger doubles do not fit the scores
TRANSCENDENTAL = ("Exp", "Log", "Sigmoid", "Tanh")
HALVES = [2**20, 2**40]  # integers are compared in three parts, which floats hold exactly


def name_of(dtype: np.dtype) -> str:
    return dtype.name


def random_numbers(dtype: np.dtype, seed: int) -> np.ndarray:
    """Return numbers of all sizes that the type has, and its special ones."""
    random = np.random.default_rng(seed)
    if dtype == BOOL:
        return random.integers(0, 2, COUNT).astype(bool)
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        bits = random.integers(1, info.bits, COUNT)
        numbers = [int(random.integers(0, 2**62)) % 2 ** int(b) for b in bits]
        numbers = np.array([n if random.integers(0, 2) else -n for n in numbers], dtype)
        numbers[:6] = [0, 1, -1, info.max, info.min, 7]
        return random.permutation(numbers)
    info = ml_dtypes.finfo(dtype)
    exponents = random.uniform(float(np.log2(float(info.tiny))) / 3, 14, COUNT)
    numbers = (random.choice([-1, 1], COUNT) * 2**exponents).astype(dtype)
    numbers[:8] = [0, 1, -1, np.inf, -np.inf, np.nan, float(info.max), -2]
    return random.permutation(numbers)


def tensor(name: str, numbers: np.ndarray | onnx.TensorProto) -> onnx.TensorProto:
    if isinstance(numbers, onnx.TensorProto):
        numbers.name = name
        return numbers
    numbers = np.asarray(numbers)
    return helper.make_tensor(
        name, ONNX_TYPES[numbers.dtype], numbers.shape, numbers.tobytes(), raw=True
    )


def as_parts(expected: np.ndarray) -> np.ndarray:
    """Return what the model of look_into() adds to its input."""
    expected = expected.reshape(-1)
    if expected.dtype == BOOL:
        return expected.astype(np.float32)
    if expected.dtype in INTEGERS:
        wide = [int(n) for n in expected]
        high = [abs(n) // HALVES[1] * (1 if n >= 0 else -1) for n in wide]
        middle = [abs(n) // HALVES[0] * (1 if n >= 0 else -1) % HALVES[0] for n in wide]
        low = [n % HALVES[0] for n in wide]
        return np.array([*high, *middle, *low], np.float32)
    wide = expected.astype(np.float64)
    finite = np.abs(wide) < LARGEST
    kept = np.where(finite, wide, 0).astype(np.float32)
    return np.concatenate([finite, wide >= LARGEST, wide <= -LARGEST, kept], dtype=np.float32)


def look_into(dtype: np.dtype) -> tuple[list, list]:
    """Return nodes and initialisers that write the numbers of "k" to "parts"."""
    node, nodes = helper.make_node, [helper.make_node("Reshape", ["k", "flat"], ["v"])]
    constants = [tensor("flat", np.array([-1], np.int64))]
    if dtype == BOOL:
        pieces = ["v"]
    elif dtype in INTEGERS:
        constants += [
            tensor("low", np.array(HALVES[0], dtype)),
            tensor("zero", np.array(0, dtype)),
        ]
        nodes += [node("Mod", ["v", "low"], ["v_low"]), node("Div", ["v", "low"], ["v_rest"])]
        nodes += [node("Mod", ["v_rest", "low"], ["v_middle"])]
        nodes += [node("Div", ["v_rest", "low"], ["v_high"])]
        pieces = ["v_high", "v_middle", "v_low"]
    else:
        # float and bfloat16 hold no more than LARGEST, float16 less
        constants += [
            tensor("most", np.array(LARGEST, np.float64)),
            tensor("zero", np.array(0, np.float64)),
        ]
        nodes += [
            node("Cast", ["v"], ["wide"], to=TensorProto.DOUBLE),
            node("Abs", ["wide"], ["size"]),
            node("Max", ["size", "most"], ["size_or_most"]),
            node("Equal", ["size_or_most", "most"], ["finite"]),
            node("Where", ["finite", "wide", "zero"], ["kept"]),
            node("Max", ["wide", "most"], ["upper"]),
            node("Equal", ["upper", "wide"], ["above"]),
            node("Neg", ["wide"], ["negative"]),
            node("Max", ["negative", "most"], ["lower"]),
            node("Equal", ["lower", "negative"], ["below"]),
        ]
        pieces = ["finite", "above", "below", "kept"]
    nodes += [node("Cast", [p], [f"{p}_f"], to=TensorProto.FLOAT) for p in pieces]
    return [*nodes, node("Concat", [f"{p}_f" for p in pieces], ["parts"], axis=0)], constants


def fold(
    nodes: list, inputs: dict[str, np.ndarray], expected: np.ndarray, folder: Path
) -> np.ndarray | str:
    """Return the parts of constant "k" that the library computes, or its refusal."""
    parts = as_parts(expected)
    more, constants = look_into(expected.dtype)
    constants += [tensor(name, numbers) for name, numbers in inputs.items()]
    constants.append(tensor("shape", np.array([1, -1, 1, 1], np.int64)))
    graph = helper.make_graph(
        [
            *nodes,
            *more,
            helper.make_node("Reshape", ["parts", "shape"], ["channels"]),
            helper.make_node("Add", ["x", "channels"], ["sum"]),
            helper.make_node("Flatten", ["sum"], ["y"]),
        ],
        "folding",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", len(parts), 1, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", len(parts)])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    path = folder / "folding.onnx"
    onnx.save(model, path)
    done, written = run_dump(
        path, np.zeros((1, len(parts), 1, 1), np.float32), folder, ["--scores"]
    )
    return done.stderr if done.returncode else read_records(written)[0].reshape(-1)


def check(
    nodes: list,
    inputs: dict[str, np.ndarray],
    expected: np.ndarray,
    folder: Path,
    relative: float = 0,
) -> None:
    found = fold(nodes, inputs, expected, folder)
    assert not isinstance(found, str), found
    np.testing.assert_allclose(found, as_parts(expected), rtol=relative, atol=1e-37)


def truncated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Divide integers as ONNX does: rounded towards 0."""
    quotients = [
        abs(int(x)) // abs(int(y)) * (1 if (x < 0) == (y < 0) else -1) for x, y in zip(a, b)
    ]
    return np.array(quotients, object).astype(np.int64).astype(a.dtype)


def wrapping(function, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return function(a, b)


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS], ids=name_of)
@pytest.mark.parametrize(
    ("operator", "function"),
    [
        ("Add", np.add),
        ("Sub", np.subtract),
        ("Mul", np.multiply),
        ("Div", np.divide),
        ("Min", np.minimum),
        ("Max", np.maximum),
        ("Equal", np.equal),
        ("Less", np.less),
        ("Greater", np.greater),
        ("LessOrEqual", np.less_equal),
        ("GreaterOrEqual", np.greater_equal),
    ],
)
def test_arithmetic(operator, function, dtype, tmp_path) -> None:
    a, b = random_numbers(dtype, 1), random_numbers(dtype, 2)
    if operator == "Div" and dtype in INTEGERS:
        b[b == 0] = 3
        a[(a == np.iinfo(dtype).min) & (b == -1)] = 5  # overflows: not defined
        expected = truncated(a, b)
    else:
        expected = wrapping(function, a, b)
    check([helper.make_node(operator, ["a", "b"], ["k"])], {"a": a, "b": b}, expected, tmp_path)


def random_short_numbers(dtype: np.dtype, seed: int) -> np.ndarray:
    info = np.iinfo(dtype)
    numbers = np.random.default_rng(seed).integers(info.min, info.max, COUNT, endpoint=True)
    numbers[:4] = [info.min, info.max, 0, 1]
    return numbers.astype(dtype)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("dtype", SHORT, ids=name_of)
@pytest.mark.parametrize(
    ("operator", "function"),
    [("Add", np.add), ("Sub", np.subtract), ("Mul", np.multiply), ("Max", np.maximum)],
)
def test_arithmetic_of_short_integers(operator, function, dtype, raw, tmp_path) -> None:
    a, b = random_short_numbers(dtype, 18), random_short_numbers(dtype, 19)
    wide = helper.make_node("Cast", ["short"], ["k"], to=TensorProto.INT64)
    nodes = [helper.make_node(operator, ["a", "b"], ["short"]), wide]
    expected = wrapping(function, a, b).astype(np.int64)
    inputs = {"a": a, "b": b} if raw else {name: as_list(n) for name, n in zip("ab", (a, b))}
    check(nodes, inputs, expected, tmp_path)


def as_list(numbers: np.ndarray) -> onnx.TensorProto:
    """Return a tensor whose numbers are in the typed list of their element type."""
    return helper.make_tensor("", ONNX_TYPES[numbers.dtype], numbers.shape, numbers.tolist())


@pytest.mark.parametrize("to", SHORT, ids=name_of)
@pytest.mark.parametrize("dtype", [*SHORT, np.dtype(np.float32), *INTEGERS], ids=name_of)
def test_casts_to_short_integers(dtype, to, tmp_path) -> None:
    if dtype in FLOATS:
        info = np.iinfo(to)
        a = np.random.default_rng(20).uniform(info.min, info.max / 2, COUNT).astype(dtype)
    else:
        a = random_numbers(dtype, 21) if dtype in INTEGERS else random_short_numbers(dtype, 21)
    nodes = [helper.make_node("Cast", ["a"], ["short"], to=ONNX_TYPES[to])]
    nodes.append(helper.make_node("Cast", ["short"], ["k"], to=TensorProto.INT64))
    check(nodes, {"a": a}, a.astype(to).astype(np.int64), tmp_path)


@pytest.mark.parametrize("dtype", SHORT, ids=name_of)
def test_weights_of_short_integers(dtype, tmp_path) -> None:
    """Weight-only quantisation: (weights - zero point) * scale."""
    a = random_short_numbers(dtype, 22)
    inputs = {"a": a, "point": np.float32([3]), "scale": np.float32([0.125])}
    nodes = [
        helper.make_node("Cast", ["a"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["floats", "point"], ["shifted"]),
        helper.make_node("Mul", ["shifted", "scale"], ["k"]),
    ]
    expected = (a.astype(np.float32) - inputs["point"]) * inputs["scale"]
    check(nodes, inputs, expected, tmp_path)


@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize(
    ("operator", "function"),
    [("Sum", np.add), ("Mean", np.add), ("Max", np.maximum), ("Min", np.minimum)],
)
def test_operators_of_many(operator, function, count, tmp_path) -> None:
    inputs = {
        f"a{i}": random_numbers(np.dtype(np.float32), i)[: 48 - i % 2 * 47] for i in range(count)
    }
    expected = inputs["a0"]
    for i in range(1, count):
        expected = wrapping(function, expected, inputs[f"a{i}"])
    if operator == "Mean":
        expected = expected / np.float32(count)
    check([helper.make_node(operator, list(inputs), ["k"])], inputs, expected, tmp_path)


@pytest.mark.parametrize(("operator", "function"), [("And", np.logical_and), ("Or", np.logical_or)])
def test_booleans(operator, function, tmp_path) -> None:
    a, b = random_numbers(BOOL, 14), random_numbers(BOOL, 15)
    nodes = [helper.make_node(operator, ["a", "b"], ["c"]), helper.make_node("Not", ["c"], ["k"])]
    check(nodes, {"a": a, "b": b}, ~function(a, b), tmp_path)


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS], ids=name_of)
@pytest.mark.parametrize("bounds", [(-2, 3), (3, -2), (None, 3), (-2, None), (None, None)])
def test_clips(bounds, dtype, tmp_path) -> None:
    inputs = {"a": random_numbers(dtype, 16)}
    expected = inputs["a"]
    for name, bound, function in zip(["least", "greatest"], bounds, [np.maximum, np.minimum]):
        if bound is not None:
            inputs[name] = np.array(bound, dtype)
            expected = function(expected, inputs[name])
    names = [name if name in inputs else "" for name in ["a", "least", "greatest"]]
    check([helper.make_node("Clip", names, ["k"])], inputs, expected, tmp_path)


@pytest.mark.parametrize("dtype", [np.dtype(np.float32), np.dtype(np.float64), *INTEGERS])
@pytest.mark.parametrize("numbers", [(0, 10, 1), (7, -5, -3), (2, 3, 4), (0.5, 3.1, 0.25)])
def test_ranges(numbers, dtype, tmp_path) -> None:
    if dtype in INTEGERS:
        numbers = [int(4 * number) for number in numbers]
    inputs = {name: np.array(number, dtype) for name, number in zip("abc", numbers)}
    nodes = [helper.make_node("Range", list(inputs), ["k"])]
    check(nodes, inputs, by_onnxruntime(nodes, inputs, dtype), tmp_path)


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("axes", [[0], [-1], [0, 2], []], ids=str)
@pytest.mark.parametrize("kind", ["Sum", "Mean", "SumSquare", "L2", "Prod", "Max", "Min"])
def test_reductions(kind, axes, keep, tmp_path) -> None:
    random = np.random.default_rng(17)
    for dtype in [np.dtype(np.float32), np.dtype(np.int32)]:
        if dtype == np.int32 and kind in ("Mean", "SumSquare", "L2"):
            continue
        inputs = {"a": random.integers(-9, 9, (3, 4, 5)).astype(dtype)}
        if axes:
            inputs["axes"] = np.array(axes, np.int64)
        nodes = [helper.make_node(f"Reduce{kind}", list(inputs), ["k"], keepdims=keep)]
        check(nodes, inputs, by_onnxruntime(nodes, inputs, dtype), tmp_path, 1e-6)


@pytest.mark.parametrize("dtype", INTEGERS, ids=name_of)
@pytest.mark.parametrize(("fmod", "function"), [(0, np.mod), (1, np.fmod)])
def test_remainders_of_integers(fmod, function, dtype, tmp_path) -> None:
    a, b = random_numbers(dtype, 3), random_numbers(dtype, 4)
    b[b == 0] = 3
    b[b == -1] = -7
    nodes = [helper.make_node("Mod", ["a", "b"], ["k"], fmod=fmod)]
    check(nodes, {"a": a, "b": b}, function(a, b), tmp_path)


@pytest.mark.parametrize("dtype", FLOATS, ids=name_of)
def test_remainders_of_floats(dtype, tmp_path) -> None:
    a, b = random_numbers(dtype, 5), random_numbers(dtype, 6)
    exact = wrapping(np.fmod, a.astype(np.float64), b.astype(np.float64)).astype(dtype)
    nodes = [helper.make_node("Mod", ["a", "b"], ["k"], fmod=1)]
    check(nodes, {"a": a, "b": b}, exact, tmp_path)


@pytest.mark.parametrize("power", [*FLOATS, *INTEGERS], ids=name_of)
@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS], ids=name_of)
def test_powers(dtype, power, tmp_path) -> None:
    random = np.random.default_rng(7)
    a = random.integers(-6, 7, COUNT).astype(dtype)
    if dtype in FLOATS:
        a = (np.abs(a.astype(np.float64)) + 0.25).astype(dtype)
    a[a == 0] = 2
    b = random.integers(0, 9, COUNT).astype(power)
    wide = np.power(a.astype(np.float64), b.astype(np.float64))
    with np.errstate(over="ignore"):
        expected = wide.astype(dtype)
    nodes = [helper.make_node("Pow", ["a", "b"], ["k"])]
    check(nodes, {"a": a, "b": b}, expected, tmp_path, 1e-6 if dtype in FLOATS else 0)


@pytest.mark.parametrize("dtype", FLOATS, ids=name_of)
@pytest.mark.parametrize(
    ("operator", "function"),
    [
        ("Abs", np.abs),
        ("Ceil", np.ceil),
        ("Floor", np.floor),
        ("Neg", np.negative),
        ("Reciprocal", lambda x: 1 / x),
        ("Sqrt", np.sqrt),
        ("Exp", np.exp),
        ("Log", np.log),
        ("Relu", lambda x: np.maximum(x, 0)),
        ("Round", np.rint),
        ("Sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("Tanh", np.tanh),
    ],
)
def test_functions(operator, function, dtype, tmp_path) -> None:
    a = random_numbers(dtype, 8)
    with np.errstate(all="ignore"):
        expected = function(a.astype(np.float64)).astype(dtype)
    nodes = [helper.make_node(operator, ["a"], ["k"])]
    check(nodes, {"a": a}, expected, tmp_path, 1e-6 if operator in TRANSCENDENTAL else 0)


@pytest.mark.parametrize("dtype", INTEGERS, ids=name_of)
@pytest.mark.parametrize(("operator", "function"), [("Abs", np.abs), ("Neg", np.negative)])
def test_functions_of_integers(operator, function, dtype, tmp_path) -> None:
    a = random_numbers(dtype, 9)
    check([helper.make_node(operator, ["a"], ["k"])], {"a": a}, function(a), tmp_path)


@pytest.mark.parametrize("to", [*FLOATS, *INTEGERS, BOOL], ids=name_of)
@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, BOOL], ids=name_of)
def test_casts(dtype, to, tmp_path) -> None:
    a = random_numbers(dtype, 10)
    if dtype in FLOATS and to in INTEGERS:  # beyond its range: not defined
        fits = np.abs(a.astype(np.float64)) < float(np.iinfo(to).max)
        a = np.where(fits, a, np.array(-1.5, dtype))
    if dtype == np.int64 and to in (np.float16, BFLOAT16):  # NumPy rounds twice
        a = np.where(np.abs(a) < 2**24, a, 3)
    with np.errstate(all="ignore"):
        wide = a.astype(np.float64) if dtype in FLOATS else a
        expected = (a != 0) | (a != a) if to == BOOL else wide.astype(to)
    nodes = [helper.make_node("Cast", ["a"], ["k"], to=ONNX_TYPES[to])]
    check(nodes, {"a": a}, expected, tmp_path)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 2.0**31, -(2.0**31) - 1024, 1e30])
def test_casts_that_are_not_defined_are_refused(number, tmp_path) -> None:
    nodes = [helper.make_node("Cast", ["a"], ["k"], to=TensorProto.INT32)]
    inputs = {"a": np.array([number], np.float32)}
    found = fold(nodes, inputs, np.zeros(1, np.int32), tmp_path)
    assert isinstance(found, str)
    assert "to an integer" in found


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS], ids=name_of)
def test_where(dtype, tmp_path) -> None:
    random = np.random.default_rng(11)
    inputs = {
        "condition": random.integers(0, 2, (3, 1)).astype(bool),
        "a": random_numbers(dtype, 12)[:4].reshape(1, 4),
        "b": random_numbers(dtype, 13)[:24].reshape(2, 3, 4),
    }
    expected = np.where(*inputs.values())
    check([helper.make_node("Where", list(inputs), ["k"])], inputs, expected, tmp_path)


# ---- operators that move elements


def by_onnxruntime(nodes: list, inputs: dict[str, np.ndarray], dtype: np.dtype) -> np.ndarray:
    graph = helper.make_graph(
        nodes,
        "moving",
        [],
        [helper.make_tensor_value_info("k", ONNX_TYPES[dtype], None)],
        [tensor(name, numbers) for name, numbers in inputs.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {})[0]


def moving(random: np.random.Generator, dtype: np.dtype) -> tuple[list, dict[str, np.ndarray]]:
    """Return a random node that moves the elements of a random tensor, and its inputs."""
    rank = int(random.integers(1, 5))
    shape = tuple(int(n) for n in random.integers(1, 5, rank))
    a = random.integers(-99, 99, shape).astype(dtype)
    axis = int(random.integers(-rank, rank))

    def numbers(values: object) -> np.ndarray:
        return np.array(values, np.int64)

    kind = random.choice(["Gather", "Concat", "Slice", "Tile", "Expand", "Transpose", "Flip"])
    if kind == "Gather":
        size = shape[axis]
        indices = random.integers(-size, size, tuple(random.integers(1, 4, random.integers(0, 3))))
        inputs = {"a": a, "i": numbers(indices)}
        return [helper.make_node("Gather", ["a", "i"], ["k"], axis=axis)], inputs
    if kind == "Concat":
        names = list(random.choice(["a", "b"], int(random.integers(1, 5))))
        inputs = {"a": a, "b": np.repeat(a, int(random.integers(0, 3)), axis)}
        return [helper.make_node("Concat", names, ["k"], axis=axis)], inputs
    if kind == "Slice":
        ends = [-(2**63), -3, -1, 0, 1, 2, 9, 2**63 - 1]
        steps = [-(2**63), -2, -1, 1, 2, 2**63 - 1]
        chosen = (random.choice(ends), random.choice(ends), axis, random.choice(steps))
        inputs = {"a": a} | {name: numbers([n]) for name, n in zip("seit", chosen)}
        return [helper.make_node("Slice", list(inputs), ["k"])], inputs
    if kind == "Tile":
        inputs = {"a": a, "r": numbers(random.integers(1, 4, rank))}
        return [helper.make_node("Tile", ["a", "r"], ["k"])], inputs
    if kind == "Expand":
        narrow = tuple(n if random.integers(0, 2) else 1 for n in shape)
        inputs = {"a": a[tuple(slice(n) for n in narrow)], "s": numbers([2, *shape])}
        return [helper.make_node("Expand", ["a", "s"], ["k"])], inputs
    if kind == "Transpose":
        perm = [int(n) for n in random.permutation(rank)]
        return [helper.make_node("Transpose", ["a"], ["k"], perm=perm)], {"a": a}
    starts = {name: numbers([n]) for name, n in zip("seit", (-1, -(2**62), axis, -1))}
    return [helper.make_node("Slice", ["a", *starts], ["k"])], {"a": a} | starts


@pytest.mark.parametrize("dtype", [np.dtype(np.float32), *INTEGERS], ids=name_of)
@pytest.mark.parametrize("group", range(4))
def test_elements_are_moved(group, dtype, tmp_path) -> None:
    random = np.random.default_rng([group, dtype.itemsize])
    for _ in range(15):
        nodes, inputs = moving(random, dtype)
        expected = by_onnxruntime(nodes, inputs, dtype)
        if expected.size:
            check(nodes, inputs, expected, tmp_path)


# ---- models whose weights are made by their nodes


def test_onnx_light_resnet50_opens(tmp_path) -> None:
    """ONNX's own light model makes all 25.6 million weights with ConstantOfShape."""
    data = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    path = data / "light_resnet50.onnx"
    if not path.exists():
        pytest.skip(f"{path} is not there: this version of onnx has no light models")
    x = np.random.default_rng(0).standard_normal((1, 3, 224, 224), dtype=np.float32)
    done, written = run_dump(path, x, tmp_path, ["--scores"])
    assert done.returncode == 0, done.stderr
    session = onnxruntime.InferenceSession(str(path))
    expected = session.run(None, {session.get_inputs()[0].name: x})[0].reshape(-1)
    np.testing.assert_allclose(read_records(written)[0].reshape(-1), expected, rtol=1e-4)
