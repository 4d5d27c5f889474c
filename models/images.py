"""Read labelled collections of images, and apply the preprocessing that a model states.

A collection is a folder or a .zip with files at `.../<class>/<image>`. The classes are
the folder names in alphabetical order.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp"}


@dataclass(frozen=True)
class Preprocess:
    """How 8-bit RGB pixels become the model's input: resize, crop, (pixel/scale -
    mean)/std."""

    resize: int | None
    crop: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    order: str = "rgb"
    scale: float = 255.0

    def __str__(self) -> str:
        """Return the text that the ONNX file has under `resnet.preprocess`."""
        fields = {
            "resize": self.resize or "none",
            "crop": self.crop or "none",
            "order": self.order,
            "scale": f"{self.scale:g}",
            "mean": ",".join(f"{value:.4f}" for value in self.mean),
            "std": ",".join(f"{value:.4f}" for value in self.std),
        }
        return " ".join(f"{key}={value}" for key, value in fields.items())

    @classmethod
    def parse(cls, text: str) -> Preprocess:
        """Parse the text that str() returns."""
        fields = dict(item.split("=", 1) for item in text.split())
        sides = {
            key: None if fields[key] == "none" else int(fields[key]) for key in ("resize", "crop")
        }
        floats = {key: tuple(map(float, fields[key].split(","))) for key in ("mean", "std")}
        return cls(**sides, **floats, order=fields["order"], scale=float(fields["scale"]))

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Return the resized and cropped image, (h,w,3) uint8 RGB."""
        image = ImageOps.exif_transpose(image).convert("RGB")
        if self.resize:
            image = resize_shorter_side(image, self.resize)
        if self.crop:
            image = centre_crop(image, self.crop)
        return np.asarray(image)

    def normalise(self, pixels: np.ndarray) -> np.ndarray:
        """Turn (n,h,w,3) uint8 RGB into the model's (n,3,h,w) float32."""
        channels = pixels[..., ::-1] if self.order == "bgr" else pixels
        values = channels.astype(np.float32) / np.float32(self.scale)
        values = (values - np.float32(self.mean)) / np.float32(self.std)
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def resize_shorter_side(image: Image.Image, side: int) -> Image.Image:
    """Scale so that the shorter side is `side`; Pillow's bilinear filter antialiases."""
    width, height = image.size
    shorter = min(width, height)
    if shorter == side:
        return image
    return image.resize(
        (width * side // shorter, height * side // shorter), Image.Resampling.BILINEAR
    )


def centre_crop(image: Image.Image, side: int) -> Image.Image:
    """Return the central side x side pixels."""
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


@dataclass(frozen=True)
class Collection:
    """A decoded collection: pixels (n,h,w,3) uint8, class indices (n), class names."""

    pixels: np.ndarray
    targets: np.ndarray
    labels: list[str]


def read_files(source: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Return (path, bytes) of each image of a folder or .zip, in alphabetical order."""
    if source.is_dir():
        paths = sorted(path.relative_to(source) for path in source.rglob("*"))
        for path in filter(is_image, paths):
            yield PurePosixPath(path.as_posix()), (source / path).read_bytes()
        return
    with zipfile.ZipFile(source) as archive:
        for name in sorted(filter(is_image, archive.namelist())):
            yield PurePosixPath(name), archive.read(name)


def is_image(path: str | Path) -> bool:
    """Return whether the name ends as an image file's does."""
    return PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES


def load_collection(source: Path, side: int) -> Collection:
    """Decode a whole collection to side x side pixels, once."""
    geometry = Preprocess(resize=side, crop=side, mean=(0.0,) * 3, std=(1.0,) * 3)
    names, pixels = [], []
    for path, data in read_files(source):
        if not path.parent.name:
            raise SystemExit(f"{source}: {path} has no class folder; expected <class>/<image>")
        names.append(path.parent.name)
        with Image.open(io.BytesIO(data)) as image:
            pixels.append(geometry.pixels(image))
    if not pixels:
        raise SystemExit(f"{source}: no image files; expected <class>/<image> in a folder or .zip")
    labels = sorted(set(names))
    index = {label: position for position, label in enumerate(labels)}
    return Collection(np.stack(pixels), np.array([index[name] for name in names]), labels)
