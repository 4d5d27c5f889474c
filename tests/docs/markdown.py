"""Read the project's pages: code blocks, links and headings of Markdown files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]

FENCE = re.compile(r"^(?P<indent> *)```(?P<info>.*)$")
HEADING = re.compile(r"^#{1,6} +(.*?)\s*$")
LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")


@dataclass
class Block:
    """A fenced code block. `options` are the words after the language."""

    page: Path
    line: int  # of the opening fence, from 1
    language: str
    options: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def skip(self) -> str | None:
        """Return why the block is not run: "skip=" takes the rest of the line."""
        found = re.search(r"\bskip=(.+)", self.options)
        return found.group(1).strip() if found else None

    def option(self, name: str, default: str = "") -> str:
        found = re.search(rf"\b{name}=(\S+)", self.options)
        return found.group(1) if found else default


def read_blocks(page: Path, text: str | None = None) -> list[Block]:
    blocks: list[Block] = []
    opened: tuple[int, str, str] | None = None
    lines: list[str] = []
    for number, line in enumerate((page.read_text() if text is None else text).splitlines(), 1):
        found = FENCE.match(line)
        if not found:
            lines.append(line)
        elif opened is None:
            language, _, options = found["info"].strip().partition(" ")
            opened, lines = (number, language, options), []
        else:
            blocks.append(Block(page, *opened, "".join(f"{one}\n" for one in lines)))
            opened = None
    assert opened is None, f"{page}:{opened[0]}: the code block has no end"
    return blocks


def prose(page: Path) -> list[tuple[int, str]]:
    """Return the lines outside of code blocks, with their numbers."""
    inside, found = False, []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if FENCE.match(line):
            inside = not inside
        elif not inside:
            found.append((number, line))
    return found


def links(page: Path) -> list[tuple[int, str]]:
    """Return the targets of links and images, with their lines."""
    bare = [(number, re.sub(r"`[^`]*`", "", line)) for number, line in prose(page)]
    return [(number, target) for number, line in bare for target in LINK.findall(line)]


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    text = re.sub(r"[^\w\- ]", "", text.replace("`", "").lower())
    return text.replace(" ", "-")


def anchors(page: Path) -> set[str]:
    found: dict[str, int] = {}
    names = set()
    for _, line in prose(page):
        match = HEADING.match(line)
        if match:
            name = anchor(match.group(1))
            count = found.get(name, 0)
            names.add(f"{name}-{count}" if count else name)
            found[name] = count + 1
    return names
