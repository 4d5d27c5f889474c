"""Measure what shortcuts do: python plain_and_residual.py [DATA [MODEL...]]

For researchers of residual networks. DATA is a folder or a .zip of CLASS/IMAGE. The marks
`# %%` separate the cells of a notebook.
"""

# %% Take two models, trained alike except for the shortcuts, and images in class folders.
import shutil
import sys
from pathlib import Path

import libresnet

models_folder = Path(__file__).resolve().parents[3] / "models"
files = [Path(name) for name in sys.argv[2:]] or [
    models_folder / "cifar10-plain20.onnx",
    models_folder / "cifar10-resnet20.onnx",
]
if len(sys.argv) > 1:
    data = Path(sys.argv[1])
else:  # the ten sample images: too few for results, enough for a demonstration
    data = Path("images")
    for image in sorted(models_folder.glob("samples/*.[jp][pn]g")):
        (data / image.name.split("-")[0]).mkdir(parents=True, exist_ok=True)
        shutil.copy(image, data / image.name.split("-")[0])

# %% Print the first lines of the plan. In a notebook it is shown as a table.
residual = libresnet.Model(files[-1])
print("\n".join(str(residual.plan).splitlines()[:8]))
for block in residual.blocks[:3]:
    print(f"{block.name}: {block.convs} convolutions, shortcut: {block.shortcut}")

# %% Measure the responses of each layer: after batch normalisation, before ReLU and addition
# (section 4.2 and Fig. 7 of "Deep Residual Learning").
images = sorted(data.rglob("*.[jp][pn]g"))[:1000] if data.is_dir() else []
if images:
    responses = residual.observe(images)
    for row in responses.layers[:5]:
        print(
            f"layer {row['layer']:3d}  std {row['std']:.3f}  {row['negative']:.0%} negative  "
            f"{row['dead']} channels dead"
        )

# %% Remove each block in turn (Veit et al. 2016).
if images:
    whole = [ranked[0].index for ranked in residual.classify(images, k=1)]
    for block in residual.blocks:
        with residual.skip(block):
            without = [ranked[0].index for ranked in residual.classify(images, k=1)]
        same = sum(a == b for a, b in zip(whole, without))
        print(f"without {block.name}: the same label for {same} of {len(images)} images")

# %% Compare everything over all the data, as `resnet compare` does. report="compare.html"
# also writes its page.
comparison = libresnet.compare(files, data, report="compare.html")
for found in comparison["models"]:
    print(
        f"{found['title']}: {found['layers']} layers, {found['top1']:.1%} right, "
        f"{found['latency_ms']['median']:.3f} ms per image"
    )

# %% Plot Fig. 7, if matplotlib is installed.
try:
    comparison.plot().savefig("responses.png")
    print("responses.png shows the standard deviation of each layer's responses")
except ImportError as problem:
    print(problem)
