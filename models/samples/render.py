#!/usr/bin/env python3
"""Paint the sample images of the demo, and show how a model labels them.

This program draws every image from nothing, the same on every run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from paint import Canvas, Point, box, ellipse, limb, mirrored, path
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from accuracy import Classifier  # noqa: E402  (it is in the folder above)
from arguments import existing_file, folder  # noqa: E402

JPEG_QUALITY = 90
LARGEST_BYTES = 40_000


def ship() -> Canvas:
    """A freighter at sea in the morning."""
    c = Canvas(400, 300, 1)
    c.backdrop([(120, 165, 215), (185, 210, 235), (225, 230, 235)], 0, 0.58)
    clouds(c, 0.10, 0.42)
    c.backdrop([(90, 125, 150), (45, 85, 120), (25, 60, 95)], 0.56, 1, 0.05)
    waves(c, 0.57, (225, 238, 245))
    c.solid(box(0.60, 0.25, 0.84, 0.56), (238, 238, 232), False, 0.02)
    c.solid(box(0.63, 0.17, 0.80, 0.26), (228, 228, 224), False, 0.02)
    c.solid(box(0.70, 0.06, 0.78, 0.18), (190, 60, 45), False, 0.02)
    c.flat(box(0.70, 0.06, 0.78, 0.085), (40, 40, 45))
    for row in (0.30, 0.37, 0.44):
        for column in range(5):
            c.flat(
                box(0.62 + 0.042 * column, row, 0.645 + 0.042 * column, row + 0.03), (60, 85, 110)
            )
    crates = [(185, 75, 50), (60, 110, 150), (205, 155, 60), (90, 130, 90), (170, 170, 165)]
    for number in range(9):
        left, row = 0.14 + 0.09 * (number % 5), number // 5
        top = 0.47 - 0.08 * row
        c.solid(
            box(left, top, left + 0.085, 0.55 - 0.08 * row), crates[number * 3 % 5], False, 0.01
        )
    hull = path("0,49 8,53 88,53 96,50 92,72 10,72")
    c.solid(hull, (45, 55, 75), False, 0.06, 0.6)
    c.flat(path("7.5,66 93.5,66 92,72 10,72"), (150, 45, 40))
    c.flat(box(0.105, 0.25, 0.115, 0.5), (90, 90, 95))
    c.glaze(ellipse(0.5, 0.80, 0.45, 0.06), (15, 35, 60), 0.6, 0.02)
    c.glaze(limb(path("2,72 50,73.5 100,72.5"), [0.03, 0.02, 0.03]), (240, 246, 250), 0.85, 0.006)
    return c


def airplane() -> Canvas:
    """An airliner climbing in a blue sky."""
    c = Canvas(384, 288, 2)
    c.backdrop([(70, 130, 205), (125, 175, 230), (180, 212, 242)])
    clouds(c, 0.72, 1.0)
    far_wing = path("50,43 34,20 39,19 62,41")
    c.solid(far_wing, (165, 172, 185), False, 0.02)
    fuselage = path("2,60 6,54.5 20,50 55,42.5 85,36 96,32.5 95,36 80,44 55,52.5 20,60.5 7,63")
    c.solid(path("80,39 88,14 95.5,12 93,36"), (45, 80, 155), False, 0.03)
    c.solid(fuselage, (244, 245, 248), True, 0.035, 0.55, 0.02)
    c.solid(path("84,38.5 97,43 100,42.5 93,35.5"), (205, 210, 220), False, 0.02)
    wing = path("38,53 66,84 73,84 60,48")
    c.solid(wing, (212, 217, 226), False, 0.03)
    c.solid(limb(path("42,68 47,67 53,65.5"), [0.06, 0.075, 0.05]), (120, 128, 145), True, 0.02)
    for number in range(13):
        x = 0.18 + 0.047 * number
        y = 0.535 - 0.205 * (x - 0.18)
        c.flat(ellipse(x, y, 0.009, 0.012), (60, 75, 105))
    c.flat(path("6.5,56 11,54.5 11.5,56.5 7,58"), (50, 60, 85))
    return c


def automobile() -> Canvas:
    """A red hatchback on a country road."""
    c = Canvas(400, 300, 3)
    c.backdrop([(150, 190, 225), (215, 228, 235)], 0, 0.45)
    hills(c, 0.40, (95, 130, 85))
    c.backdrop([(120, 120, 122), (88, 88, 92), (72, 72, 76)], 0.55, 1, 0.06)
    c.soften(0.006)
    c.glaze(ellipse(0.5, 0.82, 0.50, 0.05), (20, 20, 25), 0.85, 0.02)
    body = path("3,60 5,53 24,48 36,33 46,30 68,30 80,34 92,48 97,54 97,72 92,76 8,76 3,72")
    c.solid(body, (200, 30, 32), True, 0.05, 0.6, 0.02)
    c.flat(path("29,48 38.5,35.5 53,34.5 53,48"), (50, 62, 75))
    c.flat(path("56,48 56,34.5 70,35 78,38.5 84,48"), (50, 62, 75))
    c.glaze(path("33,46 40,37 45,37 39,46"), (200, 215, 225), 0.5, 0.008)
    c.glaze(limb(path("10,54 50,51.5 90,54"), [0.015, 0.02, 0.015]), (255, 190, 185), 0.7, 0.008)
    c.flat(box(0.05, 0.72, 0.95, 0.76), (70, 18, 20), blur=0.006)
    for x in (0.23, 0.78):
        wheel(c, x, 0.75, 0.105)
    c.solid(ellipse(0.075, 0.575, 0.035, 0.028), (250, 240, 205), True, 0.01)
    c.solid(ellipse(0.95, 0.575, 0.02, 0.03), (255, 120, 60), True, 0.01)
    c.flat(box(0.60, 0.52, 0.65, 0.535), (120, 15, 18))
    return c


def truck() -> Canvas:
    """A lorry with a white box on the motorway."""
    c = Canvas(400, 300, 4)
    c.backdrop([(140, 175, 215), (210, 222, 232)], 0, 0.6)
    hills(c, 0.52, (105, 125, 90))
    c.backdrop([(125, 124, 122), (92, 92, 94), (75, 75, 78)], 0.66, 1, 0.06)
    c.soften(0.006)
    c.glaze(ellipse(0.5, 0.87, 0.52, 0.045), (20, 20, 25), 0.85, 0.02)
    c.flat(box(0.06, 0.70, 0.97, 0.80), (45, 47, 52))
    c.solid(box(0.34, 0.16, 0.98, 0.72), (236, 236, 232), False, 0.03, 0.35, 0.03)
    c.flat(box(0.34, 0.56, 0.98, 0.62), (40, 90, 160))
    for x in (0.50, 0.66, 0.82):
        c.flat(box(x, 0.17, x + 0.005, 0.71), (195, 195, 192))
    cab = path("3,55 9,30 13,26 32,26 32,78 2,78")
    c.solid(cab, (35, 85, 165), False, 0.03, 0.6, 0.02)
    c.flat(path("6.5,51 11,32 17,32 17,51"), (45, 58, 70))
    c.flat(path("19,32 29,32 29,51 19,51"), (45, 58, 70))
    c.flat(box(0.02, 0.72, 0.16, 0.79), (170, 172, 175))
    c.solid(ellipse(0.055, 0.67, 0.025, 0.025), (252, 242, 205), True, 0.01)
    for x in (0.20, 0.70, 0.86):
        wheel(c, x, 0.81, 0.085)
    return c


def bird() -> Canvas:
    """A robin on a snowy branch."""
    c = Canvas(300, 300, 5)
    c.backdrop([(216, 224, 236), (206, 216, 228), (190, 202, 216)], rough=0.06)
    c.soften(0.03)
    c.solid(
        limb(path("-10,86 30,83 70,85 110,80"), [0.07, 0.06, 0.055, 0.04]),
        (95, 72, 52),
        True,
        0.02,
        0.6,
        0.15,
    )
    snow = limb(path("-10,83 30,80 70,82 110,77"), [0.03, 0.035, 0.03, 0.025])
    c.solid(snow, (236, 240, 246), True, 0.01, 0.2)
    c.solid(limb(path("78,56 90,72 99,86"), [0.13, 0.10, 0.07]), (88, 72, 55), True, 0.03)
    body = path("22,36 30,25 42,22 52,29 66,40 82,56 80,66 66,76 48,80 33,72 25,56")
    c.solid(body, (130, 105, 78), True, 0.07, 0.6, 0.07)
    c.solid(path("23,38 30,33 40,42 44,56 40,68 31,66 25,54"), (214, 95, 42), True, 0.05, 0.4, 0.08)
    c.glaze(ellipse(0.47, 0.72, 0.12, 0.06, 15), (235, 228, 215), 0.9, 0.02)
    c.solid(path("50,44 64,45 80,57 88,68 74,66 58,62"), (98, 78, 58), True, 0.03, 0.6, 0.1)
    c.solid(path("22.5,34.5 12,37.5 22.5,39.5"), (60, 52, 46), False, 0.01)
    c.flat(ellipse(0.315, 0.33, 0.024, 0.024), (18, 14, 12), True)
    c.flat(ellipse(0.308, 0.323, 0.007, 0.007), (245, 245, 245), True)
    for x in (0.45, 0.53):
        c.flat(limb([(x, 0.77), (x + 0.01, 0.83)], [0.014, 0.012]), (85, 60, 45))
    return c


def deer() -> Canvas:
    """A stag in a meadow."""
    c = Canvas(360, 300, 6)
    meadow(c, 0.50, (88, 122, 62))
    coat = (150, 102, 62)
    legs(c, [(0.36, -0.01), (0.66, 0.02)], 0.58, 0.90, 0.045, (118, 80, 50))
    trunk = path("28,46 40,43 56,44 70,44 77,51 75,62 64,66 48,67 33,66 27,57")
    c.solid(limb(path("35,55 28,42 25,28"), [0.20, 0.13, 0.09]), coat, True, 0.04)
    c.solid(trunk, coat, True, 0.06, 0.6, 0.08)
    legs(c, [(0.31, -0.01), (0.71, 0.03)], 0.60, 0.93, 0.05, coat)
    c.glaze(ellipse(0.76, 0.53, 0.025, 0.05), (240, 232, 220), 0.9, 0.008)
    head(c, coat)
    for sign in (-1, 1):
        antler(c, 0.245 + 0.02 * sign, 0.20, sign)
    c.strokes(500, (-0.2, 0.88, 1.2, 1.05), 0.4, [(70, 105, 48), (120, 150, 75), (92, 128, 60)])
    return c


def frog() -> Canvas:
    """A tree frog on wet ground."""
    c = Canvas(320, 300, 7)
    c.backdrop([(105, 88, 66), (128, 108, 82), (98, 82, 62)], rough=0.16)
    c.soften(0.008)
    c.glaze(ellipse(0.5, 0.80, 0.45, 0.08), (30, 25, 18), 0.8, 0.03)
    skin, dark = (104, 150, 48), (78, 118, 38)
    for sign in (-1, 1):
        c.solid(mirrored("16,62 34,50 43,60 41,76 28,80 18,76", sign), dark, True, 0.04)
        c.solid(mirrored("26,77 40,76 48,81 38,84 24,83", sign), dark, True, 0.02)
    c.solid(
        path("24,50 32,40 50,36 68,40 76,50 76,66 68,79 50,83 32,79 24,66"),
        skin,
        True,
        0.08,
        0.6,
        0.08,
    )
    c.glaze(ellipse(0.5, 0.73, 0.19, 0.10), (216, 214, 158), 0.9, 0.03)
    c.solid(path("20,46 30,33 50,28 70,33 80,46 70,57 50,60 30,57"), skin, True, 0.06, 0.5, 0.08)
    c.glaze(
        limb(path("24,50 38,54.5 50,55.5 62,54.5 76,50"), [0.01, 0.014, 0.014, 0.014, 0.01]),
        (45, 62, 22),
        0.9,
        0.004,
    )
    for x in (0.31, 0.69):
        c.solid(ellipse(x, 0.315, 0.085, 0.08), skin, True, 0.03)
        c.solid(ellipse(x, 0.31, 0.058, 0.055), (205, 165, 55), True, 0.02)
        c.flat(ellipse(x, 0.31, 0.040, 0.024), (16, 16, 12), True)
        c.flat(ellipse(x - 0.015, 0.295, 0.01, 0.01), (250, 250, 245), True)
    for x in (0.36, 0.64):
        c.solid(
            limb([(x, 0.66), (x - 0.02, 0.76), (x, 0.85)], [0.07, 0.06, 0.05]), skin, True, 0.02
        )
        for toe in (-0.05, 0, 0.05):
            c.solid(ellipse(x + toe, 0.87, 0.02, 0.025), skin, True, 0.01)
    for x, y, r in (
        (0.42, 0.42, 0.02),
        (0.56, 0.38, 0.016),
        (0.62, 0.46, 0.022),
        (0.36, 0.47, 0.014),
        (0.5, 0.47, 0.018),
    ):
        c.glaze(ellipse(x, y, r, r * 0.8), (62, 92, 30), 0.8, 0.006)
    return c


def cat() -> Canvas:
    """The face of a tabby."""
    c = Canvas(300, 300, 8)
    c.backdrop([(150, 132, 118), (128, 110, 98), (100, 86, 78)], rough=0.08)
    c.soften(0.03)
    fur, dark, pale = (150, 138, 124), (78, 68, 60), (226, 218, 208)
    c.solid(path("10,110 16,85 32,72 68,72 84,85 90,110"), fur, True, 0.08, 0.5, 0.12)
    for sign in (-1, 1):
        c.solid(mirrored("10,27 31,3 37,42", sign), fur, False, 0.03, 0.4, 0.1)
        c.flat(mirrored("17,26 29.5,10 32,34", sign), (196, 142, 130), blur=0.01)
    c.solid(
        path("14,50 20,33 34,23 50,21 66,23 80,33 86,50 80,66 66,78 50,82 34,78 20,66"),
        fur,
        True,
        0.09,
        0.45,
        0.13,
    )
    for x in (0.40, 0.46, 0.54, 0.60):
        c.glaze(limb([(x, 0.23), (0.5 + (x - 0.5) * 0.8, 0.37)], [0.03, 0.012]), dark, 0.9, 0.008)
    for sign in (-1, 1):
        for y in (0.50, 0.58, 0.66):
            c.glaze(
                limb([(0.5 + sign * 0.35, y), (0.5 + sign * 0.24, y + 0.015)], [0.03, 0.01]),
                dark,
                0.8,
                0.008,
            )
        c.glaze(ellipse(0.5 + sign * 0.075, 0.665, 0.10, 0.075), pale, 0.95, 0.02)
        c.solid(ellipse(0.5 + sign * 0.17, 0.47, 0.088, 0.068, 12 * sign), dark, True, 0.02)
        c.solid(
            ellipse(0.5 + sign * 0.17, 0.47, 0.072, 0.056, 12 * sign), (172, 178, 62), True, 0.02
        )
        c.flat(ellipse(0.5 + sign * 0.17, 0.47, 0.020, 0.052), (14, 14, 12), True)
        c.flat(ellipse(0.48 + sign * 0.17, 0.445, 0.011, 0.011), (250, 250, 250), True)
    c.glaze(ellipse(0.5, 0.76, 0.07, 0.045), pale, 0.95, 0.015)
    c.solid(path("45.5,59.5 54.5,59.5 50,64.5"), (198, 120, 112), True, 0.01)
    for sign in (-1, 1):
        c.glaze(
            limb(
                [(0.5, 0.65), (0.5 + sign * 0.03, 0.70), (0.5 + sign * 0.085, 0.695)],
                [0.012, 0.012, 0.006],
            ),
            (70, 50, 46),
            0.9,
            0.003,
        )
        for y in (-0.03, 0.01, 0.05):
            c.glaze(
                limb(
                    [(0.5 + sign * 0.14, 0.67 + y * 0.5), (0.5 + sign * 0.47, 0.65 + 1.6 * y)],
                    [0.006, 0.003],
                ),
                (245, 242, 236),
                0.8,
                0.001,
            )
    return c


def horse() -> Canvas:
    """A bay horse at pasture."""
    c = Canvas(384, 300, 9)
    meadow(c, 0.56, (104, 138, 72))
    coat, mane = (122, 70, 40), (36, 26, 22)
    legs(c, [(0.40, 0.00), (0.74, 0.02)], 0.60, 0.92, 0.055, (88, 50, 30))
    c.solid(limb(path("84,44 90,56 89,74"), [0.04, 0.07, 0.04]), mane, True, 0.02, 0.5, 0.15)
    c.solid(limb(path("40,52 29,36 21,22"), [0.27, 0.17, 0.11]), coat, True, 0.05)
    trunk = path("30,50 40,41 54,43 68,39 82,41 87,52 82,63 66,66 50,68 36,66 29,59")
    c.solid(trunk, coat, True, 0.07, 0.65, 0.06)
    legs(c, [(0.35, -0.01), (0.80, 0.03)], 0.60, 0.95, 0.06, coat)
    c.solid(path("26,16 24,13 17,19 6,34 5,40 10,42 20,33 28,27"), coat, True, 0.03, 0.6)
    c.solid(path("21.5,17 22.5,8 26.5,15"), coat, False, 0.01)
    c.solid(limb(path("23.5,13 33,25 42,40"), [0.05, 0.09, 0.05]), mane, True, 0.02, 0.5, 0.15)
    c.flat(ellipse(0.175, 0.235, 0.012, 0.010), (15, 12, 10), True)
    c.flat(ellipse(0.075, 0.375, 0.008, 0.006), (25, 18, 15), True)
    c.strokes(450, (-0.2, 0.91, 1.2, 1.05), 0.4, [(84, 118, 56), (132, 160, 84), (105, 138, 68)])
    return c


def dog() -> Canvas:
    """The face of a golden retriever."""
    c = Canvas(300, 300, 10)
    c.backdrop([(128, 150, 108), (105, 132, 86), (88, 112, 70)], rough=0.1)
    c.soften(0.03)
    fur, ear, pale = (206, 160, 102), (166, 116, 66), (236, 212, 172)
    c.solid(path("14,110 22,84 36,72 64,72 78,84 86,110"), fur, True, 0.08, 0.5, 0.1)
    c.solid(
        path("22,44 27,26 40,16 60,16 73,26 78,44 72,62 60,78 40,78 28,62"),
        fur,
        True,
        0.09,
        0.45,
        0.09,
    )
    for sign in (-1, 1):
        c.solid(
            mirrored("19,22 30,26 37,44 36,62 30,66 25,52 22,36", sign), ear, True, 0.04, 0.5, 0.1
        )
        c.flat(ellipse(0.5 + sign * 0.115, 0.40, 0.034, 0.032), (36, 22, 14), True)
        c.flat(ellipse(0.49 + sign * 0.115, 0.39, 0.009, 0.009), (248, 246, 240), True)
    c.solid(path("36,60 43,50 57,50 64,60 62,72 50,78 38,72"), pale, True, 0.05, 0.4, 0.07)
    c.solid(path("43,54 50,52 57,54 55,60 50,63 45,60"), (30, 24, 24), True, 0.02, 0.7)
    c.solid(path("45,72 55,72 56,82 50,87 44,82"), (218, 112, 118), True, 0.03)
    for sign in (-1, 1):
        c.glaze(
            limb(
                [(0.5, 0.63), (0.5 + sign * 0.02, 0.695), (0.5 + sign * 0.10, 0.70)],
                [0.012, 0.014, 0.008],
            ),
            (60, 36, 28),
            0.9,
            0.004,
        )
    return c


def clouds(c: Canvas, top: float, bottom: float) -> None:
    """White drifts between two heights."""
    rows = np.arange(c.height) / c.height
    band = np.clip(np.minimum(rows - top, bottom - rows) / 0.08, 0, 1)
    density = np.clip(c.noise(3, 2.5) * 0.45 + 0.05, 0, 0.8)
    c.blend(density * band[:, None], (250, 251, 253))


def waves(c: Canvas, top: float, crest: tuple[int, int, int]) -> None:
    """Long horizontal ripples below a height."""
    below = np.clip((np.arange(c.height) / c.height - top) / 0.3, 0, 1)
    ripples = np.clip(c.noise(14, 7) - 0.4, 0, 1.2) * 0.35
    c.blend(ripples * below[:, None], crest)


def hills(c: Canvas, top: float, colour: tuple[int, int, int]) -> None:
    """A distant wooded ridge."""
    for number in range(3):
        height = top + 0.06 * number
        bumps = [(x, height + c.random.uniform(-0.03, 0.03)) for x in np.linspace(-0.3, 1.3, 9)]
        tint = tuple(int(value * (1.1 - 0.12 * number)) for value in colour)
        c.solid([(-0.4, 1.1), *bumps, (1.4, 1.1)], tint, True, 0.02, 0.3, 0.14)


def meadow(c: Canvas, horizon: float, grass: tuple[int, int, int]) -> None:
    """Trees out of focus and a field with blades of grass."""
    c.backdrop([(176, 200, 215), (196, 210, 205)], 0, horizon)
    hills(c, horizon - 0.26, (82, 108, 70))
    dark = tuple(int(value * 0.8) for value in grass)
    c.backdrop([grass, dark], horizon, 1, 0.1)
    c.soften(0.012)
    light = tuple(min(255, int(value * 1.25)) for value in grass)
    c.strokes(2200, (-0.2, horizon + 0.02, 1.2, 1.0), 0.35, [grass, dark, light])
    c.glaze(ellipse(0.52, 0.93, 0.36, 0.04), (30, 45, 20), 0.6, 0.02)


def wheel(c: Canvas, x: float, y: float, radius: float) -> None:
    """A tyre with a light rim."""
    c.solid(ellipse(x, y, radius, radius), (28, 28, 30), True, 0.02)
    c.solid(ellipse(x, y, radius * 0.58, radius * 0.58), (180, 184, 190), True, 0.02)
    c.flat(ellipse(x, y, radius * 0.18, radius * 0.18), (70, 72, 78), True)


def legs(
    c: Canvas,
    feet: list[Point],
    top: float,
    ground: float,
    width: float,
    colour: tuple[int, int, int],
) -> None:
    """One leg for each (x, lean), with a knee."""
    knee = (top + ground) / 2
    for x, lean in feet:
        line = [(x, top), (x + lean, knee), (x + lean * 0.3, ground)]
        c.solid(limb(line, [width * 2, width, width * 0.75]), colour, True, 0.02, 0.6)


def head(c: Canvas, coat: tuple[int, int, int]) -> None:
    """A deer's head, looking to the left."""
    for sign in (-1, 1):
        x = 0.255 + 0.055 * sign
        c.solid(ellipse(x, 0.215, 0.05, 0.022, 28 * sign), coat, True, 0.01)
    c.solid(path("29,22 24,19 18,24 11,31 12,35 19,34.5 27,32"), coat, True, 0.03, 0.6)
    c.flat(ellipse(0.125, 0.325, 0.018, 0.015), (32, 24, 20), True)
    c.flat(ellipse(0.205, 0.255, 0.012, 0.011), (18, 12, 10), True)


def antler(c: Canvas, x: float, y: float, sign: int) -> None:
    """A branched antler, bending away from the head."""
    beam = [(x, y), (x + 0.07 * sign, y - 0.06), (x + 0.10 * sign, y - 0.15)]
    c.solid(limb(beam, [0.02, 0.017, 0.008]), (188, 162, 124), True, 0.01)
    for along, reach in ((0.35, 0.05), (0.7, 0.06)):
        base = (x + 0.09 * sign * along, y - 0.11 * along)
        c.solid(
            limb([base, (base[0] - 0.01 * sign, base[1] - reach)], [0.014, 0.006]),
            (188, 162, 124),
            False,
            0.01,
        )


SCENES: dict[str, Callable[[], Canvas]] = {
    "airplane-climbing.png": airplane,
    "automobile-country-road.jpg": automobile,
    "bird-robin.jpg": bird,
    "cat-tabby.jpg": cat,
    "deer-meadow.jpg": deer,
    "dog-retriever.jpg": dog,
    "frog-sitting.jpg": frog,
    "horse-pasture.jpg": horse,
    "ship-freighter.jpg": ship,
    "truck-motorway.png": truck,
}


def save(canvas: Canvas, path: Path) -> None:
    """Write a JPEG, or a PNG of a few colours and no grain, which keeps it small."""
    if path.suffix == ".png":
        flat = canvas.image(grain=0).quantize(96, dither=Image.Dither.NONE)
        flat.save(path, optimize=True)
    else:
        canvas.image().save(path, quality=JPEG_QUALITY)
    if path.stat().st_size > LARGEST_BYTES:
        raise SystemExit(f"{path}: {path.stat().st_size} bytes, more than {LARGEST_BYTES}")


def check(model: Path, folder: Path) -> bool:
    """Print the top three labels of each image; return whether the first is always
    right."""
    classifier = Classifier(model)
    right = True
    for name in SCENES:
        with Image.open(folder / name) as image:
            logits = classifier.logits(classifier.preprocess.pixels(image)[None])[0]
        scores = np.exp(logits - logits.max())
        scores /= scores.sum()
        best = scores.argsort()[::-1][:3]
        hit = classifier.labels[best[0]] == name.split("-")[0]
        right &= hit
        answers = ", ".join(
            f"{classifier.labels[index]} {100 * scores[index]:.1f} %" for index in best
        )
        print(f"{'right' if hit else 'WRONG'}  {name:28} {answers}")
    return right


def main() -> None:
    """Paint all images, or check those that are there."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python models/samples/render.py && "
        "python models/samples/render.py --check models/cifar10-resnet20.onnx",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out",
        type=folder,
        default=here,
        help="folder of the images (default: beside this script)",
    )
    parser.add_argument(
        "--check",
        type=existing_file,
        metavar="MODEL.onnx",
        help="paint nothing; print each image's top 3",
    )
    options = parser.parse_args()
    if options.check:
        sys.exit(0 if check(options.check, options.out) else 1)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, scene in SCENES.items():
        save(scene(), options.out / name)


if __name__ == "__main__":
    main()
