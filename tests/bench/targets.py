"""What peers.py runs by default, its target on each CPU class, and the verdict.

A target is the minimum time of the fastest peer that computes in float32, over ours.
Targets are fixed: none follows from a measurement. Without a target it is 1.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from common import CIFAR_NETS

LOWEST_TARGET = 1.0
MET, MISSED, BEHIND = "met", "missed", "behind"
# What busy.py asks for: times over onnxruntime's at most, summed throughput over
# onnxruntime's at least, CPU time of a paced image over a tight loop's at most.
BUSY_TIMES = {"p90": 1.5, "p99": 1.5}
BUSY_THROUGHPUT = 1.2
WAITING_CPU = 1.1


@dataclass(frozen=True)
class Workload:
    net: str
    threads: int
    batch: int
    targets: dict[str, float] = field(default_factory=dict, hash=False)  # by CPU class

    def __post_init__(self) -> None:
        for name, target in self.targets.items():
            if target < LOWEST_TARGET:
                raise ValueError(f"{self}: a target of {target} for {name} would be a loss")

    @classmethod
    def parse(cls, text: str) -> Workload:
        """Parse NET:THREADS:BATCH; threads and batch may be left out."""
        net, threads, batch = (text.split(":") + ["1", "1"])[:3]
        return find(net, int(threads), int(batch))

    @property
    def key(self) -> tuple[str, int, int]:
        return self.net, self.threads, self.batch

    def target(self, cpu_class: str) -> float:
        return self.targets.get(cpu_class, LOWEST_TARGET)

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"{title(self.net)}, {threads}, batch {self.batch}"


def on_x86(net: str, threads: int, batch: int, avx2: float, avx512: float) -> Workload:
    return Workload(net, threads, batch, {"avx2": avx2, "avx512": avx512})


WORKLOADS = (
    on_x86("resnet18", 1, 1, 1.9, 1.6),
    on_x86("resnet34", 1, 1, 1.7, 1.6),
    on_x86("resnet50", 1, 1, 1.35, 1.2),
    on_x86("resnext50", 1, 1, 1.3, 1.3),
    on_x86("resnet18", 2, 8, 1.8, 1.8),
    on_x86("resnet50", 2, 8, 1.35, 1.35),
    on_x86("resnet20", 1, 1, 1.6, 1.5),
    on_x86("resnet56", 1, 1, 1.6, 1.7),
    on_x86("resnet18", 2, 1, 1.45, 1.45),
    on_x86("resnet34", 2, 1, 1.4, 1.4),
    on_x86("resnet50", 2, 1, 1.2, 1.2),
    on_x86("resnext50", 2, 1, 1.2, 1.1),
    on_x86("resnet20", 2, 1, 1.6, 1.8),
    on_x86("resnet56", 2, 1, 1.4, 1.8),
)


def find(net: str, threads: int, batch: int) -> Workload:
    """Return the workload with its targets, or one without where none are set."""
    known = next((one for one in WORKLOADS if one.key == (net, threads, batch)), None)
    return known or Workload(net, threads, batch)


def title(net: str) -> str:
    kind, depth = re.fullmatch(r"(.*?)(\d+)", net).groups()
    name = {"resnet": "ResNet", "resnext": "ResNeXt", "wide": "Wide ResNet", "plain": "plain"}[kind]
    return f"{'CIFAR ' * (net in CIFAR_NETS)}{name}-{depth}{' 32x4d' * (kind == 'resnext')}"


def verdict(ratio: float | None, target: float) -> str | None:
    """Return BEHIND below 1.0 for any target, and None where no peer ran."""
    if ratio is None:
        return None
    if ratio < 1.0:
        return BEHIND
    return MET if ratio >= target else MISSED


def at_most(ratio: float, target: float) -> str:
    return MET if ratio <= target else MISSED


def verdict_text(row: dict) -> str:
    if row["verdict"] != MISSED:
        return row["verdict"] or ""
    percent = 100 * (1 - row["ratio"] / row["target"])
    return f"missed by {percent:.0f} %" if percent >= 1 else f"missed by {max(percent, 0.1):.1f} %"
