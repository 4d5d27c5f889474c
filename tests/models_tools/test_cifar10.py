"""models/cifar10.py on small archives of both versions: which zips it makes, and what it
refuses."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "models"))
sys.path.insert(0, str(Path(__file__).parent))

import cifar10  # noqa: E402 (the path must be set first)
from server import Server  # noqa: E402

COUNT = 20  # images of each file in the archive
NAMES = [name for names in cifar10.SPLITS.values() for name in names]
BATCHES = {
    name: (
        np.random.default_rng(index).integers(0, 10, COUNT),
        np.random.default_rng(index).integers(0, 256, (COUNT, cifar10.PIXELS), np.uint8),
    )
    for index, name in enumerate(NAMES)
}


def pickled(labels: np.ndarray, pixels: np.ndarray, protocol: int = 2) -> bytes:
    return pickle.dumps({"labels": labels.tolist(), "data": pixels, "filenames": []}, protocol)


def python_2(labels: np.ndarray, pixels: np.ndarray) -> bytes:
    """Return what Python 2 wrote: the array's bytes as text of 8-bit characters."""
    data = pixels.tobytes()
    head = b"\x80\x02}(U\x06labels]("
    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    minus_one = b"J\xff\xff\xff\xff"
    kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN" + 2 * minus_one + b"K\x00tb"
    shape = b"K" + bytes([COUNT]) + b"M" + cifar10.PIXELS.to_bytes(2, "little") + b"\x86"
    text = b"T" + len(data).to_bytes(4, "little") + data
    return (
        head + numbers + b"eU\x04data" + array + b"(K\x01" + shape + kind + b"\x89" + text + b"tbu."
    )


def binary(labels: np.ndarray, pixels: np.ndarray) -> bytes:
    return np.hstack([labels.astype(np.uint8)[:, None], pixels]).tobytes()


KINDS = {"python 3": pickled, "python 2": python_2, "binary": binary}


def make_archive(folder: Path, kind: str = "python 3", **files: bytes) -> Path:
    """Write an archive; `files` replace files in it."""
    suffix = ".bin" if kind == "binary" else ""
    path = folder / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, batch in BATCHES.items():
            data = files.get(name, KINDS[kind](*batch))
            member = tarfile.TarInfo(f"cifar-10-batches/{name}{suffix}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        member = tarfile.TarInfo("cifar-10-batches/readme.html")
        archive.addfile(member, io.BytesIO(b""))
    return path


def publish(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let the archive be the published one."""
    data = path.read_bytes()
    hashes = hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest()
    monkeypatch.setitem(cifar10.ARCHIVES, "python", cifar10.Archive(path.name, len(data), *hashes))
    monkeypatch.setattr(cifar10, "BATCH", COUNT)


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["cifar10.py", *map(str, words)])
    return cifar10.main()


def expected(split: str) -> dict[str, np.ndarray]:
    """Return the pixels (h,w,3) by the name that they shall have."""
    found: dict[str, np.ndarray] = {}
    for name in cifar10.SPLITS[split]:
        for label, pixels in zip(*BATCHES[name]):
            label = cifar10.CLASSES[label]
            number = sum(f"/{label}/" in one for one in found)
            image = pixels.reshape(3, cifar10.SIDE, cifar10.SIDE).transpose(1, 2, 0)
            found[f"{split}/{label}/{number:04}.jpg"] = image
    return found


def default_jpeg(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG")
    return out.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_both_versions_become_the_same_zips(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_archive(tmp_path, kind)
    publish(monkeypatch, archive)
    assert run(monkeypatch, archive, "-o", tmp_path / "out") == 0
    for split in cifar10.SPLITS:
        images = expected(split)
        with zipfile.ZipFile(tmp_path / "out" / f"cifar10-jpeg-{split}.zip") as made:
            assert sorted(made.namelist()) == sorted(images)
            for name, pixels in images.items():
                assert made.read(name) == default_jpeg(pixels), name


def headers(data: bytes) -> list[bytes]:
    """Return the segments of a JPEG file before its pixels: tables, sizes, sampling."""
    at, found = 2, []
    while data[at + 1] != 0xDA:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append(data[at : at + 2 + size])
        at += 2 + size
    return found


def test_the_files_are_coded_as_the_projects_own_test_images() -> None:
    """The accuracies in models/README.md are those of images that are coded so."""
    folder = os.environ.get("LIBRESNET_TEST_DATA")
    known = Path(folder or "") / "data" / "cifar10-jpeg-test.zip"
    if not folder or not known.exists():
        pytest.skip("LIBRESNET_TEST_DATA has no data/cifar10-jpeg-test.zip")
    made = headers(cifar10.jpeg(bytes(cifar10.PIXELS)))
    with zipfile.ZipFile(known) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        assert all(headers(archive.read(name)) == made for name in names[::100])
    assert "test/cat/0000.jpg" in names and "test/cat/0999.jpg" in names


def test_two_runs_make_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_archive(tmp_path)
    publish(monkeypatch, archive)
    for folder in ("a", "b"):
        assert run(monkeypatch, archive, "-o", tmp_path / folder) == 0
    first, second = (tmp_path / folder / "cifar10-jpeg-test.zip" for folder in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_the_archive_is_fetched_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    archive = make_archive(tmp_path)
    publish(monkeypatch, archive)
    server = Server()
    server.files["/kriz/cifar-10-python.tar.gz"] = archive.read_bytes()
    monkeypatch.setattr(cifar10, "SITE", server.url("/kriz/"))
    try:
        assert run(monkeypatch, "-o", tmp_path / "out") == 0
        assert "verified" in capsys.readouterr().out
        assert (tmp_path / "out" / archive.name).read_bytes() == archive.read_bytes()
        for made in (tmp_path / "out").glob("*.zip"):
            made.unlink()
        assert run(monkeypatch, "-o", tmp_path / "out") == 0
        assert len(server.requests) == 1
    finally:
        server.close()


def test_another_archive_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    archive = make_archive(tmp_path)
    assert run(monkeypatch, archive, "-o", tmp_path / "out") == 1
    text = capsys.readouterr().err
    assert "c58f30108f718f92721af3b95e74349a" in text and "MD5" in text
    assert list((tmp_path / "out").iterdir()) == []


class Hostile:
    def __reduce__(self) -> tuple:
        return os.system, ("touch ran",)


LABELS, PIXELS = BATCHES["test_batch"]
DAMAGED = {
    "code": pickle.dumps(Hostile(), 2),
    "cut off": pickled(LABELS, PIXELS)[:-100],
    "no dictionary": pickle.dumps([1, 2], 2),
    "no such class": pickled(LABELS + 10, PIXELS),
    "fewer images": pickled(LABELS[1:], PIXELS[1:]),
    "fewer pixels": pickled(LABELS, PIXELS[:, 1:]),
    "another type": pickled(LABELS, PIXELS.astype(np.uint16)),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_refused_and_its_code_does_not_run(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    archive = make_archive(tmp_path, test_batch=DAMAGED[kind])
    publish(monkeypatch, archive)
    assert run(monkeypatch, archive, "-o", "out") == 1
    assert capsys.readouterr().err.startswith("cifar10.py: ")
    assert not (tmp_path / "ran").exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cifar10-jpeg-train.zip"]


def test_existing_zips_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    mine = tmp_path / "cifar10-jpeg-test.zip"
    mine.write_bytes(b"mine")
    assert run(monkeypatch, make_archive(tmp_path), "-o", tmp_path) == 1
    assert "move it away" in capsys.readouterr().err and mine.read_bytes() == b"mine"


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "models" / "cifar10.py"]
    done = subprocess.run(
        [*command, "no-such.tar.gz", "-o", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 1 and "no-such.tar.gz" in done.stderr
    assert "Traceback" not in done.stderr
    assert b"quality 75" in subprocess.run([*command, "--help"], capture_output=True).stdout
