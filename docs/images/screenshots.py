#!/usr/bin/env python3
"""Make the screenshots of docs/images from a report of `resnet compare`.

    build/deps/venv/bin/python docs/images/screenshots.py [DATA.zip | REPORT.html]

DATA.zip holds CIFAR-10's test images as <class>/<image>. Without an argument it is
cifar10-jpeg-test.zip in the folder that LIBRESNET_TEST_DATA names. The comparison of the
four models takes about two minutes. Needs chromium, chromedriver, Selenium and Pillow.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
BUILD = Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build" / "release"))
DATA = Path(os.environ.get("LIBRESNET_TEST_DATA", ROOT / "shared")) / "data"
WIDTH = 1280  # pixels: a desktop window
COLOURS = 128  # of a palette, which keeps the files small
# Name -> ids of the elements that the image begins and ends with; None: the page's top.
IMAGES = {
    "report.png": ("responses", "layers-sorted"),
    "report-models.png": (None, "nets"),
    "report-blocks.png": ("branches", "ratios"),
    "report-ablations.png": ("ablation-section", "lesions"),
}
ARGUMENTS = (
    "headless=new",
    "no-sandbox",
    "disable-gpu",
    "disable-dev-shm-usage",
    "disable-background-networking",
    "hide-scrollbars",
)


def make_report(data: Path, page: Path) -> None:
    models = sorted((ROOT / "models").glob("cifar10-*.onnx"))
    command = [BUILD / "resnet", "compare", *models, "--data", data, "--report", page, "-q"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def open_browser(page: Path) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for argument in ARGUMENTS:
        options.add_argument(f"--{argument}")
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    size = {"width": WIDTH, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())
    return browser


def edge(browser: webdriver.Chrome, name: str, side: str) -> float:
    """Return the distance of an element's top or bottom from the page's top."""
    return browser.execute_script(
        f"return document.getElementById('{name}').getBoundingClientRect().{side} + scrollY"
    )


def take(browser: webdriver.Chrome, first: str | None, last: str, path: Path) -> None:
    top = edge(browser, first, "top") if first else 0
    bottom = edge(browser, last, "bottom") + 16
    clip = {"x": 0, "y": top, "width": WIDTH, "height": bottom - top, "scale": 1}
    shot = browser.execute_cdp_cmd(
        "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True}
    )
    image = Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {image.width} x {image.height}, {path.stat().st_size} bytes")


def main() -> None:
    given = Path(sys.argv[1] if sys.argv[1:] else DATA / "cifar10-jpeg-test.zip").resolve()
    with tempfile.TemporaryDirectory() as folder:
        page = given
        if given.suffix != ".html":
            page = Path(folder) / "report.html"
            make_report(given, page)
        browser = open_browser(page)
        for name, (first, last) in IMAGES.items():
            take(browser, first, last, FOLDER / name)
        browser.quit()
    subprocess.run(
        [BUILD / "resnet", "classify", "-q", "--cam", FOLDER / "cat-cam.png"]
        + [ROOT / "models" / "samples" / "cat-tabby.jpg"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
