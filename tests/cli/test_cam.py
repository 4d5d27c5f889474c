"""resnet classify --cam: the map is what onnxruntime and NumPy make of the file, and the
image shows it."""

from __future__ import annotations

import os
import re
import resource
import sys
from pathlib import Path

import pytest
from conftest import ROOT, complaint, resnet, resnet_json

np = pytest.importorskip("numpy", reason="NumPy is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

sys.path.insert(0, str(ROOT / "tests"))
import nets  # noqa: E402

SHIPPED = ROOT / "models/cifar10-resnet20.onnx"
CAT, SHIP = (ROOT / "models/samples" / name for name in ("cat-tabby.jpg", "ship-freighter.jpg"))


def make_net(path: Path, kind: str, **options: object) -> Path:
    onnx.save(nets.generate(kind, nets.Options(seed=3, **options))[0], path)
    return path


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    """Return a lossless image of 150 x 110 with edges."""
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    Image.open(SHIP).convert("RGB").resize((150, 110)).save(path)
    return path


# ---- what onnxruntime says


def scaled_and_cut(
    size: tuple[int, int], way: dict
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Return (width, height) of an image after resizing, and left, top, width and height
    of the crop, as torchvision has them."""
    scaled = tuple(side * way["resize"] // min(size) for side in size) if way["resize"] else size
    cut = (way["crop"], way["crop"]) if way["crop"] else scaled
    return scaled, tuple(round((s - c) / 2) for s, c in zip(scaled, cut)), cut


def prepare(file: Path, way: dict) -> np.ndarray:
    """Return the model's input, (1,c,h,w)."""
    image = Image.open(file).convert("RGB")
    scaled, (left, top), (width, height) = scaled_and_cut(image.size, way)
    image = image.resize(scaled, Image.Resampling.BILINEAR).crop(
        (left, top, left + width, top + height)
    )
    values = (np.asarray(image, np.float32) / way["scale"] - np.float32(way["mean"])) / np.float32(
        way["std"]
    )
    return values.transpose(2, 0, 1)[None]


def expected_map(file: Path, values: np.ndarray) -> np.ndarray:
    """Return (h,w,classes): the last layer's weights applied to the input of the pool."""
    model = onnx.load(file)
    pool = next(
        n
        for n in model.graph.node
        if n.op_type in ("GlobalAveragePool", "AveragePool", "ReduceMean")
    )
    layer = next(n for n in model.graph.node if n.op_type in ("Gemm", "MatMul"))
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    weight = constants[layer.input[1]]
    transposed = any(a.name == "transB" and a.i for a in layer.attribute)
    if layer.op_type == "MatMul":
        adding = next(n for n in model.graph.node if layer.output[0] in n.input)
        bias = next(constants[name] for name in adding.input if name in constants)
    else:
        bias = constants[layer.input[2]]
    model.graph.output.append(onnx.ValueInfoProto(name=pool.input[0]))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    features = session.run([pool.input[0]], {session.get_inputs()[0].name: values})[0][0]
    return (
        np.tensordot(features.astype(np.float64), weight.T if transposed else weight, (0, 0)) + bias
    )


CASES = {
    "built-in": lambda folder: SHIPPED,
    "average": lambda folder: make_net(folder / "net.onnx", "plain8", head="average"),
    "option A": lambda folder: make_net(folder / "net.onnx", "resnet8", size=48, head="shape"),
    "wide": lambda folder: make_net(
        folder / "net.onnx", "resnet18", size=96, width=0.25, classes=7, head="matmul"
    ),
    "softmax": lambda folder: make_net(
        folder / "net.onnx", "resnet8", softmax=True, keep_norm=False
    ),
}
WAYS = {
    "built-in": [],
    "average": ["--preprocess", "cifar10"],
    "option A": ["--resize", 50, "--crop", 48],
    "wide": ["--resize", 100, "--crop", 96],
    "softmax": ["--preprocess", "cifar10"],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("conv", ["auto", "direct"])
def test_map_is_that_of_onnxruntime(case, conv, photo, tmp_path):
    file = CASES[case](tmp_path)
    answer = resnet_json(
        "classify",
        "-q",
        "-m",
        file,
        "--conv",
        conv,
        *WAYS[case],
        "--cam",
        tmp_path / "cam.png",
        photo,
    )
    result = answer["results"][0]
    cam, best = result["cam"], result["predictions"][0]
    assert (cam["class_index"], cam["label"]) == (best["index"], best["label"])
    assert cam["file"] == str(tmp_path / "cam.png")
    expected = expected_map(file, prepare(photo, answer["preprocess"]))
    assert (cam["height"], cam["width"]) == expected.shape[:2]
    found = np.array(cam["map"]).reshape(expected.shape[:2])
    # 1e-4 is the difference from onnxruntime that the project allows in any layer,
    # relative to its largest value.
    assert np.abs(found - expected[:, :, best["index"]]).max() <= 1e-4 * max(
        1, np.abs(expected).max()
    )
    assert expected.mean((0, 1)).argmax() == best["index"]


# ---- the image


def viridis() -> np.ndarray:
    """Return the table of the source, after checking it against three published
    colours."""
    text = (ROOT / "bindings/cli/commands/viridis.c").read_text()
    table = np.array(
        [[int(c[i : i + 2], 16) for i in (0, 2, 4)] for c in re.findall(r"0x([0-9a-f]{6})", text)]
    )
    assert table.shape == (256, 3)
    assert [tuple(table[i]) for i in (0, 128, 255)] == [(68, 1, 84), (33, 145, 140), (253, 231, 37)]
    return table


def along(
    size: int, factor: int, scaled: int, first: int, count: int, cells: int
) -> tuple[np.ndarray, ...]:
    """Return, for each pixel of a side of the output, whether it was seen and the weights
    of the map's cells."""
    at = (np.arange(size * factor) + 0.5) / factor * scaled / size - first
    cell = np.clip(at * cells / count - 0.5, 0, cells - 1)
    weights = np.maximum(0, 1 - np.abs(cell[:, None] - np.arange(cells)))
    return (at >= 0) & (at < count), weights


def expected_image(file: Path, way: dict, cam: dict) -> np.ndarray:
    """Return the overlay that cam.h describes."""
    pixels = np.asarray(Image.open(file).convert("RGB"), np.float64)
    size = pixels.shape[1::-1]
    factor = -(-256 // min(size))
    scaled, first, cut = scaled_and_cut(size, way)
    cells = (cam["width"], cam["height"])
    (seen_x, weights_x), (seen_y, weights_y) = (
        along(size[i], factor, scaled[i], first[i], cut[i], cells[i]) for i in (0, 1)
    )
    strength = weights_y @ np.array(cam["map"]).reshape(cells[::-1]) @ weights_x.T
    strength = np.clip(strength, 0, None) / max(cam["map"])
    seen = seen_y[:, None] & seen_x[None, :]
    colours = viridis()[np.rint(strength * 255).astype(int)]
    enlarged = pixels.repeat(factor, 0).repeat(factor, 1)
    opaque = 0.75 * strength[:, :, None]
    return np.where(seen[:, :, None], (1 - opaque) * enlarged + opaque * colours, 0.4 * enlarged)


@pytest.mark.parametrize(
    "size, options, png",
    [
        ((32, 32), [], (256, 256)),
        ((150, 110), [], (450, 330)),
        ((110, 150), ["--resize", "40"], (330, 450)),
        ((300, 256), [], (300, 256)),
        ((700, 301), ["--resize", "33"], (700, 301)),
        ((255, 400), ["--resize", "35"], (510, 800)),
        ((3, 900), [], (216, 64800)),  # not 86 times: a side may have 65535 pixels
    ],
)
def test_image_shows_the_map(size, options, png, photo, tmp_path):
    source, out = tmp_path / "image.png", tmp_path / "out.png"
    Image.open(photo).resize(size).save(source)
    answer = resnet_json("classify", "--cam", out, source, *options)
    image = Image.open(out)
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", png)
    if max(png) > 1000:
        return
    expected = expected_image(source, answer["preprocess"], answer["results"][0]["cam"])
    # One for rounding, and the next colour of the table if the strength is between two.
    assert np.abs(np.asarray(image, np.float64) - expected).max() <= 3
    assert np.abs(np.asarray(image, np.float64) - expected).mean() <= 0.3


def test_image_is_hottest_where_the_map_is(photo, tmp_path):
    black, out = tmp_path / "black.png", tmp_path / "out.png"
    Image.new("RGB", (320, 320)).save(black)
    cam = resnet_json("classify", "--cam", out, black)["results"][0]["cam"]
    values = np.array(cam["map"]).reshape(cam["height"], cam["width"])
    painted = np.asarray(Image.open(out), int).sum(2)
    side = 320 // 8
    cells = painted.reshape(8, side, 8, side).mean((1, 3))
    assert np.unravel_index(cells.argmax(), cells.shape) == np.unravel_index(
        values.argmax(), values.shape
    )
    assert painted[np.kron(values, np.ones((side, side))) == values.min()].mean() < painted.mean()


def test_same_bytes_every_time(photo, tmp_path):
    out = tmp_path / "out.png"
    files = []
    for options in ([], ["--threads", "1"], ["--threads", "2", "--batch", "4"]):
        assert resnet("classify", "-q", "--cam", out, photo, *options).returncode == 0
        files.append(out.read_bytes())
    assert files[0] == files[1] == files[2]
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]


def test_text_says_where_it_went(tmp_path):
    result = resnet("classify", "--cam", tmp_path / "cam.png", CAT)
    assert (
        f"class activation map for cat: {tmp_path}/cam.png, 300 x 300 from 8 x 8 cells"
        in result.stdout.decode()
    )
    assert b"looked" not in resnet("classify", "-q", "--cam", tmp_path / "cam.png", CAT).stdout


def test_predictions_are_those_without(photo, tmp_path):
    with_map = resnet_json("classify", "--cam", tmp_path / "cam.png", photo)["results"][0]
    without = resnet_json("classify", photo)["results"][0]
    assert "cam" not in without
    assert with_map["predictions"] == without["predictions"]


# ---- the class


def test_class_by_label_or_index(photo, tmp_path):
    cams = [
        resnet_json("classify", "--cam", tmp_path / f"{name}.png", "--cam-class", name, photo)[
            "results"
        ][0]["cam"]
        for name in ("dog", "5", "9")
    ]
    assert [(c["class_index"], c["label"]) for c in cams] == [(5, "dog"), (5, "dog"), (9, "truck")]
    assert cams[0]["map"] == cams[1]["map"] != cams[2]["map"]
    assert (tmp_path / "dog.png").read_bytes() == (tmp_path / "5.png").read_bytes()


@pytest.mark.parametrize("name", ["10", "wolf", "-1", "5x", "", "99999999999999999999"])
def test_unknown_class_is_refused(name, photo, tmp_path):
    said = complaint(
        resnet("classify", "--cam", tmp_path / "cam.png", "--cam-class", name, photo), 2
    )
    assert said == (
        f"resnet: --cam-class: '{name}' is not a class of the model: "
        "one of its labels or 0 to 9 is accepted; "
        "see resnet inspect --json"
    )
    assert not list(tmp_path.iterdir())


def test_class_without_labels(photo, tmp_path):
    net = make_net(tmp_path / "net.onnx", "plain8")
    said = complaint(
        resnet(
            "classify", "-q", "-m", net, "--cam", tmp_path / "cam.png", "--cam-class", "dog", photo
        ),
        2,
    )
    assert "'dog' is not a class of the model: it has no labels; 0 to 9 is accepted" in said


# ---- refusals


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--cam", "out.png", "a.jpg", "b.jpg"], "--cam takes one image, and 2 are named"),
        (["--cam-class", "dog", "a.jpg"], "--cam-class needs --cam"),
        (["--cam"], "a value is missing after '--cam'"),
    ],
)
def test_wrong_usage(arguments, message, tmp_path):
    result = resnet("classify", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.decode() == f"resnet: {message}; see resnet classify --help\n"
    assert not list(tmp_path.iterdir())


def net_of_maxima(path: Path) -> Path:
    """Return a model that ends in global maximum pooling."""
    net = nets.Net(1, channels={"input": 3})
    x = net.relu(net.conv("input", "conv", 8, 3), "relu")
    x = net.flat(net.node("GlobalMaxPool", "pool", [x]), "flatten")
    onnx.save(net.model(net.linear(x, "fc", 10), (None, 3, 32, 32), 10), path)
    return path


def test_other_heads_are_refused(photo, tmp_path):
    net, out = net_of_maxima(tmp_path / "net.onnx"), tmp_path / "cam.png"
    result = resnet("classify", "-q", "-m", net, "--cam", out, photo)
    said = complaint(result)
    assert said.startswith(f"resnet: {net}: the last layer, 'fc' (gemm), follows ")
    assert said.endswith(
        "max_pool: --cam needs one fully connected layer after global average pooling"
    )
    assert result.stdout.count(b" %") == 3, "labels are shown all the same"
    answer = resnet_json("classify", "-m", net, "--cam", out, photo, code=1)
    assert answer["results"][0]["cam"] is None
    assert answer["errors"] == [{"file": str(net), "message": said.split(": ", 2)[2]}]
    assert not out.exists()


@pytest.mark.parametrize("what", ["image", "model"])
def test_what_is_read_is_not_replaced(what, photo, tmp_path):
    file = tmp_path / "file"
    file.write_bytes((photo if what == "image" else SHIPPED).read_bytes())
    (tmp_path / "link").symlink_to(file)
    arguments = (
        ["--cam", tmp_path / "link", file]
        if what == "image"
        else ["-m", file, "--cam", file, photo]
    )
    before = file.read_bytes()
    assert complaint(resnet("classify", *arguments)).endswith(
        f"is the {what} itself; name another file to write"
    )
    assert file.read_bytes() == before


def test_output_that_cannot_be(photo, tmp_path):
    said = complaint(resnet("classify", "-q", "--cam", tmp_path / "none/cam.png", photo))
    assert said == f"resnet: {tmp_path}/none/cam.png: cannot be created: No such file or directory"
    said = complaint(resnet("classify", "-q", "--cam", tmp_path, photo))
    assert said == f"resnet: {tmp_path}: exists and is not a regular file; name a file to write"
    assert complaint(resnet("classify", "-q", "--cam", "/dev/null", photo)).startswith(
        "resnet: /dev/null: exists and"
    )
    assert Path("/dev/null").is_char_device()
    assert not list(tmp_path.iterdir())


def test_full_disk_leaves_the_old_file(photo, tmp_path):
    out = tmp_path / "cam.png"
    out.write_text("old")
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))}
    said = complaint(resnet("classify", "-q", "--cam", out, photo, **limit))
    assert said == f"resnet: {out}: cannot be written: File too large"
    assert out.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["cam.png"]


def test_unreadable_image_leaves_nothing(tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(CAT.read_bytes()[:2000])
    assert "broken.jpg" in complaint(
        resnet("classify", "-q", "--cam", tmp_path / "cam.png", broken)
    )
    assert [p.name for p in tmp_path.iterdir()] == ["broken.jpg"]


def test_old_file_is_replaced(photo, tmp_path):
    out = tmp_path / "cam.png"
    out.write_text("old")
    assert resnet("classify", "-q", "--cam", out, photo).returncode == 0
    assert Image.open(out).size == (450, 330)
    assert out.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
