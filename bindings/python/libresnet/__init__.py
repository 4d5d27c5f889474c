"""Run pretrained ResNets from Python, and measure what their shortcuts do.

    import libresnet

    model = libresnet.Model("resnet50.onnx")
    for best in model.classify("photo.jpg", k=3):
        print(f"{best.score:.1%} {best.label or best.index}")

A model is immutable and may be used by any number of threads. A session has the buffers
and threads that run it. NumPy is the only dependency. The library is found in the wheel,
in the checkout's build folder, or at the path in the environment variable
LIBRESNET_LIBRARY.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

from . import _library
from ._errors import (
    ArgumentError,
    Error,
    FileError,
    FormatError,
    ImageError,
    ImageNotFoundError,
    ImageWarning,
    LimitError,
    ModelNotFoundError,
    ModelWarning,
    OutOfMemoryError,
    SystemFailure,
    UnsupportedModelError,
)
from ._images import read_image
from ._model import Model
from ._plan import Block, Finding, ModelInfo, Op, Plan, Preprocess
from ._session import Ablation, Prediction, Response, Session
from ._structs import Status

if TYPE_CHECKING:
    from ._compare import Comparison, compare
    from ._observe import Responses

__version__: str = _library.library.resnet_version().decode()

__all__ = [
    "ArgumentError",
    "Block",
    "Comparison",
    "Error",
    "FileError",
    "Finding",
    "FormatError",
    "Ablation",
    "LimitError",
    "Model",
    "ModelInfo",
    "ModelWarning",
    "ModelNotFoundError",
    "Op",
    "OutOfMemoryError",
    "ImageError",
    "ImageNotFoundError",
    "ImageWarning",
    "Plan",
    "Prediction",
    "Preprocess",
    "Response",
    "Responses",
    "Session",
    "Status",
    "SystemFailure",
    "UnsupportedModelError",
    "compare",
    "read_image",
]

# Imported at first use: they take a third of the import time.
_LAZY = {
    "Comparison": "_compare",
    "compare": "_compare",
    "Responses": "_observe",
}

# With __getattr__, a type checker would accept every name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        from ._forks import importing

        with importing:
            value = globals()[name] = getattr(import_module(f".{_LAZY[name]}", __name__), name)
        return value

    def __dir__() -> List[str]:
        """List the public names for completion: without imports, with the lazy names."""
        return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
