"""A small painting kit: soft shapes with light from the upper left, noise and blur.

Coordinates are fractions of the image's height, (0,0) in the upper left corner of the
central square and (1,1) in its lower right one, so a scene fits any wider image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]

OVERSAMPLING = 3


class Canvas:
    """An image being painted, (h,w,3) float in 0..255, with its own random numbers."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        self.width, self.height = width, height
        self.random = np.random.default_rng(seed)
        self.pixels = np.zeros((height, width, 3), np.float32)

    def image(self, grain: float = 4.0) -> Image.Image:
        """Return the finished image, with a little grain so that nothing looks like
        plastic."""
        pixels = self.pixels + self.random.normal(0, grain, (self.height, self.width, 1))
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))

    def backdrop(
        self, colours: Sequence[Colour], top: float = 0, bottom: float = 1, rough: float = 0.03
    ) -> None:
        """Paint a vertical gradient through the colours, from `top` to `bottom`."""
        first, last = round(top * self.height), round(bottom * self.height)
        position = np.linspace(0, len(colours) - 1, last - first)
        stops = np.arange(len(colours))
        gradient = np.stack(
            [np.interp(position, stops, channel) for channel in np.array(colours).T], axis=1
        )
        texture = 1 + rough * self.noise(5)[first:last, :, None]
        self.pixels[first:last] = gradient[:, None, :] * texture

    def noise(self, cells: float, stretch: float = 1.0, octaves: int = 5) -> np.ndarray:
        """Return fractal noise (h,w) of about unit deviation; `stretch` makes it wider
        than high."""
        total = np.zeros((self.height, self.width), np.float32)
        for octave in range(octaves):
            rows = max(2, round(cells * 2**octave))
            columns = max(2, round(rows * self.width / self.height / stretch))
            grid = Image.fromarray(self.random.normal(0, 1, (rows, columns)).astype(np.float32))
            total += (
                np.asarray(grid.resize((self.width, self.height), Image.Resampling.BICUBIC))
                / 1.6**octave
            )
        return total / total.std()

    def mask(self, points: Sequence[Point], smooth: bool, blur: float = 0) -> np.ndarray:
        """Return the coverage (h,w) in 0..1 of the polygon, or of the smooth curve,
        through its points."""
        scale = self.height * OVERSAMPLING
        offset = (self.width - self.height) / 2 * OVERSAMPLING
        outline = smooth_outline(points) if smooth else points
        large = Image.new("L", (self.width * OVERSAMPLING, self.height * OVERSAMPLING))
        ImageDraw.Draw(large).polygon(
            [(x * scale + offset, y * scale) for x, y in outline], fill=255
        )
        small = large.resize((self.width, self.height), Image.Resampling.BOX)
        return blurred(np.asarray(small, np.float32) / 255, blur * self.height)

    def blend(self, mask: np.ndarray, colour: np.ndarray | Colour, opacity: float = 1) -> None:
        """Paint a colour, or an image of colours, where the mask is."""
        weight = (mask * opacity)[:, :, None]
        self.pixels += weight * (np.asarray(colour, np.float32) - self.pixels)

    def glaze(
        self, points: Sequence[Point], colour: Colour, opacity: float, blur: float = 0.02
    ) -> None:
        """Paint a soft transparent smooth shape: a shadow, a highlight, a cloud."""
        self.blend(self.mask(points, True, blur), colour, opacity)

    def flat(
        self, points: Sequence[Point], colour: Colour, smooth: bool = False, blur: float = 0.002
    ) -> None:
        """Paint a shape of one colour."""
        self.blend(self.mask(points, smooth, blur), colour)

    def solid(
        self,
        points: Sequence[Point],
        colour: Colour,
        smooth: bool = True,
        depth: float = 0.05,
        relief: float = 0.5,
        rough: float = 0.06,
    ) -> None:
        """Paint a rounded body: lit from the upper left, dark on the lower right, with a
        rough surface."""
        mask = self.mask(points, smooth, 0.002)
        shade = 1 + relief * self.relief(mask, depth) + rough * self.noise(12)
        self.blend(mask, np.asarray(colour, np.float32) * shade[:, :, None])

    def relief(self, mask: np.ndarray, depth: float) -> np.ndarray:
        """Return how much a body of this outline faces the light, about -1..1: the slope
        of its blurred mask."""
        shift = max(1, round(depth * self.height))
        dome = np.pad(blurred(mask, depth * self.height), shift, mode="edge")
        lit = dome[2 * shift :, shift:-shift] + 0.5 * dome[shift:-shift, 2 * shift :]
        dark = dome[: -2 * shift, shift:-shift] + 0.5 * dome[shift:-shift, : -2 * shift]
        return lit - dark

    def strokes(
        self,
        count: int,
        area: tuple[float, float, float, float],
        lean: float,
        colours: Sequence[Colour],
    ) -> None:
        """Paint short upright strokes such as blades of grass, in the area (left, top,
        right, bottom)."""
        canvas = Image.fromarray(np.clip(self.pixels, 0, 255).astype(np.uint8))
        draw = ImageDraw.Draw(canvas)
        left, top, right, bottom = (value * self.height for value in area)
        offset = (self.width - self.height) / 2
        for y in np.sort(self.random.uniform(top, bottom, count)):
            x = self.random.uniform(left, right) + offset
            # Nearer blades are longer.
            length = (
                self.height
                * (0.015 + 0.04 * (y - top) / (bottom - top))
                * self.random.uniform(0.6, 1.4)
            )
            colour = tuple(colours[self.random.integers(len(colours))])
            tip = (x + self.random.normal(0, lean) * length, y - length)
            draw.line([(x, y), tip], fill=colour, width=1 + self.height // 300)
        self.pixels = np.asarray(canvas, np.float32).copy()

    def soften(self, radius: float, top: float = 0, bottom: float = 1) -> None:
        """Blur what is painted so far between two heights, as a background out of
        focus."""
        rows = slice(round(top * self.height), round(bottom * self.height))
        for channel in range(3):
            self.pixels[rows, :, channel] = blurred(
                self.pixels[rows, :, channel], radius * self.height
            )


def blurred(values: np.ndarray, radius: float) -> np.ndarray:
    """Apply a Gaussian blur to (h,w) values, as two box blurs each way; edges repeat."""
    half = round(radius)
    if half < 1:
        return values
    for _ in range(2):
        for axis in (0, 1):
            values = box_blur(values, half, axis)
    return values


def box_blur(values: np.ndarray, half: int, axis: int) -> np.ndarray:
    """Return the mean of 2*half+1 neighbours along one axis, from a running sum."""
    widths = [(half + 1, half) if direction == axis else (0, 0) for direction in range(2)]
    sums = np.cumsum(np.pad(values, widths, mode="edge"), axis=axis, dtype=np.float64)
    count = 2 * half + 1
    after, before = np.arange(count, sums.shape[axis]), np.arange(sums.shape[axis] - count)
    return ((sums.take(after, axis) - sums.take(before, axis)) / count).astype(np.float32)


def smooth_outline(points: Sequence[Point], steps: int = 12) -> list[Point]:
    """Return the closed Catmull-Rom curve through the points."""
    p1 = np.array(points, float)
    p0, p2, p3 = np.roll(p1, 1, axis=0), np.roll(p1, -1, axis=0), np.roll(p1, -2, axis=0)
    curves = []
    for t in np.linspace(0, 1, steps, endpoint=False):
        linear, square, cube = p2 - p0, 2 * p0 - 5 * p1 + 4 * p2 - p3, 3 * p1 - p0 - 3 * p2 + p3
        curves.append(0.5 * (2 * p1 + linear * t + square * t**2 + cube * t**3))
    return [tuple(point) for point in np.stack(curves, axis=1).reshape(-1, 2)]


def path(text: str) -> list[Point]:
    """Parse points written as "x,y x,y ..." in percent."""
    return [tuple(float(value) / 100 for value in pair.split(",")) for pair in text.split()]


def mirrored(text: str, sign: int) -> list[Point]:
    """Parse a path whose x counts from the middle, to the right (sign 1) or to the left
    (-1)."""
    return [(0.5 + sign * x, y) for x, y in path(text)]


def ellipse(
    x: float, y: float, rx: float, ry: float, tilt: float = 0, count: int = 16
) -> list[Point]:
    """Return points around an ellipse; `tilt` in degrees, clockwise."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    cosine, sine = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    along, across = rx * np.cos(angles), ry * np.sin(angles)
    return list(zip(x + along * cosine - across * sine, y + along * sine + across * cosine))


def box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    """Return the corners of an upright rectangle."""
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def limb(points: Sequence[Point], widths: Sequence[float]) -> list[Point]:
    """Return the outline of a tapering limb along a line of points, with a width at
    each."""
    line = np.array(points, float)
    tangent = np.gradient(line, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    side = normal * np.array(widths)[:, None] / 2
    return [tuple(point) for point in np.concatenate([line + side, (line - side)[::-1]])]
