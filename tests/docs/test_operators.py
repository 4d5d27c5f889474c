"""The table of operators in docs/operators.md is the loader's.

python tests/docs/test_operators.py --write    write the table into docs/operators.md
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "operators.md"
PRINTER = (
    Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build" / "release"))
    / "tests"
    / "print_operators"
)
BEGIN, END = (
    "<!-- operators: written by tests/docs/test_operators.py -->\n",
    "<!-- end of operators -->\n",
)


def table() -> str:
    return subprocess.run([PRINTER], capture_output=True, text=True, check=True).stdout


def split(text: str) -> tuple[str, str, str]:
    """Return the text before the table, the table, and the text after it."""
    before, rest = text.split(BEGIN)
    found, after = rest.split(END)
    return before + BEGIN, found, END + after


def test_the_page_lists_the_operators_that_the_loader_supports():
    assert split(PAGE.read_text())[1] == table(), (
        "docs/operators.md is out of date: run python tests/docs/test_operators.py --write"
    )


def test_the_table_has_every_operator_once_for_each_opset():
    rows = [
        line.split(" | ")
        for line in table().splitlines()
        if line.startswith("| ") and " to " in line
    ]
    assert len(rows) > 50
    names = [row[0] for row in rows]
    assert names == sorted(names), "the table is not in order of names"
    for (name, opsets, *_), (next_name, next_opsets, *_) in zip(rows, rows[1:]):
        if name == next_name:
            assert int(opsets.split(" to ")[1]) + 1 == int(next_opsets.split(" to ")[0]), name


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    before, _, after = split(PAGE.read_text())
    PAGE.write_text(before + table() + after)
