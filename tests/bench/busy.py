#!/usr/bin/env python3
"""Measure libresnet beside onnxruntime where other programs want the CPUs, both with
their default number of threads, in turn, in one run.

    python3 tests/bench/busy.py [--quick] [--part neighbours programs waiting] [--keep]

Three parts:
    neighbours   the times of runs beside 0, 1 and 2 endless loops
    programs     the images per second of two programs of one runtime at once
    waiting      the CPU time of an image at 1, 6 and 30 images a second, and in a loop

Writes busy.md and busy.json into build/bench, or with --keep into
tests/bench/results/CLASS. Targets are in targets.py. onnxruntime comes from
build/bench-venv, which peers.py describes. LIBRESNET_BUILD names the build
(build/release).
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import common
import cpu_class
import peers
import targets
from common import Runtime, RuntimeFailed, table
from report import OURS, PEERS

PEER = "onnxruntime"
DEFAULT_THREADS = 0
PARTS = ("neighbours", "programs", "waiting")
NEIGHBOURS = (0, 1, 2)
RATES = (1, 6, 30)  # images a second
WAITING_NET = "resnet18"


@dataclass(frozen=True)
class Amount:
    """How many runs of a network: in all, and in one turn."""

    net: str
    runs: int
    turn: int

    def turns(self, divisor: int) -> int:
        return max(2, self.runs // self.turn // divisor)


AMOUNTS = (Amount("resnet20", 2000, 100), Amount("resnet18", 300, 10))


# ---- measuring


class Bench:
    def __init__(self, python: Path, folder: Path, divisor: int) -> None:
        self.python, self.folder, self.divisor = python, folder, divisor

    def start(self, kind: str, net: str, name: str | None = None) -> Runtime:
        model = common.make_net(self.python, self.folder, net, 1)
        images = common.make_images(self.folder, 1, common.input_size(net))
        if kind == OURS:
            return common.ours(name or kind, model, DEFAULT_THREADS, 1, images).open()
        worker = [self.python, common.BENCH / "peer_worker.py", kind, model]
        return Runtime(name or kind, [*worker, str(DEFAULT_THREADS), "1", images]).open()


@contextlib.contextmanager
def endless_loops(count: int) -> Iterator[None]:
    """Keep `count` CPUs busy, as far as the system lets these processes."""
    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@contextlib.contextmanager
def started(bench: Bench, net: str, copies: int = 1) -> Iterator[dict[str, list[Runtime]]]:
    """Start `copies` programs of each runtime."""
    runtimes = {
        kind: [bench.start(kind, net, f"{kind} {copy}") for copy in range(copies)]
        for kind in (OURS, PEER)
    }
    try:
        yield runtimes
    finally:
        for runtime in (one for group in runtimes.values() for one in group):
            runtime.close()


def in_turn(runtimes: dict[str, list[Runtime]], rounds: int) -> Iterator[str]:
    """Give each runtime a turn in each round, when all others sleep. The runtime that
    begins changes with every round."""
    everyone = [one for group in runtimes.values() for one in group]
    names = list(runtimes)
    for index in range(rounds):
        first = index % len(names)
        for name in names[first:] + names[:first]:
            common.wait_until_idle(everyone)
            yield name


def measure_neighbours(bench: Bench, amount: Amount, count: int) -> dict:
    times: dict[str, list[float]] = {OURS: [], PEER: []}
    with started(bench, amount.net) as runtimes, endless_loops(count):
        for name in in_turn(runtimes, amount.turns(bench.divisor)):
            times[name] += runtimes[name][0].run(max(1, amount.turn // 10), amount.turn)
    found = {name: percentiles(one) for name, one in times.items()}
    return {"net": amount.net, "neighbours": count, "runtimes": found}


def run_at_once(runtimes: list[Runtime], runs: int) -> float:
    """Return the sum of the programs' images per second."""
    with ThreadPoolExecutor(len(runtimes)) as pool:
        found = list(pool.map(lambda one: one.run(max(1, runs // 10), runs), runtimes))
    return sum(len(times) / sum(times) * 1e3 for times in found)


def measure_programs(bench: Bench, amount: Amount) -> dict:
    rates: dict[str, list[float]] = {OURS: [], PEER: []}
    with started(bench, amount.net, copies=2) as runtimes:
        for name in in_turn(runtimes, amount.turns(2 * bench.divisor)):
            rates[name].append(run_at_once(runtimes[name], amount.turn))
    found = {name: sum(one) / len(one) for name, one in rates.items()}
    return {"net": amount.net, "images_per_s": found}


def cpu_of_images(runtime: Runtime, rate: float, images: int) -> float:
    """Return the milliseconds of CPU time of an image, at `rate` images a second."""
    begin = runtime.cpu_seconds()
    due = time.monotonic()
    for _ in range(images):
        runtime.run(0, 1)
        due += 1 / rate
        time.sleep(max(0.0, due - time.monotonic()))
    return (runtime.cpu_seconds() - begin) / images * 1e3


def cpu_of_loop(runtime: Runtime, images: int) -> float:
    begin = runtime.cpu_seconds()
    runtime.run(0, images)
    return (runtime.cpu_seconds() - begin) / images * 1e3


def measure_waiting(bench: Bench, rate: int) -> dict:
    """Let the tight loop and the images at `rate` take turns; least CPU time of each."""
    images = max(3, 2 * rate // bench.divisor)
    paced: dict[str, list[float]] = {OURS: [], PEER: []}
    loop: dict[str, list[float]] = {OURS: [], PEER: []}
    with started(bench, WAITING_NET) as runtimes:
        for name in in_turn(runtimes, max(2, 5 // bench.divisor)):
            loop[name].append(cpu_of_loop(runtimes[name][0], max(images, 20)))
            paced[name].append(cpu_of_images(runtimes[name][0], rate, images))
    found = {name: {"cpu_ms": min(paced[name]), "loop_cpu_ms": min(loop[name])} for name in paced}
    return {"net": WAITING_NET, "images_per_s": rate, "runtimes": found}


def percentiles(times: list[float]) -> dict[str, float]:
    times = sorted(times)
    found = {f"p{p}_ms": times[min(len(times) - 1, len(times) * p // 100)] for p in (90, 99)}
    return {"median_ms": times[len(times) // 2], **found, "runs": len(times)}


# ---- verdicts and tables


def judged_neighbours(row: dict) -> dict:
    """Add the ratios of times, ours over the peer's, and the verdict."""
    ours, peer = row["runtimes"][OURS], row["runtimes"][PEER]
    row["ratios"] = {
        key: ours[f"{key}_ms"] / peer[f"{key}_ms"] for key in ("median", *targets.BUSY_TIMES)
    }
    row["verdict"] = targets.at_most(
        max(row["ratios"][key] / most for key, most in targets.BUSY_TIMES.items()), 1.0
    )
    return row


def judged_programs(row: dict) -> dict:
    """Add the ratio of throughputs, ours over the peer's, and the verdict."""
    row["ratio"] = row["images_per_s"][OURS] / row["images_per_s"][PEER]
    row["verdict"] = targets.verdict(row["ratio"], targets.BUSY_THROUGHPUT)
    return row


def judged_waiting(row: dict) -> dict:
    """Add the ratios of CPU times, paced over tight loop, and the verdict on ours."""
    row["ratios"] = {
        name: one["cpu_ms"] / one["loop_cpu_ms"] for name, one in row["runtimes"].items()
    }
    row["verdict"] = targets.at_most(row["ratios"][OURS], targets.WAITING_CPU)
    return row


def times_cell(found: dict) -> str:
    return " / ".join(f"{found[key]:.3g}" for key in ("median_ms", "p90_ms", "p99_ms"))


def neighbours_table(rows: list[dict]) -> str:
    head = ["network", "busy neighbours", "ours: median / p90 / p99, ms", f"{PEERS[PEER]}, ms"]
    most = " / ".join(f"{value:.2f}" for value in targets.BUSY_TIMES.values())
    lines = [
        [
            targets.title(row["net"]),
            str(row["neighbours"]),
            times_cell(row["runtimes"][OURS]),
            times_cell(row["runtimes"][PEER]),
            " / ".join(f"{value:.2f}" for value in row["ratios"].values()),
            f"- / {most}",
            row["verdict"],
        ]
        for row in rows
    ]
    return table([*head, "ours over theirs", "at most", "verdict"], lines)


def programs_table(rows: list[dict]) -> str:
    head = ["network, two programs", "ours, images a second", PEERS[PEER], "ratio", "at least"]
    lines = [
        [
            targets.title(row["net"]),
            *(f"{row['images_per_s'][name]:.1f}" for name in (OURS, PEER)),
            f"{row['ratio']:.2f}",
            f"{targets.BUSY_THROUGHPUT:.2f}",
            row["verdict"],
        ]
        for row in rows
    ]
    return table([*head, "verdict"], lines)


def waiting_table(rows: list[dict]) -> str:
    head = ["images a second", "ours: CPU ms an image, tight loop, ratio", "at most", "verdict"]
    cells = {
        name: [
            f"{row['runtimes'][name]['cpu_ms']:.1f}, {row['runtimes'][name]['loop_cpu_ms']:.1f},"
            f" {row['ratios'][name]:.2f}"
            for row in rows
        ]
        for name in (OURS, PEER)
    }
    lines = [
        [str(row["images_per_s"]), mine, f"{targets.WAITING_CPU:.2f}", row["verdict"], theirs]
        for row, mine, theirs in zip(rows, cells[OURS], cells[PEER])
    ]
    return table([*head, PEERS[PEER]], lines)


TABLES = {
    "neighbours": neighbours_table,
    "programs": programs_table,
    "waiting": waiting_table,
}


def markdown(results: dict) -> str:
    machine = results["machine"]
    parts = [
        f"# libresnet beside busy programs, {results['date']}\n",
        f"{machine['cpu']}, class {cpu_class.describe(machine)}, {machine['cores']} cores."
        f" Default threads; {PEERS[PEER]} {results['version']}. Commit {results['commit']}.\n",
    ]
    tables = [TABLES[part](results[part]) for part in PARTS if results.get(part)]
    return "\n".join(parts + tables)


def summary(results: dict) -> str:
    verdicts = [row["verdict"] for part in PARTS for row in results.get(part, [])]
    kinds = (targets.MET, targets.MISSED, targets.BEHIND)
    return ", ".join(f"{verdicts.count(kind)} {kind}" for kind in kinds)


# ---- the program


def measure(part: str, bench: Bench) -> list[dict]:
    if part == "neighbours":
        return [
            judged_neighbours(measure_neighbours(bench, amount, count))
            for amount in AMOUNTS
            for count in NEIGHBOURS
        ]
    if part == "programs":
        return [judged_programs(measure_programs(bench, amount)) for amount in AMOUNTS]
    return [judged_waiting(measure_waiting(bench, rate)) for rate in RATES]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="a tenth: to try it, not to measure")
    parser.add_argument("--venv", type=Path, default=common.ROOT / "build" / "bench-venv")
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "-o", "--output", type=Path, default=common.OUTPUT, help="folder for the results"
    )
    output.add_argument("--keep", action="store_true", help=f"write into {common.KEPT}/CLASS")
    arguments = parser.parse_args()
    if arguments.keep and (arguments.quick or set(arguments.part) != set(PARTS)):
        parser.error("--keep takes all parts, and no --quick")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    if not common.PROGRAM.exists():
        sys.exit(f"{common.PROGRAM} is not built: tools/build, or set LIBRESNET_BUILD")
    python = peers.prepare_venv(arguments.venv.absolute(), [PEER])
    results = {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "machine": common.machine(),
        "commit": common.commit(),
    }
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(python, Path(folder), 10 if arguments.quick else 1)
        probe = bench.start(PEER, WAITING_NET)
        results["version"] = probe.opened["version"]
        probe.close()
        for part in arguments.part:
            results[part] = measure(part, bench)
            print(TABLES[part](results[part]), flush=True)
    output = common.output_folder(arguments, results["machine"])
    common.write_results(output, "busy", results, markdown(results))
    print(f"busy: {summary(results)}; wrote {output}/busy.md and .json")


if __name__ == "__main__":
    try:
        main()
    except RuntimeFailed as failure:
        sys.exit(str(failure))
