"""Every file of the hostile corpus ends in its named error: within a memory budget, in seconds, never in a crash.

Where the build is not sanitised, the process may not map more than the budget and what a program needs anyway.
"""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="making the corpus needs onnx: tools/deps installs it")

import corpus  # noqa: E402
import make  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build" / "release"))
PROGRAM = BUILD / "tests" / "try_model"
BUDGET = 64 << 20
# Program, libraries, stack, XNNPACK's tables; the bytes of the file as it is read.
BESIDES = 64 << 20
SECONDS = 5


def sanitised() -> bool:
    cache = BUILD / "CMakeCache.txt"
    return cache.exists() and "RESNET_SANITIZE:STRING=\n" not in cache.read_text()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not built: build the library, or set LIBRESNET_BUILD")
    folder = tmp_path_factory.mktemp("hostile")
    make.write(folder)
    return folder


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (BUDGET + BESIDES, BUDGET + BESIDES))


def run(*arguments: object, limited: bool, seconds: int) -> list[str]:
    """The lines that the program prints. A crash, a time-out or a broken promise fails the test."""
    command = [str(word) for word in (PROGRAM, *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds,
                          preexec_fn=limit_memory if limited and not sanitised() else None)
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stdout}{done.stderr[-3000:]}"
    return done.stdout.splitlines()


@pytest.mark.parametrize("case", corpus.CASES, ids=lambda case: case.name)
def test_hostile_file_ends_in_its_named_error(files: Path, case: corpus.Case) -> None:
    seconds = 4 * SECONDS if sanitised() else SECONDS
    path = files / f"{case.name}{case.suffix}"
    switch = ["--external-data"] if case.external_data else []
    lines = run(path, BUDGET, case.max_file_bytes, *switch, limited=True, seconds=seconds)
    status, message = lines[0], lines[1] if len(lines) > 1 else ""
    assert status == case.status, message
    assert case.fragment.lower() in message.lower()
    if status != "RESNET_OK":
        assert path.name in message, "the message does not name the file"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_file_cut_off_at_any_byte_is_refused(tmp_path: Path, packed: bool) -> None:
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not built: build the library, or set LIBRESNET_BUILD")
    content = corpus.good().SerializeToString()
    path = tmp_path / "good.onnx"
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    lines = run("--prefixes", path, limited=False, seconds=120)
    assert lines[-1] == f"{path.stat().st_size} prefixes refused"
