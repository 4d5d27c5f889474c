"""What peers.py measured, as ratios, Markdown and SVG. Nothing here measures, so everything here is tested."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from common import table

OURS = "libresnet"
# In the order of the table. OpenVINO left to itself may compute in bf16 or fp16: shown, but not compared with.
PEERS = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "ncnn": "ncnn",
         "openvino-default": "OpenVINO, its default"}
NOT_COMPARED = "openvino-default"


@dataclass(frozen=True)
class Workload:
    net: str
    threads: int
    batch: int
    target: float | None = None  # times as fast as the best peer

    @classmethod
    def parse(cls, text: str) -> Workload:
        """NET:THREADS:BATCH; threads and batch may be left out."""
        net, threads, batch = (text.split(":") + ["1", "1"])[:3]
        target = next((known.target for known in WORKLOADS if (known.net, known.threads, known.batch) ==
                       (net, int(threads), int(batch))), None)
        return cls(net, int(threads), int(batch), target)

    def __str__(self) -> str:
        return f"{title(self.net)}, {self.threads} thread{'s' * (self.threads > 1)}, batch {self.batch}"


WORKLOADS = (
    Workload("resnet18", 1, 1, 1.5), Workload("resnet34", 1, 1, 1.6), Workload("resnet50", 1, 1, 1.15),
    Workload("resnet18", 2, 8, 1.8), Workload("resnet50", 2, 8, 1.2), Workload("resnet20", 1, 1, 1.4),
    Workload("resnet56", 1, 1, 1.4),
    *(Workload(net, 2, 1) for net in ("resnet18", "resnet34", "resnet50", "resnet20", "resnet56")),
)
# Without a target of its own, a net on two threads should keep this much of its lead on one.
KEPT_ON_TWO_THREADS = 0.9


def title(net: str) -> str:
    kind, depth = re.fullmatch(r"(.*?)(\d+)", net).groups()
    return {"resnet": "ResNet", "resnext": "ResNeXt", "wide": "Wide ResNet", "plain": "plain"}[kind] + "-" + depth


def compare(row: dict) -> None:
    """Add to a workload's results which peer is the fastest, and how many times ours is as fast (least times)."""
    runtimes = row["runtimes"]
    times = {name: runtimes[name]["min_ms"] for name in PEERS
             if name != NOT_COMPARED and "min_ms" in runtimes.get(name, {})}
    row["best_peer"] = min(times, key=times.get) if times else None
    row["ratio"] = times[row["best_peer"]] / runtimes[OURS]["min_ms"] if times else None


def set_targets(rows: list[dict]) -> None:
    """Once all workloads are compared: fill in targets that follow from another workload, and say what was met."""
    alone = {row["net"]: row["ratio"] for row in rows if (row["threads"], row["batch"]) == (1, 1)}
    for row in rows:
        if row["target"] is None and (row["threads"], row["batch"]) == (2, 1) and alone.get(row["net"]):
            row["target"] = KEPT_ON_TWO_THREADS * alone[row["net"]]
        known = row["target"] is not None and row["ratio"] is not None
        row["met"] = row["ratio"] >= row["target"] if known else None


def cell(runtime: dict | None) -> str:
    """Least and median time; the precision where it isn't float32."""
    if not runtime:
        return ""
    if "min_ms" not in runtime:
        return "none"
    precision = runtime.get("precision", "fp32")
    digits = 1 if runtime["min_ms"] >= 10 else 3
    text = f"{runtime['min_ms']:.{digits}f} / {runtime['median_ms']:.{digits}f}"
    return text if precision == "fp32" else f"{text} ({precision})"


def number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def speed_table(rows: list[dict]) -> str:
    names = [name for name in PEERS if any(name in row["runtimes"] for row in rows)]
    header = ["net", "threads, batch", "ours", *(PEERS[name] for name in names), "best peer / ours", "target", "met"]
    lines = []
    for row in rows:
        cells = [cell(row["runtimes"].get(name)) for name in (OURS, *names)]
        met = {None: "", True: "yes", False: "no"}[row["met"]]
        lines.append([title(row["net"]), f"{row['threads']}, {row['batch']}", *cells, number(row["ratio"]),
                      number(row["target"]), met])
    return table(header, lines)


def error_table(rows: list[dict]) -> str:
    names = [name for name in (OURS, *PEERS) if any("error" in row["runtimes"].get(name, {}) for row in rows)]
    lines = [[title(row["net"]), f"{row['threads']}, {row['batch']}",
              *(f"{row['runtimes'].get(name, {}).get('error', float('nan')):.1e}".replace("nan", "") for name in names)]
             for row in rows]
    return table(["net", "threads, batch", *(PEERS.get(name, "ours") for name in names)], lines)


def opening_table(openings: dict[str, dict]) -> str:
    lines = []
    for name, found in openings.items():
        if "reason" in found:
            lines.append([name, "none", "", "", ""])
            continue
        memory = [f"{found[key] / 1e6:.0f}" for key in ("peak_bytes", "resident_bytes", "before_bytes")]
        lines.append([name, f"{found['load_min_ms']:.0f} / {found['load_median_ms']:.0f}", *memory])
    return table(["runtime", "load, ms", "peak memory, MB", "when it runs", "before opening"], lines)


def size_table(sizes: dict[str, int]) -> str:
    return table(["library", "MB on disk"], [[name, f"{size / 1e6:.2f}"] for name, size in sizes.items()])


def reasons(rows: list[dict], openings: dict[str, dict]) -> list[str]:
    """Why cells are empty."""
    found = [runtime["reason"] for row in rows for runtime in row["runtimes"].values() if "reason" in runtime]
    return sorted(set(found + [opening["reason"] for opening in openings.values() if "reason" in opening]))


def markdown(results: dict) -> str:
    machine, rows = results["machine"], results["workloads"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    parts = [f"# libresnet and its peers, {results['date']}\n",
             f"{machine['cpu']}, {machine['cores']} cores, {', '.join(machine['caches'])}, {machine['kernel']}."
             f" {versions}.\nOther programs took {results['bystanders_cores']} cores on average."
             f" {results['rounds']} rounds in turn, float32 unless said.\n",
             "Milliseconds a batch, least / median:\n", speed_table(rows),
             "Largest difference from ONNX Runtime's scores, over the largest score:\n", error_table(rows)]
    if results["openings"]:
        parts += [f"{title(results['opened_net'])}: from opening the file to the first scores less one run, least /"
                  " median; the process' peak memory, which for the peers holds Python (see the last column):\n",
                  opening_table(results["openings"])]
    parts += [size_table(results["library_bytes"])]
    parts += [f"None: {reason}\n" for reason in reasons(rows, results["openings"])]
    return "\n".join(parts)


# ---- SVG ------------------------------------------------------------------------------------------------------------

STYLE = """
  .ground { fill: #ffffff } .text { fill: #1f2328 } .soft { fill: #59636e } .grid { stroke: #d1d9e0 }
  .bar { fill: #2a78c4 } .behind { fill: #b35900 } .one { stroke: #1f2328 } .target { stroke: #1f2328 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } .text { fill: #f0f6fc } .soft { fill: #9198a1 } .grid { stroke: #3d444d }
    .bar { fill: #4c9be8 } .behind { fill: #db8a3a } .one { stroke: #f0f6fc } .target { stroke: #f0f6fc }
  }
  text { font: 13px system-ui, sans-serif } .title { font-size: 16px; font-weight: 600 }
"""
WIDTH, LEFT, RIGHT, TOP, STEP, BAR = 760, 230, 150, 64, 30, 18


def line(x: float, y1: float, y2: float, kind: str, width: float = 1) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{y1:.1f}" y2="{y2:.1f}" stroke-width="{width}"/>'


def text(x: float, y: float, words: str, kind: str = "text", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def bar(row: dict, y: float, scale: float) -> list[str]:
    label = Workload(row["net"], row["threads"], row["batch"])
    parts = [text(LEFT - 10, y + 14, str(label), anchor="end")]
    if row["ratio"] is None:
        return parts + [text(LEFT + 6, y + 14, "no peer ran it", "soft")]
    kind, length = "bar" if row["ratio"] >= 1 else "behind", scale * row["ratio"]
    parts.append(f'<rect class="{kind}" x="{LEFT}" y="{y:.1f}" width="{length:.1f}" height="{BAR}" rx="2"/>')
    if row["target"] is not None:
        parts.append(line(LEFT + scale * row["target"], y - 3, y + BAR + 3, "target", 2.5))
    end = LEFT + scale * max(row["ratio"], row["target"] or 0)
    return parts + [text(end + 8, y + 14, f"{row['ratio']:.2f}"),
                    text(end + 42, y + 14, f"{PEERS[row['best_peer']]}", "soft")]


def svg(rows: list[dict], caption: str) -> str:
    """A bar for every workload: how many times ours is as fast as the fastest peer, with its target as a tick."""
    most = max([1.0] + [value for row in rows for value in (row["ratio"], row["target"]) if value is not None])
    scale = (WIDTH - LEFT - RIGHT) / most
    bottom = TOP + STEP * len(rows)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 50}" role="img">',
             "<title>libresnet against the fastest of its peers</title>", f"<style>{STYLE}</style>",
             f'<rect class="ground" width="{WIDTH}" height="{bottom + 50}"/>',
             text(16, 26, "Speed of libresnet over the fastest peer's, float32", "text title"),
             text(16, 46, "1 is the peer named beside the bar; the tick is the target", "soft")]
    for half in range(int(2 * most) + 1):
        x = LEFT + scale * half / 2
        parts += [line(x, TOP, bottom, "grid"), text(x, bottom + 16, f"{half / 2:g}", "soft", "middle")]
    for index, row in enumerate(rows):
        parts += bar(row, TOP + STEP * index + (STEP - BAR) / 2, scale)
    parts += [line(LEFT + scale, TOP, bottom, "one", 1.5), text(16, bottom + 40, caption, "soft"), "</svg>\n"]
    return "\n".join(parts)
