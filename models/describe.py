#!/usr/bin/env python3
"""Write the measured numbers of the models that ship into README.md and manifest.json.

    resnet compare models/cifar10-*.onnx --data TEST.zip --json > compare.json
    python models/describe.py --compare compare.json --write

results.json keeps what the tables need of compare.json. With --write alone the tables are
made from that file, the training logs and the models themselves. Without --write the
script lists the files that are out of date, and exits with 1. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
import statistics
import sys
from pathlib import Path

from arguments import existing_file, existing_folder

HERE = Path(__file__).resolve().parent
ORDER = ("plain20", "resnet20", "plain56", "resnet56")
TEST_SET = "10,000 test images of CIFAR-10, stored as JPEG"


class Failure(Exception):
    """What is missing or does not fit, and what to do."""


# ---- results.json: what the tables need of a comparison


def extract(comparison: dict, folder: Path) -> dict:
    """Return what the tables need of `resnet compare --json`: an object for each
    model."""
    results = {"images": comparison["images"], "nets": {}}
    for net in comparison["models"]:
        path = folder / Path(net["model"]["file"]).name
        name = path.stem.removeprefix("cifar10-")
        if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != net["sha256"]:
            raise Failure(
                f"{net['model']['file']} was compared, and is not {path}: "
                "compare the models that ship"
            )
        results["nets"][name] = extract_net(net)
    return results


def extract_net(net: dict) -> dict:
    layers = sorted(
        (r for r in net["responses"] if r["point"] == "response" and r["layer"]),
        key=lambda r: r["layer"],
    )
    ablations = net["lesions"]
    return {
        "sha256": net["sha256"],
        **{key: net[key] for key in ("layers", "parameters", "macs", "top1", "top5", "top1_ci95")},
        "response_std": [r["std"] for r in layers],
        "branch_to_shortcut": [block["ratio"] for block in net["blocks"]],
        "ablation_images": ablations["images"],
        "ablation_top1": ablations["top1"],
        "skipped_top1": [
            block["skipped_top1"] if block["can_skip"] else None for block in net["blocks"]
        ],
    }


# ---- tables


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def title(name: str) -> str:
    """Return plain-20 for plain20, ResNet-20 for resnet20."""
    kind, depth = re.fullmatch(r"([a-z]+)(\d+)", name).groups()
    return f"{'ResNet' if kind == 'resnet' else kind}-{depth}"


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def read_log(folder: Path, name: str) -> list[dict[str, str]]:
    """Return the epochs of a training log."""
    path = folder / f"cifar10-{name}.csv"
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as problem:
        raise Failure(f"{path}: {problem.strerror}; models/train.py writes it") from None
    if not rows:
        raise Failure(f"{path}: no epochs; models/train.py writes it")
    return rows


def nets_table(results: dict, folder: Path) -> str:
    """Return the table of sizes and accuracies."""
    rows = []
    for name, net in results["nets"].items():
        low, high = (f"{100 * share:.2f}" for share in net["top1_ci95"])
        right = round(net["top1"] * results["images"])
        log = read_log(folder, name)
        hours = sum(float(row["seconds"]) for row in log) / 3600
        top1 = f"**{percent(net['top1'])}** ({right:,})"
        cells = [
            title(name),
            f"{net['parameters']:,}",
            f"{net['macs'] / 1e6:.1f} M",
            top1,
            f"{low} to {high} %",
        ]
        rows.append(
            [*cells, f"{float(log[-1]['train_error']):.2f} %", log[-1]["epoch"], f"{hours:.1f}"]
        )
    head = ["model", "parameters", "MACs", f"top-1 of {results['images']:,}", "95 % interval"]
    return table([*head, "training error", "epochs", "hours"], rows)


def responses_table(results: dict) -> str:
    """Return how large responses are, as in figure 7. The last layer is left out, because
    its responses are the logits."""
    rows = []
    for name, net in results["nets"].items():
        stds = net["response_std"][:-1]
        ratios = [ratio for ratio in net["branch_to_shortcut"] if ratio is not None]
        ratio = f"{statistics.median(ratios):.2f}" if ratios else "-"
        rows.append(
            [
                title(name),
                f"{statistics.median(stds):.3f}",
                f"{min(stds):.3f} to {max(stds):.3f}",
                ratio,
            ]
        )
    return table(
        [
            "model",
            "median of the layers' deviations",
            "least to largest",
            "residual branch / shortcut, median block",
        ],
        rows,
    )


def ablations_table(results: dict) -> str:
    """Return the accuracy that is left without one block."""
    rows = []
    for name, net in results["nets"].items():
        left = [top1 for top1 in net["skipped_top1"] if top1 is not None]
        blocks = f"{len(left)} of {len(net['skipped_top1'])}"
        cells = [
            percent(net["ablation_top1"]),
            percent(statistics.median(left)),
            percent(min(left)),
            percent(max(left)),
        ]
        rows.append([title(name), blocks, *cells])
    return table(
        [
            "model",
            "blocks that can be taken out",
            "whole",
            "median block",
            "worst block",
            "mildest block",
        ],
        rows,
    )


TABLES = {
    "nets": nets_table,
    "responses": lambda results, _: responses_table(results),
    "ablations": lambda results, _: ablations_table(results),
}


def fill(text: str, results: dict, folder: Path) -> str:
    """Return README.md with every marked table renewed."""
    for name, make in TABLES.items():
        begin, end = f"<!-- {name}: written by models/describe.py -->\n", f"<!-- end of {name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise Failure(f"README.md has no place for the table: {begin.strip()} ... {end}")
        text = before + begin + make(results, folder) + end + after
    return text


# ---- manifest.json


def shipped_entry(name: str, net: dict, folder: Path) -> dict:
    """Return the manifest's entry of a model of this project."""
    data = (folder / f"cifar10-{name}.onnx").read_bytes()
    return {
        "name": f"cifar10-{name}",
        "what": f"{title(name)} for CIFAR-10, trained by this project",
        "file": f"cifar10-{name}.onnx",
        "urls": [],
        "format": "onnx",
        "export": None,
        "sha256": hashlib.sha256(data).hexdigest(),
        "sha256_starts": None,
        "bytes": len(data),
        "opset": 13,
        "input": [3, 32, 32],
        "preprocess": "cifar10",
        "resize": None,
        "classes": 10,
        "accuracy": {
            "top1": round(100 * net["top1"], 2),
            "top5": round(100 * net["top5"], 2),
            "on": TEST_SET,
        },
        "licence": "MIT",
        "source": "models/README.md",
        "notes": "labels and preprocessing are inside the file",
    }


def manifest_text(manifest: dict) -> str:
    """Return JSON with short lists on one line."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    text = re.sub(r"\[\s+(\d+),\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2, \3]", text)
    return re.sub(r'\[\s+("[^"\n]*")\s+\]', r"[\1]", text) + "\n"


def describe_manifest(text: str, results: dict, folder: Path) -> str:
    """Return manifest.json with the entries of this project's models renewed."""
    manifest = json.loads(text)
    public = [entry for entry in manifest["models"] if not entry["file"]]
    manifest["models"] = [
        shipped_entry(name, net, folder) for name, net in results["nets"].items()
    ] + public
    return manifest_text(manifest)


# ---- the command line


def read_results(folder: Path, comparison: Path | None) -> dict:
    """Read a comparison, or what was kept of the last one."""
    path = comparison or folder / "results.json"
    try:
        read = json.loads(path.read_text())
    except (OSError, ValueError) as problem:
        raise Failure(f"{path}: {problem}; resnet compare --json writes it, see --help") from None
    results = extract(read, folder) if comparison else read
    results["nets"] = {name: results["nets"][name] for name in ORDER if name in results["nets"]}
    stale = [
        name
        for name, net in results["nets"].items()
        if net["sha256"] != file_hash(folder / f"cifar10-{name}.onnx")
    ]
    missing = {path.stem.removeprefix("cifar10-") for path in folder.glob("*.onnx")} ^ set(
        results["nets"]
    )
    if stale or missing:
        raise Failure(
            f"{path} is not of the models in {folder}: "
            f"{', '.join([*stale, *sorted(missing)])}; compare them anew, see --help"
        )
    return results


def file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def results_text(results: dict) -> str:
    """Return JSON with each list on one line."""
    text = json.dumps(results, indent=1)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text) + "\n"


def described(folder: Path, comparison: Path | None) -> dict[Path, str]:
    """Return each file that this program writes with its right content."""
    results = read_results(folder, comparison)
    readme, manifest = folder / "README.md", folder / "manifest.json"
    return {
        folder / "results.json": results_text(results),
        readme: fill(readme.read_text(), results, folder),
        manifest: describe_manifest(manifest.read_text(), results, folder),
    }


def main() -> int:
    """Return 0 when all files are up to date or were written."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--compare", type=existing_file, metavar="FILE", help="what resnet compare --json printed"
    )
    parser.add_argument("--write", action="store_true", help="write the files that are out of date")
    parser.add_argument(
        "--models",
        type=existing_folder,
        default=HERE,
        metavar="DIR",
        help="folder of the models (default: models/)",
    )
    options = parser.parse_args()
    try:
        files = described(options.models, options.compare)
    except (Failure, KeyError) as problem:
        print(f"describe.py: {problem}", file=sys.stderr)
        return 1
    behind = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    for path in behind:
        if options.write:
            path.write_text(files[path])
        print(f"{'wrote' if options.write else 'behind:'} {path}")
    return 1 if behind and not options.write else 0


if __name__ == "__main__":
    sys.exit(main())
