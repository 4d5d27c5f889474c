"""Write lens_reference.json: PyTorch's responses and ablations of the models that ship,
with which test_lens.py compares.

    python tests/oracle/make_lens_reference.py --test cifar10-jpeg-test.zip
        [--checkpoints runs] [MODEL.onnx...]

Needs torch, onnx, numpy and Pillow. The modules are those that were trained
(models/nets.py), in their shape at training. The files have unfolded batch normalisation,
so every weight goes back to its place, to the bit. With --checkpoints that is verified
against FOLDER/<net>/checkpoint.pt, and the trained modules are measured. Nothing here
uses libresnet or onnxruntime.

The images are all of the collection, in the order of their names; ablations use every
10th of them. A class is one digit of a string, image by image. `ties` lists images whose
two best logits differ by less than 1e-5 of the largest, as [image, best, second]: there
rounding may decide otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
MODELS = HERE.parents[1] / "models"
sys.path.insert(0, str(MODELS))

from images import Preprocess, load_collection  # noqa: E402
from nets import Block, CifarNet  # noqa: E402

ABLATION_STEP = 10
BATCH = 100
TIE = 1e-5


class Moments:
    """Mean and standard deviation of all values, in double precision. Parts are joined as
    in Chan et al. 1983."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def add(self, values: Tensor) -> None:
        values = values.double()
        count, mean = values.numel(), values.mean().item()
        squares = (values - mean).square().sum().item()
        both, apart = self.count + count, mean - self.mean
        self.squares += squares + apart * apart * self.count * count / both
        self.mean += apart * count / both
        self.count = both

    def as_dict(self) -> dict[str, float]:
        return {"mean": self.mean, "std": (self.squares / self.count) ** 0.5}


class Classes:
    """The best class of each image, and the ties."""

    def __init__(self) -> None:
        self.digits: list[str] = []
        self.ties: list[list[int]] = []

    def add(self, logits: Tensor) -> None:
        best, which = logits.topk(2, dim=1)
        close = best[:, 0] - best[:, 1] < TIE * logits.abs().amax(1)
        for row in close.nonzero()[:, 0].tolist():
            self.ties.append([len(self.digits) + row, *which[row].tolist()])
        self.digits += map(str, logits.argmax(1).tolist())

    def as_dict(self) -> dict:
        return {"classes": "".join(self.digits), "ties": self.ties}


def net_of_file(path: Path) -> tuple[CifarNet, Preprocess]:
    """Return the module that models/export.py wrote, from the file's own constants."""
    model = onnx.load(path)
    about = {item.key: item.value for item in model.metadata_props}
    kind, depth = re.fullmatch(r"(plain|resnet)(\d+)", about["resnet.name"]).groups()
    net = CifarNet(
        "residual" if kind == "resnet" else kind,
        int(depth),
        len(about["resnet.labels"].split("\n")),
    )
    state = {}
    for constant in model.graph.initializer:
        key = constant.name.removeprefix("/").replace("/", ".")
        state[key] = torch.from_numpy(onnx.numpy_helper.to_array(constant).copy())
    own = net.state_dict()
    counters = {key: value for key, value in own.items() if key.endswith("num_batches_tracked")}
    net.load_state_dict({key: state[key] for key in own if key not in counters} | counters)
    return net.eval(), Preprocess.parse(about["resnet.preprocess"])


def verify_checkpoint(net: CifarNet, path: Path) -> None:
    """Fail unless the file holds exactly the trained weights."""
    trained = torch.load(path, map_location="cpu", weights_only=True)["net"]
    for key, value in net.state_dict().items():
        if not key.endswith("num_batches_tracked") and not torch.equal(value, trained[key]):
            raise SystemExit(f"{path}: {key} differs from the ONNX file's")


def blocks_of(net: CifarNet) -> list[Block]:
    return [block for stage in (net.layer1, net.layer2, net.layer3) for block in stage]


def layer_name(module: str) -> str:
    """Return the ONNX node of a convolution, for its batch normalisation:
    /layer1/block0/conv1 for layer1.block0.bn1."""
    return "/" + module.replace(".", "/").replace("bn", "conv")


@torch.inference_mode()
def measure(net: CifarNet, batches: list[Tensor]) -> dict:
    """Measure the responses of the whole network over all images, by forward hooks, and
    the classes."""
    layers, shortcuts, outputs, classes = {}, {}, {}, Classes()
    hooks = []

    def watch(moments: Moments, module: nn.Module, pick: Callable) -> None:
        hooks.append(
            module.register_forward_hook(
                lambda m, given, made: moments.add(pick(m, given[0], made))
            )
        )

    for name, module in net.named_modules():
        if isinstance(module, (nn.BatchNorm2d, nn.Linear)):
            layers[layer_name(name)] = Moments()
            watch(layers[layer_name(name)], module, lambda m, given, made: made)
        if isinstance(module, Block):
            outputs[name] = Moments()
            watch(outputs[name], module, lambda m, given, made: made)
            if module.residual:
                shortcuts[name] = Moments()
                watch(shortcuts[name], module, lambda m, given, made: m.shortcut(given))
    for batch in batches:
        classes.add(net(batch))
    for hook in hooks:
        hook.remove()
    blocks = []
    for name in outputs:
        shortcut = shortcuts[name].as_dict() if name in shortcuts else None
        layer = layer_name(name) + "/conv2"
        blocks.append(
            {
                "layer": layer,
                "branch": layers[layer].as_dict(),
                "shortcut": shortcut,
                "output": outputs[name].as_dict(),
            }
        )
    return {
        "layers": {name: moments.as_dict() for name, moments in layers.items()},
        "blocks": blocks,
        **classes.as_dict(),
    }


def without_branch(block: Block) -> Callable[[Tensor], Tensor] | None:
    """Return the block's shortcut alone; for a plain block its input, where shapes allow
    it."""
    if block.residual:
        return lambda x: F.relu(block.shortcut(x))
    return None if block.changes_shape else lambda x: x


def without_shortcut(block: Block) -> Callable[[Tensor], Tensor] | None:
    """Return the residual branch alone."""
    if not block.residual:
        return None
    return lambda x: F.relu(block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x))))))


@torch.inference_mode()
def ablations(net: CifarNet, batches: list[Tensor]) -> list[dict]:
    """Return for each block the classes without its branch, and without its shortcut;
    None where shapes forbid it."""
    blocks = blocks_of(net)
    changes = {"branch": without_branch, "shortcut": without_shortcut}
    found = [
        {key: Classes() if change(block) else None for key, change in changes.items()}
        for block in blocks
    ]
    for batch in batches:
        x = F.relu(net.bn1(net.conv1(batch)))
        for number, block in enumerate(blocks):
            for key, change in changes.items():
                if changed := change(block):
                    y = changed(x)
                    for later in blocks[number + 1 :]:
                        y = later(y)
                    found[number][key].add(net.fc(y.mean(dim=(2, 3))))
            x = block(x)
    return [{key: value and value.as_dict() for key, value in item.items()} for item in found]


def reference(path: Path, test: Path, checkpoints: Path | None) -> tuple[str, dict]:
    """Return the model's name and everything to compare."""
    net, preprocess = net_of_file(path)
    if checkpoints:
        verify_checkpoint(net, checkpoints / net.name / "checkpoint.pt")
    started = time.monotonic()
    images = torch.from_numpy(preprocess.normalise(load_collection(test, preprocess.crop).pixels))
    chosen = images[::ABLATION_STEP]
    values = {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "kind": net.kind,
        "images": len(images),
    }
    values |= measure(net, list(images.split(BATCH)))
    values |= {
        "ablation_images": len(chosen),
        "ablations": ablations(net, list(chosen.split(BATCH))),
    }
    print(
        f"{path.name}: {len(values['layers'])} layers, {len(values['blocks'])} blocks, "
        f"{time.monotonic() - started:.0f} s",
        flush=True,
    )
    return path.stem, values


def as_json(nets: dict[str, dict], test: Path) -> str:
    """Return JSON with one line for each part of a model."""
    digest = hashlib.sha256(test.read_bytes()).hexdigest()
    about = {
        "made_by": f"make_lens_reference.py, torch {torch.__version__.split('+')[0]}",
        "data_sha256": digest,
        "ablation_step": ABLATION_STEP,
    }
    lines = [json.dumps(about)[:-1] + ', "nets": {']
    for name, values in nets.items():
        parts = []
        for key, value in values.items():
            inner = value.items() if isinstance(value, dict) else None
            if key in ("blocks", "ablations"):
                text = "[\n" + ",\n".join("   " + json.dumps(item) for item in value) + "\n  ]"
            elif inner is not None:
                text = (
                    "{\n"
                    + ",\n".join(f"   {json.dumps(k)}: {json.dumps(v)}" for k, v in inner)
                    + "\n  }"
                )
            else:
                text = json.dumps(value)
            parts.append(f"  {json.dumps(key)}: {text}")
        lines.append(
            f" {json.dumps(name)}: {{\n"
            + ",\n".join(parts)
            + "\n }"
            + ("" if name == list(nets)[-1] else ",")
        )
    return "\n".join(lines) + "\n}}\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "models",
        nargs="*",
        type=Path,
        default=sorted(MODELS.glob("*.onnx")),
        help="default: those in models/",
    )
    parser.add_argument(
        "--test", type=Path, required=True, help="folder or .zip of <class>/<image>"
    )
    parser.add_argument(
        "--checkpoints",
        type=Path,
        help="folder of train.py's folders: verify that the files hold their weights",
    )
    parser.add_argument("--threads", type=int, default=0, help="default: torch's own")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "lens_reference.json")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    nets = dict(reference(path, options.test, options.checkpoints) for path in options.models)
    options.output.write_text(as_json(nets, options.test))
    print(f"wrote {options.output}: {options.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
