"""From what a model computes to probabilities and rankings, as resnet_classify does."""

from __future__ import annotations

from typing import Iterable, List, Tuple, Union

import numpy as np
import numpy.typing as npt

from ._errors import Error, UnsupportedModelError
from ._images import F32
from ._structs import Status

# resnet_prediction
RANKED = np.dtype([("index", "u4"), ("score", "f4"), ("label", "u8")])


def probabilities_of(scores: F32, kind: str) -> F32:
    """Return (n,classes) probabilities. `kind` is ModelInfo.scores."""
    if kind in ("probabilities", "multi-label"):
        return scores
    wide = scores.astype(np.float64)
    if kind == "logits":
        wide -= wide.max(axis=1, keepdims=True)
        wide -= np.log(np.exp(wide).sum(axis=1, keepdims=True))
    if kind in ("logits", "log probabilities"):
        return np.exp(wide).astype(np.float32)
    if kind == "binary logit":
        wide = np.hstack([-wide, wide])
        # exp of a negative number only: no overflow
        small = np.exp(-np.abs(wide))
        shares: F32 = (np.where(wide < 0, small, 1) / (1 + small)).astype(np.float32)
        return shares
    return np.hstack([1 - scores, scores])


def raw_of(scores: F32, kind: str) -> F32:
    """Return (n,classes) numbers that are ranked in place of probabilities: the model's
    own, and for the first class of two its counterpart."""
    if kind == "binary logit":
        return np.hstack([-scores, scores])
    return np.hstack([1 - scores, scores]) if kind == "binary probability" else scores


def rank(numbers: F32, k: int) -> npt.NDArray[np.void]:
    """Return (n,k) of index and score, best first; of equal scores, the lower index
    first."""
    out = np.empty((len(numbers), k), RANKED)
    out["index"] = np.argsort(-numbers, axis=1, kind="stable")[:, :k]
    out["score"] = np.take_along_axis(numbers, out["index"].astype(np.intp), axis=1)
    return out


def by_class(ranked: npt.NDArray[np.void]) -> F32:
    """Return (n,classes) scores of all classes in their order."""
    out = np.empty(ranked.shape, np.float32)
    np.put_along_axis(out, ranked["index"].astype(np.intp), ranked["score"], axis=1)
    return out


def joined(parts: Iterable[Union[F32, Error]], shape: Tuple[int, ...]) -> Tuple[F32, List[Error]]:
    """Return the rows of consecutive images, each of `shape`, and the errors of skipped
    images, whose rows are NaN."""
    rows: List[F32] = [np.empty((0, *shape), np.float32)]
    skipped: List[Error] = []
    for part in parts:
        if isinstance(part, Error):
            skipped.append(part)
            rows.append(np.full((1, *shape), np.nan, np.float32))
        else:
            rows.append(part)
    return rows[1] if len(rows) == 2 else np.concatenate(rows), skipped


def normalised(rows: F32) -> F32:
    """Return rows of length 1. A row of zeros stays as it is."""
    lengths = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1, keepdims=True))
    return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def check_classes(classes: int, title: str) -> None:
    """Raise UnsupportedModelError if a model has no classes."""
    if not classes:
        raise UnsupportedModelError(
            f"{title} has no classes: its output is an embedding. Use embed(images), or name an "
            "output with scores of classes: Model(..., output=...)",
            Status.ERROR_UNSUPPORTED,
        )
