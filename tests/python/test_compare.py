"""libresnet.compare: it returns what `resnet compare --json` prints, raises what the
program refuses, and ends with its caller."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import labelled
import pytest
from conftest import BUILD, RESNET20, ROOT, resnet_json

import libresnet

pytestmark = pytest.mark.slow

PLAIN20 = ROOT / "models" / "cifar10-plain20.onnx"
TIMES = {
    "seconds",
    "images_per_second",
    "threads",
    "latency_ms",
    "load_ms",
    "peak_rss_bytes",
    "cost_runs",
}
TIMES |= {"shortcut_ms", "shortcut_ms_ci999", "unfused_ms", "date", "total_seconds", "command"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return labelled.make(tmp_path_factory.mktemp("compare") / "data")


@pytest.fixture(scope="module")
def compared(data):
    return libresnet.compare([PLAIN20, RESNET20], data, ablation_images=20)


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if key not in TIMES}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


# ---- the document ----


def test_is_what_the_program_prints(compared, data):
    printed = resnet_json("compare", PLAIN20, RESNET20, "--data", data, "--lesions", 20)
    assert without_times(dict(compared)) == without_times(printed)
    assert isinstance(compared, dict) and list(compared) == list(printed)
    assert json.loads(json.dumps(compared)) == compared


def test_pickles(compared):
    again = pickle.loads(pickle.dumps(compared))
    assert again == compared and type(again) is libresnet.Comparison


def test_models_and_paths(compared, data):
    with libresnet.Model(PLAIN20) as plain, libresnet.Model(RESNET20) as residual:
        again = libresnet.compare(
            [plain, residual], str(data), ablation_images=20, threads=1, batch=2
        )
        alone = libresnet.compare(residual, data, ablation_images=0)
    assert without_times(again) == without_times(compared)
    assert len(alone["models"]) == 1 and alone["pairs"] == []
    with pytest.raises(libresnet.ArgumentError, match="from bytes"):
        libresnet.compare(libresnet.Model.from_bytes(RESNET20.read_bytes()), data)


def test_options_reach_the_program(data):
    plain = libresnet.compare(RESNET20, data, ablation_images=0)["models"][0]
    assert plain["preprocess"]["source"] == "model"
    options = {"conv": "direct", "preprocess": "cifar10", "input_size": 32}
    direct = libresnet.compare(RESNET20, data, ablation_images=0, **options)["models"][0]
    assert direct["preprocess"]["source"] == "options" and direct["model"]["input_height"] == 32
    assert direct["weights_bytes"] < plain["weights_bytes"]


def test_names_that_look_like_options(data, tmp_path, monkeypatch):
    shutil.copy(RESNET20, tmp_path / "--quiet")
    monkeypatch.chdir(tmp_path)
    assert (
        libresnet.compare("--quiet", data, ablation_images=0)["models"][0]["model"]["file"]
        == "--quiet"
    )


def test_writes_report_and_tables(data, tmp_path):
    report, tables = tmp_path / "report.html", tmp_path / "tables"
    libresnet.compare(RESNET20, data, ablation_images=0, report=report, tables=tables)
    assert report.read_text().startswith("<!DOCTYPE html>") and list(tables.glob("*.csv"))


def events_of(*arguments):
    """Run `resnet compare`; return its exit status and its events."""
    ours, its = os.pipe()
    command = [BUILD / "resnet", "compare", f"--events={its}", "--json", *arguments]
    process = subprocess.Popen(
        list(map(str, command)), pass_fds=[its], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    os.close(its)
    with open(ours) as lines:
        events = [json.loads(line) for line in lines]
    assert process.communicate()[1] == b""
    return process.returncode, events


def test_the_programs_events(data, tmp_path):
    """Events are JSON, one to a line, and nothing else is written to standard error."""
    status, events = events_of(RESNET20, "--data", data, "--lesions", 70)
    assert status == 0 and events
    assert all(event.keys() == {"event", "done", "total", "unit"} for event in events)
    assert all(0 < event["done"] <= event["total"] for event in events)
    missing = tmp_path / "line\nbreak \N{SNOWMAN}"
    for arguments, number in (((missing, "--data", data), 2), ((RESNET20, "--data", missing), 2)):
        status, (event,) = events_of(*arguments)
        assert status == 1 and event["event"] == "error" and event["subject"] == str(missing)
        assert event["status"] == number == libresnet.Status.ERROR_IO and event["message"]


def test_bar(data, capsys):
    libresnet.compare(RESNET20, data, ablation_images=0, progress=True)
    output = capsys.readouterr()
    assert "/70 images" in output.err and output.out == ""
    libresnet.compare(RESNET20, data, ablation_images=0)
    assert capsys.readouterr().err == ""


# ---- what goes wrong ----


def test_images_that_cannot_be_evaluated(data, tmp_path):
    spoilt = tmp_path / "data"
    shutil.copytree(data, spoilt)
    (spoilt / "cat" / "000.png").write_bytes(b"no image")
    for progress in (False, True):
        with pytest.warns(
            UserWarning, match="1 of 70 images could not be evaluated.*neither a JPEG nor a PNG"
        ):
            compared = libresnet.compare(RESNET20, spoilt, ablation_images=0, progress=progress)
        assert compared["images"] == 69 and [Path(e["file"]).name for e in compared["errors"]] == [
            "000.png"
        ]


def test_no_image_can_be_evaluated(data, monkeypatch):
    """The images are not scaled, and the model's input is larger. The warning says so,
    and the other results are shown."""
    with pytest.warns(UserWarning, match="70 of 70 .* 40 x 40"):
        compared = libresnet.compare(
            RESNET20, data, ablation_images=0, preprocess="none", input_size=(40, 40)
        )
    assert compared["images"] == 0 and "resnet20" in repr(compared) and compared._repr_html_()
    monkeypatch.setenv("MPLBACKEND", "Agg")
    if importlib.util.find_spec("matplotlib"):
        assert compared.plot().axes


def test_notes_are_warnings(data, tmp_path):
    """A net that does not say how its images are prepared."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    path = tmp_path / "net.onnx"
    subprocess.run([sys.executable, ROOT / "tests" / "nets.py", "resnet8", "-o", path], check=True)
    with pytest.warns(libresnet.ModelWarning, match="guessed"):
        assert (
            libresnet.compare(path, data, ablation_images=0)["models"][0]["preprocess"]["source"]
            == "guessed"
        )


def test_models_that_cannot_be_opened(data, tmp_path):
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(RESNET20.read_bytes()[:1000])
    with pytest.raises(libresnet.FileError, match="missing.onnx"):
        libresnet.compare([RESNET20, tmp_path / "missing.onnx"], data)
    with pytest.raises(libresnet.FormatError, match="damaged.onnx"):
        libresnet.compare([RESNET20, damaged], data)


def test_a_model_that_is_not_supported(data, tmp_path):
    """Its node, operator and attribute are reported, as by Model."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    net = onnx.load(RESNET20)
    next(node for node in net.graph.node if node.op_type == "Conv").op_type = "ConvTranspose"
    path = tmp_path / "unsupported.onnx"
    onnx.save(net, path)
    with pytest.raises(libresnet.UnsupportedModelError, match="ConvTranspose") as raised:
        libresnet.compare(path, data)
    assert raised.value.op == "ConvTranspose" and raised.value.node


def test_refusals(data, tmp_path):
    with pytest.raises(libresnet.FileError, match="nowhere"):
        libresnet.compare(RESNET20, tmp_path / "nowhere")
    with pytest.raises(libresnet.FileError, match="report.html"):
        libresnet.compare(RESNET20, data, report=tmp_path / "nowhere" / "report.html")
    with pytest.raises(libresnet.ArgumentError, match="ablation_images"):
        libresnet.compare(RESNET20, data, ablation_images=-1)
    with pytest.raises(libresnet.ArgumentError, match="conv"):
        libresnet.compare(RESNET20, data, conv="fast")
    with pytest.raises(libresnet.ArgumentError, match="no preprocessing is named"):
        libresnet.compare(RESNET20, data, preprocess="unheard-of")
    with pytest.raises(libresnet.ArgumentError, match="NUL"):
        libresnet.compare("a\0b", data)
    with pytest.raises(libresnet.ArgumentError, match="no model"):
        libresnet.compare([], data)
    (tmp_path / "classes" / "cat").mkdir(parents=True)
    shutil.copy(next(data.glob("cat/*")), tmp_path / "classes" / "cat")
    shutil.copytree(tmp_path / "classes" / "cat", tmp_path / "classes" / "teapot")
    with pytest.raises(libresnet.ArgumentError, match="teapot"):
        libresnet.compare(RESNET20, tmp_path / "classes")


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def living(group):
    """Processes of a group that have not ended. (The program measures memory in a copy of
    itself, which nobody waits for when both are ended.)"""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state not in "ZX":
            found.append(stat.parent.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc")
@pytest.mark.parametrize("progress", [False, True])
def test_ends_with_its_caller(data, tmp_path, progress):
    """Ctrl-C that only Python gets: the program goes, too, and leaves nothing behind."""
    report = tmp_path / "report.html"
    script = (
        "import sys, libresnet\n"
        "model, data, report, bar = sys.argv[1:]\n"
        "libresnet.compare([model] * 9, data, threads=1, report=report, progress=bar == 'True')\n"
    )
    command = [
        sys.executable,
        "-c",
        script,
        ROOT / "models" / "cifar10-resnet56.onnx",
        data,
        report,
        str(progress),
    ]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        for _ in range(1000):
            if process.poll() is not None or children(process.pid):
                break
            time.sleep(0.02)
        time.sleep(0.3)
        assert process.poll() is None
        os.kill(process.pid, signal.SIGINT)
        _, output = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in output and process.returncode != 0
    for _ in range(250):
        if not living(process.pid):
            break
        time.sleep(0.02)
    assert living(process.pid) == []
    assert list(tmp_path.iterdir()) == []


# ---- what is made of it ----


def test_looks(compared):
    assert "plain20" in repr(compared) and "resnet20" in repr(compared)
    assert (
        compared._repr_html_().startswith("<table>") and compared._repr_html_().count("<tr>") == 3
    )


def test_pandas(compared):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    tables = {name: compared.to_pandas(name) for name in libresnet.Comparison.TABLES}
    assert all(isinstance(table, pandas.DataFrame) for table in tables.values())
    assert compared.to_pandas().equals(tables["models"])
    assert tables["models"]["top1"].tolist() == [model["top1"] for model in compared["models"]]
    for name, start in (("pairs", "difference"), ("blocks", "shortcut_ms")):
        ends = {f"{start}_low", f"{start}_high"}
        assert ends <= set(tables[name].columns)
        assert not any("_ci" in column for column in tables[name].columns)
    assert tables["pairs"].loc[0, ["a", "b"]].tolist() == ["plain20", "resnet20"]
    assert len(tables["layers"]) == 40 and tables["layers"]["std"].notna().all()
    assert len(tables["blocks"]) == sum(len(model["blocks"]) for model in compared["models"])
    assert tables["ablations"]["mean_top1"].between(0, 1).all()
    with pytest.raises(libresnet.ArgumentError, match="'layers'"):
        compared.to_pandas("layer")


def test_plot(compared, data, tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    figure = compared.plot()
    in_order, sorted_down, ablations = figure.axes
    for place, model in enumerate(compared["models"]):
        stds = [
            response["std"] for response in model["responses"] if response["layer"] is not None
        ][:-1]
        assert len(stds) == model["layers"] - 1  # the fully connected one is left out
        assert list(in_order.lines[place].get_ydata()) == stds
        assert list(sorted_down.lines[place].get_ydata()) == sorted(stds, reverse=True)
        assert in_order.lines[place].get_linestyle() == ("-" if model["residual"] else "--")
        removals = model["lesions"]["removals"]
        assert list(ablations.lines[place].get_xdata()) == [
            0,
            *(step["removed"] for step in removals),
        ]
        assert list(ablations.lines[place].get_ydata())[1:] == [
            100 * step["mean_top1"] for step in removals
        ]
    figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert len(libresnet.compare(RESNET20, data, ablation_images=0).plot().axes) == 2


@pytest.mark.parametrize("library, method", [("pandas", "to_pandas"), ("matplotlib", "plot")])
def test_without_what_it_needs(compared, monkeypatch, library, method):
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=f"pip install {library}"):
        getattr(compared, method)()


def test_no_warning_where_there_is_nothing_to_say(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        libresnet.compare(RESNET20, data, ablation_images=0)
