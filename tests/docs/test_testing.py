"""docs/testing.md describes the tests as they are, and each ctest test has a tier."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
PAGE = (ROOT / "docs" / "testing.md").read_text()
BUILD = Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build" / "release"))
TIERS = {"quick", "full", "long"}
READS_VARIABLE = re.compile(r"(?:environ\S*|getenv)[(\[]\s*\"(LIBRESNET_\w+)\"")


def labels(test: dict) -> list[str]:
    values = [item["value"] for item in test["properties"] if item["name"] == "LABELS"]
    return values[0] if values else []


@pytest.mark.skipif(not (BUILD / "CTestTestfile.cmake").exists(), reason=f"{BUILD} is not built")
def test_each_ctest_test_has_one_tier() -> None:
    command = ["ctest", "--test-dir", str(BUILD), "--show-only=json-v1"]
    tests = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["tests"]
    assert len(tests) > 50
    assert [test["name"] for test in tests if len(TIERS & set(labels(test))) != 1] == []


def test_the_page_names_each_folder() -> None:
    folders = {path.parent.name for path in TESTS.glob("*/*") if path.is_file()}
    folders -= {"__pycache__"}
    assert {folder for folder in folders if f"| `{folder}/` |" not in PAGE} == set()


def test_the_page_names_each_environment_variable() -> None:
    sources = [*TESTS.glob("**/*.py"), *TESTS.glob("**/*.c")]
    read = {name for path in sources for name in READS_VARIABLE.findall(path.read_text())}
    # The Python package's own variable, which its tests set.
    read -= {"LIBRESNET_LIBRARY"}
    assert {"LIBRESNET_BUILD", "LIBRESNET_TEST_ROUNDS"} <= read
    assert {name for name in read if f"| `{name}` |" not in PAGE} == set()


def test_the_page_names_each_preset() -> None:
    presets = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
    names = [preset["name"] for preset in presets if not preset.get("hidden")]
    assert [name for name in names if f"| `{name}` |" not in PAGE] == []


def test_files_that_start_first_exist() -> None:
    text = (TESTS / "run.py").read_text()
    listed = re.search(r"LONG_FILES = \[.*?in \((.*?)\)", text, re.DOTALL)
    assert listed
    names = re.findall(r'"(\S+)"', listed[1])
    assert names and all((TESTS / f"{name}.py").exists() for name in names)
