"""models/manifest.json: every entry is complete, and right about the files of this
folder."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = json.loads((ROOT / "models" / "manifest.json").read_text())["models"]
KEYS = [
    "name",
    "what",
    "file",
    "urls",
    "format",
    "export",
    "sha256",
    "sha256_starts",
    "bytes",
    "opset",
    "input",
    "preprocess",
    "resize",
    "classes",
    "accuracy",
    "licence",
    "source",
    "notes",
]
PRESETS = re.search(
    r"Fill `out` with a preset\b(.*?)\bFail",
    (ROOT / "include" / "resnet.h").read_text(),
    re.DOTALL,
)[1]
LICENCES = {"MIT", "Apache-2.0", "BSD-3-Clause"}  # SPDX


def name_of(entry: dict) -> str:
    return entry["name"]


def test_names_are_unique() -> None:
    names = [entry["name"] for entry in ENTRIES]
    assert len(set(names)) == len(names) > 30


def test_no_address_or_file_is_named_twice() -> None:
    places = [
        place
        for entry in ENTRIES
        for place in [*entry["urls"], *([entry["file"]] if entry["file"] else [])]
    ]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("entry", ENTRIES, ids=name_of)
def test_an_entry_is_complete(entry: dict) -> None:
    assert list(entry) == KEYS
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", entry["name"]) and entry["what"] and entry["source"]
    assert bool(entry["file"]) != bool(entry["urls"])
    assert all(re.fullmatch(r"https://[a-z.]+/[A-Za-z0-9._/-]+", url) for url in entry["urls"])
    assert entry["format"] in ("onnx", "onnx.gz", "pytorch", "safetensors")
    assert entry["licence"] in LICENCES
    assert f'"{entry["preprocess"]}"' in PRESETS and entry["preprocess"] != "none"
    assert entry["resize"] is None or 224 <= entry["resize"] <= 288
    assert entry["input"][0] == 3 and len(entry["input"]) == 3 and entry["classes"] in (10, 1000)


@pytest.mark.parametrize("entry", ENTRIES, ids=name_of)
def test_hashes_and_sizes_can_be(entry: dict) -> None:
    full, starts, size = entry["sha256"], entry["sha256_starts"], entry["bytes"]
    assert full is None or re.fullmatch(r"[0-9a-f]{64}", full) and size
    assert starts is None or re.fullmatch(r"[0-9a-f]{8}", starts) and starts in entry["urls"][0]
    assert full is None or full.startswith(starts or "")
    assert size is None or 500_000 < size < 1 << 30


@pytest.mark.parametrize("entry", ENTRIES, ids=name_of)
def test_weights_say_how_they_become_onnx_and_onnx_files_their_opset(entry: dict) -> None:
    if entry["format"].startswith("onnx"):
        assert entry["export"] is None
        assert entry["opset"] is None or 3 <= entry["opset"] <= 26
    else:
        assert sorted(entry["export"]) == ["architecture", "library", "opset"]
        assert entry["export"]["library"] in ("torchvision", "timm") and entry["opset"] is None


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry["accuracy"]], ids=name_of)
def test_an_accuracy_says_on_what(entry: dict) -> None:
    accuracy = entry["accuracy"]
    assert sorted(accuracy) == ["on", "top1", "top5"] and accuracy["on"]
    assert 50 < accuracy["top1"] < 100 and (
        accuracy["top5"] is None or accuracy["top1"] < accuracy["top5"] < 100
    )


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry["file"]], ids=name_of)
def test_a_shipped_file_is_the_one_described(entry: dict) -> None:
    path = ROOT / "models" / entry["file"]
    if not path.exists():
        pytest.skip(f"{path} is not there")
    data = path.read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"]), (
        "models/describe.py --write"
    )


def test_every_net_that_ships_is_listed() -> None:
    files = {path.name for path in (ROOT / "models").glob("*.onnx")}
    assert files == {entry["file"] for entry in ENTRIES if entry["file"]}, (
        "models/describe.py --write"
    )
