"""Classify pictures with Ray Data, on one machine or many.

    import libresnet.ray
    import ray

    plan = libresnet.ray.ship("resnet50.onnx")
    answers = ray.data.read_binary_files("/photos", include_paths=True).map_batches(
        libresnet.ray.Classifier,
        fn_constructor_kwargs={"model": plan, "k": 5},
        compute=ray.data.ActorPoolStrategy(size=8), num_cpus=1, batch_size=32)
    answers.write_parquet("/answers")

`python -m libresnet.batch INPUT... OUT.parquet --ray ADDRESS` does this from the command
line, with progress, resuming and exactly one row for each picture.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

try:
    import pyarrow as pa
    import ray
    from ray.data.extensions import ArrowTensorArray
except ImportError as missing:
    raise ImportError(
        f"libresnet.ray needs {missing.name}: pip install 'libresnet[ray]'"
    ) from missing

from . import Model
from ._rows import Labeller, Picture, answer_columns

__all__ = ["Classifier", "ship"]

PlanReference = ray.ObjectRef["NDArray[np.uint8]"]  # a plan file's bytes in the object store
ModelSource = Union[str, "os.PathLike[str]", Model, PlanReference, None]
PICTURE_COLUMNS = ("image", "bytes", "path")  # the first that a batch has is classified


def ship(model: str | os.PathLike[str] | Model | None = None, **options: Any) -> PlanReference:
    """Compile a model into a plan file and put it into Ray's object store, once for all
    actors that classify with it.

    `model` and `options` are those of `libresnet.Model`; a Model stands for its file and
    its options. Needs a connection (`ray.init`). The actors of a node use the packed
    weights where they lie in its shared memory: an actor adds no copy of its own. On a
    node whose CPU is of another kind than the driver's, each actor packs them anew. Keep
    the reference as long as actors may start. Raises `libresnet.Error`.
    """
    if isinstance(model, Model):
        _, (_, path, kept) = model.__reduce__()  # refused for one that has no file
        return ship(path, **{**kept, **options})
    with Model(model, **{**options, "keep_weights": True}) as opened:
        return _put_plan(opened)


def _put_plan(model: Model) -> PlanReference:
    with tempfile.TemporaryDirectory(prefix="libresnet-") as folder:
        path = Path(folder) / "model.resnet"
        model.save(path)
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as plan:
            array = np.frombuffer(plan, np.uint8)
            reference = ray.put(array)
            del array  # the map can't be closed while it is looked at
            return reference


class Classifier:
    """A callable class for `ray.data.Dataset.map_batches`: one session for each actor.

    model   a reference of `ship` (best: sent once, in shared memory on each node), a path that every node can open, or None
            for the net that comes with libresnet. A `Model` is pickled by its path.
    k       how many classes of each picture; more than the net has means all.
    batch   pictures that the session works on at once; no answer depends on it.
    threads of the session and of decoding; None: as many as the CPUs that Ray gives the
    actor (`num_cpus`), one if it gives
            none or a part of one; outside of Ray one for every CPU.
    options as for `libresnet.Model`, e.g. `preprocess="imagenet"`; not with a reference
    or a Model, which carry them.

    A batch (NumPy, map_batches' default) has one of these columns, or the first of those
    that it has is classified:

    image   (n,h,w,3) uint8, or an object array of pictures that may differ in size: (h,w,3), (h,w,4), (h,w,1), (h,w)
    bytes   encoded pictures, JPEG or PNG
    path    files that the node can read, or `archive.zip/entry`: str, or bytes as `os.fsencode` gives them

    The answer is an Arrow table: all other columns of the batch and `path` as they were,
    then `label`, `index` (int32), `score` (float32) of the best class, with k > 1 the
    lists `labels`, `indices`, `scores` of the k best, best first, and `error`: null, or
    why this picture could not be classified (its other answers are null then). Columns of
    the batch with one of these names are replaced: give the true label, e.g., another
    one. A broken picture never fails a batch. `ray.data.read_images` raises for one that
    can't be decoded, and so loses the data set: take `read_binary_files` for pictures
    that nobody has looked at. Errors of the model itself are raised, as
    `libresnet.Error`.
    """

    def __init__(
        self,
        model: ModelSource = None,
        k: int = 5,
        *,
        batch: int = 32,
        threads: int | None = None,
        **options: Any,
    ) -> None:
        self._model = _open(model, options)
        if k < 1:
            raise ValueError(f"k is {k}; numbers from 1 on are accepted")
        self._k = min(k, self._model.classes)
        self._labeller = Labeller(
            self._model, self._k, _assigned_cpus() if threads is None else threads, batch
        )

    def __call__(self, batch: Mapping[str, Any]) -> pa.Table:
        column = next((name for name in PICTURE_COLUMNS if name in batch), None)
        if column is None:
            raise ValueError(
                f"a batch has the columns {', '.join(batch)}; one of {', '.join(PICTURE_COLUMNS)} is needed"
            )
        answers = answer_columns(
            self._labeller([_picture(column, value) for value in batch[column]]), self._k
        )
        kept = {
            name: _column(values)
            for name, values in batch.items()
            if name not in ("image", "bytes", *answers.column_names)
        }
        return pa.table([*kept.values(), *answers.columns], names=[*kept, *answers.column_names])


def _open(model: ModelSource, options: dict[str, Any]) -> Model:
    if not isinstance(model, (Model, ray.ObjectRef)):
        return Model(model, **options)
    if options:
        giver = (
            "libresnet.Model, which"
            if isinstance(model, Model)
            else "libresnet.ray.ship, whose reference"
        )
        raise ValueError(f"{', '.join(options)}: give these to {giver} carries them")
    return model if isinstance(model, Model) else Model.from_bytes(ray.get(model), borrow=True)


def _assigned_cpus() -> int:
    """Threads for this actor; 0 (automatic) outside of one."""
    if not ray.is_initialized() or ray.get_runtime_context().get_actor_id() is None:
        return 0
    resources: dict[str, float] = ray.get_runtime_context().get_assigned_resources()  # type: ignore[no-untyped-call]
    return max(1, int(resources.get("CPU", 1)))


def _column(values: Any) -> Any:
    """A column of the batch in Arrow, tensors as Ray has them. Among objects NaN is
    pandas' null."""
    try:
        return pa.array(
            values, from_pandas=isinstance(values, np.ndarray) and values.dtype == object
        )
    except pa.ArrowInvalid:
        return ArrowTensorArray.from_numpy(values)


def _picture(column: str, value: Any) -> Picture:
    # NumPy and pandas have null as either
    if value is None or (isinstance(value, float) and value != value):
        return np.array(None)
    if column == "path":
        return os.fsdecode(value)
    if column == "bytes":
        return bytes(value)
    pixels: NDArray[Any] = np.asarray(value)
    # Where grey pictures are among others in a column, Ray makes (1,h,w) of their (h,w).
    if pixels.ndim == 3 and pixels.shape[0] == 1 and pixels.shape[2] not in (1, 3, 4):
        pixels = pixels[0]
    return pixels
