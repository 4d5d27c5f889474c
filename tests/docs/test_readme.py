"""README.md stays short, shows the report, and can be read on a first reading."""

from __future__ import annotations

import re

import markdown
from markdown import README, ROOT

MAX_LINES = 150
MAX_IMAGE_BYTES = 300_000
MAX_WORDS = 35  # of a sentence


def sentences(text: str) -> list[str]:
    """Split running text; list items, table cells and headings end a sentence."""
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"\n(?=\s*(?:[-*#|]|\d+\.)\s?)|\n\s*\n|\|", plain)
    return [
        " ".join(one.split()) for part in parts for one in re.split(r"(?<=[.:;!?])\s+", part) if one
    ]


def test_readme_is_short():
    assert len(README.read_text().splitlines()) <= MAX_LINES


def test_readme_shows_the_report():
    assert "docs/images/report.png" in [target for _, target in markdown.links(README)]


def test_images_are_small():
    images = [path for path in (ROOT / "docs" / "images").iterdir() if path.suffix == ".png"]
    assert images
    assert [path.name for path in images if path.stat().st_size > MAX_IMAGE_BYTES] == []


def test_sentences_are_short():
    text = "\n".join(line for _, line in markdown.prose(README))
    long = [one for one in sentences(text) if len(one.split()) > MAX_WORDS]
    assert not long, "\n".join(long)


def test_contributing_answers_nineteen_questions_by_a_file_name():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text.partition("| question | file |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    assert len(rows) == 19
    for question, file in rows:
        path = re.fullmatch(r"\[(.+)\]\((.+)\)", file)
        assert question.endswith("?") and path.group(1) == path.group(2)
        assert (ROOT / path.group(1)).is_file(), file
