"""Which files the library opens, as the kernel sees it (strace). Opening and running a
model opens the named file; with external data switched on also its folder and the files
in that folder that the model names. No other path is even tried."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="making models needs onnx: tools/deps installs it")

# Importing cases_external registers its cases.
import cases_external  # noqa: E402, F401
import corpus  # noqa: E402
import onnx  # noqa: E402
from runner import BUDGET  # noqa: E402
from runner import TRY_MODEL as PROGRAM  # noqa: E402

# Every call with a path counts as opening, except those that only look.
CALL = re.compile(
    r'(?:\d+ +)?(\w+)\((?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"'
    r".* = (-?\d+)(?:<([^>]*)>)?"
)
# XNNPACK's cpuinfo and the thread pool read about the machine, sanitisers about the
# process.
SYSTEM = ("/proc/", "/sys/")
WAYS = {"openat2": [], "by_component": ["-e", "inject=openat2:error=ENOSYS"]}
UNNAMED = ["parent", "parent_inside", "absolute", "nul", "nul_then_parent", "no_name"]
LINKS = ["link", "behind_a_link", "behind_a_link_to_the_root"]


@pytest.fixture(scope="module")
def strace() -> str:
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not built: build the library, or set LIBRESNET_BUILD")
    found = shutil.which("strace")
    if not found:
        pytest.skip("strace is not installed: tools/deps installs it")
    if subprocess.run([found, "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("strace may not watch processes here")
    return found


def calls(
    strace: str, model: Path, *options: str, way: str = "openat2"
) -> tuple[str, list[tuple[str, bool]]]:
    """Return the status that the program prints, and all paths that were tried from the
    model's first on, with whether they could be opened."""
    log = model.parent.parent / "strace.log"
    watch = [strace, "-f", "-y", "-s", "4096", "-e", "trace=%file,%network", *WAYS[way], "-o", log]
    command = [*watch, PROGRAM, model, BUDGET, 0, *options]
    # a watched process cannot watch itself
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tried: list[tuple[str, bool]] = []
    for line in log.read_text().splitlines():
        if "+++" in line or "---" in line:
            continue
        call = CALL.match(line)
        assert call, line  # a socket has no path, and is not to be opened
        name, folder, path, result, opened = call.groups()
        if name == "newfstatat" and path == "":
            continue  # fstat
        full = opened or os.path.normpath(os.path.join(folder or os.getcwd(), path))
        if tried or full == str(model):
            tried.append((full, int(result) >= 0))
    assert tried, "the model itself was not seen"
    return done.stdout.split()[0], [entry for entry in tried if not entry[0].startswith(SYSTEM)]


def tried(*arguments: object, **options: object) -> set[str]:
    return {path for path, _ in calls(*arguments, **options)[1]}


def save(folder: Path, model: onnx.ModelProto, **options: object) -> Path:
    folder.mkdir()
    path = folder / "net.onnx"
    onnx.save(model, path, **options)
    return path


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a model with its weights in two files, one of them in a folder below."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "below").mkdir()
    path, model = tmp_path / "net" / "net.onnx", corpus.good()
    onnx.external_data_helper.convert_model_to_external_data(
        model, location="weights", size_threshold=0
    )
    moved = corpus.tensor(model, corpus.CULPRIT)
    (path.parent / "below" / "one").write_bytes(moved.raw_data)
    for entry in moved.external_data:
        entry.value = "below/one"
    onnx.save(model, path)
    return path


def test_only_the_named_file_is_opened(strace: str, tmp_path: Path) -> None:
    path = save(tmp_path / "net", corpus.good())
    status, files = calls(strace, path)
    assert status == "RESNET_OK"
    assert set(files) == {(str(path), True)}


def test_a_plan_file_is_opened_alone(strace: str, tmp_path: Path) -> None:
    path = save(tmp_path / "net", corpus.good())
    plan = path.with_suffix(".resnet")
    subprocess.run([PROGRAM, "--compile", path, plan], check=True)
    assert tried(strace, plan) == tried(strace, plan, "--external-data") == {str(plan)}


def test_the_folder_is_opened_when_switched_on(strace: str, tmp_path: Path) -> None:
    path = save(tmp_path / "net", corpus.good())
    assert tried(strace, path, "--external-data") == {str(path), str(path.parent)}


def test_nothing_more_is_tried_when_switched_off(strace: str, outside: Path) -> None:
    status, files = calls(strace, outside)
    assert status == "RESNET_ERROR_UNSUPPORTED"
    assert set(files) == {(str(outside), True)}


@pytest.mark.parametrize("way", WAYS)
def test_the_files_that_the_model_names_are_opened_once(
    strace: str, outside: Path, way: str
) -> None:
    status, files = calls(strace, outside, "--external-data", way=way)
    assert status == "RESNET_OK"
    opened = [path for path, good in files if good]
    folder = outside.parent
    weights = [str(folder / "weights"), str(folder / "below" / "one")]
    steps = [str(folder / "below")] if way == "by_component" else []
    assert set(opened) == {str(outside), str(folder), *steps, *weights}
    assert [opened.count(file) for file in weights] == [1, 1]


def hostile(tmp_path: Path, name: str) -> Path:
    """Return the case of cases_external, in a separate folder."""
    folder = tmp_path / "net"
    folder.mkdir()
    case = next(case for case in corpus.CASES if case.name == f"external_{name}")
    path = folder / "net.onnx"
    content = case.make(path)
    path.write_bytes(content.SerializeToString())
    return path


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", UNNAMED)
def test_names_that_lead_elsewhere_are_not_tried(
    strace: str, tmp_path: Path, name: str, way: str
) -> None:
    path = hostile(tmp_path, name)
    assert tried(strace, path, "--external-data", way=way) == {str(path), str(path.parent)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LINKS)
def test_links_are_not_followed(strace: str, tmp_path: Path, name: str, way: str) -> None:
    path = hostile(tmp_path, name)
    status, files = calls(strace, path, "--external-data", way=way)
    assert status == "RESNET_ERROR_IO"
    assert {file for file, good in files if good} <= {
        str(path),
        str(path.parent),
        str(path.parent / f"{name}.data"),
    }
    assert all(file.startswith(f"{path.parent}/") or file == str(path.parent) for file, _ in files)
