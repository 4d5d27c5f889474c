"""The INPUTs of the batch command: folders, files, .zip archives and @lists become a
sorted list of pictures."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence

SUFFIXES = (".jpg", ".jpeg", ".png")


class InputError(Exception):
    """An INPUT that is not there or can't be read."""


def pictures(inputs: Sequence[str]) -> dict[str, str]:
    """Every picture once, sorted: the name that its row bears, and where it is.

    They differ only where a file's name is no UTF-8, as Parquet's strings are: its bytes
    are escaped then.
    """
    found: dict[str, str] = {}
    for place in all_places(inputs):
        name = place if place.isprintable() else readable(place)
        if found.setdefault(name, place) != place:
            raise InputError(
                f"{name}: two pictures have this name once it is written in UTF-8; rename one"
            )
    return dict(sorted(found.items()))


def readable(place: str) -> str:
    return os.fsencode(place).decode("utf-8", "backslashreplace")


def all_places(inputs: Sequence[str]) -> Iterator[str]:
    for given in inputs:
        try:
            yield from places(given)
        except (OSError, zipfile.BadZipFile, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise InputError(f"{readable(given)}: {reason}") from error


def places(given: str) -> Iterator[str]:
    if given.startswith("@"):
        return listed(given[1:])
    if os.path.isdir(given):
        return in_folder(given)
    if given.lower().endswith(".zip"):
        return in_archive(given)
    os.stat(given)
    return iter([tidy(given)])


def tidy(path: str) -> str:
    """One spelling for each path, so that a file that is named twice has one row. `..`
    stays behind a symbolic link: it is not the folder before, there."""
    root, kept = "/" if path.startswith("/") else "", list[str]()
    for part in path.split("/"):
        if part == ".." and kept and kept[-1] != ".." and not os.path.islink(root + "/".join(kept)):
            kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    return root + "/".join(kept)


def listed(path: str) -> Iterator[str]:
    """One path a line, whatever its suffix; empty lines, and Windows' marks, are passed
    over. Files are looked for when their turn comes."""
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="\n") as lines:
        for line in lines:
            line = line.rstrip("\r\n")
            if line:
                yield tidy(line)


def in_folder(folder: str) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not is_hidden(name)]
        for name in names:
            if name.lower().endswith(SUFFIXES) and not is_hidden(name):
                yield tidy(os.path.join(parent, name))


def in_archive(path: str) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.lower().endswith(SUFFIXES) and not any(map(is_hidden, name.split("/"))):
                yield f"{tidy(path)}/{name}"


def is_hidden(part: str) -> bool:
    """What `resnet eval` passes over, too: macOS puts a "picture" of its own beside each
    one."""
    return part.startswith((".", "__MACOSX")) and part not in (".", "..")
