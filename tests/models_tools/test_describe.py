"""models/describe.py: README.md, manifest.json and results.json agree with the
measurements of the models in that folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DESCRIBE = ROOT / "models" / "describe.py"
HEADER = "epoch,size,learning_rate,train_loss,train_error,test_error,seconds\n"


def compared(path: Path, residual: bool) -> dict:
    """Return the parts of `resnet compare --json` for one model that describe.py
    reads."""
    responses = [
        {"point": "response", "layer": layer, "std": std}
        for layer, std in ((3, 9.0), (1, 0.5), (2, 0.25), (4, 0.75), (5, 2.0))
    ]
    responses += [
        {"point": "output", "layer": None, "std": 7.0},
        {"point": "shortcut", "layer": None, "std": 7.0},
    ]
    blocks = [
        {"ratio": 0.5 if residual else None, "can_skip": True, "skipped_top1": 0.8},
        {
            "ratio": 0.25 if residual else None,
            "can_skip": residual,
            "skipped_top1": 0.1 if residual else None,
        },
    ]
    return {
        "model": {"file": f"models/{path.name}"},
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "layers": 20,
        "parameters": 269034,
        "macs": 40551040,
        "top1": 0.8763,
        "top5": 0.99,
        "top1_ci95": [0.8697, 0.8826],
        "responses": responses,
        "blocks": blocks,
        "lesions": {"images": 1000, "top1": 0.875, "removals": []},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return two models with logs, the real README and manifest, and a comparison of
    them."""
    for name in ("README.md", "manifest.json"):
        shutil.copy(ROOT / "models" / name, tmp_path)
    nets = []
    for name in ("resnet20", "plain20"):
        path = tmp_path / f"cifar10-{name}.onnx"
        path.write_bytes(name.encode())
        (tmp_path / f"cifar10-{name}.csv").write_text(
            HEADER + "1,16,0.1,2,50.5,40,1800\n2,32,0.1,1,9.871,12.3,1800\n"
        )
        nets.append(compared(path, residual=name == "resnet20"))
    (tmp_path / "compare.json").write_text(json.dumps({"images": 10000, "models": nets}))
    return tmp_path


def describe(folder: Path, *arguments: object, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, DESCRIBE, "--models", folder, *arguments], capture_output=True, text=True
    )
    assert done.returncode == code and "Traceback" not in done.stderr, (
        done.returncode,
        done.stdout,
        done.stderr,
    )
    return done.stdout + done.stderr


def write(folder: Path) -> None:
    describe(folder, "--compare", folder / "compare.json", "--write")


def table(folder: Path, name: str) -> list[list[str]]:
    """Return the rows of a table of README.md, without its head."""
    text = (folder / "README.md").read_text()
    found = text.split(f"<!-- {name}: written by models/describe.py -->\n")[1].split(
        f"<!-- end of {name} -->"
    )[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in found.splitlines()[2:]
    ]


def test_tables_say_what_was_measured(folder: Path) -> None:
    write(folder)
    assert table(folder, "nets") == [
        [
            "plain-20",
            "269,034",
            "40.6 M",
            "**87.63 %** (8,763)",
            "86.97 to 88.26 %",
            "9.87 %",
            "2",
            "1.0",
        ],
        [
            "ResNet-20",
            "269,034",
            "40.6 M",
            "**87.63 %** (8,763)",
            "86.97 to 88.26 %",
            "9.87 %",
            "2",
            "1.0",
        ],
    ]
    # Layers in their order, without the last one: 0.5, 0.25, 9, 0.75.
    assert table(folder, "responses") == [
        ["plain-20", "0.625", "0.250 to 9.000", "-"],
        ["ResNet-20", "0.625", "0.250 to 9.000", "0.38"],
    ]
    assert table(folder, "ablations") == [
        ["plain-20", "1 of 2", "87.50 %", "80.00 %", "80.00 %", "80.00 %"],
        ["ResNet-20", "2 of 2", "87.50 %", "45.00 %", "10.00 %", "80.00 %"],
    ]


def test_the_manifest_lists_the_nets_and_keeps_the_others(folder: Path) -> None:
    before = json.loads((folder / "manifest.json").read_text())["models"]
    write(folder)
    after = json.loads((folder / "manifest.json").read_text())["models"]
    assert [entry["name"] for entry in after[:2]] == ["cifar10-plain20", "cifar10-resnet20"]
    assert after[0]["sha256"] == hashlib.sha256(b"plain20").hexdigest() and after[0]["bytes"] == 7
    assert after[0]["accuracy"]["top1"] == 87.63
    assert after[2:] == [entry for entry in before if not entry["file"]] and len(after) > 30
    assert list(after[0]) == list(after[2])


def test_once_written_nothing_is_behind_until_a_log_changes(folder: Path) -> None:
    write(folder)
    assert describe(folder) == ""
    log = folder / "cifar10-plain20.csv"
    log.write_text(log.read_text().replace("9.871", "9.9"))
    assert describe(folder, code=1) == f"behind: {folder / 'README.md'}\n"
    assert describe(folder, "--write") == f"wrote {folder / 'README.md'}\n"
    assert describe(folder) == ""


@pytest.mark.parametrize("change", ["net changed", "net added", "net removed", "no results"])
def test_measurements_of_other_nets_are_refused(folder: Path, change: str) -> None:
    write(folder)
    if change == "net changed":
        (folder / "cifar10-plain20.onnx").write_bytes(b"trained anew")
    elif change == "net added":
        (folder / "cifar10-plain56.onnx").write_bytes(b"new")
    elif change == "net removed":
        (folder / "cifar10-plain20.onnx").unlink()
    else:
        (folder / "results.json").unlink()
    complaint = describe(folder, "--write", code=1)
    assert "results.json" in complaint and "--help" in complaint


def test_a_comparison_of_other_nets_is_refused(folder: Path) -> None:
    (folder / "cifar10-plain20.onnx").write_bytes(b"trained anew")
    assert "cifar10-plain20.onnx" in describe(
        folder, "--compare", folder / "compare.json", "--write", code=1
    )
    assert not (folder / "results.json").exists()


def test_a_missing_log_is_named(folder: Path) -> None:
    (folder / "cifar10-resnet20.csv").unlink()
    assert "cifar10-resnet20.csv" in describe(
        folder, "--compare", folder / "compare.json", "--write", code=1
    )


def test_what_this_repository_says_is_what_was_measured() -> None:
    if not (ROOT / "models" / "results.json").exists():
        pytest.skip("models/results.json is not there: models/describe.py --compare writes it")
    assert describe(ROOT / "models") == "", "python models/describe.py --write"
