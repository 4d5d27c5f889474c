"""Label a folder of pictures: python label_a_folder.py [FOLDER [MODEL]]

For whoever puts a net into an application. Cells are marked as notebooks and editors know
them.
"""

# %% Open a model. Without a path it is the net that ships: ResNet-20, trained on CIFAR-10's ten classes.
import csv
import sys
import time
from pathlib import Path

import numpy as np

import libresnet

folder = Path(
    sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[3] / "models" / "samples"
)
model = libresnet.Model(sys.argv[2] if len(sys.argv) > 2 else None)
print(model)
print(f"pictures are prepared like this: {model.preprocess}")

# %% One picture: a path will do. So will bytes, a PIL image, or an array.
pictures = sorted(
    path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png")
)
for best in model.classify(pictures[0], k=3):
    print(f"{best.score:7.2%}  {best.label or best.index}")

# %% A whole folder: pictures are decoded and labelled side by side, on all processors.
start = time.perf_counter()
ranked = model.classify(pictures, k=1)
seconds = time.perf_counter() - start
print(f"{len(pictures)} pictures in {seconds * 1e3:.1f} ms")
with open("labels.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["picture", "label", "score"])
    writer.writerows(
        [path.name, best.label or best.index, f"{best.score:.4f}"]
        for path, (best,) in zip(pictures, ranked)
    )

# %% What can't be read is told by name; nothing else is lost. (python -m libresnet.batch does this for millions.)
Path("broken.jpg").write_bytes(pictures[0].read_bytes()[:200])
for path in ["broken.jpg", pictures[1]]:
    try:
        print(path, "is", model.classify(path, k=1)[0].label)
    except libresnet.PictureError as problem:
        print("skipped:", problem)

# %% A camera's frames, as OpenCV has them: BGR, in rows of any stride. One session, one array for the scores.
frame = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
with model.session(threads=1) as session:
    times = []
    for _ in range(20):
        start = time.perf_counter()
        # a view: the middle of the frame, not copied
        session.classify(frame[:, 80:560], k=1, pixels="BGR")
        times.append(time.perf_counter() - start)
    print(f"a frame of 480 x 480 takes {min(times) * 1e3:.2f} ms, preparing it included")

# %% Or do the preparing yourself, and let the net read your array where it lies.
h, w, c = model.input_shape
batch = np.zeros((4, c, h, w), np.float32)
scores = np.empty((4, model.classes), np.float32)
with model.session() as session:
    session.run(batch, out=scores)
print(f"scores are {model.info.scores}: {scores[0, :3]} ...")
model.close()
