#!/usr/bin/env python3
"""Time generated nets in this library and in onnxruntime, side by side in one run.

    python tests/bench/compare_ort.py [--threads 1] [--batch 1] [--rounds 30] [resnet50 resnet18 ...]

The two take turns, run by run, so that other work on the machine disturbs both alike. The ratio is ours to
onnxruntime's; below 1 ours is faster. LIBRESNET_BUILD names the build (build/release).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build" / "release"))
PROGRAM = BUILD / "tests" / "bench_model"
WARM_UP = 3

sys.path.insert(0, str(ROOT / "tests"))


class Ours:
    """The program bench_model, which runs once for every line that it is sent."""

    def __init__(self, path: Path, threads: int, batch: int) -> None:
        command = [str(PROGRAM), str(path), str(threads), str(batch)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            sys.exit(f"{PROGRAM} did not start: see above")

    def run(self) -> float:
        """Milliseconds."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Theirs:
    """onnxruntime on the CPU, with its default optimisations."""

    def __init__(self, path: Path, threads: int, batch: int) -> None:
        import numpy as np
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A thread that spins while it waits would take the core from the other library's turn.
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads == 1 else "0")
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        given = self.session.get_inputs()[0]
        self.input = {given.name: np.zeros((batch, *given.shape[1:]), np.float32) + np.float32(0.5)}

    def run(self) -> float:
        start = time.perf_counter()
        self.session.run(None, self.input)
        return (time.perf_counter() - start) * 1e3


def measure(kind: str, threads: int, batch: int, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of every run: ours, onnxruntime's."""
    import nets
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{kind}.onnx"
        onnx.save(nets.generate(kind, nets.Options(seed=1))[0], path)
        ours, theirs = Ours(path, threads, batch), Theirs(path, threads, batch)
    for _ in range(WARM_UP):
        ours.run()
        theirs.run()
    times = [(ours.run(), theirs.run()) for _ in range(rounds)]
    ours.close()
    return [time[0] for time in times], [time[1] for time in times]


def report(kind: str, ours: list[float], theirs: list[float]) -> str:
    low, middle = min(ours) / min(theirs), statistics.median(ours) / statistics.median(theirs)
    return (f"{kind:<10} ours min {min(ours):8.2f} median {statistics.median(ours):8.2f} ms   "
            f"onnxruntime min {min(theirs):8.2f} median {statistics.median(theirs):8.2f} ms   "
            f"ratio of minima {low:.3f}, of medians {middle:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=["resnet50", "resnet18"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    if not PROGRAM.exists():
        sys.exit(f"{PROGRAM} is not built: tools/build, or set LIBRESNET_BUILD")
    print(f"threads {arguments.threads}, batch {arguments.batch}, {arguments.rounds} rounds, taking turns")
    for kind in arguments.nets:
        print(report(kind, *measure(kind, arguments.threads, arguments.batch, arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
