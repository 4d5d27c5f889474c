"""Run pretrained ResNets from Python, and see what their shortcuts do.

    import libresnet

    model = libresnet.Model("resnet50.onnx")
    for best in model.classify("photo.jpg", k=3):
        print(f"{best.score:.1%} {best.label or best.index}")

A model is immutable and may be used by any number of threads; a session has buffers and
threads for running it. NumPy is all that is needed. The library is found in the wheel, in
the checkout's build folder, or where the environment variable LIBRESNET_LIBRARY says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

from . import _library
from ._errors import (
    ArgumentError,
    Error,
    FileError,
    FormatError,
    LimitError,
    ModelWarning,
    NotThereError,
    OutOfMemoryError,
    PictureError,
    PictureNotThereError,
    SystemFailure,
    UnsupportedModelError,
)
from ._model import Model
from ._pictures import read_picture
from ._plan import Block, Finding, ModelInfo, Op, Plan, Preprocess
from ._session import Lesion, Prediction, Response, Session
from ._structs import Status

if TYPE_CHECKING:
    from ._compare import Comparison, compare
    from ._lens import Responses

__version__: str = _library.library.resnet_version().decode()

__all__ = [
    "ArgumentError",
    "Block",
    "Comparison",
    "Error",
    "FileError",
    "Finding",
    "FormatError",
    "Lesion",
    "LimitError",
    "Model",
    "ModelInfo",
    "ModelWarning",
    "NotThereError",
    "Op",
    "OutOfMemoryError",
    "PictureError",
    "PictureNotThereError",
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
    "read_picture",
]

_LATER = {
    "Comparison": "_compare",
    "compare": "_compare",
    "Responses": "_lens",
}  # a third of the time that importing takes

if not TYPE_CHECKING:  # type checkers would take any name for one that is there

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        from ._forks import importing

        with importing:
            value = globals()[name] = getattr(import_module(f".{_LATER[name]}", __name__), name)
        return value

    def __dir__() -> List[str]:  # else completion would show imports, and not what comes later
        return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
