"""Test what busy.py does besides measuring: turns, ratios, verdicts, tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import busy
import common
import targets
from busy import OURS, PEER


def times(median: float, p90: float, p99: float) -> dict:
    return {"median_ms": median, "p90_ms": p90, "p99_ms": p99, "runs": 100}


def neighbours(ours: dict, peer: dict) -> dict:
    row = {"net": "resnet20", "neighbours": 1, "runtimes": {OURS: ours, PEER: peer}}
    return busy.judged_neighbours(row)


class FakeRuntime:
    """Takes 2 ms of CPU time a run, and one more after a pause."""

    def __init__(self) -> None:
        self.cpu = 0.0

    def run(self, warm: int, timed: int) -> list[float]:
        self.cpu += 0.002 * (warm + timed) + 0.001
        return [2.0] * timed

    def cpu_seconds(self) -> float:
        return self.cpu


def test_percentiles_are_of_all_runs():
    found = busy.percentiles([float(number) for number in range(100, 0, -1)])
    assert found == {"median_ms": 51.0, "p90_ms": 91.0, "p99_ms": 100.0, "runs": 100}
    assert busy.percentiles([3.0])["p99_ms"] == 3.0


@pytest.mark.parametrize(
    ("p90", "p99", "verdict"), [(1.5, 1.5, "met"), (1.6, 1.0, "missed"), (1.0, 1.6, "missed")]
)
def test_both_tails_count(p90, p99, verdict):
    assert neighbours(times(9, p90, p99), times(1, 1, 1))["verdict"] == verdict


def test_throughput_below_the_peer_is_behind():
    found = {
        ours: busy.judged_programs({"net": "resnet20", "images_per_s": {OURS: ours, PEER: 10}})
        for ours in (12, 11, 9)
    }
    assert [row["verdict"] for row in found.values()] == ["met", "missed", "behind"]


def test_waiting_is_compared_with_the_own_loop():
    cpu = {"cpu_ms": 22.0, "loop_cpu_ms": 20.0}
    row = {"net": "resnet18", "images_per_s": 6, "runtimes": {OURS: cpu, PEER: cpu}}
    assert busy.judged_waiting(row)["verdict"] == targets.MET
    row["runtimes"][OURS] = {"cpu_ms": 22.4, "loop_cpu_ms": 20.0}
    assert busy.judged_waiting(row)["verdict"] == targets.MISSED


def test_cpu_time_of_images_counts_each_pause():
    assert busy.cpu_of_loop(FakeRuntime(), 10) == pytest.approx(2.1)
    assert busy.cpu_of_images(FakeRuntime(), rate=1000, images=10) == pytest.approx(3.0)


def test_programs_at_once_are_summed():
    assert busy.run_at_once([FakeRuntime(), FakeRuntime()], 10) == pytest.approx(1000)


def test_runtimes_begin_in_turn(monkeypatch):
    monkeypatch.setattr(common, "wait_until_idle", lambda runtimes: None)
    assert list(busy.in_turn({"a": [], "b": []}, 3)) == ["a", "b", "b", "a", "a", "b"]


def test_loops_end_with_the_measurement():
    with pytest.raises(ZeroDivisionError), busy.endless_loops(1):
        1 / 0


def test_tables_name_networks_and_verdicts():
    results = {
        "date": "today",
        "machine": {"cpu": "CPU", "class": "avx2", "cpu_class": "avx2", "cores": 2},
        "commit": "abc",
        "version": "1",
        "neighbours": [neighbours(times(1, 2, 3), times(2, 2, 2))],
        "programs": [busy.judged_programs({"net": "resnet18", "images_per_s": {OURS: 3, PEER: 2}})],
        "waiting": [
            busy.judged_waiting(
                {
                    "net": "resnet18",
                    "images_per_s": 1,
                    "runtimes": {
                        OURS: {"cpu_ms": 3.0, "loop_cpu_ms": 2.0},
                        PEER: {"cpu_ms": 2.0, "loop_cpu_ms": 2.0},
                    },
                }
            )
        ],
    }
    text = busy.markdown(json.loads(json.dumps(results)))
    assert "| CIFAR ResNet-20 | 1 | 1 / 2 / 3 | 2 / 2 / 2 | 0.50 / 1.00 / 1.50 |" in text
    assert "| ResNet-18 | 3.0 | 2.0 | 1.50 | 1.20 | met |" in text
    assert "| 1 | 3.0, 2.0, 1.50 | 1.10 | missed | 2.0, 2.0, 1.00 |" in text
    assert busy.summary(results) == "2 met, 1 missed, 0 behind"


def test_only_whole_results_are_kept(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["busy.py", "--keep", "--part", "waiting"])
    with pytest.raises(SystemExit):
        busy.parse_arguments()
    monkeypatch.setattr(sys, "argv", ["busy.py", "--keep"])
    assert busy.parse_arguments().part == list(busy.PARTS)
