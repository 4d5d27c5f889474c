"""models/imagenet-labels.txt: the names of ImageNet's 1,000 classes, in the order of a
model's outputs."""

from __future__ import annotations

import hashlib
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "models"
DATA = (MODELS / "imagenet-labels.txt").read_bytes()
LABELS = DATA.decode("ascii").splitlines()
# Classes that every list of these names has at the same index. In other lists 134 and 517
# share a name, and so do 638 and 639.
KNOWN = {
    0: "tench",
    1: "goldfish",
    134: "crane bird",
    151: "Chihuahua",
    264: "Cardigan",
    281: "tabby",
    474: "cardigan",
    517: "crane",
    638: "maillot",
    639: "maillot tank suit",
    836: "sunglass",
    837: "sunglasses",
    999: "toilet tissue",
}


def test_each_class_has_a_line_and_a_name_of_its_own() -> None:
    assert len(LABELS) == 1000 == len(set(LABELS))
    assert DATA.endswith(b"\n") and b"\r" not in DATA
    assert all(label and label == " ".join(label.split()) for label in LABELS)


def test_names_are_in_the_order_of_the_outputs() -> None:
    assert {index: LABELS[index] for index in KNOWN} == KNOWN


def test_the_list_is_the_one_that_the_licence_file_describes() -> None:
    assert hashlib.sha256(DATA).hexdigest() == (
        "ee4fa67b1dd46919ef87529b70e25bdd1ec9ebd350de3ad426e6640eb70320a1"
    )
    text = (MODELS / "imagenet-labels.LICENSE").read_text()
    assert "torchvision" in text and "BSD 3-Clause License" in text
