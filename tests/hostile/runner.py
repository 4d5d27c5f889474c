"""Run one hostile file through the library or the program, within limits of memory and
time."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import corpus

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build" / "release"))
TRY_MODEL = BUILD / "tests" / "try_model"
RESNET = BUILD / "resnet"
BUDGET = 64 << 20
# Program, libraries, stack, XNNPACK's tables, and the file's bytes while it is read.
BESIDES = 64 << 20
# Twice the pixels of the largest accepted image: a rotated one is copied upright.
IMAGE = 1200 << 20
# CPU time, so that other programs do not count.
SECONDS = 5
SECONDS_OF_ALL_PREFIXES = 120


def sanitised() -> bool:
    """Return whether the build has a sanitiser, which maps terabytes and is slow."""
    cache = BUILD / "CMakeCache.txt"
    return cache.exists() and "RESNET_SANITIZE:STRING=\n" not in cache.read_text()


def run(command: list[object], memory: int, seconds: int) -> subprocess.CompletedProcess:
    """Run a command with limits. If it waits without using the CPU, it ends after ten
    times its seconds."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        if not sanitised():
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=10 * seconds,
        preexec_fn=limit,
    )


def seconds_for(case: corpus.Case) -> int:
    seconds = SECONDS_OF_ALL_PREFIXES if case.kind == "prefixes" else SECONDS
    return 4 * seconds if sanitised() else seconds


def program_of(case: corpus.Case) -> Path:
    return RESNET if case.kind == "image" else TRY_MODEL


def try_image(case: corpus.Case, path: Path) -> tuple[str, str]:
    """Label the image. The program does not print the status of a refusal, so the case's
    is assumed."""
    done = run([RESNET, "classify", "--threads", 1, path], IMAGE, seconds_for(case))
    assert done.returncode in (0, 1) and "Sanitizer" not in done.stderr, (
        f"{done.returncode}: {done.stderr[-3000:]}"
    )
    if done.returncode == 0:
        return "RESNET_OK", ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("resnet: "), lines
    assert case.status != "RESNET_OK", lines
    return case.status, lines[0].removeprefix("resnet: ")


def try_prefixes(case: corpus.Case, path: Path) -> tuple[str, str]:
    done = run([TRY_MODEL, "--prefixes", path], 4 * BUDGET, seconds_for(case))
    assert done.returncode == 0, (
        f"exit status {done.returncode}: {done.stdout}{done.stderr[-3000:]}"
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == f"{path.stat().st_size} prefixes refused"
    return case.status, f"{path.name}: {lines[-1]}"


def try_model(case: corpus.Case, path: Path) -> tuple[str, str]:
    switch = ["--external-data"] if case.external_data else []
    done = run(
        [TRY_MODEL, path, BUDGET, case.max_file_bytes, *switch], BUDGET + BESIDES, seconds_for(case)
    )
    assert done.returncode == 0, (
        f"exit status {done.returncode}: {done.stdout}{done.stderr[-3000:]}"
    )
    lines = done.stdout.splitlines()
    return lines[0], lines[1] if len(lines) > 1 else ""


def outcome(case: corpus.Case, folder: Path) -> tuple[str, str]:
    """Return status and message. Raise after a crash, a time-out or a broken promise."""
    path = folder / f"{case.name}{case.suffix}"
    return {"model": try_model, "image": try_image, "prefixes": try_prefixes}[case.kind](case, path)
