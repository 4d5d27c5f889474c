#!/usr/bin/env python3
"""Measure libresnet beside the runtimes that one could install instead, in turn, in one
run.

    python3 tests/bench/peers.py [--quick] [--rounds 40] [--work resnet50:2:8 ...]
                                 [--peers onnxruntime ncnn ...] [--class avx2] [--keep]
    python3 tests/bench/peers.py --render tests/bench/results/avx512/peers.json

The peers are installed from PyPI into build/bench-venv the first time. Writes peers.md,
peers.json and peers.svg into build/bench. Times are those of a batch. Ratios are of
minimum times, the fastest peer's over ours: above 1 ours is faster. All compute in
float32, except "openvino-default": OpenVINO without a precision set, shown but not
compared with. ncnn runs the network as pnnx converts it. common.py explains how turns are
taken.

A workload is NET:THREADS:BATCH with a network of tests/nets.py. LIBRESNET_BUILD names the
build (build/release). Targets depend on the CPU class: see targets.py and cpu_class.py.

--class avx2 measures that class on a CPU with AVX-512. It needs a build with
-DRESNET_VECTORS=1, restricts the peers that can be restricted, and lists the others.
--keep writes to tests/bench/results/CLASS instead; readme.py then renews the README.
--render renews .md and .svg from a .json, with the current table of targets.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
import cpu_class
import report
import targets
from common import BUILD, Runtime, RuntimeFailed
from cpu_class import Restriction
from report import OURS, PEERS
from targets import Workload

PACKAGES = {
    "onnxruntime": ["onnxruntime"],
    "openvino": ["openvino"],
    "openvino-default": ["openvino"],
    "ncnn": ["ncnn", "pnnx"],
}
REFERENCE = "onnxruntime"
# Another order of float32 sums, and Winograd, make differences of about 1e-6; a wrong
# answer differs by far more.
ERROR_LIMIT = 1e-3
OPENED_NET = "resnet50"


# ---- the peers' environment


def has(python: Path, package: str) -> bool:
    code = f"import importlib.metadata as m; m.version('{package}')"
    return subprocess.run([str(python), "-c", code], stderr=subprocess.DEVNULL).returncode == 0


def prepare_venv(folder: Path, peers: list[str]) -> Path:
    """Return the Python of an environment with the peers, numpy and onnx."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"peers: making {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    wanted = dict.fromkeys(
        ["numpy", "onnx", *(package for peer in peers for package in PACKAGES[peer])]
    )
    missing = [package for package in wanted if not has(python, package)]
    for package in missing:
        print(f"peers: installing {package} from PyPI into {folder}", flush=True)
        # Only pnnx's program is used. It needs none of the dependencies of its Python
        # package: PyTorch, CUDA.
        alone = ["--no-deps"] if package == "pnnx" else []
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", *alone, package], check=True
        )
    return python


# ---- one run


class Bench:
    def __init__(
        self,
        python: Path,
        folder: Path,
        peers: list[str],
        measured_class: str,
        restriction: Restriction | None = None,
    ) -> None:
        self.python, self.folder, self.peers = python, folder, peers
        self.measured_class, self.restriction = measured_class, restriction
        self.versions: dict[str, str] = {}
        self.library_bytes: dict[str, int] = {}
        self.unconverted: dict[str, str] = {}  # why ncnn has no file of a model

    def net(self, work: Workload) -> Path:
        return common.make_net(self.python, self.folder, work.net, work.batch)

    def converted(self, net: str) -> Path:
        """Return ncnn's file of a model, which is converted with a batch of one and runs
        any."""
        folder = self.folder / "ncnn"
        folder.mkdir(exist_ok=True)
        path = folder / f"{net}.ncnn.param"
        if net not in self.unconverted and not path.exists():
            onnx = shutil.copy(
                common.make_net(self.python, self.folder, net, 1), folder / f"{net}.onnx"
            )
            command = [str(self.python), str(common.BENCH / "ncnn_convert.py"), str(onnx)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                self.unconverted[net] = (done.stderr.strip().splitlines() or ["no message"])[-1]
        if net in self.unconverted:
            raise RuntimeFailed(f"ncnn: {self.unconverted[net]}")
        return path

    def peer(self, name: str, work: Workload) -> Runtime:
        model = self.converted(work.net) if name == "ncnn" else self.net(work)
        command = [
            self.python,
            common.BENCH / "peer_worker.py",
            name,
            model,
            str(work.threads),
            str(work.batch),
            self.images(work),
        ]
        return Runtime(name, command, peer_environment(name, self.restriction))

    def images(self, work: Workload) -> Path:
        return common.make_images(self.folder, work.batch, common.input_size(work.net))

    def ours(self, work: Workload, model: Path | None = None, memory: str = "normal") -> Runtime:
        return common.ours(
            OURS, model or self.net(work), work.threads, work.batch, self.images(work), memory
        )

    def start(self, name: str, work: Workload) -> Runtime:
        runtime = self.ours(work) if name == OURS else self.peer(name, work)
        self.note(runtime.open())
        if self.restriction and name in self.restriction.environments:
            self.restriction.check(name, runtime.kernels())
        return runtime

    def note(self, runtime: Runtime) -> None:
        self.versions[runtime.name] = str(runtime.opened["version"])
        if "library_bytes" in runtime.opened:
            self.library_bytes[runtime.name] = int(runtime.opened["library_bytes"])


def start_all(bench: Bench, work: Workload, found: dict[str, dict]) -> list[Runtime]:
    """Start the runtimes that can run the workload; why others cannot goes into
    `found`."""
    runtimes = []
    for name in (OURS, *bench.peers):
        try:
            runtimes.append(bench.start(name, work))
            found[name] = {"precision": runtimes[-1].opened["precision"]}
        except RuntimeFailed as failure:
            if name == OURS:
                sys.exit(str(failure))
            print(f"peers: {work}: no figure: {failure}", flush=True)
            found[name] = {"reason": str(failure)}
    return runtimes


def check_scores(runtimes: list[Runtime], work: Workload, found: dict[str, dict]) -> list[Runtime]:
    """Compare the scores with the reference's. Leave out a wrong peer; exit if ours are
    wrong."""
    scores = {runtime.name: runtime.scores() for runtime in runtimes}
    expected = scores.get(REFERENCE)
    if expected is None:
        return runtimes
    right = []
    for runtime in runtimes:
        name, error = runtime.name, common.relative_error(scores[runtime.name], expected)
        found[name]["error"] = error
        if found[name]["precision"] != "fp32" or error <= ERROR_LIMIT:
            right.append(runtime)
            continue
        message = (
            f"{name}: {work}: scores differ from {REFERENCE}'s by {error:.1e}, "
            f"{ERROR_LIMIT:g} is allowed"
        )
        if name == OURS:
            sys.exit(message)
        found[name]["reason"] = message
        print(f"peers: no figure: {message}", flush=True)
        runtime.close()
    return right


def measure(bench: Bench, work: Workload, rounds: int) -> dict:
    found: dict[str, dict] = {}
    runtimes = check_scores(start_all(bench, work, found), work, found)
    for name, timing in common.take_turns(runtimes, rounds).items():
        found[name] |= timing.summary()
    for runtime in runtimes:
        runtime.close()
    row = {"net": work.net, "threads": work.threads, "batch": work.batch, "runtimes": found}
    report.compare(row, bench.measured_class)
    shown = ", ".join(f"{name} {report.cell(runtime)}" for name, runtime in found.items())
    print(
        f"{work}: {shown} ms; best peer / ours {report.ratio_text(row['ratio'])}, target"
        f" {row['target']:.2f}: {targets.verdict_text(row) or 'no peer'}",
        flush=True,
    )
    return row


# ---- opening, memory, size


def compile_plan(bench: Bench, work: Workload) -> Path:
    plan = bench.folder / f"{work.net}.resnet"
    if not plan.exists():
        command = [str(BUILD / "resnet"), "compile", str(bench.net(work)), "-o", str(plan)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            messages = done.stderr.strip().splitlines() or ["no message"]
            raise RuntimeFailed(f"libresnet, compiled plan: {messages[0]}")
    return plan


def openers(bench: Bench, work: Workload) -> dict:
    """Return {title: function that starts it} for everything that can be opened."""
    found = {
        OURS: lambda: bench.ours(work),
        f"{OURS}, small memory": lambda: bench.ours(work, memory="small"),
        f"{OURS}, compiled plan": lambda: bench.ours(work, compile_plan(bench, work)),
    }
    for name in bench.peers:
        kind = ", its own converted file" if name == "ncnn" else ""
        found[PEERS[name] + kind] = lambda name=name: bench.peer(name, work)
    return found


def open_once(start) -> dict[str, float]:
    runtime = start()
    common.wait_until_idle([runtime])
    load = float(runtime.open().opened["load_ms"])
    found = {
        "load_ms": load - min(runtime.run(0, 5)),
        "before_bytes": runtime.bytes_before,
        "peak_bytes": runtime.memory_bytes("VmHWM"),
        "resident_bytes": runtime.memory_bytes("VmRSS"),
    }
    runtime.close()
    return found


def measure_opening(bench: Bench, rounds: int) -> dict[str, dict]:
    """Open each runtime in a new process in every round, with the files in the page
    cache."""
    samples: dict[str, list] = {}
    failed: dict[str, dict] = {}
    starts = openers(bench, Workload(OPENED_NET, 1, 1))
    for _ in range(rounds):
        for name in [name for name in starts if name not in failed]:
            try:
                samples.setdefault(name, []).append(open_once(starts[name]))
            except RuntimeFailed as failure:
                failed[name] = {"reason": str(failure)}
                print(f"peers: opening {OPENED_NET}: no figure: {failure}", flush=True)
    return {name: failed.get(name) or summarise_opening(samples[name]) for name in starts}


def summarise_opening(samples: list[dict[str, float]]) -> dict[str, float]:
    loads = [sample["load_ms"] for sample in samples]
    memory = {
        key: statistics.median(sample[key] for sample in samples)
        for key in ("peak_bytes", "resident_bytes", "before_bytes")
    }
    return {"load_min_ms": min(loads), "load_median_ms": statistics.median(loads)} | memory


def our_library_bytes() -> dict[str, int]:
    """Return libresnet.so's size as installed, and with libraries installed beside it."""
    library = BUILD / "libresnet.so"
    if not library.exists():
        print(f"peers: no size of ours: {library} is not built")
        return {}
    with tempfile.NamedTemporaryFile() as stripped:
        subprocess.run(["strip", "--strip-unneeded", "-o", stripped.name, str(library)], check=True)
        size = os.path.getsize(stripped.name)
    needed = subprocess.run(["ldd", str(library)], capture_output=True, text=True).stdout.split()
    beside = [
        path
        for path in needed
        if path.startswith("/") and ("pthreadpool" in path or "cpuinfo" in path)
    ]
    return library_sizes(size, [os.path.getsize(path) for path in beside])


def library_sizes(ours: int, beside: list[int]) -> dict[str, int]:
    """Return a second row only where such libraries exist: they may be inside ours."""
    both = {f"{OURS} with pthreadpool and cpuinfo": ours + sum(beside)} if beside else {}
    return {OURS: ours} | both


# ---- restricted to a lower class


def peer_environment(name: str, restriction: Restriction | None) -> dict[str, str]:
    """Return this process' environment, with no restriction but the wanted one."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if key not in cpu_class.RESTRICTING_VARIABLES
    }
    return inherited | (restriction.environments.get(name, {}) if restriction else {})


def has_xnnpack_kernels(program: bytes, names: tuple[str, ...]) -> bool:
    """Return whether the program's symbols name XNNPACK kernels of these classes."""
    return any(re.search(rb"xnn_\w+_" + name.encode(), program) for name in names)


def restrict(wanted: str | None, machine: dict, peers: list[str]) -> Restriction | None:
    """Return how to measure class `wanted`; None where nothing has to be restricted."""
    if wanted is None or wanted == machine["class"] == machine["cpu_class"]:
        return None
    if wanted != machine["class"]:
        needed = {name: vectors for vectors, name in cpu_class.VECTORS.items()}.get(wanted)
        remedy = f"; build with -DRESNET_VECTORS={needed}" if needed else ""
        sys.exit(f"--class {wanted}: {BUILD} measures class {cpu_class.describe(machine)}{remedy}")
    if wanted not in cpu_class.ENVIRONMENTS:
        sys.exit(f"--class {wanted}: no peer can be restricted to it; measure on such a CPU")
    names = cpu_class.classes_above(wanted)
    return Restriction(wanted, peers, has_xnnpack_kernels(common.PROGRAM.read_bytes(), names))


def check_kept(machine: dict, restriction: Restriction | None) -> None:
    """Exit where --keep would file a restricted build beside unrestricted peers."""
    if machine["class"] != machine["cpu_class"] and not restriction:
        sys.exit(
            f"--keep: the build measures class {cpu_class.describe(machine)}, but the peers"
            f" are not restricted: add --class {machine['class']}"
        )


# ---- the program


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work",
        nargs="+",
        type=Workload.parse,
        default=list(targets.WORKLOADS),
        metavar="NET:THREADS:BATCH",
    )
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument(
        "--rounds", type=int, default=40, help="turns of every runtime (default 40)"
    )
    parser.add_argument(
        "--opening-rounds",
        type=int,
        default=7,
        help=f"of opening {OPENED_NET} (default 7; 0: none)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="3 rounds, one opening: to try it, not to measure"
    )
    parser.add_argument(
        "--venv",
        type=Path,
        default=common.ROOT / "build" / "bench-venv",
        help="where the peers are",
    )
    parser.add_argument(
        "--class",
        dest="wanted_class",
        choices=cpu_class.CLASSES,
        help="the CPU class to measure (default: what the build chooses)",
    )
    parser.add_argument(
        "--render",
        type=Path,
        metavar="FILE.json",
        help="measure nothing: write .md and .svg of these results anew",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "-o", "--output", type=Path, default=common.OUTPUT, help="folder for the results"
    )
    output.add_argument("--keep", action="store_true", help=f"write into {common.KEPT}/CLASS")
    arguments = parser.parse_args()
    whole = (set(arguments.peers), arguments.work) == (set(PEERS), list(targets.WORKLOADS))
    if arguments.keep and (arguments.quick or not whole or arguments.opening_rounds < 1):
        parser.error("--keep takes all workloads, peers and openings, and no --quick")
    if arguments.quick:
        arguments.rounds, arguments.opening_rounds = 3, 1
    if arguments.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return arguments


def write_results(folder: Path, results: dict) -> None:
    common.write_results(folder, "peers", results, report.markdown(results))
    common.write(folder / "peers.svg", report.svg(results))
    print(f"peers: wrote {folder}/peers.md, .json and .svg")


def render(path: Path) -> None:
    results = json.loads(path.read_text())
    report.refresh(results)
    write_results(path.parent, results)


def measure_all(
    arguments: argparse.Namespace, python: Path, machine: dict, restriction: Restriction | None
) -> dict:
    results = {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "machine": machine,
        "class": machine["class"],
        "rounds": arguments.rounds,
        "commit": common.commit(),
        "opened_net": OPENED_NET,
    }
    bystanders = common.Bystanders()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(python, Path(folder), arguments.peers, machine["class"], restriction)
        results["workloads"] = [measure(bench, work, arguments.rounds) for work in arguments.work]
        rounds = arguments.opening_rounds
        results["openings"] = measure_opening(bench, rounds) if rounds else {}
    results["restriction"] = restriction.record() if restriction else None
    results["versions"] = bench.versions
    results["library_bytes"] = our_library_bytes() | {
        PEERS[name]: size
        for name, size in bench.library_bytes.items()
        if name != report.NOT_COMPARED
    }
    results["bystanders_cores"] = bystanders.cores()
    return results


def main() -> None:
    arguments = parse_arguments()
    if arguments.render:
        render(arguments.render)
        return
    if not common.PROGRAM.exists():
        sys.exit(f"{common.PROGRAM} is not built: tools/build, or set LIBRESNET_BUILD")
    machine = common.machine()
    restriction = restrict(arguments.wanted_class, machine, arguments.peers)
    if arguments.keep:
        check_kept(machine, restriction)
    python = prepare_venv(arguments.venv.absolute(), arguments.peers)
    print(f"peers: class {cpu_class.describe(machine)}", flush=True)
    results = measure_all(arguments, python, machine, restriction)
    print(report.markdown(results))
    write_results(common.output_folder(arguments, machine), results)
    print("\n".join(f"peers: {line}" for line in report.summary_lines(results)))


if __name__ == "__main__":
    try:
        main()
    except RuntimeFailed as failure:
        sys.exit(str(failure))
