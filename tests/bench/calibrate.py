"""Measure the constants of the cost model (runtime/plan/cost_constants.c) on this CPU.

    python tests/bench/calibrate.py [--build build/release ...] [--rounds 8] [--save FILE]

Each layer of six networks, and a few depthwise ones, are computed by every algorithm
that applies, on one thread. The constants follow by least squares over the relative
errors. The unit is a multiply-accumulate of XNNPACK's convolution. Layers of ImageNet
networks read their weights from memory, since a network's weights exceed the caches; the
others are hot.

For each build, i.e. each CPU class (-DRESNET_VECTORS=1: avx2, 0: portable), this
prints:

    the constants of the source and those that this CPU would have
    how far the predictions of both are from the times
    the layers where the source's constants choose an algorithm that is not the fastest,
    and what that costs each network

XNNPACK reads the CPU's features: for a lower class than the CPU's, its times would be
those of the higher one. They are left out, and the unit is taken from our own matrix
product instead.
Constants serve all CPUs of a class: those of one CPU may lose on another.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import common

EVICT = 2  # times the largest cache
NEAR = 2.0  # times the fastest algorithm of a layer: slower ones are not fitted
MARGIN = 1.12  # as in select_kernels.c: fewer bytes win up to this cost
LIMITS = ("simd", "panel", "starving_bytes", "starving_rows")

# height, width, channels, outputs, kernel, stride, pad, groups
Layer = tuple[int, int, int, int, int, int, int, int]


def blocks(channels: int, side: int, depths: list[int], wide: int, groups: int) -> Counter[Layer]:
    """Return the layers of the stages of a network. wide: 1 for basic blocks, else the
    factor of a bottleneck's expansion."""
    layers: Counter[Layer] = Counter()
    into = channels
    for stage, depth in enumerate(depths):
        base = channels << stage
        inner = base * (2 if groups > 1 else 1)
        out = base * wide
        for block in range(depth):
            stride = 2 if stage and not block else 1
            after = side // stride
            if wide == 1:
                layers[side, side, into, base, 3, stride, 1, 1] += 1
                layers[after, after, base, base, 3, 1, 1, 1] += 1
            else:
                layers[side, side, into, inner, 1, 1, 0, 1] += 1
                layers[side, side, inner, inner, 3, stride, 1, groups] += 1
                layers[after, after, inner, out, 1, 1, 0, 1] += 1
            if into != out:
                layers[side, side, into, out, 1, stride, 0, 1] += 1
            into, side = out, after
    return layers


def imagenet(depths: list[int], wide: int, groups: int = 1) -> Counter[Layer]:
    head: Counter[Layer] = Counter({(224, 224, 3, 64, 7, 2, 3, 1): 1})
    head[1, 1, 512 * wide, 1000, 1, 1, 0, 1] += 1
    return head + blocks(64, 56, depths, wide, groups)


def cifar(depth: int) -> Counter[Layer]:
    layers = Counter({(32, 32, 3, 16, 3, 1, 1, 1): 1}) + blocks(16, 32, [depth] * 3, 1, 1)
    # option A: no projections
    return Counter({one: count for one, count in layers.items() if one[4] > 1})


NETWORKS = {
    "ResNet-18": imagenet([2, 2, 2, 2], 1),
    "ResNet-34": imagenet([3, 4, 6, 3], 1),
    "ResNet-50": imagenet([3, 4, 6, 3], 4),
    "ResNeXt-50": imagenet([3, 4, 6, 3], 4, 32),
    "CIFAR ResNet-20": cifar(3),
    "CIFAR ResNet-56": cifar(9),
    "depthwise layers": Counter(
        {
            (112, 112, 64, 64, 3, 2, 1, 64): 1,  # BlurPool
            (56, 56, 128, 128, 3, 1, 1, 128): 1,
            (28, 28, 256, 256, 5, 1, 2, 256): 1,
            (14, 14, 512, 512, 3, 1, 1, 512): 1,
        }
    ),
}


@dataclass
class Run:
    """One algorithm of a layer."""

    layer: Layer
    name: str
    nanoseconds: float
    cost: float  # by the source's constants
    bytes: float
    base: float
    terms: dict[str, float]


@dataclass
class Measured:
    constants: dict[str, float | str]
    runs: list[Run] = field(default_factory=list)


def is_hot(layer: Layer) -> bool:
    return layer[0] <= 32 and layer[3] <= 64 and layer[2] <= 64


def largest_cache() -> int:
    sizes = [
        int(text[:-1]) << {"K": 10, "M": 20, "G": 30}[text[-1]]
        for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
        if (text := common.read(path).strip())
    ]
    return max(sizes, default=32 << 20)


def measure(build: Path, rounds: int, cpu: str) -> Measured:
    layers = sorted({layer for network in NETWORKS.values() for layer in network})
    words = "\n".join(" ".join(map(str, layer)) for layer in layers)
    command = [build / "tests" / "bench_layers", str(rounds), str(EVICT * largest_cache())]
    done = subprocess.run(command, input=words, stdout=subprocess.PIPE, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    measured = Measured(lines[0])
    left_out = () if lines[0]["simd"] == cpu else ("conv", "addition")
    rest = iter(layers)
    layer = next(rest)
    for line in lines[1:]:
        if not line:
            layer = next(rest, layer)
            continue
        if line["name"] in left_out:
            continue
        time = line["hot"] if is_hot(layer) else line["cold"]
        measured.runs.append(
            Run(layer, line["name"], time, line["cost"], line["bytes"], line["base"], line["terms"])
        )
    return measured


def least_squares(rows: list[list[float]], wanted: list[float]) -> list[float]:
    """Solve by the normal equations with a little ridge; negative results become 0."""
    count = len(rows[0])
    used = [i for i in range(count) if any(row[i] for row in rows)]
    while True:
        size = len(used)
        matrix = [
            [sum(row[a] * row[b] for row in rows) for b in used]
            + [sum(row[a] * y for row, y in zip(rows, wanted))]
            for a in used
        ]
        for i in range(size):
            matrix[i][i] *= 1 + 1e-9
        for i in range(size):
            pivot = max(range(i, size), key=lambda k: abs(matrix[k][i]))
            matrix[i], matrix[pivot] = matrix[pivot], matrix[i]
            for k in range(size):
                if k != i:
                    factor = matrix[k][i] / matrix[i][i]
                    matrix[k] = [x - factor * y for x, y in zip(matrix[k], matrix[i])]
        found = [matrix[i][size] / matrix[i][i] for i in range(size)]
        if min(found) >= 0:
            return [found[used.index(i)] if i in used else 0.0 for i in range(count)]
        used.pop(found.index(min(found)))


def near_the_fastest(measured: Measured) -> list[Run]:
    """Return the runs whose order matters: those not far slower than the fastest."""
    least = {}
    for run in measured.runs:
        if run.name != "addition":
            least[run.layer] = min(run.nanoseconds, least.get(run.layer, run.nanoseconds))
    return [
        run
        for run in measured.runs
        if run.name == "addition" or run.nanoseconds <= NEAR * least[run.layer]
    ]


def fit(measured: Measured) -> tuple[float, dict[str, float]]:
    """Return the nanoseconds of a unit, and the constants."""
    names = list(measured.runs[0].terms)
    rows = [
        [run.base / run.nanoseconds, *(run.terms[name] / run.nanoseconds for name in names)]
        for run in near_the_fastest(measured)
    ]
    unit, *found = least_squares(rows, [1.0] * len(rows))
    if unit == 0.0:  # XNNPACK is left out
        unit = found[names.index("product")] / float(measured.constants["product"])
    return unit, {name: value / unit for name, value in zip(names, found)}


def cost(run: Run, constants: dict[str, float]) -> float:
    return run.base + sum(constants[name] * term for name, term in run.terms.items())


def source_unit(measured: Measured) -> float:
    """Return the nanoseconds of a unit that suit the source's constants best."""
    ratios = sorted(run.nanoseconds / run.cost for run in near_the_fastest(measured))
    return ratios[len(ratios) // 2]


def error(measured: Measured, unit: float, constants: dict[str, float]) -> tuple[float, float]:
    """Return the median and the ninth decile of the relative errors."""
    errors = sorted(
        abs(unit * cost(run, constants) / run.nanoseconds - 1) for run in near_the_fastest(measured)
    )
    return errors[len(errors) // 2], errors[len(errors) * 9 // 10]


def candidates(measured: Measured, layer: Layer) -> list[Run]:
    return [run for run in measured.runs if run.layer == layer and run.name != "addition"]


def choose(runs: list[Run], constants: dict[str, float]) -> Run:
    """Choose as select_kernels.c does for one layer alone."""
    runs = sorted(runs, key=lambda run: -run.bytes)
    least = min(cost(run, constants) for run in runs)
    plain = min(
        (run for run in runs if run.bytes == runs[-1].bytes), key=lambda r: cost(r, constants)
    )
    listed = [run for run in runs if run.bytes > plain.bytes] + [plain]
    return [run for run in listed if cost(run, constants) <= MARGIN * least][-1]


def print_choices(measured: Measured, constants: dict[str, float]) -> None:
    chosen, fastest = {}, {}
    for layer in {run.layer for run in measured.runs}:
        runs = candidates(measured, layer)
        chosen[layer] = choose(runs, constants)
        fastest[layer] = min(runs, key=lambda run: run.nanoseconds)
        lost = chosen[layer].nanoseconds / fastest[layer].nanoseconds - 1
        if lost > 0.02:
            print(
                f"  {layer}: {chosen[layer].name} takes {chosen[layer].nanoseconds / 1e3:.0f} us, "
                f"{fastest[layer].name} {fastest[layer].nanoseconds / 1e3:.0f} us (+{lost:.0%})"
            )
    for name, network in NETWORKS.items():
        ours = sum(count * chosen[layer].nanoseconds for layer, count in network.items())
        best = sum(count * fastest[layer].nanoseconds for layer, count in network.items())
        wrong = sum(
            count * (chosen[layer].nanoseconds > 1.02 * fastest[layer].nanoseconds)
            for layer, count in network.items()
        )
        total = sum(network.values())
        print(
            f"  {name}: {wrong} of {total} layers are not within 2 % of the fastest, which costs "
            f"{ours / best - 1:.1%} of {ours / 1e6:.2f} ms"
        )


def report(measured: Measured) -> None:
    source = {
        name: float(value) for name, value in measured.constants.items() if name not in LIMITS
    }
    unit, found = fit(measured)
    print(f"class {measured.constants['simd']}: a unit takes {unit * 1e3:.2f} ps")
    print("  constant         source  this CPU")
    for name in measured.constants:
        if name not in LIMITS:
            print(f"  {name:12} {source[name]:10.3g} {found[name]:9.3g}")
    for what, of, constants in (
        ("source", source_unit(measured), source),
        ("this CPU", unit, found),
    ):
        middle, high = error(measured, of, constants)
        print(f"predictions by {what}: off by {middle:.0%} (median), {high:.0%} (nine in ten)")
    for what, constants in (("source", source), ("this CPU", found)):
        print(f"choices by the constants of {what}:")
        print_choices(measured, constants)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, nargs="+", default=[common.BUILD])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--save", type=Path, help="the measurements, as JSON")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    machine = common.machine()
    print(f"{common.cpu_name()}: class {machine['cpu_class']}, {common.commit()}")
    saved = {}
    for build in arguments.build:
        measured = measure(build, arguments.rounds, str(machine["cpu_class"]))
        report(measured)
        saved[str(measured.constants["simd"])] = [vars(run) for run in measured.runs]
    if arguments.save:
        common.write(arguments.save, json.dumps(saved) + "\n")


if __name__ == "__main__":
    main()
