"""What do the shortcuts do? python plain_and_residual.py [DATA [MODEL...]]

For whoever studies residual nets. DATA is a folder or a .zip of CLASS/PICTURE. Cells are
marked as notebooks know them.
"""

# %% Two nets, trained alike, but for the shortcuts; and pictures in class folders.
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
else:  # the ten sample pictures: too few to find out anything, enough to see how it is done
    data = Path("pictures")
    for picture in sorted(models_folder.glob("samples/*.[jp][pn]g")):
        (data / picture.name.split("-")[0]).mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, data / picture.name.split("-")[0])

# %% A net is a plan that can be read. In a notebook this is a table; here are its first lines.
residual = libresnet.Model(files[-1])
print("\n".join(str(residual.plan).splitlines()[:8]))
for block in residual.blocks[:3]:
    print(f"{block.name}: {block.convs} convolutions, shortcut: {block.shortcut}")

# %% What does each layer respond with? (Section 4.2 and Fig. 7 of "Deep Residual Learning": after batch normalisation, before
# ReLU and addition.)
pictures = sorted(data.rglob("*.[jp][pn]g"))[:1000] if data.is_dir() else []
if pictures:
    responses = residual.observe(pictures)
    for row in responses.layers[:5]:
        print(
            f"layer {row['layer']:3d}  std {row['std']:.3f}  {row['negative']:.0%} negative  {row['dead']} channels dead"
        )

# %% What if a block weren't there? (Veit et al. 2016.)
if pictures:
    whole = [ranked[0].index for ranked in residual.classify(pictures, k=1)]
    for block in residual.blocks:
        with residual.skip(block):
            without = [ranked[0].index for ranked in residual.classify(pictures, k=1)]
        same = sum(a == b for a, b in zip(whole, without))
        print(f"without {block.name}: the same label for {same} of {len(pictures)} pictures")

# %% Everything at once, over all the data: what `resnet compare` finds out. (report="compare.html" writes its page, too.)
comparison = libresnet.compare(files, data, report="compare.html")
for net in comparison["models"]:
    print(
        f"{net['title']}: {net['layers']} layers, {net['top1']:.1%} right, {net['latency_ms']['median']:.3f} ms a picture"
    )

# %% Fig. 7, where matplotlib is installed.
try:
    comparison.plot().savefig("responses.png")
    print("responses.png shows the standard deviation of each layer's responses")
except ImportError as problem:
    print(problem)
