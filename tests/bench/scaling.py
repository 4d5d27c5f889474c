#!/usr/bin/env python3
"""Measure how libresnet's time grows with batch, image size and depth, on one and two
threads.

    python3 tests/bench/scaling.py [--quick] [--net resnet50] [--rounds 15] [--keep]

Within a series all cases take turns. The time of a multiply-accumulate should stay flat
or fall from the series' first case to its last; the last column has the ratio. From depth
50 on the blocks are bottlenecks: half of the work is in 1x1 convolutions, which
Winograd's method does not speed up.

Writes scaling.md and scaling.json into build/bench, or with --keep into
tests/bench/results/CLASS. Needs a Python with numpy and onnx to make the networks
(build/deps/venv). LIBRESNET_BUILD names the build (build/release).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import common
import cpu_class
from common import Runtime, RuntimeFailed, table

BATCHES = (1, 2, 4, 8, 16, 32, 64)
SIZES = (64, 128, 224, 320, 512)
DEPTHS = (18, 34, 50, 101, 152)
THREADS = (1, 2)


@dataclass(frozen=True)
class Case:
    net: str
    batch: int = 1
    size: int = 224


def series(net: str) -> dict[str, tuple[list[Case], list[str]]]:
    """Return {title: (cases, their names)}."""
    return {
        f"{net}, batch": (
            [Case(net, batch=batch) for batch in BATCHES],
            [str(batch) for batch in BATCHES],
        ),
        f"{net}, image": (
            [Case(net, size=size) for size in SIZES],
            [f"{size} px" for size in SIZES],
        ),
        "depth": ([Case(f"resnet{depth}") for depth in DEPTHS], [str(depth) for depth in DEPTHS]),
    }


def start(case: Case, name: str, threads: int, python: Path, folder: Path) -> Runtime:
    model = common.make_net(python, folder, case.net, case.batch, case.size)
    return common.ours(
        name, model, threads, case.batch, common.make_images(folder, case.batch, case.size)
    ).open()


def row(case: Case, runtime: Runtime, timing: common.Timing, threads: int) -> dict[str, object]:
    macs = int(runtime.opened["macs"])
    return {
        "case": runtime.name,
        "net": case.net,
        "batch": case.batch,
        "size": case.size,
        "threads": threads,
        "macs": macs,
        **timing.summary(),
        "image_ms": timing.least / case.batch,
        "gmacs_per_s": macs * case.batch / timing.least * 1e-6,
    }


def measure(
    cases: list[Case], names: list[str], threads: int, rounds: int, python: Path, folder: Path
) -> list[dict]:
    runtimes = [start(case, name, threads, python, folder) for case, name in zip(cases, names)]
    timings = common.take_turns(runtimes, rounds, same_work=False)
    rows = [
        row(case, runtime, timings[runtime.name], threads) for case, runtime in zip(cases, runtimes)
    ]
    for runtime in runtimes:
        runtime.close()
    return add_change(rows)


def add_change(rows: list[dict]) -> list[dict]:
    """Add `change`: the time of a multiply-accumulate over the first case's. 1 is flat,
    less is better."""
    for one in rows:
        one["change"] = rows[0]["gmacs_per_s"] / one["gmacs_per_s"]
    return rows


def series_table(title: str, rows: list[dict]) -> str:
    lines = [
        [
            one["case"],
            str(one["threads"]),
            f"{one['macs'] * 1e-9:.3f}",
            f"{one['image_ms']:.2f}",
            f"{one['gmacs_per_s']:.1f}",
            f"{one['change']:.2f}",
        ]
        for one in rows
    ]
    head = ["threads", "GMAC an image", "ms an image", "GMAC/s", "time a MAC, over the first's"]
    return table([title, *head], lines)


def markdown(results: dict) -> str:
    machine = results["machine"]
    parts = [
        f"# How libresnet scales, {results['date']}\n",
        f"{machine['cpu']}, class {cpu_class.describe(machine)}, {machine['cores']} cores,"
        f" {', '.join(machine['caches'])}."
        f" {results['rounds']} rounds in turn, least times."
        f" Other programs took {results['bystanders_cores']} cores on average.\n",
    ]
    return "\n".join(
        parts + [series_table(title, rows) for title, rows in results["series"].items()]
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--net", default="resnet50", help="of the series of batches and images (default resnet50)"
    )
    parser.add_argument("--rounds", type=int, default=15, help="turns of every case (default 15)")
    parser.add_argument("--quick", action="store_true", help="2 rounds: to try it, not to measure")
    parser.add_argument(
        "--python", type=Path, default=common.ROOT / "build" / "deps" / "venv" / "bin" / "python"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "-o", "--output", type=Path, default=common.OUTPUT, help="folder for the results"
    )
    output.add_argument("--keep", action="store_true", help=f"write into {common.KEPT}/CLASS")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds = 2
    if arguments.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    if not common.PROGRAM.exists():
        sys.exit(f"{common.PROGRAM} is not built: tools/build, or set LIBRESNET_BUILD")
    results = {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "machine": common.machine(),
        "rounds": arguments.rounds,
        "commit": common.commit(),
        "series": {},
    }
    bystanders = common.Bystanders()
    with tempfile.TemporaryDirectory() as folder:
        for title, (cases, names) in series(arguments.net).items():
            rows = []
            for threads in THREADS:
                rows += measure(
                    cases, names, threads, arguments.rounds, arguments.python, Path(folder)
                )
            print(series_table(title, rows), flush=True)
            results["series"][title] = rows
    results["bystanders_cores"] = bystanders.cores()
    output = common.output_folder(arguments, results["machine"])
    common.write_results(output, "scaling", results, markdown(results))
    print(f"scaling: wrote {output}/scaling.md and .json")


if __name__ == "__main__":
    try:
        main()
    except RuntimeFailed as failure:
        sys.exit(str(failure))
