"""resnet inspect --per-op and --peak: what they print adds up. No absolute time."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
from conftest import resnet, resnet_json

MODEL = Path(__file__).resolve().parents[2] / "models/cifar10-resnet20.onnx"
BOUNDS = {"", "arithmetic", "weights", "memory"}


def test_inspect_counts_the_multiplications_of_winograd():
    ops = resnet_json("inspect", MODEL)["ops"]
    assert all(op["multiplications"] == op["macs"] for op in ops if "winograd" not in op["kernel"])
    whole = [op for op in ops if "winograd 4x4" in op["detail"] and op["shape"] == [32, 32, 16]]
    # 36 products for 16 outputs of 9 taps
    assert whole and all(4 * op["multiplications"] == op["macs"] for op in whole)


def test_inspect_without_times_runs_nothing():
    document = resnet_json("inspect", MODEL)
    assert "speed" not in document
    assert all("nanoseconds" not in op for op in document["ops"])


def test_inspect_per_op():
    document = resnet_json("inspect", "--per-op", MODEL)
    ops, speed = document["ops"], document["speed"]
    assert set(speed) == {"threads", "runs", "nanoseconds"}
    assert speed["threads"] == 1 and speed["runs"] >= 5
    assert math.isclose(sum(op["share"] for op in ops), 1, rel_tol=1e-9)
    assert math.isclose(sum(op["nanoseconds"] for op in ops), speed["nanoseconds"], rel_tol=1e-9)
    for op in ops:
        assert math.isclose(
            op["gflops"] * op["nanoseconds"], 2 * op["multiplications"], rel_tol=1e-9
        )
        assert math.isclose(op["direct_gflops"] * op["nanoseconds"], 2 * op["macs"], rel_tol=1e-9)
        moved = op["weights_bytes"] + op["output_bytes"]
        moved += sum(ops[i]["output_bytes"] for i in op["inputs"])
        assert math.isclose(op["gbytes"] * op["nanoseconds"], moved, rel_tol=1e-9)
        assert "peak_share" not in op


def test_inspect_peak():
    document = resnet_json("inspect", "--peak", MODEL)
    ops, speed = document["ops"], document["speed"]
    assert speed["instructions"] in ("avx512", "avx2", "sse2", "neon", "scalar")
    assert speed["peak_gflops"] > 0 and speed["peak_gbytes"] > 0
    for op in ops:
        assert math.isclose(op["peak_share"] * speed["peak_gflops"], op["gflops"], rel_tol=1e-9)
        assert op["bound"] in BOUNDS
        assert op["bound"] != "memory" or op["macs"] == 0


def test_inspect_prints_the_peak():
    text = resnet("inspect", "--per-op", "--peak", MODEL).stdout.decode()
    assert "GFLOP/s  direct  GB/s  peak" in text
    assert "\nsum  " in text and "\npeak  " in text
    plain = resnet("inspect", "--per-op", MODEL).stdout.decode()
    assert "direct" in plain and "\npeak" not in plain


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
