#!/usr/bin/env python3
"""Make the hostile corpus: files that must end in a named error, with the error of each.

    python tests/hostile/make.py FOLDER

writes the files and manifest.json: a list of {name, file, kind, line, status, fragment,
max_file_bytes, external_data}, where line is a number of corpus.LINES. The files are the
same every time, except plan files, which the library in LIBRESNET_BUILD makes. Each case
changes one thing in a small good model, or is bytes that no exporter would write.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

# Importing a file registers its cases.
import cases_bytes  # noqa: F401
import cases_external  # noqa: F401
import cases_graphs  # noqa: F401
import cases_images  # noqa: F401
import cases_plan  # noqa: F401
import cases_quantised  # noqa: F401
import cases_shapes  # noqa: F401
import cases_tensors  # noqa: F401
from corpus import CASES


def write(folder: Path) -> list[dict]:
    """Make every file and return the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = []
    for item in CASES:
        path = folder / f"{item.name}{item.suffix}"
        content = item.make(path)
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
        manifest.append(
            {
                "name": item.name,
                "file": path.name,
                "kind": item.kind,
                "line": item.line,
                "status": item.status,
                "fragment": item.fragment,
                "max_file_bytes": item.max_file_bytes,
                "external_data": item.external_data,
            }
        )
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(f"{len(write(Path(sys.argv[1])))} files in {sys.argv[1]}")
