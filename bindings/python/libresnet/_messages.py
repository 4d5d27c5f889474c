"""Messages of the library, for Python: they name arguments and methods, not C's."""

from __future__ import annotations

import re

# The first that fits a place counts: longer texts come before their parts.
_TEXTS = {
    "its weights are in another file: set options.external_data to read it, or merge both into "
    "one: onnx.save(onnx.load(path), path)": "the weights are in other files: pass "
    "external_data=True to read them, or make one file of all: "
    "onnx.save(onnx.load('model.onnx'), 'whole.onnx')",
    "open it by its path, with external_data on": "open it by its path, with external_data=True",
    "options.input_height, input_width": "input_size",
    "keep_weights = 1 in its options": "keep_weights=True",
    "leave labels at NULL": "pass no labels",
}
_PATTERNS = (
    (r"resnet_(?:model|session|plan)_\w+: ", ""),
    (r"resnet_(?:classify|prepare|run|preprocess_preset): ", ""),
    (r"resnet_(classify|prepare|run)\b", r"\1"),
    (r"options\.(\w+)", r"\1"),
)
_ANY = re.compile("|".join([*map(re.escape, _TEXTS), *(pattern for pattern, _ in _PATTERNS)]))


def python_message(text: str) -> str:
    """Return a message of the library with the names of this package."""
    return _ANY.sub(_replaced, text)


def _replaced(found: re.Match[str]) -> str:
    whole = found[0]
    if whole in _TEXTS:
        return _TEXTS[whole]
    pattern, new = next(pair for pair in _PATTERNS if re.fullmatch(pair[0], whole))
    return re.sub(pattern, new, whole)
