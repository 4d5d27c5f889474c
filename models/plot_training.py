#!/usr/bin/env python3
"""Draw training and test error against epoch, as figure 6 of "Deep Residual Learning":
plain networks left, residual ones right.

Reads the logs of train.py, cifar10-<net>.csv; needs nothing but Python. Where an epoch
trained on images of half the side, its test error was measured on such images, too.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from arguments import existing_folder

HERE = Path(__file__).resolve().parent
EXAMPLE = "example: python models/plot_training.py    (writes models/plots/degradation.svg)"
PANELS = (("plain nets", ("plain20", "plain56")), ("residual nets", ("resnet20", "resnet56")))
CLASSES = {"20": "few", "56": "many"}  # of the style sheet, by depth
WIDTH, HEIGHT = 940, 420
LEFT, TOP, PANEL_WIDTH, PANEL_HEIGHT, GAP = 62, 64, 345, 270, 118
SETTLED = 5  # errors of earlier epochs may be above the plot

# Okabe and Ito's vermilion and blue, which colour-blind readers tell apart; in the dark
# lighter ones of the same hues.
STYLE = """
 svg { background: #fff; font-family: system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, \
Arial, sans-serif }
 text { fill: #222; font-size: 13px } .small { font-size: 12px; fill: #555 } \
.title { font-size: 15px; font-weight: 600 }
 .axis { stroke: #222; stroke-width: 1 } .grid { stroke: #ddd; stroke-width: 1 }
 .change { stroke: #777; stroke-width: 1; stroke-dasharray: 5 4 }
 .curve { fill: none; stroke-linejoin: round } .train { stroke-width: 1.1 } \
.test { stroke-width: 2.6 }
 .few { stroke: #d55e00 } .many { stroke: #0072b2 } \
text.few { fill: #b34f00; stroke: none } text.many { fill: #0067a0; stroke: none }
 @media (prefers-color-scheme: dark) {
  svg { background: #16181d } text { fill: #e8e8e8 } .small { fill: #b5b5b5 } \
.axis { stroke: #e8e8e8 } .grid { stroke: #333842 }
  .change { stroke: #999 } .few { stroke: #ff9248 } .many { stroke: #56b4e9 } \
text.few { fill: #ff9248 } text.many { fill: #56b4e9 }
 }
"""


class Failure(Exception):
    """Which log is wrong, and what to do."""


@dataclass(frozen=True)
class Log:
    """A training run, epoch by epoch; errors in percent, sizes in pixels."""

    name: str
    epochs: list[int]
    train: list[float]
    test: list[float]
    sizes: list[int]

    @property
    def depth(self) -> str:
        return self.name.lstrip("abcdefghijklmnopqrstuvwxyz")

    @property
    def changes(self) -> list[int]:
        """Return the places in the lists where the size of the images changes."""
        return [i for i in range(1, len(self.sizes)) if self.sizes[i] != self.sizes[i - 1]]


def read_log(path: Path, name: str) -> Log:
    """Read a log of train.py; older ones have no column `size`."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        columns = [
            [float(row[key]) for row in rows] for key in ("epoch", "train_error", "test_error")
        ]
        sizes = [int(row["size"]) for row in rows] if rows and "size" in rows[0] else []
    except (OSError, KeyError, ValueError, TypeError) as problem:
        raise Failure(
            f"{path}: no training log: {type(problem).__name__}: {problem}; "
            "models/train.py writes it"
        ) from None
    if not rows or not all(map(math.isfinite, sum(columns, []))):
        raise Failure(
            f"{path}: no epochs, or errors that are no numbers; models/train.py writes it"
        )
    epochs, train, test = columns
    return Log(name, [int(epoch) for epoch in epochs], train, test, sizes)


@dataclass(frozen=True)
class Panel:
    """One plot, and where a point of the data is on the page."""

    left: float
    epochs: int
    top_error: int

    def x(self, epoch: float) -> float:
        return self.left + PANEL_WIDTH * epoch / self.epochs

    def y(self, error: float) -> float:
        return TOP + PANEL_HEIGHT * (1 - error / self.top_error)

    def axes(self, title: str, clip: str) -> list[str]:
        """Draw the frame, the grid, ticks with numbers, and titles."""
        bottom, right = TOP + PANEL_HEIGHT, self.left + PANEL_WIDTH
        lines = [f'<text class="title" x="{self.left}" y="{TOP - 38}">{escape(title)}</text>']
        lines.append(
            f'<clipPath id="{clip}"><rect x="{self.left}" y="{TOP}" '
            f'width="{PANEL_WIDTH}" height="{PANEL_HEIGHT}"/></clipPath>'
        )
        for error in range(0, self.top_error + 1, 5 if self.top_error <= 30 else 10):
            y = self.y(error)
            lines.append(
                f'<line class="grid" x1="{self.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            lines.append(
                f'<text x="{self.left - 8}" y="{y + 4.5:.1f}" text-anchor="end">{error}</text>'
            )
        for epoch in range(0, self.epochs + 1, tick_step(self.epochs)):
            x = self.x(epoch)
            lines.append(
                f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}"/>'
            )
            lines.append(f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{epoch}</text>')
        lines.append(f'<path class="axis" fill="none" d="M{self.left},{TOP}V{bottom}H{right}"/>')
        lines.append(
            f'<text x="{(self.left + right) / 2}" y="{bottom + 40}" '
            'text-anchor="middle">epoch</text>'
        )
        middle = TOP + PANEL_HEIGHT / 2
        lines.append(
            f'<text transform="translate({self.left - 42},{middle}) rotate(-90)" '
            'text-anchor="middle">error, %</text>'
        )
        return lines

    def curve(self, log: Log, kind: str, values: list[float], clip: str) -> str:
        points = " ".join(
            f"{self.x(epoch):.1f},{self.y(value):.1f}" for epoch, value in zip(log.epochs, values)
        )
        name = "training" if kind == "train" else "test"
        what = f"{log.name}, {name} error: {values[-1]:.2f} % at the end"
        style = f"curve {kind} {CLASSES[log.depth]}"
        return (
            f'<polyline class="{style}" clip-path="url(#{clip})" points="{points}">'
            f"<title>{escape(what)}</title></polyline>"
        )

    def changes(self, log: Log) -> list[str]:
        """Draw a line where the size of the images changes, with the sizes beside it."""
        lines = []
        for i in log.changes:
            x = self.x(log.epochs[i - 1])
            lines.append(
                f'<line class="change" x1="{x:.1f}" x2="{x:.1f}" '
                f'y1="{TOP - 4}" y2="{TOP + PANEL_HEIGHT}"/>'
            )
            for side, size, anchor in ((-6, log.sizes[i - 1], "end"), (6, log.sizes[i], "start")):
                lines.append(
                    f'<text class="small" x="{x + side:.1f}" y="{TOP - 8}" '
                    f'text-anchor="{anchor}">{size} x {size}</text>'
                )
        return lines

    def labels(self, logs: list[Log]) -> list[str]:
        """Write the depths beside the ends of the test curves, without overlap."""
        ends = sorted(((self.y(log.test[-1]) + 4.5, log) for log in logs), key=lambda end: end[0])
        lines, lowest = [], -math.inf
        for y, log in ends:
            lowest = max(y, lowest + 15)
            text = f"{log.depth} layers"
            x = min(self.x(log.epochs[-1]) + 5, self.left + PANEL_WIDTH + 4)
            lines.append(
                f'<text class="{CLASSES[log.depth]}" x="{x:.1f}" y="{lowest:.1f}">{text}</text>'
            )
        return lines


def tick_step(epochs: int) -> int:
    return next((step for step in (1, 2, 5, 10, 20, 50) if epochs / step <= 8), 100)


def top_of(logs: list[Log]) -> int:
    """Return the least multiple of 10 above all errors but those of the first epochs."""
    settled = [
        value for log in logs for value in log.train[SETTLED - 1 :] + log.test[SETTLED - 1 :]
    ]
    every = [value for log in logs for value in log.train + log.test]
    return min(100, 10 * math.ceil(max(settled or every) / 10))


def draw(panels: list[tuple[str, list[Log]]]) -> str:
    """Return the whole image."""
    logs = [log for _, of_panel in panels for log in of_panel]
    epochs, top = max(log.epochs[-1] for log in logs), top_of(logs)
    body = []
    for number, (title, of_panel) in enumerate(panels):
        panel, clip = Panel(LEFT + number * (PANEL_WIDTH + GAP), epochs, top), f"panel{number}"
        body += panel.axes(title, clip)
        body += panel.changes(max(of_panel, key=lambda log: len(log.sizes)))
        for log in of_panel:
            body += [
                panel.curve(log, "train", log.train, clip),
                panel.curve(log, "test", log.test, clip),
            ]
        body += panel.labels(of_panel)
    key = HEIGHT - 16
    body.append(
        f'<line class="curve train many" x1="{LEFT}" x2="{LEFT + 30}" '
        f'y1="{key - 4}" y2="{key - 4}"/>'
    )
    body.append(f'<text x="{LEFT + 36}" y="{key}">thin: training error</text>')
    body.append(
        f'<line class="curve test many" x1="{LEFT + 190}" x2="{LEFT + 220}" '
        f'y1="{key - 4}" y2="{key - 4}"/>'
    )
    body.append(f'<text x="{LEFT + 226}" y="{key}">bold: test error</text>')
    finals = "; ".join(f"{log.name} {log.train[-1]:.2f} and {log.test[-1]:.2f}" for log in logs)
    about = f"Training and test error in percent against epoch. At the end: {finals}."
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(about)}">'
    )
    return "\n".join([head, f"<style>{STYLE}</style>", *body, "</svg>"]) + "\n"


def main() -> int:
    """Draw from the logs beside this file, or from others."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--logs",
        type=existing_folder,
        default=HERE,
        metavar="DIR",
        help="folder of cifar10-<net>.csv (default: models/)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=HERE / "plots" / "degradation.svg", metavar="FILE"
    )
    options = parser.parse_args()
    try:
        panels = [
            (title, [read_log(options.logs / f"cifar10-{name}.csv", name) for name in names])
            for title, names in PANELS
        ]
        options.output.parent.mkdir(parents=True, exist_ok=True)
        temporary = options.output.with_name(options.output.name + ".tmp")
        temporary.write_text(draw(panels))
        os.replace(temporary, options.output)
    except (Failure, OSError) as problem:
        print(f"plot_training.py: {problem}", file=sys.stderr)
        return 1
    print(f"wrote {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
