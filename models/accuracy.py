#!/usr/bin/env python3
"""Measure an ONNX model's top-1 accuracy with onnxruntime, in 32-bit floats.

Labels and preprocessing are read from the file; images are decoded with Pillow.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import onnxruntime
from arguments import collection, existing_file
from images import Collection, Preprocess, load_collection


class Classifier:
    """An ONNX model with the labels and preprocessing that its file contains."""

    def __init__(self, path: Path) -> None:
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.labels = metadata["resnet.labels"].split("\n")
        self.preprocess = Preprocess.parse(metadata["resnet.preprocess"])

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """Return the logits (n,classes) of (n,h,w,3) uint8 RGB pixels."""
        name = self.session.get_inputs()[0].name
        return self.session.run(None, {name: self.preprocess.normalise(pixels)})[0]


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion."""
    p = successes / trials
    centre = p + z * z / (2 * trials)
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return (centre - half) / scale, (centre + half) / scale


def count_correct(classifier: Classifier, test: Collection, batch: int = 500) -> np.ndarray:
    """Count the images of each class that are labelled rightly."""
    correct = np.zeros(len(test.labels), np.int64)
    for start in range(0, len(test.targets), batch):
        targets = test.targets[start : start + batch]
        found = classifier.logits(test.pixels[start : start + batch]).argmax(1)
        correct += np.bincount(targets[found == targets], minlength=len(correct))
    return correct


def main() -> None:
    """Print the accuracy over all images and for each class."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python models/accuracy.py models/cifar10-resnet20.onnx "
        "--test cifar10-jpeg-test.zip",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model", type=existing_file, help="an .onnx file written by train.py or export.py"
    )
    parser.add_argument(
        "--test", type=collection, required=True, help="folder or .zip of <class>/<image>"
    )
    options = parser.parse_args()
    try:
        classifier = Classifier(options.model)
    except KeyError as key:
        parser.error(f"{options.model} has no metadata {key}; models/add_metadata.py writes it")
    except Exception as problem:  # onnxruntime's own, of many kinds
        parser.error(f"{options.model} cannot be opened: {problem}")
    test = load_collection(options.test, classifier.preprocess.crop)
    if test.labels != classifier.labels:
        raise SystemExit(
            f"classes differ: {options.model} {classifier.labels}, {options.test} {test.labels}"
        )
    correct = count_correct(classifier, test)
    total, images = int(correct.sum()), len(test.targets)
    low, high = wilson(total, images)
    interval = f"{100 * low:.2f} to {100 * high:.2f} %"
    print(f"top-1 {100 * total / images:.2f} % ({total} of {images}), 95 % interval {interval}")
    for label, right, of in zip(test.labels, correct, np.bincount(test.targets)):
        print(f"  {label:12} {100 * right / of:.1f} %")


if __name__ == "__main__":
    main()
