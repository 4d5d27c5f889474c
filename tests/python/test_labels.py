"""Labels: from the file, from the user in every usual shape, and ImageNet's."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from conftest import RESNET20, ROOT, SAMPLES, made_net
from tiny import tiny

import libresnet
from libresnet import Model

CAT = SAMPLES / "cat-tabby.jpg"
FOUR = ["ant", "bee", "cat", "dörnröschen"]


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("labels") / "four.onnx")


SHAPES = {
    "a list": FOUR,
    "a tuple": tuple(FOUR),
    "indices": dict(enumerate(FOUR)),
    "indices as text": {str(index): name for index, name in enumerate(FOUR)},
    "another order": {index: FOUR[index] for index in (2, 0, 3, 1)},
    "names": {name: index for index, name in enumerate(FOUR)},
    "Keras": {str(index): [f"n{index:08}", name] for index, name in enumerate(FOUR)},
    "id2label": {
        "model_type": "resnet",
        "id2label": {"0": FOUR[0], "1": FOUR[1], "2": FOUR[2], "3": FOUR[3]},
    },
    "label2id": {"label2id": {name: index for index, name in enumerate(FOUR)}},
    "objects": [{"id": index, "name": name} for index, name in reversed(list(enumerate(FOUR)))],
    "pairs with ids": [[index, FOUR[index]] for index in (3, 1, 0, 2)],
    "ids in quotes": [{"id": str(index), "label": FOUR[index]} for index in (3, 1, 0, 2)],
    "categories": {"categories": [{"id": index, "name": name} for index, name in enumerate(FOUR)]},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_labels_come_in_every_usual_shape(four: Path, tmp_path: Path, shape: str) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(SHAPES[shape]))
    for labels in (SHAPES[shape], tmp_path / "labels.json", str(tmp_path / "labels.json")):
        with Model(four, preprocess="unit", labels=labels) as model:
            assert model.labels == tuple(FOUR) and model.labels_source == "options"
            best = model.classify(CAT)[0]
            assert best.label == FOUR[best.index]


@pytest.mark.parametrize(
    "text",
    [
        "ant\nbee\ncat\ndörnröschen\n",
        "\ufeffant\r\nbee\r\ncat\r\ndörnröschen\r\n\r\n",
        "ant\rbee\rcat\rdörnröschen\r",
        "3 dörnröschen\n1 bee\n0 ant\n2 cat\n",
        "0,ant\n1,bee\n2,cat\n3,dörnröschen\n",
    ],
)
def test_labels_come_one_a_line(four: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(text.encode())
    with Model(four, preprocess="unit", labels=path) as model:
        assert model.labels == tuple(FOUR)
        again = pickle.loads(pickle.dumps(model))
        path.unlink()
        assert pickle.loads(pickle.dumps(again)).labels == tuple(FOUR)
    assert Model.from_bytes(four.read_bytes(), preprocess="unit", labels=FOUR).labels == tuple(FOUR)


def test_given_labels_are_saved(four: Path, tmp_path: Path) -> None:
    with Model(four, preprocess="unit", labels=FOUR, keep_weights=True) as model:
        model.save(tmp_path / "four.resnet")
    with Model(tmp_path / "four.resnet") as model:
        assert model.labels == tuple(FOUR) and model.labels_source == "model"
        assert model.info.preprocess_source == "model"


def test_labels_replace_those_of_the_file() -> None:
    names = [f"class {index}" for index in range(10)]
    with Model(RESNET20) as model:
        assert (model.labels[3], model.labels_source) == ("cat", "model")
    with Model(RESNET20, labels=[]) as model:
        assert (model.labels, model.labels_source) == (None, None)
        assert model.classify(CAT)[0].label is None
    with Model(RESNET20, labels=names) as model:
        assert model.labels == tuple(names) and model.labels_source == "options"
        assert model.classify(CAT)[0].label == "class 3"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["a", "b", "c"], "3"),
        ([*FOUR, "e"], "5"),
        (["a", "b", "c", None], "None"),
        ({0: "a", 2: "b", 3: "c", 4: "d"}, "0 to 4"),
        ({1: "a", 2: "b", 3: "c", 4: "d"}, "1 to 4"),
        ({"a": 0, "b": 0, "c": 1, "d": 2}, "each once"),
        ({"a": "b"}, "where a name is expected"),
        (["a", "b", "c\0", "d"], "NUL"),
        (7, "7"),
        ("nowhere.txt", "nowhere.txt"),
    ],
    ids=str,
)
def test_wrong_labels_are_refused(four: Path, labels: object, said: str) -> None:
    with pytest.raises(libresnet.ArgumentError, match=said):
        Model(four, preprocess="unit", labels=labels)


def test_numbers_that_ascend_may_belong_to_the_names(four: Path, tmp_path: Path) -> None:
    notes = ["5 Euro", "10 Euro", "20 Euro", "50 Euro"]
    (tmp_path / "labels.txt").write_text("\n".join(notes))
    with Model(four, preprocess="unit", labels=tmp_path / "labels.txt") as model:
        assert model.labels == tuple(notes)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("2 a\n1 b\n1 c\n0 d\n", "line 3 has the index 1: indices from 0 to 3, each once"),
        ("4 a\n3 b\n2 c\n1 d\n", "line 1 has the index 4"),
        ("id,name\n0,a\n1,b\n2,c\n3,d\n", "line 1 has no index, but each other line has"),
        ("# names\na\nb\nc\nd\n", "line 1 is a comment"),
        ("\na\nb\nc\nd\n", "line 1 is blank"),
        ("a\nb\n\nc\nd\n", "line 3 is blank"),
        ('[{"id": 1, "name": "a"}, {"name": "b"}]', "entry 1 has no id, unlike entry 0"),
        ('[[1, "a"], [2, "b"], [3, "c"], [4, "d"]]', "must be 0 to 3, each once"),
    ],
)
def test_wrong_indices_are_named(four: Path, tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "labels"
    path.write_text(content)
    with pytest.raises(libresnet.ArgumentError, match=said):
        Model(four, preprocess="unit", labels=path)


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\xff\xfe\x00", b"{", b'["a"', b"[1, 2]", b"{}"]
)
def test_wrong_files_of_labels_are_named(four: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(libresnet.ArgumentError, match="labels"):
        Model(four, preprocess="unit", labels=path)


def test_models_of_1000_classes_get_imagenets_names(tmp_path: Path) -> None:
    names = (ROOT / "models" / "imagenet-labels.txt").read_text("utf-8").splitlines()
    assert len(names) == 1000
    for classes, expected in ((1000, names), (1001, ["background", *names]), (999, None)):
        path = tiny(tmp_path / f"{classes}.onnx", classes=classes)
        with Model(path, preprocess="unit") as model:
            assert model.labels == (None if expected is None else tuple(expected))
            assert model.labels_source == (None if expected is None else "assumed")
            best = model.classify(CAT, k=1)[0]
            assert best.label == (expected[best.index] if expected else None)
        with Model(path, preprocess="unit", labels=[]) as model:
            assert model.labels is None
    with Model(tmp_path / "1001.onnx", preprocess="unit", labels=names) as model:
        assert model.labels == ("background", *names) and model.labels_source == "options"


def test_one_label_names_both_classes_of_one_score(tmp_path: Path) -> None:
    path = tiny(tmp_path / "one.onnx", classes=1)
    for labels, expected in ((["cat"], ("not cat", "cat")), (["no", "yes"], ("no", "yes"))):
        with Model(path, preprocess="unit", labels=labels) as model:
            assert model.labels == expected


def test_an_embedding_takes_no_labels(tmp_path: Path) -> None:
    path = tiny(tmp_path / "net.onnx", head=False)
    with pytest.raises(libresnet.ArgumentError, match="embedding"):
        Model(path, labels=FOUR)
    assert Model(made_net(tmp_path / "small.onnx", seed=1), preprocess="cifar10").labels is None
