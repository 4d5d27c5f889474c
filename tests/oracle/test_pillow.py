"""Preparation of images against Pillow: the resize bit for bit, and the whole preparation
in float32.

Needs Pillow, NumPy and the helper program prepare_image (LIBRESNET_BUILD, default
build/release). The photographs are in LIBRESNET_TEST_DATA/data/imagenet-samples.
"""

import os
import random
import subprocess
from pathlib import Path

import pytest

np = pytest.importorskip("numpy", reason="NumPy is not installed")
PIL = pytest.importorskip("PIL", reason="Pillow is not installed")
from PIL import Image  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
HELPER = Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build/release")) / "tests/prepare_image"
PHOTOS = (
    Path(os.environ.get("LIBRESNET_TEST_DATA", ROOT.parent / "shared")) / "data/imagenet-samples"
)
PILLOW = int(PIL.__version__.split(".")[0])
FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.NEAREST)
BILINEAR, BICUBIC, NEAREST = range(3)
CROP, STRETCH = range(2)
NONE = 2**32 - 1
ORDERS = {"RGB": 0, "BGR": 1, "GREY": 2}

RGB, BGR, RGBA, BGRA, GREY, NV12, I420 = range(7)
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "scale": 255, "bgr": False}
KERAS_CAFFE = {"mean": (103.939, 116.779, 123.68), "std": (1, 1, 1), "scale": 1, "bgr": True}
KERAS_TF = {"mean": (1, 1, 1), "std": (1, 1, 1), "scale": 127.5, "bgr": False}

pytestmark = pytest.mark.skipif(not HELPER.exists(), reason=f"{HELPER} is not built (tools/build)")


def helper(pixels: bytes, *arguments: object) -> bytes:
    command = [str(HELPER), *map(str, arguments)]
    done = subprocess.run(command, input=pixels, capture_output=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode()}"
    return done.stdout


def resize(pixels: np.ndarray, width: int, height: int, kind: int = BILINEAR) -> np.ndarray:
    size = pixels.shape[1], pixels.shape[0]
    out = helper(pixels.tobytes(), "resize", *size, width, height, kind)
    return np.frombuffer(out, np.uint8).reshape(height, width, 3)


def prepare(
    pixels: bytes, size: tuple[int, int], fmt: int, stride: int, preset: str, *sides: int
) -> np.ndarray:
    """Run the helper. `sides`: resize, crop and, where crop is 0, the expected width and
    height."""
    width, height = sides[2:] or (sides[1], sides[1])
    out = helper(pixels, "prepare", *size, fmt, stride, preset, *sides)
    return np.frombuffer(out, np.float32).reshape(height, width, 3)


def resized_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the size after torchvision's Resize(int): the shorter side becomes `side`,
    the longer is truncated."""
    shorter, longer = min(size), max(size)
    other = int(side * longer / shorter)
    return (side, other) if size[0] <= size[1] else (other, side)


def covering_size(size: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """Return the size (width, height) that just covers height x width. In integers, as a
    float could be just below one."""
    if height * size[0] >= width * size[1]:
        return height * size[0] // size[1], height
    return width, width * size[1] // size[0]


def cropped(image: Image.Image, height: int, width: int) -> Image.Image:
    """Crop as torchvision's CenterCrop does."""
    left, top = int(round((image.width - width) / 2.0)), int(round((image.height - height) / 2.0))
    return image.crop((left, top, left + width, top + height))


def pillow_resize(image: Image.Image, size: tuple[int, int], kind: int = BILINEAR) -> Image.Image:
    """Call Image.resize as Pillow 13 does, which scales rows first where the height
    shrinks more than twice as much as the width. Older versions round in another order
    there, but two calls, each for one direction, do as version 13 does."""
    lower, narrower = image.height - size[1], image.width - size[0]
    if PILLOW < 13 and kind != NEAREST and lower > 0 and lower > 2 * narrower:
        image = image.resize((image.width, size[1]), FILTERS[kind])
    return image.resize(size, FILTERS[kind])


def expected(image: Image.Image, preset: dict, side: int, crop: int) -> np.ndarray:
    if side:
        image = pillow_resize(image, resized_size(image.size, side))
    if crop:
        image = cropped(image, crop, crop)
    pixels = np.asarray(image).astype(np.float32)
    pixels = pixels[:, :, ::-1] if preset["bgr"] else pixels
    values = pixels / np.float32(preset["scale"])
    return (values - np.float32(preset["mean"])) / np.float32(preset["std"])


def noise(width: int, height: int, seed: int) -> np.ndarray:
    """Return bytes that meet the rounding from both sides: noise, with stretches of pure
    black and white."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (height, width, 3), np.uint8)
    pixels[generator.random((height, width)) < 0.2] = 255
    pixels[generator.random((height, width)) < 0.2] = 0
    return pixels


def random_side(source: random.Random) -> int:
    return int(2 ** source.uniform(0, 10))


def assert_resize_is_pillows(
    pixels: np.ndarray, width: int, height: int, kind: int = BILINEAR
) -> None:
    reference = np.asarray(pillow_resize(Image.fromarray(pixels), (width, height), kind))
    difference = np.abs(resize(pixels, width, height, kind).astype(int) - reference)
    assert difference.max() == 0, (
        f"{pixels.shape[1]}x{pixels.shape[0]} -> {width}x{height}: "
        f"{(difference > 0).sum()} bytes differ"
    )


@pytest.fixture(scope="module")
def photos() -> list[tuple[str, Image.Image]]:
    paths = sorted(
        path for path in PHOTOS.glob("*") if path.suffix.lower() in (".jpeg", ".jpg", ".png")
    )
    if not paths:
        pytest.skip(f"no images in {PHOTOS} (set LIBRESNET_TEST_DATA)")
    return [(path.name, Image.open(path).convert("RGB")) for path in paths]


@pytest.mark.parametrize("kind", [BILINEAR, BICUBIC, NEAREST])
@pytest.mark.parametrize("case", range(300))
def test_resize_of_random_sizes(case: int, kind: int) -> None:
    source = random.Random(case)
    width, height = random_side(source), random_side(source)
    keep = source.choice(("", "", "", "width", "height", "width and height"))
    out_width = width if "width" in keep else random_side(source)
    out_height = height if "height" in keep else random_side(source)
    assert_resize_is_pillows(noise(width, height, case), out_width, out_height, kind)


@pytest.mark.parametrize("kind", [BILINEAR, BICUBIC, NEAREST])
@pytest.mark.parametrize(
    ("size", "out"),
    [
        ((1, 1), (1, 1)), ((1, 1), (37, 5)), ((2, 2), (1, 1)), ((65535, 1), (1, 1)),
        ((1, 65535), (3, 2)), ((65535, 2), (65534, 3)), ((3, 4), (65535, 1)),
        ((4000, 3), (1, 700)), ((255, 257), (256, 256)),
    ],
)  # fmt: skip
def test_resize_of_extreme_sizes(size: tuple[int, int], out: tuple[int, int], kind: int) -> None:
    assert_resize_is_pillows(noise(*size, seed=7), *out, kind)


@pytest.mark.parametrize("kind", [BILINEAR, BICUBIC, NEAREST])
@pytest.mark.parametrize("size", [(3, 8), (100, 105), (4096, 2), (2, 4096), (65535, 1), (1, 65535)])
def test_resize_of_white_stays_white(size: tuple[int, int], kind: int) -> None:
    """Rounded weights may add up to more than one, especially where 4,096 pixels become
    one."""
    white = np.full((size[1], size[0], 3), 255, np.uint8)
    for out in ((1, 1), (7, 11)):
        assert_resize_is_pillows(white, *out, kind)
        assert resize(white, *out, kind).min() == 255


@pytest.mark.slow
def test_resize_of_photographs(photos: list[tuple[str, Image.Image]]) -> None:
    for _, image in photos:
        pixels = np.asarray(image)
        for side in (32, 232, 256, 600):
            assert_resize_is_pillows(pixels, *resized_size(image.size, side))


@pytest.mark.parametrize(
    ("name", "preset", "sides"),
    [
        ("imagenet", IMAGENET, (256, 224)),
        ("imagenet-v2", IMAGENET, (232, 224)),
        ("keras-caffe", KERAS_CAFFE, (256, 224)),
        ("keras-tf", KERAS_TF, (256, 224)),
        ("imagenet", IMAGENET, (32, 32)),
        ("imagenet", IMAGENET, (0, 97)),
    ],
)
def test_preparation_of_photographs(
    photos: list[tuple[str, Image.Image]], name: str, preset: dict, sides: tuple[int, int]
) -> None:
    compared = 0
    for file, image in photos:
        if sides[0] == 0 and min(image.size) < sides[1]:
            continue
        out = prepare(image.tobytes(), image.size, RGB, image.width * 3, name, *sides)
        np.testing.assert_array_equal(out, expected(image, preset, *sides), err_msg=file)
        compared += 1
    assert compared > 50


@pytest.mark.parametrize("case", range(100))
def test_preparation_of_random_sizes(case: int) -> None:
    """Odd and even sides, so that half pixels of the crop round both ways; no crop; no
    resize."""
    source = random.Random(case)
    width, height = random_side(source), random_side(source)
    image = Image.fromarray(noise(width, height, case))
    side = source.choice((0, source.randint(1, 90)))
    scaled = resized_size(image.size, side) if side else image.size
    crop = source.choice((0, source.randint(1, min(scaled))))
    if max(scaled) > 20000:
        crop = min(scaled)
    sides = (side, crop) if crop else (side, crop, *scaled)
    out = prepare(image.tobytes(), image.size, RGB, width * 3, "imagenet", *sides)
    np.testing.assert_array_equal(out, expected(image, IMAGENET, side, crop))


def fitted(
    image: Image.Image,
    fit: int,
    kind: int,
    order: str,
    channels: int,
    resize: tuple[int, int],
    crop: tuple[int, int],
) -> np.ndarray:
    """Prepare an RGB image; sizes are height x width, and crop is that of the input."""
    sides = (*resize, *crop, *crop)
    settings = (fit, kind, ORDERS[order], channels)
    out = helper(image.tobytes(), "fit", *image.size, RGB, image.width * 3, *settings, *sides)
    return np.frombuffer(out, np.float32).reshape(*crop, channels)


def pillow_fitted(
    image: Image.Image,
    fit: int,
    kind: int,
    order: str,
    channels: int,
    resize: tuple[int, int],
    crop: tuple[int, int],
) -> np.ndarray:
    if order == "GREY" or channels == 1:
        image = image.convert("L")
    size = resize[::-1] if fit == STRETCH else covering_size(image.size, *resize)
    pixels = np.asarray(cropped(pillow_resize(image, size, kind), *crop))
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], channels, axis=2)
    return pixels[:, :, ::-1] if order == "BGR" else pixels


SIZES = [(224, 224), (256, 128), (112, 96)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("fit", [CROP, STRETCH], ids=["crop", "stretch"])
@pytest.mark.parametrize("kind", [BILINEAR, BICUBIC, NEAREST])
def test_fits_of_photographs(
    photos: list[tuple[str, Image.Image]], fit: int, size: tuple[int, int], kind: int
) -> None:
    """Three photographs, also turned and grey, in automatic sizes and with a border."""
    border = (size[0] + 37, size[1] + 14)
    for name, photo in photos[:3]:
        for image in (photo, photo.transpose(Image.Transpose.ROTATE_90)):
            for resize, given in ((size, (0, 0)), (border, border)):
                for order, channels in (("RGB", 3), ("BGR", 3), ("GREY", 3), ("RGB", 1)):
                    out = fitted(image, fit, kind, order, channels, given, size)
                    want = pillow_fitted(image, fit, kind, order, channels, resize, size)
                    np.testing.assert_array_equal(out, want, err_msg=f"{name} {order} {resize}")


@pytest.mark.parametrize("case", range(200))
def test_fits_of_random_sizes(case: int) -> None:
    """Tiny images, of one pixel too, and elongated ones, enlarged and shrunk."""
    source = random.Random(case)
    side = source.choice((3, 20, 300))
    image = Image.fromarray(noise(source.randint(1, side), source.randint(1, side), case))
    crop = source.randint(1, 60), source.randint(1, 60)
    resize = crop[0] + source.randint(0, 9), crop[1] + source.randint(0, 9)
    order, channels = source.choice((("RGB", 3), ("BGR", 3), ("GREY", 3), ("GREY", 1)))
    settings = source.randrange(2), source.randrange(3), order, channels, resize, crop
    np.testing.assert_array_equal(fitted(image, *settings), pillow_fitted(image, *settings))


@pytest.mark.parametrize("padding", [0, 1, 13])
@pytest.mark.parametrize("fmt", [BGR, RGBA, BGRA, GREY])
def test_pixel_formats(fmt: int, padding: int) -> None:
    rgb = noise(61, 47, seed=3)
    alpha = noise(61, 47, seed=4)[:, :, :1]
    grey = rgb[:, :, :1]
    packed = {
        BGR: rgb[:, :, ::-1],
        RGBA: np.concatenate([rgb, alpha], axis=2),
        BGRA: np.concatenate([rgb[:, :, ::-1], alpha], axis=2),
        GREY: grey,
    }[fmt]
    rows = np.pad(packed.reshape(47, -1), ((0, 0), (0, padding)), constant_values=99)
    image = Image.fromarray(np.repeat(grey, 3, axis=2) if fmt == GREY else rgb)
    out = prepare(rows.tobytes(), (61, 47), fmt, rows.shape[1], "imagenet", 40, 33)
    np.testing.assert_array_equal(out, expected(image, IMAGENET, 40, 33))


def bt601(y: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    """Return unrounded R, G, B by ITU-R BT.601, limited range, in double."""
    luma, blue, red = (y - 16.0) * 255 / 219, (cb - 128.0) * 255 / 112, (cr - 128.0) * 255 / 112
    green = luma - blue * 0.886 * 0.114 / 0.587 - red * 0.701 * 0.299 / 0.587
    return np.clip(np.stack([luma + red * 0.701, green, luma + blue * 0.886], axis=2), 0, 255)


@pytest.mark.parametrize("stride", [66, 71])
@pytest.mark.parametrize("size", [(64, 48), (65, 47), (65, 48), (64, 47), (1, 1)])
@pytest.mark.parametrize("fmt", [NV12, I420])
def test_camera_formats(fmt: int, size: tuple[int, int], stride: int) -> None:
    width, height = size
    generator = np.random.default_rng(5)
    rows, columns = (height + 1) // 2, (width + 1) // 2
    y = generator.integers(0, 256, (height, stride), np.uint8)
    if fmt == NV12:
        chroma = generator.integers(0, 256, (rows, stride), np.uint8)
        planes, cb, cr = [y, chroma], chroma[:, 0 : 2 * columns : 2], chroma[:, 1 : 2 * columns : 2]
    else:
        cb, cr = generator.integers(0, 256, (2, rows, (stride + 1) // 2), np.uint8)
        planes = [y, cb, cr]
    spread = [
        np.repeat(np.repeat(c[:, :columns], 2, 0), 2, 1)[:height, :width].astype(float)
        for c in (cb, cr)
    ]
    out = prepare(
        b"".join(p.tobytes() for p in planes), size, fmt, stride, "none", 0, 0, width, height
    )
    assert np.abs(out - bt601(y[:, :width].astype(float), *spread)).max() < 0.51
    np.testing.assert_array_equal(out, np.round(out))
