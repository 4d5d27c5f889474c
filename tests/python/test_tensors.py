"""Between images and classes: the prepared tensor, scores of every kind, embeddings."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import BUILD, RESNET20, SAMPLES, resnet_json
from scores import close_to, reference, shortest
from tiny import SIDE, tiny

import libresnet
from libresnet import Model, Preprocess, read_image

CAT = SAMPLES / "cat-tabby.jpg"
SHIP = SAMPLES / "ship-freighter.jpg"


def pixels(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, *shape), np.uint8)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


# ---- the prepared tensor ----


def test_prepare_gives_what_run_takes(model: Model) -> None:
    images = [CAT, SHIP, read_image(CAT), CAT.read_bytes()]
    x = model.prepare(images)
    assert x.shape == (4, 3, 32, 32) and x.dtype == np.float32 and x.flags.c_contiguous
    assert np.array_equal(x[0], x[2]) and np.array_equal(x[0], x[3])
    scores = model.run(x)
    assert np.array_equal(scores, model.embed(images)) and scores.shape == (4, 10)
    assert np.array_equal(model.probabilities(x), model.probabilities(images))
    one = model.prepare(CAT)
    assert one.shape == (1, 3, 32, 32) and np.array_equal(one[0], x[0])
    with model.session(threads=1, batch=3) as session:
        assert np.array_equal(session.prepare(images), x)
        assert np.array_equal(session.run(x), scores)
        assert np.array_equal(session.embed(images), scores)
    for threads in (1, 2):
        assert np.array_equal(
            model.prepare(images * 40, threads=threads), np.tile(x, (40, 1, 1, 1))
        )


def test_prepare_computes_the_preprocessing(model: Model) -> None:
    image = pixels(1, 32, 32, 3)[0]
    way = model.preprocess
    mean, std = (np.array(values, np.float32) for values in (way.mean, way.std))
    expected = (image.astype(np.float32) / way.scale - mean) / std
    assert np.allclose(model.prepare(image)[0], expected.transpose(2, 0, 1), atol=1e-6)


def test_prepared_floats_pass_through(model: Model) -> None:
    x = model.prepare([CAT, SHIP])
    assert np.array_equal(model.prepare(x), x)
    assert np.array_equal(model.prepare(np.ascontiguousarray(x.transpose(0, 2, 3, 1))), x)
    assert np.array_equal(model.prepare([x[0], SHIP]), x)


def test_no_images_have_the_right_shape(model: Model) -> None:
    for none in ([], iter([])):
        assert model.prepare(none).shape == (0, 3, 32, 32)
        assert model.embed(none).shape == (0, 10)


def test_skipped_images_are_nan(model: Model) -> None:
    images = [b"", CAT, b"text"]
    for use, shape in ((model.prepare, (3, 3, 32, 32)), (model.embed, (3, 10))):
        with pytest.warns(libresnet.ImageWarning, match=r"2 images are skipped.*images\[0\]"):
            found = use(images, errors="skip")
        assert found.shape == shape
        assert np.isnan(found[[0, 2]]).all() and np.array_equal(found[1:2], use(CAT))
        with pytest.raises(libresnet.ImageError, match=r"^images\[0\]: "):
            use(images)


def test_a_large_input_is_prepared_in_parts(tmp_path: Path) -> None:
    """An input of 1,536 x 1,536 takes 28 MB."""
    path = tiny(tmp_path / "large.onnx", size=(1536, 1536))
    with Model(path, preprocess="unit") as model:
        images = pixels(4, 5, 5, 3)
        assert np.array_equal(
            model.embed(list(images), threads=1), np.vstack([model.embed(one) for one in images])
        )


# ---- scores ----


@pytest.mark.parametrize(
    ("ending", "classes", "kind"),
    [
        ("", 4, "logits"),
        ("Softmax", 4, "probabilities"),
        ("LogSoftmax", 4, "log probabilities"),
        ("", 1, "binary logit"),
        ("Sigmoid", 1, "binary probability"),
        ("Sigmoid", 4, "multi-label"),
    ],
)
def test_scores_of_every_kind(tmp_path: Path, ending: str, classes: int, kind: str) -> None:
    path = tiny(tmp_path / "net.onnx", ending=ending, classes=classes)
    images = pixels(9, SIDE, SIDE, 3)
    with Model(path, preprocess="cifar10") as model:
        assert model.scores == model.info.scores == kind
        assert (model.classes, model.info.score_count) == (max(classes, 2), classes)
        x = model.prepare(images)
        raw = model.run(x)
        assert raw.shape == (9, classes) and close_to(raw, reference(path, x))
        found = model.probabilities(images)
        wide = np.exp(raw.astype(np.float64))
        expected = {
            "logits": lambda: wide / wide.sum(axis=1, keepdims=True),
            "log probabilities": lambda: wide,
            "binary logit": lambda: np.hstack([sigmoid(-raw), sigmoid(raw)]),
            "binary probability": lambda: np.hstack([1 - raw, raw]),
        }.get(kind, lambda: raw)()
        assert np.allclose(found, expected, rtol=1e-5, atol=1e-7)
        assert np.allclose(model.probabilities(x), found, rtol=1e-6, atol=1e-7)
        for images_or_floats in (images, x):
            for row, ranked in zip(found, model.classify(images_or_floats)):
                assert [one.index for one in ranked] == list(np.argsort(-row, kind="stable"))
        sums = found.sum(axis=1)
        assert np.allclose(sums, 1, atol=1e-5) == (kind != "multi-label")
        numbers = {
            "binary logit": lambda: np.hstack([-raw, raw]),
            "binary probability": lambda: np.hstack([1 - raw, raw]),
        }.get(kind, lambda: raw)()
        for row, ranked in zip(numbers, model.classify(images, raw=True)):
            order = np.argsort(-row, kind="stable")
            assert [(one.index, one.score) for one in ranked] == [
                (index, shortest(row[index])) for index in order
            ]


def test_a_large_binary_logit_does_not_overflow() -> None:
    from libresnet._scores import probabilities_of

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = probabilities_of(np.array([[1e5], [-1e5], [0]], np.float32), "binary logit")
    assert found.tolist() == [[0, 1], [1, 0], [0.5, 0.5]]


# ---- embeddings ----


def test_an_embedding_has_no_classes(tmp_path: Path) -> None:
    path = tiny(tmp_path / "net.onnx", head=False)
    images = pixels(5, SIDE, SIDE, 3)
    with Model(path, preprocess="unit") as model:
        assert (model.scores, model.classes, model.info.score_count) == ("embedding", 0, 8)
        x = model.prepare(images)
        found = model.embed(images)
        assert found.shape == (5, 8) and close_to(found, reference(path, x))
        for use in (model.classify, model.probabilities, model.session().classify):
            for kind in (images, x, images[0]):
                with pytest.raises(libresnet.UnsupportedModelError, match=r"embed\("):
                    use(kind)
        unit = model.embed(images, l2=True)
        assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
        assert np.allclose(unit, found / np.linalg.norm(found, axis=1, keepdims=True), atol=1e-6)
        assert len(model.observe(images)) > 0


def test_any_tensor_can_be_embedded(tmp_path: Path) -> None:
    path = tiny(tmp_path / "net.onnx")
    ends = tiny(tmp_path / "features.onnx", head=False)
    images = pixels(5, SIDE, SIDE, 3)
    with (
        Model(path, preprocess="unit", labels=list("abcd")) as model,
        Model(ends, preprocess="unit") as features,
    ):
        assert np.array_equal(model.embed(images, "features"), features.embed(images))
        relu = model.embed(images, "relu")
        assert relu.shape == (5, 8 * SIDE * SIDE)
        expected = features.embed(images)
        # A map is (c,h,w).
        assert np.allclose(relu.reshape(5, 8, -1).mean(axis=2), expected, atol=1e-6)
        with pytest.raises(libresnet.Error, match="nowhere"):
            model.embed(images, "nowhere")
    for use in (model.embed, model.run):
        with pytest.raises(libresnet.ArgumentError, match="closed"):
            use(*((images, "features") if use == model.embed else (model._core.shape,)))
    opened = Model.from_bytes(path.read_bytes(), preprocess="unit")
    with pytest.raises(libresnet.ArgumentError, match="output="):
        opened.embed(images, "features")
    named = Model.from_bytes(path.read_bytes(), preprocess="unit", output="features")
    assert np.array_equal(named.embed(images), features_of(ends, images))


def features_of(path: Path, images: np.ndarray) -> np.ndarray:
    with Model(path, preprocess="unit") as model:
        return model.embed(images)


def test_inner_tensors_and_ablations(model: Model) -> None:
    pooled = model.plan[-2].output
    assert model.embed(CAT, pooled).shape == (1, 64)
    with model.skip(0), pytest.raises(libresnet.ArgumentError, match="ablations"):
        model.embed(CAT, pooled)
    with model.skip(0):
        changed = model.embed(CAT)
    assert not np.array_equal(changed, model.embed(CAT))


def test_a_guess_is_reported_once_for_all_tensors(tmp_path: Path) -> None:
    path = tiny(tmp_path / "net.onnx")
    with Model(path) as model, warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.warns(libresnet.ModelWarning, match="guessed") as warned:
            model.embed(CAT, "features")
        assert len(warned) == 1
        model.embed(CAT, "relu")
        model.embed(CAT)


# ---- grey ----


def test_grey_models_take_every_image(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    path = tiny(tmp_path / "grey.onnx", channels=1)
    way = Preprocess(order="GREY", mean=(0.4,), std=(0.3,), scale=255)
    with Model(path, preprocess=way) as model:
        assert model.input_shape == (SIDE, SIDE, 1)
        photo = image.open(CAT)
        grey = np.asarray(photo.convert("L"))
        expected = model.prepare(grey)
        assert expected.shape == (1, 1, SIDE, SIDE)
        small = photo.convert("L").resize((SIDE, SIDE), image.Resampling.BILINEAR)
        values = (np.asarray(small, np.float32) / 255 - np.float32(0.4)) / np.float32(0.3)
        assert np.allclose(expected[0, 0], values, atol=1e-6)
        for form in (CAT, photo, photo.convert("L"), np.asarray(photo), grey[..., np.newaxis]):
            assert np.array_equal(model.prepare(form), expected)
        assert model.classify(CAT) == model.classify(grey)
        x = model.prepare(CAT)
        assert np.array_equal(model.run(x), model.run(x.transpose(0, 2, 3, 1), layout="NHWC"))


def test_colour_models_take_grey_images(model: Model) -> None:
    grey = pixels(1, 40, 40)[0]
    assert np.array_equal(model.prepare(grey), model.prepare(np.dstack([grey] * 3)))


# ---- as the program ----


@pytest.mark.parametrize(
    "options",
    [
        {"fit": "stretch"},
        {"fit": "stretch", "filter": "nearest", "order": "BGR"},
        {"resize": 40, "crop": (32, 32), "filter": "bicubic"},
        {
            "resize": (40, 36),
            "scale": 1.0,
            "mean": (120.0, 110.0, 100.0),
            "std": (60.0, 61.0, 62.0),
        },
        {"resize": "auto", "crop": "auto", "order": "GREY"},
    ],
    ids=str,
)
def test_own_preprocessing_is_the_libraries(options: dict) -> None:
    """Pillow prepares the same."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    way = Preprocess(**options)
    photo = image.open(CAT).convert("RGB")
    filters = {
        "bilinear": image.Resampling.BILINEAR,
        "bicubic": image.Resampling.BICUBIC,
        "nearest": image.Resampling.NEAREST,
    }
    size = way.resize if isinstance(way.resize, tuple) else (way.resize, way.resize)
    height, width = (32, 32) if way.resize in (0, "auto") else size
    if way.fit == "crop":
        scale = max(height / photo.height, width / photo.width)
        if height / photo.height >= width / photo.width:
            height, width = height, int(photo.width * height / photo.height)
        else:
            height, width = int(photo.height * width / photo.width), width
        assert scale > 0
    scaled = photo.resize((width, height), filters[way.filter])
    top, left = round((height - 32) / 2.0), round((width - 32) / 2.0)
    values = np.asarray(scaled.crop((left, top, left + 32, top + 32)), np.float32)
    if way.order == "BGR":
        values = values[..., ::-1]
    if way.order == "GREY":
        grey = np.asarray(photo.convert("L").resize((width, height), filters[way.filter]))
        values = np.dstack([grey[top : top + 32, left : left + 32].astype(np.float32)] * 3)
    expected = (values / way.scale - np.array(way.mean)) / np.array(way.std)
    with Model(RESNET20, preprocess=way) as model:
        assert model.info.preprocess_source == "options"
        found = model.prepare(CAT)[0].transpose(1, 2, 0)
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fit": "squeeze"}, "fit"),
        ({"filter": "lanczos"}, "filter"),
        ({"order": "rgb"}, "order"),
        ({"resize": -1}, "resize"),
        ({"crop": (1, 2, 3)}, "crop"),
        ({"crop": "all"}, "crop"),
        ({"mean": (0.5,)}, "mean"),
        ({"std": 1.0}, "std"),
    ],
    ids=str,
)
def test_wrong_preprocessing_is_refused_by_its_field(options: dict, said: str) -> None:
    with pytest.raises(libresnet.ArgumentError, match=rf"Preprocess\.{said} is"):
        Model(RESNET20, preprocess=Preprocess(**options))


def test_every_preset_has_a_name_and_a_model() -> None:
    with pytest.raises(libresnet.ArgumentError) as raised:
        Preprocess.preset("upside-down")
    names = [
        name for name in Preprocess.preset.__doc__.split('"') if name.replace("-", "").isalnum()
    ]
    assert len(names) >= 10
    for name in names:
        assert name in str(raised.value)
        way = Preprocess.preset(name)
        assert pickle.loads(pickle.dumps(way)) == way
        with Model(RESNET20, preprocess=name) as model:
            assert model.prepare(read_image(CAT)[:32, :32]).shape == (1, 3, 32, 32)


KINDS = {
    "logits": {},
    "binary logit": {"classes": 1},
    "binary probability": {"classes": 1, "ending": "Sigmoid"},
    "multi-label": {"ending": "Sigmoid"},
    "one channel": {"channels": 1},
    "ImageNet": {"classes": 1000},
    "not square": {"size": (12, 8)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_classes_and_raw_scores_are_the_programs(tmp_path: Path, kind: str) -> None:
    path = tiny(tmp_path / "net.onnx", **KINDS[kind])
    options = ["-m", path, "--preprocess", "unit", "--fit", "stretch"]
    printed = resnet_json("classify", "-k", 10, *options, CAT, SHIP)
    raw = resnet_json("classify", "--raw", *options, CAT, SHIP)["results"]
    way = dataclasses.replace(Preprocess.preset("unit"), fit="stretch", resize_ratio=1)
    with Model(path, preprocess=way) as model:
        assert (model.scores, model.labels_source) == (printed["scores"], printed["labels_source"])
        assert [
            [(one.index, one.score, one.label) for one in best]
            for best in model.classify([CAT, SHIP], k=10)
        ] == [
            [(one["index"], shortest(one["score"]), one["label"]) for one in result["predictions"]]
            for result in printed["results"]
        ]
        expected = np.array([result["raw"] for result in raw], np.float32)
        assert np.array_equal(model.embed([CAT, SHIP]), expected)


@pytest.mark.parametrize("tensor", [None, "features", "relu"])
def test_embeddings_are_the_programs(tmp_path: Path, tensor: str | None) -> None:
    path, out = tiny(tmp_path / "net.onnx"), tmp_path / "out.npy"
    options = ["-m", path, "--preprocess", "cifar10", "-o", out]
    options += [] if tensor is None else ["--scores", tensor]
    for l2 in (False, True):
        command = ["embed", *options, *(["--l2"] if l2 else []), CAT, SHIP]
        subprocess.run([BUILD / "resnet", *map(str, command)], check=True, capture_output=True)
        with Model(path, preprocess="cifar10") as model:
            found = model.embed([CAT, SHIP], tensor, l2=l2)
        expected = np.load(out)
        assert found.shape == expected.shape
        assert np.allclose(found, expected, rtol=1e-6, atol=0) if l2 else (found == expected).all()
