"""Classify images with Ray Data, on one machine or many.

    import libresnet.ray
    import ray

    plan = libresnet.ray.ship("resnet50.onnx")
    answers = ray.data.read_binary_files("/photos", include_paths=True).map_batches(
        libresnet.ray.Classifier,
        fn_constructor_kwargs={"model": plan, "k": 5},
        compute=ray.data.ActorPoolStrategy(size=8), num_cpus=1, batch_size=32)
    answers.write_parquet("/answers")

`python -m libresnet.batch INPUT... OUT.parquet --ray ADDRESS` does this from the command
line, with a progress bar. It can be resumed and writes exactly one row per image.
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
from ._rows import Image, Labeller, answer_columns

__all__ = ["Classifier", "ship"]

# a plan file's bytes in the object store
PlanReference = ray.ObjectRef["NDArray[np.uint8]"]
ModelSource = Union[str, "os.PathLike[str]", Model, PlanReference, None]
IMAGE_COLUMNS = ("image", "bytes", "path")  # the first one of a batch is classified


def ship(model: str | os.PathLike[str] | Model | None = None, **options: Any) -> PlanReference:
    """Compile a model into a plan file and put it into Ray's object store, once for all
    actors that classify with it.

    model: a path, or a Model, of which the path and the options are used; None: the
        built-in model.
    options: those of `libresnet.Model`.

    Call `ray.init` before. The actors of a node use the packed weights in the node's
    shared memory, without a copy. On a node with another kind of CPU than the driver's,
    each actor packs the weights again. Keep the reference as long as actors may start.
    Raises `libresnet.Error`.
    """
    if isinstance(model, Model):
        _, (_, path, kept) = model.__reduce__()  # raises TypeError without a file
        return ship(path, **{**kept, "labels": None, **options})
    if options.get("labels") is not None:
        raise ValueError("labels: a plan has those of the file; pass others to Classifier")
    with Model(model, **{**options, "keep_weights": True}) as opened:
        return _put_plan(opened)


def _put_plan(model: Model) -> PlanReference:
    with tempfile.TemporaryDirectory(prefix="libresnet-") as folder:
        path = Path(folder) / "model.resnet"
        model.save(path)
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as plan:
            array = np.frombuffer(plan, np.uint8)
            reference = ray.put(array)
            del array  # the map cannot be closed while the array refers to it
            return reference


class Classifier:
    """A callable class for `ray.data.Dataset.map_batches`: one session for each actor.

    model: a reference from `ship` (recommended: sent once, in shared memory on each
        node), a path that every node can open, a `Model`, which is pickled as its path,
        or None for the built-in model.
    k: classes per image; more than the model has means all.
    batch: images that the session processes at once; does not change a prediction.
    threads: of the session and of decoding. None: the number of CPUs that Ray assigns to
        the actor (`num_cpus`), at least 1; outside of Ray one per CPU.
    options: those of `libresnet.Model`, e.g. `preprocess="imagenet"`; not allowed with a
        Model, which has its own. With a reference only `labels` is allowed: the plan has
        those of the model's file.

    A batch (NumPy, map_batches' default) has at least one of these columns, and the first
    one is classified:

    image: (n,h,w,3) uint8, or an object array of images (h,w,3), (h,w,4), (h,w,1) or
        (h,w), which may differ in size.
    bytes: encoded images, JPEG or PNG.
    path: files that the node can read, or `archive.zip/entry`; str, or bytes as returned
        by `os.fsencode`.

    The result is an Arrow table. It has all other columns of the batch and `path`
    unchanged, then `label`, `index` (int32) and `score` (float32) of the best class, with
    k > 1 the lists `labels`, `indices` and `scores` of the k best, best first, and
    `error`: null, or the reason why this image could not be classified; its other columns
    are null then. Columns of the batch with one of these names are replaced, so rename
    e.g. a column with the true label.

    A broken image never fails a batch. `ray.data.read_images` raises an exception for
    one, which loses the data set: use `read_binary_files` for unchecked images. Errors of
    the model itself are raised as `libresnet.Error`.
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
            raise ValueError(f"k is {k}; it must be at least 1")
        self._k = min(k, self._model.classes)
        self._labeller = Labeller(
            self._model, self._k, _assigned_cpus() if threads is None else threads, batch
        )

    def __call__(self, batch: Mapping[str, Any]) -> pa.Table:
        column = next((name for name in IMAGE_COLUMNS if name in batch), None)
        if column is None:
            raise ValueError(
                f"a batch has the columns {', '.join(batch)}; "
                f"one of {', '.join(IMAGE_COLUMNS)} is needed"
            )
        answers = answer_columns(
            self._labeller([_image(column, value) for value in batch[column]]), self._k
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
    labels = options.pop("labels", None)
    if options:
        owner = "libresnet.Model" if isinstance(model, Model) else "libresnet.ray.ship"
        raise ValueError(f"{', '.join(options)}: pass these to {owner} instead")
    if not isinstance(model, Model):
        return Model.from_bytes(ray.get(model), borrow=True, labels=labels)
    if labels is not None:
        raise ValueError("labels: pass these to libresnet.Model instead")
    return model


def _assigned_cpus() -> int:
    """Return the number of threads for this actor; 0 (automatic) outside of an actor."""
    if not ray.is_initialized() or ray.get_runtime_context().get_actor_id() is None:
        return 0
    context = ray.get_runtime_context()
    resources: dict[str, float]
    resources = context.get_assigned_resources()  # type: ignore[no-untyped-call]
    return max(1, int(resources.get("CPU", 1)))


def _column(values: Any) -> Any:
    """Return a column of the batch as Arrow, tensors in Ray's representation. In an
    object array, NaN is pandas' null."""
    try:
        return pa.array(
            values, from_pandas=isinstance(values, np.ndarray) and values.dtype == object
        )
    except pa.ArrowInvalid:
        return ArrowTensorArray.from_numpy(values)


def _image(column: str, value: Any) -> Image:
    # the null of NumPy, and that of pandas
    if value is None or (isinstance(value, float) and value != value):
        return np.array(None)
    if column == "path":
        return os.fsdecode(value)
    if column == "bytes":
        return bytes(value)
    pixels: NDArray[Any] = np.asarray(value)
    # In a column with grey and other images, Ray turns (h,w) into (1,h,w).
    if pixels.ndim == 3 and pixels.shape[0] == 1 and pixels.shape[2] not in (1, 3, 4):
        pixels = pixels[0]
    return pixels
