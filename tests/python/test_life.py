"""What the package costs and leaves behind: nothing after 10,000 models, import time, the
overhead of a call; and how it finds its library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import (
    BUILD,
    PACKAGE,
    RESNET20,
    ROOT,
    SAMPLES,
    made_net,
    measured,
    python,
    unsanitized,
)
from quiet import expect_time

import libresnet
from libresnet import Model, _session

pytestmark = pytest.mark.slow

TINY = ROOT / "tests" / "models" / "resnet8_option_b.onnx"
CYCLES = 10_000
IMPORT_SHARE = 0.5  # of the time that NumPy's own import takes

# ---- nothing is left behind ----

LEAKS = """
import gc, os, sys, time, numpy, libresnet
path, image, cycles = sys.argv[1], sys.argv[2], int(sys.argv[3])
gc.disable()  # what goes only when the garbage collector comes by is left behind, too
data = open(path, "rb").read()
with libresnet.Model(path) as model:
    x = numpy.zeros((1, *model.input_shape), numpy.float32)

def cycle(number):
    model = libresnet.Model.from_bytes(data) if number % 10 == 0 else libresnet.Model(path)
    session = model.session(threads=2 if number % 20 == 0 else 1)
    session.run(x)
    if number % 50 == 0:
        model.classify(x)
        session.observe(lambda response: None)
        with session.skip(0), model.skip(0):
            session.run(x)
            model.classify([x[0], x[0]], threads=2)
        try:
            session.run(x[0, 0])
        except libresnet.ArgumentError:
            pass
    if number % 2:
        session.close()
        model.close()
    # else both go when this returns

def threads():
    return len(os.listdir("/proc/self/task"))

at_start = threads()  # NumPy may have some

def state():
    end = time.monotonic() + 5
    # The system lists a thread a moment longer than it runs.
    while threads() > at_start and time.monotonic() < end:
        time.sleep(0.001)
    resident = int(open("/proc/self/statm").read().split()[1]) * 4096
    return resident, len(os.listdir("/proc/self/fd")), threads() - at_start

for number in range(1, cycles + 1):
    cycle(number)
    if number % (cycles // 10) == 0:
        print(*state(), flush=True)
"""


@unsanitized
def test_10_000_models_leave_nothing_behind(capsys: pytest.CaptureFixture) -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("there is no /proc")
    done = python("-c", LEAKS, TINY, SAMPLES / "cat-tabby.jpg", CYCLES)
    assert done.returncode == 0, done.stderr
    states = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(states) == 10
    warm, last = states[1], states[-1]
    measured(
        capsys,
        f"{CYCLES} models and sessions: {(last[0] - warm[0]) / 1024:+.0f} KiB "
        f"after the first {CYCLES // 5}",
    )
    assert last[0] - warm[0] < 1 << 20, states  # 131 bytes for each of 8,000
    assert len({files for _, files, _ in states}) == 1 and {
        threads for _, _, threads in states
    } == {0}, states


# ---- what it costs ----

IMPORT = """
import time
begin = time.perf_counter()
import numpy
middle = time.perf_counter()
import libresnet
print((middle - begin) * 1e3, (time.perf_counter() - middle) * 1e3)
"""


@pytest.mark.alone
@unsanitized
def test_import_time(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Compare the import with NumPy's in the same process, both compiled as pip leaves
    them: the least times of several, since other programs use the machine too. Loading
    the library is part of it."""
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    pairs: list[tuple[float, float]] = []
    numpys = ours = float("inf")
    while len(pairs) < 40 and (len(pairs) < 7 or ours >= IMPORT_SHARE * numpys):
        done = python("-c", IMPORT, **compiled)
        assert done.returncode == 0, done.stderr
        pairs.append(tuple(map(float, done.stdout.split())))
        numpys, ours = (min(times) for times in zip(*pairs))
    measured(capsys, f"import libresnet: {ours:.1f} ms beyond NumPy's {numpys:.1f} ms")
    expect_time(ours < IMPORT_SHARE * numpys, f"ours, NumPy's: {pairs}")


@pytest.mark.skipif(
    not hasattr(sys, "stdlib_module_names"),
    reason="Python before 3.10 does not know its own modules",
)
def test_completion_shows_all_public_names_and_no_others() -> None:
    shown = python(
        "-c",
        "import libresnet; print(*(name for name in dir(libresnet) if not name.startswith('_')))",
    )
    assert shown.stdout.split() == sorted(libresnet.__all__), shown.stderr


def test_import_needs_no_more_than_numpy() -> None:
    code = """
import sys, numpy
before = set(sys.modules)
import libresnet
added = {name.split(".")[0] for name in set(sys.modules) - before}
print(*sorted(added - set(sys.stdlib_module_names)))
"""
    done = python("-c", code)
    assert set(done.stdout.split()) == {"libresnet", "numpy"}, done.stdout + done.stderr


def least_of_calls(run: object, calls: int) -> float:
    """Microseconds."""
    clock, least = time.perf_counter_ns, 1 << 60
    for _ in range(calls):
        begin = clock()
        run()  # type: ignore[operator]
        spent = clock() - begin
        least = min(spent, least)
    return least / 1e3


@pytest.mark.alone
@unsanitized
def test_overhead_of_a_call(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Compare session.run with the bare ctypes call of the same function, for one thread,
    one image and NHWC.

    The control is the same bare call without a session, which C refuses at once: what any
    call from Python costs. All checks and conversions of session.run may cost as much
    again. The least times count, taken in turns.
    """
    path = made_net(tmp_path / "tiny.onnx", size=8, width=0.25)
    with Model(path) as model, model.session(threads=1, batch=1) as session:
        x = np.random.default_rng(0).standard_normal((1, *model.input_shape), np.float32)
        out = np.empty((1, model.classes), np.float32)

        def bare(pointer: object, scores: np.ndarray) -> int:
            return _session._run(pointer, x.ctypes.data, 1, 1, scores.ctypes.data, None)

        calls = {
            "run": lambda: session.run(x),
            "run, out=": lambda: session.run(x, out),
            "bare": lambda: bare(session._pointer, np.empty((1, model.classes), np.float32)),
            "bare, out=": lambda: bare(session._pointer, out),
            "refused": lambda: bare(None, np.empty((1, model.classes), np.float32)),
        }
        assert calls["bare"]() == 0 and calls["refused"]() != 0
        least = dict.fromkeys(calls, float("inf"))
        for turn in range(30):
            for name, call in calls.items():
                least[name] = min(least[name], least_of_calls(call, 2000))
            more = {
                suffix: least[f"run{suffix}"] - least[f"bare{suffix}"] for suffix in ("", ", out=")
            }
            if turn >= 4 and max(more.values()) < least["refused"]:
                break
    measured(
        capsys, "session.run: " + ", ".join(f"{name} {time:.2f} us" for name, time in least.items())
    )
    expect_time(max(more.values()) < least["refused"], f"microseconds: {least}")


# ---- finding the library ----

WHICH = "import libresnet; from libresnet import _library; print(_library.path)"


def complaint(code: str = WHICH, **environment: str) -> str:
    """Return the last line of a failing import, which is an ImportError."""
    done = python("-c", code, **environment)
    assert done.returncode == 1 and done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: "), done.stderr
    return last


def found(*arguments: object, **environment: str) -> str:
    done = python("-c", WHICH, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def compiled(folder: Path, name: str, source: str) -> Path:
    """A library that is not ours."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler, cc")
    (folder / "fake.c").write_text(source)
    subprocess.run(
        [compiler, "-shared", "-fPIC", folder / "fake.c", "-o", folder / name], check=True
    )
    return folder / name


def test_the_variable_names_a_file_or_a_folder(tmp_path: Path) -> None:
    library = BUILD / "libresnet.so"
    assert found(LIBRESNET_LIBRARY=str(library)) == str(library)
    assert found(LIBRESNET_LIBRARY=str(BUILD)) == str(library)
    assert found(LIBRESNET_LIBRARY=f"{BUILD}/") == str(library)
    other = tmp_path / "other name.so"
    shutil.copy(os.path.realpath(library), other)
    assert found(LIBRESNET_LIBRARY=str(other)) == str(other)


def test_a_relative_name_is_the_file_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    # a libresnet.so here would be taken for a module of Python's
    for name in ("here.so", "folder/libresnet.so"):
        shutil.copy(os.path.realpath(BUILD / "libresnet.so"), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert found(LIBRESNET_LIBRARY="here.so") == str(tmp_path / "here.so")
    assert found(LIBRESNET_LIBRARY="folder") == str(tmp_path / "folder" / "libresnet.so")


def test_a_wrong_variable_is_reported(tmp_path: Path) -> None:
    for wrong in (tmp_path, tmp_path / "none.so", tmp_path / "no folder" / "libresnet.so"):
        message = complaint(LIBRESNET_LIBRARY=str(wrong))
        assert (
            str(wrong) in message
            and "LIBRESNET_LIBRARY" in message
            and "name a libresnet.so" in message
        )
    text = tmp_path / "libresnet.so"
    text.write_text("no library")
    assert "cannot be loaded" in complaint(LIBRESNET_LIBRARY=str(tmp_path))


def package_alone(folder: Path) -> Path:
    """The package where no checkout is around it."""
    target = folder / "site" / "libresnet"
    shutil.copytree(
        PACKAGE / "libresnet", target, ignore=shutil.ignore_patterns("__pycache__", "native")
    )
    return target


def test_without_a_library_both_places_are_named(tmp_path: Path) -> None:
    package = package_alone(tmp_path)
    message = complaint(LIBRESNET_LIBRARY="", PYTHONPATH=str(package.parent))
    assert (
        str(package / "native") in message
        and "install the wheel" in message
        and "LIBRESNET_LIBRARY" in message
    )


def test_the_wheels_library_comes_before_the_checkouts(tmp_path: Path) -> None:
    package = package_alone(tmp_path)
    (package / "native").mkdir()
    mine = package / "native" / "libresnet.so"
    shutil.copy(os.path.realpath(BUILD / "libresnet.so"), mine)
    where = {"PYTHONPATH": str(package.parent)}
    assert found(LIBRESNET_LIBRARY="", **where) == str(mine)
    assert found(LIBRESNET_LIBRARY=str(BUILD), **where) == str(BUILD / "libresnet.so")
    if (ROOT / "build" / "release" / "libresnet.so").exists():
        assert found(LIBRESNET_LIBRARY="") == str(ROOT / "build" / "release" / "libresnet.so")


def test_another_abi_is_reported(tmp_path: Path) -> None:
    compiled(
        tmp_path,
        "libresnet.so",
        "unsigned resnet_abi(void) { return 77; }\n"
        'const char *resnet_version(void) { return "9.8.7"; }\n',
    )
    message = complaint(LIBRESNET_LIBRARY=str(tmp_path))
    for part in (str(tmp_path), "9.8.7", "ABI 77", "ABI 1", "install", "LIBRESNET_LIBRARY"):
        assert part in message


def test_a_library_that_is_not_ours_is_reported(tmp_path: Path) -> None:
    compiled(tmp_path, "libresnet.so", "int other(void) { return 1; }\n")
    assert "no function resnet_abi" in complaint(LIBRESNET_LIBRARY=str(tmp_path))


def test_missing_functions_are_reported(tmp_path: Path) -> None:
    compiled(
        tmp_path,
        "libresnet.so",
        "unsigned resnet_abi(void) { return 1; }\n"
        'const char *resnet_version(void) { return "0.0.1"; }\n',
    )
    message = complaint(LIBRESNET_LIBRARY=str(tmp_path))
    assert "has no function resnet_" in message and "older than this Python package" in message


def test_a_helper_of_another_version_is_reported(tmp_path: Path) -> None:
    (tmp_path / "libresnet.so").symlink_to(os.path.realpath(BUILD / "libresnet.so"))
    read = f"import libresnet; libresnet.read_image({str(SAMPLES / 'cat-tabby.jpg')!r})"
    assert "libresnet_python.so" in complaint(read, LIBRESNET_LIBRARY=str(tmp_path))
    (tmp_path / "libresnet_python.so").write_text("no library")
    assert "cannot be loaded" in complaint(read, LIBRESNET_LIBRARY=str(tmp_path))
    for source in ("unsigned resnet_python_abi(void) { return 77; }\n", "int other;\n"):
        compiled(tmp_path, "libresnet_python.so", source)
        message = complaint(read, LIBRESNET_LIBRARY=str(tmp_path))
        assert (
            str(tmp_path) in message
            and "another version" in message
            and "install both together" in message
        )
    program = "from libresnet import _library; _library.program()"
    assert "program `resnet`" in complaint(program, LIBRESNET_LIBRARY=str(tmp_path))


def test_the_net_that_ships_is_found(tmp_path: Path) -> None:
    package = package_alone(tmp_path)
    code = "import libresnet; print(libresnet.Model().path)"
    where = {"PYTHONPATH": str(package.parent), "LIBRESNET_LIBRARY": str(BUILD)}
    beside = BUILD / "cifar10-resnet20.onnx"
    if not beside.exists():
        assert "cifar10-resnet20.onnx" in complaint(code, **where)
    (package / "native").mkdir()
    shutil.copy(RESNET20, package / "native")
    done = python("-c", code, **where)
    assert done.stdout.strip() == str(
        beside if beside.exists() else package / "native" / RESNET20.name
    )
    assert libresnet.Model().path == str(beside if beside.exists() else RESNET20)


# ---- processors ----


def test_cpus_are_those_of_mask_and_control_groups(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from libresnet import _cpus

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(_cpus, "GROUPS", str(tmp_path / "groups"))
    monkeypatch.setattr(_cpus, "OWN_GROUP", str(tmp_path / "own"))
    assert _cpus.usable_cpus() == 8
    inner = tmp_path / "groups" / "pods" / "one"
    inner.mkdir(parents=True)
    for text, expected in (
        ("max 100000", 8),
        ("150000 100000", 2),
        ("5000 100000", 1),
        ("1600000 100000", 8),
        ("", 8),
    ):
        (tmp_path / "groups" / "cpu.max").write_text(text)
        assert _cpus.usable_cpus() == expected
    (tmp_path / "groups" / "cpu.max").write_text("max 100000")
    (tmp_path / "own").write_text("1:name=systemd:/\n0::/pods/one\n")
    (inner.parent / "cpu.max").write_text("300000 100000")
    assert _cpus.usable_cpus() == 3
    (inner / "cpu.max").write_text("200000 100000")
    assert _cpus.usable_cpus() == 2
