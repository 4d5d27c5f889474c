"""The location of the C sources and their version, for the build back end and the metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def tree() -> Path:
    """Return the root of the C sources: `tree` in a source distribution, two folders up in
    a checkout."""
    package = Path(__file__).resolve().parent.parent
    unpacked = package / "tree"
    return unpacked if unpacked.is_dir() else package.parent.parent


def dynamic_metadata(settings: Mapping[str, Any], project: Mapping[str, Any]) -> dict[str, str]:
    """Return the dynamic fields of pyproject.toml. Called by scikit-build-core."""
    lists = tree() / "CMakeLists.txt"
    found = re.search(
        r"^project\(libresnet VERSION ([0-9.]+)", lists.read_text(encoding="utf-8"), re.MULTILINE
    )
    if not found:
        raise RuntimeError(
            f"{lists}: no line project(libresnet VERSION ...), the version of the package"
        )
    return {"version": found[1]}
