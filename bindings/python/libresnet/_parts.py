"""Finished rows on disk, so that the batch command can be killed at any moment.

`OUT.parquet.parts/` holds, while a run is under way or after it was interrupted:

    lock                 locked (flock) by the one run that writes here
    manifest.json        what made the rows: model, k, preprocessing, version
    part-000001.parquet  rows of finished pictures, sorted by path; whole, since it was renamed when it was on the disk
    *.tmp                what a killed run was writing

At the end all parts, and the rows of an OUT.parquet that was there, are merged by path
into one file, which takes OUT.parquet's place by renaming. Where two rows have one path,
which a kill between two renames can cause, or a picture that was tried again, one is
kept.
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

# of OUT.parquet: fixed, so that its bytes do not depend on how the rows came
ROW_GROUP = 1 << 16
SECONDS_BETWEEN_PARTS = 20.0
PREFIX = b"libresnet."  # of what the manifest says, in OUT.parquet's metadata
MADE_BY = ("model_sha256", "k", "preprocess", "version")
AGE = "age"  # of a row while rows are merged: 0 in the newest file


class PartsError(Exception):
    """Rows that are there can't be gone on with: they are another model's, or another run
    writes them."""


class Parts:
    """The rows of one OUT.parquet. Used by one thread.

    `made_by` (MADE_BY's keys) must be what the rows that are there were made by. With
    `overwrite` those are left out: the parts are removed at once, OUT.parquet when the
    new one takes its place.
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
        # till it has been read: then it may say so
        self._replaces = (self.folder / "manifest.json").exists()
        try:
            self._replaces = self._begin(overwrite)
        except BaseException:
            self.close()
            raise

    def _begin(self, overwrite: bool) -> bool:
        """Look at what is there and write the manifest. True: the rows of an OUT.parquet
        that is there don't count."""
        shutil.rmtree(self._retired, ignore_errors=True)
        manifest = self.folder / "manifest.json"
        if overwrite:
            # which says what parts are of, as long as there are any
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
                f"{place}: its rows were made by another model or with other options: {', '.join(differing)}. "
                "Give the same to go on with it, another OUT.parquet, or --overwrite to begin anew"
            )

    def _parts(self) -> list[Path]:
        """By their numbers, which may have more digits than six."""
        return sorted(
            self.folder.glob("part-*.parquet"), key=lambda path: (len(path.name), path.name)
        )

    def _sources(self) -> list[Path]:
        """Files that hold rows, the newest last."""
        return [*([self.out] if self.out.exists() and not self._replaces else []), *self._parts()]

    def finished(self, but_errors: bool) -> set[str]:
        """Paths that have a row; with `but_errors` those with an error are left out."""
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
        """Take rows; now and then they are written as a part."""
        self._unsaved.append(rows)
        due = time.monotonic() - self._last_save >= SECONDS_BETWEEN_PARTS
        if due or sum(len(table) for table in self._unsaved) >= self._part_rows:
            self.save()

    def save(self) -> None:
        """Write what was taken since the last part."""
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
        """Remove the folder: by renaming, so that no half of it is ever taken for the
        whole."""
        os.rename(self.folder, self._retired)
        self._removed = True
        shutil.rmtree(self._retired, ignore_errors=True)

    def close(self) -> None:
        """Let others write. A folder without rows goes, unless it must say that those of
        OUT.parquet don't count."""
        try:
            if not self._removed and not self._replaces and not self._parts():
                self.remove()
        finally:
            self._lock.close()


def lock(folder: Path) -> IO[bytes]:
    """Make the folder if need be and lock it for this process, which may end in any way."""
    while True:
        folder.mkdir(exist_ok=True)
        try:
            file = open(folder / "lock", "ab")  # noqa: SIM115 (kept open: that is the lock)
        except FileNotFoundError:  # another run has just finished and removed it
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
    """What the rows of an OUT.parquet were made by."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except pa.ArrowInvalid as error:
        raise PartsError(
            f"{path}: {error}. Give another OUT.parquet, or --overwrite to replace it"
        ) from error
    return {key: metadata.get(PREFIX + key.encode(), b"unknown").decode() for key in MADE_BY}


def merged(sources: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of files, the newest last, whose row groups are sorted by path, as sorted
    tables, each path once.

    A picture that has a row with an answer and one with an error keeps the answer, of
    several errors the newest. Only row groups whose paths overlap are in memory at a
    time: few, since runs work in the order of the paths.
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
    """(first path, file, index of the group)"""
    for source in sources:
        file = pq.ParquetFile(source)
        for index in range(file.num_row_groups):
            first = next(file.iter_batches(batch_size=1, row_groups=[index], columns=["path"]))
            yield first["path"][0].as_py(), source, index


def once(rows: pa.Table) -> pa.Table:
    """Sorted by path, one row for each: an answer rather than an error, the newest of
    them."""
    order = pa.table({"path": rows["path"], "failed": pc.is_valid(rows["error"]), AGE: rows[AGE]})
    rows = rows.take(pc.sort_indices(order, [(key, "ascending") for key in order.column_names]))
    if len(rows) < 2:
        return rows
    paths = rows["path"].combine_chunks()
    new = pc.not_equal(paths.slice(1), paths.slice(0, len(rows) - 1))
    return rows.filter(pa.concat_arrays([pa.array([True]), new]))


def write_rows(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """A Parquet file of `tables` in row groups of ROW_GROUP, on the disk when this
    returns."""
    with open(path, "wb") as file:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for group in regrouped(tables):
                writer.write_table(group.cast(schema), row_group_size=ROW_GROUP)
        file.flush()
        os.fsync(file.fileno())


def regrouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of ROW_GROUP rows in one chunk, the last one shorter."""
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
    """Rename, and wait until the folder that says so is on the disk."""
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
