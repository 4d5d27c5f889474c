"""resnet compile: plan files, their use, and failures to write one."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROGRAM, ROOT, SHA256_DUMP, complaint, resnet, resnet_json, run


@pytest.fixture(scope="module")
def compiled(tmp_path_factory, labels) -> Path:
    """Return the built-in model as a plan file."""
    path = tmp_path_factory.mktemp("compiled") / "builtin.resnet"
    assert resnet("compile", "-o", path).returncode == 0
    return path


def test_compile_json(tmp_path):
    path = tmp_path / "out.resnet"
    document = resnet_json("compile", "--output", path)
    assert list(tmp_path.iterdir()) == [path]
    assert document["file"] == "built-in model" and document["output"] == str(path)
    assert document["bytes"] == path.stat().st_size > document["weights_bytes"] > 0
    assert document["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert document["load_ms"] > 0 and document["save_ms"] > 0 and document["notice"] is None


def test_compile_text(tmp_path):
    path = tmp_path / "out.resnet"
    result = resnet("compile", "-o", path)
    text = result.stdout.decode()
    assert (
        result.returncode == 0
        and not result.stderr
        and text.startswith("model       built-in model: ")
    )
    assert re.search(
        rf"^written     {re.escape(str(path))}: [\d.]+ [KM]iB, "
        r"of which [\d.]+ [KM]iB are packed weights$",
        text,
        re.M,
    )
    assert f"\nsha256      {hashlib.sha256(path.read_bytes()).hexdigest()}\n" in text
    assert resnet("compile", "-q", "-o", path).stdout.startswith(b"written     ")


def test_compiled_model_works_everywhere(images, compiled):
    files = sorted(images.glob("*/*"))
    ours, theirs = (resnet_json("classify", *o, *files) for o in (["-m", compiled], []))
    assert (
        ours["results"] == theirs["results"]
        and ours["preprocess"]["mean"] == theirs["preprocess"]["mean"]
    )
    assert (
        resnet_json("eval", compiled, "--data", images)["top1"]
        == resnet_json("eval", "--data", images)["top1"]
    )
    ours, theirs = resnet_json("inspect", compiled), resnet_json("inspect")
    assert {k: v for k, v in ours.items() if k != "model"} == {
        k: v for k, v in theirs.items() if k != "model"
    }
    assert resnet_json("bench", compiled, "--runs", 3)["latency_ms"]["min"] > 0
    for arguments in (
        ["classify", "-m", compiled, files[0]],
        ["inspect", compiled],
        ["bench", compiled, "--runs", 1],
    ):
        assert not resnet(*arguments).stderr


def test_compiled_model_compiles_to_itself(compiled, tmp_path):
    again = resnet_json("compile", compiled, "-o", tmp_path / "again.resnet")
    assert again["sha256"] == hashlib.sha256(compiled.read_bytes()).hexdigest()


def test_compile_writes_the_preprocessing(tmp_path):
    path = tmp_path / "out.resnet"
    resnet_json("compile", "-o", path, "--preprocess", "imagenet", "--resize", 40, "--crop", 32)
    way = resnet_json("inspect", path)["preprocess"]
    assert (way["source"], way["resize"], way["crop"], way["mean"]) == (
        "model",
        40,
        32,
        [0.485, 0.456, 0.406],
    )


@pytest.mark.parametrize("options", [["--memory", "small"], ["--conv", "direct"]])
def test_notice_where_a_plan_file_does_not_fit(options, tmp_path, images):
    path, image = tmp_path / "out.resnet", sorted(images.glob("*/*"))[0]
    assert resnet("compile", "-o", path).returncode == 0
    assert resnet_json("inspect", path)["notice"] is None
    for arguments in (
        ["classify", *options, "-m", path, image],
        ["eval", *options, path, "--data", images],
        ["inspect", *options, path],
        ["bench", *options, path, "--runs", 1],
        ["compile", *options, path, "-o", tmp_path / "other.resnet"],
    ):
        result = resnet(*arguments)
        lines = result.stderr.decode().splitlines()
        assert (
            result.returncode == 0 and len(lines) == 1 and lines[0].startswith(f"resnet: {path}: ")
        ), lines
        assert resnet_json(*arguments)["notice"] in lines[0]
        assert not resnet(*arguments, "--quiet").stderr


@pytest.mark.parametrize(
    "options", [["--memory", "small"], ["--conv", "direct"], ["--conv", "xnnpack"]]
)
def test_plan_file_keeps_the_options_it_was_made_with(options, tmp_path):
    path, again = tmp_path / "out.resnet", tmp_path / "again.resnet"
    assert resnet("compile", *options, "-o", path).returncode == 0
    made = resnet_json("inspect", path)
    assert made["notice"] is None
    assert made["ops"] == resnet_json("inspect", *options)["ops"] != resnet_json("inspect")["ops"]
    assert resnet("compile", path, "-o", again).returncode == 0
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_compiled_model_opens_faster(middling, tmp_path):
    path = tmp_path / "out.resnet"
    resnet_json("compile", middling, "-o", path)
    times = {
        f: min(resnet_json("bench", "--runs", 1, f)["load_ms"] for _ in range(3))
        for f in (middling, path)
    }
    assert times[path] < times[middling] / 2, times


def spoilt_models(folder: Path, plan: bytes) -> dict[str, Path]:
    """Return models that cannot be opened, by their defect."""
    net = (ROOT / "models/cifar10-resnet20.onnx").read_bytes()
    middle = len(plan) // 2
    contents = {
        "empty": b"",
        "garbage": b"no model at all" * 99,
        "cut": net[: len(net) // 2],
        "cut gzip": gzip.compress(net)[:1000],
        "cut plan": plan[:middle],
        "long plan": plan + bytes(64),
        "front of a plan": plan[:100],
        "damaged plan": plan[:middle] + bytes([plan[middle] ^ 0xFF]) + plan[middle + 1 :],
        "damaged front": plan[:60] + bytes([plan[60] ^ 0xFF]) + plan[61:],
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    return {name: folder / name for name in [*contents, "folder", "fifo", "missing"]}


def test_compile_of_what_is_no_model(tmp_path, compiled):
    inputs, outputs = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    outputs.mkdir()
    for what, path in spoilt_models(inputs, compiled.read_bytes()).items():
        message = complaint(resnet("compile", path, "-o", outputs / "x.resnet"))
        assert message.startswith(f"resnet: {path}: "), (what, message)
        assert list(outputs.iterdir()) == [], what
    old = outputs / "old.resnet"
    old.write_bytes(b"old")
    complaint(resnet("compile", inputs / "cut", "-o", old))
    assert list(outputs.iterdir()) == [old] and old.read_bytes() == b"old"


def test_compile_never_replaces_its_model(compiled, tmp_path):
    model = tmp_path / "model.resnet"
    model.write_bytes(compiled.read_bytes())
    (tmp_path / "link").symlink_to(model)
    os.link(model, tmp_path / "name")
    for output in (model, tmp_path / "link", tmp_path / "name", f"{tmp_path}/./model.resnet"):
        message = complaint(resnet("compile", model, "-o", output))
        assert message == f"resnet: {output}: is the model itself; name another file to write"
    assert model.read_bytes() == compiled.read_bytes() and len(list(tmp_path.iterdir())) == 3


def test_compile_where_nothing_can_be_written(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for output in (tmp_path, tmp_path / "fifo", Path("/dev/null")):
        assert "exists and is not a regular file" in complaint(resnet("compile", "-o", output))
    assert Path("/dev/null").is_char_device()
    for output in (tmp_path / "none" / "x.resnet", tmp_path / "fifo" / "x.resnet", ""):
        assert complaint(resnet("compile", "-o", output))
    assert [p.name for p in tmp_path.iterdir()] == ["fifo"]


def test_compile_on_a_full_disk(tmp_path):
    """A limit on the size of files fails as a full disk does."""
    old = tmp_path / "x.resnet"
    old.write_bytes(b"old")
    result = run("sh", "-c", 'ulimit -f 200; exec "$0" compile -o "$1"', PROGRAM, old)
    assert complaint(result).startswith(f"resnet: {old}: ")
    assert list(tmp_path.iterdir()) == [old] and old.read_bytes() == b"old"


def test_compile_replaces_at_once(compiled, tmp_path):
    path = tmp_path / "x.resnet"
    path.write_bytes(b"old")
    with open(path, "rb") as before:
        assert resnet("compile", "-o", path).returncode == 0
        assert before.read() == b"old"
    assert path.read_bytes() == compiled.read_bytes() and list(tmp_path.iterdir()) == [path]


def interrupt(model: Path, output: Path, signal_number: int) -> int:
    """Compile, send the signal once a temporary file is beside the output, and return the
    exit status."""
    before = set(os.listdir(output.parent))
    with subprocess.Popen(
        [PROGRAM, "compile", model, "-o", output, "-q"],
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal_number, signal.SIG_DFL),
    ) as process:
        while process.poll() is None and set(os.listdir(output.parent)) == before:
            pass
        process.send_signal(signal_number)
        return process.wait(timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_compile_leaves_no_half_written_file(middling, tmp_path, number):
    whole = tmp_path / "whole.resnet"
    resnet_json("compile", middling, "-o", whole)
    folder = tmp_path / "folder"
    folder.mkdir()
    output = folder / "x.resnet"
    codes = []
    for old in (b"old", None, b"old", None, b"old"):
        if old:
            output.write_bytes(old)
        codes.append(interrupt(middling, output, number))
        assert list(folder.iterdir()) == [output] and output.read_bytes() in (
            old,
            whole.read_bytes(),
        )
        output.unlink()
    assert set(codes) <= {0, -number} and -number in codes


def test_sha256():
    """Compare with hashlib, and with the examples that NIST gives for FIPS 180-4."""
    data = bytes(i * 7 % 251 for i in range(300))
    hashes = run(SHA256_DUMP, input=data).stdout.decode().split()
    assert hashes == [hashlib.sha256(data[:n]).hexdigest() for n in range(len(data) + 1)]
    abc, two = b"abc", b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
    assert (
        run(SHA256_DUMP, input=abc).stdout.split()[-1]
        == b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert (
        run(SHA256_DUMP, input=two).stdout.split()[-1]
        == b"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    )


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
