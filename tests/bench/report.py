"""Turn what peers.py measured into ratios, Markdown and SVG. Nothing here measures."""

from __future__ import annotations

import math
from html import escape

import cpu_class
import targets
from common import table
from targets import BEHIND, MET, MISSED, title, verdict_text

OURS = "libresnet"
# In the order of the table. OpenVINO's default may be bf16 or fp16: shown, but not
# compared with.
PEERS = {
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "ncnn": "ncnn",
    "openvino-default": "OpenVINO, its default",
}
NOT_COMPARED = "openvino-default"


def refresh(results: dict) -> None:
    """Recompute all that follows from the times and the table of targets."""
    for row in results["workloads"]:
        compare(row, results["class"])


def compare(row: dict, measured_class: str) -> None:
    """Add to a workload's results the fastest peer, the ratio and the verdict."""
    runtimes = row["runtimes"]
    times = {
        name: runtimes[name]["min_ms"]
        for name in PEERS
        if name != NOT_COMPARED and "min_ms" in runtimes.get(name, {})
    }
    row["best_peer"] = min(times, key=times.get) if times else None
    row["ratio"] = times[row["best_peer"]] / runtimes[OURS]["min_ms"] if times else None
    row["target"] = targets.find(row["net"], row["threads"], row["batch"]).target(measured_class)
    row["verdict"] = targets.verdict(row["ratio"], row["target"])


def workload_name(row: dict) -> str:
    return str(targets.Workload(row["net"], row["threads"], row["batch"]))


def counts(rows: list[dict]) -> str:
    """Count the workloads that met their target, missed it or are behind."""
    verdicts = [row["verdict"] for row in rows]
    parts = [f"{verdicts.count(kind)} {kind}" for kind in (MET, MISSED, BEHIND)]
    if None in verdicts:
        parts.append(f"{verdicts.count(None)} that no peer ran")
    return f"{len(rows)} workload{'s' * (len(rows) != 1)}: {', '.join(parts)}"


def summary(rows: list[dict]) -> str:
    """Count the verdicts and name the workloads that are behind."""
    behind = [
        f"{workload_name(row)} ({ratio_text(row['ratio'])})"
        for row in rows
        if row["verdict"] == BEHIND
    ]
    return counts(rows) + "." + (f" Behind: {'; '.join(behind)}." if behind else "")


def unmeasured(rows: list[dict]) -> list[str]:
    """Name the default workloads that are not among the rows."""
    measured = {(row["net"], row["threads"], row["batch"]) for row in rows}
    return [
        f"{title(known.net)} ({known.threads}, {known.batch})"
        for known in targets.WORKLOADS
        if known.key not in measured
    ]


def restriction_lines(name: str, restriction: dict[str, dict[str, str]]) -> list[str]:
    lines = []
    for key, words in (("restricted", "Restricted"), ("not_restricted", "Not restricted")):
        listed = [f"{PEERS.get(one, one)} ({how})" for one, how in restriction[key].items()]
        lines.append(f"{words} to {name}: {'; '.join(listed) or 'none'}.")
    return lines


def summary_lines(results: dict) -> list[str]:
    """Return the summary, what was not measured and what was restricted."""
    lines = [summary(results["workloads"])]
    missing = unmeasured(results["workloads"])
    if missing:
        lines.append(f"Not measured (threads, batch): {', '.join(missing)}.")
    if results["restriction"]:
        lines += restriction_lines(results["class"], results["restriction"])
    elif results["machine"]["class"] != results["machine"]["cpu_class"]:
        lines.append(f"No peer is restricted to {results['class']}.")
    return lines


def cell(runtime: dict | None, keys: tuple[str, ...] = ("min_ms", "median_ms")) -> str:
    """Return the times named by `keys`; the precision where it isn't float32."""
    if not runtime:
        return ""
    if "min_ms" not in runtime:
        return "none"
    precision = runtime.get("precision", "fp32")
    digits = 1 if runtime["min_ms"] >= 10 else 3
    times = " / ".join(f"{runtime[key]:.{digits}f}" for key in keys)
    return times if precision == "fp32" else f"{times} ({precision})"


def ratio_text(value: float | None) -> str:
    """Round down, so that no ratio reads as a target or a 1.00 that it does not reach."""
    return "" if value is None else f"{math.floor(value * 100 + 1e-9) / 100:.2f}"


def speed_table(rows: list[dict]) -> str:
    names = [name for name in PEERS if any(name in row["runtimes"] for row in rows)]
    header = [
        "network",
        "threads, batch",
        "ours",
        *(PEERS[name] for name in names),
        "best peer / ours",
        "target",
        "verdict",
    ]
    lines = []
    for row in rows:
        cells = [cell(row["runtimes"].get(name)) for name in (OURS, *names)]
        lines.append(
            [
                title(row["net"]),
                f"{row['threads']}, {row['batch']}",
                *cells,
                ratio_text(row["ratio"]),
                f"{row['target']:.2f}",
                verdict_text(row),
            ]
        )
    return table(header, lines)


def error_table(rows: list[dict]) -> str:
    names = [
        name
        for name in (OURS, *PEERS)
        if any("error" in row["runtimes"].get(name, {}) for row in rows)
    ]
    lines = []
    for row in rows:
        errors = [row["runtimes"].get(name, {}).get("error") for name in names]
        cells = ["" if error is None else f"{error:.1e}" for error in errors]
        lines.append([title(row["net"]), f"{row['threads']}, {row['batch']}", *cells])
    header = ["network", "threads, batch", *(PEERS.get(name, "ours") for name in names)]
    return table(header, lines)


def opening_table(openings: dict[str, dict]) -> str:
    lines = []
    for name, found in openings.items():
        if "reason" in found:
            lines.append([name, "none", "", "", ""])
            continue
        memory = [f"{found[f'{key}_bytes'] / 1e6:.0f}" for key in ("peak", "resident", "before")]
        load = f"{found['load_min_ms']:.0f} / {found['load_median_ms']:.0f}"
        lines.append([name, load, *memory])
    header = ["runtime", "load, ms", "peak memory, MB", "when it runs", "before opening"]
    return table(header, lines)


def size_table(sizes: dict[str, int]) -> str:
    lines = [[name, f"{size / 1e6:.2f}"] for name, size in sizes.items()]
    return table(["library", "MB on disk"], lines)


def reasons(rows: list[dict], openings: dict[str, dict]) -> list[str]:
    """Return why cells are empty."""
    runtimes = [runtime for row in rows for runtime in row["runtimes"].values()]
    return sorted({one["reason"] for one in (*runtimes, *openings.values()) if "reason" in one})


def version_list(results: dict) -> str:
    """Name the versions; OpenVINO's second set of options is the same library."""
    return ", ".join(
        f"{PEERS.get(name, name)} {version}"
        for name, version in results["versions"].items()
        if name != NOT_COMPARED
    )


def markdown(results: dict) -> str:
    machine, rows = results["machine"], results["workloads"]
    parts = [
        f"# libresnet and its peers, {results['date']}\n",
        f"{machine['cpu']}, class {cpu_class.describe(machine)}, {machine['cores']} cores,"
        f" {', '.join(machine['caches'])}, {machine['kernel']}.\n{version_list(results)};"
        f" commit {results['commit']}.\nOther programs took {results['bystanders_cores']}"
        f" cores on average. {results['rounds']} rounds in turn, float32 unless noted.\n",
        "Milliseconds a batch, least / median:\n",
        speed_table(rows),
        *(f"{line}\n" for line in summary_lines(results)),
        "Largest difference from ONNX Runtime's scores, over the largest score:\n",
        error_table(rows),
    ]
    if results["openings"]:
        parts += [
            f"{title(results['opened_net'])}: from opening the file to the first scores less"
            " one run, least / median; the process' peak memory, which includes Python for"
            " the peers (see the last column):\n",
            opening_table(results["openings"]),
        ]
    parts += [size_table(results["library_bytes"])]
    parts += [f"None: {reason}\n" for reason in reasons(rows, results["openings"])]
    return "\n".join(parts)


# ---- SVG

STYLE = """
  .ground { fill: #ffffff } .text { fill: #1f2328 } .soft { fill: #59636e }
  .grid { stroke: #d1d9e0 }
  .met { fill: #2a78c4 } .missed { fill: #93bfe6 } .behind { fill: #c2500a }
  .one { stroke: #1f2328 } .target { stroke: #1f2328 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } .text { fill: #f0f6fc } .soft { fill: #9198a1 }
    .grid { stroke: #3d444d }
    .met { fill: #4c9be8 } .missed { fill: #2c5a88 } .behind { fill: #e8873a }
    .one { stroke: #f0f6fc } .target { stroke: #f0f6fc }
  }
  text { font: 13px system-ui, sans-serif } .title { font-size: 16px; font-weight: 600 }
"""
WIDTH, LEFT, RIGHT, TOP, STEP, BAR = 910, 280, 260, 92, 30, 18
LEGEND = {MET: "target met", MISSED: "ahead, target missed", BEHIND: "behind the peer"}


def line(x: float, y1: float, y2: float, kind: str, width: float = 1) -> str:
    return (
        f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"'
        f' stroke-width="{width}"/>'
    )


def text(x: float, y: float, words: str, kind: str = "text", anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def box(x: float, y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}"'
        f' height="{height:.1f}" rx="2"/>'
    )


def bar(row: dict, y: float, scale: float) -> list[str]:
    parts = [text(LEFT - 10, y + 14, workload_name(row), anchor="end")]
    if row["ratio"] is None:
        return parts + [text(LEFT + 6, y + 14, "no peer ran it", "soft")]
    end = LEFT + scale * max(row["ratio"], row["target"])
    words = f"{PEERS[row['best_peer']]}, {verdict_text(row)}"
    return parts + [
        box(LEFT, y, scale * row["ratio"], BAR, row["verdict"]),
        line(LEFT + scale * row["target"], y - 3, y + BAR + 3, "target", 2.5),
        text(end + 8, y + 14, ratio_text(row["ratio"])),
        text(end + 42, y + 14, words, "soft"),
    ]


def legend(y: float) -> list[str]:
    parts = []
    for index, (kind, words) in enumerate(LEGEND.items()):
        x = 16 + 180 * index
        parts += [box(x, y - 11, 12, 12, f"{kind} legend"), text(x + 18, y, words, "soft")]
    return parts


def svg(results: dict) -> str:
    """Draw a bar for every workload: our speed over the fastest peer's."""
    rows = results["workloads"]
    most = max(
        [1.0]
        + [value for row in rows for value in (row["ratio"], row["target"]) if value is not None]
    )
    scale = (WIDTH - LEFT - RIGHT) / most
    bottom = TOP + STEP * len(rows)
    height = bottom + 72
    caption = (
        f"{results['machine']['cpu']}, class {cpu_class.describe(results['machine'])},"
        f" {results['date'][:10]}, least of {results['rounds']} rounds in turn"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>libresnet against the fastest of its peers</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        text(16, 26, "Speed of libresnet over the fastest peer's, float32", "text title"),
        text(16, 48, "1 is the peer named beside the bar; the tick is the target", "soft"),
        *legend(72),
    ]
    for half in range(int(2 * most) + 1):
        x = LEFT + scale * half / 2
        parts += [
            line(x, TOP, bottom, "grid"),
            text(x, bottom + 16, f"{half / 2:g}", "soft", "middle"),
        ]
    for index, row in enumerate(rows):
        parts += bar(row, TOP + STEP * index + (STEP - BAR) / 2, scale)
    parts += [
        line(LEFT + scale, TOP, bottom, "one", 1.5),
        text(16, bottom + 40, caption, "soft"),
        text(16, bottom + 60, counts(rows), "soft"),
        "</svg>\n",
    ]
    return "\n".join(parts)
