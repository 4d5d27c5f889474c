"""Characters that must not reach a terminal or a notebook: names in files and folders may
hold escape sequences and marks that reverse text."""

from __future__ import annotations

import re

# The ranges of bindings/support/utf8.c, which explains them; a test compares the two.
_RANGES = (
    *((0x0000, 0x001F), (0x007F, 0x009F), (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C)),
    *((0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x2028, 0x202E)),
    *((0x2060, 0x206F), (0x3164, 0x3164), (0xFDD0, 0xFDEF), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0)),
    *((0xFFF0, 0xFFFB), (0xFFFE, 0xFFFF), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A)),
    (0xE0000, 0xE0FFF),
    (0xD800, 0xDFFF),  # halves of pairs; they also stand for bytes that are not UTF-8
)
_UNSAFE = re.compile("[%s]" % "".join(f"{chr(low)}-{chr(high)}" for low, high in _RANGES))


def masked(text: str) -> str:
    """Return the text with "?" for each unsafe character."""
    return _UNSAFE.sub("?", text)
