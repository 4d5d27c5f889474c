"""Names of classes from a file, ImageNet's names, and scores that are no softmax."""

from __future__ import annotations

import json

import pytest
from conftest import ROOT, complaint, resnet, resnet_json

np = pytest.importorskip("numpy", reason="NumPy is not installed")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")
from make_models import make_model  # noqa: E402

PHOTO = sorted((ROOT / "models" / "samples").glob("*.png"))[0]
NAMES = ["tench", "caf\u00e9 au lait", "\u732b"]

FILES = {
    "lines": "\n".join(NAMES) + "\n",
    "crlf": "\r\n".join(NAMES) + "\r\n\r\n",
    "mark": "\ufeff" + "\n".join(NAMES),
    "indexed": "\n".join(f"{i}: {name}" for i, name in enumerate(NAMES)),
    "list": json.dumps(NAMES),
    "list of pairs": json.dumps([[f"n0{i}", name] for i, name in enumerate(NAMES)]),
    "list of objects": json.dumps([{"id": i, "name": name} for i, name in enumerate(NAMES)]),
    "object": json.dumps({str(i): name for i, name in enumerate(NAMES)}, ensure_ascii=False),
    "keras": json.dumps({str(i): [f"n0{i}", name] for i, name in enumerate(NAMES)}),
    "inverse": json.dumps({name: i for i, name in reversed(list(enumerate(NAMES)))}),
    "ids": json.dumps([{"id": i, "name": NAMES[i]} for i in (2, 0, 1)]),
    "ids in quotes": json.dumps([{"index": str(i), "label": NAMES[i]} for i in (2, 0, 1)]),
    "pairs with ids": json.dumps([[i, NAMES[i]] for i in (2, 0, 1)]),
    "categories": json.dumps({"categories": [{"id": i, "name": NAMES[i]} for i in (2, 0, 1)]}),
    "indexed lines in another order": "\n".join(f"{i} {NAMES[i]}" for i in (2, 0, 1)),
    "carriage returns": "\r".join(NAMES) + "\r",
    "spaces": "\n".join(f" {name}\t" for name in NAMES),
    "hugging face": json.dumps(
        {"architectures": ["ResNet"], "id2label": {str(i): n for i, n in enumerate(NAMES)}}
    ),
    "member": json.dumps({"classes": NAMES}),
    "python": str(dict(enumerate(NAMES))),
}


@pytest.fixture
def model(tmp_path):
    return make_model(tmp_path / "model.onnx", 3)


def labels_of(*arguments) -> list[str]:
    return resnet_json("inspect", *arguments)["labels"]


@pytest.mark.parametrize("kind", FILES)
def test_label_files(tmp_path, model, kind):
    path = tmp_path / "labels"
    path.write_bytes(FILES[kind].encode())
    assert labels_of(model, "--labels", path) == NAMES
    document = resnet_json("classify", model, PHOTO, "--labels", path)
    assert document["labels_source"] == "options"
    best = document["results"][0]["predictions"]
    assert [p["label"] for p in best] == [NAMES[p["index"]] for p in best]


def test_labels_from_standard_input(model):
    result = resnet("inspect", model, "--json", "--labels", "-", input=FILES["lines"].encode())
    assert json.loads(result.stdout)["labels"] == NAMES


@pytest.mark.parametrize(
    "content, said, code",
    [
        (b"", "holds no label", 1),
        (b"one\ntwo\n", "the number of names is 2, but the model has 3 classes", 1),
        (b"2 a\n1 b\n1 c\n", "line 3 has the index 1: indices from 0 to 2, each once", 1),
        (b"3 a\n2 b\n1 c\n", "line 1 has the index 3", 1),
        (b"id,name\n0,a\n1,b\n2,c\n", "line 1 has no index, but each other line has", 1),
        (b"# names\na\nb\nc\n", "line 1 is a comment", 1),
        (b"\na\nb\nc\n", "line 1 is blank", 1),
        (b"a\nb\n\nc\n", "line 3 is blank", 1),
        (b'[{"id": 0, "name": "a"}, {"name": "b"}, "c"]', "entry 1 has no id, unlike entry 0", 1),
        (b'[[1, "a"], [2, "b"], [3, "c"]]', "entry 2 has the id 3: ids from 0 to 2", 1),
        (b'[[2, "a"], [2, "b"], [0, "c"]]', "names class 2 twice", 1),
        (b'{"0": "a", "1": "b", "7": "c"}', "entry 2, key 7 is no label", 1),
        (b'{"a": 0, "b": 1, "c": 1}', "names class 1 twice", 1),
        (b'["a", 2, "c"]', "entry 1 is no label", 1),
        (b'["a",\n "b"', "line 2: a list without an end is not JSON", 1),
        (b"[" * 50, "nested this deep", 1),
        (b'["\\ud800"]', "surrogates", 1),
        ("one\ntwo\nthree".encode("utf-16"), "is not UTF-8 text, at byte 0: save it as UTF-8", 1),
    ],
)
def test_wrong_label_files(tmp_path, model, content, said, code):
    path = tmp_path / "labels"
    path.write_bytes(content)
    assert said in complaint(resnet("classify", "-q", model, PHOTO, "--labels", path), code)


def test_numbers_that_ascend_may_belong_to_the_names(tmp_path, model):
    path = tmp_path / "labels"
    path.write_text("5 Euro\n10 Euro\n20 Euro\n")
    assert labels_of(model, "--labels", path) == ["5 Euro", "10 Euro", "20 Euro"]


def test_missing_label_file(tmp_path, model):
    path = tmp_path / "nothing"
    said = complaint(resnet("classify", "-q", model, PHOTO, "--labels", path))
    assert said == f"resnet: {path}: cannot be opened: No such file or directory"


def test_compile_stores_the_labels(tmp_path, model):
    path, plan = tmp_path / "labels", tmp_path / "plan.resnet"
    path.write_text(FILES["list"])
    assert resnet("compile", model, "-o", plan, "--labels", path).returncode == 0
    assert labels_of(plan) == NAMES
    assert resnet_json("classify", plan, PHOTO)["labels_source"] == "model"


# ---- ImageNet's names


@pytest.mark.parametrize("classes", [1000, 1001])
def test_imagenets_names_are_assumed_and_said(tmp_path, classes):
    names = (ROOT / "models/imagenet-labels.txt").read_text().splitlines()
    model = make_model(tmp_path / "model.onnx", classes)
    if classes == 1001:
        names.insert(0, "background")
    document = resnet_json("inspect", model)
    assert document["labels"] == names and document["labels_source"] == "assumed"
    result = resnet("classify", model, PHOTO)
    assert b"\nnames       ImageNet's, assumed" in result.stdout
    best = resnet_json("classify", model, PHOTO)["results"][0]["predictions"][0]
    assert best["label"] == names[best["index"]]
    plan = tmp_path / "plan.resnet"
    assert resnet("compile", model, "-o", plan).returncode == 0
    assert resnet_json("inspect", plan)["labels_source"] == "assumed"


def test_other_models_keep_their_numbers(model):
    document = resnet_json("classify", model, PHOTO)
    assert document["labels_source"] is None
    assert document["results"][0]["predictions"][0]["label"] is None


# ---- kinds of scores


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, float)))


@pytest.mark.parametrize("head", [None, "Sigmoid"])
def test_one_score_is_two_outcomes(tmp_path, head):
    model = make_model(
        tmp_path / "model.onnx", 1, head=head, metadata={"resnet.labels": "cat\ndog"}
    )
    document = resnet_json("classify", model, PHOTO)
    score = resnet_json("classify", model, PHOTO, "--raw")["results"][0]["raw"]
    assert len(score) == 1
    dog = float(score[0] if head else sigmoid(score[0]))
    found = {p["label"]: p["score"] for p in document["results"][0]["predictions"]}
    assert found["dog"] == pytest.approx(dog, abs=1e-6)
    assert found["cat"] == pytest.approx(1 - dog, abs=1e-6)
    assert document["scores"] == ("binary probability" if head else "binary logit")
    assert document["model"]["classes"] == 2 and document["model"]["score_count"] == 1
    assert b"\nscores      binary: one " in resnet("classify", model, PHOTO).stdout


def test_binary_models_are_evaluated_on_two_folders(tmp_path):
    model = make_model(tmp_path / "model.onnx", 1)
    for folder in ("no", "yes"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        Image.open(PHOTO).save(tmp_path / "data" / folder / "photo.png")
    document = resnet_json("eval", model, "-d", tmp_path / "data")
    assert document["images"] == 2 and document["top1"] == 0.5


def test_independent_scores_are_not_made_to_add_up(tmp_path):
    model = make_model(tmp_path / "model.onnx", 4, head="Sigmoid")
    raw = resnet_json("classify", model, PHOTO, "--raw")["results"][0]["raw"]
    document = resnet_json("classify", model, PHOTO, "-k", "4")
    scores = [p["score"] for p in document["results"][0]["predictions"]]
    assert scores == sorted(raw, reverse=True) and document["scores"] == "multi-label"
    assert b"do not add up to 1" in resnet("classify", model, PHOTO).stdout


def test_embeddings_are_not_ranked(tmp_path):
    model = make_model(tmp_path / "model.onnx", 4, head="LpNormalization")
    for arguments in (["classify", model, PHOTO], ["eval", model, "-d", tmp_path]):
        said = complaint(resnet(*arguments, "-q", "--preprocess", "unit"))
        assert said.startswith(f"resnet: {model}: has no classes to rank: its output is an ")
    assert "resnet embed" in complaint(
        resnet("classify", model, PHOTO, "-q", "--preprocess", "unit")
    )
    out = tmp_path / "out.npy"
    assert resnet("embed", model, PHOTO, "-o", out).returncode == 0
    assert np.linalg.norm(np.load(out)) == pytest.approx(1, abs=1e-6)
    text = resnet("inspect", model).stdout.decode()
    assert ", 4 numbers, input" in text and "use resnet embed" in text


def test_models_of_different_kinds_are_not_compared(tmp_path, images):
    logits = make_model(tmp_path / "logits.onnx", 4)
    independent = make_model(tmp_path / "independent.onnx", 4, head="Sigmoid")
    said = complaint(
        resnet("compare", "-q", logits, independent, "-d", images, "--preprocess", "unit")
    )
    assert said == (
        f"resnet: {independent}: its scores are of another kind (multi-label) than those of "
        "logits.onnx (logits): compare models of one kind"
    )
