"""The resnet program: its options, help, manual and completion."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from conftest import ROOT, complaint, resnet, resnet_json, run

COMMANDS = ["classify", "embed", "eval", "inspect", "bench", "compile", "compare"]

# ---- usage


def test_help_and_version():
    top = resnet("--help")
    assert top.returncode == 0 and not top.stderr
    for command in COMMANDS:
        assert f"\n  {command} " in top.stdout.decode()
        result = resnet(command, "--help")
        text = result.stdout.decode()
        assert result.returncode == 0 and not result.stderr
        assert f"Usage: resnet {command}" in text and f"Example:\n  resnet {command} " in text
    assert re.fullmatch(rb"resnet \d+\.\d+\.\d+\n", resnet("--version").stdout)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "a command is missing; see resnet --help"),
        (["paint"], "unknown command 'paint'; see resnet --help"),
        (["classify"], "no image is named; see resnet classify --help"),
        (["classify", "--frob", "x"], "unknown option '--frob'; see resnet classify --help"),
        (["classify", "-Z", "x"], "unknown option '-Z'; see resnet classify --help"),
        (["classify", "-k"], "a value is missing after '-k'; see resnet classify --help"),
        (
            ["classify", "-k", "0", "x"],
            "--top '0': 1 to 100000 is accepted; see resnet classify --help",
        ),
        (
            ["classify", "-k", "3x", "x"],
            "--top '3x': 1 to 100000 is accepted; see resnet classify --help",
        ),
        (
            ["classify", "--threads", "-1", "x"],
            "--threads '-1': 0 to 256 is accepted; see resnet classify --help",
        ),
        (
            ["classify", "--crop", "0", "x"],
            "--crop '0': none or 1 to 65535 is accepted, or two such numbers with an x between "
            "them, height first; see resnet classify --help",
        ),
        (
            ["classify", "--resize", "", "x"],
            "--resize '': none or 1 to 65535 is accepted, or two such numbers with an x between "
            "them, height first; see resnet classify --help",
        ),
        (["-k", "3", "classify"], "'-k': the command comes before its options; see resnet --help"),
        (
            ["classify", "--threads", "257", "x"],
            "--threads '257': 0 to 256 is accepted; see resnet classify --help",
        ),
        (
            ["classify", "--depth16", "9:3", "x"],
            "--depth16 '9:3': clip, scale, auto or LOW:HIGH is accepted, e.g. 0:4095; see resnet "
            "classify --help",
        ),
        (
            ["classify", "-", "x", "/dev/stdin"],
            "standard input can be read once, but is named twice; see resnet classify --help",
        ),
        (
            ["classify", "-m", "-", "-"],
            "standard input can be read once, but is named twice; see resnet classify --help",
        ),
        (
            ["compare", "-", "--data", "x"],
            "compare reads its models several times: name files, not standard input; see resnet "
            "compare --help",
        ),
        (
            ["compile", "-o", "-"],
            "--output cannot be standard output: name a file, e.g. ./-; see resnet compile --help",
        ),
        (
            ["classify", "x.png", "--cam", "/dev/stdout"],
            "--cam cannot be standard output: name a file, e.g. ./-; see resnet classify --help",
        ),
        (
            ["embed", "x.png", "--json", "-o", "-"],
            "--json and the rows cannot both go to standard output; see resnet embed --help",
        ),
        (
            ["classify", "--mean", "0x10", "x"],
            "--mean '0x10': one number is accepted, or three with commas, e.g. 0.485,0.456,0.406; "
            "see resnet classify --help",
        ),
        (
            ["classify", "--scale", "0x1p8", "x"],
            "--scale '0x1p8': one number above 0 is accepted, or three with commas; see resnet "
            "classify --help",
        ),
        (["embed", "x.png"], "--output is missing; see resnet embed --help"),
        (
            ["classify", "--fit", "pad", "x"],
            "--fit 'pad': crop|stretch is accepted; see resnet classify --help",
        ),
        (
            ["classify", "--mean", "1,2", "x"],
            "--mean '1,2': one number is accepted, or three with commas, e.g. 0.485,0.456,0.406; "
            "see resnet classify --help",
        ),
        (
            ["classify", "--std", "1,2,0", "x"],
            "--std '1,2,0': one number above 0 is accepted, or three with commas; see resnet "
            "classify --help",
        ),
        (
            ["classify", "--scale", "nan", "x"],
            "--scale 'nan': one number above 0 is accepted, or three with commas; see resnet "
            "classify --help",
        ),
        (
            ["classify", "--raw", "--cam", "x.png", "y.png"],
            "--raw and --cam exclude each other; see resnet classify --help",
        ),
        (["inspect", "--runs", "3"], "unknown option '--runs'; see resnet inspect --help"),
        (["inspect", "--json=yes"], "unknown option '--json=yes'; see resnet inspect --help"),
        (["eval", "model.onnx"], "--data is missing; see resnet eval --help"),
        (["compare", "--data", "x"], "no model is named; see resnet compare --help"),
        (["compare", "a", "b"], "--data is missing; see resnet compare --help"),
        (["compare", "-m", "a", "--data", "x"], "unknown option '-m'; see resnet compare --help"),
        (
            ["compare", "a", "--data", "x", "--lesions", "all"],
            "--lesions 'all': 0 to 999999999 is accepted; see resnet compare --help",
        ),
        (["compile", "model.onnx"], "--output is missing; see resnet compile --help"),
        (["compile", "-o"], "a value is missing after '-o'; see resnet compile --help"),
        (
            ["compile", "-o", "x", "--threads", "1"],
            "unknown option '--threads'; see resnet compile --help",
        ),
        (["compile", "-o", "x", "a", "b"], "unexpected argument 'b'; see resnet compile --help"),
        (["bench", "a", "b"], "unexpected argument 'b'; see resnet bench --help"),
        (["bench", "-m", "a", "b"], "unexpected argument 'b'; see resnet bench --help"),
        (
            ["classify", "--threads", "99999999999999999999", "x"],
            "--threads '99999999999999999999': 0 to 256 is accepted; see resnet classify --help",
        ),
    ],
)
def test_wrong_usage(arguments, message):
    result = resnet(*arguments)
    assert result.returncode == 2
    assert result.stderr.decode() == f"resnet: {message}\n"
    assert not result.stdout


def options_of(command: str) -> set[str]:
    return set(
        re.findall(
            r"--[a-z0-9-]+",
            resnet(command, "--help").stdout.decode().split("Options:")[1].split("Example:")[0],
        )
    )


def test_conv_chooses_the_kernels():
    def kernels(*options: str) -> set[str]:
        return {
            op["kernel"] for op in json.loads(resnet("inspect", "--json", *options).stdout)["ops"]
        }

    assert {"conv", "winograd"} <= kernels()
    assert "winograd" not in kernels("--conv", "direct")
    assert not kernels("--conv", "xnnpack") & {"winograd", "winograd_stride2", "gemm"}
    wrong = resnet("inspect", "--conv", "wino")
    assert wrong.returncode == 2
    assert (
        "--conv 'wino': auto|direct|winograd|xnnpack is accepted; see resnet inspect --help"
        in wrong.stderr.decode()
    )


def test_small_memory_takes_less_for_the_weights():
    normal, direct, small = (
        resnet_json("inspect", *o) for o in ([], ["--conv", "direct"], ["--memory", "small"])
    )
    assert "winograd" in {op["kernel"] for op in normal["ops"]} and "winograd" not in {
        op["kernel"] for op in small["ops"]
    }
    assert small["weights_bytes"] == direct["weights_bytes"] < normal["weights_bytes"]
    forced = resnet_json("inspect", "--memory", "small", "--conv", "winograd")
    assert forced["weights_bytes"] == small["weights_bytes"]
    wrong = resnet("bench", "--memory", "tiny")
    assert wrong.returncode == 2
    assert (
        wrong.stderr
        == b"resnet: --memory 'tiny': normal|small is accepted; see resnet bench --help\n"
    )


def test_small_memory_labels_alike(images):
    files = sorted(images.glob("*/*"))[:8]
    normal, small = (
        resnet_json("classify", *o, *files)["results"] for o in ([], ["--memory", "small"])
    )
    for one, other in zip(normal, small):
        assert [p["index"] for p in one["predictions"]] == [
            p["index"] for p in other["predictions"]
        ]
        for a, b in zip(one["predictions"], other["predictions"]):
            assert math.isclose(a["score"], b["score"], abs_tol=1e-4)


@pytest.fixture
def beside(tmp_path) -> Path:
    """Return a model whose weights are in a file beside it."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    path = tmp_path / "beside.onnx"
    model = onnx.load(ROOT / "tests/models/resnet8_option_a.onnx")
    onnx.save(model, path, save_as_external_data=True, location="beside.data", size_threshold=0)
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_external_data_is_read_when_it_is_switched_on(command, beside, image, tmp_path):
    plan = tmp_path / "out.resnet"
    arguments = {
        "classify": ["-m", beside, image],
        "embed": ["-m", beside, image, "-o", tmp_path / "x.npy"],
        "eval": [beside, "--data", image.parent.parent],
        "compare": [beside, "--data", image.parent.parent, "--lesions", 0],
        "bench": [beside, "--runs", 1],
        "compile": [beside, "-o", plan],
    }.get(command, [beside])
    message = complaint(resnet(command, *arguments, "--quiet"))
    assert message.startswith(f"resnet: {beside}: tensor '") and "file 'beside.data': " in message
    assert "--external-data" in message and not plan.exists()
    assert resnet(command, *arguments, "--external-data", "--quiet").returncode == 0
    if command == "compile":
        beside.with_suffix(".data").unlink()
        assert resnet("inspect", plan).returncode == 0  # the plan holds the weights


def test_external_data_changes_no_answer(beside, image):
    inside = resnet_json("classify", "-m", ROOT / "tests/models/resnet8_option_a.onnx", image)
    outside = resnet_json("classify", "-m", beside, "--external-data", image)
    assert inside["results"] == outside["results"]


def test_external_data_stays_in_the_models_folder(beside, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    beside.with_suffix(".data").rename(elsewhere / "beside.data")
    beside.with_suffix(".data").symlink_to("elsewhere/beside.data")
    assert "file 'beside.data': is a symbolic link" in complaint(
        resnet("inspect", beside, "--external-data")
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_completion_and_manual_know_every_option(command):
    manual = (ROOT / "bindings/cli/resnet.1").read_text()
    for option in options_of(command):
        assert (
            f"Fl -{option.removeprefix('--')}" in manual
            or f", -{option.removeprefix('--')}" in manual
        ), option
    script = (
        f"source {ROOT}/bindings/cli/resnet.bash; COMP_WORDS=(resnet {command} --); "
        "COMP_CWORD=2; _resnet; echo ${COMPREPLY[@]}"
    )
    assert set(run("bash", "-c", script).stdout.decode().split()) == options_of(command)


def test_completion_of_commands_and_presets():
    script = (
        f"source {ROOT}/bindings/cli/resnet.bash; COMP_WORDS=(resnet $1 $2 $3); "
        "COMP_CWORD=$4; _resnet; echo ${COMPREPLY[@]}"
    )
    assert run("bash", "-c", script, "", "b", "", "", "1").stdout == b"bench\n"
    assert (
        run("bash", "-c", script, "", "eval", "--preprocess", "ke", "3").stdout
        == b"keras-caffe keras-tf keras-stretch\n"
    )
