"""The options that describe how images become inputs, what inspect says of it, and the
numbers and embeddings that models give for images."""

from __future__ import annotations

import io
import os

import pytest
from conftest import ROOT, complaint, resnet, resnet_json

np = pytest.importorskip("numpy", reason="NumPy is not installed")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
from make_models import make_model  # noqa: E402

PHOTOS = sorted((ROOT / "models" / "samples").glob("*.[jp][pn]g"))[:3]
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
NUMBERS = ["--scale", "255", "--mean", "0.4,0.5,0.6", "--std", "0.2,0.3,0.4"]
FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "nearest": Image.NEAREST}


def prepared(photo, size, *, how="bilinear", order="rgb", scale=255.0, mean=MEAN, std=STD):
    """Return the input that a photo should become, stretched to `size`, by Pillow."""
    image = Image.open(photo).convert("L" if order == "grey" else "RGB")
    pixels = np.asarray(image.resize(size[::-1], FILTERS[how]), np.float32)
    pixels = np.atleast_3d(pixels)[..., :: -1 if order == "bgr" else 1]
    pixels = np.broadcast_to(pixels, (*size, 3)) if order == "grey" else pixels
    if order == "grey":
        mean, std = mean[:1], std[:1]
    scaled = (pixels / np.float32(scale) - np.float32(mean)) / np.float32(std)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], np.float32)


def expected(model, values):
    """Return what onnxruntime gives."""
    return onnxruntime.InferenceSession(model).run(None, {"image": values})[0][0]


def raw(model, photo, *options):
    return resnet_json("classify", model, photo, "--raw", *options)["results"][0]["raw"]


@pytest.mark.parametrize("how", FILTERS)
@pytest.mark.parametrize("order", ["rgb", "bgr", "grey"])
def test_stretch_with_own_numbers(tmp_path, how, order):
    size = (24, 40)
    model = make_model(tmp_path / "model.onnx", size=size)
    found = raw(model, PHOTOS[0], "--fit", "stretch", "--filter", how, "--order", order, *NUMBERS)
    wanted = expected(model, prepared(PHOTOS[0], size, how=how, order=order))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_one_number_counts_for_all_channels(tmp_path):
    model = make_model(tmp_path / "model.onnx")
    options = ["--fit", "stretch", "--scale", "1", "--mean", "120", "--std", "60"]
    wanted = expected(model, prepared(PHOTOS[0], (32, 32), scale=1, mean=(120,) * 3, std=(60,) * 3))
    np.testing.assert_allclose(raw(model, PHOTOS[0], *options), wanted, rtol=1e-4, atol=1e-4)


def test_crop_of_height_and_width(tmp_path):
    size = (24, 40)
    model = make_model(tmp_path / "model.onnx", size=size)
    image = Image.open(PHOTOS[0]).convert("RGB")
    scale = max(48 / image.height, 60 / image.width)
    width, height = int(image.width * scale + 1e-9), int(image.height * scale + 1e-9)
    left, top = round((width - 40) / 2), round((height - 24) / 2)
    whole = tmp_path / "whole.png"
    image.resize((width, height), Image.BILINEAR).crop((left, top, left + 40, top + 24)).save(whole)
    found = raw(model, PHOTOS[0], "--fit", "crop", "--resize", "48x60", "--crop", "24x40", *NUMBERS)
    np.testing.assert_allclose(found, expected(model, prepared(whole, size)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("command", ["classify", "inspect", "eval", "embed", "compile"])
def test_every_command_takes_the_options(tmp_path, images, command):
    model = make_model(tmp_path / "model.onnx", 10)
    own = {
        "classify": [PHOTOS[0]],
        "inspect": [],
        "eval": ["-d", images],
        "embed": [PHOTOS[0], "-o", tmp_path / "x.npy"],
        "compile": ["-o", tmp_path / "x.resnet"],
    }[command]
    options = ["--preprocess", "unit", "--fit", "stretch", "--filter", "bicubic", "--order", "bgr"]
    way = resnet_json(command, model, *own, *options, "--mean", "0.5")["preprocess"]
    assert way == {
        "source": "options",
        "certainty": "stated",
        "fit": "stretch",
        "filter": "bicubic",
        "resize": 32,
        "crop": 32,
        "order": "BGR",
        "scale": 255,
        "mean": [0.5] * 3,
        "std": [1] * 3,
    }


def test_compile_stores_the_preprocessing(tmp_path):
    model = make_model(tmp_path / "model.onnx", size=(24, 40))
    plan = tmp_path / "plan.resnet"
    options = ["--fit", "stretch", "--filter", "nearest", *NUMBERS]
    assert resnet("compile", model, "-o", plan, *options).returncode == 0
    assert raw(plan, PHOTOS[0]) == raw(model, PHOTOS[0], *options)
    text = resnet("inspect", plan).stdout.decode()
    assert "images      stretched to 24 x 40 (nearest), (RGB / 255 - (0.4, 0.5, 0.6)) / " in text
    assert "(from the file)" in text


def test_one_channel_is_grey(tmp_path):
    model = make_model(tmp_path / "grey.onnx", channels=1)
    text = resnet("inspect", model).stdout.decode()
    assert "input 32 x 32 (height x width), grey" in text
    assert ", grey / 255 (guessed" in text and "RGB" not in text
    image = Image.open(PHOTOS[0]).convert("L").resize((32, 32), Image.BILINEAR)
    values = (np.asarray(image, np.float32) / 255)[None, None]
    found = raw(model, PHOTOS[0], "--preprocess", "grey", "--fit", "stretch")
    np.testing.assert_allclose(found, expected(model, values), rtol=1e-4, atol=1e-4)
    way = resnet_json("classify", model, PHOTOS[0])["preprocess"]
    assert way["order"] == "GREY" and len(way["mean"]) == len(way["std"]) == 1
    assert way["certainty"] == "guess"


# ---- raw numbers


def test_raw_shows_the_highest_first(tmp_path):
    model = make_model(tmp_path / "model.onnx", 5, metadata={"resnet.labels": "a\nb\nc\nd\ne"})
    numbers = raw(model, PHOTOS[0])
    lines = resnet("classify", "-q", model, PHOTOS[0], "--raw", "-k", "9").stdout.decode()
    order = sorted(range(5), key=lambda i: -numbers[i])
    assert [line.split()[1] for line in lines.splitlines()[1:]] == ["abcde"[i] for i in order]
    best = resnet_json("classify", model, PHOTOS[0])["results"][0]["predictions"][0]
    shares = np.exp(np.array(numbers) - max(numbers))
    np.testing.assert_allclose(best["score"], (shares / shares.sum()).max(), rtol=1e-5)


def test_raw_keeps_the_order_of_images_and_errors(tmp_path):
    model = make_model(tmp_path / "model.onnx")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    files = [PHOTOS[0], broken, PHOTOS[1], PHOTOS[2]]
    document = resnet_json("classify", model, *files, "--raw", "--batch", "3", code=1)
    assert [r["raw"] for r in document["results"]] == [raw(model, p) for p in PHOTOS]
    assert document["errors"][0]["file"] == str(broken)


# ---- embed


def test_embeddings_are_rows_of_a_numpy_file(tmp_path):
    model = make_model(tmp_path / "model.onnx", 7)
    out = tmp_path / "out.npy"
    document = resnet_json("embed", model, *PHOTOS, "-o", out, "--batch", "2")
    rows = np.load(out)
    assert rows.dtype == np.float32 and rows.shape == (3, 7)
    assert (document["rows"], document["columns"]) == (3, 7)
    assert document["tensor"] == "logits" and document["output"] == str(out)
    assert document["files"] == [str(photo) for photo in PHOTOS]
    np.testing.assert_array_equal(rows, np.float32([raw(model, photo) for photo in PHOTOS]))
    assert resnet("embed", model, *PHOTOS, "-o", out, "--l2").returncode == 0
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(np.load(out), rows / lengths, rtol=1e-6)
    assert sorted(os.listdir(tmp_path)) == ["model.onnx", "out.npy"]


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_embeddings_go_to_standard_output(tmp_path, name):
    model = make_model(tmp_path / "model.onnx", 7)
    out = tmp_path / "out.npy"
    assert resnet("embed", model, *PHOTOS, "-o", out).returncode == 0
    result = resnet("embed", model, *PHOTOS, "-o", name, cwd=tmp_path)
    assert result.returncode == 0 and result.stdout == out.read_bytes()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    result = resnet("embed", "-q", model, PHOTOS[0], broken, "-o", name, cwd=tmp_path)
    assert result.returncode == 1 and result.stdout == b""
    assert b"resnet: standard output: is not written" in result.stderr
    result = resnet("embed", "-q", model, PHOTOS[0], broken, "-o", name, "--skip-errors")
    assert result.returncode == 1 and np.load(io.BytesIO(result.stdout)).shape == (1, 7)
    assert sorted(os.listdir(tmp_path)) == ["broken.png", "model.onnx", "out.npy"]


def test_embeddings_do_not_go_to_a_full_device(tmp_path):
    with open("/dev/full", "wb") as full:
        result = resnet("embed", "-q", PHOTOS[0], "-o", "-", stdout=full, capture_output=False)
    assert result.returncode == 1


def test_a_bad_image_leaves_no_file(tmp_path):
    model = make_model(tmp_path / "model.onnx")
    broken, out = tmp_path / "broken.png", tmp_path / "out.npy"
    broken.write_bytes(b"no image")
    result = resnet("embed", "-q", model, PHOTOS[0], broken, PHOTOS[1], "-o", out)
    lines = result.stderr.decode().splitlines()
    assert result.returncode == 1 and not out.exists()
    assert lines[0].startswith(f"resnet: {broken}: ")
    assert lines[1] == (
        f"resnet: {out}: is not written, since 1 of 3 images failed: --skip-errors leaves them out"
    )
    arguments = ["embed", "-q", model, PHOTOS[0], broken, PHOTOS[1], "-o", out, "--skip-errors"]
    document = resnet_json(*arguments, code=1)
    assert np.load(out).shape == (2, 3) and document["rows"] == 2
    assert document["files"] == [str(PHOTOS[0]), str(PHOTOS[1])]
    assert document["errors"][0]["file"] == str(broken)
    none = resnet("embed", "-q", model, broken, "-o", tmp_path / "none.npy", "--skip-errors")
    assert none.returncode == 1 and not (tmp_path / "none.npy").exists()


def test_embed_does_not_replace_its_input(tmp_path):
    photo = tmp_path / "photo.png"
    Image.new("RGB", (40, 40)).save(photo)
    said = complaint(resnet("embed", "-q", photo, "-o", photo))
    assert said == f"resnet: {photo}: is the image itself; name another file to write"


@pytest.mark.parametrize("tensor", ["features", "relu"])
def test_any_tensor_can_be_embedded(tmp_path, tensor):
    model = make_model(tmp_path / "model.onnx", size=(8, 12))
    out = tmp_path / "out.npy"
    options = ["--fit", "stretch", *NUMBERS]
    document = resnet_json("embed", model, PHOTOS[0], "-o", out, "--scores", tensor, *options)
    assert document["tensor"] == tensor and document["scores"] == "embedding"
    graph = onnx.load(model)
    graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    wanted = session.run([tensor], {"image": prepared(PHOTOS[0], (8, 12))})[0]
    np.testing.assert_allclose(np.load(out), wanted.reshape(1, -1), rtol=1e-4, atol=1e-4)
