"""Types of command-line arguments: a wrong value is named, with what is accepted.

argparse prints the message behind the option's name and exits with 2.
"""

from __future__ import annotations

import argparse
import math
import zipfile
from collections.abc import Callable
from pathlib import Path

LARGEST = 2**31 - 1


def integer(least: int, most: int = LARGEST) -> Callable[[str], int]:
    """Return a type: whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            upto = f" to {most}" if most < LARGEST else " on"
            raise argparse.ArgumentTypeError(
                f"{text!r} is refused; whole numbers from {least}{upto} are accepted"
            )
        return value

    return parse


def number(least: float, most: float, open_ends: bool = False) -> Callable[[str], float]:
    """Return a type: numbers from `least` to `most`, or between them."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        inside = least < value < most if open_ends else least <= value <= most
        if not inside:
            ends = "between {} and {}" if open_ends else "from {} to {}"
            raise argparse.ArgumentTypeError(
                f"{text!r} is refused; numbers {ends.format(least, most)} are accepted"
            )
        return value

    return parse


def existing_file(text: str) -> Path:
    """Return the path of a file that is there."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder; name a file")
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text} does not exist; name a file")
    return path


def existing_folder(text: str) -> Path:
    """Return the path of a folder that is there."""
    path = Path(text)
    if not path.is_dir():
        state = "is no folder" if path.exists() else "does not exist"
        raise argparse.ArgumentTypeError(f"{text} {state}; name a folder")
    return path


def collection(text: str) -> Path:
    """Return the path of labelled images: a folder or a .zip of <class>/<image>."""
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(
            f"{text} does not exist; name a folder or .zip of <class>/<image>"
        )
    if not path.is_dir() and not zipfile.is_zipfile(path):
        raise argparse.ArgumentTypeError(
            f"{text} is neither a folder nor a zip; name one of <class>/<image>"
        )
    return path


def folder(text: str) -> Path:
    """Return the path of a folder that is there or can be made."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} exists and is no folder; name a folder")
    return path


def output_file(text: str) -> Path:
    """Return the path of a file that may be written: its folder is there."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder; name a file to write")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"{text} cannot be written: the folder {path.parent} does not exist; make it first"
        )
    return path
