#!/usr/bin/env python3
"""Fuzz for a given CPU time, keep what is useful, and measure how much of the code it
reaches.

    tools/build fuzz
    python3 tests/fuzz/run.py fuzz [TARGET...] --minutes 30
    python3 tests/fuzz/run.py merge [TARGET...]
    python3 tests/fuzz/run.py coverage
    python3 tests/fuzz/run.py report

fuzz: --minutes is the CPU time for each target; runs with nice, and resumes.
merge: minimise what was found into tests/fuzz/corpus_found.
coverage: list the lines of loader/ and runtime/plan/lower.c that are reached.
report: show CPU time, executions and findings so far.

Targets: bytes and model (ONNX, by its bytes and by its structure), gzip, plan, image.
build/fuzz-work holds corpora, logs, findings, and ledger.json, which adds up what was
done for each commit. A finding is minimised there; it moves to tests/fuzz/regressions
with the commit that fixes the bug.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROGRAMS = ROOT / "build" / "fuzz" / "tests"
WORK = ROOT / "build" / "fuzz-work"
LEDGER = WORK / "ledger.json"
TARGETS = {  # dictionary, folders of seeds
    "bytes": ("onnx", ["corpus"]),
    "model": ("onnx", ["corpus"]),
    "gzip": ("gzip", ["corpus_gzip"]),
    "plan": ("plan", []),
    "image": ("image", ["corpus_image"]),
}
MAX_INPUT = 8192  # bytes: a small model of every kind fits
SECONDS_PER_INPUT = 10
NICE = 10
MEGABYTES = 2048
MAX_FOUND = 300_000  # bytes of one archive in corpus_found
MAX_FINDINGS = 20  # of one run; after that, fix the cause first
COVERED = ("loader/**/*.c", "runtime/plan/lower.c")
UNIT_TESTS = re.compile(r"test_(loader|plan|run_allocates|failing|kernels$)")
# The sanitizers stop at the first error and report it at once.
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


def shell(*command: object, **options: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in command], text=True, **options)


def commit() -> str:
    return (
        shell("git", "rev-parse", "--short", "HEAD", cwd=ROOT, capture_output=True).stdout.strip()
        or "unknown"
    )


def program(target: str) -> Path:
    path = PROGRAMS / f"fuzz_{target}"
    if not path.exists():
        sys.exit(f"{path.relative_to(ROOT)} is not there: tools/build fuzz")
    return path


def plan_seeds() -> Path:
    """Return the seeds as plan files of this machine, which can be mapped; those in
    corpus_plan may be packed anew."""
    folder = WORK / "plan-seeds"
    folder.mkdir(parents=True, exist_ok=True)
    for model in sorted((HERE / "corpus").iterdir()):
        shell(
            PROGRAMS / "try_model", "--compile", model, folder / f"{model.stem}.resnet", check=True
        )
    return folder


def inputs(target: str) -> list[Path]:
    """Return the work folder, which takes new inputs, then the seeds and what earlier
    work kept."""
    work = WORK / target / "corpus"
    work.mkdir(parents=True, exist_ok=True)
    folders = [work, *(HERE / name for name in TARGETS[target][1])]
    if target == "plan":
        folders.append(plan_seeds())
    return [*folders, *kept(target)]


def archive(target: str) -> Path:
    """Return the archive of inputs that earlier work kept. They are mutants of the same
    few models: packed together they take a tenth of the space."""
    return HERE / "corpus_found" / f"{target}.tar.xz"


def kept(target: str) -> list[Path]:
    """Return the folder with the inputs that were kept, if there are any."""
    folder = WORK / target / "kept"
    shutil.rmtree(folder, ignore_errors=True)
    if not archive(target).exists():
        return []
    with tarfile.open(archive(target)) as file:
        file.extractall(folder, filter="data")
    return [folder]


# ---- the ledger


def read_ledger() -> list[dict]:
    return json.loads(LEDGER.read_text()) if LEDGER.exists() else []


def record(entry: dict) -> None:
    LEDGER.write_text(json.dumps([*read_ledger(), entry], indent=1) + "\n")


def table(rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
        for row in rows
    ]
    return "\n".join(
        [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
    )


def report() -> str:
    rows = [
        [
            "target",
            "commit",
            "CPU minutes",
            "executions",
            "coverage points",
            "corpus files",
            "findings",
        ]
    ]
    sums: dict[tuple[str, str], dict] = {}
    for entry in read_ledger():
        into = sums.setdefault((entry["target"], entry["commit"]), collections.Counter())
        for key in ("cpu_seconds", "executions", "findings"):
            into[key] += entry[key]
        into["coverage"] = max(into["coverage"], entry["coverage"])
        into["corpus"] = entry["corpus"]
    for (target, version), total in sorted(sums.items()):
        rows.append(
            [
                target,
                version,
                f"{total['cpu_seconds'] / 60:.1f}",
                f"{total['executions']:,}",
                str(total["coverage"]),
                str(total["corpus"]),
                str(total["findings"]),
            ]
        )
    return table(rows)


# ---- fuzzing


def cpu_seconds(process: int) -> float:
    """Return user and system time of a running process, from proc(5)'s stat."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def command_for(target: str, options: list[str]) -> list[str]:
    dictionary = HERE / f"{TARGETS[target][0]}.dict"
    limits = [f"-timeout={SECONDS_PER_INPUT}", f"-rss_limit_mb={MEGABYTES}"]
    return [
        str(word)
        for word in ("nice", "-n", NICE, program(target), f"-dict={dictionary}", *limits, *options)
    ]


def one_stretch(target: str, seconds: float) -> tuple[dict, bool]:
    """Fuzz until the CPU time is spent or something is found. Return an entry for the
    ledger, and whether it ended well."""
    folder = WORK / target
    findings = folder / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    options = [
        f"-max_len={MAX_INPUT}",
        "-print_final_stats=1",
        f"-artifact_prefix={findings}/",
        "-reload=0",
    ]
    used = 0.0
    with open(folder / "log", "w") as log:
        running = subprocess.Popen(
            [*command_for(target, options), *map(str, inputs(target))],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **ENVIRONMENT},
        )
        while running.poll() is None:
            time.sleep(1)
            used = max(used, cpu_seconds(running.pid))
            if used >= seconds:
                running.send_signal(signal.SIGINT)
                running.wait()
    text = (folder / "log").read_text(errors="replace")
    new = sorted(set(findings.iterdir()) - before)
    counts = re.findall(r"cov: (\d+)", text)
    executions = re.findall(r"number_of_executed_units: (\d+)", text) or re.findall(
        r"^#(\d+)", text, re.MULTILINE
    )
    entry = {
        "target": target,
        "commit": commit(),
        "cpu_seconds": used,
        "findings": len(new),
        "executions": int(executions[-1]) if executions else 0,
        "coverage": int(counts[-1]) if counts else 0,
        "corpus": len(list((folder / "corpus").iterdir())),
    }
    about = max(
        0,
        min(
            (text.find(word) % (len(text) + 1) for word in ("ERROR: ", "runtime error: ")),
            default=0,
        )
        - 500,
    )
    for path in new:
        (folder / f"{path.name}.log").write_text(text[about : about + 20000])
        print(f"{target}: found {path.relative_to(ROOT)}", flush=True)
    return entry, used >= seconds


def minimise(target: str, path: Path) -> None:
    """Write a smaller file that fails in the same way, beside it."""
    smaller = path.with_name(f"{path.name}.min")
    shell(
        *command_for(
            target, ["-minimize_crash=1", "-max_total_time=30", f"-exact_artifact_path={smaller}"]
        ),
        path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **ENVIRONMENT},
    )


def fuzz(target: str, minutes: float) -> int:
    """Fuzz for that CPU time. Return the number of findings."""
    left, found = 60 * minutes, 0
    while left > 0:
        entry, ended_well = one_stretch(target, left)
        record(entry)
        found += entry["findings"]
        left -= max(entry["cpu_seconds"], 1)
        if ended_well:
            break
        if entry["findings"] == 0 or found >= MAX_FINDINGS:
            print(f"{target}: stopped; see build/fuzz-work/{target}/log", flush=True)
            return found + (entry["findings"] == 0)
    for path in list((WORK / target / "findings").iterdir()):
        if path.name.startswith("crash-") and not path.name.endswith(".min"):
            if not path.with_name(f"{path.name}.min").exists():
                minimise(target, path)
    return found


# ---- the corpus


def merge(target: str) -> None:
    """Find the fewest files that, together with the seeds, reach all that the work's
    corpus reaches."""
    chosen, folders = WORK / target / "merged", inputs(target)
    shutil.rmtree(chosen, ignore_errors=True)
    chosen.mkdir()
    seeds = [
        folder
        for folder in folders[1:]
        if WORK not in folder.parents or folder.name == "plan-seeds"
    ]
    others = [folder for folder in folders if folder not in seeds]
    options = ["-set_cover_merge=1", "-use_counters=0", f"-max_len={MAX_INPUT}"]
    with open(WORK / target / "merge.log", "w") as log:
        shell(
            *command_for(target, options),
            chosen,
            *seeds,
            *others,
            check=True,
            stdout=log,
            stderr=log,
            env={**os.environ, **ENVIRONMENT},
        )
    known = {path.read_bytes() for folder in seeds for path in folder.iterdir()}
    files = [path for path in sorted(chosen.iterdir()) if path.read_bytes() not in known]
    files.sort(key=lambda path: path.stat().st_size)
    content = pack(files)
    while len(content) > MAX_FOUND:
        files = files[: len(files) * 9 // 10]
        content = pack(files)
    archive(target).parent.mkdir(exist_ok=True)
    archive(target).write_bytes(content)
    print(f"{target}: {len(files)} files, {len(content):,} bytes packed")


def pack(files: list[Path]) -> bytes:
    """Write the same bytes for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz", format=tarfile.USTAR_FORMAT, preset=9) as out:
        for path in files:
            content = path.read_bytes()
            entry = tarfile.TarInfo(hashlib.sha256(content).hexdigest()[:16])
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


# ---- coverage


def tool(name: str) -> str:
    for candidate in (f"{name}-16", f"/usr/lib/llvm-16/bin/{name}", name):
        if shell("which", candidate, capture_output=True).returncode == 0:
            return candidate
    sys.exit(f"{name} is not there: tools/deps long installs llvm-16")


def profile(name: str, commands: list[list[object]]) -> Path:
    """Run the programs and join the profiles that they write."""
    folder = WORK / "coverage" / name
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for command in commands:
        done = shell(
            "nice",
            "-n",
            10,
            *command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, "LLVM_PROFILE_FILE": str(folder / "%p.profraw")},
        )
        if done.returncode != 0:
            print(f"coverage: {Path(str(command[0])).name} ended with {done.returncode}")
    joined = folder / "joined.profdata"
    shell(
        tool("llvm-profdata"),
        "merge",
        "-sparse",
        "-o",
        joined,
        *folder.glob("*.profraw"),
        check=True,
    )
    return joined


def line_counts(joined: Path, programs: list[Path]) -> dict[str, dict[int, int]]:
    """Return {file: {line: how often it was executed}}."""
    objects = [f"-object={path}" for path in programs[1:]]
    files = [path for pattern in COVERED for path in sorted(ROOT.glob(pattern))]
    done = shell(
        tool("llvm-cov"),
        "export",
        "-format=lcov",
        f"-instr-profile={joined}",
        programs[0],
        *objects,
        "-sources",
        *files,
        check=True,
        capture_output=True,
    )
    counts: dict[str, dict[int, int]] = {}
    name = ""
    for line in done.stdout.splitlines():
        if line.startswith("SF:"):
            name = str(Path(line[3:]).resolve().relative_to(ROOT))
        if line.startswith("DA:"):
            number, count = line[3:].split(",")[:2]
            lines = counts.setdefault(name, {})
            lines[int(number)] = max(lines.get(int(number), 0), int(count))
    return counts


def percent(lines: dict[int, int]) -> str:
    return f"{100 * sum(count > 0 for count in lines.values()) / max(1, len(lines)):.1f}"


def list_missed(counts: dict[str, dict[int, int]], to: Path) -> None:
    with open(to, "w") as out:
        for name, lines in sorted(counts.items()):
            source = (ROOT / name).read_text().splitlines()
            missed = [number for number, count in sorted(lines.items()) if count == 0]
            if missed:
                out.write(
                    f"{name}\n"
                    + "".join(f"{number:5}  {source[number - 1]}\n" for number in missed)
                )


def with_directory(counts: dict[str, dict[int, int]]) -> dict[str, dict]:
    joined: dict[str, dict] = collections.defaultdict(dict)
    for name, lines in counts.items():
        key = "loader/ in all" if name.startswith("loader/") else name
        joined[key].update({(name, number): count for number, count in lines.items()})
    return joined


def coverage() -> None:
    shell(ROOT / "tools" / "build", "coverage", check=True)
    tests = ROOT / "build" / "coverage" / "tests"
    replay = tests / "fuzz_replay"
    folders = [
        HERE / name
        for name in ("corpus", "corpus_gzip", "corpus_plan", "regressions")
        if (HERE / name).is_dir()
    ]
    folders += [folder for target in TARGETS if target != "image" for folder in kept(target)]
    units = sorted(path for path in tests.glob("test_*") if UNIT_TESTS.match(path.name))
    fuzzed = line_counts(profile("fuzz", [[replay, *folders]]), [replay])
    both = line_counts(
        profile("all", [[replay, *folders], *([unit] for unit in units)]), [replay, *units]
    )
    rows = [["file", "lines", "corpus, % reached", "with unit tests, %"]]
    for name, lines in [*sorted(both.items()), *with_directory(both).items()]:
        other = fuzzed.get(name) or with_directory(fuzzed).get(name, {})
        rows.append([name, str(len(lines)), percent(other), percent(lines)])
    print(table(rows))
    list_missed(fuzzed, WORK / "coverage" / "missed-by-corpus.txt")
    list_missed(both, WORK / "coverage" / "missed.txt")
    print("lines that are not reached: build/fuzz-work/coverage/missed.txt, missed-by-corpus.txt")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("fuzz", "merge", "coverage", "report"))
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help=f"of {', '.join(TARGETS)}; all where none is named",
    )
    parser.add_argument("--minutes", type=float, default=30, help="CPU time for each target (30)")
    parser.add_argument("--jobs", type=int, default=1, help="targets at the same time (1)")
    arguments = parser.parse_args()
    targets = arguments.targets or list(TARGETS)
    if unknown := set(targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    WORK.mkdir(parents=True, exist_ok=True)
    found = 0
    if arguments.action == "fuzz":
        with ThreadPoolExecutor(arguments.jobs) as pool:
            found = sum(pool.map(lambda target: fuzz(target, arguments.minutes), targets))
    if arguments.action == "merge":
        for target in targets:
            merge(target)
    if arguments.action == "coverage":
        coverage()
    if arguments.action in ("fuzz", "report"):
        print(report())
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
