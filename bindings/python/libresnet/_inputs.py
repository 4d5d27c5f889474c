"""Turn the INPUTs of the batch command (folders, files, .zip archives and @lists) into a
sorted list of images."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence

SUFFIXES = (".jpg", ".jpeg", ".png")


class InputError(Exception):
    """An INPUT does not exist or cannot be read."""


def images(inputs: Sequence[str]) -> dict[str, str]:
    """Return every image once, sorted: {name in its row: path}.

    Name and path differ only if the file's name is not UTF-8, as Parquet requires; its
    bytes are escaped then.
    """
    found: dict[str, str] = {}
    for place in all_places(inputs):
        name = place if place.isprintable() else readable(place)
        if found.setdefault(name, place) != place:
            raise InputError(
                f"{name}: two images have this name after conversion to UTF-8; rename one"
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
    """Return the normal form of a path, so that a file named twice has one row. `..` after
    a symbolic link is kept: it does not lead to the folder before the link."""
    root, kept = "/" if path.startswith("/") else "", list[str]()
    for part in path.split("/"):
        if part == ".." and kept and kept[-1] != ".." and not os.path.islink(root + "/".join(kept)):
            kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    return root + "/".join(kept)


def listed(path: str) -> Iterator[str]:
    """Yield the paths in a text file, one per line, with any suffix. Empty lines, byte order
    marks and carriage returns are ignored. The files themselves are opened later."""
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
    """Return whether a name is ignored, as by `resnet eval`. macOS adds a hidden "._" file
    beside each image."""
    return part.startswith((".", "__MACOSX")) and part not in (".", "..")
