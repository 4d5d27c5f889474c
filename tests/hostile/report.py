#!/usr/bin/env python3
"""Print how every hostile file ended, as a table: line of the list, file, status,
message.

    python tests/hostile/report.py

Runs the library built in LIBRESNET_BUILD as the tests do.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import corpus
import make
import runner


def main() -> None:
    print("| line | what it tries | file | status | message |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        make.write(Path(folder))
        for case in sorted(corpus.CASES, key=lambda case: case.line or len(corpus.LINES) + 1):
            status, message = runner.outcome(case, Path(folder))
            message = message.replace(f"{folder}/", "").replace("|", "\\|")
            what = corpus.LINES.get(case.line, "more of the kind")
            file, status = f"{case.name}{case.suffix}", status.removeprefix("RESNET_")
            print(f"| {case.line or ''} | {what} | {file} | {status} | {message} |")


if __name__ == "__main__":
    main()
