"""Where images and models come from: operands, standard input, files of other formats,
and 16-bit images."""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from conftest import PROGRAM, ROOT, complaint, resnet, resnet_json

np = pytest.importorskip("numpy", reason="NumPy is not installed")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

MODEL = ROOT / "models" / "cifar10-resnet20.onnx"
PHOTO = sorted((ROOT / "models" / "samples").glob("*.png"))[0]

# ---- standard input


def piped(path: Path, *arguments) -> subprocess.CompletedProcess:
    """Run the program with a file on standard input, through a pipe."""
    return resnet(*arguments, input=path.read_bytes())


@pytest.mark.parametrize("name", ["-", "/dev/stdin", "/dev/fd/0"])
def test_image_from_a_pipe(name):
    expected = resnet_json("classify", PHOTO)["results"][0]["predictions"]
    result = piped(PHOTO, "classify", "--json", name)
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["results"][0]["predictions"] == expected
    assert document["results"][0]["file"] == name


def test_image_from_a_redirected_file():
    with PHOTO.open("rb") as file:
        result = resnet("classify", "-", PHOTO, "-k", "1", stdin=file)
    lines = result.stdout.decode().splitlines()
    assert result.returncode == 0 and lines[2].startswith("standard input  ")
    assert lines[3] == lines[5]


def test_image_from_a_slow_pipe_that_does_not_block():
    read, write = os.pipe()
    os.set_blocking(read, False)
    with subprocess.Popen(
        [PROGRAM, "classify", "-q", "-"], stdin=read, stdout=subprocess.PIPE
    ) as process:
        os.close(read)
        data = PHOTO.read_bytes()
        for start in range(0, len(data), 5000):
            os.write(write, data[start : start + 5000])
        os.close(write)
        out = process.communicate(timeout=60)[0]
    assert process.returncode == 0 and out.startswith(b"standard input\n")


def test_empty_standard_input():
    said = complaint(resnet("classify", "-q", "-", stdin=subprocess.DEVNULL))
    assert said == "resnet: standard input: is empty: pipe a file into it, or redirect it"


def test_other_pipes_stay_refused(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    said = complaint(resnet("classify", "-q", fifo, timeout=20))
    assert said.endswith("is not a regular file; a file is needed, or - for standard input")


@pytest.mark.parametrize("options", [[], ["--resize", "40"]])
def test_model_from_a_pipe(options):
    expected = resnet_json("classify", "-m", MODEL, PHOTO, *options)["results"]
    result = piped(MODEL, "classify", "-m", "-", PHOTO, "--json", *options)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["results"] == expected
    shown = piped(MODEL, "inspect", "-").stdout.decode()
    assert shown.startswith("model       standard input: ")


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_model_from_a_pipe_as_first_operand(tmp_path, name):
    expected = resnet_json("classify", MODEL, PHOTO)["results"]
    result = piped(MODEL, "classify", name, PHOTO, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["results"] == expected
    out = tmp_path / "out.npy"
    assert piped(MODEL, "embed", name, PHOTO, "-o", out).returncode == 0
    assert np.load(out).shape == (1, 10)
    assert piped(MODEL, "bench", name, "-r", "1").returncode == 0


def test_image_from_a_pipe_stays_an_image():
    result = piped(PHOTO, "classify", "-", PHOTO, "--json")
    assert result.returncode == 0, result.stderr
    first, second = json.loads(result.stdout)["results"]
    assert first["predictions"] == second["predictions"]


def test_a_short_image_from_a_pipe(tmp_path):
    small = tmp_path / "small.png"
    Image.new("RGB", (1, 1)).save(small)
    assert small.stat().st_size < 4096
    assert piped(small, "classify", "-", PHOTO, "-q").returncode == 0


def test_model_alone_on_a_pipe_is_named():
    said = complaint(piped(MODEL, "classify", "-q", "-"))
    assert said == (
        "resnet: standard input: is an ONNX model, not an image: name it before the images or "
        "with --model"
    )


def test_broken_model_from_a_pipe():
    said = complaint(piped(PHOTO, "inspect", "-"))
    assert said.startswith("resnet: standard input: ")


# ---- a model among the operands


@pytest.mark.parametrize("packed", [False, True])
def test_model_as_first_operand(tmp_path, packed):
    model = MODEL
    if packed:
        model = tmp_path / "model.onnx.gz"
        model.write_bytes(gzip.compress(MODEL.read_bytes()))
    document = resnet_json("classify", model, PHOTO)
    assert document["model"]["file"] == str(model)
    assert document["results"] == resnet_json("classify", "-m", model, PHOTO)["results"]
    said = resnet("classify", model)
    assert said.returncode == 2 and b"no image is named" in said.stderr


def test_model_by_content_as_first_operand(tmp_path):
    model = tmp_path / "weights.bin"
    model.write_bytes(MODEL.read_bytes())
    plan = tmp_path / "plan"
    assert resnet("compile", MODEL, "-o", plan).returncode == 0
    for first in (model, plan):
        assert resnet_json("classify", first, PHOTO)["model"]["file"] == str(first)


def test_model_elsewhere_is_named(tmp_path):
    said = complaint(resnet("classify", "-q", PHOTO, MODEL))
    assert said == (
        f"resnet: {MODEL}: is an ONNX model, not an image: name it before the images or with "
        "--model"
    )
    said = complaint(resnet("classify", "-q", "-m", MODEL, MODEL))
    assert said.endswith("not an image: name it instead of the other with --model")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert f"{broken}: " in complaint(resnet("classify", broken, PHOTO))


# ---- other formats

JPEG_XL = b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20)
FORMATS = {
    "a GIF image": b"GIF89a\1\0\1\0" + bytes(9),
    "a BMP image": b"BM" + bytes(12) + b"\x28" + bytes(60),
    "a TIFF image": b"II*\0\x08\0\0\0" + bytes(8),
    "a BigTIFF image": b"MM\0+" + bytes(12),
    "a HEIC image": b"\0\0\0\x18ftypheic" + bytes(12),
    "an AVIF image": b"\0\0\0\x1cftypavif" + bytes(12),
    "a JPEG XL image": JPEG_XL,
    "a JPEG 2000 image": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(9),
    "a Photoshop image": b"8BPS\0\1" + bytes(20),
    "an SVG drawing": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "a netpbm image": b"P6\n1 1\n255\n\0\0\0",
    "an icon": b"\0\0\1\0\1\0" + bytes(20),
    "a DICOM image": bytes(128) + b"DICM" + bytes(9),
    "a PDF document": b"%PDF-1.7\n",
    "a video": b"\0\0\0\x20ftypisom" + bytes(20),
    "a web page": b"\xef\xbb\xbf \n<!DOCTYPE HTML><html><body>404</body></html>",
    "an XML file": b"<?xml version='1.0'?><a/>",
    "a zip archive": b"PK\3\4" + bytes(30),
    "a gzip file": gzip.compress(b"image"),
    "a tar archive": b"a" * 257 + b"ustar\0" + bytes(250),
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(20),
    "a TensorFlow Lite model": b"\x1c\0\0\0TFL3" + bytes(20),
    "a safetensors file": b"\x40\0\0\0\0\0\0\0" + b'{"a":{}}',
    "a NumPy array": b"\x93NUMPY\1\0",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\n",
    "a file of zero bytes": bytes(5000),
    "an ONNX model": MODEL.read_bytes()[:5000],
    "a plan file": b"\x89RESNET\n" + bytes(99),
}


@pytest.mark.parametrize("name", FORMATS)
def test_format_is_named(tmp_path, name):
    path = tmp_path / "image.jpg"
    path.write_bytes(FORMATS[name])
    said = complaint(resnet("classify", "-q", PHOTO, path))
    assert said.startswith(f"resnet: {path}: is {name}"), said
    # what to do about it
    assert any(
        word in said for word in ("accepted", "unpack", "fetch", "--model", "not an image")
    ), said


# ---- 16-bit images


def deep_image(path: Path, values, mode: str = "grey") -> Path:
    """Write 16-bit values as PNG: Pillow writes no 16-bit colours."""
    values = np.asarray(values, ">u2")
    kind, channels = {"grey": (0, 1), "rgb": (2, 3), "grey+alpha": (4, 2)}[mode]
    values = values.reshape(len(values), -1, channels)
    rows = b"".join(b"\0" + row.tobytes() for row in values)

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return path


def rescaled(values, low: int, high: int):
    """Return 16-bit values as the program should make them 8-bit."""
    exact = (np.asarray(values, float) - low) * 255 / (high - low)
    return np.clip(np.floor(exact + 0.5), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("mode, channels", [("grey", 1), ("rgb", 3), ("grey+alpha", 2)])
@pytest.mark.parametrize("how", ["scale", "auto", "100:4095"])
def test_depth_is_scaled(tmp_path, mode, channels, how):
    rng = np.random.default_rng(5)
    values = rng.integers(50, 5000, (40, 48, channels), np.uint16)
    path = deep_image(tmp_path / "deep.png", values, mode)
    if channels == 2:
        values = values[..., :1]
    low, high = {"scale": (0, 65535), "auto": (values.min(), values.max())}.get(how, (100, 4095))
    grey = np.broadcast_to(rescaled(values, int(low), int(high)), (40, 48, 3))
    flat = tmp_path / "flat.png"
    Image.fromarray(np.ascontiguousarray(grey)).save(flat)
    result = resnet("classify", "--depth16", how, path)
    assert result.returncode == 0 and not result.stderr
    expected = resnet_json("classify", flat)["results"][0]["predictions"]
    found = resnet_json("classify", "--depth16", how, path)["results"][0]["predictions"]
    assert found == expected


def test_cut_depth_is_said(tmp_path):
    values = np.full((40, 40), 200)
    values[:10] = 3000
    path = deep_image(tmp_path / "deep.png", values)
    said = resnet("classify", path).stderr.decode()
    assert said.startswith(
        f"resnet: {path}: has 16 bits: 25.0 % of its values are above 255 and became white, as in "
        "Pillow; the largest is 3000; --depth16 scale"
    )
    assert not resnet("classify", "--depth16", "clip", path).stderr
    assert not resnet("classify", "--quiet", path).stderr
    dark = deep_image(tmp_path / "dark.png", np.full((40, 40), 255))
    assert not resnet("classify", dark).stderr
    colours = deep_image(tmp_path / "colours.png", np.full((40, 40, 3), 255), "rgb")
    assert "of which the upper 8 are used" in resnet("classify", colours).stderr.decode()


@pytest.mark.parametrize("command", ["eval", "compare"])
def test_cut_depths_of_a_data_set_are_counted(tmp_path, labels, command):
    for number in range(3):
        folder = tmp_path / "data" / labels[number]
        folder.mkdir(parents=True)
        deep_image(folder / "deep.png", np.full((40, 40), 300))
        Image.new("RGB", (40, 40)).save(folder / "flat.png")
    arguments = [command, *([MODEL] if command == "compare" else []), "-d", tmp_path / "data"]
    said = resnet(*arguments).stderr.decode()
    assert f"resnet: {tmp_path / 'data'}: 3 images have 16 bits a channel" in said
    assert "16 bits" not in resnet(*arguments, "--depth16", "auto").stderr.decode()
    scaled = resnet_json("eval", "-d", tmp_path / "data", "--depth16", "0:300")
    assert scaled["images"] == 6
