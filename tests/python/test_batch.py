"""`python -m libresnet.batch`: every image has one row, with the numbers that the
library gives, however the run went."""

from __future__ import annotations

import dataclasses
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from conftest import RESNET20, ROOT, SAMPLES, measured, python, resnet_json, shared
from scores import shortest

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install libresnet[batch]")
pq = pytest.importorskip(
    "pyarrow.parquet", reason="pyarrow is not installed: pip install libresnet[batch]"
)

import libresnet  # noqa: E402
from libresnet import _inputs, _parts, _progress, batch  # noqa: E402

pytestmark = pytest.mark.slow


def run(*arguments: object) -> int:
    """The command, in this process."""
    return batch.main(["--quiet", *map(str, arguments)])


def start(*arguments: object, **options: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "libresnet.batch", *map(str, arguments)]
    return subprocess.Popen(command, **{"stderr": subprocess.PIPE, "text": True} | options)


def wait_for_part(process: subprocess.Popen, folder: Path) -> None:
    """Until some images are finished, and no more."""
    while not list(folder.glob("*.parts/part-*.parquet")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)


def rows_of(path: Path) -> list[dict]:
    return pq.read_table(path).to_pylist()


def folder_of(path: Path, count: int) -> Path:
    """`count` images of CIFAR-10 in folders."""
    with zipfile.ZipFile(shared("data", "cifar10-jpeg-test.zip")) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        for name in names[:: len(names) // count][:count]:
            archive.extract(name, path)
    return path


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    return folder_of(tmp_path_factory.mktemp("many"), 600)


@pytest.fixture(scope="module")
def whole(many, tmp_path_factory) -> bytes:
    """OUT.parquet of `many`, made in one go."""
    out = tmp_path_factory.mktemp("whole") / "out.parquet"
    assert run(many, out) == 0
    return out.read_bytes()


# ---- what is in the rows ----


def test_rows_hold_what_the_library_says_to_the_bit(tmp_path, samples, model):
    assert run(SAMPLES, tmp_path / "out.parquet") == 0
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["path"].to_pylist() == sorted(str(path) for path in samples)
    for row, path in zip(table.to_pylist(), samples):
        best = model.classify(path, k=5)
        assert (row["label"], row["index"]) == (best[0].label, best[0].index)
        assert shortest(row["score"]) == best[0].score
        assert row["labels"] == [one.label for one in best]
        assert row["indices"] == [one.index for one in best]
        assert list(map(shortest, row["scores"])) == [one.score for one in best]
        assert row["error"] is None
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {
        "path": "string",
        "label": "string",
        "index": "int32",
        "score": "float",
        "labels": "list<element: string>",
        "indices": "list<element: int32>",
        "scores": "list<element: float>",
        "error": "string",
    }


def test_metadata_says_what_made_the_rows(tmp_path):
    assert (
        run("-m", RESNET20, "-k", 2, "--preprocess", "cifar10", SAMPLES, tmp_path / "out.parquet")
        == 0
    )
    metadata = pq.read_schema(tmp_path / "out.parquet").metadata
    digest = subprocess.run(
        ["sha256sum", RESNET20], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    assert metadata[b"libresnet.model_sha256"].decode() == digest
    assert metadata[b"libresnet.version"].decode() == libresnet.__version__
    assert metadata[b"libresnet.k"] == b"2"
    assert b'"crop": 32' in metadata[b"libresnet.preprocess"]


def test_one_class_has_no_lists_and_too_many_mean_all(tmp_path):
    image = SAMPLES / "cat-tabby.jpg"
    assert run("-k", 1, image, tmp_path / "one.parquet") == 0
    assert pq.read_schema(tmp_path / "one.parquet").names == [
        "path",
        "label",
        "index",
        "score",
        "error",
    ]
    assert run("-k", 1000, image, tmp_path / "all.parquet") == 0
    assert len(rows_of(tmp_path / "all.parquet")[0]["labels"]) == 10


def test_images_are_prepared_as_options_say(tmp_path):
    """--resize, --crop and --size change what the model, or --preprocess, says of the
    others."""

    def answers(*options):
        assert run("-k", 1, "--overwrite", *options, SAMPLES, tmp_path / "out.parquet") == 0
        scores = pq.read_table(tmp_path / "out.parquet")["score"]
        return list(map(shortest, scores.to_pylist()))

    def wanted(preprocess, **options):
        with libresnet.Model(options.pop("path", None), preprocess=preprocess, **options) as model:
            return [
                best.score for (best,) in model.classify(sorted(SAMPLES.glob("*.[jp][pn]g")), k=1)
            ]

    own, imagenet = libresnet.Model().preprocess, libresnet.Preprocess.preset("imagenet")
    assert answers("--resize", 40) == wanted(dataclasses.replace(own, resize=40)) != wanted(None)
    assert answers("--preprocess", "imagenet", "--resize", 36, "--crop", 32) == wanted(
        dataclasses.replace(imagenet, resize=36, crop=32)
    )
    larger = dataclasses.replace(own, resize=48, crop=48)
    assert answers("--size", "48x48", "--resize", 48, "--crop", 48) == wanted(
        larger, input_size=48, path=RESNET20
    )
    with pytest.raises(SystemExit):
        run("--size", "48y48", SAMPLES, tmp_path / "out.parquet")


def test_options_may_stand_anywhere(tmp_path, samples):
    cat, ship = SAMPLES / "cat-tabby.jpg", SAMPLES / "ship-freighter.jpg"
    options = [["-k", "2"], ["--threads", "1"], ["-q"], ["-m", RESNET20]]
    out = tmp_path / "out.parquet"
    orders = [
        [*options[0], *options[1], *options[2], *options[3], cat, ship, out],
        [cat, *options[0], ship, *options[1], *options[2], out, *options[3]],
        [cat, ship, out, *options[0], *options[1], *options[2], *options[3]],
        [cat, *options[3], *options[0], "--", ship, out],
    ]
    contents = set()
    for arguments in orders:
        assert run("--overwrite", *arguments) == 0
        contents.add(out.read_bytes())
        assert pq.read_table(out)["path"].to_pylist() == sorted(map(str, (cat, ship)))
    assert len(contents) == 1


def test_parts_of_the_preprocessing_are_options(tmp_path):
    """As in the program, and none is a value."""
    out = tmp_path / "out.parquet"
    cat = SAMPLES / "cat-tabby.jpg"
    options = ["--fit", "stretch", "--filter", "nearest", "--order", "bgr", "--scale", "2"]
    options += ["--mean", "60,50,40", "--std", "30", "--resize", "36x34", "--crop", "32x32"]
    assert run("-k", 1, *options, cat, out) == 0
    way = libresnet.Preprocess(
        resize=(36, 34),
        crop=(32, 32),
        order="BGR",
        scale=2,
        mean=(60, 50, 40),
        std=(30, 30, 30),
        fit="stretch",
        filter="nearest",
    )
    with libresnet.Model(preprocess=way) as model:
        best = model.classify(cat, k=1)[0]
    row = pq.read_table(out).to_pylist()[0]
    assert (row["index"], shortest(row["score"])) == (best.index, best.score)
    for parts in (["--fit", "stretch"], ["--fit", "stretch", "--crop", "32"], ["--order", "bgr"]):
        assert run("-k", 1, "--overwrite", "--preprocess", "imagenet-v2", *parts, cat, out) == 0
        command = ["classify", "-k", 1, "--preprocess", "imagenet-v2", *parts, cat]
        printed = resnet_json(*command)["results"][0]["predictions"][0]
        assert shortest(pq.read_table(out)["score"][0].as_py()) == shortest(printed["score"])
    assert run("--overwrite", "--resize", "none", "--crop", "none", cat, out) == 1
    for wrong in (["--fit", "squeeze"], ["--mean", "1,2"], ["--crop", "0"], ["--std", "x"]):
        with pytest.raises(SystemExit) as raised:
            run(*wrong, cat, out)
        assert raised.value.code == 2


def test_labels_and_scores_are_options(tmp_path):
    out, names = tmp_path / "out.parquet", tmp_path / "names.txt"
    names.write_text("".join(f"class {index}\n" for index in range(10)))
    cat = SAMPLES / "cat-tabby.jpg"
    assert run("--labels", names, cat, out) == 0
    assert pq.read_table(out)["label"].to_pylist() == ["class 3"]
    assert run(cat, out) == 1  # rows with other labels
    pooled = libresnet.Model().plan[-2].output
    done = python("-m", "libresnet.batch", "--scores", pooled, cat, tmp_path / "none.parquet")
    assert done.returncode == 1 and "--scores" in done.stderr and "Traceback" not in done.stderr


def test_durations_have_units_that_fit():
    assert [_progress.duration(seconds) for seconds in (0.4, 59, 61, 27351)] == [
        "0 s",
        "59 s",
        "1 min 01 s",
        "7 h 35 min",
    ]


def test_paths_have_one_spelling(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/away")
    for given, expected in (
        ("a//b/./c.jpg", "a/b/c.jpg"),
        ("./a.jpg", "a.jpg"),
        ("/a/../b.jpg", "/b.jpg"),
        ("far/../a.jpg", "a.jpg"),
        ("../a.jpg", "../a.jpg"),
        ("../../a/../b.jpg", "../../b.jpg"),
        ("link/../a.jpg", "link/../a.jpg"),
    ):
        assert _inputs.tidy(given) == expected


def test_inputs_are_folders_files_archives_and_lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "folder/a.jpg",
        "folder/deep/er/b.PNG",
        "folder/c.jpeg",
        "named.data",
        "listed.jpg",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SAMPLES / "cat-tabby.jpg", name)
    Path("folder/notes.txt").write_text("no image")
    for name in ("folder/._a.jpg", "folder/.thumbnails/a.jpg", "folder/__MACOSX/a.jpg"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("no image")
    with zipfile.ZipFile("some.zip", "w") as archive:
        archive.write("listed.jpg", "in/side.jpg")
        archive.writestr("in/readme.txt", "no image")
        archive.writestr("__MACOSX/in/._side.jpg", "no image")
        archive.writestr("./dot.jpg", Path("listed.jpg").read_bytes())
    Path("list.txt").write_text("listed.jpg\n\nfolder/a.jpg\nsome.zip/in/side.jpg\n")
    Path("windows.txt").write_bytes("listed.jpg\r\n\r\nfolder/a.jpg".encode("utf-8-sig"))
    inputs = [
        "folder",
        "named.data",
        "./folder/../folder/a.jpg",
        "some.zip",
        "@list.txt",
        "@windows.txt",
        "folder/",
    ]
    assert run(*inputs, "out.parquet") == 0
    rows = rows_of(Path("out.parquet"))
    assert [row["path"] for row in rows] == [
        "folder/a.jpg",
        "folder/c.jpeg",
        "folder/deep/er/b.PNG",
        "listed.jpg",
        "named.data",
        "some.zip/./dot.jpg",
        "some.zip/in/side.jpg",
    ]
    assert {row["label"] for row in rows} == {"cat"}


def test_a_broken_image_is_a_row_with_its_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = (SAMPLES / "cat-tabby.jpg").read_bytes()
    Path("good.jpg").write_bytes(good)
    Path("cut.jpg").write_bytes(good[:200])
    Path("empty.jpg").touch()
    Path("text.jpg").write_text("no image")
    os.mkfifo("pipe.jpg")
    Path("folder.jpg").mkdir()
    with zipfile.ZipFile("some.zip", "w") as archive:
        archive.writestr("damaged.jpg", good)
        archive.writestr("good.jpg", good)
    damaged = Path("some.zip").read_bytes().replace(good, b"\0" * len(good), 1)
    Path("some.zip").write_bytes(damaged)
    names = [
        "cut.jpg",
        "empty.jpg",
        "folder.jpg",
        "good.jpg",
        "missing.jpg",
        "pipe.jpg",
        "some.zip/damaged.jpg",
        "some.zip/good.jpg",
        "some.zip/missing.jpg",
        "text.jpg",
    ]
    Path("list.txt").write_text("\n".join(names))
    assert run("@list.txt", "out.parquet") == 0
    rows = {row["path"]: row for row in rows_of(Path("out.parquet"))}
    assert list(rows) == names
    for name, row in rows.items():
        assert (row["error"] is None) == name.endswith("good.jpg"), row
        assert (
            (row["label"] is None)
            == (row["score"] is None)
            == (row["labels"] is None)
            == bool(row["error"])
        )
    assert rows["missing.jpg"]["error"] == "No such file or directory"
    assert rows["pipe.jpg"]["error"] == "is not a regular file"
    assert "neither a JPEG nor a PNG" in rows["text.jpg"]["error"]
    assert "CRC" in rows["some.zip/damaged.jpg"]["error"]
    assert rows["good.jpg"]["score"] == rows["some.zip/good.jpg"]["score"]


def test_odd_archives(tmp_path, monkeypatch):
    """Names that a path would not keep, in a folder whose lower case is longer, and every
    way of packing, damaged."""
    monkeypatch.chdir(tmp_path)
    good = (SAMPLES / "cat-tabby.jpg").read_bytes()
    Path("\u0130").mkdir()
    with zipfile.ZipFile("\u0130/some.ZIP", "w") as archive:
        archive.writestr("./here.jpg", good)
        archive.writestr("a//b/../c.jpg", good)
        archive.writestr("other.zip/d.jpg", good)
    assert run("\u0130/some.ZIP", "out.parquet") == 0
    names = ["./here.jpg", "a//b/../c.jpg", "other.zip/d.jpg"]
    assert [(row["path"], row["label"]) for row in rows_of(Path("out.parquet"))] == [
        (f"\u0130/some.ZIP/{name}", "cat") for name in names
    ]
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile("damaged.zip", "w", kind) as archive:
            archive.writestr("a.jpg", good)
            size = archive.getinfo("a.jpg").compress_size
        content = bytearray(Path("damaged.zip").read_bytes())
        content[50 : 35 + size] = b"\xa5" * (size - 15)
        Path("damaged.zip").write_bytes(content)
        assert run("damaged.zip", SAMPLES, f"{kind}.parquet") == 0
        errors = [row["error"] for row in rows_of(Path(f"{kind}.parquet"))]
        assert len(errors) == 11 and [error for error in errors if error]


def test_ray_is_given_the_paths_that_are_read_without(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = ["some.zip/./a.jpg", "/else/where.jpg", os.fsdecode(b"caf\xe9.jpg")]
    work = batch.Task(None, 1, places, places, 1, 2)
    given = [place for block in batch.blocks(work, 1) for place in block["path"].to_pylist()]
    assert given == [
        os.fsencode(tmp_path) + b"/some.zip/./a.jpg",
        b"/else/where.jpg",
        os.fsencode(tmp_path) + b"/caf\xe9.jpg",
    ]


def test_errors_are_counted_and_no_answer_at_all_is_a_failure(tmp_path, capfd):
    (tmp_path / "text.jpg").write_text("no image")
    assert run(tmp_path / "text.jpg", SAMPLES, tmp_path / "some.parquet") == 0
    assert "1 of 11 images could not be classified: see the column error" in capfd.readouterr().err
    assert run(tmp_path / "text.jpg", tmp_path / "none.parquet") == 1
    assert len(rows_of(tmp_path / "none.parquet")) == 1


def test_names_that_are_no_utf8_are_escaped(tmp_path):
    strange = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    shutil.copy(SAMPLES / "cat-tabby.jpg", strange)
    shutil.copy(SAMPLES / "cat-tabby.jpg", tmp_path / "caf\u00e9.jpg")
    assert run(tmp_path, tmp_path / "out.parquet") == 0
    rows = rows_of(tmp_path / "out.parquet")
    assert [Path(row["path"]).name for row in rows] == ["caf\\xe9.jpg", "caf\u00e9.jpg"]
    assert [row["label"] for row in rows] == ["cat", "cat"]


def test_images_that_the_net_refuses_do_not_take_others_along(tmp_path):
    """Without a resize an image must have the net's size: one of a batch has not."""
    with zipfile.ZipFile(shared("data", "cifar10-jpeg-test.zip")) as archive:
        archive.extract("test/cat/0000.jpg", tmp_path)
    shutil.copy(SAMPLES / "cat-tabby.jpg", tmp_path)
    assert run("--preprocess", "none", tmp_path, tmp_path / "out.parquet") == 0
    large, small = rows_of(tmp_path / "out.parquet")
    assert small["error"] is None and "32 x 32" in large["error"]


# ---- the same bytes however they came ----


@pytest.mark.parametrize(
    "options", [["--threads", 1], ["--threads", 3, "--batch", 7], ["--batch", 1, "--part-rows", 50]]
)
def test_threads_batches_and_parts_change_no_byte(many, whole, tmp_path, options):
    assert run(*options, many, tmp_path / "out.parquet") == 0
    assert (tmp_path / "out.parquet").read_bytes() == whole
    assert os.listdir(tmp_path) == ["out.parquet"]


def test_a_run_that_is_killed_goes_on(many, whole, tmp_path, capsys):
    """SIGKILL at any time, again and again: nothing is lost, doubled or done twice
    when it was saved."""
    out = tmp_path / "out.parquet"
    chance = random.Random(7)
    kills = 0
    while not out.exists() and kills < 12:
        process = start("--threads", 1, "--batch", 8, "--part-rows", 60, "--quiet", many, out)
        deadline = time.monotonic() + 30
        saved = len(list(tmp_path.glob("*/part-*.parquet")))
        while (
            process.poll() is None
            and len(list(tmp_path.glob("*/part-*.parquet"))) <= saved
            and time.monotonic() < deadline
        ):
            time.sleep(0.002)
        time.sleep(chance.random() * 0.02)
        process.kill()
        process.communicate()
        kills += 1
    assert kills >= 3
    process = start("--part-rows", 60, many, out)
    said = process.communicate()[1]
    assert process.returncode == 0, said
    assert out.read_bytes() == whole
    assert os.listdir(tmp_path) == ["out.parquet"]
    measured(
        capsys, f"batch: killed {kills} times with SIGKILL, the same {len(whole)} bytes in the end"
    )


class Crash(BaseException):
    pass


def test_a_crash_before_any_step_on_the_disk_goes_on(many, tmp_path, monkeypatch):
    """As if the machine stopped before the n-th write to the disk that others can see,
    for every n."""
    images = sorted(many.rglob("*.jpg"))[:40]
    (tmp_path / "list.txt").write_text("\n".join(map(str, images)))
    arguments = ["--batch", 4, "--threads", 1, "--part-rows", 12, f"@{tmp_path / 'list.txt'}"]
    assert run(*arguments, tmp_path / "whole.parquet") == 0
    steps = [
        (os, "replace"),
        (os, "rename"),
        (os, "fsync"),
        (_parts.shutil, "rmtree"),
        (_parts.fcntl, "flock"),
    ]
    originals = [getattr(module, name) for module, name in steps]
    crashes, finished = 0, False
    while not finished:
        folder = tmp_path / f"crash-{crashes}"
        folder.mkdir()
        left = [crashes]
        with monkeypatch.context() as patch:
            for (module, name), original in zip(steps, originals):
                patch.setattr(module, name, counted(original, left))
            try:
                finished = run(*arguments, folder / "out.parquet") == 0
            except Crash:
                crashes += 1
        assert run(*arguments, folder / "out.parquet") == 0
        assert (folder / "out.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes(), (
            crashes
        )
        assert os.listdir(folder) == ["out.parquet"], crashes
    assert crashes > 15


def counted(function, left):
    def call(*arguments, **options):
        left[0] -= 1
        if left[0] < 0:
            raise Crash
        return function(*arguments, **options)

    return call


def save_and_crash(parts: _parts.Parts) -> None:
    """Instead of merging."""
    parts.save()
    raise Crash


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_so_and_keeps_what_it_has(many, whole, tmp_path, number, status):
    out = tmp_path / "out.parquet"
    process = start("--threads", 1, "--batch", 4, "--part-rows", 40, many, out)
    wait_for_part(process, tmp_path)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == status, said
    assert said == f"batch: interrupted: run it again to continue from {out}.parts\n"
    assert not out.exists()
    process = start(many, out)
    said = process.communicate(timeout=60)[1]
    done = int(said.split(", ")[1].split()[0])
    assert process.returncode == 0 and 0 < done < 600, said
    assert out.read_bytes() == whole


def test_an_interrupted_run_promises_nothing_that_is_not_there(tmp_path, monkeypatch, capfd):
    def interrupted(inputs):
        raise batch.Interrupted(signal.SIGINT)

    monkeypatch.setattr(batch, "images", interrupted)
    assert run(SAMPLES, tmp_path / "out.parquet") == 130
    assert capfd.readouterr().err == "batch: interrupted: nothing was finished yet\n"


def test_merging_keeps_each_path_once_and_answers_rather_than_errors(tmp_path, monkeypatch):
    monkeypatch.setattr(_parts, "ROW_GROUP", 100)
    schema = pa.schema([("path", pa.string()), ("value", pa.int64()), ("error", pa.string())])
    chance = random.Random(3)
    names = [f"{i:05d}" for i in range(3000)]
    expected = {}
    sources = []
    for number in range(40):
        rows = [
            {"path": name, "value": int(name), "error": None}
            for name in chance.sample(names, chance.randint(1, 400))
        ]
        for row in rows:
            if chance.random() < 0.3:
                row["value"], row["error"] = None, f"broken in {number}"
            if expected.get(row["path"], (None,))[0] is None:
                expected[row["path"]] = (row["value"], row["error"])
        table = pa.Table.from_pylist(rows, schema).sort_by("path")
        sources.append(tmp_path / f"{number}.parquet")
        _parts.write_rows(sources[-1], schema, [table])
    _parts.write_rows(tmp_path / "all.parquet", schema, _parts.merged(sources, schema))
    table = pq.read_table(tmp_path / "all.parquet")
    assert {row["path"]: (row["value"], row["error"]) for row in table.to_pylist()} == expected
    assert table["path"].to_pylist() == sorted(expected)
    groups = pq.ParquetFile(tmp_path / "all.parquet").metadata
    assert {groups.row_group(i).num_rows for i in range(groups.num_row_groups - 1)} == {100}


# ---- rows that are there ----


def test_a_complete_output_is_left_alone_and_grows_with_its_inputs(many, whole, tmp_path):
    out = tmp_path / "out.parquet"
    images = sorted(many.rglob("*.jpg"))
    (tmp_path / "list.txt").write_text("\n".join(map(str, images[:500])))
    assert run(f"@{tmp_path / 'list.txt'}", out) == 0
    before = out.stat()
    done = python("-m", "libresnet.batch", f"@{tmp_path / 'list.txt'}", out)
    assert (done.returncode, done.stderr) == (
        0,
        f"batch: {out} is complete: it has all 500 images\n",
    )
    assert (out.stat().st_ino, out.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not Path(f"{out}.parts").exists()
    done = python("-m", "libresnet.batch", many, out)
    assert done.returncode == 0 and ": 600 images, 100 of them in this run" in done.stderr
    assert out.read_bytes() == whole
    assert run(images[0], out) == 0  # fewer inputs: the rows of the others stay
    assert out.read_bytes() == whole


def test_rows_of_another_model_or_options_are_refused(many, tmp_path, capfd):
    out = tmp_path / "out.parquet"
    assert run(SAMPLES, out) == 0
    content = out.read_bytes()
    assert run("-k", 3, SAMPLES, out) == 1
    assert (
        "its rows were made by another model or with other options: k 5 (now 3)"
        in capfd.readouterr().err
    )
    assert run("-m", ROOT / "models" / "cifar10-plain20.onnx", SAMPLES, out) == 1
    assert "model_sha256" in capfd.readouterr().err
    assert out.read_bytes() == content and os.listdir(tmp_path) == ["out.parquet"]
    assert run("--overwrite", "-k", 3, SAMPLES, out) == 0
    assert len(rows_of(out)[0]["labels"]) == 3


def test_overwriting_goes_on_too_and_keeps_the_old_file_till_then(many, whole, tmp_path):
    out = tmp_path / "out.parquet"
    assert run("-k", 2, SAMPLES, out) == 0
    old = out.read_bytes()
    process = start("--overwrite", "--threads", 1, "--batch", 4, "--part-rows", 40, many, out)
    wait_for_part(process, tmp_path)
    process.kill()
    process.communicate()
    assert out.read_bytes() == old
    assert run("-k", 2, SAMPLES, out) == 1  # not what is under way
    done = python("-m", "libresnet.batch", many, out)
    assert done.returncode == 0 and ", 600 of them" not in done.stderr, done.stderr
    assert out.read_bytes() == whole


def test_parts_go_on_beyond_a_million(tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(_parts.Parts, "merge", save_and_crash)
        run(SAMPLES / "cat-tabby.jpg", tmp_path / "out.parquet")
    (part,) = tmp_path.glob("*.parts/part-*")
    part.rename(part.with_name("part-999999.parquet"))
    assert run("--batch", 1, "--part-rows", 1, SAMPLES, tmp_path / "out.parquet") == 0
    assert len(rows_of(tmp_path / "out.parquet")) == 10


def test_merging_needs_no_cluster(tmp_path, monkeypatch):
    """All images were finished when the run was killed: what is left is done here."""
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(_parts.Parts, "merge", save_and_crash)
        run(SAMPLES, tmp_path / "out.parquet")
    assert run("--ray", "127.0.0.1:1", SAMPLES, tmp_path / "out.parquet") == 0
    assert len(rows_of(tmp_path / "out.parquet")) == 10


def test_overwriting_that_crashes_leaves_no_rows_of_others(tmp_path, monkeypatch):
    """Before any file of a run with other options is removed, or after some are: the next
    run must not take their rows."""
    options = ["--batch", 2, "--threads", 1, "--part-rows", 2]
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(_parts.Parts, "merge", save_and_crash)
        run(*options, "-k", 2, SAMPLES, tmp_path / "out.parquet")
    files = len(list((tmp_path / "out.parquet.parts").glob("*[nt]")))
    assert files > 3
    for removed in range(files):
        folder = tmp_path / f"crash-{removed}"
        shutil.copytree(tmp_path / "out.parquet.parts", folder / "out.parquet.parts")
        with monkeypatch.context() as patch, pytest.raises(Crash):
            patch.setattr(os, "unlink", counted(os.unlink, [removed]))
            run(*options, "--overwrite", "-k", 3, SAMPLES, folder / "out.parquet")
        if run(*options, "-k", 3, SAMPLES, folder / "out.parquet") == 0:
            assert {len(row["labels"]) for row in rows_of(folder / "out.parquet")} == {3}


def test_errors_are_tried_again_when_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text("late.jpg\nnever.jpg\n" + str(SAMPLES / "cat-tabby.jpg"))
    assert run("@list.txt", "out.parquet") == 0
    shutil.copy(SAMPLES / "cat-tabby.jpg", "late.jpg")
    assert run("@list.txt", "out.parquet") == 0
    assert [row["error"] is None for row in rows_of(Path("out.parquet"))] == [True, False, False]
    assert run("--retry-errors", "@list.txt", "out.parquet") == 0
    assert [(row["label"], row["error"]) for row in rows_of(Path("out.parquet"))] == [
        ("cat", None),
        ("cat", None),
        (None, "No such file or directory"),
    ]
    Path("never.jpg").write_text("no image")  # the reason is that of the last time
    assert run("--retry-errors", "@list.txt", "out.parquet") == 1
    assert "neither a JPEG nor a PNG" in rows_of(Path("out.parquet"))[2]["error"]
    Path("never.jpg").unlink()
    assert run("--retry-errors", "@list.txt", "out.parquet") == 1
    assert rows_of(Path("out.parquet"))[2]["error"] == "No such file or directory"


def test_a_file_that_is_no_output_of_this_command_is_not_replaced(tmp_path, capfd):
    out = tmp_path / "out.parquet"
    out.write_text("dear diary")
    assert run(SAMPLES, out) == 1
    assert "--overwrite to replace it" in capfd.readouterr().err
    assert out.read_text() == "dear diary"
    pq.write_table(pa.table({"path": ["x"]}), out)
    assert run(SAMPLES, out) == 1
    assert "model_sha256 unknown" in capfd.readouterr().err


def test_one_run_at_a_time(many, tmp_path, capfd):
    out = tmp_path / "out.parquet"
    process = start("--threads", 1, "--batch", 1, "--part-rows", 20, many, out)
    wait_for_part(process, tmp_path)
    process.send_signal(signal.SIGSTOP)
    try:
        assert run(many, out) == 1
        assert "another run is writing there" in capfd.readouterr().err
    finally:
        process.send_signal(signal.SIGCONT)
    assert process.communicate()[1].endswith("images/s)\n")
    assert Counter(row["error"] for row in rows_of(out)) == {None: 600}


def test_rays_nodes_get_entries_by_their_own_names(monkeypatch, tmp_path, model):
    monkeypatch.chdir(tmp_path)
    names = ["some.zip/./dot.jpg", "photos/a.jpg", "/photos/b.jpg"]
    (block,) = batch.blocks(batch.Task(model, 1, names, names, 1, 32), 1)
    assert block["path"].to_pylist() == [
        os.fsencode(os.path.join(tmp_path, name)) for name in names
    ]


# ---- the command ----


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["a.jpg", "b.jpg"], "must end in .parquet"),
        (["a.jpg"], "required"),
        (["-k", "0", "a.jpg", "out.parquet"], "invalid"),
        (["--sideways", "a.jpg", "out.parquet"], "unrecognized arguments"),
        (["a.jpg", "out.parquet", "--preprocess", "upside-down"], "upside-down"),
    ],
)
def test_wrong_usage_is_2(arguments, said, tmp_path):
    done = python("-m", "libresnet.batch", *arguments)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["missing.jpg", "out.parquet"], "missing.jpg: No such file or directory"),
        (["@missing.txt", "out.parquet"], "@missing.txt: No such file or directory"),
        (["empty", "out.parquet"], "no .jpg, .jpeg or .png among the inputs"),
        (["bad.zip", "out.parquet"], "bad.zip: File is not a zip file"),
        ([SAMPLES, "missing/out.parquet"], "missing/out.parquet: its folder does not exist"),
        (["-m", "missing.onnx", SAMPLES, "out.parquet"], "missing.onnx"),
    ],
)
def test_failing_on_its_input_is_1_with_one_line(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("bad.zip").write_text("no archive")
    done = python("-m", "libresnet.batch", *arguments)
    assert done.returncode == 1 and said in done.stderr, done.stderr
    assert done.stderr.startswith("batch: ") and len(done.stderr.splitlines()) == 1, done.stderr


def test_a_guess_is_reported_in_one_line(tmp_path, small_net):
    done = python("-m", "libresnet.batch", "-m", small_net, SAMPLES, tmp_path / "out.parquet")
    assert done.returncode == 0, done.stderr
    doubts, summary = done.stderr.splitlines()
    assert "is guessed" in doubts and "--preprocess" in doubts
    done = python(
        "-m",
        "libresnet.batch",
        "-q",
        "-m",
        small_net,
        "--preprocess",
        "cifar10",
        SAMPLES,
        tmp_path / "named.parquet",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_progress_on_a_terminal_with_rate_and_time_left(many, tmp_path):
    master, slave = pty.openpty()
    process = start("--threads", 1, "--batch", 2, many, tmp_path / "out.parquet", stderr=slave)
    os.close(slave)
    said = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        said += piece
    os.close(master)
    assert process.wait() == 0
    assert b"/600 images, " in said and b" s left" in said and b"[###" in said


def test_without_pyarrow_it_says_what_to_install():
    program = "import sys; sys.modules['pyarrow'] = None; import libresnet.batch"
    done = python("-c", program)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "ImportError: libresnet.batch needs pyarrow: pip install 'libresnet[batch]'\n"
    )
    program = (
        "import runpy, sys; sys.modules['pyarrow'] = None; "
        "runpy.run_module('libresnet.batch', run_name='__main__')"
    )
    done = python("-c", program)
    assert (done.returncode, done.stderr) == (
        1,
        "batch: libresnet.batch needs pyarrow: pip install 'libresnet[batch]'\n",
    )
