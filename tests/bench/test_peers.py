"""Test what the benchmarks do besides measuring: ratios, targets, tables, the plot,
failures."""

from __future__ import annotations

import array
import re
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import common
import cpu_class
import peers
import report
import scaling
import targets
from report import OURS
from targets import Workload

SVG = "{http://www.w3.org/2000/svg}"


def row(net="resnet18", threads=1, batch=1, on="avx512", **times):
    """Return a workload with its runtimes' minimum times; a string says why there is
    none."""
    runtimes = {}
    for name, time in times.items():
        name = name.replace("_", "-")
        timed = {"min_ms": time, "median_ms": time * 2}
        runtimes[name] = {"reason": time} if isinstance(time, str) else timed
    runtimes.get("openvino-default", {})["precision"] = "bf16"
    found = {"net": net, "threads": threads, "batch": batch, "runtimes": runtimes}
    report.compare(found, on)
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


AVX512 = "fpu sse2 avx2 fma avx512f avx512bw avx512vl avx512dq"


@pytest.mark.parametrize(
    "flags, architecture, expected",
    [
        (AVX512, "x86_64", "avx512"),
        (AVX512.replace("avx512dq", ""), "x86_64", "avx2"),
        ("fpu sse2 avx2 fma", "x86_64", "avx2"),
        ("fpu sse2 avx2", "x86_64", "sse2"),
        ("fpu sse2", "x86_64", "sse2"),
        ("", "x86_64", "sse2"),
        ("fp asimd", "aarch64", "neon"),
        ("", "riscv64", "riscv64"),
    ],
)
def test_class_of_a_cpu_follows_from_its_flags(flags, architecture, expected):
    assert cpu_class.of_cpu(flags, architecture) == expected


@pytest.mark.parametrize(
    "cpu, vectors, expected",
    [
        ("avx512", "2", "avx512"),
        ("avx512", "1", "avx2"),
        ("avx512", "0", "sse2"),
        ("avx2", "2", "avx2"),
        ("avx2", "1", "avx2"),
        ("sse2", "2", "sse2"),
        ("neon", "0", "neon"),
    ],
)
def test_build_restricts_the_class(cpu, vectors, expected):
    cache = f"A:STRING=0\nRESNET_VECTORS:STRING={vectors}\nRESNET_VECTORS-ADVANCED:INTERNAL=1\n"
    assert cpu_class.of_build(cpu, cache) == expected
    assert cpu_class.of_build(cpu, "") == cpu


def test_classes_ask_for_the_features_that_the_kernels_ask_for():
    sets = re.findall(
        r"^ *add_simd_set\((\w+)[^)]*?NEEDS ([^)]*)\)",
        (common.ROOT / "cmake" / "Simd.cmake").read_text(),
        re.MULTILINE,
    )
    assert {name: set(needs.split()) for name, needs in sets} == cpu_class.X86_FLAGS
    for path in (common.ROOT / "runtime").rglob("*.[ch]"):
        assert '__builtin_cpu_supports("' not in path.read_text(), path


def machine(chosen="avx512", cpu="avx512"):
    return {
        "cpu": "a CPU",
        "class": chosen,
        "cpu_class": cpu,
        "cores": 2,
        "caches": ["L1 Data 32K", "L2 Unified 1024K"],
        "kernel": "Linux",
    }


def test_class_of_a_restricted_build_names_the_cpus_too():
    assert cpu_class.describe(machine()) == "avx512"
    assert cpu_class.describe(machine("avx2")) == "avx2 (on a CPU of class avx512)"


def test_this_machine_has_a_class():
    found = common.machine()
    assert found["class"] and found["cpu_class"]
    assert found["class"] not in cpu_class.classes_above(found["cpu_class"])


@pytest.mark.parametrize(
    "wanted, chosen, cpu, message",
    [
        ("avx2", "avx512", "avx512", "RESNET_VECTORS=1"),
        ("avx512", "avx2", "avx512", "RESNET_VECTORS=2"),
        ("neon", "avx2", "avx2", "measures class avx2"),
        ("sse2", "sse2", "avx2", "no peer can be"),
    ],
)
def test_class_that_cannot_be_measured_is_refused(wanted, chosen, cpu, message):
    with pytest.raises(SystemExit, match=message):
        peers.restrict(wanted, machine(chosen, cpu), list(report.PEERS))


@pytest.mark.parametrize("wanted, cpu", [(None, "avx512"), ("avx512", "avx512"), ("avx2", "avx2")])
def test_class_of_the_cpu_needs_no_restriction(wanted, cpu):
    assert peers.restrict(wanted, machine(cpu, cpu), list(report.PEERS)) is None


def restriction(monkeypatch, tmp_path, program=b"xnn_f32_gemm_ukernel_7x32__avx512f_broadcast"):
    (tmp_path / "bench_model").write_bytes(program)
    monkeypatch.setattr(common, "PROGRAM", tmp_path / "bench_model")
    return peers.restrict("avx2", machine("avx2"), ["onnxruntime", "openvino", "ncnn"])


def test_restricted_run_lists_what_is_restricted_and_what_is_not(monkeypatch, tmp_path):
    found = restriction(monkeypatch, tmp_path).record()
    assert list(found["restricted"]) == [OURS, "openvino"]
    assert "ONEDNN_MAX_CPU_ISA=AVX2" in found["restricted"]["openvino"]
    assert list(found["not_restricted"]) == ["onnxruntime", "ncnn", "XNNPACK inside libresnet"]
    program = b"xnn_f32_gemm_ukernel_5x16__fma3_broadcast"
    found = restriction(monkeypatch, tmp_path, program).record()
    assert "XNNPACK inside libresnet" not in found["not_restricted"]


def test_peer_that_chose_a_higher_class_counts_as_not_restricted(monkeypatch, tmp_path):
    found = restriction(monkeypatch, tmp_path)
    found.check("openvino", ["brgconv_avx2_f32", "unknown_f32"])
    assert "openvino" in found.restricted
    found.check("openvino", ["brgconv_avx2_f32", "jit_avx512_f32"])
    assert "openvino" not in found.restricted
    assert "jit_avx512_f32" in found.unrestricted["openvino"]


def test_only_the_wanted_restriction_reaches_a_peer(monkeypatch, tmp_path):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    monkeypatch.setenv("KEPT", "1")
    found = peers.peer_environment("openvino", None)
    assert "ONEDNN_MAX_CPU_ISA" not in found and found["KEPT"] == "1"
    wanted = restriction(monkeypatch, tmp_path)
    assert peers.peer_environment("openvino", wanted)["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert "ONEDNN_MAX_CPU_ISA" not in peers.peer_environment("ncnn", wanted)


def test_restricted_build_is_kept_only_beside_restricted_peers(monkeypatch, tmp_path):
    peers.check_kept(machine(), None)
    peers.check_kept(machine("avx2", "avx2"), None)
    peers.check_kept(machine("avx2"), restriction(monkeypatch, tmp_path))
    with pytest.raises(SystemExit, match="add --class avx2"):
        peers.check_kept(machine("avx2"), None)


@pytest.mark.parametrize(
    "more",
    [
        ["--quick"],
        ["--peers", "ncnn"],
        ["--work", "resnet18"],
        ["--opening-rounds", "0"],
        ["-o", "elsewhere"],
    ],
)
def test_only_whole_measurements_are_kept(monkeypatch, more):
    monkeypatch.setattr(sys, "argv", ["peers.py", "--keep", *more])
    with pytest.raises(SystemExit):
        peers.parse_arguments()
    monkeypatch.setattr(sys, "argv", ["peers.py", "--keep"])
    assert peers.parse_arguments().keep


# ---- targets and verdicts


def test_no_target_is_below_one():
    for work in targets.WORKLOADS:
        assert set(work.targets) == {"avx2", "avx512"}
        assert min(work.targets.values()) >= targets.LOWEST_TARGET == 1.0


@pytest.mark.parametrize("target", [0.99, 0.0, -1.0])
def test_workload_refuses_a_target_below_one(target):
    with pytest.raises(ValueError, match="would be a loss"):
        Workload("resnet18", 1, 1, {"avx2": target})


@pytest.mark.parametrize(
    "text, avx2, avx512",
    [
        ("resnet18", 1.9, 1.6),
        ("resnet34", 1.7, 1.6),
        ("resnet50", 1.35, 1.2),
        ("resnext50", 1.3, 1.3),
        ("resnet18:2:8", 1.8, 1.8),
        ("resnet50:2:8", 1.35, 1.35),
        ("resnet20", 1.6, 1.5),
        ("resnet56", 1.6, 1.7),
        ("resnet18:2", 1.45, 1.45),
        ("resnet34:2", 1.4, 1.4),
        ("resnet50:2", 1.2, 1.2),
        ("resnext50:2", 1.2, 1.1),
        ("resnet20:2", 1.6, 1.8),
        ("resnet56:2", 1.4, 1.8),
    ],
)
def test_targets_of_each_class(text, avx2, avx512):
    work = Workload.parse(text)
    assert work in targets.WORKLOADS
    assert (work.target("avx2"), work.target("avx512")) == (avx2, avx512)
    assert work.target("neon") == work.target("sse2") == work.target("riscv64") == 1.0


def test_workloads_are_named_as_net_threads_batch():
    assert Workload.parse("resnet101:2:8") == Workload("resnet101", 2, 8)
    assert Workload.parse("resnet101:2:8").target("avx2") == 1.0
    assert str(Workload.parse("resnet18:2")) == "ResNet-18, 2 threads, batch 1"
    assert str(Workload.parse("resnext50")) == "ResNeXt-50 32x4d, 1 thread, batch 1"
    assert str(Workload.parse("resnet20")) == "CIFAR ResNet-20, 1 thread, batch 1"
    assert str(Workload.parse("wide50")) == "Wide ResNet-50, 1 thread, batch 1"


@pytest.mark.parametrize(
    "peer, on, verdict, text",
    [
        (16.0, "avx512", "met", "met"),
        (30.0, "avx512", "met", "met"),
        (15.9, "avx512", "missed", "missed by 0.6 %"),
        (15.999, "avx512", "missed", "missed by 0.1 %"),
        (10.0, "avx512", "missed", "missed by 38 %"),
        (9.99, "avx512", "behind", "behind"),
        (16.0, "avx2", "missed", "missed by 16 %"),
        (10.0, "neon", "met", "met"),
        (9.99, "neon", "behind", "behind"),
        ("fails", "avx2", None, ""),
    ],
)
def test_verdicts(peer, on, verdict, text):
    found = row(on=on, libresnet=10.0, ncnn=peer)
    assert (found["verdict"], targets.verdict_text(found)) == (verdict, text)


def test_two_threads_have_targets_of_their_own():
    rows = [row(libresnet=10.0, ncnn=6.0), row(threads=2, libresnet=10.0, ncnn=6.0)]
    assert [found["target"] for found in rows] == [1.6, 1.45]
    assert [found["verdict"] for found in rows] == ["behind", "behind"]


@pytest.mark.parametrize(
    "ratio, text",
    [(1.6, "1.60"), (1.15, "1.15"), (1.599, "1.59"), (0.999, "0.99"), (1.0, "1.00"), (None, "")],
)
def test_ratios_are_rounded_down(ratio, text):
    assert report.ratio_text(ratio) == text


def test_summary_counts_the_verdicts_and_names_those_behind():
    rows = [
        row(libresnet=1.0, ncnn=2.0),
        row("resnet50", libresnet=1.0, ncnn=1.1),
        row("resnet50", threads=2, libresnet=10.0, ncnn=6.0),
        row(libresnet=1.0),
    ]
    assert report.summary(rows) == (
        "4 workloads: 1 met, 1 missed, 1 behind, 1 that no peer ran."
        " Behind: ResNet-50, 2 threads, batch 1 (0.60)."
    )
    assert report.summary(rows[:1]) == "1 workload: 1 met, 0 missed, 0 behind."


def test_speed_table_has_a_line_for_each_workload_and_as_many_cells_as_its_head():
    rows = [
        row(libresnet=12.0, onnxruntime=18.0, ncnn="fails"),
        row(batch=8, libresnet=0.4, onnxruntime=0.5, openvino_default=0.3),
        row(libresnet=20.0, onnxruntime=18.0),
    ]
    lines = report.speed_table(rows).splitlines()
    assert len(lines) == 5
    assert len({line.count("|") for line in lines}) == 1
    assert lines[0].endswith("| best peer / ours | target | verdict |")
    assert lines[2] == (
        "| ResNet-18 | 1, 1 | 12.0 / 24.0 | 18.0 / 36.0 | none |  | 1.50 | 1.60 | missed by 6 % |"
    )
    assert lines[3] == (
        "| ResNet-18 | 1, 8 | 0.400 / 0.800 | 0.500 / 1.000 |  |"
        " 0.300 / 0.600 (bf16) | 1.25 | 1.00 | met |"
    )
    assert lines[4].endswith("| 0.90 | 1.60 | behind |")


def results(chosen="avx512", restriction=None):
    rows = [
        row(libresnet=12.0, onnxruntime=24.0, ncnn="ncnn: <no> & never"),
        row(libresnet=1.0),
        row("resnet50", threads=2, libresnet=10.0, openvino=6.0),
    ]
    rows[0]["runtimes"][OURS]["error"] = 3.2e-7
    memory = {"peak_bytes": 2e8, "resident_bytes": 1e8, "before_bytes": 3e6}
    opening = {"load_min_ms": 12.4, "load_median_ms": 13.0, **memory}
    return {
        "date": "2026-11-23 12:00:00",
        "rounds": 3,
        "bystanders_cores": 0.1,
        "commit": "abc",
        "versions": {"ncnn": "1.0"},
        "machine": machine(chosen),
        "class": chosen,
        "workloads": rows,
        "opened_net": "resnet50",
        "restriction": restriction,
        "openings": {OURS: opening, "ncnn": {"reason": "ncnn: none"}},
        "library_bytes": {OURS: 440_000},
    }


def test_markdown_says_everything_that_was_measured_and_why_the_rest_was_not():
    text = report.markdown(results())
    for expected in (
        "a CPU, class avx512, 2 cores",
        "ncnn 1.0",
        "| ResNet-18 | 1, 1 | 3.2e-07 |",
        "| libresnet | 12 / 13 | 200 | 100 | 3 |",
        "| ncnn | none |  |  |  |",
        "| libresnet | 0.44 |",
        "None: ncnn: <no> & never",
        "None: ncnn: none",
        "| 0.60 | 1.20 | behind |",
        "1 met, 0 missed, 1 behind, 1 that no peer ran.",
        "Behind: ResNet-50, 2 threads, batch 1 (0.60).",
        "Not measured (threads, batch): ResNet-34 (1, 1), ",
    ):
        assert expected in text


def test_markdown_names_what_is_restricted_and_what_is_not():
    found = {
        "restricted": {OURS: "RESNET_VECTORS", "openvino": "A=1"},
        "not_restricted": {"ncnn": "why"},
    }
    text = report.markdown(results("avx2", found))
    assert "class avx2 (on a CPU of class avx512)" in text
    assert "Restricted to avx2: libresnet (RESNET_VECTORS); OpenVINO (A=1)." in text
    assert "Not restricted to avx2: ncnn (why)." in text
    assert "No peer is restricted to avx2." in report.markdown(results("avx2"))


def bars(found):
    drawing = xml.etree.ElementTree.fromstring(report.svg(found))
    return drawing, [
        one for one in drawing.iter(f"{SVG}rect") if one.get("class") in ("met", "missed", "behind")
    ]


def test_plot_is_well_formed_and_has_a_bar_and_a_verdict_for_each_ratio():
    found = results()
    found["machine"]["cpu"] = "a <CPU> & more"
    drawing, drawn = bars(found)
    assert [one.get("class") for one in drawn] == ["met", "behind"]
    words = [one.text for one in drawing.iter(f"{SVG}text")]
    for expected in (
        "a <CPU> & more, class avx512, 2026-11-23, least of 3 rounds in turn",
        "2.00",
        "ONNX Runtime, met",
        "no peer ran it",
        "0.60",
        "OpenVINO, behind",
        "behind the peer",
        "3 workloads: 1 met, 0 missed, 1 behind, 1 that no peer ran",
    ):
        assert expected in words


def test_bars_are_as_long_as_their_ratios_and_reach_the_line_of_one():
    rows = [row(libresnet=10.0, ncnn=time) for time in (20.0, 5.0, 10.0)]
    drawing, drawn = bars(results() | {"workloads": rows})
    lengths = [float(one.get("width")) for one in drawn]
    assert lengths[0] == pytest.approx(2 * lengths[2], abs=0.2)
    assert lengths[1] == pytest.approx(lengths[2] / 2, abs=0.2)
    assert [one.get("class") for one in drawn] == ["met", "behind", "missed"]
    ticks = {
        kind: [
            float(line.get("x1"))
            for line in drawing.iter(f"{SVG}line")
            if line.get("class") == kind
        ]
        for kind in ("one", "target")
    }
    assert ticks["one"] == [pytest.approx(report.LEFT + lengths[2], abs=0.2)]
    assert ticks["target"] == [pytest.approx(report.LEFT + 1.6 * lengths[2], abs=0.2)] * 3


def test_libraries_beside_ours_have_a_row_only_where_there_are_some():
    assert peers.library_sizes(100, []) == {OURS: 100}
    both = {OURS: 100, f"{OURS} with pthreadpool and cpuinfo": 123}
    assert peers.library_sizes(100, [20, 3]) == both


@pytest.mark.parametrize(
    "scores, expected, error",
    [
        ([1.0, -4.0], [1.0, -4.0], 0.0),
        ([1.0, -3.0], [1.0, -4.0], 0.25),
        ([1.0], [1.0, 2.0], float("inf")),
        ([1.0, float("nan")], [1.0, 2.0], float("inf")),
        ([1.0, 2.0], [float("nan"), 2.0], float("inf")),
        ([0.0], [0.0], float("inf")),
    ],
)
def test_relative_error_is_over_the_largest_score(scores, expected, error):
    assert common.relative_error(array.array("f", scores), array.array("f", expected)) == error


def test_turns_are_long_enough_to_measure_and_bounded():
    assert [common.runs_a_turn(ms) for ms in (0.001, 1.0, 40.0, 3000.0)] == [200, 100, 2, 1]


def test_writing_leaves_no_other_file(tmp_path):
    common.write(tmp_path / "new" / "file", "first")
    common.write(tmp_path / "new" / "file", "second")
    assert [(path.name, path.read_text()) for path in (tmp_path / "new").iterdir()] == [
        ("file", "second")
    ]


def test_images_are_normalised_and_the_same_every_time(tmp_path):
    floats = array.array("f", common.make_images(tmp_path, 2, 4).read_bytes())
    assert len(floats) == 2 * 3 * 4 * 4
    assert min(floats) >= -2.01 and max(floats) <= 2.45 and len(set(floats)) > 20
    (tmp_path / "again").mkdir()
    assert common.make_images(tmp_path / "again", 2, 4).read_bytes() == floats.tobytes()


class Fake:
    """Replaces a runtime and notes which one was asked to run."""

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
    script = (
        "import sys; print('started', flush=True); sys.stdin.readline(); sys.exit('no such layer')"
    )
    runtime = common.Runtime("ncnn", [sys.executable, "-c", script])
    with pytest.raises(common.RuntimeFailed, match="ncnn: no such layer"):
        runtime.open()


class Opened:
    """Replaces an open runtime and has scores."""

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
    rows = scaling.add_change(
        [{"gmacs_per_s": 50.0}, {"gmacs_per_s": 100.0}, {"gmacs_per_s": 40.0}]
    )
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
    return common.ours(
        OURS, make_net(tmp_path), 1, 2, common.make_images(tmp_path, 2, 32), *arguments
    )


@pytest.mark.parametrize("memory", ["normal", "small"])
def test_bench_model_answers_every_request(tmp_path, memory):
    runtime = program_runtime(tmp_path, memory).open()
    assert (
        runtime.opened["load_ms"] > 0
        and runtime.opened["precision"] == "fp32"
        and runtime.opened["macs"] > 1e6
    )
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
    images = common.make_images(tmp_path, 2, 32)
    good = common.ours(OURS, plan, 1, 2, images).open()
    assert good.opened["load_ms"] > 0
    good.close()
    with pytest.raises(common.RuntimeFailed, match="net.resnet: .*packed"):
        common.ours(OURS, plan, 1, 2, images, "small").open()


def test_bench_model_refuses_other_memory_options(tmp_path):
    with pytest.raises(common.RuntimeFailed, match="usage"):
        program_runtime(tmp_path, "tiny")
