#!/usr/bin/env python3
"""Write the tables of tests/models/README.md from index.json.

python tests/models/make/table.py
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

MODELS = Path(__file__).resolve().parents[1]
BEGIN = "<!-- written by make/table.py from index.json -->"


def blocks(kinds: list[str]) -> str:
    """Join runs of equal kinds: "projection, 2 identity"."""
    runs = [(kind, len(list(run))) for kind, run in groupby(kinds)]
    return ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in runs)


def expectation(entry: dict) -> str:
    options = " ".join(f"{key} {value}" for key, value in entry["options"].items())
    with_options = f"with {options}: " if options else ""
    if entry["refused"]:
        return f"{with_options}refused: {', '.join(entry['refused']['message'])}"
    warned = f"; warns: {'; '.join(entry['findings'])}" if entry["findings"] else ""
    return f"{with_options}{entry['depth']} layers, {blocks(entry['blocks'])}{warned}"


def tables(entries: list[dict]) -> list[str]:
    lines: list[str] = []
    for folder, group in groupby(entries, lambda entry: entry["file"].split("/")[0]):
        lines += [
            "",
            f"### {folder}",
            "",
            "| file | model | written by | what for | expected |",
            "|---|---|---|---|---|",
        ]
        for file, same in groupby(group, lambda entry: entry["file"]):
            ones = list(same)
            first = ones[0]
            expected = "<br>".join(dict.fromkeys(map(expectation, ones)))
            cells = (
                file.split("/")[1],
                first["architecture"],
                first["exporter"],
                first["note"],
                expected,
            )
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    readme = MODELS / "README.md"
    kept = readme.read_text().split(BEGIN)[0]
    entries = json.loads((MODELS / "index.json").read_text())
    readme.write_text(kept + "\n".join([BEGIN, *tables(entries)]) + "\n")


if __name__ == "__main__":
    main()
