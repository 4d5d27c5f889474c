"""Images as the program decodes them: bit-equal to Pillow, and a named error for each
that is incomplete."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

np = pytest.importorskip("numpy", reason="NumPy is not installed")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
from conftest import DECODE_DUMP, PROGRAM, complaint, resnet, run  # noqa: E402
from PIL import ImageOps  # noqa: E402

WIDTH, HEIGHT = 37, 23
ORIENTATION = 0x0112


def decode(path: Path) -> np.ndarray:
    """Return the (h,w,3) pixels that the program decodes."""
    result = run(DECODE_DUMP, path)
    assert result.returncode == 0, result.stderr
    header, _, pixels = result.stdout.partition(b"\n")
    width, height = map(int, header.split())
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def refusal(path: Path) -> str:
    """Return why the program does not decode an image."""
    result = run(DECODE_DUMP, path, timeout=30)
    assert result.returncode == 1, "it was decoded"
    return result.stderr.decode()


def check_equal(path: Path) -> None:
    """Check that the pixels are Pillow's."""
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(decode(path), expected)


def noise(mode: str, width: int = WIDTH, height: int = HEIGHT):
    """Return an image without symmetry: waves under noise."""
    rng = np.random.default_rng(width * 1000 + height)
    y, x = np.mgrid[:height, :width]
    waves = np.stack(
        [np.sin(x / 5 + c) * 60 + np.cos(y / (3 + c)) * 60 + 128 for c in range(4)], -1
    )
    pixels = np.clip(waves + rng.normal(0, 12, waves.shape), 0, 255).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(
            rng.integers(0, 2**16, (height, width), np.uint16) >> (x % 12).astype(np.uint16)
        )
    if mode == "P":
        return Image.fromarray(pixels[..., :3]).quantize(50)
    if mode == "1":
        return Image.fromarray(pixels[..., 0]).convert("1")
    return {
        "L": lambda: Image.fromarray(pixels[..., 0]),
        "LA": lambda: Image.merge("LA", [Image.fromarray(pixels[..., c]) for c in (0, 3)]),
        "RGB": lambda: Image.fromarray(pixels[..., :3]),
        "RGBA": lambda: Image.merge("RGBA", [Image.fromarray(pixels[..., c]) for c in range(4)]),
        "CMYK": lambda: Image.merge("CMYK", [Image.fromarray(pixels[..., c]) for c in range(4)]),
    }[mode]()


def exif(orientation: int):
    """Return EXIF data with that orientation."""
    data = Image.Exif()
    data[ORIENTATION] = orientation
    return data


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_modes_and_orientations(tmp_path, mode, orientation):
    path = tmp_path / "image"
    noise(mode).save(path, "JPEG", quality=90, exif=exif(orientation))
    check_equal(path)
    turned = (WIDTH, HEIGHT) if orientation > 4 else (HEIGHT, WIDTH)
    assert decode(path).shape[:2] == turned


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_modes_and_orientations(tmp_path, mode, orientation):
    path = tmp_path / "image"
    noise(mode).save(path, "PNG", exif=exif(orientation))
    check_equal(path)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"quality": 5}]
)
def test_jpeg_encodings(tmp_path, subsampling, options):
    path = tmp_path / "image.jpg"
    noise("RGB", 131, 67).save(path, subsampling=subsampling, **options)
    check_equal(path)


def test_jpeg_ycck(tmp_path):
    path = tmp_path / "image.jpg"
    noise("CMYK").save(path, quality=95)
    data = bytearray(path.read_bytes())
    adobe = data.index(b"Adobe")
    assert data[adobe + 11] == 0
    data[adobe + 11] = 2
    path.write_bytes(data)
    check_equal(path)


def test_name_does_not_matter(tmp_path):
    path = tmp_path / "image.png"
    noise("RGB").save(path, "JPEG")
    check_equal(path)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (8, 8), (16, 17)])
def test_small_sizes(tmp_path, size):
    for form in ("JPEG", "PNG"):
        path = tmp_path / form
        noise("RGB", *size).save(path, form)
        check_equal(path)


# ---- PNG files that Pillow does not write


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    width: int,
    height: int,
    depth: int,
    colour: int,
    rows: bytes,
    *before: bytes,
    interlaced: bool = False,
) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(before)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def interlaced_rows(pixels: np.ndarray) -> bytes:
    """Return the rows of Adam7: seven smaller images (PNG specification, 8.2)."""
    passes = [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]
    parts = [pixels[top::down, left::right] for top, left, down, right in passes]
    return b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)


@pytest.mark.parametrize("channels, colour", [(1, 0), (3, 2), (2, 4), (4, 6)])
@pytest.mark.parametrize("depth", [8, 16])
def test_png_interlaced(tmp_path, channels, colour, depth):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 2**depth, (HEIGHT, WIDTH, channels)).astype(
        ">u2" if depth == 16 else "u1"
    )
    path = tmp_path / "image.png"
    path.write_bytes(png(WIDTH, HEIGHT, depth, colour, interlaced_rows(pixels), interlaced=True))
    check_equal(path)


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("colour", [0, 3])
def test_png_small_depths(tmp_path, depth, colour):
    rng = np.random.default_rng(depth)
    stride = (WIDTH * depth + 7) // 8
    rows = b"".join(b"\0" + rng.bytes(stride) for _ in range(HEIGHT))
    palette = chunk(b"PLTE", rng.bytes(3 * 2**depth))
    path = tmp_path / "image.png"
    path.write_bytes(png(WIDTH, HEIGHT, depth, colour, rows, *([palette] if colour == 3 else [])))
    check_equal(path)


@pytest.mark.parametrize(
    "colour, extra",
    [
        (3, [chunk(b"PLTE", bytes(range(30, 60))), chunk(b"tRNS", bytes([0, 128]))]),
        (3, [chunk(b"PLTE", bytes(range(30, 36)))]),
        (0, [chunk(b"tRNS", b"\0\7")]),
        (0, [chunk(b"gAMA", struct.pack(">I", 100000))]),
    ],
)
def test_png_transparency_short_palette_and_gamma(tmp_path, colour, extra):
    rng = np.random.default_rng(3)
    rows = b"".join(b"\0" + rng.integers(0, 10, WIDTH, np.uint8).tobytes() for _ in range(HEIGHT))
    path = tmp_path / "image.png"
    path.write_bytes(png(WIDTH, HEIGHT, 8, colour, rows, *extra))
    check_equal(path)


# ---- EXIF that is not as it should be


def tiff(entry: bytes, endian: str = "<", offset: int = 8, count: int = 1) -> bytes:
    mark = b"II" if endian == "<" else b"MM"
    return mark + struct.pack(endian + "HIH", 42, offset, count) + entry


MALFORMED_EXIF = {
    "empty": b"",
    "short": b"II*\0",
    "directory beyond the end": tiff(b"", offset=0xFFFFFFFF),
    "directory at the end": tiff(b"", offset=10),
    "count beyond the end": tiff(struct.pack("<HHIHH", 0x010F, 3, 1, 1, 0), count=0xFFFF),
    "orientation 0": tiff(struct.pack("<HHIHH", ORIENTATION, 3, 1, 0, 0)),
    "orientation 9": tiff(struct.pack("<HHIHH", ORIENTATION, 3, 1, 9, 0)),
    "two orientations": tiff(struct.pack("<HHIHH", ORIENTATION, 3, 2, 6, 6)),
    "wrong byte order": b"IM" + tiff(b"")[2:],
    "not 42": b"II\0\0" + tiff(struct.pack("<HHIHH", ORIENTATION, 3, 1, 6, 0))[4:],
    "cut within the entry": tiff(struct.pack("<HHIHH", ORIENTATION, 3, 1, 6, 0))[:-3],
}


def with_exif(path: Path, data: bytes) -> None:
    """Return a JPEG whose EXIF segment holds these bytes."""
    buffer = io.BytesIO()
    noise("RGB").save(buffer, "JPEG")
    jpeg, body = buffer.getvalue(), b"Exif\0\0" + data
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:])


@pytest.mark.parametrize("name", MALFORMED_EXIF)
def test_malformed_exif_is_orientation_1(tmp_path, name):
    path = tmp_path / "image.jpg"
    with_exif(path, MALFORMED_EXIF[name])
    assert decode(path).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("endian", ["<", ">"])
def test_exif_byte_orders(tmp_path, endian):
    path = tmp_path / "image.jpg"
    other = struct.pack(endian + "HHIHH", 0x0100, 3, 1, 5, 0)
    with_exif(
        path, tiff(other + struct.pack(endian + "HHIHH", ORIENTATION, 3, 1, 6, 0), endian, count=2)
    )
    check_equal(path)
    assert decode(path).shape == (WIDTH, HEIGHT, 3)


# ---- files that are not whole


def encoded(form: str) -> bytes:
    if form == "interlaced":
        return png(WIDTH, HEIGHT, 8, 2, interlaced_rows(np.asarray(noise("RGB"))), interlaced=True)
    buffer = io.BytesIO()
    options = {"progressive": True} if form == "progressive" else {}
    noise("RGB").save(buffer, "PNG" if form == "PNG" else "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "progressive", "PNG", "interlaced"])
def test_truncated_anywhere(tmp_path, form):
    whole = encoded(form)
    path = tmp_path / "image"
    step = max(1, len(whole) // 97)
    for size in sorted({*range(0, len(whole), step), *range(len(whole) - 20, len(whole))}):
        path.write_bytes(whole[:size])
        message = refusal(path)
        assert any(word in message for word in ("truncated", "damaged", "empty", "neither")), (
            size,
            message,
        )
    path.write_bytes(whole)
    check_equal(path)


@pytest.mark.parametrize("form", ["JPEG", "progressive", "PNG", "interlaced"])
def test_damaged_anywhere_does_not_crash(tmp_path, form):
    whole, rng = encoded(form), random.Random(4)
    path = tmp_path / "image"
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        result = run(DECODE_DUMP, path, timeout=30)
        assert result.returncode == 0 or result.stderr


def test_absurd_sizes(tmp_path):
    path = tmp_path / "bomb"
    for width, height in [(65535, 65535), (2**31 - 1, 1), (70000, 1), (20000, 20000)]:
        path.write_bytes(png(width, height, 8, 2, b"\0" * 100))
        assert f"claims {width} x {height} pixels" in refusal(path)
    jpeg = bytearray(encoded("JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
    path.write_bytes(jpeg)
    assert "claims 65500 x 65500 pixels" in refusal(path)


def test_text_chunk_that_unpacks_to_much_is_not_unpacked(tmp_path):
    path = tmp_path / "image.png"
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(64 << 20)))
    rows = b"".join(b"\0" + bytes(3 * WIDTH) for _ in range(HEIGHT))
    path.write_bytes(png(WIDTH, HEIGHT, 8, 2, rows, text))
    assert not decode(path).any()


@pytest.mark.parametrize("side, scans", [(1000, 501), (12000, 25)])
def test_many_scans_are_refused(tmp_path, side, scans):
    """Each scan is a pass over the whole image: a small file could ask for hours."""
    buffer = io.BytesIO()
    Image.new("L", (side, side)).save(buffer, "JPEG", progressive=True)
    data = bytearray(buffer.getvalue())
    start = data.index(b"\xff\xda")
    parameters = start + 2 + struct.unpack(">H", data[start + 2 : start + 4])[0]
    assert data[parameters - 1] == 1
    # The first scan now claims to be exact, so that it may come again.
    data[parameters - 1] = 0
    end = data.index(b"\xff", parameters)
    path = tmp_path / "scans.jpg"
    path.write_bytes(data[:start] + data[start:end] * (scans + 1) + data[end:])
    assert f"too many scans: {scans} of {side * side} pixels" in refusal(path)


def test_refused_by_kind(tmp_path):
    fifo, empty, text = tmp_path / "fifo", tmp_path / "empty.jpg", tmp_path / "text.jpg"
    os.mkfifo(fifo)
    empty.touch()
    text.write_text("this is no image")
    assert "is not a regular file" in refusal(fifo)
    assert "is not a regular file" in refusal(Path("/dev/zero"))
    assert "is a folder" in refusal(tmp_path)
    assert "is empty" in refusal(empty)
    assert "neither a JPEG nor a PNG" in refusal(text)
    assert "No such file" in refusal(tmp_path / "nothing")


def test_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert "at most 268435456 are accepted" in refusal(path)


def test_message_names_the_file(tmp_path):
    path = tmp_path / "cut.jpg"
    path.write_bytes(encoded("JPEG")[:-50])
    assert (
        complaint(resnet("classify", path))
        == f"resnet: {path}: truncated JPEG: its data end too early"
    )


def test_a_chunk_longer_than_its_file_takes_no_memory(tmp_path):
    """libpng would allocate what the chunk says that it has: 1.9 GB for 46 bytes.
    Found by the fuzzer."""
    path = tmp_path / "text.png"
    header = struct.pack(">IIBBBBB", 34, 37, 8, 0, 0, 0, 0)
    whole = (
        struct.pack(">I", len(header))
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + whole + struct.pack(">I", 0x79000000) + b"tEXtIE")
    # From a small process: a child's greatest memory counts what its parent had when it
    # was made.
    small = (
        "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode; "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    )
    program = subprocess.run(
        [sys.executable, "-c", small, PROGRAM, "classify", path, "--quiet"],
        capture_output=True,
        text=True,
    )
    assert program.returncode == 1 and "truncated PNG: its data end too early" in program.stderr
    assert int(program.stdout.split()[-1]) < 500_000, "kB"


# ---- WebP


def has_webp(tmp_path: Path) -> bool:
    """Return whether the program was built with libwebp."""
    path = tmp_path / "probe.webp"
    noise("RGB").save(path)
    return run(DECODE_DUMP, path).returncode == 0


@pytest.fixture
def webp(tmp_path) -> Path:
    """Return a folder; skip without libwebp."""
    if not has_webp(tmp_path):
        pytest.skip("the program was built without libwebp: libwebp-dev is not installed")
    return tmp_path


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("options", [{"quality": 60}, {"lossless": True, "exact": True}])
def test_webp(webp, mode, options):
    path = webp / "image.webp"
    noise(mode).save(path, **options)
    check_equal(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_webp_orientations(webp, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = webp / "image.webp"
    noise("RGB").save(path, exif=exif)
    check_equal(path)


def test_damaged_webp_is_refused(webp):
    path = webp / "image.webp"
    noise("RGB").save(path, lossless=True)
    whole = path.read_bytes()
    for size in range(12, len(whole), 97):
        path.write_bytes(whole[:size])
        assert "WebP" in refusal(path)
    frames = [noise("RGB"), noise("RGB").transpose(Image.FLIP_LEFT_RIGHT)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert "is an animated WebP image" in refusal(path)


def test_webp_is_named_without_libwebp(tmp_path):
    if has_webp(tmp_path):
        pytest.skip("the program was built with libwebp")
    assert "is a WebP image: JPEG and PNG images are accepted" in refusal(tmp_path / "probe.webp")
