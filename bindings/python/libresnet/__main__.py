"""The `resnet` program: python -m libresnet classify photo.jpg"""

from __future__ import annotations

import os
import sys

from ._library import program


def main() -> None:
    """Replace this process by the program."""
    file = program()
    os.execv(file, ["resnet", *sys.argv[1:]])


if __name__ == "__main__":
    main()
