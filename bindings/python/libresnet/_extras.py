"""Features that need an optional library: pandas for tables, matplotlib for plots."""

from __future__ import annotations

import importlib
from typing import Any, Sequence


def require(library: str, what: str) -> Any:
    """Import a module. Raises ImportError that says what needs it and how to install it."""
    try:
        return importlib.import_module(library)
    except ImportError as problem:
        package = library.partition(".")[0]
        message = f"{what} needs {package}, which cannot be imported: pip install {package}"
        raise ImportError(message, name=package) from problem


def pandas(what: str) -> Any:
    return require("pandas", what)


def pyplot(what: str) -> Any:
    return require("matplotlib.pyplot", what)


def plot_deviations(
    in_order: Any, sorted_down: Any, deviations: Sequence[float], label: str, residual: bool
) -> None:
    """Plot one model into both panels of Fig. 7 of "Deep Residual Learning": the standard
    deviation of each layer's response, in the order of the layers and in descending order.
    Plain networks are dashed, as in the paper."""
    layers = range(1, len(deviations) + 1)
    style = {
        "linestyle": "-" if residual else "--",
        "linewidth": 1.5,
        "marker": ".",
        "markersize": 4,
        "label": label,
    }
    in_order.plot(layers, deviations, **style)
    sorted_down.plot(layers, sorted(deviations, reverse=True), **style)


def label_deviations(in_order: Any, sorted_down: Any) -> None:
    """Set titles, axes and legend of the two panels, after all models are plotted."""
    in_order.set(title="Layer responses", xlabel="layer", ylabel="std")
    sorted_down.set(
        title="Sorted by magnitude", xlabel="layer, largest response first", ylabel="std"
    )
    for axes in (in_order, sorted_down):
        axes.set_ylim(bottom=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    in_order.legend()
