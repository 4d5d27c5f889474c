"""Images to labels: every kind of input gives what the program says, to the bit."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import re
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from conftest import (
    RESNET20,
    SAMPLES,
    SANITIZED,
    made_net,
    python,
    resnet_json,
    shared,
    unsanitized,
)
from scores import shortest

import libresnet
from libresnet import Model, Prediction, read_image

CAT = SAMPLES / "cat-tabby.jpg"
SHIP = SAMPLES / "ship-freighter.jpg"


def reference_of(paths: list[Path], k: int = 10, *options: object) -> list[list[Prediction]]:
    results = resnet_json("classify", "-k", k, *options, *paths)["results"]
    return [
        [
            Prediction(one["index"], shortest(one["score"]), one["label"])
            for one in result["predictions"]
        ]
        for result in results
    ]


@pytest.fixture(scope="module")
def reference(samples: list[Path]) -> dict[Path, list[Prediction]]:
    """All ten classes of every sample."""
    return dict(zip(samples, reference_of(samples)))


def pil() -> object:
    return pytest.importorskip("PIL.Image", reason="Pillow is not installed")


# ---- what images may come as ----


def test_paths(model: Model, reference: dict) -> None:
    for path, expected in reference.items():
        for form in (path, str(path), os.fspath(path)):
            assert model.classify(form, k=10) == expected
        assert model.classify(path, k=3) == expected[:3]
    best = model.classify(CAT)
    assert len(best) == 5 and isinstance(best[0], Prediction)
    index, score, label = best[0]
    assert type(index) is int and type(score) is float and label == "cat" == best[0].label


def test_bytes_of_files(model: Model, reference: dict) -> None:
    for path, expected in reference.items():
        data = path.read_bytes()
        for form in (data, bytearray(data), memoryview(data)):
            assert model.classify(form, k=10) == expected


def test_arrays_and_pil_images(model: Model, reference: dict) -> None:
    image = pil()
    for path, expected in reference.items():
        assert model.classify(read_image(path), k=10) == expected
        assert model.classify(image.open(path), k=10) == expected
        assert model.classify(image.open(path).convert("RGBA"), k=10) == expected


def test_the_same_pil_image_in_several_threads(model: Model, reference: dict) -> None:
    """PIL decodes lazily, and can't do so for two threads at once."""
    for _ in range(30):
        image = pil().open(CAT)
        assert model.classify([image] * 8, k=10, threads=2) == [reference[CAT]] * 8


def test_pil_modes(model: Model) -> None:
    image = pil()
    image = image.open(CAT)
    for mode in ("L", "1", "P", "LA", "CMYK", "YCbCr", "RGBA", "PA", "I", "F"):
        try:
            one = image.convert(mode)
        except ValueError:
            one = image.convert("L").convert(mode)
        assert model.classify(one, k=10) == model.classify(one.convert("RGB"), k=10), mode


def test_sessions_say_the_same(model: Model, reference: dict) -> None:
    with model.session(threads=1, batch=4) as session:
        assert session.classify(list(reference), k=10) == list(reference.values())
        assert session.classify(CAT, k=10) == reference[CAT]
        assert np.array_equal(
            session.probabilities(list(reference)), model.probabilities(list(reference))
        )


def test_scores_print_as_the_float32_they_are(model: Model, reference: dict) -> None:
    for best in model.classify(list(reference), k=10):
        for one in best:
            assert len(Decimal(repr(one.score)).as_tuple().digits) <= 9, one
            assert json.dumps(one.score) == repr(one.score)
    found = model.probabilities(CAT)
    for one in model.classify(CAT, k=10):
        assert np.float32(one.score) == found[one.index]


# ---- pixels ----


def nv12_and_i420(h: int, w: int) -> tuple[np.ndarray, np.ndarray]:
    """The same image in both."""
    random = np.random.default_rng(1)
    y = random.integers(16, 236, (h, w), np.uint8)
    u, v = random.integers(16, 241, (2, h // 2, w // 2), np.uint8)
    interleaved = np.stack([u, v], axis=2).reshape(h // 2, w)
    planar = np.concatenate([u.ravel(), v.ravel()]).reshape(h // 2, w)
    return np.concatenate([y, interleaved]), np.concatenate([y, planar])


def rgb_of_yuv(nv12: np.ndarray) -> np.ndarray:
    """BT.601, 16 to 235, each chroma value for four pixels."""
    h = len(nv12) // 3 * 2
    y = (nv12[:h].astype(float) - 16) * 255 / 219
    uv = (
        np.repeat(np.repeat(nv12[h:].reshape(h // 2, -1, 2), 2, axis=0), 2, axis=1).astype(float)
        - 128
    )
    u, v = uv[..., 0] * 255 / 224, uv[..., 1] * 255 / 224
    rgb = np.stack([y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u], axis=2)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def test_pixel_formats(model: Model, reference: dict) -> None:
    rgb = read_image(CAT)
    alpha = np.random.default_rng(0).integers(0, 256, rgb.shape[:2], np.uint8)
    rgba = np.dstack([rgb, alpha])
    expected = reference[CAT]
    assert model.classify(rgb, k=10, pixels="RGB") == expected
    assert model.classify(np.ascontiguousarray(rgb[..., ::-1]), k=10, pixels="BGR") == expected
    assert model.classify(rgb[..., ::-1], k=10, pixels="BGR") == expected
    assert model.classify(rgba, k=10) == model.classify(rgba, k=10, pixels="RGBA") == expected
    assert model.classify(np.dstack([rgb[..., ::-1], alpha]), k=10, pixels="BGRA") == expected
    grey = rgb[..., 1]
    expected = model.classify(np.dstack([grey] * 3), k=10)
    for form in (
        grey,
        grey[..., None],
        np.ascontiguousarray(grey),
        np.ascontiguousarray(grey)[..., None],
    ):
        assert model.classify(form, k=10) == model.classify(form, k=10, pixels="GREY") == expected


@pytest.mark.parametrize("shape", [(48, 64), (2, 2), (32, 32), (50, 34)], ids=str)
def test_video_formats(model: Model, shape: tuple[int, int]) -> None:
    nv12, i420 = nv12_and_i420(*shape)
    found = model.probabilities(nv12, pixels="NV12")
    assert np.array_equal(model.probabilities(i420, pixels="I420"), found)
    assert np.allclose(found, model.probabilities(rgb_of_yuv(nv12)), atol=0.02)
    wide = np.zeros((len(nv12), shape[1] + 14), np.uint8)
    wide[:, 6 : 6 + shape[1]] = nv12
    assert np.array_equal(model.probabilities(wide[:, 6 : 6 + shape[1]], pixels="NV12"), found)
    wide[:, 6 : 6 + shape[1]] = i420
    assert np.array_equal(model.probabilities(wide[:, 6 : 6 + shape[1]], pixels="I420"), found)


def views() -> Iterator[tuple[str, np.ndarray]]:
    image = read_image(CAT)
    yield "crop", image[20:220, 30:231]
    yield "rows left out", image[::2]
    yield "columns left out", image[:, ::3]
    yield "upside down", image[::-1]
    yield "mirrored", image[:, ::-1]
    yield "channels turned", image[..., ::-1]
    yield "transposed", image.transpose(1, 0, 2)
    yield "planar", np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0)
    yield "one row", image[7:8]
    yield "one column", image[:, 9:10]
    yield "one pixel", image[3:4, 4:5]
    yield "one row for all", np.broadcast_to(image[5], image.shape)
    yield "three of four values", np.dstack([image, image[..., :1]])[..., :3]
    yield "overlapping rows", np.lib.stride_tricks.as_strided(image, (40, 50, 3), (30, 3, 1))
    yield "grey crop", image[20:220, 30:230, 1]
    yield "grey, one row", image[9:10, :, 1]
    read_only = image.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only
    yield "Fortran's order", np.asfortranarray(image)
    yield "recarray", image.view(np.recarray)


@pytest.mark.parametrize(("name", "view"), list(views()), ids=[name for name, _ in views()])
@pytest.mark.filterwarnings("ignore::libresnet.ModelWarning")
def test_views_are_their_copies(model: Model, name: str, view: np.ndarray) -> None:
    copy = np.array(view, order="C", subok=False)
    wanted = model.classify(copy, k=10)
    before = view.copy()
    assert model.classify(view, k=10) == wanted
    assert model.classify([view, copy], k=10) == [wanted] * 2
    assert np.array_equal(before, view)


def test_a_crop_is_read_where_it_lies() -> None:
    from libresnet import _images

    image = read_image(CAT)
    crop = image[20:220, 30:231]
    taken = _images.image_of(crop, None)
    assert taken.struct.pixels == crop.ctypes.data and taken.struct.stride == image.strides[0]


@pytest.mark.parametrize(
    ("image", "pixels"),
    [
        (np.zeros((4, 4, 2), np.uint8), None),
        (np.zeros((4, 4, 5), np.uint8), None),
        (np.zeros((0, 4, 3), np.uint8), None),
        (np.zeros((4, 0, 3), np.uint8), None),
        (np.zeros((4, 4, 3), np.uint8), "RGBA"),
        (np.zeros((4, 4, 4), np.uint8), "BGR"),
        (np.zeros((4, 4, 3), np.uint8), "GREY"),
        (np.zeros((4, 4, 3), np.uint8), "rgb"),
        (np.zeros((4, 4), np.uint8), "NV12"),
        (np.zeros((10, 4), np.uint8), "NV12"),
        (np.zeros((6, 5), np.uint8), "I420"),
        (np.zeros((1, 65536, 3), np.uint8), None),
        (np.zeros((65536, 1), np.uint8), None),
        (np.zeros((4, 4, 3), np.int64), None),
        (np.zeros((4, 4, 3), bool), None),
        (np.zeros((4, 4, 3), np.float32), None),
        (np.zeros((2, 3, 31, 32), np.float32), None),
        (np.zeros((32, 32), np.float32), None),
        (np.zeros((1, 2, 3, 4, 3), np.uint8), None),
        (np.zeros((2, 3, 32, 32), np.uint8), None),
        (np.zeros(5, np.uint8), None),
        (np.array(5.0), None),
        (np.array("a path in an array"), None),
        (5, None),
        (None, None),
        ([None], None),
        ([[1, 2], [3, 4]], None),
        (object(), None),
        (np.array(5, np.uint8), None),
        (io.BytesIO(b"\xff\xd8\xff\n"), None),
        ([io.BytesIO(b"\xff\xd8\xff\n")], None),
    ],
    ids=lambda value: str(getattr(value, "shape", value))[:30],
)
def test_what_is_no_image_is_refused(model: Model, image: object, pixels: str | None) -> None:
    for use in (
        model.classify,
        model.probabilities,
        model.session(threads=1).classify,
        model.observe,
    ):
        with pytest.raises(libresnet.ArgumentError) as raised:
            use(image, pixels=pixels)
        assert isinstance(raised.value, ValueError) and len(str(raised.value)) > 30


# ---- several ----


def test_lists_and_other_iterables(model: Model, reference: dict) -> None:
    paths, expected = list(reference), list(reference.values())
    stack = np.stack([read_image(path)[:32, :32] for path in paths])
    for threads in (0, 1, 2, 3):
        for form in (
            paths,
            tuple(paths),
            iter(paths),
            (path for path in paths),
            np.array(list(map(str, paths))),
            dict(reference),
        ):
            assert model.classify(form, k=10, threads=threads) == expected
        for none in ([], (), iter([]), np.empty((0, 5, 5, 3), np.uint8)):
            assert model.classify(none, threads=threads) == []
            assert model.probabilities(none, threads=threads).shape == (0, 10)
        assert model.classify(paths[:1], k=10, threads=threads) == expected[:1]
        assert model.classify(stack, threads=threads) == [model.classify(one) for one in stack]
    assert model.classify(stack[:1]) == [model.classify(stack[0])]


def test_mixed_lists(model: Model, reference: dict) -> None:
    rgb = read_image(CAT)
    normalised = prepared(model, read_image(SHIP)[:32, :32])
    mixed = [
        CAT,
        CAT.read_bytes(),
        rgb,
        normalised,
        pil().open(CAT),
        str(SHIP),
        normalised.transpose(2, 0, 1),
    ]
    found = model.classify(mixed, k=10)
    own = model.classify(normalised, k=10)
    assert found == [
        reference[CAT],
        reference[CAT],
        reference[CAT],
        own,
        reference[CAT],
        reference[SHIP],
        own,
    ]
    for threads in (1, 2):
        assert model.classify(iter(mixed * 20), k=10, threads=threads) == found * 20


def test_several_threads_use_one_model(model: Model, reference: dict) -> None:
    """All at once, with ablations of a session beside: each has the answers that it
    would have alone."""
    paths, expected = list(reference), list(reference.values())
    wrong: list[object] = []

    def use(number: int) -> None:
        for turn in range(15):
            if number % 2:
                found = model.classify(paths * 2, k=10, threads=1 + turn % 3)
                wrong.extend([found] if found != expected * 2 else [])
            else:
                found = model.classify(paths[turn % len(paths)], k=10, threads=1)
                wrong.extend([found] if found != expected[turn % len(paths)] else [])

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    with model.session(threads=1) as session, session.skip(0):
        session.classify(paths)
    for thread in threads:
        thread.join()
    assert not wrong


def test_closing_while_images_are_labelled() -> None:
    for wait in (0.0, 0.002, 0.01, 0.03):
        model = Model(RESNET20)
        found: list[object] = []

        def use() -> None:
            try:
                found.append(len(model.classify([CAT] * 100, k=1, threads=2)))
            except libresnet.ArgumentError as problem:
                found.append(str(problem))

        thread = threading.Thread(target=use)
        thread.start()
        time.sleep(wait)
        model.close()
        thread.join(30)
        assert len(found) == 1 and (found[0] == 100 or "closed" in str(found[0]))


def test_generators_are_read_as_it_goes(model: Model) -> None:
    """However many there are, few are in memory at once."""
    alive, most = 0, 0

    class Counted(np.ndarray):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def many() -> Iterator[np.ndarray]:
        nonlocal alive, most
        for _ in range(2000):
            alive += 1
            most = max(most, alive)
            yield np.zeros((8, 8, 3), np.uint8).view(Counted)

    assert len(model.classify(many(), k=1, threads=2)) == 2000
    assert most < 500


def test_a_generators_exception_comes_through(model: Model) -> None:
    def broken(count: int, problem: Exception) -> Iterator[Path]:
        for _ in range(count):
            yield CAT
        raise problem

    for threads in (1, 2):
        for count in (0, 1, 100):
            for problem in (KeyError("mine"), TypeError("mine")):
                with pytest.raises(type(problem), match="mine"):
                    model.classify(broken(count, problem), threads=threads)
    assert model.classify(CAT)[0].label == "cat"


def test_k(model: Model, reference: dict) -> None:
    assert model.classify(CAT, k=1) == reference[CAT][:1]
    assert model.classify(CAT, k=11) == model.classify(CAT, k=10**12) == reference[CAT]
    for k in (0, -1):
        for images in (CAT, [CAT], []):
            with pytest.raises(libresnet.ArgumentError, match="k is"):
                model.classify(images, k=k)


def test_preprocessing_that_does_not_fit_is_an_error(samples: list[Path]) -> None:
    with Model(RESNET20, preprocess="none") as model:
        assert len(model.classify(read_image(CAT)[:32, :32])) == 5
        with pytest.raises(libresnet.ArgumentError, match="32"):
            model.classify(CAT)
    paths = samples[:4] if SANITIZED else samples
    for name in ("imagenet", "keras-caffe", "keras-tf"):
        options = ("--preprocess", name, "--size", 224)
        with Model(RESNET20, preprocess=name, input_size=224) as model:
            assert model.classify(paths, k=10) == reference_of(paths, 10, "-m", RESNET20, *options)


# ---- normalised values ----


def prepared(model: Model, rgb: np.ndarray) -> np.ndarray:
    """(h,w,c), of an image that has the net's size."""
    way = model.preprocess
    values = rgb.astype(np.float32) / np.float32(way.scale)
    return (values - np.array(way.mean, np.float32)) / np.array(way.std, np.float32)


def softmax(scores: np.ndarray) -> np.ndarray:
    wide = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return wide / wide.sum(axis=1, keepdims=True)


def end_in(operator: str) -> object:
    """Change a net to end in another operator."""

    def change(graph: object) -> None:
        from onnx import helper

        for node in graph.graph.node:
            node.output[:] = ["raw" if name == "logits" else name for name in node.output]
        attributes = {} if operator == "Sigmoid" else {"axis": 1}
        graph.graph.node.append(
            helper.make_node(operator, ["raw"], ["logits"], name="last", **attributes)
        )

    return change


@pytest.mark.parametrize("ending", [None, "Softmax", "LogSoftmax", "Sigmoid"])
@pytest.mark.filterwarnings("ignore::libresnet.ModelWarning")
def test_float_input_gives_shares_of_what_run_gives(tmp_path: Path, ending: str | None) -> None:
    path = made_net(tmp_path / "net.onnx", seed=3, change=end_in(ending) if ending else None)
    raw = made_net(tmp_path / "raw.onnx", seed=3)
    x = np.random.default_rng(5).standard_normal((6, 3, 32, 32), np.float32)
    with Model(path) as model, model.session(threads=1) as session, Model(raw) as plain:
        logits = plain.session(threads=1).run(x)
        shares = (
            1 / (1 + np.exp(-logits.astype(np.float64))) if ending == "Sigmoid" else softmax(logits)
        )
        scores = session.run(x)
        expected = {None: logits, "LogSoftmax": np.log(shares)}.get(ending, shares)
        assert np.allclose(scores, expected, rtol=1e-5, atol=1e-6)
        found = model.probabilities(x)
        assert np.allclose(found, shares, rtol=1e-5, atol=1e-7) and found.dtype == np.float32
        assert np.array_equal(session.probabilities(x), found)
        assert np.array_equal(model.probabilities(x[0]), found[0]) and model.probabilities(
            x[0]
        ).shape == (10,)
        for row, best in zip(found, model.classify(x, k=10)):
            assert [one.index for one in best] == sorted(
                range(10), key=lambda index: (-row[index], index)
            )
            assert [one.score for one in best] == [shortest(row[one.index]) for one in best]
            assert all(one.label is None for one in best)
        pixels = np.random.default_rng(6).integers(0, 256, (4, 32, 32, 3), np.uint8)
        from_pixels = model.probabilities(pixels)
        assert np.allclose(
            from_pixels,
            model.probabilities(np.stack([prepared(model, one) for one in pixels])),
            atol=1e-6,
        )


def test_equal_scores_come_by_index(tmp_path: Path) -> None:
    def constant(graph: object) -> None:
        from onnx import numpy_helper

        for one in graph.graph.initializer:
            if one.name.startswith("fc."):
                one.CopyFrom(
                    numpy_helper.from_array(np.zeros(tuple(one.dims), np.float32), one.name)
                )

    path = made_net(tmp_path / "equal.onnx", change=constant)
    with Model(path, preprocess="cifar10") as model:
        for images in (np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32, 3), np.float32)):
            best = model.classify(images, k=10)
            assert [one.index for one in best] == list(range(10)) and len(
                {one.score for one in best}
            ) == 1


def test_large_logits_do_not_overflow(tmp_path: Path) -> None:
    def larger(graph: object) -> None:
        from onnx import numpy_helper

        weight = next(one for one in graph.graph.initializer if one.name == "fc.weight")
        weight.CopyFrom(
            numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1e4), weight.name)
        )

    with Model(made_net(tmp_path / "large.onnx", change=larger), preprocess="cifar10") as model:
        for images in (CAT, np.ones((3, 32, 32), np.float32)):
            found = model.probabilities(images)
            assert np.isfinite(found).all() and abs(float(found.sum()) - 1) < 1e-5


def test_probabilities_are_classifys(model: Model, reference: dict) -> None:
    found = model.probabilities(list(reference))
    assert found.shape == (len(reference), 10) and found.dtype == np.float32
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)
    for row, expected in zip(found, reference.values()):
        assert all(np.float32(one.score) == row[one.index] for one in expected)
    assert np.array_equal(model.probabilities(CAT), found[list(reference).index(CAT)])


# ---- decoding ----


def test_read_image_is_pillows(samples: list[Path], tmp_path: Path) -> None:
    image = pil()
    from PIL import ImageOps

    paths = list(samples)
    random = np.random.default_rng(2)
    for orientation in range(1, 9):
        one = image.fromarray(random.integers(0, 256, (3, 5, 3), np.uint8)).resize((41, 23))
        exif = image.Exif()
        exif[0x0112] = orientation
        for suffix in ("jpg", "png"):
            paths.append(tmp_path / f"{orientation}.{suffix}")
            one.save(paths[-1], exif=exif)
    for mode in ("L", "P", "RGBA", "LA", "1"):
        paths.append(tmp_path / f"{mode}.png")
        image.fromarray(random.integers(0, 256, (9, 7, 3), np.uint8)).convert(
            "L" if mode == "LA" else "RGB"
        ).convert(mode).save(paths[-1])
    for path in paths:
        expected = np.asarray(ImageOps.exif_transpose(image.open(path)).convert("RGB"))
        for found in (read_image(path), read_image(path.read_bytes())):
            assert (
                found.dtype == np.uint8
                and found.flags.owndata
                and found.flags.writeable
                and found.flags.c_contiguous
            )
            assert np.array_equal(found, expected), path


def test_photographs(tmp_path: Path) -> None:
    paths = sorted(shared("data", "imagenet-samples").iterdir())[:12]
    paths = [path for path in paths if path.suffix == ".JPEG"]
    image = pil()
    from PIL import ImageOps

    net = made_net(tmp_path / "net.onnx", "resnet18", width=0.125, size=64)
    with Model(net, preprocess="imagenet", input_size=224) as model:
        expected = reference_of(paths, 5, "-m", net, "--preprocess", "imagenet", "--size", 224)
        found = model.classify(paths)
        assert [[one[:2] for one in best] for best in found] == [
            [one[:2] for one in best] for best in expected
        ]
        turned = [ImageOps.exif_transpose(image.open(path)) for path in paths]
        assert [[one.index for one in best] for best in model.classify(turned)] == [
            [one.index for one in best] for best in expected
        ]


def test_broken_images_have_their_path(model: Model, tmp_path: Path) -> None:
    cut, text, none = tmp_path / "cut.jpg", tmp_path / "text.png", tmp_path / "none.jpg"
    cut.write_bytes(CAT.read_bytes()[:200])
    text.write_text("no image")
    for path, status in (
        (cut, "ERROR_FORMAT"),
        (text, "ERROR_UNSUPPORTED"),
        (none, "ERROR_IO"),
        (tmp_path, "ERROR_IO"),
    ):
        for use in (
            read_image,
            model.classify,
            lambda one: model.classify([CAT] * 40 + [one]),
            model.session().classify,
        ):
            with pytest.raises(libresnet.ImageError, match=re.escape(str(path))) as raised:
                use(path)
            assert (raised.value.path, raised.value.status.name) == (str(path), status)
            assert isinstance(raised.value, ValueError)
    for data in (b"", b"\xff\xd8\xff", cut.read_bytes(), bytearray(b"text")):
        with pytest.raises(libresnet.ImageError) as raised:
            read_image(data)
        assert raised.value.path is None
    with pytest.raises(libresnet.ArgumentError, match="NUL"):
        read_image(f"{CAT}\0")
    with pytest.raises(TypeError):
        read_image(3)  # type: ignore[arg-type]
    assert model.classify(CAT)[0].label == "cat"


def test_float_images_are_refused_with_advice(model: Model) -> None:
    with pytest.raises(libresnet.ArgumentError, match="classify takes uint8"):
        model.classify(np.zeros((480, 640, 3)))


def test_pil_images_that_cannot_be_decoded_are_image_errors(model: Model, tmp_path: Path) -> None:
    image = pil()
    (tmp_path / "cut.jpg").write_bytes(CAT.read_bytes()[:4000])
    with pytest.raises(libresnet.ImageError, match="truncated") as raised:
        model.classify(image.open(tmp_path / "cut.jpg"))  # type: ignore[attr-defined]
    assert raised.value.path == str(tmp_path / "cut.jpg")
    cut = io.BytesIO(CAT.read_bytes()[:4000])
    with pytest.raises(libresnet.ImageError, match="PIL image") as raised:
        model.classify(image.open(cut))  # type: ignore[attr-defined]
    assert raised.value.path is None


def test_odd_paths(model: Model, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff \xe2\x98\x83.jpg"
    Path(os.fsdecode(path)).write_bytes(CAT.read_bytes())
    assert model.classify(Path(os.fsdecode(path))) == model.classify(CAT)


@unsanitized
def test_sizes_leave_nothing_behind() -> None:
    """Decoding images of 1,600 sizes takes no more memory the longer it goes on."""
    code = """
import struct, zlib, libresnet
def png(w, h):
    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
    header = struct.pack(">IIBBBBB", w, h, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(w + 1) * h)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\\x89PNG\\r\\n\\x1a\\n" + chunks
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
images = [png(w, h) for w in range(1, 41) for h in range(1, 41)]
for one in images[:50]:
    libresnet.read_image(one)
before = resident()
for one in images:
    libresnet.read_image(one)
print(resident() - before)
"""
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 2e6


def test_without_its_helper_arrays_are_labelled_all_the_same(tmp_path: Path) -> None:
    """libresnet_python.so is needed for files only, and the message says so."""
    from libresnet import _library

    (tmp_path / "libresnet.so").symlink_to(os.path.realpath(_library.path))
    code = f"""
import libresnet, numpy
model = libresnet.Model({str(RESNET20)!r})
print(len(model.classify(numpy.zeros((32, 32, 3), numpy.uint8))))
try:
    libresnet.read_image({str(CAT)!r})
except ImportError as problem:
    print(problem)
"""
    done = python("-c", code, LIBRESNET_LIBRARY=str(tmp_path))
    count, message = done.stdout.splitlines()
    assert count == "5" and "libresnet_python.so" in message and "install the wheel" in message


def test_an_image_that_is_not_there(model: Model, tmp_path: Path) -> None:
    for missing in (FileNotFoundError, libresnet.ImageError, libresnet.ImageNotFoundError):
        with pytest.raises(missing) as raised:
            model.classify([SAMPLES / "cat-tabby.jpg", tmp_path / "none.jpg"])
        problem = pickle.loads(pickle.dumps(raised.value))
        assert (problem.errno, problem.filename, problem.path) == (
            errno.ENOENT,
            *[str(tmp_path / "none.jpg")] * 2,
        )
    with pytest.raises(libresnet.ImageError) as raised:
        model.classify(tmp_path)
    assert not isinstance(raised.value, FileNotFoundError)
