"""Where the C sources lie, and the version that they say: for the build back end and
for its metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def tree() -> Path:
    """The root of the C sources: `tree` in a source distribution, two folders up in a
    checkout."""
    package = Path(__file__).resolve().parent.parent
    unpacked = package / "tree"
    return unpacked if unpacked.is_dir() else package.parent.parent


def dynamic_metadata(settings: Mapping[str, Any], project: Mapping[str, Any]) -> dict[str, str]:
    """The fields that pyproject.toml leaves open; scikit-build-core calls this."""
    lists = tree() / "CMakeLists.txt"
    found = re.search(
        r"^project\(libresnet VERSION ([0-9.]+)", lists.read_text(encoding="utf-8"), re.MULTILINE
    )
    if not found:
        raise RuntimeError(
            f"{lists}: no line project(libresnet VERSION ...), which says the version of the package"
        )
    return {"version": found[1]}
