"""Classify a folder of images: python label_a_folder.py [FOLDER [MODEL]]

For developers who use a model in an application. The marks `# %%` separate the cells of a
notebook.
"""

# %% Open a model. Without a path it is the built-in one: ResNet-20, trained on the ten
# classes of CIFAR-10.
import csv
import sys
import time
from pathlib import Path

import numpy as np

import libresnet

samples = Path(__file__).resolve().parents[3] / "models" / "samples"
folder = Path(sys.argv[1]) if len(sys.argv) > 1 else samples
model = libresnet.Model(sys.argv[2] if len(sys.argv) > 2 else None)
print(model)
print(f"preprocessing of images: {model.preprocess}")

# %% Classify one image: a path, bytes, a PIL image, or an array.
images = sorted(
    path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png")
)
for best in model.classify(images[0], k=3):
    print(f"{best.score:7.2%}  {best.label or best.index}")

# %% Classify a whole folder: images are decoded and classified in parallel, on all CPUs.
start = time.perf_counter()
ranked = model.classify(images, k=1)
seconds = time.perf_counter() - start
print(f"{len(images)} images in {seconds * 1e3:.1f} ms")
with open("labels.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["image", "label", "score"])
    writer.writerows(
        [path.name, best.label or best.index, f"{best.score:.4f}"]
        for path, (best,) in zip(images, ranked)
    )

# %% Skip unreadable images: the error is in the place of the predictions and names the
# image. (python -m libresnet.batch does this for millions of images.)
Path("broken.jpg").write_bytes(images[0].read_bytes()[:200])
paths = ["broken.jpg", images[1]]
for path, answer in zip(paths, model.classify(paths, k=1, errors="skip")):
    if isinstance(answer, libresnet.Error):
        print("skipped:", answer)
    else:
        print(path, "is", answer[0].label)

# %% Classify the frames of a camera in OpenCV's format: BGR, rows of any stride.
frame = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
with model.session(threads=1) as session:
    times = []
    for _ in range(20):
        start = time.perf_counter()
        # the middle of the frame: a view, no copy
        session.classify(frame[:, 80:560], k=1, pixels="BGR")
        times.append(time.perf_counter() - start)
    print(f"a frame of 480 x 480 takes {min(times) * 1e3:.2f} ms, preprocessing included")

# %% Or prepare the input yourself: the model reads your array in place, and writes its
# scores into another one.
h, w, c = model.input_shape
batch = np.zeros((4, c, h, w), np.float32)
scores = np.empty((4, model.classes), np.float32)
with model.session() as session:
    session.run(batch, out=scores)
print(f"scores are {model.info.scores}: {scores[0, :3]} ...")
model.close()
