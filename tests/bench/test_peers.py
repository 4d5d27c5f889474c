"""The parts of the benchmarks that don't measure: ratios, targets, tables, the plot, writing, answers that fail."""

from __future__ import annotations

import array
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import common
import peers
import report
import scaling
from report import OURS, Workload

SVG = "{http://www.w3.org/2000/svg}"


def row(net="resnet18", threads=1, batch=1, target=None, **times):
    """A workload with the least times of its runtimes; a string says why there is none."""
    runtimes = {}
    for name, time in times.items():
        name = name.replace("_", "-")
        runtimes[name] = {"reason": time} if isinstance(time, str) else {"min_ms": time, "median_ms": 2 * time}
    runtimes.get("openvino-default", {})["precision"] = "bf16"
    found = {"net": net, "threads": threads, "batch": batch, "target": target, "runtimes": runtimes}
    report.compare(found)
    return found


def test_ratio_is_the_fastest_peers_least_time_over_ours():
    found = row(libresnet=10.0, onnxruntime=16.0, openvino=15.0, ncnn=20.0)
    assert found["best_peer"] == "openvino"
    assert found["ratio"] == 1.5


def test_openvino_in_its_own_precision_is_not_compared_with():
    found = row(libresnet=10.0, onnxruntime=16.0, openvino_default=5.0)
    assert (found["best_peer"], found["ratio"]) == ("onnxruntime", 1.6)
    assert row(libresnet=10.0, openvino_default=5.0)["ratio"] is None


def test_a_peer_that_failed_is_no_best_peer():
    found = row(libresnet=10.0, onnxruntime=16.0, ncnn="ncnn: no such layer")
    assert found["best_peer"] == "onnxruntime"
    assert report.reasons([found], {}) == ["ncnn: no such layer"]


def test_targets_are_met_from_the_very_value_on():
    rows = [row(target=1.5, libresnet=10.0, ncnn=15.0), row(target=1.6, libresnet=10.0, ncnn=15.0)]
    report.set_targets(rows)
    assert [found["met"] for found in rows] == [True, False]


def test_two_threads_should_keep_nine_tenths_of_the_lead_of_one():
    rows = [row(threads=2, libresnet=10.0, ncnn=17.9), row(target=1.5, libresnet=10.0, ncnn=20.0),
            row("resnet50", threads=2, libresnet=10.0, ncnn=20.0)]
    report.set_targets(rows)
    assert (rows[0]["target"], rows[0]["met"]) == (pytest.approx(1.8), False)
    assert (rows[2]["target"], rows[2]["met"]) == (None, None), "its net was not measured on one thread"


def test_workloads_are_named_as_net_threads_batch():
    assert Workload.parse("resnet50:2:8") == Workload("resnet50", 2, 8, 1.2)
    assert Workload.parse("resnext50") == Workload("resnext50", 1, 1, None)
    assert str(Workload.parse("resnet18:2")) == "ResNet-18, 2 threads, batch 1"
    assert str(Workload.parse("wide50")) == "Wide ResNet-50, 1 thread, batch 1"


def test_speed_table_has_a_line_for_each_workload_and_as_many_cells_as_its_head():
    rows = [row(target=1.5, libresnet=12.0, onnxruntime=18.0, ncnn="fails"),
            row(batch=8, libresnet=0.4, onnxruntime=0.5, openvino_default=0.3)]
    report.set_targets(rows)
    lines = report.speed_table(rows).splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2] == "| ResNet-18 | 1, 1 | 12.0 / 24.0 | 18.0 / 36.0 | none |  | 1.50 | 1.50 | yes |"
    assert lines[3] == "| ResNet-18 | 1, 8 | 0.400 / 0.800 | 0.500 / 1.000 |  | 0.300 / 0.600 (bf16) | 1.25 |  |  |"


def results():
    rows = [row(target=1.5, libresnet=12.0, onnxruntime=18.0, ncnn="ncnn: <no> & never"), row(libresnet=1.0)]
    rows[0]["runtimes"][OURS]["error"] = 3.2e-7
    report.set_targets(rows)
    memory = {"peak_bytes": 2e8, "resident_bytes": 1e8, "before_bytes": 3e6}
    opening = {"load_min_ms": 12.4, "load_median_ms": 13.0, **memory}
    return {"date": "2026-11-23 12:00:00", "rounds": 3, "bystanders_cores": 0.1, "versions": {"ncnn": "1.0"},
            "machine": {"cpu": "a CPU", "cores": 2, "caches": ["L1 Data 32K"], "kernel": "Linux"}, "workloads": rows,
            "opened_net": "resnet50", "openings": {OURS: opening, "ncnn": {"reason": "ncnn: none"}},
            "library_bytes": {OURS: 440_000}}


def test_markdown_says_everything_that_was_measured_and_why_the_rest_was_not():
    text = report.markdown(results())
    for expected in ("a CPU, 2 cores", "ncnn 1.0", "| ResNet-18 | 1, 1 | 3.2e-07 |",
                     "| libresnet | 12 / 13 | 200 | 100 | 3 |", "| ncnn | none |  |  |  |", "| libresnet | 0.44 |",
                     "None: ncnn: <no> & never", "None: ncnn: none"):
        assert expected in text


def bars(rows):
    drawing = xml.etree.ElementTree.fromstring(report.svg(rows, "a <caption> & more"))
    return drawing, [one for one in drawing.iter(f"{SVG}rect") if one.get("class") in ("bar", "behind")]


def test_plot_is_well_formed_and_has_a_bar_for_each_ratio():
    drawing, drawn = bars(results()["workloads"])
    assert len(drawn) == 1
    words = [one.text for one in drawing.iter(f"{SVG}text")]
    assert "a <caption> & more" in words and "1.50" in words and "no peer ran it" in words


def test_bars_are_as_long_as_their_ratios_and_reach_the_line_of_one():
    rows = [row(target=3.0, libresnet=10.0, ncnn=20.0), row(libresnet=10.0, ncnn=5.0), row(libresnet=10.0, ncnn=10.0)]
    drawing, drawn = bars(rows)
    lengths = [float(one.get("width")) for one in drawn]
    assert lengths[0] == pytest.approx(2 * lengths[2], abs=0.2) and lengths[1] == pytest.approx(lengths[2] / 2, abs=0.2)
    assert [one.get("class") for one in drawn] == ["bar", "behind", "bar"]
    (one,) = [float(line.get("x1")) for line in drawing.iter(f"{SVG}line") if line.get("class") == "one"]
    (target,) = [float(line.get("x1")) for line in drawing.iter(f"{SVG}line") if line.get("class") == "target"]
    assert one == pytest.approx(report.LEFT + lengths[2], abs=0.2)
    assert target == pytest.approx(report.LEFT + 3 * lengths[2], abs=0.3)


@pytest.mark.parametrize("scores, expected, error", [
    ([1.0, -4.0], [1.0, -4.0], 0.0), ([1.0, -3.0], [1.0, -4.0], 0.25), ([1.0], [1.0, 2.0], float("inf")),
    ([1.0, float("nan")], [1.0, 2.0], float("inf")), ([1.0, 2.0], [float("nan"), 2.0], float("inf")),
    ([0.0], [0.0], float("inf"))])
def test_relative_error_is_over_the_largest_score(scores, expected, error):
    assert common.relative_error(array.array("f", scores), array.array("f", expected)) == error


def test_turns_are_long_enough_to_measure_and_bounded():
    assert [common.runs_a_turn(ms) for ms in (0.001, 1.0, 40.0, 3000.0)] == [200, 100, 2, 1]


def test_writing_leaves_no_other_file(tmp_path):
    common.write(tmp_path / "new" / "file", "first")
    common.write(tmp_path / "new" / "file", "second")
    assert [(path.name, path.read_text()) for path in (tmp_path / "new").iterdir()] == [("file", "second")]


def test_pictures_are_normalised_and_the_same_every_time(tmp_path):
    floats = array.array("f", common.make_pictures(tmp_path, 2, 4).read_bytes())
    assert len(floats) == 2 * 3 * 4 * 4
    assert min(floats) >= -2.01 and max(floats) <= 2.45 and len(set(floats)) > 20
    (tmp_path / "again").mkdir()
    assert common.make_pictures(tmp_path / "again", 2, 4).read_bytes() == floats.tobytes()


class Fake:
    """Stands in for a runtime; notes who was asked to run."""

    def __init__(self, name, log, ms=30.0):
        self.name, self.log, self.ms = name, log, ms

    def cpu_seconds(self):
        return 0.0

    def run(self, warm, timed):
        self.log.append((self.name, warm, timed))
        return [self.ms] * timed


def test_turns_are_taken_one_after_the_other_with_equally_many_runs():
    log = []
    timings = common.take_turns([Fake("a", log, 10.0), Fake("b", log, 25.0)], 2)
    assert log[2:] == [("a", 2, 10), ("b", 2, 10), ("b", 2, 10), ("a", 2, 10)]
    assert timings["b"].summary()["min_ms"] == 25.0 and timings["b"].summary()["runs"] == 20


def test_a_runtime_that_dies_says_its_last_words():
    script = "import sys; print('started', flush=True); sys.stdin.readline(); sys.exit('no such layer')"
    runtime = common.Runtime("ncnn", [sys.executable, "-c", script])
    with pytest.raises(common.RuntimeFailed, match="ncnn: no such layer"):
        runtime.open()


class Opened:
    """Stands in for an open runtime with scores."""

    def __init__(self, name, scores):
        self.name, self.values, self.closed = name, scores, False

    def scores(self):
        return array.array("f", self.values)

    def close(self):
        self.closed = True


def check(**scores):
    runtimes = [Opened(name, values) for name, values in scores.items()]
    found = {name: {"precision": "fp32"} for name in scores}
    right = peers.check_scores(runtimes, Workload("resnet18", 1, 1), found)
    return [runtime.name for runtime in right], found, runtimes


def test_a_peer_with_wrong_scores_is_left_out():
    right, found, runtimes = check(libresnet=[1.0, 2.0], onnxruntime=[1.0, 2.0], ncnn=[1.0, 2.1])
    assert right == ["libresnet", "onnxruntime"]
    assert "scores differ" in found["ncnn"]["reason"] and runtimes[2].closed


def test_wrong_scores_of_ours_end_the_program():
    with pytest.raises(SystemExit, match="libresnet: ResNet-18.*scores differ"):
        check(libresnet=[1.0, 2.1], onnxruntime=[1.0, 2.0])


def test_scaling_compares_each_case_with_the_first_of_its_series():
    rows = scaling.add_change([{"gmacs_per_s": 50.0}, {"gmacs_per_s": 100.0}, {"gmacs_per_s": 40.0}])
    assert [one["change"] for one in rows] == [1.0, 0.5, 1.25]


def test_scaling_names_every_case():
    for cases, names in scaling.series("resnet18").values():
        assert len(cases) == len(names) == len(set(names))


def make_net(tmp_path):
    if not common.PROGRAM.exists():
        pytest.skip(f"{common.PROGRAM} is not built")
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    sys.path.insert(0, str(common.ROOT / "tests"))
    import nets

    path = tmp_path / "net.onnx"
    onnx.save(nets.generate("resnet8", nets.Options(seed=1, batch=2))[0], path)
    return path


def program_runtime(tmp_path, *arguments):
    return common.ours(OURS, make_net(tmp_path), 1, 2, common.make_pictures(tmp_path, 2, 32), *arguments)


@pytest.mark.parametrize("memory", ["normal", "small"])
def test_bench_model_answers_every_request(tmp_path, memory):
    runtime = program_runtime(tmp_path, memory).open()
    assert runtime.opened["load_ms"] > 0 and runtime.opened["precision"] == "fp32" and runtime.opened["macs"] > 1e6
    assert len(runtime.run(1, 3)) == 3
    scores = runtime.scores()
    assert len(scores) == 2 * 10 and scores[:10] != scores[10:]
    assert 0 < runtime.bytes_before < runtime.memory_bytes("VmHWM")
    assert runtime.cpu_seconds() > 0
    runtime.close()
    assert runtime.process.returncode == 0


@pytest.mark.parametrize("request_line", ["run 1 1", "scores /nowhere", "stop"])
def test_bench_model_refuses_what_is_not_in_turn(tmp_path, request_line):
    with pytest.raises(common.RuntimeFailed, match="no such request, or not at this time"):
        program_runtime(tmp_path).ask(request_line)


def test_bench_model_does_not_measure_a_plan_that_was_packed_anew(tmp_path):
    plan = tmp_path / "net.resnet"
    command = [common.BUILD / "resnet", "compile", make_net(tmp_path), "-o", plan]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    pictures = common.make_pictures(tmp_path, 2, 32)
    good = common.ours(OURS, plan, 1, 2, pictures).open()
    assert good.opened["load_ms"] > 0
    good.close()
    with pytest.raises(common.RuntimeFailed, match="net.resnet: .*packed"):
        common.ours(OURS, plan, 1, 2, pictures, "small").open()


def test_bench_model_refuses_other_memory_options(tmp_path):
    with pytest.raises(common.RuntimeFailed, match="usage"):
        program_runtime(tmp_path, "tiny")
