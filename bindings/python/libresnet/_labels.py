"""Names of classes: given by the user, or ImageNet's for models of 1,000 classes."""

from __future__ import annotations

import json
import os
import re
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

from ._errors import ArgumentError
from ._library import imagenet_labels

# A list of names; a path; or a mapping from index to name, or from name to index.
Labels = Union[Sequence[str], Mapping[Any, Any], "os.PathLike[str]", str]

# Keys of a JSON object that contains the names besides other things.
_KEYS = ("id2label", "labels", "classes", "class_names", "names", "categories", "label2id")
_NAME_KEYS = ("name", "label", "title")
_INDEX_KEYS = ("id", "index")

# A line that begins with an index, and the rest of it.
_INDEXED = re.compile(r"([0-9]{1,9})[ \t:,;]+([^ \t:,;].*)")


def labels_of(source: Labels) -> List[str]:
    """Return the names in the order of the classes. Raises ArgumentError for a source in
    which they cannot be found."""
    if isinstance(source, (str, os.PathLike)):
        return _from_file(os.fspath(source))
    return _from_data(source, "labels")


def guessed_labels(classes: int) -> Optional[Tuple[str, ...]]:
    """Return ImageNet's names for a model of 1,000 classes, or of 1,001 with background;
    None for others."""
    if classes not in (1000, 1001):
        return None
    path = imagenet_labels()
    if path is None:
        return None
    names = _from_file(path)
    return tuple(["background"] * (classes - len(names)) + names)


def _from_file(path: str) -> List[str]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = file.read()
    except OSError as problem:
        raise ArgumentError(f"labels: {path}: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise ArgumentError(
            f"labels: {path} is not UTF-8 text: one name a line, or JSON"
        ) from problem
    if content.lstrip()[:1] in ("{", "["):
        try:
            names = _from_data(json.loads(content), path)
        except json.JSONDecodeError as problem:
            raise ArgumentError(f"labels: {path} is not valid JSON: {problem}") from problem
    else:
        names = _from_lines(content, path)
    if not names:
        raise ArgumentError(f"labels: {path} is empty: one name a line, or JSON")
    return names


def _from_lines(content: str, path: str) -> List[str]:
    """Return the names of a text with one a line. The program reads the same way."""
    # not splitlines(), which also ends lines at U+2028 and the like
    lines = [line.strip() for line in content.rstrip().split("\n")] if content.strip() else []
    for number, line in enumerate(lines, 1):
        if not line:
            raise ArgumentError(f"labels: {path}: line {number} is blank: remove it")
    if lines and lines[0][0] == "#" and not all(line[0] == "#" for line in lines):
        raise ArgumentError(f"labels: {path}: line 1 is a comment: remove it")
    found = [_INDEXED.fullmatch(line) for line in lines]
    pairs = [(int(one[1]), one[2]) for one in found if one]
    if len(lines) > 2 and not found[0] and len(pairs) == len(lines) - 1 and pairs[0][0] == 0:
        raise ArgumentError(
            f"labels: {path}: line 1 has no index, but each other line has: remove the heading"
        )
    return _by_index(pairs, lines, path)


def _by_index(pairs: List[Tuple[int, str]], lines: List[str], path: str) -> List[str]:
    """Sort the names by the indices before them, if each line has one. Numbers that only
    ascend can belong to the names: the order is the same either way."""
    indices = [index for index, _ in pairs]
    if len(pairs) < len(lines):
        return lines
    if sorted(indices) == list(range(len(lines))):
        return [name for _, name in sorted(pairs)]
    if indices == sorted(indices):
        return lines
    first = {index: place for place, index in reversed(list(enumerate(indices)))}
    wrong = next(
        place for place, index in enumerate(indices) if index >= len(lines) or first[index] < place
    )
    raise ArgumentError(
        f"labels: {path}: line {wrong + 1} has the index {indices[wrong]}: indices from 0 to "
        f"{len(lines) - 1}, each once, are accepted; if the numbers belong to the names, write a "
        "JSON list"
    )


def _from_data(data: Any, place: str) -> List[str]:
    if isinstance(data, Mapping):
        inner = next((data[key] for key in _KEYS if isinstance(data.get(key), (list, dict))), None)
        if inner is not None:
            return _from_data(inner, place)
        pairs = [_pair(key, value, place) for key, value in data.items()]
    elif isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        pairs = _elements(data, place)
    else:
        raise _unknown(place, data)
    indices = sorted(index for index, _ in pairs)
    if indices != list(range(len(pairs))):
        raise ArgumentError(
            f"labels: {place} has {len(pairs)} names with the indices {indices[0]} to "
            f"{indices[-1]}: they must be 0 to {len(pairs) - 1}, each once"
        )
    return [name for _, name in sorted(pairs)]


def _pair(key: Any, value: Any, place: str) -> Tuple[int, str]:
    """Return the index and name of an entry of a mapping, in either direction."""
    if isinstance(value, int) and isinstance(key, str) and not isinstance(value, bool):
        return value, key
    try:
        return int(key), _name(value, place)
    except (TypeError, ValueError):
        raise _unknown(place, {key: value}) from None


def _elements(data: Sequence[Any], place: str) -> List[Tuple[int, str]]:
    """Return the index and name of each element of a list: all state one, or none."""
    stated = [_stated_index(value) for value in data]
    for position, index in enumerate(stated):
        if (index is None) != (stated[0] is None):
            raise ArgumentError(
                f"labels: {place}: entry {position} has {'no' if index is None else 'an'} id, "
                "unlike entry 0: give each name its id, or none"
            )
    return [
        (position if index is None else index, _name(value, place))
        for position, (index, value) in enumerate(zip(stated, data))
    ]


def _stated_index(element: Any) -> Optional[int]:
    """Return 9 of {"id": 9, "name": "ostrich"} or [9, "ostrich"]; None: no index."""
    if isinstance(element, Mapping):
        numbers = [_number(element.get(key)) for key in _INDEX_KEYS]
        return next((number for number in numbers if number is not None), None)
    return _number(element[0]) if isinstance(element, (list, tuple)) and len(element) > 1 else None


def _number(value: Any) -> Optional[int]:
    """Return an integer, also one in quotes; None for everything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value) else None


def _name(value: Any, place: str) -> str:
    """Return a name: a text, the last one of [WordNet id, name], or that of an object."""
    if isinstance(value, Mapping):
        value = next((value[key] for key in _NAME_KEYS if key in value), None)
    elif isinstance(value, (list, tuple)) and value:
        value = value[-1]
    if not isinstance(value, str):
        raise _unknown(place, value)
    return value


def _unknown(place: str, found: Any) -> ArgumentError:
    shown = repr(found)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return ArgumentError(
        f"labels: {place} has {shown} where a name is expected. Use a list of names; a "
        'mapping from index to name, to [WordNet id, name], or from name to index; {"id2label": '
        "...} and the like; or the path of such a JSON file, or of a text with one name a line"
    )
