"""Finished rows on disk, so that the batch command can be killed at any moment.

During a run, and after an interruption, `OUT.parquet.parts/` contains:

    lock                 locked (flock) by the one run that writes here
    manifest.json        the origin of the rows: model, k, preprocessing, version
    part-000001.parquet  rows of finished images, sorted by path; always complete,
                         since it is written to a temporary file, synced and renamed
    *.tmp                a file that a killed run was writing

At the end all parts, and the rows of an existing OUT.parquet, are merged by path into one
file, which replaces OUT.parquet by renaming. A path may have two rows if a run was killed
between two renames, or if an image was tried again; one of them is kept.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

# Rows per row group of OUT.parquet: fixed, so that its bytes do not depend on the order
# in which rows were finished.
ROW_GROUP = 1 << 16
SECONDS_BETWEEN_PARTS = 20.0
PREFIX = b"libresnet."  # of the manifest's entries in OUT.parquet's metadata
MADE_BY = ("model_sha256", "k", "options", "preprocess", "version")
AGE = "age"  # of a row while rows are merged: 0 in the newest file


class PartsError(Exception):
    """Existing rows cannot be continued: they belong to another model, or another run is
    writing them."""


class Parts:
    """The rows of one OUT.parquet. Used by one thread.

    `made_by` (with the keys MADE_BY) must equal that of the existing rows. With
    `overwrite` existing rows are dropped: the parts at once, OUT.parquet when the new
    file replaces it.
    """

    def __init__(
        self, out: Path, schema: pa.Schema, made_by: dict[str, Any], part_rows: int, overwrite: bool
    ) -> None:
        self.out, self.schema, self._part_rows = out, schema, part_rows
        self._made_by = made_by
        self.folder = out.with_name(out.name + ".parts")
        self._retired = out.with_name(out.name + ".parts.old")
        self._unsaved: list[pa.Table] = []
        self._last_save = time.monotonic()
        self._removed = False
        self._lock = lock(self.folder)
        # Provisional, for close(), until _begin has read the manifest.
        self._replaces = (self.folder / "manifest.json").exists()
        try:
            self._replaces = self._begin(overwrite)
        except BaseException:
            self.close()
            raise

    def _begin(self, overwrite: bool) -> bool:
        """Check the existing rows and write the manifest. Return whether the rows of an
        existing OUT.parquet are dropped."""
        shutil.rmtree(self._retired, ignore_errors=True)
        manifest = self.folder / "manifest.json"
        if overwrite:
            # The manifest goes last: it describes the parts while there are any.
            for path in [*self._parts(), manifest]:
                path.unlink(missing_ok=True)
        for path in self.folder.glob("*.tmp"):
            path.unlink()
        old = json.loads(manifest.read_text("utf-8")) if manifest.exists() else None
        if old is not None:
            self._refuse_others(self.folder, old)
        replaces = bool(old["replaces"]) if old is not None else overwrite
        if self.out.exists() and not replaces:
            self._refuse_others(self.out, made_by_of(self.out))
        if old is None:
            write_whole(
                manifest, json.dumps({**self._made_by, "replaces": replaces}, indent=1).encode()
            )
        return replaces

    def _refuse_others(self, place: Path, found: dict[str, Any]) -> None:
        differing = [
            f"{key} {found.get(key)} (now {self._made_by[key]})"
            for key in MADE_BY
            if str(found.get(key)) != str(self._made_by[key])
        ]
        if differing:
            raise PartsError(
                f"{place}: its rows were made by another model or with other options: "
                f"{', '.join(differing)}. Use the same to continue, another OUT.parquet, "
                "or --overwrite to start over"
            )

    def _parts(self) -> list[Path]:
        """Return the parts by number; a number may have more than six digits."""
        return sorted(
            self.folder.glob("part-*.parquet"), key=lambda path: (len(path.name), path.name)
        )

    def _sources(self) -> list[Path]:
        """Return the files that contain rows, the newest last."""
        return [*([self.out] if self.out.exists() and not self._replaces else []), *self._parts()]

    def finished(self, but_errors: bool) -> set[str]:
        """Return the paths that have a row; with `but_errors`, only rows without an
        error."""
        paths: set[str] = set()
        for source in self._sources():
            rows = pq.read_table(source, columns=["path", "error"])
            if but_errors:
                rows = rows.filter(pc.is_null(rows["error"]))
            paths.update(rows["path"].to_pylist())
        return paths

    def nothing_to_merge(self) -> bool:
        return self.out.exists() and not self._replaces and not self._parts() and not self._unsaved

    def add(self, rows: pa.Table) -> None:
        """Add rows. They are written as a part when there are enough, or after 20 s."""
        self._unsaved.append(rows)
        due = time.monotonic() - self._last_save >= SECONDS_BETWEEN_PARTS
        if due or sum(len(table) for table in self._unsaved) >= self._part_rows:
            self.save()

    def save(self) -> None:
        """Write the rows that were added since the last part."""
        self._last_save = time.monotonic()
        if not self._unsaved:
            return
        rows = pa.concat_tables(self._unsaved).sort_by("path")
        parts = self._parts()
        number = int(parts[-1].stem.split("-")[1]) + 1 if parts else 1
        path = self.folder / f"part-{number:06d}.parquet"
        write_rows(path.with_suffix(".tmp"), self.schema, [rows])
        put_in_place(path.with_suffix(".tmp"), path)
        self._unsaved.clear()

    def merge(self) -> None:
        """Make OUT.parquet of all rows and remove the parts."""
        self.save()
        temporary = self.folder / "merged.tmp"
        metadata = {PREFIX + key.encode(): str(self._made_by[key]).encode() for key in MADE_BY}
        write_rows(
            temporary, self.schema.with_metadata(metadata), merged(self._sources(), self.schema)
        )
        put_in_place(temporary, self.out)
        self.remove()

    def remove(self) -> None:
        """Remove the folder. It is renamed first, so that a half-removed folder is never
        mistaken for a complete one."""
        os.rename(self.folder, self._retired)
        self._removed = True
        shutil.rmtree(self._retired, ignore_errors=True)

    def close(self) -> None:
        """Release the lock. A folder without rows is removed, unless its manifest is
        needed to drop the rows of OUT.parquet."""
        try:
            if not self._removed and not self._replaces and not self._parts():
                self.remove()
        finally:
            self._lock.close()


def lock(folder: Path) -> IO[bytes]:
    """Make the folder if necessary and lock it until this process ends, in any way."""
    while True:
        folder.mkdir(exist_ok=True)
        try:
            file = open(folder / "lock", "ab")  # noqa: SIM115 (the lock is the open file)
        except FileNotFoundError:  # another run has just finished and removed the folder
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file.fileno()), os.stat(file.name)):
                return file
        except BlockingIOError:
            file.close()
            raise PartsError(f"{folder}: another run is writing there") from None
        except FileNotFoundError:
            pass
        file.close()


def made_by_of(path: Path) -> dict[str, Any]:
    """Return the origin of the rows of an OUT.parquet, with the keys MADE_BY."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except pa.ArrowInvalid as error:
        raise PartsError(
            f"{path}: {error}. Name another OUT.parquet, or --overwrite to replace it"
        ) from error
    return {key: metadata.get(PREFIX + key.encode(), b"unknown").decode() for key in MADE_BY}


def merged(sources: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of several files as tables sorted by path, each path once.

    sources: the newest file last; the row groups of each are sorted by path.

    An image keeps a row with a prediction rather than one with an error; of several
    errors it keeps the newest. Only row groups whose paths overlap are in memory at a
    time: few, since runs process images in the order of their paths.
    """
    ages = {path: age for age, path in enumerate(reversed(sources))}
    groups = sorted(row_groups(sources), key=lambda group: group[0])
    held = schema.empty_table().append_column(AGE, pa.array([], pa.int64()))
    for i, (_, path, index) in enumerate(groups):
        group = pq.ParquetFile(path).read_row_group(index).replace_schema_metadata().cast(schema)
        group = group.append_column(AGE, pa.array(np.full(len(group), ages[path])))
        held = once(pa.concat_tables([held, group]))
        if i + 1 < len(groups):
            ready = pc.sum(pc.less(held["path"], pa.scalar(groups[i + 1][0]))).as_py() or 0
        else:
            ready = len(held)
        yield held.slice(0, ready).drop_columns([AGE])
        held = held.slice(ready).combine_chunks()


def row_groups(sources: Iterable[Path]) -> Iterator[tuple[str, Path, int]]:
    """Yield (first path, file, index of the group) for each row group."""
    for source in sources:
        file = pq.ParquetFile(source)
        for index in range(file.num_row_groups):
            first = next(file.iter_batches(batch_size=1, row_groups=[index], columns=["path"]))
            yield first["path"][0].as_py(), source, index


def once(rows: pa.Table) -> pa.Table:
    """Return the rows sorted by path, one for each: a prediction rather than an error,
    and the newest of several."""
    order = pa.table({"path": rows["path"], "failed": pc.is_valid(rows["error"]), AGE: rows[AGE]})
    rows = rows.take(pc.sort_indices(order, [(key, "ascending") for key in order.column_names]))
    if len(rows) < 2:
        return rows
    paths = rows["path"].combine_chunks()
    new = pc.not_equal(paths.slice(1), paths.slice(0, len(rows) - 1))
    return rows.filter(pa.concat_arrays([pa.array([True]), new]))


def write_rows(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write a Parquet file of `tables` in row groups of ROW_GROUP, and sync it to
    disk."""
    with open(path, "wb") as file:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for group in regrouped(tables):
                writer.write_table(group.cast(schema), row_group_size=ROW_GROUP)
        file.flush()
        os.fsync(file.fileno())


def regrouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the same rows in tables of one chunk with ROW_GROUP rows; the last is
    shorter."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(len(one) for one in waiting) < ROW_GROUP:
            continue
        rows = pa.concat_tables(waiting)
        while len(rows) >= ROW_GROUP:
            yield rows.slice(0, ROW_GROUP).combine_chunks()
            rows = rows.slice(ROW_GROUP)
        waiting = [rows]
    rest = pa.concat_tables(waiting) if waiting else None
    if rest is not None and len(rest):
        yield rest.combine_chunks()


def write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".tmp")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    put_in_place(temporary, path)


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a file, and sync the folder to disk."""
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
