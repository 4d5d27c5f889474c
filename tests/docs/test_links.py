"""Links in the project's pages lead to files and headings that exist.

The tests contact no host.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import markdown
import pytest
from markdown import ROOT

OUTSIDE = ("https://", "http://", "mailto:")


def all_pages() -> list[Path]:
    """Return the Markdown files that git knows, or without git all outside build/."""
    done = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "*.md"],
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).exists()]
    return [page for page in ROOT.rglob("*.md") if "build" not in page.relative_to(ROOT).parts]


def problem(page: Path, target: str) -> str | None:
    """Return what is wrong with a link, or None."""
    if target.startswith(OUTSIDE):
        return None
    path, _, name = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists():
        return "no such file"
    if not file.is_relative_to(ROOT):
        return "leads out of the repository"
    if name and file.suffix == ".md" and name not in markdown.anchors(file):
        return "no such heading"
    return None


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    wrong = [
        f"{page.relative_to(ROOT)}:{line}: {target}: {why}"
        for line, target in markdown.links(page)
        if (why := problem(page, target))
    ]
    assert not wrong, "\n".join(wrong)


def test_a_broken_link_is_found(tmp_path):
    assert problem(markdown.README, "docs/no-such-page.md") == "no such file"
    assert problem(markdown.README, "#no-such-heading") == "no such heading"
    assert problem(markdown.README, "/etc/hostname") == "leads out of the repository"
    page = tmp_path / "page.md"
    page.write_text(
        "# A *title*: `code`\n\n```sh\n# no heading\n```\n## Twice\n## Twice\n[a](b.md)\n"
    )
    assert markdown.anchors(page) == {"a-title-code", "twice", "twice-1"}
    assert markdown.links(page) == [(8, "b.md")]


def test_every_page_of_docs_can_be_reached_from_the_readme():
    reached, waiting = set(), [markdown.README]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        targets = [target.partition("#")[0] for _, target in markdown.links(page)]
        waiting += [
            (page.parent / target).resolve()
            for target in targets
            if target and not target.startswith(OUTSIDE)
        ]
    assert set(markdown.PAGES) - reached == set()
