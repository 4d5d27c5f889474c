"""Kept results agree with the table of targets, and the documents agree with the
results."""

from __future__ import annotations

import copy
import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import common
import cpu_class
import peers
import readme
import report

KEPT = sorted(common.KEPT.glob("*/peers.json"))
RENDER = "is behind: python3 tests/bench/peers.py --render {}"
WRITE = "the documents are behind: python3 tests/bench/readme.py --write"


def test_results_are_kept_in_folders_of_classes():
    assert KEPT
    assert {path.parent for path in common.KEPT.iterdir() if path.is_file()} == set()


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.parent.name)
def test_kept_results_agree_with_the_targets(path):
    found = json.loads(path.read_text())
    assert found["class"] == found["machine"]["class"] == path.parent.name
    assert found["restriction"] or found["class"] == found["machine"]["cpu_class"]
    fresh = copy.deepcopy(found)
    report.refresh(fresh)
    assert found == fresh, path.name + RENDER.format(path)
    for name, text in (("peers.md", report.markdown(found)), ("peers.svg", report.svg(found))):
        assert (path.parent / name).read_text() == text, name + RENDER.format(path)


def test_rendering_computes_targets_and_verdicts_anew(tmp_path):
    found = json.loads(KEPT[0].read_text())
    for row in found["workloads"]:
        row["target"], row["verdict"] = 0.5, "met"
    (tmp_path / "peers.json").write_text(json.dumps(found))
    peers.render(tmp_path / "peers.json")
    for name in ("peers.json", "peers.md", "peers.svg"):
        assert (tmp_path / name).read_text() == (KEPT[0].parent / name).read_text()


def test_documents_have_a_table_for_each_kept_class():
    found = readme.split(readme.PERFORMANCE.read_text())[1]
    short = readme.split(readme.README.read_text())[1]
    assert found == readme.sections(), WRITE
    assert short == readme.short_sections(), WRITE
    for name in readme.kept():
        assert f"### Class {name}" in found and f"results/{name}/peers.svg" in found
        assert f"Class {name}" in short


def test_performance_lists_the_classes_that_were_not_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(readme, "KEPT", tmp_path)
    assert readme.sections() == f"Classes not measured: {', '.join(cpu_class.CLASSES)}.\n"
    (tmp_path / "avx2").mkdir()
    (tmp_path / "avx2" / "peers.json").write_bytes(KEPT[0].read_bytes())
    assert readme.sections().endswith("Classes not measured: avx512, sse2, neon.\n")


def test_performance_links_only_to_kept_files():
    page = readme.PERFORMANCE
    links = re.findall(r"\((\.\./tests/bench/results[^)]*)\)", page.read_text())
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []
