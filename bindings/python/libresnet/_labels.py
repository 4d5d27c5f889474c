"""Names of classes: given by the user, or ImageNet's for models of 1,000 classes."""

from __future__ import annotations

import json
import os
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

from ._errors import ArgumentError
from ._library import imagenet_labels

# A list of names; a path; or a mapping from index to name, or from name to index.
Labels = Union[Sequence[str], Mapping[Any, Any], "os.PathLike[str]", str]

# Keys of a JSON object that contains the names besides other things.
_KEYS = ("id2label", "labels", "classes", "class_names", "names", "categories", "label2id")
_NAME_KEYS = ("name", "label", "title")
_INDEX_KEYS = ("id", "index")


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
        names = [line.strip() for line in content.splitlines()]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise ArgumentError(f"labels: {path} is empty: one name a line, or JSON")
    return names


def _from_data(data: Any, place: str) -> List[str]:
    if isinstance(data, Mapping):
        inner = next((data[key] for key in _KEYS if isinstance(data.get(key), (list, dict))), None)
        if inner is not None:
            return _from_data(inner, place)
        pairs = [_pair(key, value, place) for key, value in data.items()]
    elif isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        pairs = [_element(index, value, place) for index, value in enumerate(data)]
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


def _element(position: int, value: Any, place: str) -> Tuple[int, str]:
    """Return the index and name of an element of a list."""
    if isinstance(value, Mapping):
        index = next((value[key] for key in _INDEX_KEYS if isinstance(value.get(key), int)), None)
        return (position if index is None else index), _name(value, place)
    return position, _name(value, place)


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
