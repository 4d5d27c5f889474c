"""Images that fail among others, and images that are not as they seem."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import RESNET20, SAMPLES

import libresnet
from libresnet import Model

CAT = SAMPLES / "cat-tabby.jpg"
SHIP = SAMPLES / "ship-freighter.jpg"


@pytest.fixture(scope="module")
def reference() -> dict:
    """All ten classes of two samples, each classified alone."""
    with Model(RESNET20) as model:
        return {path: model.classify(path, k=10) for path in (CAT, SHIP)}


def test_a_broken_image_is_skipped_and_the_others_are_classified(
    model: Model, reference: dict, tmp_path: Path
) -> None:
    cut, none = tmp_path / "cut.jpg", tmp_path / "none.jpg"
    cut.write_bytes(CAT.read_bytes()[:200])
    bad = [cut, none, b"text", np.zeros((3, 3, 7), np.uint8), None]
    places = [str(cut), str(none), "images[2]", "images[3]", "images[4]"]
    kinds = [libresnet.ImageError, FileNotFoundError, libresnet.ImageError, ValueError, ValueError]
    images = [*bad, CAT, *bad, SHIP] * 7
    for threads in (1, 2, 3):
        for form in (images, iter(images)):
            answers = model.classify(form, k=10, threads=threads, errors="skip")
            assert len(answers) == len(images)
            for index, (image, answer) in enumerate(zip(images, answers)):
                if image is CAT or image is SHIP:
                    assert answer == reference[image]
                    continue
                which = next(i for i, one in enumerate(bad) if one is image)
                assert isinstance(answer, libresnet.Error) and isinstance(answer, kinds[which])
                place = re.sub("images.*", f"images[{index}]", places[which])
                assert str(answer).startswith(f"{place}: ") and answer.index == index
                assert pickle.loads(pickle.dumps(answer)).index == index
    with model.session() as session:
        assert [type(one) for one in session.classify(images[:7], errors="skip")] == [
            type(one) for one in answers[:7]
        ]


def test_one_image_that_is_skipped_gives_its_error(model: Model, tmp_path: Path) -> None:
    answer = model.classify(tmp_path / "none.jpg", errors="skip")
    assert isinstance(answer, libresnet.ImageNotFoundError) and answer.index is None
    assert model.classify(CAT, errors="skip") == model.classify(CAT)


def test_images_that_the_model_refuses_are_skipped() -> None:
    """Without a resize an image must have the size of the input."""
    right, wrong = np.zeros((32, 32, 3), np.uint8), np.zeros((5, 5, 3), np.uint8)
    with Model(RESNET20, preprocess="none") as model:
        expected = model.classify(right)
        for images in (
            [wrong, right, right, wrong, wrong, right],
            [wrong] * 70 + [right] * 2,
            [wrong],
        ):
            for threads in (1, 2):
                answers = model.classify(images, errors="skip", threads=threads)
                for index, (image, answer) in enumerate(zip(images, answers)):
                    if image is right:
                        assert answer == expected
                    else:
                        assert isinstance(answer, libresnet.ArgumentError)
                        assert str(answer).startswith(f"images[{index}]: ")
            first = images.index(wrong)
            with pytest.raises(libresnet.ArgumentError, match=rf"^images\[{first}\]: "):
                model.classify(images, threads=1)


def test_the_error_names_the_image_among_several(model: Model, tmp_path: Path) -> None:
    for threads in (1, 2):
        with pytest.raises(libresnet.ImageError, match=r"^images\[67\]: ") as raised:
            model.classify([CAT] * 67 + [b"text"], threads=threads)
        assert raised.value.index == 67
    for batch in (1, 3):
        with pytest.raises(libresnet.ImageError, match=r"^images\[5\]: "):
            model.observe([CAT] * 5 + [b"text"], batch=batch)


def test_probabilities_of_skipped_images_are_nan(model: Model, reference: dict) -> None:
    images = [CAT, b"text", SHIP, b""]
    for use in (model.probabilities, model.session().probabilities):
        with pytest.warns(libresnet.ImageWarning, match=r"2 images .* images\[1\]: ") as warned:
            found = use(images, errors="skip")
        assert len(warned) == 1 and warned[0].filename == __file__
        assert np.isnan(found[[1, 3]]).all()
        assert np.array_equal(found[[0, 2]], model.probabilities([CAT, SHIP]))


def test_errors_of_the_call_are_raised_even_if_images_are_skipped(model: Model) -> None:
    with pytest.raises(libresnet.ArgumentError, match="errors is 'ignore'"):
        model.classify([CAT], errors="ignore")
    with pytest.raises(libresnet.ArgumentError, match="k is 0"):
        model.classify([CAT], k=0, errors="skip")
    with pytest.raises(libresnet.ArgumentError, match="threads is"):
        model.classify([CAT], threads=-1, errors="skip")
    model.close()
    for images in (CAT, [CAT] * 5):
        with pytest.raises(libresnet.ArgumentError, match="closed"):
            model.classify(images, errors="skip")


def test_an_orientation_that_is_not_applied_is_said_once(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    from PIL import ImageOps

    turned, plain = tmp_path / "turned.jpg", tmp_path / "plain.jpg"
    exif = image.Exif()
    exif[0x0112] = 6
    image.open(CAT).save(turned, exif=exif)
    exif[0x0112] = 1
    image.open(CAT).save(plain, exif=exif)
    with Model(RESNET20) as model, warnings.catch_warnings():
        warnings.simplefilter("error")
        upright = model.classify(turned)
        for one in (plain, image.open(plain), image.open(CAT)):
            model.classify(one)
        assert model.classify(ImageOps.exif_transpose(image.open(turned))) == upright
        with pytest.warns(libresnet.ImageWarning, match="exif_transpose") as warned:
            found = model.classify([CAT, image.open(turned)])
        assert len(warned) == 1 and warned[0].filename == __file__ and found[1] != upright
        model.classify(image.open(turned))
    with Model(RESNET20) as model, pytest.warns(libresnet.ImageWarning, match="exif_transpose"):
        model.session().classify(image.open(turned).convert("RGB"))


def test_16_bit_values_that_are_cut_are_said_once(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    values = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    deep, dark = tmp_path / "deep.png", tmp_path / "dark.png"
    image.fromarray(values).save(deep)
    image.fromarray(values >> 8).save(dark)
    forms = (deep, deep.read_bytes(), image.open(deep))
    for form in forms:
        with Model(RESNET20) as model, warnings.catch_warnings():
            warnings.simplefilter("error")
            model.classify(dark)
            model.classify(image.open(dark))
            with pytest.warns(libresnet.ImageWarning, match="16-bit.*depth16") as warned:
                found = model.classify(form)
            assert len(warned) == 1 and warned[0].filename == __file__
            assert model.classify(form) == found
            with pytest.raises(libresnet.ArgumentError, match="astype"):
                model.classify(values)
    with pytest.warns(libresnet.ImageWarning, match="16-bit"):
        clipped = libresnet.read_image(deep)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(libresnet.read_image(deep, depth16="clip"), clipped)
        ranges = {"scale": (0, 65535), "auto": (0, 65535), (100, 30000): (100, 30000)}
        for depth16, (low, high) in ranges.items():
            found = libresnet.read_image(deep.read_bytes(), depth16=depth16)[..., 1]
            expected = (values.astype(float).clip(low, high) - low) * 255 / (high - low)
            assert np.abs(found - expected).max() <= 0.5
    for depth16 in ("half", (5, 5), (0, 65536), 3, (1, 2, 3)):
        with pytest.raises(libresnet.ArgumentError, match="depth16 is"):
            libresnet.read_image(deep, depth16=depth16)
