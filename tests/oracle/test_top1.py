"""Each of CIFAR-10's 10,000 test images gets onnxruntime's class, or is listed with its
margin."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from oracle import DATA, ROOT, dump, measured, need_file, onnxruntime

pytestmark = pytest.mark.slow

Image = pytest.importorskip("PIL.Image", reason="decoding needs Pillow: tools/deps installs it")

IMAGES = 10000
# any would do: both sides get the same floats
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
MODELS = {
    "cifar10-resnet20": ROOT / "models" / "cifar10-resnet20.onnx",
    "cifar10_resnet20_optionA": DATA / "models" / "cifar10_resnet20_optionA_opset13.onnx",
    "cifar10_resnet32_optionA": DATA / "models" / "cifar10_resnet32_optionA_opset13.onnx",
}
# A difference of rounding can only swap classes whose scores are as good as equal.
LARGEST_MARGIN = 1e-4


@pytest.fixture(scope="module")
def test_images() -> np.ndarray:
    """(n,3,32,32), normalised."""
    with zipfile.ZipFile(need_file(DATA / "data" / "cifar10-jpeg-test.zip")) as archive:
        names = sorted(
            name for name in archive.namelist() if name.lower().endswith((".jpg", ".jpeg", ".png"))
        )
        pixels = [
            np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names
        ]
    assert len(pixels) == IMAGES
    x = (np.stack(pixels).astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("name", MODELS)
def test_top1_on_all_test_images(
    name: str, test_images: np.ndarray, tmp_path: Path, capsys
) -> None:
    model = tmp_path / f"{name}.onnx"
    shutil.copy(need_file(MODELS[name]), model)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    theirs = np.concatenate(
        [
            session.run(None, {session.get_inputs()[0].name: part})[0]
            for part in np.split(test_images, 20)
        ]
    )
    ours = dump(model, test_images, threads=2, batch=100, scores_only=True).scores.reshape(
        theirs.shape
    )
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()
    changed = np.flatnonzero(ours.argmax(1) != theirs.argmax(1))
    best = np.sort(theirs, axis=1)
    margins = best[:, -1] - best[:, -2]
    text = ", ".join(f"{i} (margin {margins[i]:.1e})" for i in changed)
    measured(
        capsys,
        f"{name}: {len(changed)} of {IMAGES} images get another class than "
        f"onnxruntime's {text}".rstrip(),
    )
    assert margins[changed].max(initial=0.0) < LARGEST_MARGIN
