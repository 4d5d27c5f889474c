"""What the scripts here share: `add` writes a file, and what the tests expect of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

MODELS = Path(__file__).resolve().parents[1]
INDEX = MODELS / "index.json"
LARGEST = 200_000  # bytes, external data included


def residual_stages(
    layers: Sequence[int], change: str = "projection", first: str | None = None
) -> list[str]:
    """Return the kinds of a network's shortcuts: `change` where a stage begins (`first`:
    the first stage), else identity."""
    kinds: list[str] = []
    for stage, count in enumerate(layers):
        kinds += [(first or change) if stage == 0 else change] + ["identity"] * (count - 1)
    return kinds


def forget_places(model: onnx.ModelProto, keep_traces: bool = False) -> None:
    """Remove stack traces, in which exporters name folders of the machine."""
    values = [
        *model.graph.input,
        *model.graph.output,
        *model.graph.value_info,
        *model.graph.initializer,
    ]
    nodes = [
        *model.graph.node,
        *(node for function in getattr(model, "functions", ()) for node in function.node),
    ]
    for part in [model, model.graph, *values, *nodes]:
        part.doc_string = ""
        if part is not model and hasattr(part, "metadata_props"):  # since onnx 1.16
            drop_traces(part.metadata_props, keep_traces)


def drop_traces(properties: object, keep: bool) -> None:
    """Remove the dynamo exporter's notes about each node, half of a small file. With
    `keep` only cut off folders."""
    for entry in list(properties):
        if not keep:
            properties.remove(entry)
        elif "site-packages/" in entry.value or 'File "' in entry.value:
            lines = [
                line
                for line in entry.value.splitlines()
                if "site-packages/" in line or 'File "' not in line
            ]
            cut = [
                '  File "' + line.split("site-packages/")[1] if "site-packages/" in line else line
                for line in lines
            ]
            entry.value = "\n".join(cut)


def write_model(path: Path, model: onnx.ModelProto, external: str | None, keep_traces: bool) -> int:
    """Write the model, and its weights to a file called `external` beside it. Return the
    bytes of both."""
    path.parent.mkdir(exist_ok=True)
    forget_places(model, keep_traces)
    weights = path.parent / external if external else None
    if weights:
        weights.unlink(missing_ok=True)
        onnx.save(
            model, path, save_as_external_data=True, location=weights.name, size_threshold=256
        )
    else:
        path.write_bytes(model.SerializeToString(deterministic=True))
    content = path.read_bytes() + (weights.read_bytes() if weights else b"")
    assert len(content) < LARGEST, f"{path.name}: {len(content)} bytes"
    for place in (b"/root/", b"/tmp/", b"/work/", b"/home/"):
        assert place not in content, f"{path.name} names {place.decode()}"
    return len(content)


def add(
    file: str,
    model: onnx.ModelProto,
    *,
    source: str,
    architecture: str,
    exporter: str,
    blocks: list[str] | None = None,
    depth: int | None = None,
    size: tuple[int, int] = (64, 96),
    layout: str = "NCHW",
    batch: int | None = None,
    options: dict | None = None,
    judge: str = "onnxruntime",
    findings: list[str] | None = None,
    refused: dict | None = None,
    external: str | None = None,
    keep_traces: bool = False,
    channels: int = 3,
    note: str = "",
    also: Sequence[dict] = (),
) -> None:
    """Write tests/models/`file` and its entry in index.json.

    `blocks` and `depth` are what the architecture has, by its paper; `batch` None:
    symbolic in the file; `options`: what the file needs to be opened with; `findings`:
    parts of messages that opening it must give; `refused`: {"status": ..., "message":
    [parts]}; `external`: the name of the file for weights; `also`: what differs when it
    is opened with other options.
    """
    size_in_bytes = write_model(MODELS / file, model, external, keep_traces)
    entry = {
        "file": file,
        "source": source,
        "architecture": architecture,
        "exporter": exporter,
        "size": list(size),
        **({"channels": channels} if channels != 3 else {}),
        "layout": layout,
        "batch": batch,
        "blocks": blocks,
        "depth": depth,
        "options": options or {},
        "judge": judge,
        "findings": findings or [],
        "refused": refused,
        "note": note,
    }
    kept = [old for old in read_index() if old["file"] != file]
    write_index([*kept, entry, *({**entry, **other} for other in also)])
    print(f"{file}: {len(model.graph.node)} nodes, {size_in_bytes} bytes")


def read_index() -> list[dict]:
    return json.loads(INDEX.read_text()) if INDEX.exists() else []


def write_index(entries: list[dict]) -> None:
    entries = [one for one in entries if (MODELS / one["file"]).exists()]
    entries.sort(key=lambda one: (one["file"], json.dumps(one["options"])))
    INDEX.write_text("[\n" + ",\n".join(json.dumps(one) for one in entries) + "\n]\n")


def weights_of(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
