"""What the benchmarks share: runtimes in their own processes, models, images, turns,
output.

A runtime is a process that answers lines: bench_model.c for ours, peer_worker.py for the
others. Runtimes take turns, and only one runs at a time. A turn begins when the processes
of all others have stopped using the CPU: thread pools spin for a while after a run before
they sleep. So every runtime may keep its own way of waiting. None is slowed by a setting
that forbids it to spin, and none takes a core from the next.

A turn begins with a few uncounted runs. They bring the runtime's threads and caches to
the state that they have in a program that runs image after image. The counted runs
follow.
"""

from __future__ import annotations

import argparse
import array
import json
import os
import platform
import random
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import cpu_class

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "tests" / "bench"
BUILD = Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build" / "release"))
OUTPUT = ROOT / "build" / "bench"
KEPT = BENCH / "results"  # a folder for each CPU class
PROGRAM = BUILD / "tests" / "bench_model"
IDLE_AT_MOST_S = 1.0  # how long to wait for the others to sleep
TURN_MS = 100.0  # what the counted runs of a turn should take together
MOST_RUNS_A_TURN = 200
# As in tests/nets.py, which needs onnx: the benchmark's own Python may lack it.
CIFAR_NETS = {
    f"{kind}{depth}" for kind in ("resnet", "plain") for depth in (8, 20, 32, 44, 56, 110)
}


class RuntimeFailed(Exception):
    """A runtime ended or did not answer, and why."""


class Runtime:
    """A process that opens and runs one model."""

    def __init__(
        self, name: str, command: list[str | Path], environment: dict[str, str] | None = None
    ) -> None:
        """Start it. `environment`: None for that of this process."""
        self.name = name
        self.opened: dict[str, object] = {}
        self.complaints = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.complaints,
            text=True,
            env=environment,
        )
        self.wait_for("started")
        self.bytes_before = self.memory_bytes("VmHWM")

    def wait_for(self, expected: str | None = None) -> str:
        answer = self.process.stdout.readline().strip()
        if not answer or expected not in (None, answer):
            self.process.kill()
            self.process.wait()
            self.complaints.seek(0)
            lines = self.complaints.read().strip().splitlines()
            raise RuntimeFailed(f"{self.name}: {lines[-1] if lines else 'ended without a word'}")
        return answer

    def ask(self, request: str, expected: str | None = None) -> str:
        try:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; wait_for() reports why
        return self.wait_for(expected)

    def open(self) -> Runtime:
        self.opened = json.loads(self.ask("open"))
        return self

    def kernels(self) -> list[str]:
        """Return the names of the kernels that it chose. Only OpenVINO's worker
        answers."""
        return self.ask("kernels").split()

    def run(self, warm: int, timed: int) -> list[float]:
        """Return the milliseconds of each timed run."""
        return [float(word) for word in self.ask(f"run {warm} {timed}").split()]

    def scores(self) -> array.array:
        with tempfile.NamedTemporaryFile() as file:
            self.ask(f"scores {file.name}", "written")
            return array.array("f", Path(file.name).read_bytes())

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its threads, from the process' CPU-time clock,
        numbered as clock_getcpuclockid(3) does."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def memory_bytes(self, key: str) -> int:
        """Return VmHWM, the most memory that was ever resident, and VmRSS, the memory
        now; see proc_pid_status(5)."""
        return int(first_line(f"/proc/{self.process.pid}/status", key).split()[0]) * 1024

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.complaints.close()


def ours(
    name: str, model: Path, threads: int, batch: int, images: Path, memory: str = "normal"
) -> Runtime:
    return Runtime(name, [PROGRAM, model, str(threads), str(batch), images, memory])


@dataclass
class Timing:
    """The runs of one runtime in all its turns."""

    times: list[float] = field(default_factory=list)  # milliseconds of every counted run
    wall_s: float = 0.0  # of its turns
    cpu_s: float = 0.0  # of its process during them
    others_cpu_s: float = 0.0  # of all other runtimes' processes during them

    @property
    def least(self) -> float:
        return min(self.times)

    def summary(self) -> dict[str, object]:
        return {
            "min_ms": self.least,
            "median_ms": statistics.median(self.times),
            "runs": len(self.times),
            "cores_used": round(self.cpu_s / self.wall_s, 3),
            "cores_used_by_others": round(self.others_cpu_s / self.wall_s, 3),
        }


def wait_until_idle(runtimes: list[Runtime]) -> None:
    end = time.monotonic() + IDLE_AT_MOST_S
    before = sum(runtime.cpu_seconds() for runtime in runtimes)
    while time.monotonic() < end:
        time.sleep(0.005)
        now = sum(runtime.cpu_seconds() for runtime in runtimes)
        if now - before < 1e-4:
            return
        before = now


def take_turn(runtime: Runtime, runtimes: list[Runtime], timing: Timing, runs: int) -> None:
    others = [other for other in runtimes if other is not runtime]
    wait_until_idle(runtimes)
    start, cpu = time.monotonic(), runtime.cpu_seconds()
    others_cpu = sum(other.cpu_seconds() for other in others)
    timing.times += runtime.run(max(1, runs // 4), runs)
    timing.others_cpu_s += sum(other.cpu_seconds() for other in others) - others_cpu
    timing.cpu_s += runtime.cpu_seconds() - cpu
    timing.wall_s += time.monotonic() - start


def runs_a_turn(milliseconds: float) -> int:
    return max(1, min(MOST_RUNS_A_TURN, round(TURN_MS / milliseconds)))


def take_turns(runtimes: list[Runtime], rounds: int, same_work: bool = True) -> dict[str, Timing]:
    """Give every runtime a turn in each round; which one begins moves on with every
    round. Runtimes with the same workload have equally many runs a turn."""
    runs = {runtime.name: runs_a_turn(min(runtime.run(2, 2))) for runtime in runtimes}
    if same_work:
        runs = dict.fromkeys(runs, max(runs.values()))
    timings = {runtime.name: Timing() for runtime in runtimes}
    for index in range(rounds):
        first = index % len(runtimes)
        for runtime in runtimes[first:] + runtimes[:first]:
            take_turn(runtime, runtimes, timings[runtime.name], runs[runtime.name])
    return timings


def make_net(python: Path, folder: Path, net: str, batch: int, size: int | None = None) -> Path:
    """Write a model with random weights and a fixed batch, which needs no runtime to
    support a free one."""
    path = folder / f"{net}-batch{batch}-{size or 'own'}.onnx"
    if not path.exists():
        command = [
            str(python),
            str(ROOT / "tests" / "nets.py"),
            net,
            "-o",
            str(path),
            "--seed=1",
            f"--batch={batch}",
        ]
        subprocess.run(
            command + ([f"--size={size}"] if size else []), check=True, stdout=subprocess.DEVNULL
        )
    return path


def input_size(net: str) -> int:
    return 32 if net in CIFAR_NETS else 224


def make_images(folder: Path, batch: int, size: int) -> Path:
    """Write random pixels, normalised, as (n,3,size,size)."""
    path = folder / f"images-{batch}-{size}.f32"
    if not path.exists():
        normalised = [(pixel / 255 - 0.45) / 0.225 for pixel in range(256)]
        pixels = random.Random(1).randbytes(batch * 3 * size * size)
        path.write_bytes(array.array("f", map(normalised.__getitem__, pixels)).tobytes())
    return path


def relative_error(scores: array.array, expected: array.array) -> float:
    """Return the largest difference over the largest score; infinite if either is not a
    number."""
    if len(scores) != len(expected):
        return float("inf")
    largest = max(abs(value) for value in expected)
    errors = [abs(a - b) for a, b in zip(scores, expected)]
    return (
        max(errors) / largest
        if all(error == error for error in errors) and largest > 0
        else float("inf")
    )


def first_line(path: str, key: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def caches() -> list[str]:
    """Return e.g. ["L1 Data 32K", ...]."""
    found = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        words = [(folder / name).read_text().strip() for name in ("level", "type", "size")]
        found.append(f"L{words[0]} {words[1]} {words[2]}")
    return found


def cpu_name() -> str:
    """Return e.g. "AMD EPYC (family 25, model 17)": virtual machines hide exact names."""
    name, family, model = (
        first_line("/proc/cpuinfo", key) for key in ("model name", "cpu family", "model\t")
    )
    name = name or platform.processor() or platform.machine()
    return f"{name} (family {family}, model {model})" if family and model else name


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def machine() -> dict[str, object]:
    """Describe the machine. `cpu_class`: the CPU's; `class`: the one that our kernels
    choose."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    found = cpu_class.of_cpu(first_line("/proc/cpuinfo", "flags"), platform.machine())
    chosen = cpu_class.of_build(found, read(BUILD / "CMakeCache.txt"))
    return {
        "cpu": cpu_name(),
        "class": chosen,
        "cpu_class": found,
        "cores": len(os.sched_getaffinity(0)),
        "caches": caches(),
        "kernel": system,
        "memory": first_line("/proc/meminfo", "MemTotal"),
        "python": platform.python_version(),
    }


def commit() -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True
    )
    return done.stdout.strip()


class Bystanders:
    """The CPU time that other programs take from now on, on average in cores. Timings
    beside a busy program mean little."""

    def __init__(self) -> None:
        self.busy, self.own, self.start = self.busy_seconds(), self.own_seconds(), time.monotonic()

    @staticmethod
    def busy_seconds() -> float:
        """Return user, nice, system, interrupt and stolen time of all CPUs; see
        proc_stat(5)."""
        words = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return (sum(words) - words[3] - words[4]) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def own_seconds() -> float:
        used = os.times()
        return used.user + used.system + used.children_user + used.children_system

    def cores(self) -> float:
        """Return the average. Child processes count as ours only after they have
        ended."""
        other = (self.busy_seconds() - self.busy) - (self.own_seconds() - self.own)
        return round(max(0.0, other) / (time.monotonic() - self.start), 2)


def write(path: Path, text: str) -> None:
    """Write a file so that an interruption leaves the old one or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(text)
    unfinished.replace(path)


def output_folder(arguments: argparse.Namespace, machine: dict[str, object]) -> Path:
    """Return where results go by the options --keep and --output."""
    return KEPT / str(machine["class"]) if arguments.keep else arguments.output


def write_results(folder: Path, name: str, results: dict, text: str) -> None:
    write(folder / f"{name}.json", json.dumps(results, indent=1) + "\n")
    write(folder / f"{name}.md", text)


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
