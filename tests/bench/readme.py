#!/usr/bin/env python3
"""Write the tables of speed from the kept results, one for each CPU class.

docs/performance.md gets all of them, README.md the workloads of one image on one thread.

python3 tests/bench/readme.py --write
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import common
import cpu_class
import report
from common import KEPT, ROOT, table
from report import NOT_COMPARED, OURS, PEERS
from targets import title, verdict_text

README = ROOT / "README.md"
PERFORMANCE = ROOT / "docs" / "performance.md"
BEGIN = "<!-- speed: written by tests/bench/readme.py -->\n"
END = "<!-- end of speed -->\n"


def split(text: str) -> tuple[str, str, str]:
    """Return the text before the tables, the tables, and the text after them."""
    before, rest = text.split(BEGIN)
    found, after = rest.split(END)
    return before + BEGIN, found, END + after


def kept() -> dict[str, dict]:
    """Class -> its results, the known classes first."""
    found = {
        path.parent.name: json.loads(path.read_text()) for path in sorted(KEPT.glob("*/peers.json"))
    }
    known = [name for name in cpu_class.CLASSES if name in found]
    return {name: found[name] for name in [*known, *found]}


def short_table(rows: list[dict]) -> str:
    """Return the columns that README.md has."""
    compared = [name for name in PEERS if name != NOT_COMPARED]
    header = ["network", "libresnet", *(PEERS[name] for name in compared), "best peer / libresnet"]
    lines = []
    for row in rows:
        cells = [report.cell(row["runtimes"].get(name), ("min_ms",)) for name in compared]
        ours = report.cell(row["runtimes"].get(OURS), ("min_ms",))
        lines.append([title(row["net"]), f"**{ours}**", *cells, report.ratio_text(row["ratio"])])
    return table(header, lines)


def speed_table(rows: list[dict]) -> str:
    """Put OpenVINO's default last, since ours is not compared with it."""
    compared = [name for name in PEERS if name != NOT_COMPARED]
    header = [
        "network",
        "threads, batch",
        "ours",
        *(PEERS[name] for name in compared),
        "best of them / ours",
        "target",
        "verdict",
        f"({PEERS[NOT_COMPARED]})",
    ]
    lines = []
    for row in rows:
        cells = {
            name: report.cell(row["runtimes"].get(name), ("min_ms",)) for name in (OURS, *PEERS)
        }
        lines.append(
            [
                title(row["net"]),
                f"{row['threads']}, {row['batch']}",
                f"**{cells[OURS]}**",
                *(cells[name] for name in compared),
                report.ratio_text(row["ratio"]),
                f"{row['target']:.2f}",
                verdict_text(row),
                cells[NOT_COMPARED],
            ]
        )
    return table(header, lines)


def reduced_precision(rows: list[dict]) -> list[str]:
    """Say how far OpenVINO's default is off, where its precision is below float32."""
    found = [row["runtimes"].get(NOT_COMPARED, {}) for row in rows]
    reduced = [one for one in found if one.get("precision", "fp32") != "fp32" and "error" in one]
    if not reduced:
        return []
    errors = [one["error"] for one in reduced]
    precisions = " and ".join(sorted({one["precision"] for one in reduced}))
    return [
        f"{PEERS[NOT_COMPARED]}: {precisions}, scores off by {min(errors):.0e} to"
        f" {max(errors):.0e}; not compared with."
    ]


def opening_table(openings: dict[str, dict]) -> str:
    lines = []
    for name, found in openings.items():
        if "reason" in found:
            lines.append([name, "none", "none"])
            continue
        memory = f"{found['peak_bytes'] / 1e6:.0f} ({found['before_bytes'] / 1e6:.0f})"
        lines.append([name, f"{found['load_min_ms']:.0f}", memory])
    return table(["", "opening, ms", "peak memory, MB (before opening)"], lines)


def sizes(found: dict[str, int]) -> str:
    listed = [f"{name} {size / 1e6:.2f}" for name, size in found.items()]
    return f"On disk, MB: {', '.join(listed)}.\n"


def section(name: str, results: dict) -> str:
    machine, rows = results["machine"], results["workloads"]
    l2 = [cache for cache in machine["caches"] if cache.startswith("L2")]
    notes = [*report.summary_lines(results), *reduced_precision(rows)]
    return "\n".join(
        [
            f"### Class {cpu_class.describe(machine)}\n",
            f"{', '.join([machine['cpu'], str(machine['cores']) + ' cores', *l2])};"
            f" {results['date'][:10]}, commit {results['commit']}, {results['rounds']} rounds.\n"
            f"{report.version_list(results)}.\n",
            speed_table(rows),
            *(f"{note}\n" for note in notes),
            f"![the ratios as bars, with the targets](../tests/bench/results/{name}/peers.svg)\n",
            f"Opening {title(results['opened_net'])}, to the first scores less one run, and the"
            " peak memory of a process\n"
            "that runs it at batch 1. For the peers, Python is included.\n",
            opening_table(results["openings"]),
            sizes(results["library_bytes"]),
        ]
    )


def short_section(results: dict) -> str:
    machine = results["machine"]
    rows = [row for row in results["workloads"] if row["threads"] == row["batch"] == 1]
    return "\n".join(
        [
            f"Class {cpu_class.describe(machine)}; {machine['cpu']}, {results['date'][:10]}:\n",
            short_table(rows),
        ]
    )


def short_sections() -> str:
    """Return README.md's tables and the counts over all workloads."""
    found = kept()
    counts = "; ".join(
        f"class {name}: {report.counts(results['workloads'])}" for name, results in found.items()
    )
    parts = [
        "Milliseconds for one image on one thread, float32, random weights, least time of runs"
        " in turn.\n",
        *(short_section(results) for results in found.values()),
        "With two threads and batches too: "
        f"{counts}.\nBehind: a peer is faster. Missed: ahead by less than a fixed target."
        " See [performance](docs/performance.md).\n",
    ]
    return "\n".join(parts)


def sections() -> str:
    found = kept()
    missing = [name for name in cpu_class.CLASSES if name not in found]
    parts = [section(name, results) for name, results in found.items()]
    if missing:
        parts.append(f"Classes not measured: {', '.join(missing)}.\n")
    return "\n".join(parts)


def renew(page: Path, text: str) -> None:
    before, _, after = split(page.read_text())
    common.write(page, before + text + after)


def main() -> None:
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    renew(README, short_sections())
    renew(PERFORMANCE, sections())


if __name__ == "__main__":
    main()
